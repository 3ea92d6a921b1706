//! A graph as lines for a terminal: rails where they can be followed, a list where there would be too many, and beside them what
//! is known of each step. No line is longer than the terminal is wide.

use super::measure::{columns, fit_columns, plain};
use super::outline::Outline;
use super::picture::{Card, Matrices, Picture};
use super::rails::{self, Row};
use super::state::{State, States};

/// More steps than this that one comes after are not named.
const MOST_NAMED: usize = 8;

/// A line of text in parts.
pub type Line = Vec<Part>;

/// A part of a line, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub tone: Tone,
    /// The text, harmless to a terminal.
    pub text: String,
}

/// What a part of a line is, for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    Plain,
    /// The name of a step.
    Name,
    /// Rails, and what is beside the point.
    Faint,
    /// A state.
    State(State),
}

/// Draws a graph in lines of at most this width.
#[must_use]
pub fn lines(outline: &Outline, states: &States, matrices: Matrices, width: usize) -> Vec<Line> {
    let picture = Picture::of(outline, states, matrices);
    let rows = rails::rows(&picture, width / 2).unwrap_or_else(|| listed(&picture));
    let table = Table::new(&picture, &rows, width);
    let mut lines = head(outline, picture.cards.len(), width);
    lines.push(Vec::new());
    lines.extend(rows.iter().map(|row| cut(table.line(row), width)));
    lines
}

fn head(outline: &Outline, cards: usize, width: usize) -> Vec<Line> {
    let steps = match outline.steps() {
        1 => "1 step".to_owned(),
        steps if steps == cards => format!("{steps} steps"),
        steps => format!("{steps} steps, {cards} with matrices folded"),
    };
    let name = outline.pipeline.to_string();
    let mut lines = vec![vec![part(Tone::Name, &name), part(Tone::Plain, &format!(": {steps}"))]];
    lines.extend(outline.description.iter().map(|text| vec![part(Tone::Faint, &plain(text))]));
    lines.into_iter().map(|line| cut(line, width)).collect()
}

fn part(tone: Tone, text: &str) -> Part {
    Part { tone, text: text.to_owned() }
}

/// The rows without rails, in an order in which they can run.
fn listed(picture: &Picture<'_>) -> Vec<Row> {
    let arrows: Vec<(usize, usize)> = picture.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
    let ranks = super::layout::ranks(picture.cards.len(), &arrows);
    let mut order: Vec<usize> = (0..picture.cards.len()).collect();
    order.sort_by_key(|card| ranks[*card]);
    let row = |card| Row { rails: String::new(), card: Some(card) };
    order.into_iter().map(row).collect()
}

/// The space between two columns.
const SPACE: usize = 2;

/// The columns of a drawing: rails and name, state, stage, what it is.
struct Table<'a> {
    picture: &'a Picture<'a>,
    /// How wide rails and names are, states, stages.
    widths: [usize; 3],
    /// By card, the others that it depends on, if no rails show them.
    sources: Vec<Vec<usize>>,
    /// By card, the others that it only comes after.
    orders: Vec<Vec<usize>>,
}

impl<'a> Table<'a> {
    fn new(picture: &'a Picture<'a>, rows: &[Row], width: usize) -> Self {
        let widest =
            |texts: &mut dyn Iterator<Item = String>| texts.map(|text| columns(&text)).max().unwrap_or(0);
        let mut left = rows.iter().filter_map(|row| {
            let space = if row.rails.is_empty() { "" } else { " " };
            Some(format!("{}{space}{}", row.rails, label(&picture.cards[row.card?])))
        });
        let left = widest(&mut left).min(width / 2);
        let states = widest(&mut picture.cards.iter().map(|card| card.told().join(", ")));
        let stages = widest(&mut picture.cards.iter().map(stage));
        let is_list = rows.iter().all(|row| row.rails.is_empty());
        Self {
            picture,
            widths: [left, states, stages],
            sources: if is_list { picture.upstream() } else { vec![Vec::new(); picture.cards.len()] },
            orders: picture.before(|arrow| arrow.data.is_empty()),
        }
    }

