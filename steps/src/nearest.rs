//! The nearest known word to one that is unknown.

/// The candidate that is most like the word, if one is like it at all.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let distance = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    candidates.into_iter().map(|c| (distance(&c), c)).filter(|(d, _)| *d <= allowed).min().map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        assert_eq!(nearest("tset", ["test", "train"]), Some("test"));
        assert_eq!(nearest("colour", ["test", "train"]), None);
    }
}
