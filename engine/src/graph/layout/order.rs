//! The order within each layer: by the mean of the neighbours' places, down and up again, keeping what crosses least.

use super::layered::Layers;

/// How often the layers are put in order.
const SWEEPS: usize = 24;
/// With more lines than this, neighbours are not tried the other way round one by one.
const MOST_SWAPPED: usize = 2000;

/// Puts every layer in an order with few crossings.
pub(super) fn reduce_crossings(layers: &mut Layers) {
    let mut best = (layers.rows.clone(), crossings(layers));
    for sweep in 0..SWEEPS {
        if best.1 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let count = layers.rows.len();
        for place in 0..count {
            let row = if down { place } else { count - 1 - place };
            sort(layers, row, down);
        }
        if layers.lines <= MOST_SWAPPED {
            swap_neighbours(layers);
        }
        let crossings = crossings(layers);
        if crossings < best.1 {
            best = (layers.rows.clone(), crossings);
        }
    }
    layers.rows = best.0;
    layers.renumber();
}

/// Sorts a layer by where its neighbours of the layer before, or after, lie; who has none stays.
fn sort(layers: &mut Layers, row: usize, by_before: bool) {
    let means: Vec<(f64, usize)> = layers.rows[row]
        .iter()
        .map(|&at| {
            let neighbours = if by_before { &layers.before[at] } else { &layers.after[at] };
            let places: Vec<f64> = neighbours.iter().map(|near| layers.place[*near] as f64).collect();
            let mean = match places.len() {
                0 => layers.place[at] as f64,
                count => places.iter().sum::<f64>() / count as f64,
            };
            (mean, at)
        })
        .collect();
    let mut means = means;
    means.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    layers.rows[row] = means.into_iter().map(|(_, at)| at).collect();
    layers.renumber_row(row);
}

/// Changes the places of neighbours where that makes fewer lines cross.
fn swap_neighbours(layers: &mut Layers) {
    for row in 0..layers.rows.len() {
        for place in 1..layers.rows[row].len() {
            let (left, right) = (layers.rows[row][place - 1], layers.rows[row][place]);
            if between(layers, right, left) < between(layers, left, right) {
                layers.rows[row].swap(place - 1, place);
                layers.renumber_row(row);
            }
        }
    }
}

/// How many lines of two boxes cross if the first lies before the second.
fn between(layers: &Layers, first: usize, second: usize) -> usize {
    let count = |a: &[usize], b: &[usize]| {
        let crosses = |from: &usize| b.iter().filter(|to| layers.place[**to] < layers.place[*from]).count();
        a.iter().map(crosses).sum::<usize>()
    };
    count(&layers.before[first], &layers.before[second]) + count(&layers.after[first], &layers.after[second])
}

/// How many lines cross.
fn crossings(layers: &Layers) -> usize {
    layers.rows.windows(2).map(|rows| crossings_between(layers, &rows[0], rows[1].len())).sum()
}

/// How many lines cross between a layer and the next, which has so many boxes: inversions, counted with a Fenwick tree.
fn crossings_between(layers: &Layers, row: &[usize], next: usize) -> usize {
    let mut tree = vec![0_usize; next + 1];
    let (mut crossings, mut seen) = (0, 0);
    for at in row {
        let mut ends: Vec<usize> = layers.after[*at].iter().map(|to| layers.place[*to]).collect();
        ends.sort_unstable();
        for end in &ends {
            let mut place = end + 1;
            let mut not_beyond = 0;
            while place > 0 {
                not_beyond += tree[place];
                place &= place - 1;
            }
            crossings += seen - not_beyond;
        }
        for end in &ends {
            let mut place = end + 1;
            while place <= next {
                tree[place] += 1;
                place += place & place.wrapping_neg();
            }
        }
        seen += ends.len();
    }
    crossings
}
