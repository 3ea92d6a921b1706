//! Operators that pick elements by place, or put tensors beside each other.

use super::{Problem, Tensor, axis};
use crate::model::tensor::volume;

/// The same code for every element type.
macro_rules! each_type {
    ($tensor:expr, |$shape:ident, $elements:ident| $body:expr) => {
        match $tensor {
            Tensor::F64($shape, $elements) => $body.map(|(shape, elements)| Tensor::F64(shape, elements)),
            Tensor::F32($shape, $elements) => $body.map(|(shape, elements)| Tensor::F32(shape, elements)),
            Tensor::I64($shape, $elements) => $body.map(|(shape, elements)| Tensor::I64(shape, elements)),
            Tensor::Bool($shape, $elements) => $body.map(|(shape, elements)| Tensor::Bool(shape, elements)),
            Tensor::Text($shape, $elements) => $body.map(|(shape, elements)| Tensor::Text(shape, elements)),
        }
    };
}

/// `Gather`: slices of `data` along an axis, by their places.
pub(in crate::model) fn gather(along: i64, data: &Tensor, indices: &Tensor) -> Result<Tensor, Problem> {
    let Tensor::I64(index_shape, indices) = indices else {
        return Err(Problem::elements(&[data, indices]));
    };
    let along = axis(along, data.shape().len())?;
    each_type!(data, |shape, elements| gather_slices(along, (shape, elements), (index_shape, indices)))
}

fn gather_slices<T: Clone>(
    along: usize,
    (shape, elements): (&[usize], &[T]),
    (index_shape, indices): (&[usize], &[i64]),
) -> Result<(Vec<usize>, Vec<T>), Problem> {
    let places = indices.iter().map(|index| axis(*index, shape[along])).collect::<Result<Vec<_>, _>>();
    let places = places.map_err(|_| Problem("an index is outside the data".to_owned()))?;
    let outer: usize = shape[..along].iter().product();
    let inner: usize = shape[along + 1..].iter().product();
    let result = [&shape[..along], index_shape, &shape[along + 1..]].concat();
    let mut picked = Vec::with_capacity(volume(&result)?);
    for block in 0..outer {
        for place in &places {
            let start = (block * shape[along] + place) * inner;
            picked.extend_from_slice(&elements[start..start + inner]);
        }
    }
    Ok((result, picked))
}

/// `GatherElements`: for every place of `indices`, the element of `data` whose place along the axis is the index.
pub(in crate::model) fn gather_elements(
    along: i64,
    data: &Tensor,
    indices: &Tensor,
) -> Result<Tensor, Problem> {
    let Tensor::I64(index_shape, indices) = indices else {
        return Err(Problem::elements(&[data, indices]));
    };
    let along = axis(along, data.shape().len())?;
    let other_axes_equal = data.shape().len() == index_shape.len()
        && (0..index_shape.len()).all(|axis| axis == along || data.shape()[axis] == index_shape[axis]);
    if !other_axes_equal {
        return Err(Problem(format!("indices {index_shape:?} do not fit data {:?}", data.shape())));
    }
    each_type!(data, |shape, elements| gather_each(along, (shape, elements), (index_shape, indices)))
}

fn gather_each<T: Clone>(
    along: usize,
    (shape, elements): (&[usize], &[T]),
    (index_shape, indices): (&[usize], &[i64]),
) -> Result<(Vec<usize>, Vec<T>), Problem> {
    let inner: usize = index_shape[along + 1..].iter().product();
    let run = index_shape[along] * inner;
    let mut picked = Vec::with_capacity(indices.len());
    for (place, index) in indices.iter().enumerate() {
        let index =
            axis(*index, shape[along]).map_err(|_| Problem("an index is outside the data".to_owned()))?;
        let (block, within) = (place / run, place % inner);
        picked.push(elements[(block * shape[along] + index) * inner + within].clone());
    }
    Ok((index_shape.to_vec(), picked))
}

/// `Concat`: tensors beside each other along an axis.
pub(in crate::model) fn concat(along: i64, parts: &[&Tensor]) -> Result<Tensor, Problem> {
    let Some(first) = parts.first() else { return Err(Problem("nothing to put together".to_owned())) };
    let along = axis(along, first.shape().len())?;
    let mut shape = first.shape().to_vec();
    shape[along] = 0;
    for part in parts {
        let fits = part.shape().len() == shape.len()
            && part.element() == first.element()
            && (0..shape.len()).all(|axis| axis == along || part.shape()[axis] == shape[axis]);
        if !fits {
            return Err(Problem(format!("{:?} does not fit beside {:?}", part.shape(), first.shape())));
        }
        shape[along] += part.shape()[along];
    }
    volume(&shape)?;
    let outer: usize = shape[..along].iter().product();
    match first {
        Tensor::F64(..) => Ok(Tensor::F64(
            shape,
            interleave(outer, parts, |tensor| match tensor {
                Tensor::F64(_, elements) => elements,
                _ => &[],
            }),
        )),
        Tensor::I64(..) => Ok(Tensor::I64(
            shape,
            interleave(outer, parts, |tensor| match tensor {
                Tensor::I64(_, elements) => elements,
                _ => &[],
            }),
        )),
        Tensor::F32(..) | Tensor::Bool(..) | Tensor::Text(..) => Err(Problem::elements(&[first])),
    }
}

fn interleave<'a, T: Clone + 'a>(
    outer: usize,
    parts: &[&'a Tensor],
    elements: impl Fn(&'a Tensor) -> &'a [T],
) -> Vec<T> {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for block in 0..outer {
        for part in parts {
            let run = part.len() / outer;
            all.extend_from_slice(&elements(part)[block * run..(block + 1) * run]);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::F64(shape.to_vec(), elements.to_vec())
    }

    fn places(shape: &[usize], elements: &[i64]) -> Tensor {
        Tensor::I64(shape.to_vec(), elements.to_vec())
    }

    #[test]
    fn gather_takes_columns_and_rows() {
        let data = numbers(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let columns = gather(1, &data, &places(&[2], &[2, -3])).unwrap();
        assert_eq!(columns, numbers(&[2, 2], &[3.0, 1.0, 6.0, 4.0]));
        let rows = gather(0, &data, &places(&[1, 1], &[1])).unwrap();
        assert_eq!(rows, numbers(&[1, 1, 3], &[4.0, 5.0, 6.0]));
        assert!(gather(0, &data, &places(&[1], &[2])).is_err());
    }

    #[test]
    fn gather_elements_follows_each_row() {
        let data = numbers(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let picked = gather_elements(1, &data, &places(&[2, 2], &[0, 2, 1, 1])).unwrap();
        assert_eq!(picked, numbers(&[2, 2], &[1.0, 3.0, 5.0, 5.0]));
        let down = gather_elements(0, &data, &places(&[1, 3], &[1, 0, 1])).unwrap();
        assert_eq!(down, numbers(&[1, 3], &[4.0, 2.0, 6.0]));
        assert!(gather_elements(1, &data, &places(&[1, 3], &[0, 0, 0])).is_err());
    }

    #[test]
    fn concat_interleaves_rows() {
        let (left, right) = (numbers(&[2, 1], &[1.0, 4.0]), numbers(&[2, 2], &[2.0, 3.0, 5.0, 6.0]));
        assert_eq!(concat(1, &[&left, &right]).unwrap(), numbers(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert!(concat(0, &[&left, &right]).is_err());
        assert_eq!(
            concat(1, &[&numbers(&[0, 1], &[]), &numbers(&[0, 2], &[])]).unwrap(),
            numbers(&[0, 3], &[])
        );
    }
}
