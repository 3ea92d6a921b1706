//! The commands of a stage as the command of a step: what another step makes is named by its input, and what would be wrong
//! inside the quotes of a shell is taken out of them, or written out.
//!
//! A word of the command is *simple* if it has no quotes and nothing that a shell would change, or is one such word in
//! quotes, which are then left away. Only in simple words can there be references.

use std::collections::BTreeMap;

use super::text::{Reference, References, is_reference};

/// A path in the commands, and what to write in its place.
#[derive(Debug, Clone)]
pub(super) struct Replacement {
    /// As the commands write it.
    pub(super) from: String,
    /// What to write: letters for references, and text.
    pub(super) to: String,
}

/// The commands as far as they could be written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Written {
    /// With letters for references.
    pub(super) text: String,
    /// For each replacement, whether it was made wherever the path stands, and stands somewhere.
    pub(super) replaced: Vec<bool>,
    /// Whether a value of the matrix stands where no reference can.
    pub(super) stuck: bool,
    /// Words that could be paths.
    pub(super) words: Vec<String>,
}

/// A piece of a command.
enum Piece {
    /// Blanks and signs of the shell between words, comments.
    Between(String),
    /// A word without anything special, quotes around it left away.
    Simple(String),
    /// A word that stays as it is.
    Complex(String),
}

/// What is known of the words of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) replacements: &'a [Replacement],
    /// Paths as the command writes them: in these, parameters are written out, for a path is not to be set.
    pub(super) paths: &'a [String],
    pub(super) references: &'a References,
    pub(super) axes: &'a BTreeMap<String, String>,
}

/// Writes one command.
pub(super) fn write(command: &str, known: Known<'_>) -> Written {
    let Known { replacements, paths, references, axes } = known;
    let mut written = Written { replaced: vec![false; replacements.len()], ..Written::default() };
    let mut kept = vec![false; replacements.len()];
    for piece in pieces(command) {
        match piece {
            Piece::Between(text) => {
                // In comments and the like references mean nothing.
                written.text.push_str(&references.plain(&text, axes));
            }
            Piece::Simple(word) => {
                let plain = references.without_params(&word);
                let names_path = |path: &String| {
                    path_starts(&plain)
                        .any(|start| plain[start..].strip_prefix(path.as_str()).is_some_and(ends_path))
                };
                let word = if paths.iter().any(names_path) { plain } else { word };
                written.words.push(word.clone());
                written.text.push_str(&replace(&word, replacements, &mut written.replaced));
            }
            Piece::Complex(word) => {
                let is_axis = |letter| matches!(references.of(letter), Some(Reference::Axis(_)));
                written.stuck |= word.chars().any(is_axis);
                for (kept, replacement) in kept.iter_mut().zip(replacements) {
                    *kept |= word.contains(replacement.from.as_str());
                }
                written.text.push_str(&inlined(&word, references, axes));
            }
        }
    }
    written.replaced.iter_mut().zip(&kept).for_each(|(replaced, kept)| *replaced &= !kept);
    written
}

/// A word with the paths in it replaced, the longest first.
fn replace(word: &str, replacements: &[Replacement], replaced: &mut [bool]) -> String {
    let mut order: Vec<usize> = (0..replacements.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(replacements[*place].from.len()));
    let mut text = String::new();
    let mut rest = word;
    'word: while !rest.is_empty() {
        if starts_path(text.chars().next_back()) {
            let bare = rest.trim_start_matches("./");
            for place in &order {
                let Replacement { from, to } = &replacements[*place];
                let after = bare.strip_prefix(from.as_str()).filter(|after| ends_path(after));
                if let Some(after) = after {
                    text.push_str(to);
                    replaced[*place] = true;
                    rest = after;
                    continue 'word;
                }
            }
        }
        let letter = rest.chars().next().unwrap_or_default();
        text.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    text
}

/// The places in a word where a path can start.
fn path_starts(word: &str) -> impl Iterator<Item = usize> {
    let after =
        |(place, letter): (usize, char)| starts_path(Some(letter)).then_some(place + letter.len_utf8());
    std::iter::once(0).chain(word.char_indices().filter_map(after))
}

fn starts_path(before: Option<char>) -> bool {
    before.is_none_or(|before| "=:,@+".contains(before))
}

fn ends_path(after: &str) -> bool {
    after.is_empty() || after.starts_with(['/', ',', ':', '@', '='])
}

/// A word with its references written out as text; inside quotes, so that the quotes still hold.
fn inlined(word: &str, references: &References, axes: &BTreeMap<String, String>) -> String {
    let (mut single, mut double) = (false, false);
    let mut text = String::new();
    for letter in word.chars() {
        match letter {
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            letter if is_reference(letter) => {
                let value = references.plain(&letter.to_string(), axes);
                text.push_str(&match (single, double) {
                    (true, _) => value.replace('\'', "'\\''"),
                    (_, true) => escaped(&value),
                    _ => super::text::quoted(&value),
                });
                continue;
            }
            _ => {}
        }
        text.push(letter);
    }
    text
}

fn escaped(value: &str) -> String {
    value.chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"\"$`\\".contains(c)))).collect()
}

/// The command in pieces. With backticks or a here-document, where quotes follow other rules, all of it is one complex piece.
fn pieces(command: &str) -> Vec<Piece> {
    if command.contains('`') || command.contains("<<") {
        return vec![Piece::Complex(command.to_owned())];
    }
    let letters: Vec<char> = command.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let start = at;
        if letters[at] == '#' {
            at += letters[at..].iter().take_while(|c| **c != '\n').count();
            pieces.push(Piece::Between(letters[start..at].iter().collect()));
        } else if is_between(&letters, at) {
            while at < letters.len() && is_between(&letters, at) {
                at += if letters[at] == '\\' { 2 } else { 1 };
            }
            pieces.push(Piece::Between(letters[start..at].iter().collect()));
        } else {
            at = end_of_word(&letters, at);
            pieces.push(word(letters[start..at].iter().collect()));
        }
    }
    pieces
}

