//! A request's tensors: from JSON or binary data to what the model takes, without loss, or with a reason why not.
//!
//! Every value is read in the datatype that the client names (an FP32 of 0.1 is the nearest FP32), and then converted to
//! the model's own type if nothing is lost. `null` among floating-point numbers is a missing value (NaN).

use serde_json::Value;
use tidemill_steps::model::{Element, Tensor, TensorSpec};

use crate::answer::Refusal;
use crate::datatype::Datatype;
use crate::protocol::RequestInput;

/// Values in the widest type of their family, before they become what the model takes.
enum Values {
    Floats(Vec<f64>),
    Integers(Vec<i64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

/// The model's tensors from a request's inputs; `binary` is what follows the JSON part.
pub(crate) fn inputs(
    requested: Vec<RequestInput>,
    binary: &[u8],
    specs: &[TensorSpec],
) -> Result<Vec<(String, Tensor)>, Refusal> {
    let mut rest = binary;
    let mut tensors: Vec<(String, Tensor)> = Vec::with_capacity(requested.len());
    for input in requested {
        let Some(spec) = specs.iter().find(|spec| spec.name == input.name) else {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            return Err(Refusal::bad(format!(
                "unknown input {:?}; the model takes {}",
                input.name,
                names.join(", ")
            )));
        };
        if tensors.iter().any(|(name, _)| *name == input.name) {
            return Err(Refusal::bad(format!("input {:?} is given twice", input.name)));
        }
        let shape = shape(&input, spec)?;
        let values = values(&input, &shape, &mut rest)?;
        let tensor = convert(values, shape, spec.element)
            .map_err(|reason| Refusal::bad(format!("input {:?} {reason}", input.name)))?;
        tensors.push((input.name, tensor));
    }
    if !rest.is_empty() {
        return Err(Refusal::bad(format!("{} bytes of binary data belong to no input", rest.len())));
    }
    if let Some(spec) = specs.iter().find(|spec| !tensors.iter().any(|(name, _)| *name == spec.name)) {
        return Err(Refusal::bad(format!("input {:?} is missing", spec.name)));
    }
    same_batch(&tensors, specs)?;
    Ok(tensors)
}

/// Inputs whose first size varies must agree in it.
fn same_batch(tensors: &[(String, Tensor)], specs: &[TensorSpec]) -> Result<(), Refusal> {
    let mut first: Option<(&str, usize)> = None;
    for (name, tensor) in tensors {
        let varies = specs.iter().any(|spec| spec.name == *name && spec.shape.first() == Some(&None));
        let Some(rows) = tensor.shape().first().copied().filter(|_| varies) else { continue };
        match first {
            None => first = Some((name, rows)),
            Some((_, expected)) if expected == rows => {}
            Some((other, expected)) => {
                return Err(Refusal::bad(format!(
                    "input {name:?} has {rows} rows, but input {other:?} has {expected}"
                )));
            }
        }
    }
    Ok(())
}

fn shape(input: &RequestInput, spec: &TensorSpec) -> Result<Vec<usize>, Refusal> {
    let fits = input.shape.len() == spec.shape.len()
        && input.shape.iter().zip(&spec.shape).all(|(given, wanted)| {
            wanted.is_none_or(|wanted| u64::try_from(wanted).is_ok_and(|wanted| wanted == *given))
        });
    let shape: Option<Vec<usize>> = input.shape.iter().map(|size| usize::try_from(*size).ok()).collect();
    match shape.filter(|_| fits) {
        Some(shape) => Ok(shape),
        None => Err(Refusal::bad(format!(
            "input {:?} has the shape {:?}, but the model takes {:?} (-1: any)",
            input.name,
            input.shape,
            wire_shape(&spec.shape)
        ))),
    }
}

/// A shape as the protocol writes it: -1 for a size that varies.
pub(crate) fn wire_shape(shape: &[Option<usize>]) -> Vec<i64> {
    shape.iter().map(|size| size.map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX))).collect()
}

