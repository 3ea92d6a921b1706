//! A block of lines that stays at the bottom of a terminal while other lines scroll away above it.
//!
//! Between two frames the cursor waits at the *first* column of the *first* line of the block, and a frame only goes down
//! from there. So nothing needs to be known of what the terminal did in between: where a narrower window wraps the lines of
//! the block, or a lower one pushes lines out, the cursor goes along with the text that it stands on, and all from there on
//! is the block's. (Counting lines upwards from the end of the block, as progress bars do, eats finished lines or leaves
//! garbage after every change of the width.) The cursor is never hidden, so it need not be brought back.

use std::io;

/// Empties the screen from the cursor on.
const ERASE_BELOW: &str = "\u{1b}[J";
/// Empties the screen from the line of the cursor on. From the second column, since tmux takes an empty screen for a wish to keep
/// in its history what was on it.
const ERASE_BLOCK: &str = "\r\u{1b}[2K \u{1b}[J\r";
/// Empties the line from the cursor on.
const ERASE_REST: &str = "\u{1b}[K";
/// What is written beyond the last column stays there, or goes on in the next line.
const CUT: &str = "\u{1b}[?7l";
const WRAP: &str = "\u{1b}[?7h";

/// The size of a terminal that does not tell its own.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Its width.
    pub(crate) columns: usize,
    /// Its height.
    pub(crate) rows: usize,
}

impl Size {
    /// The size of the terminal at standard error, now.
    pub(crate) fn now() -> Self {
        match terminal_size::terminal_size_of(io::stderr()) {
            Some((columns, rows)) if columns.0 > 0 && rows.0 > 0 => {
                Self { columns: columns.0.into(), rows: rows.0.into() }
            }
            Some(_) | None => USUAL,
        }
    }
}

/// What stood there before a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Block,
    /// A block that a change of size may have wrapped: its lines must go, not just their text, or the terminal remembers
    /// that they belong together and joins them when it becomes wider again.
    Ruin,
}

/// What is on the screen, and what waits to be written above it.
#[derive(Debug)]
pub(crate) struct Screen {
    block: Vec<String>,
    size: Option<Size>,
    above: String,
}

impl Screen {
    /// A screen without a block.
    pub(crate) const fn new() -> Self {
        Self { block: Vec::new(), size: None, above: String::new() }
    }

    /// Keeps whole lines for the next frame, which writes them above the block.
    pub(crate) fn queue(&mut self, lines: &str) {
        self.above.push_str(lines);
    }

    /// What is to be written so that text of others, and all that was kept, stands above the block.
    pub(crate) fn tell(&mut self, text: &str) -> String {
        self.above.push_str(text);
        let block = std::mem::take(&mut self.block);
        let before = if block.is_empty() { Before::Nothing } else { Before::Block };
        if before == Before::Block && !self.above.ends_with('\n') {
            self.above.push('\n');
        }
        self.draw(block, before)
    }

    /// What is to be written so that a terminal of this size shows this block. Nothing, if it does.
    pub(crate) fn frame(&mut self, block: Vec<String>, size: Size) -> String {
        let resized = self.size.replace(size).is_some_and(|before| before != size);
        if block == self.block && self.above.is_empty() && !resized {
            return String::new();
        }
        let before = match (self.block.is_empty(), resized) {
            (true, _) => Before::Nothing,
            (false, true) => Before::Ruin,
            (false, false) => Before::Block,
        };
        self.draw(block, before)
    }

    fn draw(&mut self, block: Vec<String>, before: Before) -> String {
        let above = std::mem::take(&mut self.above);
        let mut frame = String::new();
        match before {
            Before::Nothing => {}
            // Lines that are overwritten in place do not flicker; lines above may be of any length.
            Before::Block if above.is_empty() && !block.is_empty() => frame.push('\r'),
            Before::Block | Before::Ruin => frame.push_str(ERASE_BLOCK),
        }
        frame.push_str(&above);
        if let Some((last, others)) = block.split_last() {
            frame.push_str(CUT);
            for line in others {
                frame.push_str(&format!("{line}{ERASE_REST}\r\n"));
            }
            frame.push_str(&format!("{last}{ERASE_REST}{ERASE_BELOW}{WRAP}\r"));
            if !others.is_empty() {
                frame.push_str(&format!("\u{1b}[{}A", others.len()));
            }
        }
        self.block = block;
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 20, rows: 6 };

