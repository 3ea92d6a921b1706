//! Values as people read them: durations, sizes, times, numbers, and text that came from elsewhere made harmless.

use std::collections::HashMap;

use jiff::Timestamp;
pub(crate) use tidemill_engine::words::duration;
use tidemill_engine::words::two;

/// A duration that still grows, by the second: `12 s`, `3 min 20 s`.
pub(crate) fn clock(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => duration(ms),
    }
}

/// A duration that nobody knows exactly: `20 s`, `3 min`, `2 h 10 min`. None if it is next to nothing.
pub(crate) fn about(ms: u64) -> Option<String> {
    let round = |step: u64| ms.saturating_add(step / 2) / step;
    Some(match ms {
        0..1000 => return None,
        1000..57_500 => format!("{} s", ms.div_ceil(5000) * 5),
        57_500..3_570_000 => format!("{} min", round(60_000)),
        3_570_000..86_100_000 => two(round(600_000) / 6, "h", round(600_000) % 6 * 10, "min"),
        _ => two(round(3_600_000) / 24, "d", round(3_600_000) % 24, "h"),
    })
}

/// Bytes, short: `23.1 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

/// A time to the minute: `2026-11-20 23:55 UTC`.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How many significant digits a number is shown with.
const DIGITS: i32 = 6;

/// A number with six significant digits and no trailing zeros.
pub(crate) fn number(value: f64) -> String {
    significant(value, DIGITS)
}

/// Numbers that are to be compared: with as many digits as it takes to tell different ones apart.
pub(crate) fn numbers_apart(values: &[f64]) -> Vec<String> {
    let shown = |digits| -> Vec<String> { values.iter().map(|value| significant(*value, digits)).collect() };
    let tells_apart = |texts: &Vec<String>| {
        let mut meant: HashMap<&str, f64> = HashMap::new();
        values.iter().zip(texts).all(|(value, text)| *meant.entry(text).or_insert(*value) == *value)
    };
    [DIGITS, 9, 12].into_iter().map(shown).find(tells_apart).unwrap_or_else(|| shown(17))
}

/// A number with this many significant digits and no trailing zeros.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..15.0).contains(&magnitude) {
        return format!("{value:.*e}", usize::try_from(digits - 1).unwrap_or(0));
    }
    // The magnitude lies between -5 and 15, so neither cast loses anything.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "-5 <= magnitude < 15")]
    let decimals = (digits - 1 - magnitude as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A count with its noun: `1 step`, `8 steps`.
pub(crate) fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A line cut to this many characters, with a mark where it was.
pub(crate) fn clip(line: &str, width: usize) -> String {
    match line.char_indices().nth(width) {
        None => line.to_owned(),
        Some(_) => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// One line of text that came from a step, a file name or a record, without anything that would steer a terminal: escape
/// sequences and direction marks are removed, and of a line that was overwritten (`\r`) the last version is left.
pub(crate) fn clean(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let text = text.rsplit('\r').next().unwrap_or(text);
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\t' | '\n' => cleaned.push(' '),
            c if c.is_control() || is_direction_mark(c) => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// Skips the rest of an escape sequence: `[` … to its final byte, `]` and the like to their terminator, else one character.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => {
            rest.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next() {
                if c == '\u{7}' || (c == '\u{1b}' && rest.next() == Some('\\')) {
                    break;
                }
            }
        }
        _ => {}
    }
}

/// Marks that change the direction of what follows, and so can make a line look like another.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Paragraphs, each filled anew to lines of at most this width.
pub(crate) fn filled(text: &str, width: usize) -> String {
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let filled: Vec<String> = paragraphs.map(|paragraph| textwrap::fill(&paragraph, width.max(20))).collect();
    filled.join("\n\n")
}

/// A text of several lines with control characters replaced one byte for one, so that places in it stay what they are.
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t' | '\r') || !(c.is_control() || is_direction_mark(c)) {
            harmless.push(c);
        } else {
            (0..c.len_utf8()).for_each(|_| harmless.push('?'));
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases = [
            (0, "0 ms"),
            (420, "420 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (12_340, "12.3 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn durations_that_go_on_are_rounded() {
        assert_eq!(clock(0), "0 s");
        assert_eq!(clock(12_900), "12 s");
        assert_eq!(clock(200_000), "3 min 20 s");
        let cases = [
            (1000, "5 s"),
            (12_000, "15 s"),
            (57_000, "60 s"),
            (57_500, "1 min"),
            (170_000, "3 min"),
            (3_569_000, "59 min"),
            (3_570_000, "1 h"),
            (7_700_000, "2 h 10 min"),
            (86_099_000, "23 h 50 min"),
            (86_100_000, "1 d"),
            (273_600_000, "3 d 4 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(about(ms).as_deref(), Some(text), "{ms}");
        }
        assert_eq!(about(999), None);
    }

    #[test]
    fn compared_numbers_differ_if_they_do() {
        assert_eq!(numbers_apart(&[56.161_898_9, 56.161_901_2]), ["56.1618989", "56.1619012"]);
        assert_eq!(numbers_apart(&[1.5, 1.5, 2.0]), ["1.5", "1.5", "2"]);
        assert_eq!(numbers_apart(&[0.1, 0.1 + f64::EPSILON]).len(), 2);
    }

    #[test]
    fn numbers_keep_what_tells() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (53.856_431_2, "53.8564"),
            (0.456_789_012, "0.456789"),
            (0.000_012_345_678, "0.0000123457"),
            (1.5e-9, "1.50000e-9"),
            (442.0, "442"),
            (1_234_567.9, "1234568"),
            (-2.5, "-2.5"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(23_082), "22.5 KiB");
        let at: Timestamp = "2026-11-20T23:55:01Z".parse().unwrap();
        assert_eq!(time(at), "2026-11-20 23:55 UTC");
        assert_eq!(count(1, "step"), "1 step");
        assert_eq!(count(0, "step"), "0 steps");
    }

    #[test]
    fn a_line_is_cut_where_it_is_too_long() {
        assert_eq!(clip("größer", 6), "größer");
        assert_eq!(clip("größer", 5), "größ…");
        assert_eq!(clip("ab", 1), "…");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(clean("\u{1b}]0;title\u{7}after"), "after");
        assert_eq!(clean("\u{1b}]8;;http://x\u{1b}\\link"), "link");
        assert_eq!(clean("10%\r50%\r100%\r\n"), "100%");
        assert_eq!(clean("a\tb\u{8}\u{9b}c\u{0}"), "a bc");
        assert_eq!(clean("\u{202e}txt.exe"), "txt.exe");
        assert_eq!(clean("ends in the middle \u{1b}["), "ends in the middle ");
        assert_eq!(clean("größer 数"), "größer 数");
    }

    #[test]
    fn places_stay_what_they_are() {
        let text = "a\u{1b}[2J\nb\u{9b}c\u{202e}d";
        assert_eq!(harmless(text).len(), text.len());
        assert!(!harmless(text).contains('\u{1b}'));
    }
}
