//! Where the boxes of a drawing lie and which way its arrows go: pure, and the same whatever order they come in.
//!
//! In layers, after Sugiyama: every box lies in a later layer than those that it depends on ([`rank`]); an arrow over several
//! layers gets a lane of its own in each layer between, shared with the other arrows of its box; the layers are put in an order
//! with few crossings ([`order`]) and spread out so that lines are straight ([`spread`]). Parts that nothing connects are laid out
//! apart and packed side by side ([`pack`]).
//!
//! An arrow runs straight through a layer, in its lane, and bends only in the gap between two layers, where no box is: so
//! it never passes under one.

mod layered;
mod order;
mod pack;
mod rank;
mod spread;
#[cfg(test)]
mod tests;

pub(super) use layered::lay_out;
pub(super) use rank::ranks;

/// Which way the arrows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From left to right.
    Right,
    /// From top to bottom.
    Down,
}

/// A box to lay out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// What puts boxes in order where nothing else does; unique.
    pub(super) key: String,
    /// How wide it is.
    pub(super) width: f64,
    /// How high it is.
    pub(super) height: f64,
}

/// A place on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A laid-out drawing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The upper left corner of every box.
    pub(super) boxes: Vec<Point>,
    /// The way of every arrow: an even number of points, joined by a straight line and a bend in turn, beginning and ending with
    /// a straight line.
    pub(super) ways: Vec<Vec<Point>>,
}

impl Point {
    /// A point by its place along the direction of the arrows, and across it.
    fn new(direction: Direction, along: f64, across: f64) -> Self {
        match direction {
            Direction::Right => Self { x: along, y: across },
            Direction::Down => Self { x: across, y: along },
        }
    }
}

impl Shape {
    fn along(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Right => self.width,
            Direction::Down => self.height,
        }
    }

    fn across(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Right => self.height,
            Direction::Down => self.width,
        }
    }
}
