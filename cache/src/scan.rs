//! Walking a folder: what is in it, before anything is read.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use crate::stamp::Stamp;
use crate::{CacheError, IgnoreRules, RelPath};

/// Something in a folder.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: RelPath,
    pub(crate) at: Utf8PathBuf,
    pub(crate) thing: Thing,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum Thing {
    File(FileFacts),
    EmptyFolder,
    Link { target: String },
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileFacts {
    pub(crate) stamp: Stamp,
    pub(crate) executable: bool,
    /// How many names the inode has.
    pub(crate) names: u64,
}

/// Whose folder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The project's: only looked at.
    Project,
    /// Ours: what cannot be read or emptied is made so.
    Us,
}

/// From this many on, things are done by several threads.
pub(crate) const MANY: usize = 16;

impl FileFacts {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { stamp: Stamp::of(metadata), executable: metadata.mode() & 0o100 != 0, names: metadata.nlink() }
    }
}

/// All files, links and empty folders below this absolute path, in no particular order.
pub(crate) fn scan(root: &Utf8Path, rules: &IgnoreRules, owner: Owner) -> Result<Vec<Found>, CacheError> {
    let mut found = Vec::new();
    // Level by level, not by recursion: a tree may be deeper than a thread's stack.
    let mut level: Vec<(Option<RelPath>, Utf8PathBuf)> = vec![(None, root.to_owned())];
    while !level.is_empty() {
        let list = |(path, at): &(Option<RelPath>, Utf8PathBuf)| list(path.as_ref(), at, rules, owner);
        let listings: Vec<Listing> = if level.len() < MANY {
            level.iter().map(list).collect::<Result<_, _>>()?
        } else {
            level.par_iter().map(list).collect::<Result<_, _>>()?
        };
        level.clear();
        for listing in listings {
            found.extend(listing.things);
            level.extend(listing.folders.into_iter().map(|(path, at)| (Some(path), at)));
        }
    }
    Ok(found)
}

struct Listing {
    things: Vec<Found>,
    folders: Vec<(RelPath, Utf8PathBuf)>,
}

fn list(
    path: Option<&RelPath>,
    at: &Utf8Path,
    rules: &IgnoreRules,
    owner: Owner,
) -> Result<Listing, CacheError> {
    if owner == Owner::Us {
        allow(at, 0o700)?;
    }
    let mut listing = Listing { things: Vec::new(), folders: Vec::new() };
    for entry in fs::read_dir(at).map_err(gone_or_io("list", at))? {
        let entry = entry.map_err(CacheError::io("list", at))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(CacheError::NotUtf8 { path: entry.path().to_string_lossy().into_owned() });
        };
        let at = at.join(name);
        let own = RelPath::new(name).map_err(|_| CacheError::Name { name: name.to_owned() })?;
        let path = path.map_or_else(|| own.clone(), |parent| parent.join(&own));
        let metadata = entry.metadata().map_err(gone_or_io("read", &at))?;
        if rules.leaves_out(&at, metadata.is_dir()) {
            continue;
        }
        if metadata.is_dir() {
            listing.folders.push((path, at));
        } else {
            let thing = thing(&at, &metadata, owner)?;
            listing.things.push(Found { path, at, thing });
        }
    }
    if let Some(path) = path
        && listing.things.is_empty()
        && listing.folders.is_empty()
    {
        listing.things.push(Found { path: path.clone(), at: at.to_owned(), thing: Thing::EmptyFolder });
    }
    Ok(listing)
}

fn thing(at: &Utf8Path, metadata: &Metadata, owner: Owner) -> Result<Thing, CacheError> {
    if metadata.is_file() {
        if owner == Owner::Us && metadata.mode() & 0o400 == 0 {
            allow(at, 0o400)?;
            let metadata = fs::symlink_metadata(at).map_err(gone_or_io("read", at))?;
            return Ok(Thing::File(FileFacts::of(&metadata)));
        }
        Ok(Thing::File(FileFacts::of(metadata)))
    } else if metadata.is_symlink() {
        let target = fs::read_link(at).map_err(gone_or_io("read", at))?;
        match target.to_str() {
            Some(target) => Ok(Thing::Link { target: target.to_owned() }),
            None => Err(CacheError::NotUtf8 { path: format!("{at} -> {}", target.display()) }),
        }
    } else {
        Err(CacheError::Special { path: at.to_owned() })
    }
}

/// Gives the owner these bits, if they are missing.
pub(crate) fn allow(at: &Utf8Path, bits: u32) -> Result<(), CacheError> {
    allow_seen(at, &fs::metadata(at).map_err(gone_or_io("read", at))?, bits)
}

/// The same for what was just looked at.
pub(crate) fn allow_seen(at: &Utf8Path, metadata: &Metadata, bits: u32) -> Result<(), CacheError> {
    let mode = metadata.mode();
    if mode & bits == bits {
        return Ok(());
    }
    let permissions = Permissions::from_mode((mode | bits) & 0o7777);
    fs::set_permissions(at, permissions).map_err(CacheError::io("unlock", at))
}

/// What was listed a moment ago and is gone has changed; everything else is as the file system says.
pub(crate) fn gone_or_io(action: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> CacheError {
    move |error| {
        if error.kind() == io::ErrorKind::NotFound {
            CacheError::Changed { path: path.to_owned() }
        } else {
            CacheError::io(action, path)(error)
        }
    }
}
