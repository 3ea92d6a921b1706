//! One drawing from its boxes and arrows: parts, layers, lanes, ways.

use std::collections::{BTreeMap, BTreeSet};

use super::order::reduce_crossings;
use super::pack::{moved, pack, parts};
use super::rank::ranks;
use super::spread::spread;
use super::{Direction, Drawing, Point, Shape};

/// The least space between two layers, and the most.
const GAP: (f64, f64) = (38.0, 130.0);
/// How much of what a line goes across the space between two layers is widened by.
const SLOPE: f64 = 0.12;
/// How thick a lane is.
const LANE: f64 = 3.0;

/// Lays out boxes and arrows between them, by the places of the boxes. Two arrows between the same boxes go the same way.
pub(in crate::graph) fn lay_out(
    shapes: &[Shape],
    arrows: &[(usize, usize)],
    direction: Direction,
) -> Drawing {
    // In an order of their own, so that the order in which they came changes nothing.
    let mut order: Vec<usize> = (0..shapes.len()).collect();
    order.sort_by(|a, b| shapes[*a].key.cmp(&shapes[*b].key));
    let mut sorted = vec![0; shapes.len()];
    order.iter().enumerate().for_each(|(place, shape)| sorted[*shape] = place);
    let own: Vec<&Shape> = order.iter().map(|shape| &shapes[*shape]).collect();
    let lines: BTreeSet<(usize, usize)> = arrows
        .iter()
        .filter(|(from, to)| from != to)
        .map(|(from, to)| (sorted[*from], sorted[*to]))
        .collect();
    let lines: Vec<(usize, usize)> = lines.into_iter().collect();
    let drawing = in_parts(&own, &lines, direction);
    let ways: BTreeMap<_, _> = lines.iter().copied().zip(drawing.ways).collect();
    let way = |(from, to): &(usize, usize)| ways.get(&(sorted[*from], sorted[*to])).cloned();
    Drawing {
        boxes: sorted.iter().map(|place| drawing.boxes[*place]).collect(),
        ways: arrows.iter().map(|arrow| way(arrow).unwrap_or_default()).collect(),
        ..drawing
    }
}

