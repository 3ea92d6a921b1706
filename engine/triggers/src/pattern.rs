//! How a trigger names types and sources: as they are, or with `*` for any run of characters.

use std::fmt;

/// A text in which `*` stands for any run of characters, also for none. Nothing else has a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Types and sources are never empty.
    #[error("an empty pattern matches nothing")]
    Empty,
    /// No type and no source is so long.
    #[error("a pattern has at most {limit} characters")]
    TooLong {
        /// So many it may have.
        limit: usize,
    },
}

/// As many characters as an attribute may have.
const LIMIT: usize = 1024;

impl Pattern {
    /// The pattern that is written so.
    ///
    /// # Errors
    /// If it is empty or longer than any type or source.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            Err(PatternError::Empty)
        } else if text.chars().count() > LIMIT {
            Err(PatternError::TooLong { limit: LIMIT })
        } else {
            Ok(Self { text: text.to_owned() })
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole text. Each piece between two `*` is taken where it comes first, so nothing is tried twice
    /// and the time grows with the length of the text only.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.text.split_once('*') else { return self.text == text };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut text) = text.strip_prefix(first).and_then(|text| text.strip_suffix(last)) else {
            return false;
        };
        for piece in middle.split('*') {
            match text.find(piece) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(text)
    }

    /// What `*` means, letter by letter.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            Some((letter, rest)) => text.first() == Some(letter) && naive(rest, &text[1..]),
        }
    }

    #[test]
    fn a_star_is_any_run() {
        assert!(matches("com.github.push", "com.github.push"));
        assert!(!matches("com.github.push", "com.github.push2"));
        assert!(matches("com.github.*", "com.github."));
        assert!(matches("*", "x"));
        assert!(matches("https://github.com/*/data", "https://github.com/a/b/data"));
        assert!(!matches("a*a", "a"));
        assert!(matches("a**a", "aa"));
        assert!(!matches("com?github", "com.github"));
        assert_eq!(Pattern::new(""), Err(PatternError::Empty));
        assert!(Pattern::new(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn many_stars_take_no_longer() {
        let (pattern, text) = ("*a".repeat(500), "a".repeat(1_000_000));
        assert!(matches(&pattern, &text));
        assert!(!matches(&format!("{pattern}*b"), &text));
    }

    proptest! {
        #[test]
        fn it_matches_what_the_naive_way_matches(pattern in "[ab*é]{1,8}", text in "[abé]{0,10}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), naive(&letters(&pattern), &letters(&text)));
        }
    }
}
