//! The nearest valid word for one that is not.

/// The most words that are listed when none is near.
const LISTED: usize = 12;

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (folded.len() > 2 && candidate.rsplit('.').next() == Some(word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Advice for an unknown word: the nearest one, or all of them if they are few.
pub(crate) fn advice<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    if candidates.is_empty() || candidates.len() > LISTED {
        return None;
    }
    Some(format!("the {what} here: {}", list(candidates)))
}

/// Words for a sentence: `a`, `b`, `c`.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// A valid name that is like an invalid one; none if nothing is left of it, or it is as it was.
pub(crate) fn plain(name: &str) -> Option<String> {
    if name.chars().any(|c| c.is_alphabetic() && !c.is_ascii()) {
        return None;
    }
    let lower = name.trim().to_lowercase();
    let dashed: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let trimmed = dashed.trim_matches(|c: char| c == '-' || c.is_ascii_digit());
    (!trimmed.is_empty() && trimmed != name && trimmed.len() <= 64).then(|| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_plain() {
        assert_eq!(plain("Churn Model").as_deref(), Some("churn-model"));
        assert_eq!(plain("2nd").as_deref(), Some("nd"));
        assert_eq!(plain("!"), None);
        assert_eq!(plain("größe"), None, "letters are not left out");
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let fields = ["inputs", "outputs", "retries", "train.alpha"];
        assert_eq!(nearest("input", fields), Some("inputs"));
        assert_eq!(nearest("otuputs", fields), Some("outputs"));
        assert_eq!(nearest("Retries", fields), Some("retries"));
        assert_eq!(nearest("alpha", fields), Some("train.alpha"));
        assert_eq!(nearest("docker", fields), None);
        assert_eq!(
            advice("docker", "fields", fields[..2].iter().copied()).unwrap(),
            "the fields here: `inputs`, `outputs`"
        );
    }
}
