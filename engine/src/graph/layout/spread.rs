//! Places across the layers: near to the neighbours, so that lines are straight, in the given order and with the given gaps.

use super::layered::Layers;

/// How often the places are improved.
const PASSES: usize = 20;
/// How much straighter a line between two bends is wanted than one between two boxes.
const BEND: f64 = 12.0;
/// The space between two boxes of a layer, and between two lanes.
const GAP: (f64, f64) = (22.0, 9.0);

/// Which neighbours a box is drawn to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
    Both,
}

/// The centre of each box and bend across the layers; the least side is at zero.
pub(super) fn spread(layers: &Layers) -> Vec<f64> {
    let mut centres = vec![0.0; layers.before.len()];
    for row in &layers.rows {
        for place in 1..row.len() {
            centres[row[place]] = centres[row[place - 1]] + apart(layers, row[place - 1], row[place]);
        }
    }
    let downwards: Vec<usize> = (0..layers.rows.len()).collect();
    let upwards: Vec<usize> = downwards.iter().rev().copied().collect();
    for pass in 0..PASSES {
        let last = pass + 4 >= PASSES;
        let (rows, side) = match (pass % 2, last) {
            (0, false) => (&downwards, Side::Before),
            (_, false) => (&upwards, Side::After),
            (0, true) => (&downwards, Side::Both),
            (_, true) => (&upwards, Side::Both),
        };
        for row in rows {
            settle(layers, *row, side, &mut centres);
        }
    }
    let sides = centres.iter().zip(&layers.across).map(|(centre, across)| centre - across / 2.0);
    let least = sides.fold(f64::INFINITY, f64::min);
    centres.iter_mut().for_each(|centre| *centre -= least);
    centres
}

/// How far apart the centres of two neighbours are at least.
fn apart(layers: &Layers, first: usize, second: usize) -> f64 {
    let (boxes, lanes) = GAP;
    let gap = match (layers.is_bend(first), layers.is_bend(second)) {
        (true, true) => lanes,
        (false, false) => boxes,
        _ => f64::midpoint(boxes, lanes),
    };
    f64::midpoint(layers.across[first], layers.across[second]) + gap
}

/// Moves the boxes of a layer as near to where their neighbours draw them as their order and gaps allow: the least sum of
/// squares, by pooling those that push each other.
fn settle(layers: &Layers, row: usize, side: Side, centres: &mut [f64]) {
    struct Pool {
        sum: f64,
        weight: f64,
        count: usize,
    }
    let row = &layers.rows[row];
    let mut pools: Vec<Pool> = Vec::with_capacity(row.len());
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (place, &at) in row.iter().enumerate() {
        if place > 0 {
            offset += apart(layers, row[place - 1], at);
        }
        offsets.push(offset);
        let (wanted, weight) = wanted(layers, at, side, centres);
        let mut pool = Pool { sum: (wanted - offset) * weight, weight, count: 1 };
        while let Some(last) = pools.last()
            && last.sum / last.weight >= pool.sum / pool.weight
        {
            pool = Pool {
                sum: pool.sum + last.sum,
                weight: pool.weight + last.weight,
                count: pool.count + last.count,
            };
            pools.pop();
        }
        pools.push(pool);
    }
    let mut place = 0;
    for pool in pools {
        for _ in 0..pool.count {
            centres[row[place]] = pool.sum / pool.weight + offsets[place];
            place += 1;
        }
    }
}

/// Where its neighbours draw a box, and how strongly.
fn wanted(layers: &Layers, at: usize, side: Side, centres: &[f64]) -> (f64, f64) {
    let before = layers.before[at].iter().filter(|_| side != Side::After);
    let after = layers.after[at].iter().filter(|_| side != Side::Before);
    let (mut sum, mut weight) = (0.0, 0.0);
    for near in before.chain(after) {
        let strength = if layers.is_bend(at) && layers.is_bend(*near) { BEND } else { 1.0 };
        sum += centres[*near] * strength;
        weight += strength;
    }
    // Who has no neighbour there stays, unless pushed.
    if weight > 0.0 { (sum / weight, weight) } else { (centres[at], 0.1) }
}
