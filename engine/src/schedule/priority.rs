//! Which ready step goes first: the one with the longest remaining path.

/// For every step, its own duration and the longest path after it, in milliseconds. `order` is topological; `downstream`
/// lists the steps that depend on each.
#[must_use]
pub fn priorities(order: &[usize], downstream: &[Vec<usize>], durations: &[u64]) -> Vec<u64> {
    let mut longest = vec![0; durations.len()];
    for &step in order.iter().rev() {
        let after = downstream[step].iter().map(|&next| longest[next]).max().unwrap_or(0);
        longest[step] = durations[step].saturating_add(after);
    }
    longest
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_longest_path_counts() {
        let downstream = [vec![1, 2], vec![3], vec![3], vec![]];
        assert_eq!(super::priorities(&[0, 1, 2, 3], &downstream, &[1, 10, 2, 5]), [16, 15, 7, 5]);
    }
}
