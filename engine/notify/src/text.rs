//! Texts of others made fit to be shown: without control characters, not too long, and without what is secret.

/// One line without control characters, of at most so many characters.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let visible: String = text.chars().map(|c| if hidden(c) { ' ' } else { c }).collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        None => line,
        Some(_) => {
            let mut short: String = line.chars().take(limit.saturating_sub(1)).collect();
            short.push('…');
            short
        }
    }
}

/// Lines without other control characters than their ends and tabulators.
pub(crate) fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|&c| matches!(c, '\n' | '\t') || !hidden(c)).collect()
}

/// A text in which these others are not to be read any more. The short ones are no secrets, and would tear holes anywhere.
pub(crate) fn without(text: &str, secrets: &[&str]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().copied().filter(|secret| secret.len() >= 6).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}

/// Whether a character only steers how others are shown: controls, ends of lines and paragraphs, and changes of direction.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(one_line("a\r\nBcc: x@y.z\u{0}\u{202e}  b\u{85}c", 100), "a Bcc: x@y.z b c");
        assert_eq!(one_line("  \n ", 10), "");
        assert_eq!(one_line("äöüßé", 5), "äöüßé");
        assert_eq!(one_line("äöüßéè", 5), "äöüß…");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\r\nb\rc\n\td\u{1b}[31me\u{7}"), "a\nb\nc\n\td[31me");
    }

    #[test]
    fn secrets_are_left_out_longest_first() {
        let text = "no hook T00/B00/XXXX at /services/T00/B00/XXXX, a";
        let hidden = without(text, &["T00/B00/XXXX", "/services/T00/B00/XXXX", "a"]);
        assert_eq!(hidden, "no hook … at …, a");
    }
}