/// Whether no word is here: a blank, a sign of the shell, or a line that goes on.
fn is_between(letters: &[char], at: usize) -> bool {
    let continued = letters[at] == '\\' && letters.get(at + 1) == Some(&'\n');
    continued || letters[at].is_whitespace() || ";&|()<>".contains(letters[at])
}

fn end_of_word(letters: &[char], mut at: usize) -> usize {
    let mut quote = None;
    while at < letters.len() {
        match (quote, letters[at]) {
            (None, _) if is_between(letters, at) => break,
            (None, sign @ ('\'' | '"')) => quote = Some(sign),
            (Some(open), sign) if open == sign => quote = None,
            (None | Some('"'), '\\') => at += 1,
            _ => {}
        }
        at += 1;
    }
    at.min(letters.len())
}

fn word(word: String) -> Piece {
    let plain = |c: char| !c.is_whitespace() && !"'\"\\$`[]{}~!;&|()<>#".contains(c);
    let inner = ['"', '\''].iter().find_map(|sign| word.strip_prefix(*sign)?.strip_suffix(*sign));
    match inner {
        Some(inner) if !inner.is_empty() && inner.chars().all(plain) => Piece::Simple(inner.to_owned()),
        _ if word.chars().all(plain) => Piece::Simple(word),
        _ => Piece::Complex(word),
    }
}

/// Variables of the environment that a command reads and does not set itself.
pub(super) fn variables(command: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut single = false;
    for (at, letter) in command.char_indices() {
        single ^= letter == '\'';
        if letter != '$' || single || command[..at].ends_with('\\') {
            continue;
        }
        let rest = command[at + 1..].trim_start_matches('{');
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let set = [format!("{name}="), format!("for {name} "), format!("read {name}")];
        if starts
            && !GIVEN.contains(&name.as_str())
            && !set.iter().any(|set| command.contains(set.as_str()))
            && !found.contains(&name)
        {
            found.push(name);
        }
    }
    found
}

/// Variables that every step has, or the shell sets.
const GIVEN: [&str; 9] = ["HOME", "PATH", "LANG", "TZ", "TMPDIR", "PWD", "OLDPWD", "IFS", "SHELL"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(command: &str, paths: &[(&str, &str)]) -> (String, Vec<bool>) {
        let replacements: Vec<Replacement> =
            paths.iter().map(|(from, to)| Replacement { from: (*from).into(), to: (*to).into() }).collect();
        let (references, axes) = (References::default(), BTreeMap::new());
        let known = Known { replacements: &replacements, paths: &[], references: &references, axes: &axes };
        let written = write(command, known);
        (written.text, written.replaced)
    }

    #[test]
    fn paths_are_replaced_where_they_stand_as_words() {
        let paths = [("data/prepared", "IN"), ("data/prepared/x.csv", "X")];
        let (text, replaced) = of(
            "python a.py data/prepared --d=./data/prepared/b 'data/prepared/x.csv' data/prepared2",
            &paths,
        );
        assert_eq!(text, "python a.py IN --d=IN/b X data/prepared2");
        assert_eq!(replaced, [true, true]);
        let (text, replaced) = of("cat a/data/prepared my-data/prepared data/prepared.csv", &paths);
        assert_eq!((text.contains("IN"), replaced), (false, vec![false, false]));
    }

    #[test]
    fn a_path_inside_of_quotes_is_left_and_told() {
        for command in [
            "python -c \"open('data/prepared')\" data/prepared",
            "cat `ls data/prepared`",
            "cat <<E\ndata/prepared\nE",
            "cat \"data/prepared/my file\"",
        ] {
            assert_eq!(of(command, &[("data/prepared", "IN")]).1, [false], "{command}");
        }
        let (text, replaced) = of(
            "a \\\n  data/prepared # not data/prepared\n(cat<data/prepared)|b",
            &[("data/prepared", "IN")],
        );
        assert_eq!((text.as_str(), replaced), ("a \\\n  IN # not data/prepared\n(cat<IN)|b", vec![true]));
    }

    #[test]
    fn references_in_quotes_are_written_out() {
        let mut references = References::default();
        let name = references.letter(Reference::Param("name".into(), json!("it's $5"))).unwrap();
        let axis = references.letter(Reference::Axis("item".into())).unwrap();
        let axes = BTreeMap::from([("item".to_owned(), "us".to_owned())]);
        let known = Known { replacements: &[], paths: &[], references: &references, axes: &axes };
        let written = write(&format!("x \"{name}\" 'a {name}' \"a {name}\" {name}"), known);
        assert_eq!(
            references.written(&written.text),
            "x ${params.name} 'a it'\\''s $5' \"a it's \\$5\" ${params.name}"
        );
        assert!(!written.stuck);
        assert!(!write(&format!("x \"{axis}.csv\""), known).stuck);
        assert!(write(&format!("x \"a {axis}\""), known).stuck);
    }

    #[test]
    fn variables_of_the_environment_are_found() {
        assert_eq!(
            variables("X=1; echo $X $HOME ${TOKEN} \"$USER_ID\" '$NO' \\$NO $1"),
            ["TOKEN", "USER_ID"]
        );
    }
}
