//! Word that runs have ended, for a process that wants to know it: an empty file by the run's id in a folder that this process makes. It removes
//! what it has taken.

use std::fs;
use std::io;

use super::history::History;
use crate::name::RunId;

/// Below the state folder.
const FOLDER: &str = "triggers/ended";

impl History {
    /// The folder that word is left in.
    pub(crate) fn endings(&self) -> camino::Utf8PathBuf {
        self.state.join(FOLDER)
    }

    /// Wants to know of the ends of runs from now on.
    pub(crate) fn want_endings(&self) -> io::Result<()> {
        fs::create_dir_all(self.endings())
    }

    /// Leaves word that a run has ended, if somebody wants to know. That it cannot be left is no reason for anything to fail.
    pub(super) fn leave_ending(&self, run: &RunId) {
        let folder = self.endings();
        if folder.exists()
            && let Err(error) = fs::write(folder.join(run.as_str()), "")
        {
            tracing::warn!(%error, "what waits for this run is not told that it has ended");
        }
    }

    /// The runs of which word was left, and not taken yet.
    pub(crate) fn ended_lately(&self) -> io::Result<Vec<RunId>> {
        let mut runs = Vec::new();
        for entry in self.endings().read_dir_utf8()? {
            runs.extend(RunId::new(entry?.file_name()));
        }
        runs.sort_unstable();
        Ok(runs)
    }

    /// Takes the word that a run has ended.
    pub(crate) fn take_ending(&self, run: &RunId) {
        let path = self.endings().join(run.as_str());
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%path, %error, "it could not be removed, and is looked at again");
        }
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    #[test]
    fn word_is_left_for_who_wants_it_and_until_it_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(Utf8Path::from_path(folder.path()).unwrap());
        let run = RunId::new("20261130-000000-aaaaaa").unwrap();
        history.leave_ending(&run);
        history.want_endings().unwrap();
        assert_eq!(history.ended_lately().unwrap(), [], "nobody had wanted to know");
        history.leave_ending(&run);
        assert_eq!(history.ended_lately().unwrap(), std::slice::from_ref(&run));
        history.take_ending(&run);
        assert_eq!(history.ended_lately().unwrap(), []);
    }
}