    fn line(&self, row: &Row) -> Line {
        let Some(place) = row.card else { return vec![part(Tone::Faint, &row.rails)] };
        let card = &self.picture.cards[place];
        let [left, states, stages] = self.widths;
        let mut line = railed(&row.rails, card.state());
        let used: usize = line.iter().map(|part| columns(&part.text)).sum();
        line.push(part(Tone::Name, &fit_columns(&label(card), left.saturating_sub(used))));
        let state = card.state().map_or(Tone::Plain, Tone::State);
        let mut start = 0;
        for (width, tone, text) in [
            (left, state, card.told().join(", ")),
            (states, Tone::Faint, stage(card)),
            (stages, Tone::Faint, self.what(place)),
        ] {
            // A column that is empty everywhere takes no room.
            if width > 0 {
                start += width + SPACE;
            }
            let used: usize = line.iter().map(|part| columns(&part.text)).sum();
            line.push(part(Tone::Plain, &" ".repeat(start.saturating_sub(used))));
            line.push(part(tone, &text));
        }
        line
    }

    /// What a step is: its action, its matrix, what is special about it, what it comes after.
    fn what(&self, place: usize) -> String {
        let card = &self.picture.cards[place];
        let mut words = Vec::new();
        if !self.sources[place].is_empty() {
            words.push(format!("← {}", self.names(&self.sources[place])));
        }
        words.extend(Some(card.action().to_owned()).filter(|action| !action.is_empty()));
        words.extend(card.axes());
        words.extend(card.marks());
        if !self.orders[place].is_empty() {
            words.push(format!("after {}", self.names(&self.orders[place])));
        }
        plain(&words.join(" · "))
    }

    fn names(&self, cards: &[usize]) -> String {
        let shown = cards.iter().take(MOST_NAMED).map(|card| self.picture.cards[*card].name.as_str());
        let names = shown.collect::<Vec<_>>().join(", ");
        match cards.len().saturating_sub(MOST_NAMED) {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

/// The name of a card, and how many steps it stands for.
fn label(card: &Card<'_>) -> String {
    match card.is_stack() {
        true => format!("{} ×{}", plain(&card.name), card.steps.len()),
        false => plain(&card.name),
    }
}

/// The rails of a card's row; its own sign is that of its state.
fn railed(rails: &str, state: Option<State>) -> Line {
    if rails.is_empty() {
        return Line::new();
    }
    let (before, after) = rails.split_once('●').unwrap_or((rails, ""));
    let sign = match state {
        None => part(Tone::Plain, "●"),
        Some(state) => part(Tone::State(state), state.sign()),
    };
    let parts = [part(Tone::Faint, before), sign, part(Tone::Faint, &format!("{after} "))];
    parts.into_iter().filter(|part| !part.text.is_empty()).collect()
}

/// The stage, if it is another word than the step's name.
fn stage(card: &Card<'_>) -> String {
    let node =
        card.node.filter(|node| node.stage.as_deref().is_some_and(|stage| stage != node.step.as_str()));
    node.and_then(|node| node.stage.as_deref()).map(plain).unwrap_or_default()
}

/// As much of a line as fits, without spaces at its end.
fn cut(line: Line, width: usize) -> Line {
    let mut room = width;
    let mut parts = Vec::with_capacity(line.len());
    for Part { tone, text } in line {
        if columns(&text) > room {
            let text = fit_columns(&text, room);
            // An ellipsis alone, or after nothing but space, says nothing.
            parts.extend(Some(Part { tone, text }).filter(|part| part.text.trim() != "…"));
            break;
        }
        room -= columns(&text);
        parts.push(Part { tone, text });
    }
    while let Some(last) = parts.last_mut() {
        let kept = last.text.trim_end().len();
        last.text.truncate(kept);
        if kept > 0 {
            break;
        }
        parts.pop();
    }
    parts
}