    /// A terminal that shows what a screen writes.
    struct Terminal {
        parser: vt100::Parser,
        screen: Screen,
    }

    impl Terminal {
        fn new() -> Self {
            let (rows, columns) = (SIZE.rows as u16, SIZE.columns as u16);
            let size = (rows.try_into().unwrap(), columns.try_into().unwrap());
            Self { parser: vt100::Parser::new(size.0, size.1, 100), screen: Screen::new() }
        }

        fn block(&mut self, lines: &[&str], size: Size) {
            let written = self.screen.frame(lines.iter().map(|line| (*line).to_owned()).collect(), size);
            // What the line discipline of a terminal does.
            self.parser.process(written.replace('\n', "\r\n").as_bytes());
        }

        /// All that can be scrolled to, and what is shown.
        fn text(&self) -> String {
            let mut screen = self.parser.screen().clone();
            screen.set_scrollback(usize::MAX);
            let mut lines = Vec::new();
            for row in (1..=screen.scrollback()).rev() {
                screen.set_scrollback(row);
                lines.extend(screen.rows(0, u16::MAX).next());
            }
            screen.set_scrollback(0);
            lines.extend(screen.rows(0, u16::MAX));
            lines.join("\n").trim_end().to_owned()
        }
    }

    #[test]
    fn lines_scroll_above_and_the_block_stays_below() {
        let mut terminal = Terminal::new();
        terminal.block(&["first", "second"], SIZE);
        assert_eq!(terminal.text(), "first\nsecond");
        for line in 1..=7 {
            terminal.screen.queue(&format!("line {line}, which is wider than the screen\n"));
        }
        terminal.block(&["second", "third", "fourth"], SIZE);
        let text = terminal.text();
        assert!(text.ends_with("line 7, which is wid\ner than the screen\nsecond\nthird\nfourth"), "{text}");
        assert_eq!((text.matches("line ").count(), text.matches("second").count()), (7, 1), "{text}");
        terminal.screen.queue("the last\n");
        terminal.block(&[], SIZE);
        assert!(terminal.text().ends_with("er than the screen\nthe last"), "{}", terminal.text());
        assert!(!terminal.parser.screen().hide_cursor());
    }

    #[test]
    fn text_of_others_stands_above_the_block() {
        let mut terminal = Terminal::new();
        terminal.screen.queue("kept\n");
        terminal.block(&["block"], SIZE);
        let written = terminal.screen.tell("stopping");
        terminal.parser.process(written.replace('\n', "\r\n").as_bytes());
        assert_eq!(terminal.text(), "kept\nstopping\nblock");
        assert_eq!(Screen::new().tell("as it is"), "as it is");
    }

    #[test]
    fn nothing_is_written_if_nothing_changed() {
        let mut screen = Screen::new();
        assert_eq!(screen.frame(Vec::new(), SIZE), "");
        assert_ne!(screen.frame(vec!["block".to_owned()], SIZE), "");
        assert_eq!(screen.frame(vec!["block".to_owned()], SIZE), "");
        let narrow = Size { columns: 10, ..SIZE };
        assert_ne!(
            screen.frame(vec!["block".to_owned()], narrow),
            "",
            "a terminal of another size is drawn anew"
        );
    }

    #[test]
    fn a_smaller_terminal_keeps_what_is_finished() {
        let mut terminal = Terminal::new();
        (1..=4).for_each(|line| terminal.screen.queue(&format!("line {line}\n")));
        terminal.block(&["one", "two", "three"], SIZE);
        terminal.parser.set_size(3.try_into().unwrap(), 8.try_into().unwrap());
        terminal.block(&["one", "two"], Size { columns: 8, rows: 3 });
        terminal.parser.set_size(6.try_into().unwrap(), 20.try_into().unwrap());
        terminal.screen.queue("line 5\n");
        terminal.block(&["one"], SIZE);
        assert_eq!(terminal.text(), "line 1\nline 2\nline 3\nline 4\nline 5\none");
    }
}
