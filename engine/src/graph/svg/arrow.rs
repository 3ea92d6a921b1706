//! An arrow of a picture.

use std::fmt::Write as _;

use super::{Audience, short};
use crate::graph::layout::{Direction, Point};
use crate::graph::measure::escaped;
use crate::graph::picture::{Arrow, Picture};

/// How long the head is.
const HEAD: f64 = 8.0;

/// Draws an arrow on its way; what it carries is told to who points at it.
pub(super) fn draw(
    out: &mut String,
    picture: &Picture<'_>,
    arrow: &Arrow,
    way: &[Point],
    direction: Direction,
    audience: Audience,
) {
    let Some(end) = way.last() else { return };
    let (from, to) = (&picture.cards[arrow.from].name, &picture.cards[arrow.to].name);
    // What a stage gives another is not told one by one.
    let is_order = arrow.data.is_empty() && picture.cards[arrow.from].node.is_some();
    let title = match (arrow.data.is_empty(), is_order) {
        (false, _) => format!("{from} → {to}: {}", arrow.data.join(", ")),
        (true, true) => format!("{from} → {to}: order only"),
        (true, false) => format!("{from} → {to}"),
    };
    let class = if is_order { "tm-arrow tm-order" } else { "tm-arrow" };
    let data = match audience {
        Audience::Reader => String::new(),
        Audience::Page => format!(r#" data-from="{}" data-to="{}""#, arrow.from, arrow.to),
    };
    let _ = write!(out, r#"<g class="{class}"{data}><title>{}</title>"#, escaped(&title));
    let _ = write!(out, r#"<path class="tm-way" d="{}"/>"#, path(way, direction));
    let _ = writeln!(out, r#"<path class="tm-head" d="{}"/></g>"#, head(*end, direction));
}

/// Straight lines and bends in turn; the control points of a bend lie in the middle of the gap.
fn path(way: &[Point], direction: Direction) -> String {
    let at = |point: &Point| format!("{} {}", short(point.x), short(point.y));
    let mut path = String::new();
    let mut last: Option<&Point> = None;
    for (place, point) in way.iter().enumerate() {
        let _ = match last {
            None => write!(path, "M{}", at(point)),
            // The head covers the last bit.
            Some(_) if place % 2 == 1 => write!(path, "L{}", at(&shortened(way, place, direction))),
            Some(from) => {
                let (first, second) = match direction {
                    Direction::Right => {
                        let x = f64::midpoint(from.x, point.x);
                        (Point { x, y: from.y }, Point { x, y: point.y })
                    }
                    Direction::Down => {
                        let y = f64::midpoint(from.y, point.y);
                        (Point { x: from.x, y }, Point { x: point.x, y })
                    }
                };
                write!(path, "C{} {} {}", at(&first), at(&second), at(point))
            }
        };
        last = Some(point);
    }
    path
}

/// A point of a way; the last one ends where the head begins to narrow.
fn shortened(way: &[Point], place: usize, direction: Direction) -> Point {
    let point = way[place];
    if place + 1 < way.len() {
        return point;
    }
    match direction {
        Direction::Right => Point { x: point.x - HEAD / 2.0, ..point },
        Direction::Down => Point { y: point.y - HEAD / 2.0, ..point },
    }
}

fn head(end: Point, direction: Direction) -> String {
    let (x, y) = (short(end.x), short(end.y));
    let wide = HEAD / 2.0;
    match direction {
        Direction::Right => format!("M{x} {y}l-{HEAD} -{wide}v{HEAD}z"),
        Direction::Down => format!("M{x} {y}l-{wide} -{HEAD}h{HEAD}z"),
    }
}
