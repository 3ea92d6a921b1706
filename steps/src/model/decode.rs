//! From the messages of `onnx.proto` to tensors and specifications, refusing what is not as the format says.

use super::proto::{BOOL, DOUBLE, FLOAT, INT64, STRING, TensorProto, ValueInfo};
use super::tensor::volume;
use super::{Element, ModelError, Tensor, TensorSpec};

/// The element type with this number in `onnx.proto`.
pub(super) fn element(code: i32, name: &str) -> Result<Element, ModelError> {
    match code {
        FLOAT => Ok(Element::F32),
        INT64 => Ok(Element::I64),
        STRING => Ok(Element::Text),
        BOOL => Ok(Element::Bool),
        DOUBLE => Ok(Element::F64),
        _ => Err(ModelError::UnknownElement { name: name.to_owned(), code }),
    }
}

/// What an input or output of the graph declares.
pub(super) fn spec(info: &ValueInfo) -> Result<TensorSpec, ModelError> {
    let missing = || ModelError::Malformed(format!("`{}` has no tensor type with a shape", info.name));
    let tensor = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).ok_or_else(missing)?;
    let shape = tensor.shape.as_ref().ok_or_else(missing)?;
    let lengths = shape.dim.iter().map(|dim| match dim.dim_value {
        Some(value) => usize::try_from(value)
            .map(Some)
            .map_err(|_| ModelError::Malformed(format!("`{}` has a negative length", info.name))),
        None => Ok(None),
    });
    Ok(TensorSpec {
        name: info.name.clone(),
        element: element(tensor.elem_type, &info.name)?,
        shape: lengths.collect::<Result<_, _>>()?,
    })
}

/// The tensor of an initializer.
pub(super) fn tensor(message: TensorProto) -> Result<Tensor, ModelError> {
    let name = message.name;
    if message.data_location != 0 {
        return Err(ModelError::Malformed(format!("the elements of `{name}` lie in another file")));
    }
    let shape = message
        .dims
        .iter()
        .map(|length| usize::try_from(*length))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ModelError::Malformed(format!("`{name}` has a negative length")))?;
    let volume = volume(&shape)?;
    let raw = message.raw_data.as_deref();
    let tensor = match element(message.data_type, &name)? {
        Element::F64 => Tensor::F64(shape, numbers(raw, message.double_data, f64::from_le_bytes)),
        Element::F32 => Tensor::F32(shape, numbers(raw, message.float_data, f32::from_le_bytes)),
        Element::I64 => Tensor::I64(shape, numbers(raw, message.int64_data, i64::from_le_bytes)),
        Element::Bool => {
            let listed = message.int32_data.iter().map(|value| *value != 0).collect();
            Tensor::Bool(shape, numbers(raw, listed, |[byte]: [u8; 1]| byte != 0))
        }
        Element::Text => {
            let texts = message.string_data.into_iter().map(String::from_utf8).collect::<Result<_, _>>();
            Tensor::Text(shape, texts.map_err(|_| ModelError::Malformed(format!("`{name}` is not UTF-8")))?)
        }
    };
    if tensor.len() == volume {
        return Ok(tensor);
    }
    Err(ModelError::WrongCount { found: tensor.len(), shape: tensor.shape().to_vec(), name })
}

/// Elements given as raw little-endian bytes, or else as a list. A rest of bytes shows as a wrong count.
fn numbers<T, const N: usize>(raw: Option<&[u8]>, listed: Vec<T>, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let Some(raw) = raw else { return listed };
    if raw.len() % N != 0 {
        return Vec::new();
    }
    let chunk = |bytes: &[u8]| {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        read(array)
    };
    raw.chunks_exact(N).map(chunk).collect()
}
