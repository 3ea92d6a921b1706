//! YAML as a tree in which every value knows its line. Strict: a key that stands twice is an error, and size, depth and
//! repetition by aliases are limited.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// Larger files are refused.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;
/// More values than these are refused, aliases counted each time.
const MOST_NODES: usize = 200_000;
/// Deeper values are refused.
const DEEPEST: usize = 64;

/// A value and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Scalar(Value),
    List(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

/// A key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) text: String,
}

/// The tree of a document; an empty one is null.
///
/// # Errors
/// What is wrong, with its line, for people.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    if text.len() > LARGEST {
        return Err("it is larger than 4 MiB".to_owned());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MOST_NODES,
            max_events: 3 * MOST_NODES,
            max_depth: DEEPEST,
        },
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

impl Node {
    /// The text of a text, a number or a truth value.
    pub(super) fn text(&self) -> Option<String> {
        match &self.kind {
            Kind::Scalar(value) => Some(scalar_text(value)),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub(super) fn is_true(&self) -> bool {
        self.kind == Kind::Scalar(Value::Bool(true))
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The members of a table; none of anything else.
    pub(super) fn members(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Table(members) => members,
            _ => &[],
        }
    }

    /// The member of a table.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }

    /// The value without lines.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Table(members) => {
                let members = members.iter().map(|(key, value)| (key.text.clone(), value.value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// A plain value as a command line shows it; lists and tables as JSON.
pub(super) fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Kind, E> {
        // Not-a-number and infinity stay words.
        Ok(Kind::Scalar(Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Kind, A::Error> {
        let mut table = Vec::new();
        while let Some(key) = members.next_key::<Spanned<String>>()? {
            let key = Key { line: key.referenced.line(), text: key.value };
            table.push((key, members.next_value()?));
        }
        Ok(Kind::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_lines() {
        let tree = parse("stages:\n  train:\n    cmd: python train.py\n    deps:\n    - data\n    - 2020\n")
            .unwrap();
        let (key, train) = &tree.get("stages").unwrap().members()[0];
        assert_eq!((key.text.as_str(), key.line), ("train", 2));
        let deps = train.get("deps").unwrap().items();
        assert_eq!((deps[1].text().as_deref(), deps[1].line), (Some("2020"), 6));
        assert_eq!(train.get("cmd").unwrap().line, 3);
    }

    #[test]
    fn words_are_no_truth_values_and_numbers_are_numbers() {
        let tree = parse("a: yes\nb: true\nc: 0.5\nd: 12\ne: ~\nf: .inf\n2020: x\n").unwrap().value();
        assert_eq!(tree.to_string(), r#"{"a":"yes","b":true,"c":0.5,"d":12,"e":null,"f":".inf","2020":"x"}"#);
    }

    #[test]
    fn what_is_wrong_or_too_much_is_refused() {
        assert!(parse("a: 1\na: 2\n").unwrap_err().contains("line 2"));
        assert!(parse("a: [1\n").is_err());
        assert!(parse(&"[".repeat(1000)).is_err());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let inner = format!("*a{},", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(parse(&bomb).is_err());
        assert_eq!(parse("").unwrap().kind, Kind::Null);
    }
}
