//! What an attempt read that its step did not declare, as people are told it.

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::RelPath;

use super::undeclared::line_to_add;
use crate::event::Undeclared;
use crate::process::Reads;

/// So many files are named in the history; of the others the number is kept.
const NAMED: usize = 100;

/// What is told of these reads of a step of the pipeline in this folder (without symbolic links); nothing if there is nothing to
/// tell. What lies in the folder goes first, by its path there.
pub(super) fn undeclared(reads: &Reads, folder: &Utf8Path) -> Option<Undeclared> {
    if reads.files.is_empty() && reads.complete {
        return None;
    }
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for file in &reads.files {
        match Utf8Path::new(file).strip_prefix(folder) {
            Ok(inside) => files.push(inside.to_string()),
            Err(_) => others.push(file.clone()),
        }
    }
    files.append(&mut others);
    // With signs in the place of letters it would not be found.
    let is_text = |file: &&String| !file.contains(char::REPLACEMENT_CHARACTER);
    let hint = files.iter().find(is_text).and_then(|file| hint(file));
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    Some(Undeclared { files, more, complete: reads.complete, hint })
}

/// What to write for a file.
fn hint(file: &str) -> Option<String> {
    let name = Utf8PathBuf::from(file);
    let line = line_to_add(&RelPath::new(name.file_name()?).ok()?, file)?;
    Some(format!("what its result depends on is to be declared, as in {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[&str], complete: bool) -> Option<Undeclared> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        undeclared(&Reads { files, complete }, "/p/flats".into())
    }

    #[test]
    fn the_projects_own_files_go_first_and_say_what_to_write() {
        let told = told(&["/data/set.csv", "/p/flats/data/x.csv", "/p/other/y"], true).unwrap();
        assert_eq!(told.files, ["data/x.csv", "/data/set.csv", "/p/other/y"]);
        assert_eq!((told.more, told.complete), (0, true));
        let hint = told.hint.unwrap();
        assert_eq!(hint, "what its result depends on is to be declared, as in inputs.x = \"data/x.csv\"");
    }

    #[test]
    fn many_are_counted_and_none_are_nothing_to_tell() {
        let files: Vec<String> = (0..NAMED + 3).map(|number| format!("/p/flats/{number:03}")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let many = told(&files, true).unwrap();
        assert_eq!((many.files.len(), many.more, many.files[0].as_str()), (NAMED, 3, "000"));
        assert!(told(&[], true).is_none());
        assert_eq!(told(&["/p/flats/\u{fffd}"], true).unwrap().hint, None);
        // That something may be missing is worth telling.
        assert_eq!(told(&[], false).unwrap().hint, None);
    }
}