fn values(input: &RequestInput, shape: &[usize], rest: &mut &[u8]) -> Result<Values, Refusal> {
    let wrong = |reason: String| Refusal::bad(format!("input {:?} {reason}", input.name));
    let count = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    let count = count.ok_or_else(|| wrong("has a shape that is too large".to_owned()))?;
    if input.parameters.keys().any(|name| name.starts_with("shared_memory")) {
        return Err(wrong("lies in shared memory, which is not supported".to_owned()));
    }
    match (input.parameters.get("binary_data_size"), &input.data) {
        (Some(_), Some(_)) => Err(wrong("has both data and binary_data_size".to_owned())),
        (Some(size), None) => {
            let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
            let size = size.ok_or_else(|| wrong("has a binary_data_size that is no size".to_owned()))?;
            let (bytes, after) = rest.split_at_checked(size).ok_or_else(|| {
                wrong(format!("announces {size} bytes of binary data, but only {} are left", rest.len()))
            })?;
            *rest = after;
            from_binary(bytes, count, input.datatype).map_err(wrong)
        }
        (None, Some(data)) => {
            let mut flat = Vec::with_capacity(count.min(1 << 20));
            flatten(data, shape, count, &mut flat).map_err(wrong)?;
            from_json(&flat, input.datatype).map_err(wrong)
        }
        (None, None) => Err(wrong("has no data".to_owned())),
    }
}

/// The values in row-major order, of a flat array or of one nested as the shape says.
fn flatten<'a>(
    data: &'a Value,
    shape: &[usize],
    count: usize,
    out: &mut Vec<&'a Value>,
) -> Result<(), String> {
    let Value::Array(items) = data else { return Err("has data that is no array".to_owned()) };
    if items.iter().any(Value::is_array) && shape.len() > 1 {
        return nested(items, shape, out);
    }
    if items.len() != count {
        return Err(format!("has {} values, but its shape {shape:?} holds {count}", items.len()));
    }
    out.extend(items);
    Ok(())
}

fn nested<'a>(items: &'a [Value], shape: &[usize], out: &mut Vec<&'a Value>) -> Result<(), String> {
    let (Some(size), inner) = (shape.first(), shape.get(1..).unwrap_or_default()) else {
        return Err("has data that is nested deeper than its shape".to_owned());
    };
    if items.len() != *size {
        return Err(format!("has a row of {} entries where its shape says {size}", items.len()));
    }
    if inner.is_empty() {
        out.extend(items);
        return Ok(());
    }
    for item in items {
        let Value::Array(items) = item else {
            return Err("has data that is nested unlike its shape".to_owned());
        };
        nested(items, inner, out)?;
    }
    Ok(())
}

fn from_json(items: &[&Value], datatype: Datatype) -> Result<Values, String> {
    let no = |item: &Value| {
        let text: String = item.to_string().chars().take(40).collect();
        format!("holds {text}, which is no {datatype}")
    };
    if let Some((low, high)) = datatype.range() {
        let whole = |item: &&Value| {
            let number = item.as_i64().map(i128::from).or_else(|| item.as_u64().map(i128::from));
            let number = number.filter(|number| (low..=high).contains(number)).ok_or_else(|| no(item))?;
            i64::try_from(number).map_err(|_| format!("holds {number}, which is too large for INT64"))
        };
        return items.iter().map(whole).collect::<Result<_, _>>().map(Values::Integers);
    }
    match datatype {
        Datatype::Fp64 | Datatype::Fp32 => {
            let single = datatype == Datatype::Fp32;
            let float = |item: &&Value| match item {
                Value::Null => Ok(f64::NAN),
                Value::Number(number) => {
                    let number = number.as_f64().ok_or_else(|| no(item))?;
                    Ok(if single { f64::from(number as f32) } else { number })
                }
                _ => Err(no(item)),
            };
            items.iter().map(float).collect::<Result<_, _>>().map(Values::Floats)
        }
        Datatype::Bool => {
            let truth = |item: &&Value| item.as_bool().ok_or_else(|| no(item));
            items.iter().map(truth).collect::<Result<_, _>>().map(Values::Bools)
        }
        Datatype::Bytes => {
            let text = |item: &&Value| item.as_str().map(str::to_owned).ok_or_else(|| no(item));
            items.iter().map(text).collect::<Result<_, _>>().map(Values::Texts)
        }
        _ => Err(format!("is {datatype}, which is taken as binary data only")),
    }
}

