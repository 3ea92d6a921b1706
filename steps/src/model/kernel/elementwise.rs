//! Operators that look at one element of each input at a time.

use super::broadcast::{common, stretched, walk, zip};
use super::{Problem, Tensor};
use crate::model::Element;

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Arithmetic {
    fn f64(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div => left / right,
        }
    }

    fn f32(self, left: f32, right: f32) -> f32 {
        match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div => left / right,
        }
    }

    /// Whole numbers wrap around; a division by zero has no result.
    fn i64(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Self::Add => Some(left.wrapping_add(right)),
            Self::Sub => Some(left.wrapping_sub(right)),
            Self::Mul => Some(left.wrapping_mul(right)),
            Self::Div => (right != 0).then(|| left.wrapping_div(right)),
        }
    }
}

/// `Add`, `Sub`, `Mul`, `Div`.
pub(in crate::model) fn arithmetic(
    how: Arithmetic,
    left: &Tensor,
    right: &Tensor,
) -> Result<Tensor, Problem> {
    match (left, right) {
        (Tensor::F64(ls, l), Tensor::F64(rs, r)) => {
            let (shape, elements) = zip((ls, l), (rs, r), |l, r| how.f64(*l, *r))?;
            Ok(Tensor::F64(shape, elements))
        }
        (Tensor::F32(ls, l), Tensor::F32(rs, r)) => {
            let (shape, elements) = zip((ls, l), (rs, r), |l, r| how.f32(*l, *r))?;
            Ok(Tensor::F32(shape, elements))
        }
        (Tensor::I64(ls, l), Tensor::I64(rs, r)) => {
            let (shape, elements) = zip((ls, l), (rs, r), |l, r| how.i64(*l, *r))?;
            let elements: Option<Vec<i64>> = elements.into_iter().collect();
            Ok(Tensor::I64(shape, elements.ok_or_else(|| Problem("a division by zero".to_owned()))?))
        }
        _ => Err(Problem::elements(&[left, right])),
    }
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// Comparisons with NaN are false.
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// `Equal`, `Less`, `LessOrEqual`; texts and truth values can only be equal.
pub(in crate::model) fn compare(how: Comparison, left: &Tensor, right: &Tensor) -> Result<Tensor, Problem> {
    let (shape, elements) = match (left, right) {
        (Tensor::F64(ls, l), Tensor::F64(rs, r)) => zip((ls, l), (rs, r), |l, r| how.holds(l, r))?,
        (Tensor::F32(ls, l), Tensor::F32(rs, r)) => zip((ls, l), (rs, r), |l, r| how.holds(l, r))?,
        (Tensor::I64(ls, l), Tensor::I64(rs, r)) => zip((ls, l), (rs, r), |l, r| how.holds(l, r))?,
        (Tensor::Text(ls, l), Tensor::Text(rs, r)) if how == Comparison::Equal => {
            zip((ls, l), (rs, r), |l, r| l == r)?
        }
        (Tensor::Bool(ls, l), Tensor::Bool(rs, r)) if how == Comparison::Equal => {
            zip((ls, l), (rs, r), |l, r| l == r)?
        }
        _ => return Err(Problem::elements(&[left, right])),
    };
    Ok(Tensor::Bool(shape, elements))
}

/// `IsNaN`.
pub(in crate::model) fn is_nan(tensor: &Tensor) -> Result<Tensor, Problem> {
    match tensor {
        Tensor::F64(shape, x) => Ok(Tensor::Bool(shape.clone(), x.iter().map(|x| x.is_nan()).collect())),
        Tensor::F32(shape, x) => Ok(Tensor::Bool(shape.clone(), x.iter().map(|x| x.is_nan()).collect())),
        _ => Err(Problem::elements(&[tensor])),
    }
}

/// `Sigmoid`, computed so that no large exponential appears.
pub(in crate::model) fn sigmoid(tensor: &Tensor) -> Result<Tensor, Problem> {
    let logistic = |x: &f64| {
        let small = (-x.abs()).exp();
        if *x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
    };
    match tensor {
        Tensor::F64(shape, x) => Ok(Tensor::F64(shape.clone(), x.iter().map(logistic).collect())),
        _ => Err(Problem::elements(&[tensor])),
    }
}

/// `Cast` between numbers and truth values.
pub(in crate::model) fn cast(to: Element, tensor: &Tensor) -> Result<Tensor, Problem> {
    if tensor.element() == to {
        return Ok(tensor.clone());
    }
    let shape = tensor.shape().to_vec();
    Ok(match (tensor, to) {
        (Tensor::F32(_, x), Element::F64) => Tensor::F64(shape, x.iter().map(|x| f64::from(*x)).collect()),
        (Tensor::F64(_, x), Element::F32) => Tensor::F32(shape, x.iter().map(|x| *x as f32).collect()),
        (Tensor::I64(_, x), Element::F64) => Tensor::F64(shape, x.iter().map(|x| *x as f64).collect()),
        (Tensor::I64(_, x), Element::F32) => Tensor::F32(shape, x.iter().map(|x| *x as f32).collect()),
        (Tensor::F64(_, x), Element::I64) => Tensor::I64(shape, x.iter().map(|x| *x as i64).collect()),
        (Tensor::F32(_, x), Element::I64) => Tensor::I64(shape, x.iter().map(|x| *x as i64).collect()),
        (Tensor::Bool(_, x), Element::F64) => {
            Tensor::F64(shape, x.iter().map(|x| f64::from(u8::from(*x))).collect())
        }
        (Tensor::Bool(_, x), Element::F32) => {
            Tensor::F32(shape, x.iter().map(|x| f32::from(u8::from(*x))).collect())
        }
        (Tensor::Bool(_, x), Element::I64) => Tensor::I64(shape, x.iter().map(|x| i64::from(*x)).collect()),
        _ => return Err(Problem(format!("it does not cast {} to {to}", tensor.element()))),
    })
}

/// `Where`: from the second where the first is true, else from the third.
pub(in crate::model) fn where_(condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor, Problem> {
    let Tensor::Bool(shape, condition) = condition else {
        return Err(Problem::elements(&[condition, yes, no]));
    };
    let condition = (shape.as_slice(), condition.as_slice());
    match (yes, no) {
        (Tensor::F64(ys, y), Tensor::F64(ns, n)) => {
            choose(condition, (ys, y), (ns, n)).map(|(shape, elements)| Tensor::F64(shape, elements))
        }
        (Tensor::F32(ys, y), Tensor::F32(ns, n)) => {
            choose(condition, (ys, y), (ns, n)).map(|(shape, elements)| Tensor::F32(shape, elements))
        }
        (Tensor::I64(ys, y), Tensor::I64(ns, n)) => {
            choose(condition, (ys, y), (ns, n)).map(|(shape, elements)| Tensor::I64(shape, elements))
        }
        (Tensor::Text(ys, y), Tensor::Text(ns, n)) => {
            choose(condition, (ys, y), (ns, n)).map(|(shape, elements)| Tensor::Text(shape, elements))
        }
        _ => Err(Problem::elements(&[yes, no])),
    }
}

fn choose<T: Clone>(
    (shape, condition): (&[usize], &[bool]),
    (yes_shape, yes): (&[usize], &[T]),
    (no_shape, no): (&[usize], &[T]),
) -> Result<(Vec<usize>, Vec<T>), Problem> {
    let all = common(&[shape, yes_shape, no_shape])?;
    let strides = [stretched(shape, &all), stretched(yes_shape, &all), stretched(no_shape, &all)];
    let mut elements = Vec::with_capacity(all.iter().product());
    walk(&all, &strides, |[c, y, n]| {
        elements.push(if condition[c] { yes[y].clone() } else { no[n].clone() });
    });
    Ok((all, elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::F64(shape.to_vec(), elements.to_vec())
    }

    #[test]
    fn numbers_are_imputed_where_they_are_missing() {
        let column = numbers(&[3, 1], &[1.0, f64::NAN, 3.0]);
        let filled = where_(&is_nan(&column).unwrap(), &numbers(&[1], &[9.0]), &column).unwrap();
        assert_eq!(filled, numbers(&[3, 1], &[1.0, 9.0, 3.0]));
    }

    #[test]
    fn texts_become_indicators() {
        let column = Tensor::Text(vec![2, 1], vec!["b".to_owned(), "zz".to_owned()]);
        let categories = Tensor::Text(vec![1, 2], vec!["a".to_owned(), "b".to_owned()]);
        let equal = compare(Comparison::Equal, &column, &categories).unwrap();
        assert_eq!(cast(Element::F64, &equal).unwrap(), numbers(&[2, 2], &[0.0, 1.0, 0.0, 0.0]));
        assert!(compare(Comparison::Less, &column, &categories).is_err());
    }

    #[test]
    fn whole_numbers_do_not_divide_by_zero() {
        let (one, zero) = (Tensor::I64(vec![1], vec![1]), Tensor::I64(vec![1], vec![0]));
        assert!(arithmetic(Arithmetic::Div, &one, &zero).is_err());
        assert!(arithmetic(Arithmetic::Add, &one, &numbers(&[1], &[1.0])).is_err());
    }

    #[test]
    fn the_sigmoid_neither_overflows_nor_loses_its_tails() {
        let Tensor::F64(_, shares) = sigmoid(&numbers(&[4], &[-800.0, 0.0, 800.0, -30.0])).unwrap() else {
            panic!("numbers");
        };
        assert_eq!(shares[..3], [0.0, 0.5, 1.0]);
        assert!((shares[3] / 9.357_622_968_839_3e-14 - 1.0).abs() < 1e-14);
    }

    #[test]
    fn nothing_compares_with_what_is_not_a_number() {
        let nan = numbers(&[1], &[f64::NAN]);
        for how in [Comparison::Equal, Comparison::Less, Comparison::LessOrEqual] {
            assert_eq!(compare(how, &nan, &nan).unwrap(), Tensor::Bool(vec![1], vec![false]));
        }
    }
}
