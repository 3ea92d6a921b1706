//! Parts that nothing connects, side by side and below each other, so that the whole is neither long nor narrow.

use super::{Direction, Drawing, Point};

/// The space between two parts.
const GAP: f64 = 30.0;
/// How much wider than high the whole is wanted.
const RATIO: f64 = 1.5;

/// The parts of a drawing: for each box its part, numbered from zero in the order of the boxes.
pub(super) fn parts(count: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut near = vec![Vec::new(); count];
    for &(from, to) in arrows {
        near[from].push(to);
        near[to].push(from);
    }
    let mut part = vec![usize::MAX; count];
    let mut parts = 0;
    for start in 0..count {
        if part[start] != usize::MAX {
            continue;
        }
        let mut open = vec![start];
        part[start] = parts;
        while let Some(at) = open.pop() {
            for &other in &near[at] {
                if part[other] == usize::MAX {
                    part[other] = parts;
                    open.push(other);
                }
            }
        }
        parts += 1;
    }
    part
}

/// Where each part of this size goes, the largest first; and the size of the whole.
pub(super) fn pack(sizes: &[(f64, f64)], direction: Direction) -> (Vec<Point>, f64, f64) {
    // Parts are put in rows across the page; if arrows go down, a row of parts is a column of the page.
    let turned = |(width, height): (f64, f64)| match direction {
        Direction::Right => (width, height),
        Direction::Down => (height, width),
    };
    let ratio = if direction == Direction::Right { RATIO } else { 1.0 / RATIO };
    let area: f64 = sizes.iter().map(|(width, height)| (width + GAP) * (height + GAP)).sum();
    let widest = sizes.iter().map(|size| turned(*size).0).fold(0.0, f64::max);
    let limit = widest.max((area * ratio).sqrt());
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (turned(sizes[*a]), turned(sizes[*b]));
        b.1.total_cmp(&a.1).then(b.0.total_cmp(&a.0))
    });
    let mut corners = vec![Point { x: 0.0, y: 0.0 }; sizes.len()];
    let (mut x, mut y, mut high, mut wide) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for part in order {
        let (width, height) = turned(sizes[part]);
        if x > 0.0 && x + width > limit {
            y += high + GAP;
            (x, high) = (0.0, 0.0);
        }
        corners[part] = Point::new(direction, x, y);
        high = high.max(height);
        wide = wide.max(x + width);
        x += width + GAP;
    }
    let whole = turned((wide, y + high));
    (corners, whole.0, whole.1)
}

/// Moves a part to its place in the whole.
pub(super) fn moved(part: Drawing, to: Point) -> Drawing {
    let by = |point: Point| Point { x: point.x + to.x, y: point.y + to.y };
    Drawing {
        boxes: part.boxes.into_iter().map(by).collect(),
        ways: part.ways.into_iter().map(|way| way.into_iter().map(by).collect()).collect(),
        ..part
    }
}