fn from_binary(bytes: &[u8], count: usize, datatype: Datatype) -> Result<Values, String> {
    let Some(width) = datatype.width() else { return texts(bytes, count).map(Values::Texts) };
    if Some(bytes.len()) != count.checked_mul(width) {
        return Err(format!("has {} bytes of binary data for {count} values of {datatype}", bytes.len()));
    }
    let values = match datatype {
        Datatype::Fp64 => Values::Floats(numbers(bytes, f64::from_le_bytes)),
        Datatype::Fp32 => Values::Floats(numbers(bytes, |raw| f64::from(f32::from_le_bytes(raw)))),
        Datatype::Fp16 => Values::Floats(numbers(bytes, |raw| half(u16::from_le_bytes(raw)))),
        Datatype::Int8 => Values::Integers(numbers(bytes, |raw| i8::from_le_bytes(raw).into())),
        Datatype::Int16 => Values::Integers(numbers(bytes, |raw| i16::from_le_bytes(raw).into())),
        Datatype::Int32 => Values::Integers(numbers(bytes, |raw| i32::from_le_bytes(raw).into())),
        Datatype::Int64 => Values::Integers(numbers(bytes, i64::from_le_bytes)),
        Datatype::Uint8 => Values::Integers(numbers(bytes, |raw| u8::from_le_bytes(raw).into())),
        Datatype::Uint16 => Values::Integers(numbers(bytes, |raw| u16::from_le_bytes(raw).into())),
        Datatype::Uint32 => Values::Integers(numbers(bytes, |raw| u32::from_le_bytes(raw).into())),
        Datatype::Uint64 => {
            let values = numbers(bytes, u64::from_le_bytes).into_iter();
            let values = values.map(|number| {
                i64::try_from(number).map_err(|_| format!("holds {number}, which is too large for INT64"))
            });
            Values::Integers(values.collect::<Result<_, _>>()?)
        }
        Datatype::Bool => Values::Bools(bytes.iter().map(|byte| *byte != 0).collect()),
        Datatype::Bytes => Values::Texts(Vec::new()),
    };
    Ok(values)
}

fn numbers<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| read(*chunk)).collect()
}

/// Texts, each after its length in four bytes.
fn texts(mut bytes: &[u8], count: usize) -> Result<Vec<String>, String> {
    let short = || "has binary data that ends within a text".to_owned();
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (length, after) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| short())?;
        let (text, after) = after.split_at_checked(length).ok_or_else(short)?;
        let text = std::str::from_utf8(text).map_err(|_| "holds a text that is not UTF-8".to_owned())?;
        texts.push(text.to_owned());
        bytes = after;
    }
    if texts.len() == count {
        Ok(texts)
    } else {
        Err(format!("has {} texts of binary data for {count} values", texts.len()))
    }
}

/// A half-precision number, exactly.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x03ff);
    sign * match (bits >> 10) & 0x1f {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    }
}

/// To the model's own type, if nothing is lost.
fn convert(values: Values, shape: Vec<usize>, element: Element) -> Result<Tensor, String> {
    let lossy = |value: &dyn std::fmt::Display| {
        format!("holds {value}, which is no {} without loss", Datatype::of(element))
    };
    match (values, element) {
        (Values::Floats(values), Element::F64) => Ok(Tensor::F64(shape, values)),
        (Values::Floats(values), Element::F32) => {
            let narrow = |value: f64| {
                let narrow = value as f32;
                let same = value.is_nan() || f64::from(narrow) == value;
                if same { Ok(narrow) } else { Err(lossy(&value)) }
            };
            Ok(Tensor::F32(shape, values.into_iter().map(narrow).collect::<Result<_, _>>()?))
        }
        (Values::Floats(values), Element::I64) => {
            let whole = |value: f64| {
                let exact = value.fract() == 0.0 && value.abs() <= LARGEST_EXACT;
                if exact { Ok(value as i64) } else { Err(lossy(&value)) }
            };
            Ok(Tensor::I64(shape, values.into_iter().map(whole).collect::<Result<_, _>>()?))
        }
        (Values::Integers(values), Element::I64) => Ok(Tensor::I64(shape, values)),
        (Values::Integers(values), Element::F64) => {
            let float = |value: i64| {
                let float = value as f64;
                if float as i128 == i128::from(value) { Ok(float) } else { Err(lossy(&value)) }
            };
            Ok(Tensor::F64(shape, values.into_iter().map(float).collect::<Result<_, _>>()?))
        }
        (Values::Integers(values), Element::F32) => {
            let float = |value: i64| {
                let float = value as f32;
                if float as i128 == i128::from(value) { Ok(float) } else { Err(lossy(&value)) }
            };
            Ok(Tensor::F32(shape, values.into_iter().map(float).collect::<Result<_, _>>()?))
        }
        (Values::Bools(values), Element::Bool) => Ok(Tensor::Bool(shape, values)),
        (Values::Texts(values), Element::Text) => Ok(Tensor::Text(shape, values)),
        _ => {
            Err(format!("has a datatype that cannot become {}, which the model takes", Datatype::of(element)))
        }
    }
}

