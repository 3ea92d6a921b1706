//! An outline as an SVG picture that stands alone or inside a page: no script, nothing from elsewhere, no ids that could meet
//! others, all rules below one class, `tm-dag`, and all colours variables that a page can set.
//!
//! A state is told by colour, by the shape of a sign and by its word, so that none of them is needed.

mod arrow;
mod card;
mod icon;
mod legend;
mod style;

use std::fmt::Write as _;

use super::layout::{Direction, Drawing, Point, lay_out};
use super::measure::{escaped, fit, plain, width};
use super::outline::Outline;
use super::picture::{Matrices, Picture};
use super::state::{State, States};
use card::CardBox;
use legend::Legend;

/// The space around the picture.
const MARGIN: f64 = 12.0;
/// What a reader sees at once: the direction is chosen so that the picture need not be made much smaller for it.
const SHEET: (f64, f64) = (1200.0, 900.0);
/// The same for a page, which has details at the side of the picture and is scrolled down.
const PAGE: (f64, f64) = (820.0, 1600.0);
/// The size of the letters of notes and the legend.
const SMALL: f64 = 12.0;

/// How a picture is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Which way the arrows go; whichever reads better if nothing is said.
    pub direction: Option<Direction>,
    /// Whether matrices are folded.
    pub matrices: Matrices,
    /// Who looks at it.
    pub audience: Audience,
}

/// Who looks at a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audience {
    /// A reader: the picture is one thing.
    #[default]
    Reader,
    /// A page whose script lets the reader choose a step: steps can be focused, and carry their places in the outline as
    /// `data-step`, arrows theirs as `data-from` and `data-to`.
    Page,
}

impl Outline {
    /// The folded graph as an SVG picture, the steps marked with their states.
    #[must_use]
    pub fn svg(&self, states: &States) -> String {
        self.svg_with(states, &Look::default())
    }

    /// The graph as an SVG picture.
    #[must_use]
    pub fn svg_with(&self, states: &States, look: &Look) -> String {
        let picture = Picture::to_look_at(self, states, look.matrices);
        self.draw(&picture, look).0
    }

    /// A picture, and its width.
    pub(super) fn draw(&self, picture: &Picture<'_>, look: &Look) -> (String, f64) {
        let boxes = CardBox::all(&picture.cards);
        let (direction, drawing) = laid_out(picture, &boxes, look);
        let legend = Legend::of(picture);
        let note = picture.note.as_deref().map(lines).unwrap_or_default();
        let top = MARGIN + 18.0 * note.len() as f64;
        let note_width = note.iter().map(|line| width(line, SMALL)).fold(0.0, f64::max);
        let inner = drawing.width.max(legend.least_width()).max(note_width);
        let legend = legend.draw(inner, top + drawing.height + 14.0);
        let corner = Point { x: MARGIN + (inner - drawing.width) / 2.0, y: top };
        let size = Point { x: inner + 2.0 * MARGIN, y: corner.y + drawing.height + legend.height + MARGIN };
        let mut out = self.head(picture, look.audience, size);
        for (place, line) in note.iter().enumerate() {
            let y = MARGIN + 12.0 + 18.0 * place as f64;
            let _ = writeln!(out, r#"<text class="tm-small" x="{MARGIN}" y="{y}">{}</text>"#, escaped(line));
        }
        let _ = writeln!(out, r#"<g transform="translate({} {})">"#, short(corner.x), short(corner.y));
        for (arrow, way) in picture.arrows.iter().zip(&drawing.ways) {
            arrow::draw(&mut out, picture, arrow, way, direction, look.audience);
        }
        for (place, (card, at)) in boxes.iter().zip(&drawing.boxes).enumerate() {
            card.draw(&mut out, *at, direction, (look.audience == Audience::Page).then_some(place));
        }
        out.push_str("</g>\n");
        out.push_str(&legend.text);
        out.push_str("</svg>\n");
        (out, size.x)
    }

    fn head(&self, picture: &Picture<'_>, audience: Audience, size: Point) -> String {
        let (width, height) = (short(size.x), short(size.y));
        let role = if audience == Audience::Page { "group" } else { "img" };
        let mut out = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="tm-dag" role="{role}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">"#
        );
        let _ = writeln!(out, "\n<title>{}</title>", escaped(&self.title()));
        let _ = writeln!(out, "<desc>{}</desc>", escaped(&description(picture)));
        let states: std::collections::BTreeSet<State> =
            picture.cards.iter().flat_map(|card| card.tally.iter().map(|(state, _)| *state)).collect();
        let _ = writeln!(out, "<style>\n{}</style>", style::sheet(&states));
        let _ = writeln!(out, r#"<rect class="tm-paper" width="{width}" height="{height}"/>"#);
        out
    }

    fn title(&self) -> String {
        let steps = self.steps();
        let noun = if steps == 1 { "step" } else { "steps" };
        format!("The pipeline {}: {steps} {noun}", self.pipeline)
    }
}

/// Lays the boxes out in the direction that was asked for, or in the one in which they need to be made less small for a page.
fn laid_out(picture: &Picture<'_>, boxes: &[CardBox<'_>], look: &Look) -> (Direction, Drawing) {
    let shapes: Vec<_> = boxes.iter().map(CardBox::shape).collect();
    let arrows: Vec<(usize, usize)> = picture.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
    let drawn = |direction| (direction, lay_out(&shapes, &arrows, direction));
    if let Some(direction) = look.direction {
        return drawn(direction);
    }
    let (width, height) = if look.audience == Audience::Page { PAGE } else { SHEET };
    let scale =
        |drawing: &Drawing| (width / drawing.width.max(1.0)).min(height / drawing.height.max(1.0)).min(1.0);
    let (right, down) = (drawn(Direction::Right), drawn(Direction::Down));
    if scale(&down.1) > scale(&right.1) { down } else { right }
}

/// The most cards that are told one by one.
const MOST_TOLD: usize = 60;

/// The picture in words.
fn description(picture: &Picture<'_>) -> String {
    let mut told: Vec<String> = Vec::new();
    for (place, card) in picture.cards.iter().enumerate().take(MOST_TOLD) {
        let mut text = card.name.clone();
        if card.is_stack() {
            let _ = write!(text, " ×{}", card.steps.len());
        }
        let states: Vec<String> = card.told();
        if !states.is_empty() {
            let _ = write!(text, " ({})", states.join(", "));
        }
        let before: Vec<&str> = picture
            .arrows
            .iter()
            .filter(|arrow| arrow.to == place)
            .map(|arrow| picture.cards[arrow.from].name.as_str())
            .collect();
        if !before.is_empty() {
            let _ = write!(text, " after {}", before.join(", "));
        }
        told.push(text);
    }
    if picture.cards.len() > MOST_TOLD {
        told.push(format!("and {} more", picture.cards.len() - MOST_TOLD));
    }
    told.extend(picture.note.clone());
    told.join("; ")
}

/// A note in lines that fit a narrow page.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in plain(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, SMALL) + width(word, SMALL) < 330.0 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, SMALL, 330.0)),
        }
    }
    lines
}

/// A number with at most one decimal.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
