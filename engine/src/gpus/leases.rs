//! GPUs are given to one step at a time, also by several runs of one user on one machine: who uses a GPU holds the lock of a
//! file that is named after it. The kernel lets go of it when the run ends, however it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

/// How long until it is asked again whether another run gave a GPU back.
pub(crate) const AGAIN: Duration = Duration::from_millis(300);

/// The GPUs that this run holds, and those that it looks at.
#[derive(Debug)]
pub(crate) struct GpuLeases {
    folder: Utf8PathBuf,
    /// Whether there is such a folder, once somebody needed it. Without one a run knows nothing of others.
    is_usable: Option<bool>,
    held: BTreeMap<String, File>,
    /// Whether it was told that a step waits for another run.
    pub(crate) is_told: bool,
}

impl GpuLeases {
    /// Leases in the user's folder for what lasts no longer than the machine runs, else in the one for temporary files.
    pub(crate) fn of_user(runtime: Option<&str>) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let folder = match runtime.map(Utf8Path::new).filter(|folder| folder.is_absolute() && folder.is_dir())
        {
            Some(folder) => folder.join("tidemill-gpus"),
            None => Utf8PathBuf::from(format!("/tmp/tidemill-gpus-{user}")),
        };
        Self { folder, is_usable: None, held: BTreeMap::new(), is_told: false }
    }

    /// Tries to lease all of these; gives those that others hold. What is not given to a step is let go by
    /// [`GpuLeases::let_go`].
    pub(crate) fn take(&mut self, gpus: &[String]) -> BTreeSet<String> {
        let mut elsewhere = BTreeSet::new();
        let user = || rustix::process::geteuid().as_raw();
        if !*self.is_usable.get_or_insert_with(|| prepare(&self.folder, user())) {
            return elsewhere;
        }
        for gpu in gpus {
            if self.held.contains_key(gpu) {
                continue;
            }
            // An id may hold a slash: `MIG-GPU-…/1/0`.
            let path = self.folder.join(gpu.replace('/', "+"));
            let Ok(file) = File::options().create(true).truncate(false).write(true).open(&path) else {
                continue;
            };
            match file.try_lock() {
                Ok(()) => drop(self.held.insert(gpu.clone(), file)),
                Err(TryLockError::WouldBlock) => drop(elsewhere.insert(gpu.clone())),
                // Where locks do not work, a run knows nothing of others.
                Err(TryLockError::Error(error)) => tracing::debug!(%error, %path, "a GPU cannot be leased"),
            }
        }
        elsewhere
    }

    /// Lets go of those that no step uses.
    pub(crate) fn let_go(&mut self, free: &[String]) {
        self.held.retain(|gpu, _| !free.contains(gpu));
    }
}

/// Makes the folder of the leases; whether it is this user's own, so that nobody else can put something else there.
fn prepare(folder: &Utf8Path, user: u32) -> bool {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => false,
        _ => fs::symlink_metadata(folder).is_ok_and(|facts| facts.is_dir() && facts.uid() == user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_held_by_one_run_until_it_lets_go() {
        let place = tempfile::tempdir().unwrap();
        let runtime = place.path().to_str();
        let (mut one, mut other) = (GpuLeases::of_user(runtime), GpuLeases::of_user(runtime));
        let all = ["GPU-a", "MIG-b/1/0"].map(str::to_owned);
        assert_eq!(one.take(&all), BTreeSet::new());
        assert_eq!(one.take(&all), BTreeSet::new(), "its own are not elsewhere");
        assert_eq!(other.take(&all), BTreeSet::from(all.clone()));
        one.let_go(&all[..1]);
        assert_eq!(other.take(&all), BTreeSet::from([all[1].clone()]));
        drop(one);
        assert_eq!(other.take(&all), BTreeSet::new());
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let at = Utf8Path::from_path(place.path()).unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert!(prepare(&at.join("own"), user));
        std::os::unix::fs::symlink("own", at.join("link").as_std_path()).unwrap();
        assert!(!prepare(&at.join("link"), user));
        assert!(!prepare(&at.join("own"), user + 1));
    }
}
