//! The words of two commands, compared.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::change::WordChange;

/// The words of a shell command; as it stands between blanks if its quotes do not match.
pub(super) fn split(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect())
}

/// The words that are not the same, in order, each with its neighbours.
pub(super) fn compare(old: &[String], new: &[String]) -> Vec<WordChange> {
    let mut changes = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (from, to) = (op.old_range(), op.new_range());
        let before = |at: usize| at.checked_sub(1).map(|place| new[place].clone());
        let after = |at: usize| new.get(at).cloned();
        if from.len() == to.len() {
            for (at, (was, is)) in to.clone().zip(old[from].iter().zip(&new[to])) {
                let (old, new) = (Some(was.clone()), Some(is.clone()));
                changes.push(WordChange { before: before(at), old, new, after: after(at + 1) });
            }
        } else {
            let joined = |words: &[String]| Some(words.join(" ")).filter(|_| !words.is_empty());
            changes.push(WordChange {
                before: before(to.start),
                old: joined(&old[from]),
                after: after(to.end),
                new: joined(&new[to]),
            });
        }
    }
    changes
}

/// Two texts line by line, as a unified diff without a heading.
pub(super) fn lines(old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new).unified_diff().context_radius(2).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(old: &str, new: &str) -> Vec<String> {
        let shown = |word: Option<String>| word.unwrap_or("-".to_owned());
        compare(&split(old), &split(new))
            .into_iter()
            .map(|word| {
                let [before, old, new, after] = [word.before, word.old, word.new, word.after].map(shown);
                format!("{before} ({old} → {new}) {after}")
            })
            .collect()
    }

    #[test]
    fn the_word_is_found() {
        assert_eq!(
            changes("train --alpha 0.5 --out m", "train --alpha 0.7 --out m"),
            ["--alpha (0.5 → 0.7) --out"]
        );
        assert_eq!(changes("a b", "a 'b c' d"), ["a (b → b c d) -"]);
        assert_eq!(changes("a b c", "a c"), ["a (b → -) c"]);
        assert_eq!(changes("a c", "a b c"), ["a (- → b) c"]);
        assert_eq!(changes("a 1 2 z", "a 3 4 z"), ["a (1 → 3) 4", "3 (2 → 4) z"]);
    }

    #[test]
    fn spacing_and_quoting_are_no_words() {
        assert!(changes("a  'b'", "a b").is_empty());
        assert_eq!(changes("a 'b", "a 'c"), ["a ('b → 'c) -"], "quotes that do not match");
    }
}
