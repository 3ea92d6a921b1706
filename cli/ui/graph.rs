//! A graph as lines for a terminal, painted.

use tidemill_engine::graph::{Line, Part, State, Tone as Kind};

use super::style::{Paint, Tone};

/// Lines in the colours that the reader has.
pub(crate) fn paint_lines(lines: &[Line], paint: Paint) -> String {
    lines.iter().map(|line| painted(line, paint)).collect()
}

fn painted(line: &Line, paint: Paint) -> String {
    let part = |Part { tone, text }: &Part| match tone {
        Kind::Plain => text.clone(),
        Kind::Name => paint.text(Tone::Strong, text),
        Kind::Faint => paint.text(Tone::Faint, text),
        Kind::State(state) => paint.text(of_state(*state), text),
    };
    format!("{}\n", line.iter().map(part).collect::<String>())
}

/// The tone of a state.
const fn of_state(state: State) -> Tone {
    match state {
        State::Failed => Tone::Bad,
        State::Blocked | State::Held => Tone::Warn,
        State::Running | State::Run | State::Maybe => Tone::Busy,
        State::Executed => Tone::Good,
        State::Waiting | State::Cached | State::Done | State::Skipped => Tone::Faint,
    }
}
