//! Whether names came into a folder or left it since it was listed, asked without listing it again.

use std::fs;
use std::io;

use camino::Utf8Path;

use crate::stamp::{Clock, Stamp, is_network};

/// What the file system says of a folder. While a [settled](FolderStamp::settled) one stays the same, so do the names in the
/// folder, whoever else uses it: every file system notes when a name comes or goes, and the note cannot be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderStamp(Stamp);

impl FolderStamp {
    /// The stamp that the folder has now.
    ///
    /// # Errors
    /// If the folder cannot be looked at.
    pub fn of(folder: &Utf8Path) -> io::Result<Self> {
        fs::metadata(folder).map(|metadata| Self(Stamp::of(&metadata)))
    }

    /// The stamp to remember beside a listing that follows: any later change gives the folder another one. None while a change
    /// within the same tick of the clock could not be told, and on a network file system. Files are made in `probe`, a folder
    /// on the same file system, to ask for the time.
    ///
    /// # Errors
    /// If the folder cannot be looked at.
    pub fn settled(folder: &Utf8Path, probe: &Utf8Path) -> io::Result<Option<Self>> {
        let stamp = Self::of(folder)?;
        let settled = !is_network(folder) && Clock::probe(probe, true).has_passed(&stamp.0);
        Ok(settled.then_some(stamp))
    }

    /// Its bytes, to be kept and compared.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let Stamp { device, inode, modified, changed, .. } = self.0;
        let mut bytes = [0; 32];
        let parts =
            [device.to_le_bytes(), inode.to_le_bytes(), modified.to_le_bytes(), changed.to_le_bytes()];
        bytes.chunks_exact_mut(8).zip(parts).for_each(|(place, part)| place.copy_from_slice(&part));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_changed_has_another_stamp() {
        let scene = tempfile::tempdir().unwrap();
        let base = Utf8Path::from_path(scene.path()).unwrap();
        let folder = base.join("folder");
        fs::create_dir(&folder).unwrap();
        let settle = || loop {
            if let Some(stamp) = FolderStamp::settled(&folder, base).unwrap() {
                break stamp.to_bytes();
            }
        };
        let empty = settle();
        assert_eq!(FolderStamp::of(&folder).unwrap().to_bytes(), empty);
        fs::write(folder.join("a"), "").unwrap();
        let one = settle();
        assert_ne!(one, empty);
        // What is in a file is not the folder's business; a name is, also if it is another one in its place.
        fs::write(folder.join("a"), "longer").unwrap();
        assert_eq!(settle(), one);
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        assert_ne!(settle(), one);
    }
}
