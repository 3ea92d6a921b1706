//! Tries again what the fuzzers kept: a part of the tests of each crate that has parsers.

use std::fs;

/// Plays every input that was kept for a parser; `folder` is the crate's way to `fuzz/corpus`. An input is a line of hexadecimal digits.
pub(crate) fn replay(folder: &str, name: &str, play: impl Fn(&[u8])) {
    let kept = fs::read_to_string(format!("{folder}/{name}.hex")).expect("what was kept can be read");
    let byte = |pair: &[u8]| {
        let digits = str::from_utf8(pair).expect("digits are ASCII");
        u8::from_str_radix(digits, 16).expect("they are hexadecimal digits")
    };
    let mut inputs = 0;
    for line in kept.lines() {
        play(&line.as_bytes().chunks(2).map(byte).collect::<Vec<_>>());
        inputs += 1;
    }
    assert!(inputs > 10, "{name}: what was kept is missing");
}
