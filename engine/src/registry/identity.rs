//! The id of a target: random, written once, so that a target that was deleted and made again is another one.

use std::fs;
use std::io::{self, Write as _};

use camino::Utf8Path;
use rand::Rng as _;

use super::RegistryError;

/// The id in this folder, if there is one.
pub(super) fn read(folder: &Utf8Path) -> Result<Option<String>, RegistryError> {
    let path = folder.join("id");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RegistryError::io(&path)(error)),
    }
}

/// The id in this folder, made now if there is none. Of two that make it at once, both get the winner's.
pub(super) fn ensure(folder: &Utf8Path) -> Result<String, RegistryError> {
    if let Some(id) = read(folder)? {
        return Ok(id);
    }
    let io = || RegistryError::io(folder);
    fs::create_dir_all(folder).map_err(io())?;
    let id = format!("{:032x}", rand::rng().random::<u128>());
    let mut file = tempfile::Builder::new().prefix(".id-").tempfile_in(folder).map_err(io())?;
    writeln!(file, "{id}").and_then(|()| file.as_file().sync_all()).map_err(io())?;
    match file.persist_noclobber(folder.join("id")) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io()(error.error)),
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io())?;
    // The winner's file is there now, whoever won.
    Ok(read(folder)?.unwrap_or(id))
}
