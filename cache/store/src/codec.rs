//! Bytes that come from outside, read strictly and with limits.

use std::io::{self, Read as _};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_cache::Digest;

/// The level of compression: what zstd itself thinks best.
const LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// Compresses bytes.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, LEVEL).expect("memory is all that compressing needs")
}

/// What was compressed, if it is exactly so many bytes; whatever the frame says, no more is made of it.
pub(crate) fn decompress_exactly(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let raw = zstd::bulk::decompress(bytes, size).ok()?;
    (raw.len() == size).then_some(raw)
}

/// What was compressed, if it is at most so many bytes.
pub(crate) fn decompress(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        let decoder = zstd::stream::read::Decoder::with_buffer(bytes)?.single_frame();
        decoder.take(most as u64 + 1).read_to_end(&mut raw)?;
        Ok(raw)
    };
    read().ok().filter(|raw| raw.len() <= most)
}

/// A value as bytes.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("what is written has a form")
}

/// The value of these bytes, if they hold it and nothing else.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

/// A file of one value: a first line that says what it is, the digest of the rest, the rest.
pub(crate) fn seal(title: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{title}\n").into_bytes();
    bytes.extend_from_slice(Digest::of(body).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The rest of a file with this first line, if it is what its digest says.
pub(crate) fn open<'a>(title: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(title.as_bytes())?.strip_prefix(b"\n")?;
    let (digest, body) = rest.split_at_checked(32)?;
    (Digest::of(body).as_bytes().as_slice() == digest).then_some(body)
}

/// The version of a file with such a first line, if it is a later one.
pub(crate) fn newer(title: &str, bytes: &[u8]) -> Option<(u64, u64)> {
    let (what, known) = title.rsplit_once(' ').expect("a title ends with its version");
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let found = str::from_utf8(first).ok()?.strip_prefix(what)?.strip_prefix(' ')?;
    let (found, known) = (found.parse().ok()?, known.parse().expect("a version is a number"));
    (found > known).then_some((found, known))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_frame_that_says_it_is_huge_is_refused() {
        let bomb = compress(&vec![0; 64 << 20]);
        assert!(bomb.len() < 10_000);
        assert_eq!(decompress(&bomb, 1 << 20), None);
        assert_eq!(decompress_exactly(&bomb, 1 << 20), None);
        assert_eq!(decompress(&bomb, 64 << 20).map(|raw| raw.len()), Some(64 << 20));
    }

    #[test]
    fn a_sealed_file_is_opened_only_as_it_was() {
        let bytes = seal("a thing 1", b"body");
        assert_eq!(open("a thing 1", &bytes), Some(b"body".as_slice()));
        assert_eq!(open("a thing 2", &bytes), None);
        assert_eq!(newer("a thing 1", &seal("a thing 12", b"body")), Some((12, 1)));
        for other in [bytes.as_slice(), b"a thing 0", b"a thing x\n", b"a thin", b"", b"\xff"] {
            assert_eq!(newer("a thing 1", other), None);
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(open("a thing 1", &other), None, "byte {at}");
            assert_eq!(open("a thing 1", &bytes[..at]), None, "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let packed = compress(&bytes);
            prop_assert_eq!(decompress_exactly(&packed, bytes.len()), Some(bytes.clone()));
            prop_assert_eq!(decompress_exactly(&packed, bytes.len() + 1), None);
            prop_assert_eq!(decompress(&packed, bytes.len()), Some(bytes));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decompress(&bytes, 1000);
            let _ = open("a thing 1", &bytes);
            let _ = decode::<Vec<(u8, String, Vec<u8>)>>(&bytes);
        }
    }
}