/// Lays out each part for itself, and packs them.
fn in_parts(shapes: &[&Shape], lines: &[(usize, usize)], direction: Direction) -> Drawing {
    let part_of = parts(shapes.len(), lines);
    let count = part_of.iter().max().map_or(0, |most| most + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut own = vec![0; shapes.len()];
    for (shape, part) in part_of.iter().enumerate() {
        own[shape] = members[*part].len();
        members[*part].push(shape);
    }
    let mut lines_of: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (line, (from, _)) in lines.iter().enumerate() {
        lines_of[part_of[*from]].push(line);
    }
    let drawings: Vec<Drawing> = members
        .iter()
        .zip(&lines_of)
        .map(|(members, part_lines)| {
            let shapes: Vec<&Shape> = members.iter().map(|shape| shapes[*shape]).collect();
            let ends = part_lines.iter().map(|line| (own[lines[*line].0], own[lines[*line].1]));
            one_part(&shapes, &ends.collect::<Vec<_>>(), direction)
        })
        .collect();
    let sizes: Vec<(f64, f64)> = drawings.iter().map(|part| (part.width, part.height)).collect();
    let (corners, width, height) = pack(&sizes, direction);
    let mut boxes = vec![Point { x: 0.0, y: 0.0 }; shapes.len()];
    let mut ways = vec![Vec::new(); lines.len()];
    for (part, drawing) in drawings.into_iter().enumerate() {
        let drawing = moved(drawing, corners[part]);
        members[part].iter().zip(drawing.boxes).for_each(|(shape, corner)| boxes[*shape] = corner);
        lines_of[part].iter().zip(drawing.ways).for_each(|(line, way)| ways[*line] = way);
    }
    Drawing { width, height, boxes, ways }
}

/// Boxes and bends in layers, with the lines between one layer and the next. The boxes come first, then the bends.
#[derive(Debug)]
pub(super) struct Layers {
    /// Of each layer what lies in it, in order.
    pub(super) rows: Vec<Vec<usize>>,
    /// The place of each in its layer.
    pub(super) place: Vec<usize>,
    /// Of each what it is joined to in the layer before.
    pub(super) before: Vec<Vec<usize>>,
    /// Of each what it is joined to in the layer after.
    pub(super) after: Vec<Vec<usize>>,
    /// How much room each takes across.
    pub(super) across: Vec<f64>,
    /// How many lines there are between layers.
    pub(super) lines: usize,
    boxes: usize,
    /// The bends of each box's arrows, by layer.
    lanes: Vec<BTreeMap<usize, usize>>,
}

impl Layers {
    fn new(shapes: &[&Shape], lines: &[(usize, usize)], ranks: &[usize], direction: Direction) -> Self {
        let count = ranks.iter().max().map_or(0, |most| most + 1);
        let mut layers = Self {
            rows: vec![Vec::new(); count],
            place: vec![0; shapes.len()],
            before: vec![Vec::new(); shapes.len()],
            after: vec![Vec::new(); shapes.len()],
            across: shapes.iter().map(|shape| shape.across(direction)).collect(),
            lines: 0,
            boxes: shapes.len(),
            lanes: vec![BTreeMap::new(); shapes.len()],
        };
        for &(from, to) in lines {
            let mut last = from;
            for rank in ranks[from] + 1..ranks[to] {
                last = match layers.lanes[from].get(&rank) {
                    Some(bend) => *bend,
                    None => layers.bend(from, last, rank),
                };
            }
            layers.join(last, to);
        }
        layers.first_order(ranks);
        layers
    }

    /// Whether this is the bend of an arrow, not a box.
    pub(super) fn is_bend(&self, at: usize) -> bool {
        at >= self.boxes
    }

    /// Tells each of a layer its place.
    pub(super) fn renumber_row(&mut self, row: usize) {
        for (place, at) in self.rows[row].iter().enumerate() {
            self.place[*at] = place;
        }
    }

    /// Tells each its place.
    pub(super) fn renumber(&mut self) {
        (0..self.rows.len()).for_each(|row| self.renumber_row(row));
    }

    fn bend(&mut self, from: usize, last: usize, rank: usize) -> usize {
        let bend = self.before.len();
        self.place.push(0);
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        self.across.push(LANE);
        self.lanes[from].insert(rank, bend);
        self.join(last, bend);
        bend
    }

    fn join(&mut self, first: usize, second: usize) {
        self.after[first].push(second);
        self.before[second].push(first);
        self.lines += 1;
    }

    /// A first order: what hangs together comes together.
    fn first_order(&mut self, ranks: &[usize]) {
        let mut layer_of: Vec<usize> = ranks.to_vec();
        layer_of.resize(self.before.len(), 0);
        for lanes in &self.lanes {
            lanes.iter().for_each(|(rank, bend)| layer_of[*bend] = *rank);
        }
        let mut seen = vec![false; self.before.len()];
        let sources: Vec<usize> = (0..self.before.len()).filter(|at| self.before[*at].is_empty()).collect();
        for source in sources {
            let mut open = vec![source];
            while let Some(at) = open.pop() {
                if std::mem::replace(&mut seen[at], true) {
                    continue;
                }
                self.rows[layer_of[at]].push(at);
                open.extend(self.after[at].iter().rev());
            }
        }
        self.renumber();
    }
}

fn one_part(shapes: &[&Shape], lines: &[(usize, usize)], direction: Direction) -> Drawing {
    let ranks = ranks(shapes.len(), lines);
    let mut layers = Layers::new(shapes, lines, &ranks, direction);
    reduce_crossings(&mut layers);
    let centres = spread(&layers);
    let tracks = tracks(shapes, &layers, &centres, direction);
    let corner = |(shape, rank): (usize, &usize)| {
        let (start, end) = tracks[*rank];
        let along = start + (end - start - shapes[shape].along(direction)) / 2.0;
        Point::new(direction, along, centres[shape] - layers.across[shape] / 2.0)
    };
    let boxes: Vec<Point> = ranks.iter().enumerate().map(corner).collect();
    let way = |&(from, to): &(usize, usize)| {
        let mut points = Vec::new();
        let mut point = |along, at: usize| points.push(Point::new(direction, along, centres[at]));
        let along = |at: usize| match direction {
            Direction::Right => boxes[at].x,
            Direction::Down => boxes[at].y,
        };
        point(along(from) + shapes[from].along(direction), from);
        point(tracks[ranks[from]].1, from);
        for (rank, bend) in layers.lanes[from].range(ranks[from] + 1..ranks[to]) {
            point(tracks[*rank].0, *bend);
            point(tracks[*rank].1, *bend);
        }
        point(tracks[ranks[to]].0, to);
        point(along(to), to);
        points
    };
    let ways = lines.iter().map(way).collect();
    let ends = centres.iter().zip(&layers.across).map(|(centre, across)| centre + across / 2.0);
    let size = Point::new(direction, tracks.last().map_or(0.0, |(_, end)| *end), ends.fold(0.0, f64::max));
    Drawing { width: size.x, height: size.y, boxes, ways }
}

/// Where each layer begins and ends: as thick as its thickest box, apart by a gap in which lines can bend.
fn tracks(shapes: &[&Shape], layers: &Layers, centres: &[f64], direction: Direction) -> Vec<(f64, f64)> {
    let mut tracks = Vec::with_capacity(layers.rows.len());
    let mut start = 0.0;
    for row in &layers.rows {
        let boxes = row.iter().filter(|at| !layers.is_bend(**at));
        let thickness = boxes.map(|at| shapes[*at].along(direction)).fold(0.0, f64::max);
        tracks.push((start, start + thickness));
        let lines = row.iter().flat_map(|at| layers.after[*at].iter().map(move |to| (at, to)));
        let farthest = lines.map(|(at, to)| (centres[*at] - centres[*to]).abs()).fold(0.0, f64::max);
        start += thickness + (GAP.0 + SLOPE * farthest).min(GAP.1);
    }
    tracks
}
