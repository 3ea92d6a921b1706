//! How a record reaches the disk: under a temporary name, synced, then linked to its name, and the folder synced.
//!
//! A reader never sees a partial record, and a name is given once: who comes second is told so.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use camino::Utf8Path;

use crate::parts::rename_to_free;

/// How the temporary names begin that records are written under.
pub(crate) const TEMPORARY: &str = ".new-";

/// Writes a record that must not be there yet. False: someone else wrote it first.
pub(crate) fn create(path: &Utf8Path, bytes: &[u8]) -> io::Result<bool> {
    let folder = folder_of(path);
    match write(folder, bytes)?.persist_noclobber(path) {
        Ok(_) => sync_folder(folder).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// The same without waiting for the disk, written at `aside`, a name on the same file system that nobody else uses. Who is killed
/// meanwhile leaves nothing under the record's name.
pub(crate) fn create_unsynced(path: &Utf8Path, bytes: &[u8], aside: &Utf8Path) -> io::Result<bool> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(aside)?;
    let name = || match rename_to_free(aside, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder_of(path))?;
            rename_to_free(aside, path)
        }
        other => other,
    };
    // Nothing of it stays if the disk is full, or somebody else was first.
    let named = file.write_all(bytes).and_then(|()| name()).inspect_err(|_| drop(fs::remove_file(aside)));
    match named {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A file system that cannot rename to a free name, or another one.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::CrossesDevices) => {
            create(path, bytes)
        }
        Err(error) => Err(error),
    }
}

/// Writes a record, over whatever lies there.
pub(crate) fn replace(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    write(folder, bytes)?.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder, and those above it, durably.
pub(crate) fn make_folder(folder: &Utf8Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.parent().is_some() => {
            make_folder(folder_of(folder))?;
            match fs::create_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                other => other?,
            }
        }
        other => other?,
    }
    sync_folder(folder_of(folder))
}

fn write(folder: &Utf8Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let create = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY).permissions(Permissions::from_mode(0o644)).tempfile_in(folder)
    };
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            create()?
        }
        other => other?,
    };
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(Utf8Path::new("."))
}
