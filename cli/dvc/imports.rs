//! What a Python script of the project imports from the project: DVC does not ask for it, a step's folder does.
//!
//! Only plain `import` lines are read, and only files that are there count, so nothing is guessed: a module is looked for
//! beside the script, as Python does, and below the folder that the command runs in, as `python -m` does.

use std::fs;

use camino::Utf8Path;

use super::place::{Place, place};

/// The files and packages that a script imports from the project, relative to it.
pub(super) fn of(project: &Utf8Path, script: &str, folder: &str) -> Vec<String> {
    let Ok(text) = fs::read_to_string(project.join(script)) else { return Vec::new() };
    let beside = script.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for module in text.lines().flat_map(modules) {
        let here = module.chars().take_while(|c| *c == '.').count();
        let path = module[here..].replace('.', "/");
        let up = "../".repeat(here.saturating_sub(1));
        let folders = if here > 0 {
            vec![format!("{beside}/{up}")]
        } else {
            vec![beside.to_owned(), folder.to_owned()]
        };
        for folder in folders {
            let Some(module) = file_of(project, &folder, &path) else { continue };
            if module != script && !found.contains(&module) {
                found.push(module);
            }
            break;
        }
    }
    found
}

/// The file or the package of a module that a command runs in a folder by `python -m`.
pub(super) fn module(project: &Utf8Path, folder: &str, name: &str) -> Option<String> {
    file_of(project, folder, &name.replace('.', "/"))
}

/// The modules that a line imports.
fn modules(line: &str) -> Vec<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    if let Some(rest) = line.strip_prefix("from ") {
        let Some((module, names)) = rest.split_once(" import ") else { return Vec::new() };
        let module = module.trim();
        // `from . import a`: each name may be a file of its own.
        if module.chars().all(|c| c == '.') {
            return names
                .trim_matches(['(', ')'])
                .split(',')
                .map(|name| format!("{module}{}", name.trim()))
                .collect();
        }
        return vec![module.to_owned()];
    }
    let Some(names) = line.strip_prefix("import ") else { return Vec::new() };
    names.split(',').filter_map(|name| name.split_whitespace().next()).map(str::to_owned).collect()
}

/// The file of a module, or the folder of its package, as far as it is there.
fn file_of(project: &Utf8Path, folder: &str, path: &str) -> Option<String> {
    let Place::Inside(whole) = place(folder, path) else { return None };
    let package = path.split('/').next().unwrap_or(path);
    let Place::Inside(package) = place(folder, package) else { return None };
    let file = format!("{whole}.py");
    let is_package = path.contains('/') || project.join(&whole).is_dir();
    match (is_package && project.join(&package).is_dir(), project.join(&file).is_file()) {
        (true, _) => Some(package).filter(|package| !package.is_empty()),
        (false, true) => Some(file),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_the_project_are_found_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for (path, text) in [
            (
                "src/train.py",
                "import os, common as c\nfrom tools.io import read  # yes\nfrom . import near\nimport numpy\n    import lazy\n",
            ),
            ("src/common.py", ""),
            ("src/near.py", ""),
            ("src/lazy.py", ""),
            ("tools/io.py", ""),
            ("os.py", ""),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        assert_eq!(of(root, "src/train.py", "src"), ["src/common.py", "src/near.py", "src/lazy.py"]);
        assert_eq!(
            of(root, "src/train.py", ""),
            ["os.py", "src/common.py", "tools", "src/near.py", "src/lazy.py"]
        );
        assert!(of(root, "src/none.py", "").is_empty());
    }
}
