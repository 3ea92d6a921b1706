//! Guarding files by Landlock, which only knows what may be reached. So a folder is hidden by opening what lies beside it, and
//! beside each folder above it: what is put there after the fence was made is out of reach until the next one is made.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError,
};
use rustix::fs::{Mode, OFlags};

use super::Fence;

/// What a guard of writing guards, but for the cutting of files, which came later.
const WRITES: ABI = ABI::V2;

/// A fence around files, and the folders that were listed for it.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) ruleset: OwnedFd,
    listed: Vec<(Utf8PathBuf, Stamp)>,
}

impl Files {
    /// # Errors
    /// If the kernel says no.
    pub(super) fn guarded(fence: &Fence) -> io::Result<Self> {
        let mut making = Making::begin(fence)?;
        // Each ruleset forbids the moving of files between folders unless it says otherwise.
        making.allow(Utf8Path::new("/"), AccessFs::Refer.into())?;
        if !fence.hidden.is_empty() {
            making.open_beside(Utf8Path::new("/"))?;
            for path in &fence.open {
                making.allow(path, reads(fence))?;
            }
        }
        for path in fence.writable.iter().flatten() {
            making.allow(path, writes())?;
        }
        let ruleset: Option<OwnedFd> = making.ruleset.into();
        let ruleset = ruleset.ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { ruleset, listed: making.listed })
    }

    /// Whether nothing was put beside a hidden folder since.
    pub(super) fn is_current(&self) -> bool {
        self.listed
            .iter()
            .all(|(folder, stamp)| fs::metadata(folder).is_ok_and(|now| Stamp::of(&now) == *stamp))
    }
}

/// Whether this kernel has a Landlock that does not hinder the moving of files.
pub(super) fn are_guarded() -> bool {
    strictly(AccessFs::ReadFile | AccessFs::Refer).and_then(Ruleset::create).is_ok()
}

fn strictly(guarded: BitFlags<AccessFs>) -> Result<Ruleset, RulesetError> {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(guarded)
}

/// What is done with files that are written. A kernel that does not know the cutting of files does not guard that.
fn writes() -> BitFlags<AccessFs> {
    AccessFs::from_write(WRITES) | AccessFs::Truncate
}

struct Making<'a> {
    fence: &'a Fence,
    ruleset: RulesetCreated,
    listed: Vec<(Utf8PathBuf, Stamp)>,
}

impl<'a> Making<'a> {
    fn begin(fence: &'a Fence) -> io::Result<Self> {
        let mut guarded = BitFlags::from(AccessFs::Refer);
        if !fence.hidden.is_empty() {
            guarded |= reads(fence);
        }
        if fence.writable.is_some() {
            guarded |= AccessFs::from_write(WRITES);
        }
        let create = || {
            let ruleset = strictly(guarded)?.set_compatibility(CompatLevel::BestEffort);
            match fence.writable {
                Some(_) => ruleset.handle_access(AccessFs::Truncate)?.create(),
                None => ruleset.create(),
            }
        };
        Ok(Self { fence, ruleset: create().map_err(io::Error::other)?, listed: Vec::new() })
    }

    /// Opens this folder for reading, but for what is hidden in it.
    fn open_beside(&mut self, folder: &Utf8Path) -> io::Result<()> {
        if self.fence.hidden.iter().any(|hidden| hidden == folder) {
            return Ok(());
        }
        if !self.fence.hidden.iter().any(|hidden| hidden.starts_with(folder)) {
            return self.allow(folder, reads(self.fence));
        }
        let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
        self.listed.push((folder.to_owned(), Stamp::of(&metadata)));
        // What cannot be listed is found by no program either, and what is no UTF-8 is left closed.
        for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
            // What a link leads to is opened where it lies.
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                self.open_beside(entry.path())?;
            }
        }
        Ok(())
    }

    /// Allows this of what lies here and below; of a file what can be done with one. What is not there is passed over.
    fn allow(&mut self, path: &Utf8Path, access: BitFlags<AccessFs>) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(opened) = rustix::fs::open(path.as_std_path(), flags, Mode::empty()) else { return Ok(()) };
        let is_folder = fs::File::from(opened.try_clone()?).metadata()?.is_dir();
        let access = if is_folder { access } else { access & AccessFs::from_file(ABI::V3) };
        if access.is_empty() {
            return Ok(());
        }
        (&mut self.ruleset).add_rule(PathBeneath::new(opened, access)).map(drop).map_err(io::Error::other)
    }
}

fn reads(fence: &Fence) -> BitFlags<AccessFs> {
    let file = BitFlags::from(AccessFs::ReadFile);
    if fence.lists { file } else { file | AccessFs::ReadDir }
}

/// When something was last put into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(folder: &Metadata) -> Self {
        Self { inode: folder.ino(), modified: (folder.mtime(), folder.mtime_nsec()) }
    }
}
