//! Reading a file to its digest, without ever mapping it: someone else may cut it short at any time.

use std::fs::File;
use std::io::{self, Read as _};

use camino::Utf8Path;

use crate::Digest;
use crate::stamp::Stamp;

/// Above this size a file is hashed by several threads, a few MiB at a time.
const BIG: u64 = 2 << 20;
const SMALL_BUFFER: usize = 64 << 10;
const BIG_BUFFER: usize = 4 << 20;
/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// The digest of a file, and its stamp before and after reading; `None` if it never stood still.
pub(crate) fn settled(path: &Utf8Path) -> io::Result<Option<(Digest, Stamp)>> {
    let file = File::open(path)?;
    for _ in 0..ATTEMPTS {
        let before = Stamp::of(&file.metadata()?);
        let digest = of_open(&file, before.size)?;
        if Stamp::of(&file.metadata()?) == before {
            return Ok(Some((digest, before)));
        }
    }
    Ok(None)
}

/// The digest of an open blob, and its stamp; `None` if it was written to meanwhile. Being linked is no change.
pub(crate) fn of_blob(file: &File) -> io::Result<Option<(Digest, Stamp)>> {
    let before = Stamp::of(&file.metadata()?);
    let digest = of_open(file, before.size)?;
    let after = Stamp::of(&file.metadata()?);
    Ok(after.is_same_content_as(&before).then_some((digest, after)))
}

/// The digest of an open file from its beginning.
pub(crate) fn of_open(mut file: &File, size: u64) -> io::Result<Digest> {
    use io::Seek as _;
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; if size > BIG { BIG_BUFFER } else { SMALL_BUFFER }];
    loop {
        let length = fill(file, &mut buffer)?;
        if length as u64 > BIG / 2 {
            hasher.update_rayon(&buffer[..length]);
        } else {
            hasher.update(&buffer[..length]);
        }
        if length < buffer.len() {
            return Ok(Digest::from_hash(hasher.finalize()));
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
