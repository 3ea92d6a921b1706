//! Reading a file to its digest, without ever mapping it: someone else may cut it short at any time.
//!
//! The hash of a large file is a tree over its blocks, so several threads each read a block and hash it while it is hot, and
//! reading and hashing never wait for each other (BLAKE3, section 2.1: the left subtree holds the largest power of two of chunks).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use camino::Utf8Path;
use rayon::prelude::*;

use crate::Digest;
use crate::stamp::Stamp;

/// From this size on a file is hashed by several threads.
const BIG: u64 = 2 << 20;
/// What is read at once, in bytes: it fits the second cache of a core. A power of two, so that every block is a whole subtree.
const BLOCK: u64 = 256 << 10;
const SMALL_BUFFER: usize = 64 << 10;
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

/// The digest of an open file of this size, which is what the system says of it just before: what is appended meanwhile is not
/// read, so who asks has to see that the size is the same afterwards. A file that has no size until it is read is read to its end.
pub(crate) fn of_open(file: &File, size: u64) -> io::Result<Digest> {
    if size >= BIG
        && let Some(digest) = in_blocks(file, size)?
    {
        return Ok(digest);
    }
    in_turn(file, size)
}

/// By one thread: to this size, or to the end if that comes first.
fn in_turn(file: &File, size: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let whole = usize::try_from(size).unwrap_or(SMALL_BUFFER);
    let mut buffer = vec![0; if size == 0 { SMALL_BUFFER } else { whole.min(SMALL_BUFFER) }];
    let mut done = 0;
    loop {
        match file.read_at(&mut buffer, done) {
            Ok(0) => break,
            Ok(length) => {
                hasher.update(&buffer[..length]);
                done += length as u64;
                if done >= size && size > 0 {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Digest::from_hash(hasher.finalize()))
}

/// By several threads, the first `size` bytes (more than one block); none if there are fewer.
fn in_blocks(file: &File, size: u64) -> io::Result<Option<Digest>> {
    let block = |buffer: &mut Vec<u8>, number: u64| {
        let start = number * BLOCK;
        let length = usize::try_from(BLOCK.min(size - start)).expect("a block fits in memory");
        buffer.resize(length, 0);
        file.read_exact_at(buffer, start)?;
        Ok(blake3::Hasher::new().set_input_offset(start).update(buffer).finalize_non_root())
    };
    let values: io::Result<Vec<ChainingValue>> =
        (0..size.div_ceil(BLOCK)).into_par_iter().map_init(Vec::new, block).collect();
    match values {
        Ok(values) => {
            let (left, right) = halves(&values, size);
            let hash = merge_subtrees_root(&left, &right, Mode::Hash);
            Ok(Some(Digest::from_hash(hash)))
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The values of the two subtrees of `length` bytes, of whose blocks these are the values.
fn halves(blocks: &[ChainingValue], length: u64) -> (ChainingValue, ChainingValue) {
    let left = left_subtree_len(length);
    let count = usize::try_from(left / BLOCK).expect("there are as many values in memory");
    let (before, after) = blocks.split_at(count);
    (subtree(before, left), subtree(after, length - left))
}

fn subtree(blocks: &[ChainingValue], length: u64) -> ChainingValue {
    if let [only] = blocks {
        return *only;
    }
    let (left, right) = halves(blocks, length);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_blocks_is_the_digest_of_the_bytes() {
        let bytes: Vec<u8> =
            (0..5 * BLOCK + BLOCK / 3 + 1).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let block = usize::try_from(BLOCK).unwrap();
        for length in [block + 1, 2 * block - 1, 2 * block, 2 * block + 1, 3 * block, 4 * block, bytes.len()]
        {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let file = File::open(&path).unwrap();
            let expected = Digest::of(&bytes[..length]);
            assert_eq!(in_blocks(&file, length as u64).unwrap(), Some(expected), "{length} bytes");
            assert_eq!(in_turn(&file, length as u64).unwrap(), expected);
            assert_eq!(in_blocks(&file, length as u64 + 1).unwrap(), None, "it is shorter than expected");
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_expected_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(of_open(&File::open(&path).unwrap(), 10 * BIG).unwrap(), Digest::of(b"short"));
    }
}
