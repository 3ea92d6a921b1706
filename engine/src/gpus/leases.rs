//! GPUs are given to steps so that nobody on the machine takes what another one has, whoever they are: what a step takes of a GPU is a file
//! in a folder of the whole machine, locked by the run that the step belongs to. The kernel lets go of the lock when the run ends, however it ends.
//!
//! ```text
//! guard                          locked by whoever looks, until what it takes is written down
//! GPU-8932…@whole@4711.1         all of a GPU
//! GPU-8932…@21474836480@4711.2   so many bytes of its memory
//! ```
//!
//! It is an agreement among those who use this program, not a fence: a user who is out for harm can hold the locks, and can use a GPU
//! without asking.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::project::Project;
use crate::schedule::{Others, Share};

/// How long until it is asked again whether somebody gave a GPU back.
pub(crate) const AGAIN: Duration = Duration::from_millis(300);

/// The folder, if it is not the usual one: containers of one machine see each other's leases in one that they share.
const FOLDER: &str = "TIDEMILL_GPU_LEASES";

/// What is looked at, at most: nobody has as many GPUs.
const MOST: usize = 4096;

/// What this run takes of GPUs.
#[derive(Debug)]
pub(crate) struct GpuLeases {
    folder: Utf8PathBuf,
    /// Whether there is such a folder, once somebody needed it. Without one a run knows nothing of others.
    is_usable: Option<bool>,
    /// Held from a look to what follows from it.
    guard: Option<File>,
    claims: Vec<Claim>,
    /// How many claims were made: each has a name of its own.
    count: u64,
    /// Whether it was told that a step waits for others.
    pub(crate) is_told: bool,
}

/// What is taken of one GPU by one step.
#[derive(Debug)]
struct Claim {
    gpu: String,
    share: Share,
    path: Utf8PathBuf,
    /// Locked.
    _file: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Whoever looks removes it otherwise.
        fs::remove_file(&self.path).ok();
    }
}

impl GpuLeases {
    /// Leases among all users of this machine.
    pub(crate) fn of_machine(project: &Project) -> Self {
        let named = project.variable(FOLDER).map(Utf8Path::new).filter(|folder| folder.is_absolute());
        // What lies there lasts as long as the machine runs, and nothing tidies it up because it is old.
        let usual = ["/dev/shm", "/tmp"].map(Utf8Path::new).into_iter().find(|folder| folder.is_dir());
        let folder = match named {
            Some(folder) => folder.to_owned(),
            None => usual.unwrap_or(Utf8Path::new("/tmp")).join("tidemill-gpus"),
        };
        Self::below(folder)
    }

    fn below(folder: Utf8PathBuf) -> Self {
        Self { folder, is_usable: None, guard: None, claims: Vec::new(), count: 0, is_told: false }
    }

    /// What others take. Nobody else looks or takes anything until [`GpuLeases::take`]; none if somebody does at this moment.
    pub(crate) fn look(&mut self) -> Option<Others> {
        let folder = &self.folder;
        if !*self.is_usable.get_or_insert_with(|| is_usable(folder)) {
            return Some(Others::new());
        }
        if self.guard.is_none() {
            self.guard = match guard(&self.folder) {
                Ok(Ok(guard)) => Some(guard),
                Ok(Err(TryLockError::WouldBlock)) => return None,
                Ok(Err(TryLockError::Error(error))) | Err(error) => {
                    tracing::warn!(%error, folder = %self.folder, "GPUs cannot be leased, so that others may use them too");
                    self.is_usable = Some(false);
                    return Some(Others::new());
                }
            };
        }
        let mut others = Others::new();
        let listing = self.folder.read_dir_utf8().into_iter().flatten().flatten().take(MOST);
        for entry in listing {
            let is_own = || self.claims.iter().any(|claim| claim.path == entry.path());
            if let Some((gpu, share)) = read(entry.file_name())
                && !is_own()
                && is_held(entry.path())
            {
                others.entry(gpu).or_default().push(share);
            }
        }
        Some(others)
    }

    /// From now on this run takes exactly this, by GPU. What is new in it was found to be free in the [`GpuLeases::look`] before.
    pub(crate) fn take<'a>(&mut self, taken: impl Iterator<Item = (&'a str, Share)>) {
        let mut before = std::mem::take(&mut self.claims);
        for (gpu, share) in taken {
            match before.iter().position(|claim| claim.gpu == gpu && claim.share == share) {
                Some(place) => self.claims.push(before.swap_remove(place)),
                None if self.is_usable == Some(true) => self.claim(gpu, share),
                None => {}
            }
        }
        drop(before);
        self.guard = None;
    }

    fn claim(&mut self, gpu: &str, share: Share) {
        let made = loop {
            self.count += 1;
            let path = self.folder.join(name(gpu, share, self.count));
            match claim(&path) {
                Ok(file) => break Ok(Claim { gpu: gpu.to_owned(), share, path, _file: file }),
                // Of a process with the same number, in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => break Err(error),
            }
        };
        match made {
            Ok(claim) => self.claims.push(claim),
            Err(error) => {
                tracing::warn!(%error, gpu, "a GPU cannot be leased, so that others may use it too");
            }
        }
    }
}

