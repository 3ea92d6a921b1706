//! An artifact: the immutable content of a file or a folder, named by its digest.

use serde::{Deserialize, Serialize};

use crate::{Digest, Document};

/// What kind of content an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A regular file.
    File,
    /// A regular file with the executable bit.
    Executable,
    /// A folder; its digest is that of its canonical manifest.
    Folder,
}

/// The immutable content of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// File, executable file or folder.
    pub form: Form,
    /// The digest of the file's bytes, or of the folder's manifest.
    pub digest: Digest,
    /// Bytes in all its files.
    pub size: u64,
    /// How many files it holds; one for a file.
    pub files: u64,
}

impl Artifact {
    /// What enters a key: form and digest. Size and count follow from them.
    #[must_use]
    pub fn identity(&self) -> Document {
        let form = match self.form {
            Form::File => "file",
            Form::Executable => "executable",
            Form::Folder => "folder",
        };
        Document::map([
            ("form", Document::text(form)),
            ("digest", Document::Bytes(self.digest.as_bytes().to_vec())),
        ])
    }
}
