//! A box of a picture: how large it is, and what stands in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{icon, short};
use crate::graph::layout::{Direction, Point, Shape};
use crate::graph::measure::{escaped, fit, width};
use crate::graph::picture::Card;
use crate::graph::state::State;
use crate::name::StepName;

/// The size of the letters of a name; they are bold, and so measured a little larger.
const NAME: (f64, f64) = (14.0, 15.0);
/// The size of the letters of everything else, and of marks.
const SMALL: (f64, f64) = (12.0, 11.0);
/// The widest that text gets, and the least width for it.
const TEXT: (f64, f64) = (240.0, 92.0);
/// The space to the left and right of text, and above and below.
const PAD: (f64, f64) = (15.0, 9.0);
/// How far the boxes behind a stack stand out.
const BEHIND: f64 = 4.0;
/// The most lines for the axes of a matrix.
const MOST_AXES: usize = 3;

/// A card with its measures.
#[derive(Debug)]
pub(super) struct CardBox<'a> {
    card: &'a Card<'a>,
    rows: Vec<Row>,
    /// Of the box itself, without those behind it.
    width: f64,
    height: f64,
}

/// A line of a card.
#[derive(Debug)]
enum Row {
    /// The name, and the number of combinations.
    Name(String, String),
    /// Text beside the point.
    Text(String),
    /// Words in frames.
    Marks(Vec<String>),
    /// Signs of states with words.
    States(Vec<(State, String)>),
}

impl Row {
    fn height(&self) -> f64 {
        match self {
            Self::Name(..) => 20.0,
            Self::Text(_) => 17.0,
            Self::Marks(_) => 23.0,
            Self::States(_) => 20.0,
        }
    }

    fn width(&self) -> f64 {
        match self {
            Self::Name(name, count) if count.is_empty() => width(name, NAME.1),
            Self::Name(name, count) => width(name, NAME.1) + width(count, NAME.1) + 7.0,
            Self::Text(text) => width(text, SMALL.0),
            Self::Marks(marks) => marks.iter().map(|mark| mark_width(mark) + 5.0).sum::<f64>() - 5.0,
            Self::States(states) => {
                states.iter().map(|(_, text)| state_width(text) + 10.0).sum::<f64>() - 10.0
            }
        }
    }
}

fn mark_width(mark: &str) -> f64 {
    width(mark, SMALL.1) + 12.0
}

fn state_width(text: &str) -> f64 {
    icon::SIZE + 5.0 + width(text, SMALL.0)
}

