//! Commands for `sh -euc`: how values are quoted, and where in a command they may stand.
//!
//! A value is quoted as one word. That is only safe where the shell reads plain words: inside quotes, comments, here-documents
//! or backticks the quotes would be read otherwise, so a reference there is a mistake. Where the scanner cannot be sure, it says no.

use crate::Value;

use super::value;

/// Words that the shell reads as its own at the start of a command.
const KEYWORDS: &[&str] = &[
    "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in",
    "function", "select", "time", "coproc",
];

/// A value as words for the shell; none if it holds a NUL byte, which no argument can.
pub(crate) fn quote(value: &Value) -> Option<String> {
    match value {
        Value::List(items) => {
            let words: Option<Vec<String>> =
                items.iter().map(|item| quote_text(&value::text(item))).collect();
            words.map(|words| words.join(" "))
        }
        plain => quote_text(&value::text(plain)),
    }
}

fn quote_text(text: &str) -> Option<String> {
    let quoted = shlex::try_quote(text).ok()?;
    // Bare digits before `<` or `>` would name a file descriptor, bare keywords would begin a statement.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = quoted == text && (KEYWORDS.contains(&text) || digits);
    Some(if bare { format!("'{text}'") } else { quoted.into_owned() })
}

/// Where a reference stands that must not stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Quotes,
    Comment,
    HereDocument,
    Backticks,
    Backslash,
    /// After a `case` inside `$(…)` or quotes inside `${…}`, which shells read differently.
    Unclear,
}

impl Place {
    /// What is wrong, and what to do.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Quotes => ("inside quotes", "leave the quotes away, Tidemill quotes values"),
            Self::Comment => ("in a comment", "leave it away; the shell would not read it anyway"),
            Self::HereDocument => ("in a here-document", "pass the value as an argument or through `env`"),
            Self::Backticks => ("inside backticks", "write `$(…)` instead of backticks"),
            Self::Backslash => ("after a backslash", "leave the backslash away, Tidemill quotes values"),
            Self::Unclear => {
                ("where shells differ in what is quoted", "put such a command into a script of its own")
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    /// Inside `$(…)` or `(…)`.
    Nested,
    Double,
    Backticks,
    /// Inside `${…}` of the shell.
    Braces,
}

/// Reads a command piece by piece and knows what the shell would make of the next word.
#[derive(Debug)]
pub(crate) struct Scanner {
    modes: Vec<Mode>,
    single: bool,
    comment: bool,
    escaped: bool,
    word: String,
    /// Whether the next word ends a here-document, and which ones are announced for the next line.
    marker: Option<String>,
    markers: Vec<String>,
    body: Option<String>,
    unclear: bool,
    last: char,
}

impl Scanner {
    /// At the start of a command.
    pub(crate) fn new() -> Self {
        Self {
            modes: vec![Mode::Plain],
            single: false,
            comment: false,
            escaped: false,
            word: String::new(),
            marker: None,
            markers: Vec::new(),
            body: None,
            unclear: false,
            last: '\n',
        }
    }

    /// Whether a reference may not stand here, and why.
    pub(crate) fn reference(&mut self) -> Option<Place> {
        let in_double = match self.mode() {
            Mode::Double => true,
            Mode::Braces => self.modes.contains(&Mode::Double),
            _ => false,
        };
        let place = if self.body.is_some() || self.marker.is_some() {
            Some(Place::HereDocument)
        } else if self.comment {
            Some(Place::Comment)
        } else if self.single || in_double {
            Some(Place::Quotes)
        } else if self.modes.contains(&Mode::Backticks) {
            Some(Place::Backticks)
        } else if self.escaped {
            Some(Place::Backslash)
        } else {
            self.unclear.then_some(Place::Unclear)
        };
        self.last = 'x';
        self.word.push('x');
        place
    }