/// Up to here every whole number is a double: 2^53.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn through(datatype: Datatype, data: &Value, element: Element) -> Result<Tensor, String> {
        let mut flat = Vec::new();
        let Value::Array(items) = data else { panic!("an array") };
        flatten(data, &[items.len()], items.len(), &mut flat)?;
        convert(from_json(&flat, datatype)?, vec![items.len()], element)
    }

    #[test]
    fn a_number_becomes_what_the_model_takes_only_without_loss() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let good = [
            (Datatype::Fp32, "[0.1]", Tensor::F32(vec![1], vec![0.1])),
            (Datatype::Fp32, "[0.1]", Tensor::F64(vec![1], vec![f64::from(0.1_f32)])),
            (Datatype::Fp64, "[0.5]", Tensor::F32(vec![1], vec![0.5])),
            (Datatype::Fp64, "[3.0]", Tensor::I64(vec![1], vec![3])),
            (Datatype::Int64, "[9007199254740994]", Tensor::F64(vec![1], vec![9_007_199_254_740_994.0])),
            (Datatype::Uint32, "[16777216]", Tensor::F32(vec![1], vec![16_777_216.0])),
            (Datatype::Int16, "[-3]", Tensor::I64(vec![1], vec![-3])),
        ];
        for (datatype, text, tensor) in good {
            assert_eq!(through(datatype, &json(text), tensor.element()), Ok(tensor));
        }
        let lossy = [
            (Datatype::Fp64, "[0.1]", Element::F32),
            (Datatype::Fp64, "[0.5]", Element::I64),
            (Datatype::Fp64, "[null]", Element::I64),
            (Datatype::Fp64, "[1e300]", Element::I64),
            (Datatype::Int64, "[9007199254740993]", Element::F64),
            (Datatype::Int32, "[16777217]", Element::F32),
            (Datatype::Uint64, "[18446744073709551615]", Element::F64),
            (Datatype::Bool, "[true]", Element::I64),
        ];
        for (datatype, text, element) in lossy {
            assert!(through(datatype, &json(text), element).is_err(), "{datatype} {text}");
        }
    }

    #[test]
    fn binary_numbers_are_read_exactly() {
        let read = |bytes: &[u8], datatype| match from_binary(bytes, 1, datatype) {
            Ok(Values::Floats(values)) => values[0],
            Ok(Values::Integers(values)) => values[0] as f64,
            _ => panic!("{datatype}"),
        };
        assert_eq!(read(&0x3c00_u16.to_le_bytes(), Datatype::Fp16), 1.0);
        assert_eq!(read(&0xc000_u16.to_le_bytes(), Datatype::Fp16), -2.0);
        assert_eq!(read(&0x3555_u16.to_le_bytes(), Datatype::Fp16), 0.333_251_953_125);
        assert_eq!(read(&0x0001_u16.to_le_bytes(), Datatype::Fp16), 2f64.powi(-24));
        assert_eq!(read(&0x7bff_u16.to_le_bytes(), Datatype::Fp16), 65504.0);
        assert_eq!(read(&0xfc00_u16.to_le_bytes(), Datatype::Fp16), f64::NEG_INFINITY);
        assert!(read(&0x7e00_u16.to_le_bytes(), Datatype::Fp16).is_nan());
        assert_eq!(read(&[0xff], Datatype::Int8), -1.0);
        assert_eq!(read(&[0xff], Datatype::Uint8), 255.0);
        assert_eq!(read(&[0xfe, 0xff], Datatype::Int16), -2.0);
        assert!(from_binary(&[0; 7], 1, Datatype::Fp64).is_err());
        assert!(from_binary(&u64::MAX.to_le_bytes(), 1, Datatype::Uint64).is_err());
    }

    #[test]
    fn binary_texts_carry_their_lengths() {
        let bytes = [&[1, 0, 0, 0][..], b"a", &[0, 0, 0, 0]].concat();
        assert_eq!(texts(&bytes, 2).unwrap(), ["a", ""]);
        for wrong in [&bytes[..3], &bytes[..4], &bytes[..7], &[1, 0, 0, 0, 0xff][..], &[0xff; 8][..]] {
            assert!(texts(wrong, 1).is_err(), "{wrong:?}");
        }
        assert!(texts(&bytes, 3).is_err());
    }
}