/// An id may hold a slash: `MIG-GPU-…/1/0`.
fn name(gpu: &str, share: Share, number: u64) -> String {
    let share = match share {
        Share::Whole => "whole".to_owned(),
        Share::Memory(bytes) => bytes.to_string(),
    };
    format!("{}@{share}@{}.{number}", gpu.replace('/', "+"), std::process::id())
}

fn read(name: &str) -> Option<(String, Share)> {
    let (claimed, _) = name.rsplit_once('@')?;
    let (gpu, share) = claimed.rsplit_once('@')?;
    let share = match share {
        "whole" => Share::Whole,
        bytes => Share::Memory(bytes.parse().ok()?),
    };
    Some((gpu.replace('+', "/"), share))
}

/// Makes a file that is locked from its first moment on, as far as anybody can see who looks only when it is his turn.
fn claim(path: &Utf8Path) -> io::Result<File> {
    let file = File::options().create_new(true).write(true).open(path)?;
    let locked = || {
        file.try_lock()?;
        // Whatever the mask says, others see whether it is locked.
        file.set_permissions(Permissions::from_mode(0o644))
    };
    locked().inspect_err(|_| drop(fs::remove_file(path)))?;
    Ok(file)
}

/// Whether somebody holds a claim. One that nobody holds is removed, by those who may.
fn is_held(path: &Utf8Path) -> bool {
    let Ok(file) = existing().open(path) else { return false };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
        Ok(()) => {
            fs::remove_file(path).ok();
            false
        }
    }
}

/// How a file is opened that somebody else may have made.
fn existing() -> OpenOptions {
    let mut options = File::options();
    // A pipe would wait for whoever writes into it.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

/// Locks the guard, if nobody else does.
fn guard(folder: &Utf8Path) -> io::Result<Result<File, TryLockError>> {
    let path = folder.join("guard");
    let file = match existing().open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match File::options().create_new(true).write(true).open(&path) {
                Ok(file) => {
                    file.set_permissions(Permissions::from_mode(0o644))?;
                    file
                }
                // Somebody else made it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => existing().open(&path)?,
                Err(error) => return Err(error),
            }
        }
        opened => opened?,
    };
    Ok(file.try_lock().map(|()| file))
}

/// Makes the folder of the leases if there is none, for everybody; whether it is one.
fn is_usable(folder: &Utf8Path) -> bool {
    let usable = || {
        match DirBuilder::new().mode(0o700).create(folder) {
            // Whatever the mask says. Only who made a file removes it.
            Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o1777))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match fs::symlink_metadata(folder)?.is_dir() {
            true => Ok(()),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    };
    usable()
        .inspect_err(|error: &io::Error| {
            tracing::warn!(%error, %folder, "GPUs cannot be leased, so that others may use them too");
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Utf8PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(place.path()).unwrap().join("gpus");
        (place, folder)
    }

    const MIG: &str = "MIG-b/1/0";

    #[test]
    fn what_one_run_takes_others_see_until_it_lets_go() {
        let (_place, folder) = place();
        let (mut one, mut other) = (GpuLeases::below(folder.clone()), GpuLeases::below(folder.clone()));
        assert_eq!(one.look(), Some(Others::new()));
        assert_eq!(other.look(), None, "it is the first one's turn");
        let taken = [("GPU-a", Share::Memory(7)), ("GPU-a", Share::Memory(7)), (MIG, Share::Whole)];
        one.take(taken.into_iter());
        assert_eq!(one.look(), Some(Others::new()), "its own are no others'");
        one.take(taken.into_iter());
        let seen = Others::from([
            ("GPU-a".to_owned(), vec![Share::Memory(7), Share::Memory(7)]),
            (MIG.to_owned(), vec![Share::Whole]),
        ]);
        assert_eq!(other.look(), Some(seen));
        other.take(std::iter::empty());
        one.take([("GPU-a", Share::Memory(7))].into_iter());
        assert_eq!(other.look(), Some(Others::from([("GPU-a".to_owned(), vec![Share::Memory(7)])])));
        other.take(std::iter::empty());
        drop(one);
        assert_eq!(other.look(), Some(Others::new()));
    }

    #[test]
    fn what_a_dead_run_left_is_nothing_and_is_removed() {
        let (_place, folder) = place();
        let mut leases = GpuLeases::below(folder.clone());
        leases.look().unwrap();
        let left = folder.join("GPU-a@whole@1.1");
        fs::write(&left, "").unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join("GPU-a@whole@1.2")).unwrap();
        fs::write(folder.join("GPU-a@much@1.3"), "").unwrap();
        assert_eq!(leases.look(), Some(Others::new()));
        assert!(!left.exists());
    }

    #[test]
    fn the_folder_is_everybodys_and_what_is_no_folder_is_not_used() {
        let (_place, folder) = place();
        let mut leases = GpuLeases::below(folder.clone());
        leases.look().unwrap();
        leases.take([("GPU-a", Share::Whole)].into_iter());
        let mode = |path: &Utf8Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&folder), mode(&folder.join("guard"))), (0o1777, 0o644));
        assert_eq!(mode(&leases.claims[0].path), 0o644);
        let link = folder.join("link");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        let mut leases = GpuLeases::below(link);
        assert_eq!(leases.look(), Some(Others::new()));
        leases.take([("GPU-a", Share::Whole)].into_iter());
        assert!(leases.claims.is_empty());
    }
}
