//! How much room text takes, on a page and in a terminal, and what is left of it when there is less.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The width of text in the fonts of a desktop, generous: in the widest of them it still fits.
pub(super) fn width(text: &str, size: f64) -> f64 {
    size * text.chars().map(em).sum::<f64>()
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '→' | '=' | '+' | '×' => 1.0,
        c if c.is_ascii_uppercase() => 0.75,
        c if c.is_ascii() => 0.64,
        c => match c.width() {
            None | Some(0) => 0.0,
            Some(1) => 0.8,
            Some(_) => 1.1,
        },
    }
}

/// As much of a text as fits on a page; what is cut ends with an ellipsis.
pub(super) fn fit(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut rest = most - size * em('…');
    let kept = text.chars().take_while(|c| {
        rest -= size * em(*c);
        rest >= 0.0
    });
    let kept: String = kept.collect();
    format!("{}…", kept.trim_end())
}

/// The columns of a terminal that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// As much of a text as fits in so many columns; what is cut ends with an ellipsis.
pub(super) fn fit_columns(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= most
    });
    let kept: String = kept.collect();
    if most == 0 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// One line of text without anything that would steer a terminal, turn the direction of what follows, or be no XML.
pub(super) fn plain(text: &str) -> String {
    let is_direction =
        |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let known = |c: char| match c {
        '\n' | '\t' | '\r' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() || is_direction(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => None,
        c => Some(c),
    };
    text.chars().filter_map(known).collect()
}

/// Text between the tags of XML or HTML, or between the quotes of an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_says_so() {
        let long = "a rather long description of what this step does";
        let cut = fit(long, 12.0, 100.0);
        assert!(width(&cut, 12.0) <= 100.0 && cut.ends_with('…'), "{cut}");
        assert_eq!(fit("short", 12.0, 100.0), "short");
        assert_eq!(fit_columns("größe 数据 von allem", 9), "größe 数…");
        assert_eq!(fit_columns("größe", 5), "größe");
        assert_eq!(fit_columns("größe", 0), "");
    }

    #[test]
    fn nothing_steers_a_reader() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d\u{0}"), "a[31mb cd");
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
