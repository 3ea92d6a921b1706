//! The git commit of a project, and whether tracked files differ from it.

use std::process::{Command, Stdio};

use camino::Utf8Path;

use crate::event::Git;

/// Asks git about the repository that a folder lies in; none if there is none, or no git.
#[must_use]
pub(crate) fn state(folder: &Utf8Path) -> Option<Git> {
    let inside = folder.ancestors().any(|folder| folder.join(".git").exists());
    if !inside {
        return None;
    }
    let output = Command::new("git")
        .args(["-C", folder.as_str(), "status", "--porcelain=v2", "--branch", "--untracked-files=no"])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads what `git status --porcelain=v2 --branch` prints.
fn parse(status: &str) -> Option<Git> {
    let commit = status.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    let dirty = status.lines().any(|line| !line.starts_with('#'));
    (commit != "(initial)").then(|| Git { commit: commit.to_owned(), dirty })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let clean = "# branch.oid 1234\n# branch.head main\n";
        assert_eq!(parse(clean), Some(Git { commit: "1234".into(), dirty: false }));
        let dirty = format!("{clean}1 .M N... 100644 100644 100644 a b file\n");
        assert!(parse(&dirty).unwrap().dirty);
        assert_eq!(parse("# branch.oid (initial)\n"), None);
    }
}
