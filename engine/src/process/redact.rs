//! Keeping secrets out of a stream: as they are, in base64 and URL-encoded, also when they come in pieces.
//!
//! What may be the beginning of a secret is held back until the next bytes decide, and nothing else is: a progress bar
//! shows at once.

use aho_corasick::{AhoCorasick, BuildError};

const STARS: &[u8] = b"***";

/// The shortest line of a secret of several lines that is hidden by itself.
const SHORTEST_LINE: usize = 8;

/// The shortest run of base64 digits that is taken for a secret.
const SHORTEST_BASE64: usize = 6;

/// A filter over a stream of bytes.
pub(super) struct Redactor {
    finder: AhoCorasick,
    patterns: Vec<Vec<u8>>,
    /// Bytes that may be the beginning of a secret.
    held: Vec<u8>,
    /// How many of the held bytes belong to a secret whose stars are written already.
    covered: usize,
}

impl Redactor {
    /// A filter for these secrets; empty ones hide nothing.
    ///
    /// # Errors
    /// If the secrets are too large to search for.
    pub(super) fn new(secrets: &[String]) -> Result<Self, BuildError> {
        let mut patterns: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        patterns.retain(|pattern| !pattern.is_empty());
        patterns.sort();
        patterns.dedup();
        Ok(Self { finder: AhoCorasick::new(&patterns)?, patterns, held: Vec::new(), covered: 0 })
    }

    /// Takes the next bytes, and appends what can be shown.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        self.show_until(self.undecided(), out);
    }

    /// Appends what was held back: no more bytes come.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.show_until(self.held.len(), out);
    }

    /// Shows all before `end`, secrets that begin there as stars, and keeps the rest.
    fn show_until(&mut self, end: usize, out: &mut Vec<u8>) {
        let mut secrets: Vec<(usize, usize)> =
            self.finder.find_overlapping_iter(&self.held).map(|found| (found.start(), found.end())).collect();
        secrets.sort_unstable();
        let mut hidden = self.covered;
        for (start, stop) in secrets.into_iter().take_while(|(start, _)| *start < end) {
            if start >= hidden {
                out.extend_from_slice(&self.held[hidden..start]);
                out.extend_from_slice(STARS);
            }
            hidden = hidden.max(stop);
        }
        if hidden < end {
            out.extend_from_slice(&self.held[hidden..end]);
            hidden = end;
        }
        self.held.drain(..end);
        self.covered = hidden - end;
    }

    /// Where the longest end of the held bytes begins that may go on to become a secret.
    fn undecided(&self) -> usize {
        let longest = self.patterns.iter().map(Vec::len).max().unwrap_or(0);
        let first = self.held.len().saturating_sub(longest.saturating_sub(1));
        (first..self.held.len())
            .find(|start| {
                let end = &self.held[*start..];
                self.patterns.iter().any(|pattern| pattern.len() > end.len() && pattern.starts_with(end))
            })
            .unwrap_or(self.held.len())
    }
}

/// The forms in which a secret may appear.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    if secret.trim().contains('\n') {
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
        forms.extend(lines.map(|line| line.as_bytes().to_vec()));
    }
    for digits in [STANDARD, URL_SAFE] {
        forms.extend((0..3).filter_map(|offset| base64(secret.as_bytes(), offset, digits)));
    }
    for (hex, space) in [(UPPER, "%20"), (UPPER, "+"), (LOWER, "%20"), (LOWER, "+")] {
        forms.push(url_encoded(secret.as_bytes(), hex, space));
    }
    forms
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// The base64 digits that `bytes` alone decides when they stand `offset` bytes after a multiple of three: so they are
/// found inside of an encoded whole, such as a user's name and password.
fn base64(bytes: &[u8], offset: usize, digits: &[u8; 64]) -> Option<Vec<u8>> {
    let bit = |index: usize| {
        let index = index - offset * 8;
        (bytes[index / 8] >> (7 - index % 8)) & 1
    };
    let (first, last) = ((offset * 8).div_ceil(6), (offset + bytes.len()) * 8 / 6);
    let digit = |index: usize| {
        let value = (index * 6..index * 6 + 6).fold(0, |value, place| value << 1 | bit(place));
        digits[usize::from(value)]
    };
    (last >= first + SHORTEST_BASE64).then(|| (first..last).map(digit).collect())
}

fn url_encoded(bytes: &[u8], hex: &[u8; 16], space: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(*byte),
            b' ' => text.extend_from_slice(space.as_bytes()),
            _ => text.extend([b'%', hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let mut redactor = Redactor::new(&secrets).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            redactor.push(piece, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_is_cut() {
        let text = b"token=s3cr3t-value; again s3cr3t-value!";
        for cut in 0..text.len() {
            let shown = redacted(&["s3cr3t-value"], &[&text[..cut], &text[cut..]]);
            assert_eq!(shown, "token=***; again ***!", "cut at {cut}");
        }
    }

    #[test]
    fn the_longer_of_two_secrets_and_the_end_of_an_overlap_are_hidden() {
        assert_eq!(redacted(&["abc", "abcdef"], &[b"abc", b"defg"]), "***g");
        assert_eq!(redacted(&["abcd", "cdef"], &[b"xabcd", b"efy"]), "x***y");
        assert_eq!(redacted(&["abcd", "cdef"], &[b"xabcd", b"exy"]), "x***exy");
    }

    #[test]
    fn encoded_forms_are_hidden() {
        // "user:pass word/1" in base64, and URL-encoded in two ways.
        assert_eq!(redacted(&["pass word/1"], &[b"Basic dXNlcjpwYXNzIHdvcmQvMQ=="]), "Basic dXNlcjp***Q==");
        assert_eq!(redacted(&["pass word/1"], &[b"p=pass%20word%2F1&q=pass+word%2f1"]), "p=***&q=***");
    }

    #[test]
    fn lines_of_a_long_secret_are_hidden_alone() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n";
        assert_eq!(redacted(&[key], &[b"  MIIEvQIBADANBg\n"]), "  ***\n");
    }

    #[test]
    fn nothing_but_a_possible_secret_is_held_back() {
        let mut redactor = Redactor::new(&["secret".to_owned()]).unwrap();
        let mut out = Vec::new();
        redactor.push(b"50% done\rsec", &mut out);
        assert_eq!(out, b"50% done\r");
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        assert_eq!(redacted(&[""], &[b"text"]), "text");
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            text in "[ab]{0,40}",
            secrets in prop::collection::vec("[ab]{1,4}", 1..4),
            cuts in prop::collection::vec(0usize..40, 0..6),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                pieces.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            let shown = redacted(&secrets, &pieces);
            prop_assert_eq!(&shown, &redacted(&secrets, &[text.as_bytes()]));
            for secret in secrets {
                prop_assert!(!shown.contains(secret));
            }
        }
    }
}
