//! What holds for every drawing, whatever the graph.

use proptest::prelude::*;

use super::{Direction, Drawing, Point, Shape, lay_out};

fn shape(key: usize, width: f64) -> Shape {
    Shape { key: format!("step-{key:04}"), width, height: 40.0 + width / 10.0 }
}

/// What is lost by rounding.
const SLACK: f64 = 1e-6;

fn inside(corner: Point, shape: &Shape, at: Point) -> bool {
    at.x > corner.x + SLACK
        && at.x < corner.x + shape.width - SLACK
        && at.y > corner.y + SLACK
        && at.y < corner.y + shape.height - SLACK
}

/// Points along a way: of the straight lines, and of the bends as they are drawn.
fn samples(way: &[Point], direction: Direction) -> Vec<Point> {
    let mut samples = Vec::new();
    for (place, pair) in way.windows(2).enumerate() {
        let (a, b) = (pair[0], pair[1]);
        for step in 0..=20 {
            let t = f64::from(step) / 20.0;
            let between = |a: f64, b: f64| a + (b - a) * t;
            // A cubic curve whose control points lie in the middle of the gap.
            let (slow, fast) = (3.0 * t * t - 2.0 * t * t * t, |a: f64, b: f64| {
                let middle = f64::midpoint(a, b);
                let u = 1.0 - t;
                u * u * u * a + 3.0 * u * u * t * middle + 3.0 * u * t * t * middle + t * t * t * b
            });
            samples.push(match (place % 2, direction) {
                (0, _) => Point { x: between(a.x, b.x), y: between(a.y, b.y) },
                (_, Direction::Right) => Point { x: fast(a.x, b.x), y: a.y + (b.y - a.y) * slow },
                (_, Direction::Down) => Point { x: a.x + (b.x - a.x) * slow, y: fast(a.y, b.y) },
            });
        }
    }
    samples
}

/// Fails unless a drawing is one that can be looked at.
fn check(shapes: &[Shape], arrows: &[(usize, usize)], drawing: &Drawing, direction: Direction) {
    for (at, (shape, corner)) in shapes.iter().zip(&drawing.boxes).enumerate() {
        assert!(corner.x >= -SLACK && corner.y >= -SLACK, "{at} lies in the view");
        assert!(corner.x + shape.width <= drawing.width + SLACK, "{at} lies in the view");
        assert!(corner.y + shape.height <= drawing.height + SLACK, "{at} lies in the view");
        for (other, near) in drawing.boxes[..at].iter().zip(shapes) {
            let apart = corner.x >= other.x + near.width
                || other.x >= corner.x + shape.width
                || corner.y >= other.y + near.height
                || other.y >= corner.y + shape.height;
            assert!(apart, "two boxes overlap");
        }
    }
    for (&(from, to), way) in arrows.iter().zip(&drawing.ways) {
        let (a, b) = (drawing.boxes[from], drawing.boxes[to]);
        match direction {
            Direction::Right => assert!(a.x + shapes[from].width < b.x, "an arrow goes on"),
            Direction::Down => assert!(a.y + shapes[from].height < b.y, "an arrow goes on"),
        }
        assert!(way.len() >= 4 && way.len() % 2 == 0, "lines and bends in turn");
        for at in samples(way, direction) {
            assert!(at.x >= -SLACK && at.x <= drawing.width + SLACK, "an arrow lies in the view");
            assert!(at.y >= -SLACK && at.y <= drawing.height + SLACK, "an arrow lies in the view");
            let under = shapes.iter().zip(&drawing.boxes).any(|(shape, corner)| inside(*corner, shape, at));
            assert!(!under, "no arrow passes under a box: {from} to {to}");
        }
    }
}

fn graphs() -> impl Strategy<Value = (Vec<Shape>, Vec<(usize, usize)>)> {
    (1_usize..30).prop_flat_map(|count| {
        let arrow = (0..count, 0..count).prop_filter_map("forward", |(a, b)| (a < b).then_some((a, b)));
        let arrows = match count {
            1 => Just(Vec::new()).boxed(),
            _ => proptest::collection::btree_set(arrow, 0..count * 2)
                .prop_map(|arrows| arrows.into_iter().collect())
                .boxed(),
        };
        let widths = proptest::collection::vec(60.0_f64..240.0, count);
        (widths, arrows).prop_map(|(widths, arrows)| {
            let shapes = widths.iter().enumerate().map(|(at, width)| shape(at, width.round())).collect();
            (shapes, arrows)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_drawing_can_be_looked_at((shapes, arrows) in graphs()) {
        for direction in [Direction::Right, Direction::Down] {
            check(&shapes, &arrows, &lay_out(&shapes, &arrows, direction), direction);
        }
    }

    #[test]
    fn the_order_in_which_it_comes_changes_nothing(
        (shapes, arrows) in graphs(), seed in any::<u64>()
    ) {
        let straight = lay_out(&shapes, &arrows, Direction::Right);
        let count = shapes.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let mut place = vec![0; count];
        order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
        let turned: Vec<Shape> = order.iter().map(|old| shapes[*old].clone()).collect();
        let mut lines: Vec<(usize, usize)> = arrows.iter().map(|(a, b)| (place[*a], place[*b])).collect();
        lines.reverse();
        let drawing = lay_out(&turned, &lines, Direction::Right);
        for (old, new) in place.iter().enumerate() {
            prop_assert_eq!(straight.boxes[old], drawing.boxes[*new]);
        }
        let mut ways = drawing.ways.clone();
        ways.reverse();
        prop_assert_eq!(straight.ways, ways);
    }
}

#[test]
fn large_graphs_of_every_kind() {
    let chain: Vec<(usize, usize)> = (1..300).map(|at| (at - 1, at)).collect();
    let fan: Vec<(usize, usize)> = (1..299).map(|at| (0, at)).chain((1..299).map(|at| (at, 299))).collect();
    let apart: Vec<(usize, usize)> = (0..100).map(|at| (3 * at, 3 * at + 1)).collect();
    // Every step reads the one before, one ten before and the first.
    let woven: Vec<(usize, usize)> =
        (1..100).flat_map(|at: usize| [(at - 1, at), (at.saturating_sub(10), at), (0, at)]).collect();
    let shapes: Vec<Shape> = (0..300).map(|at| shape(at, 120.0)).collect();
    for arrows in [chain, fan, apart, woven] {
        for direction in [Direction::Right, Direction::Down] {
            check(&shapes, &arrows, &lay_out(&shapes, &arrows, direction), direction);
        }
    }
    assert_eq!(lay_out(&[], &[], Direction::Down).boxes, []);
}

#[test]
fn a_chain_is_a_straight_line() {
    let shapes: Vec<Shape> = (0..5).map(|at| shape(at, 100.0 + 20.0 * at as f64)).collect();
    let arrows = [(0, 1), (1, 2), (2, 3), (3, 4)];
    let drawing = lay_out(&shapes, &arrows, Direction::Down);
    for way in &drawing.ways {
        assert!(way.iter().all(|point| (point.x - way[0].x).abs() < 0.01), "{way:?}");
    }
}
