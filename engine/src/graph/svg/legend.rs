//! What the signs of a picture mean: only those that occur.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{MARGIN, SMALL, icon, short};
use crate::graph::measure::{escaped, width};
use crate::graph::picture::Picture;
use crate::graph::state::State;

/// How high a line of it is.
const LINE: f64 = 22.0;
/// The space between two entries, and between a sign and its words.
const SPACE: (f64, f64) = (16.0, 6.0);
/// How wide a sign is.
const SIGN: f64 = 22.0;

/// The signs to explain.
#[derive(Debug)]
pub(super) struct Legend {
    entries: Vec<(Sign, &'static str)>,
}

#[derive(Debug, Clone, Copy)]
enum Sign {
    State(State),
    Stack,
    Gate,
    Effect,
    Order,
}

/// A legend as it is drawn.
pub(super) struct Drawn {
    pub(super) text: String,
    pub(super) height: f64,
}

impl Legend {
    /// The legend of a picture.
    pub(super) fn of(picture: &Picture<'_>) -> Self {
        let states: BTreeSet<State> =
            picture.cards.iter().flat_map(|card| card.tally.iter().map(|(state, _)| *state)).collect();
        let mut entries: Vec<(Sign, &'static str)> =
            states.into_iter().map(|state| (Sign::State(state), meaning(state))).collect();
        let nodes = || picture.cards.iter().filter_map(|card| card.node);
        let stages = picture.cards.iter().any(|card| card.node.is_none());
        let known = [
            (
                picture.cards.iter().any(|card| card.is_stack()) && !stages,
                Sign::Stack,
                "all steps of a matrix",
            ),
            (nodes().any(|node| !node.gate.is_empty()), Sign::Gate, "gate: can stop what follows"),
            (nodes().any(|node| node.effect.is_some()), Sign::Effect, "effect: changes a target"),
            (!stages && picture.arrows.iter().any(|arrow| arrow.data.is_empty()), Sign::Order, "order only"),
        ];
        entries.extend(known.iter().filter(|(occurs, ..)| *occurs).map(|(_, sign, words)| (*sign, *words)));
        Self { entries }
    }

    /// The least width that it can be drawn in.
    pub(super) fn least_width(&self) -> f64 {
        self.entries.iter().map(entry_width).fold(0.0, f64::max)
    }

    /// Draws it in as many lines as it takes.
    pub(super) fn draw(&self, room: f64, top: f64) -> Drawn {
        let mut text = String::new();
        let (mut x, mut y) = (0.0, top);
        for entry in &self.entries {
            let wide = entry_width(entry);
            if x > 0.0 && x + wide > room {
                (x, y) = (0.0, y + LINE);
            }
            let (left, base) = (MARGIN + x, y + 14.0);
            entry.0.draw(&mut text, left, y + 9.5);
            let words = short(left + SIGN + SPACE.1);
            let _ = writeln!(
                text,
                r#"<text class="tm-small" x="{words}" y="{}">{}</text>"#,
                short(base),
                escaped(entry.1)
            );
            x += wide + SPACE.0;
        }
        let height = if self.entries.is_empty() { 0.0 } else { y - top + LINE + 14.0 };
        Drawn { text, height }
    }
}

fn entry_width((_, words): &(Sign, &'static str)) -> f64 {
    SIGN + SPACE.1 + width(words, SMALL)
}

impl Sign {
    /// Draws it, its left side and middle here.
    fn draw(self, out: &mut String, x: f64, y: f64) {
        let (left, middle) = (short(x), short(y));
        let _ = match self {
            Self::State(state) => {
                icon::draw(out, state, x + (SIGN - icon::SIZE) / 2.0, y - icon::SIZE / 2.0);
                Ok(())
            }
            Self::Stack => write!(
                out,
                r#"<g transform="translate({left} {middle})"><rect class="tm-frame" x="6" y="-7" width="15" height="10" rx="2"/><rect class="tm-frame" x="2" y="-3" width="15" height="10" rx="2"/></g>"#
            ),
            Self::Gate => {
                write!(out, r#"<path class="tm-gate" d="M{} {middle}l6 6 6 -6 -6 -6z"/>"#, short(x + 5.0))
            }
            Self::Effect => write!(
                out,
                r#"<g transform="translate({left} {middle})"><rect class="tm-inner" x="1" y="-7" width="20" height="14" rx="4"/><rect class="tm-frame" x="4" y="-4" width="14" height="8" rx="2"/></g>"#
            ),
            Self::Order => {
                write!(out, r#"<g class="tm-order"><path class="tm-way" d="M{left} {middle}h{SIGN}"/></g>"#)
            }
        };
    }
}

/// What a state means, in a few words.
const fn meaning(state: State) -> &'static str {
    match state {
        State::Failed => "failed",
        State::Blocked => "blocked by another step",
        State::Held => "held back by a rollback",
        State::Running => "running",
        State::Run => "would run",
        State::Maybe => "may have to run",
        State::Waiting => "waiting",
        State::Executed => "executed",
        State::Cached => "cached",
        State::Done => "current in its target",
        State::Skipped => "left out",
    }
}
