//! The Pythons that a command starts, as far as that can be told from its text.

use super::{Action, Piece};

/// Words of a shell that a command may follow.
const BEFORE: [&str; 12] =
    ["if", "then", "elif", "else", "while", "until", "do", "!", "{", "time", "exec", "command"];

/// The programs that a step starts, as the user wrote them; those that are not plain are left out. The first one is `None` if
/// the command begins with something else.
fn programs(action: &Action) -> (Option<String>, Vec<String>) {
    match action {
        Action::Shell(pieces) => {
            let literal = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                // A word with a reference in it is not plain.
                _ => "$".to_owned(),
            };
            let mut words = beginnings(&pieces.iter().map(literal).collect::<String>());
            let plain =
                |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || "._-+/".contains(c));
            let first = words.first().filter(|word| plain(word)).cloned();
            words.retain(plain);
            (first, words)
        }
        Action::Exec(words) => match words.first().map(Vec::as_slice) {
            Some([Piece::Text(text)]) => (Some(text.clone()), Vec::new()),
            _ => (None, Vec::new()),
        },
        Action::Builtin { .. } => (None, Vec::new()),
    }
}

/// The Python that a command begins with, and those that it starts anywhere, as the user wrote them.
pub(super) fn pythons(action: &Action) -> (Option<String>, Vec<String>) {
    let names_python = match action {
        Action::Shell(pieces) => pieces.iter().any(|piece| match piece {
            // Quotes may stand between its letters.
            Piece::Text(text) => text.contains('p') && text.contains('y'),
            _ => false,
        }),
        Action::Exec(_) => true,
        Action::Builtin { .. } => false,
    };
    if !names_python {
        return (None, Vec::new());
    }
    let (first, mut all) = programs(action);
    all.retain(|program| is_python(program));
    (first.filter(|first| is_python(first)), all)
}

fn is_python(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// The first word of each simple command of a shell.
fn beginnings(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut begins = true;
    for letter in command.replace("\\\n", " ").chars().chain(['\n']) {
        match (quote, letter) {
            (Some(open), sign) if open == sign => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.push(letter);
            }
            (None, letter) if letter.is_whitespace() || ";&|()".contains(letter) => {
                let sets_variable = word
                    .split_once('=')
                    .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
                let transparent = sets_variable || BEFORE.contains(&word.as_str());
                if begins && !word.is_empty() && !transparent {
                    words.push(std::mem::take(&mut word));
                    begins = false;
                }
                word.clear();
                begins |= letter == '\n' || ";&|()".contains(letter);
            }
            (None, letter) => word.push(letter),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::beginnings;

    #[test]
    fn the_first_word_of_each_command_is_found() {
        assert_eq!(beginnings("python train.py"), ["python"]);
        assert_eq!(
            beginnings("mkdir -p a && cd a\nA=1 B='x y' python3 b.py; (c | d)"),
            ["mkdir", "cd", "python3", "c", "d"]
        );
        assert_eq!(beginnings("if test -e x; then exec python3 a.py; fi"), ["test", "python3", "fi"]);
        assert_eq!(beginnings("echo 'a; python b' && \"x\" y"), ["echo", "\""]);
        assert_eq!(beginnings("python \\\n  train.py"), ["python"]);
    }
}
