//! How much room text takes on a terminal, and text made to fit.

use unicode_width::UnicodeWidthChar as _;

use super::style::{Paint, Tone};

/// Asks for the picture of the character before it, which takes two columns where terminals know about that.
const AS_PICTURE: char = '\u{fe0f}';

/// How many columns a text takes at most. Terminals do not agree on characters that are joined into one, such as a family of
/// several people: some draw one, some all; the parts are counted, so that a line is never longer than this.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(wide).sum()
}

fn wide(c: char) -> usize {
    match c {
        AS_PICTURE => 1,
        c => c.width().unwrap_or(0),
    }
}

/// The text, with a mark at its end where it is cut to this many columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    match columns.checked_sub(1) {
        Some(room) => format!("{}…", beginning(text, room)),
        None => String::new(),
    }
}

/// As much of the beginning of a text as fits into this many columns.
fn beginning(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += wide(*c);
        taken > columns
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// The text cut or filled to exactly this many columns, from the left.
pub(crate) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let fill = columns - width(&text).min(columns);
    text + &" ".repeat(fill)
}

/// The text filled to this many columns in front of it.
pub(crate) fn right(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text))) + text
}

/// One line of a screen: pieces of text, each in its tone.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pieces: Vec<(Option<Tone>, String)>,
    width: usize,
}

impl Line {
    /// Adds a piece.
    pub(crate) fn push(&mut self, tone: Option<Tone>, text: impl Into<String>) {
        let text = text.into();
        self.width += width(&text);
        self.pieces.push((tone, text));
    }

    /// Whether it takes no more than this many columns.
    pub(crate) fn fits(&self, columns: usize) -> bool {
        self.width <= columns
    }

    /// The line, with a mark at its end where it is cut to this many columns.
    pub(crate) fn draw(&self, paint: Paint, columns: usize) -> String {
        let mut room = match self.fits(columns) {
            true => columns,
            false => columns.saturating_sub(1),
        };
        let mut drawn = String::new();
        for (tone, text) in self.pieces.iter().take_while(|_| columns > 0) {
            let piece = beginning(text, room);
            room -= width(piece);
            let is_whole = piece.len() == text.len();
            let piece = if is_whole { piece.to_owned() } else { format!("{piece}…") };
            match tone {
                Some(tone) => drawn.push_str(&paint.text(*tone, &piece)),
                None => drawn.push_str(&piece),
            }
            if !is_whole {
                break;
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(width("größer"), 6);
        assert_eq!(width("数字"), 4);
        assert_eq!(width("a\u{301}"), 1);
        assert_eq!(width("🚀"), 2);
        assert_eq!(width("❤\u{fe0f}"), 2);
        assert!(width("👨\u{200d}👩\u{200d}👧") >= 2);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer", 5), "größ…");
        assert_eq!(cut("数字数", 5), "数字…");
        assert_eq!(cut("数字数", 4), "数…");
        assert_eq!(cut("ab", 1), "…");
        assert_eq!(cut("ab", 0), "");
        assert_eq!(left("数字数", 4), "数… ");
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
    }

    #[test]
    fn a_line_is_cut_in_the_piece_where_it_ends() {
        let mut line = Line::default();
        line.push(None, "  train  ");
        line.push(Some(Tone::Faint), "epoch 3");
        line.push(None, "!");
        assert_eq!(line.draw(Paint::Plain, 17), "  train  epoch 3!");
        assert_eq!(line.draw(Paint::Plain, 16), "  train  epoch …");
        assert_eq!(line.draw(Paint::Plain, 12), "  train  ep…");
        assert_eq!(line.draw(Paint::Plain, 9), "  train …");
        assert_eq!(line.draw(Paint::Plain, 4), "  t…");
        assert_eq!(line.draw(Paint::Plain, 0), "");
        assert!(line.draw(Paint::Coloured, 12).contains("ep…\u{1b}[0m"));
    }

    #[test]
    fn nothing_is_wider_than_it_may_be() {
        let pieces = ["  train  ", "", "数字 🚀", "a\u{301}❤\u{fe0f}", " 👨\u{200d}👩\u{200d}👧 end"];
        let mut line = Line::default();
        pieces.iter().for_each(|piece| line.push(None, *piece));
        assert_eq!(line.draw(Paint::Plain, line.width), pieces.concat());
        for columns in 0..line.width {
            let drawn = line.draw(Paint::Plain, columns);
            assert!(width(&drawn) <= columns, "{columns}: {drawn:?}");
            assert!(drawn.ends_with('…') || columns == 0, "{columns}: {drawn:?}");
            for piece in pieces {
                assert!(width(&cut(piece, columns)) <= columns);
                assert_eq!(width(&left(piece, columns)), columns);
            }
        }
    }
}
