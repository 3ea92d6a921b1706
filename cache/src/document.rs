//! The canonical document: a small typed tree with exactly one encoding, the only bytes ever hashed for a key.
//!
//! Format: a tag byte, then for text, bytes, lists and maps a length (u64, little endian), then the content. Maps are
//! sorted by the bytes of their keys. Integers are i64 little endian; floats are the IEEE 754 bits, little endian, with
//! `-0.0` written as `0.0` and NaN refused. No length or value can be read in two ways, so two documents are equal if and
//! only if their bytes are.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A typed tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Nothing there.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; never NaN.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, such as a digest.
    Bytes(Vec<u8>),
    /// An ordered list.
    List(Vec<Document>),
    /// A map, sorted by key.
    Map(BTreeMap<String, Document>),
}

/// Bytes that are no canonical document, or a value that has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// NaN has no canonical form.
    #[error("a number is not a number (NaN)")]
    NotANumber,
    /// The bytes end too early, hold an unknown tag, an unsorted map, or more than one document.
    #[error("the bytes are no canonical document: {0} at byte {1}")]
    Malformed(&'static str, usize),
}

impl Document {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A map from pairs.
    #[must_use]
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The member of a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(name),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// If a number is NaN.
    pub fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        let mut bytes = Vec::with_capacity(256);
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    /// The document that these canonical bytes encode.
    ///
    /// # Errors
    /// If they are not exactly one canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        let mut reader = Reader { bytes, at: 0, depth: 0 };
        let document = reader.document()?;
        if reader.at == bytes.len() {
            Ok(document)
        } else {
            Err(DocumentError::Malformed("more follows", reader.at))
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), DocumentError> {
        match self {
            Self::Null => out.push(b'n'),
            Self::Bool(value) => out.extend([b'b', u8::from(*value)]),
            Self::Int(value) => {
                out.push(b'i');
                out.extend(value.to_le_bytes());
            }
            Self::Float(value) if value.is_nan() => return Err(DocumentError::NotANumber),
            Self::Float(value) => {
                out.push(b'f');
                // Adding zero turns -0.0 into 0.0 and leaves every other number as it is.
                out.extend((value + 0.0).to_bits().to_le_bytes());
            }
            Self::Text(text) => write_bytes(b't', text.as_bytes(), out),
            Self::Bytes(bytes) => write_bytes(b'x', bytes, out),
            Self::List(items) => {
                write_length(b'l', items.len(), out);
                for item in items {
                    item.write(out)?;
                }
            }
            Self::Map(map) => {
                write_length(b'm', map.len(), out);
                for (name, value) in map {
                    write_bytes(b't', name.as_bytes(), out);
                    value.write(out)?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn write_length(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((length as u64).to_le_bytes());
}

pub(crate) fn write_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    write_length(tag, bytes.len(), out);
    out.extend(bytes);
}

/// Nesting beyond this is refused, so that bytes from outside cannot overflow the stack.
const MAX_DEPTH: usize = 64;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Document, DocumentError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.malformed("nested too deeply");
        }
        let document = match self.take(1)?[0] {
            b'n' => Document::Null,
            b'b' => match self.take(1)?[0] {
                0 => Document::Bool(false),
                1 => Document::Bool(true),
                _ => return self.malformed("a truth value is neither 0 nor 1"),
            },
            b'i' => Document::Int(i64::from_le_bytes(self.array()?)),
            b'f' => self.float()?,
            b't' => Document::Text(self.text()?),
            b'x' => {
                let length = self.length()?;
                Document::Bytes(self.take(length)?.to_vec())
            }
            b'l' => {
                let length = self.length()?;
                let mut items = Vec::with_capacity(length.min(1024));
                for _ in 0..length {
                    items.push(self.document()?);
                }
                Document::List(items)
            }
            b'm' => self.map()?,
            _ => return self.malformed("an unknown tag"),
        };
        self.depth -= 1;
        Ok(document)
    }

    fn float(&mut self) -> Result<Document, DocumentError> {
        let value = f64::from_bits(u64::from_le_bytes(self.array()?));
        if value.is_nan() || (value == 0.0 && value.is_sign_negative()) {
            return self.malformed("a number that is not canonical");
        }
        Ok(Document::Float(value))
    }

    fn map(&mut self) -> Result<Document, DocumentError> {
        let length = self.length()?;
        let mut map = BTreeMap::new();
        for _ in 0..length {
            if self.take(1)? != b"t" {
                return self.malformed("a name is not text");
            }
            let name = self.text()?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return self.malformed("the names are not sorted");
            }
            let value = self.document()?;
            map.insert(name, value);
        }
        Ok(Document::Map(map))
    }

    fn text(&mut self) -> Result<String, DocumentError> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => self.malformed("text is not UTF-8"),
        }
    }

    fn length(&mut self) -> Result<usize, DocumentError> {
        let length = u64::from_le_bytes(self.array()?);
        // Every element takes at least one byte, so a larger length cannot be true.
        if length > (self.bytes.len() - self.at) as u64 {
            return self.malformed("a length beyond the end");
        }
        usize::try_from(length).or_else(|_| self.malformed("a length beyond the end"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DocumentError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DocumentError> {
        let Some(bytes) = self.bytes.get(self.at..self.at + length) else {
            return self.malformed("the bytes end too early");
        };
        self.at += length;
        Ok(bytes)
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, DocumentError> {
        Err(DocumentError::Malformed(what, self.at))
    }
}

/// As a person writes it: text bare, lists in brackets, bytes in hexadecimal.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("none"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                for (index, (name, value)) in map.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name} = {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// For people as JSON, in which bytes become hexadecimal text; in a format that is not for people as the canonical bytes.
impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.encode().map_err(ser::Error::custom)?);
        }
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(_) => serializer.collect_str(self),
            Self::List(items) => items.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

/// From its canonical bytes only: JSON does not tell all that a document is made of.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Canonical;

        impl de::Visitor<'_> for Canonical {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the canonical bytes of a document")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Document, E> {
                Document::decode(bytes).map_err(E::custom)
            }
        }

        deserializer.deserialize_bytes(Canonical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn documents() -> impl Strategy<Value = Document> {
        let leaf = prop_oneof![
            Just(Document::Null),
            any::<bool>().prop_map(Document::Bool),
            any::<i64>().prop_map(Document::Int),
            any::<f64>().prop_filter("NaN", |f| !f.is_nan()).prop_map(|f| Document::Float(f + 0.0)),
            ".{0,12}".prop_map(Document::Text),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(Document::Bytes),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Document::List),
                prop::collection::btree_map(".{0,6}", inner, 0..6).prop_map(Document::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(document in documents()) {
            prop_assert_eq!(Document::decode(&document.encode().unwrap()).unwrap(), document);
        }

        #[test]
        fn bytes_that_decode_are_canonical(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(document) = Document::decode(&bytes) {
                prop_assert_eq!(document.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn different_documents_have_different_bytes(a in documents(), b in documents()) {
            prop_assert_eq!(a == b, a.encode().unwrap() == b.encode().unwrap());
        }
    }

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(Document::Float(-0.0).encode(), Document::Float(0.0).encode());
        assert_eq!(Document::Float(f64::NAN).encode(), Err(DocumentError::NotANumber));
        assert_ne!(Document::Int(1).encode(), Document::Float(1.0).encode());
    }
}
