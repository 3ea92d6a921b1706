//! The layer of each box: after all that it depends on, and as near to its neighbours as that allows.

/// How often the boxes are moved nearer to their neighbours.
const PASSES: usize = 8;

/// The layer of each box, from zero. Arrows that would close a circle count for nothing; there are none in a graph of steps.
pub(in crate::graph) fn ranks(count: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut before = vec![Vec::new(); count];
    let mut after = vec![Vec::new(); count];
    for &(from, to) in arrows {
        after[from].push(to);
        before[to].push(from);
    }
    let order = order(&before, &after);
    let mut ranks = vec![0; count];
    for &at in &order {
        ranks[at] = before[at].iter().map(|from| ranks[*from] + 1).max().unwrap_or(0);
    }
    for _ in 0..PASSES {
        let mut moved = false;
        for &at in order.iter().rev() {
            let Some(limit) = after[at].iter().map(|to| ranks[*to] - 1).min() else { continue };
            // More arrows leave than come: they get shorter if it goes on to what follows.
            if after[at].len() > before[at].len() && limit > ranks[at] {
                ranks[at] = limit;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    ranks
}

/// Every box after all that it depends on, ties as they come.
fn order(before: &[Vec<usize>], after: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..before.len()).filter(|at| waiting[*at] == 0).collect();
    let mut next = 0;
    while next < order.len() {
        for &to in &after[order[next]] {
            waiting[to] -= 1;
            if waiting[to] == 0 {
                order.push(to);
            }
        }
        next += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_comes_after_what_it_depends_on_and_near_to_it() {
        // A chain of four, and a source that only the last one reads.
        assert_eq!(ranks(5, &[(0, 1), (1, 2), (2, 3), (4, 3)]), [0, 1, 2, 3, 2]);
        assert_eq!(ranks(2, &[]), [0, 0]);
    }
}
