//! Operators that look along an axis: sums, products of matrices, the largest, shares.

use super::broadcast::{strides, walk};
use super::{Problem, Tensor, axis};
use crate::model::tensor::volume;

/// `MatMul` of two matrices; every sum runs from the first column to the last.
pub(in crate::model) fn matmul(left: &Tensor, right: &Tensor) -> Result<Tensor, Problem> {
    let (Tensor::F64(left_shape, l), Tensor::F64(right_shape, r)) = (left, right) else {
        return Err(Problem::elements(&[left, right]));
    };
    let (&[rows, inner], &[height, columns]) = (left_shape.as_slice(), right_shape.as_slice()) else {
        return Err(Problem("it takes matrices only".to_owned()));
    };
    if inner != height {
        return Err(Problem(format!("{left_shape:?} and {right_shape:?} do not fit together")));
    }
    let mut product = vec![0.0; volume(&[rows, columns])?];
    for row in 0..rows {
        let out = &mut product[row * columns..(row + 1) * columns];
        for (place, factor) in l[row * inner..(row + 1) * inner].iter().enumerate() {
            for (sum, value) in out.iter_mut().zip(&r[place * columns..(place + 1) * columns]) {
                *sum += factor * value;
            }
        }
    }
    Ok(Tensor::F64(vec![rows, columns], product))
}

/// `ReduceSum` over these axes.
pub(in crate::model) fn reduce_sum(keep: bool, tensor: &Tensor, axes: &Tensor) -> Result<Tensor, Problem> {
    let (Tensor::F64(shape, elements), Tensor::I64(_, axes)) = (tensor, axes) else {
        return Err(Problem::elements(&[tensor, axes]));
    };
    let axes = axes.iter().map(|along| axis(*along, shape.len())).collect::<Result<Vec<_>, _>>()?;
    let kept: Vec<usize> = shape
        .iter()
        .enumerate()
        .map(|(axis, length)| if axes.contains(&axis) { 1 } else { *length })
        .collect();
    let mut result_strides = strides(&kept);
    axes.iter().for_each(|axis| result_strides[*axis] = 0);
    let mut sums = vec![0.0; kept.iter().product()];
    walk(shape, &[strides(shape), result_strides], |[from, to]| sums[to] += elements[from]);
    let squeezed = || (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect();
    Ok(Tensor::F64(if keep { kept } else { squeezed() }, sums))
}

/// `Softmax` along the last axis.
pub(in crate::model) fn softmax(along: i64, tensor: &Tensor) -> Result<Tensor, Problem> {
    let Tensor::F64(shape, elements) = tensor else { return Err(Problem::elements(&[tensor])) };
    let length = last_axis(along, shape)?;
    let mut shares = Vec::with_capacity(elements.len());
    for row in elements.chunks_exact(length) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|x| (x - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        shares.extend(powers.into_iter().map(|power| power / sum));
    }
    Ok(Tensor::F64(shape.clone(), shares))
}

/// `ArgMax` along the last axis: the first place of the largest element.
pub(in crate::model) fn arg_max(along: i64, keep: bool, tensor: &Tensor) -> Result<Tensor, Problem> {
    let Tensor::F64(shape, elements) = tensor else { return Err(Problem::elements(&[tensor])) };
    let length = last_axis(along, shape)?;
    let mut result = shape.clone();
    result.pop();
    if keep {
        result.push(1);
    }
    let largest = |row: &[f64]| {
        let better = |best: usize, place: usize| if row[place] > row[best] { place } else { best };
        (1..row.len()).fold(0, better) as i64
    };
    Ok(Tensor::I64(result, elements.chunks_exact(length).map(largest).collect()))
}

fn last_axis(along: i64, shape: &[usize]) -> Result<usize, Problem> {
    let place = axis(along, shape.len())?;
    if place + 1 != shape.len() || shape[place] == 0 {
        return Err(Problem("it works along the last axis only, which must not be empty".to_owned()));
    }
    Ok(shape[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::F64(shape.to_vec(), elements.to_vec())
    }

    #[test]
    fn matrices_multiply() {
        let (left, right) = (numbers(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), numbers(&[2, 1], &[10.0, 1.0]));
        assert_eq!(matmul(&left, &right).unwrap(), numbers(&[2, 1], &[12.0, 34.0]));
        assert!(matmul(&right, &left).is_err());
        assert!(matmul(&left, &numbers(&[2], &[1.0, 1.0])).is_err());
    }

    #[test]
    fn sums_run_over_the_axes_that_are_named() {
        let table = numbers(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let along = |axis| Tensor::I64(vec![1], vec![axis]);
        assert_eq!(reduce_sum(true, &table, &along(1)).unwrap(), numbers(&[2, 1], &[6.0, 15.0]));
        assert_eq!(reduce_sum(false, &table, &along(-2)).unwrap(), numbers(&[3], &[5.0, 7.0, 9.0]));
        assert!(reduce_sum(true, &table, &along(2)).is_err());
    }

    #[test]
    fn shares_add_up_and_the_largest_wins() {
        let shares = softmax(1, &numbers(&[1, 2], &[1000.0, 1000.0])).unwrap();
        assert_eq!(shares, numbers(&[1, 2], &[0.5, 0.5]));
        let largest = arg_max(-1, true, &numbers(&[2, 3], &[1.0, 3.0, 3.0, 9.0, 1.0, 0.0])).unwrap();
        assert_eq!(largest, Tensor::I64(vec![2, 1], vec![1, 0]));
        assert!(softmax(0, &numbers(&[2, 1], &[0.0, 1.0])).is_err());
    }
}
