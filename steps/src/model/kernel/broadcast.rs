//! Broadcasting: walking several tensors at once as if each had the same shape.

use super::Problem;
use crate::model::tensor::volume;

/// The shape to which all these shapes broadcast.
pub(super) fn common(shapes: &[&[usize]]) -> Result<Vec<usize>, Problem> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut common = vec![1; rank];
    for shape in shapes {
        for (place, &length) in common[rank - shape.len()..].iter_mut().zip(*shape) {
            if *place == 1 {
                *place = length;
            } else if length != 1 && length != *place {
                return Err(Problem(format!("the shapes {shapes:?} do not fit together")));
            }
        }
    }
    volume(&common)?;
    Ok(common)
}

/// How far apart neighbours along each axis lie in row-major order.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The strides that make a tensor of `shape` look as if it had the shape `common`: zero along repeated axes.
pub(super) fn stretched(shape: &[usize], common: &[usize]) -> Vec<usize> {
    let mut stretched = vec![0; common.len()];
    let offset = common.len() - shape.len();
    for (axis, stride) in strides(shape).into_iter().enumerate() {
        if shape[axis] != 1 {
            stretched[offset + axis] = stride;
        }
    }
    stretched
}

/// Calls `visit` for every element of `shape` in row-major order, with its place under each of the strides.
pub(super) fn walk<const N: usize>(
    shape: &[usize],
    strides: &[Vec<usize>; N],
    mut visit: impl FnMut([usize; N]),
) {
    let volume: usize = shape.iter().product();
    let mut counter = vec![0; shape.len()];
    let mut places = [0; N];
    for _ in 0..volume {
        visit(places);
        for axis in (0..shape.len()).rev() {
            counter[axis] += 1;
            for (place, strides) in places.iter_mut().zip(strides) {
                *place += strides[axis];
            }
            if counter[axis] < shape[axis] {
                break;
            }
            counter[axis] = 0;
            for (place, strides) in places.iter_mut().zip(strides) {
                *place -= strides[axis] * shape[axis];
            }
        }
    }
}

/// Combines two tensors element by element.
pub(super) fn zip<A, B, C>(
    (left_shape, left): (&[usize], &[A]),
    (right_shape, right): (&[usize], &[B]),
    combine: impl Fn(&A, &B) -> C,
) -> Result<(Vec<usize>, Vec<C>), Problem> {
    if left_shape == right_shape {
        let elements = left.iter().zip(right).map(|(l, r)| combine(l, r)).collect();
        return Ok((left_shape.to_vec(), elements));
    }
    let shape = common(&[left_shape, right_shape])?;
    let strides = [stretched(left_shape, &shape), stretched(right_shape, &shape)];
    let mut elements = Vec::with_capacity(volume(&shape)?);
    walk(&shape, &strides, |[l, r]| elements.push(combine(&left[l], &right[r])));
    Ok((shape, elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_and_a_column_make_a_table() {
        let (shape, sums) = zip((&[2, 1], &[10, 20]), (&[3], &[1, 2, 3]), |l, r| l + r).unwrap();
        assert_eq!((shape, sums), (vec![2, 3], vec![11, 12, 13, 21, 22, 23]));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert!(common(&[&[2, 3], &[2]]).is_err());
        assert_eq!(common(&[&[], &[4, 1], &[5]]).unwrap(), [4, 5]);
        assert!(common(&[&[1 << 20, 1], &[1 << 20]]).is_err(), "too large");
    }

    #[test]
    fn nothing_broadcasts_to_nothing() {
        let (shape, elements) = zip((&[0, 1], &[] as &[f64]), (&[1, 2], &[1.0, 2.0]), |l, r| l + r).unwrap();
        assert_eq!((shape, elements), (vec![0, 2], vec![]));
    }
}
