//! Colours: a handful of tones, painted only where they are wanted. Every line is understood without them.

use anstyle::{AnsiColor, Style};

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// Worth a look.
    Warn,
    /// It goes on.
    Busy,
    /// The name of a thing.
    Strong,
    /// Beside the point.
    Faint,
}

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// With colours.
    Coloured,
    /// Without.
    Plain,
}

impl Paint {
    /// The text in a tone.
    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => {
                let style = tone.style();
                format!("{style}{text}{style:#}")
            }
        }
    }
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Warn => colour(AnsiColor::Yellow),
            Self::Busy => colour(AnsiColor::Cyan),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paint_leaves_no_control_character() {
        assert_eq!(Paint::Plain.text(Tone::Bad, "failed"), "failed");
        assert!(Paint::Coloured.text(Tone::Bad, "failed").contains("\u{1b}["));
    }
}
