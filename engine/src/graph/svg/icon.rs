//! The signs of states: each has a shape of its own, so that it is known without its colour.

use std::fmt::Write as _;

use super::short;
use crate::graph::state::State;

/// How wide and high a sign is.
pub(super) const SIZE: f64 = 14.0;

/// Draws the sign of a state, its upper left corner here.
pub(super) fn draw(out: &mut String, state: State, x: f64, y: f64) {
    let (filled, lined, over) = paths(state);
    let _ =
        write!(out, r#"<g class="tm-{}" transform="translate({} {})">"#, state.word(), short(x), short(y));
    for (class, path) in [("tm-fill", filled), ("tm-line", lined), ("tm-over", over)] {
        if !path.is_empty() {
            let _ = write!(out, r#"<path class="{class}" d="{path}"/>"#);
        }
    }
    out.push_str("</g>");
}

const DISC: &str = "M7 1a6 6 0 1 0 .01 0z";

/// What is filled, what is a line, and what is a line over what is filled.
const fn paths(state: State) -> (&'static str, &'static str, &'static str) {
    match state {
        State::Failed => (DISC, "", "M4.6 4.6l4.8 4.8M9.4 4.6l-4.8 4.8"),
        State::Blocked => ("", "M7 1a6 6 0 1 0 .01 0zM2.8 2.8l8.4 8.4", ""),
        State::Held => ("", "M7 1a6 6 0 1 0 .01 0zM5.3 4.4v5.2M8.7 4.4v5.2", ""),
        State::Running => ("M7 1a6 6 0 0 1 0 12z", DISC, ""),
        State::Run => ("M3 1.2l9.5 5.8-9.5 5.8z", "", ""),
        State::Maybe => ("", "M3.4 2l8.2 5-8.2 5z", ""),
        State::Waiting => ("", DISC, ""),
        State::Executed => (DISC, "", "M4 7.2l2.2 2.3 4-4.6"),
        State::Cached => ("", "M7 1a6 6 0 1 0 .01 0zM4 7.2l2.2 2.3 4-4.6", ""),
        State::Done => ("", "M7 1a6 6 0 1 0 .01 0zM4.2 5.6h5.6M4.2 8.4h5.6", ""),
        State::Skipped => ("", "M2 7h10", ""),
    }
}