impl<'a> CardBox<'a> {
    /// The boxes of cards. Those of one step, its combinations, are equally wide.
    pub(super) fn all(cards: &'a [Card<'a>]) -> Vec<Self> {
        let mut boxes: Vec<Self> = cards.iter().map(Self::new).collect();
        let of = |card: &Card<'_>| card.node.map(|node| node.step.clone());
        let mut widest: BTreeMap<Option<StepName>, f64> = BTreeMap::new();
        for one in &boxes {
            let width = widest.entry(of(one.card)).or_default();
            *width = width.max(one.width);
        }
        for one in boxes.iter_mut().filter(|one| one.card.node.is_some()) {
            one.width = widest[&of(one.card)];
        }
        boxes
    }

    fn new(card: &'a Card<'a>) -> Self {
        let rows = rows(card);
        let widest = rows.iter().map(Row::width).fold(TEXT.1, f64::max);
        let height: f64 = rows.iter().map(Row::height).sum();
        Self { card, rows, width: (widest + 2.0 * PAD.0).ceil(), height: height + 2.0 * PAD.1 }
    }

    /// What it is to the layout.
    pub(super) fn shape(&self) -> Shape {
        let behind = self.behind();
        Shape { key: self.card.name.clone(), width: self.width + behind, height: self.height + behind }
    }

    fn behind(&self) -> f64 {
        if self.card.is_stack() { 2.0 * BEHIND } else { 0.0 }
    }

    /// Draws it; a page that lets the reader choose it gets its place.
    pub(super) fn draw(&self, out: &mut String, at: Point, direction: Direction, place: Option<usize>) {
        let behind = self.behind();
        let mut class = String::from("tm-card");
        if let Some(state) = self.card.state() {
            let _ = write!(class, " tm-{}", state.word());
        }
        if self.card.left_out == self.card.steps.len() {
            class.push_str(" tm-out");
        }
        let chosen = match place {
            None => String::new(),
            Some(place) => format!(
                r#" data-step="{place}" tabindex="0" role="button" aria-label="{}""#,
                escaped(&self.label())
            ),
        };
        let (x, y) = (short(at.x), short(at.y + behind));
        let _ = write!(out, r#"<g class="{class}"{chosen} transform="translate({x} {y})">"#);
        let _ = write!(out, "<title>{}</title>", self.title());
        self.draw_frame(out);
        let mut y = PAD.1;
        for row in &self.rows {
            draw_row(out, row, y);
            y += row.height();
        }
        if self.card.node.is_some_and(|node| !node.gate.is_empty()) {
            let (x, y) = match direction {
                Direction::Right => (self.width, self.height / 2.0 - behind / 2.0),
                Direction::Down => (self.width / 2.0 + behind / 2.0, self.height),
            };
            let _ = write!(
                out,
                r#"<path class="tm-gate" d="M{} {}l6 6 6 -6 -6 -6z"/>"#,
                short(x - 6.0),
                short(y)
            );
        }
        out.push_str("</g>\n");
    }

    fn draw_frame(&self, out: &mut String) {
        let (width, height) = (short(self.width), short(self.height));
        if self.card.is_stack() {
            for back in [2.0 * BEHIND, BEHIND] {
                let _ = write!(
                    out,
                    r#"<rect class="tm-frame" x="{back}" y="-{back}" width="{width}" height="{height}" rx="7"/>"#
                );
            }
        }
        let _ = write!(out, r#"<rect class="tm-frame" width="{width}" height="{height}" rx="7"/>"#);
        if self.card.state().is_some() {
            let _ = write!(out, r#"<rect class="tm-tint" width="{width}" height="{height}" rx="7"/>"#);
            let tall = short(self.height - 14.0);
            let _ = write!(out, r#"<rect class="tm-bar" x="6" y="7" width="3" height="{tall}" rx="1.5"/>"#);
        }
        if self.card.node.is_some_and(|node| node.effect.is_some()) {
            let (width, height) = (short(self.width - 6.0), short(self.height - 6.0));
            let _ = write!(
                out,
                r#"<rect class="tm-inner" x="3" y="3" width="{width}" height="{height}" rx="5"/>"#
            );
        }
    }

    /// All that it stands for, one thing a line.
    fn title(&self) -> String {
        let mut lines = vec![self.label()];
        if let Some(node) = self.card.node {
            lines.extend(node.description.clone());
            lines.extend(Some(node.action.clone()).filter(|action| !action.is_empty()));
            lines.extend(node.stage.iter().map(|stage| format!("stage: {stage}")));
            lines.extend(self.card.axes());
            lines.extend(node.effect.iter().map(|target| format!("changes {target}")));
            lines.extend(node.gate.iter().map(|condition| format!("gate: {condition}")));
        }
        lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
    }

    fn label(&self) -> String {
        let mut label = self.card.name.clone();
        if self.card.is_stack() {
            let _ = write!(label, " ×{}", self.card.steps.len());
        }
        let told = [self.card.told(), self.card.marks()].concat();
        if told.is_empty() { label } else { format!("{label}: {}", told.join(", ")) }
    }
}

fn rows(card: &Card<'_>) -> Vec<Row> {
    let count = if card.is_stack() { format!("×{}", card.steps.len()) } else { String::new() };
    let room = TEXT.0 - if count.is_empty() { 0.0 } else { width(&count, NAME.1) + 7.0 };
    let mut rows = vec![Row::Name(fit(&card.name, NAME.1, room), count)];
    let mut text = |text: &str| {
        if !text.is_empty() {
            rows.push(Row::Text(fit(text, SMALL.0, TEXT.0)));
        }
    };
    text(card.action());
    let axes = card.axes();
    axes.iter().take(MOST_AXES).for_each(|axis| text(axis));
    if axes.len() > MOST_AXES {
        text(&format!("and {} more axes", axes.len() - MOST_AXES));
    }
    let stage = card.node.and_then(|node| node.stage.as_deref().filter(|stage| *stage != node.step.as_str()));
    if let Some(stage) = stage {
        text(&format!("stage: {stage}"));
    }
    let marks = card.marks();
    if !marks.is_empty() {
        rows.push(Row::Marks(marks));
    }
    let states = card.tally.iter().map(|(state, _)| *state).zip(card.told());
    let mut line: Vec<(State, String)> = Vec::new();
    for (state, text) in states {
        let taken: f64 = line.iter().map(|(_, text)| state_width(text) + 10.0).sum();
        if !line.is_empty() && taken + state_width(&text) > TEXT.0 {
            rows.push(Row::States(std::mem::take(&mut line)));
        }
        line.push((state, text));
    }
    if !line.is_empty() {
        rows.push(Row::States(line));
    }
    rows
}

fn draw_row(out: &mut String, row: &Row, y: f64) {
    let left = PAD.0;
    match row {
        Row::Name(name, count) => {
            let base = short(y + 14.0);
            let _ = write!(
                out,
                r#"<text x="{left}" y="{base}"><tspan class="tm-name">{}</tspan>"#,
                escaped(name)
            );
            if !count.is_empty() {
                let _ = write!(out, r#"<tspan class="tm-count" dx="6">{count}</tspan>"#);
            }
            out.push_str("</text>");
        }
        Row::Text(text) => {
            let base = short(y + 12.5);
            let _ = write!(out, r#"<text class="tm-small" x="{left}" y="{base}">{}</text>"#, escaped(text));
        }
        Row::Marks(marks) => {
            let mut x = left;
            for mark in marks {
                let wide = mark_width(mark);
                let (frame, base, middle) = (short(y + 4.0), short(y + 15.5), short(x + wide / 2.0));
                let _ = write!(
                    out,
                    r#"<rect class="tm-chip" x="{}" y="{frame}" width="{}" height="16" rx="8"/><text class="tm-mark" x="{middle}" y="{base}" text-anchor="middle">{}</text>"#,
                    short(x),
                    short(wide),
                    escaped(mark),
                );
                x += wide + 5.0;
            }
        }
        Row::States(states) => {
            let mut x = left;
            for (state, text) in states {
                icon::draw(out, *state, x, y + 3.0);
                let (at, base) = (short(x + icon::SIZE + 5.0), short(y + 14.5));
                let _ = write!(out, r#"<text class="tm-word" x="{at}" y="{base}">{}</text>"#, escaped(text));
                x += state_width(text) + 10.0;
            }
        }
    }
}
