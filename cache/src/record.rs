//! How a record reaches the disk: under a temporary name, synced, then linked to its name, and the folder synced.
//!
//! A reader never sees a partial record, and a name is given once: who comes second is told so.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

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

/// The same without waiting for the disk: who reads it has to tell garbage from a record.
pub(crate) fn create_unsynced(path: &Utf8Path, bytes: &[u8]) -> io::Result<bool> {
    let file = write_unsynced(folder_of(path), bytes, |folder| fs::create_dir_all(folder))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
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
    let file = write_unsynced(folder, bytes, make_folder)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn write_unsynced(
    folder: &Utf8Path,
    bytes: &[u8],
    make: impl Fn(&Utf8Path) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    let create = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY).permissions(Permissions::from_mode(0o644)).tempfile_in(folder)
    };
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(folder)?;
            create()?
        }
        other => other?,
    };
    file.write_all(bytes)?;
    Ok(file)
}

fn folder_of(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(Utf8Path::new("."))
}