    /// Goes on over literal text.
    pub(crate) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.step(c);
            self.last = c;
        }
    }

    fn mode(&self) -> Mode {
        self.modes.last().copied().unwrap_or(Mode::Plain)
    }

    fn step(&mut self, c: char) {
        if let Some(line) = &mut self.body {
            if c == '\n' {
                let ends = self.markers.first().is_some_and(|marker| line.trim_start_matches('\t') == marker);
                line.clear();
                if ends {
                    self.markers.remove(0);
                    self.body = (!self.markers.is_empty()).then(String::new);
                }
            } else {
                line.push(c);
            }
        } else if self.comment {
            self.comment = c != '\n';
            self.newline(c);
        } else if self.single {
            self.single = c != '\'';
        } else if self.escaped {
            self.escaped = false;
            if let Some(marker) = &mut self.marker {
                marker.push(c);
            }
        } else if c == '\\' {
            self.escaped = true;
        } else if self.marker.is_some() {
            self.read_marker(c);
        } else if self.mode() == Mode::Double {
            self.in_double(c);
        } else {
            self.in_plain(c);
        }
    }

    fn in_double(&mut self, c: char) {
        match c {
            '"' => self.leave(),
            '`' => self.toggle_backticks(),
            '(' if self.last == '$' => self.modes.push(Mode::Nested),
            '{' if self.last == '$' => self.modes.push(Mode::Braces),
            _ => {}
        }
    }

    fn in_plain(&mut self, c: char) {
        let word = c.is_alphanumeric() || c == '_';
        if !word {
            let nested = self.modes.iter().any(|mode| matches!(mode, Mode::Nested | Mode::Backticks));
            self.unclear |= nested && self.word == "case";
            self.word.clear();
        } else {
            self.word.push(c);
        }
        // Quotes in `"${x:-'…'}"` and after `$` mean something else in another shell.
        let odd = self.mode() == Mode::Braces && self.modes.contains(&Mode::Double);
        self.unclear |= matches!(c, '\'' | '"') && (odd || self.last == '$');
        match c {
            '\'' => self.single = true,
            '"' => self.modes.push(Mode::Double),
            '`' => self.toggle_backticks(),
            '{' if self.last == '$' => self.modes.push(Mode::Braces),
            '}' if self.mode() == Mode::Braces => self.leave(),
            '(' => self.modes.push(Mode::Nested),
            ')' if self.mode() == Mode::Nested => self.leave(),
            '#' if self.mode() != Mode::Braces && begins_word(self.last) => self.comment = true,
            '<' if self.last == '<' && self.mode() != Mode::Braces => self.marker = Some(String::new()),
            _ => self.newline(c),
        }
    }

    fn leave(&mut self) {
        if self.modes.len() > 1 {
            self.modes.pop();
        }
    }

    fn toggle_backticks(&mut self) {
        match self.modes.iter().rposition(|mode| *mode == Mode::Backticks) {
            Some(opened) => self.modes.truncate(opened),
            None => self.modes.push(Mode::Backticks),
        }
    }

    fn newline(&mut self, c: char) {
        if c == '\n' && !self.markers.is_empty() {
            self.body = Some(String::new());
        }
    }

    /// The word after `<<`; quotes around it are not part of it.
    fn read_marker(&mut self, c: char) {
        let Some(marker) = &mut self.marker else { return };
        match c {
            '"' | '\'' => {}
            '-' | ' ' | '\t' if marker.is_empty() => {}
            c if c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                let marker = std::mem::take(marker);
                self.marker = None;
                self.markers.push(marker);
                self.in_plain(c);
            }
            c => marker.push(c),
        }
    }
}

fn begins_word(before: char) -> bool {
    before.is_whitespace() || matches!(before, ';' | '&' | '|' | '(' | ')' | '`')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is said of the reference `@` in a command.
    fn place(command: &str) -> Option<Place> {
        let (before, _) = command.split_once('@').unwrap();
        let mut scanner = Scanner::new();
        scanner.text(before);
        scanner.reference()
    }

    #[test]
    fn references_may_stand_where_words_stand() {
        for fine in [
            "echo @",
            "echo 'a' \"b\" @",
            "echo --x=@",
            "echo \"it's\" @",
            "echo \"$(cat @)\"",
            "echo $(echo \"a\" @)",
            "# it's a comment\necho @",
            "echo a#'b' @",
            "cat <<EOF\nit's\nEOF\necho @",
            "(cd x && echo @)",
            "echo \\\\ @",
            "echo ${X:-@}",
        ] {
            assert_eq!(place(fine), None, "{fine}");
        }
    }

    #[test]
    fn references_may_not_stand_where_quotes_mean_something_else() {
        for (wrong, why) in [
            ("echo '@'", Place::Quotes),
            ("echo \"@\"", Place::Quotes),
            ("echo \"a $(echo '@')\"", Place::Quotes),
            ("echo \"${X:-@}\"", Place::Quotes),
            ("# don't\necho 'a @'", Place::Quotes),
            ("echo x # @", Place::Comment),
            ("cat <<EOF\n@\nEOF", Place::HereDocument),
            ("cat <<-'END' >x\nEOF\n@", Place::HereDocument),
            ("echo `cat @`", Place::Backticks),
            ("echo `cat \"$(echo @)\"`", Place::Backticks),
            ("echo \\@", Place::Backslash),
            ("echo \"${X:-'}\" 'a}\" @ '", Place::Unclear),
            ("echo $'a' @", Place::Unclear),
            ("echo \"$(case a in a) echo \"b @\";; esac)\"", Place::Unclear),
        ] {
            assert_eq!(place(wrong), Some(why), "{wrong}");
        }
    }

    #[test]
    fn words_with_a_meaning_are_quoted_too() {
        assert_eq!(quote(&Value::Int(2)).unwrap(), "'2'");
        assert_eq!(quote(&Value::text("if")).unwrap(), "'if'");
        assert_eq!(quote(&Value::Float(0.5)).unwrap(), "0.5");
        assert_eq!(quote(&Value::List(vec![Value::text("a b"), Value::text("")])).unwrap(), "'a b' ''");
        assert_eq!(quote(&Value::text("a\0b")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_shell_gives_back_what_was_quoted(text in "[^\0]{0,40}|[$`'\"\\\\!^{}~#*?\n a-c]{0,20}") {
            let quoted = quote(&Value::text(text.as_str())).unwrap();
            let output = std::process::Command::new("sh")
                .args(["-euc", &format!("printf %s {quoted}")])
                .output()
                .unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
