//! Reading the log of an attempt.

use camino::Utf8Path;

/// How much of the end of a log is read for its last lines, in bytes.
const TAIL_BYTES: u64 = 64 * 1024;

/// What a log holds; mostly nothing, which is seen without opening it.
pub(super) fn written(log: &Utf8Path) -> Option<Vec<u8>> {
    let is_empty = std::fs::metadata(log).ok()?.len() == 0;
    if is_empty { Some(Vec::new()) } else { std::fs::read(log).ok() }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Utf8Path) -> Vec<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = read().unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// The last so many.
pub(super) fn last(mut lines: Vec<String>, count: usize) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(count))
}
