//! `foreach` and `matrix`: the members of a stage, and whether the pipeline can say the same with a matrix of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidemill_engine::name::AxisName;

use super::text::Scope;
use super::yaml::{Node, scalar_text};

/// More members of one stage are not translated.
const MOST: usize = 1000;

/// What a stage is repeated over.
#[derive(Debug)]
pub(super) struct Fan {
    /// The axes with their values, if all values are plain ones.
    pub(super) axes: Vec<(String, Vec<Value>)>,
    /// What in `${item…}` stands for which axis.
    pub(super) letters: BTreeMap<String, String>,
    pub(super) items: Vec<Item>,
}

/// One member.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) value: Option<Value>,
    pub(super) key: Option<Value>,
    /// What DVC puts behind the `@`.
    pub(super) suffix: Option<String>,
    /// The values of the axes, as text.
    pub(super) axes: BTreeMap<String, String>,
}

impl Fan {
    /// What this stage is repeated over.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub(super) fn read(stage: &Node, scope: &Scope<'_>) -> Result<Self, String> {
        let fan = match (stage.get("foreach"), stage.get("matrix")) {
            (Some(over), _) => Self::foreach(&resolved(over, scope)?)?,
            (None, Some(matrix)) => {
                let axis = |(key, node): &(super::yaml::Key, Node)| match resolved(node, scope)? {
                    Value::Array(items) => Ok((key.text.clone(), items)),
                    _ => Err(format!("the axis `{}` is no list", key.text)),
                };
                Self::matrix(&matrix.members().iter().map(axis).collect::<Result<Vec<_>, String>>()?)?
            }
            (None, None) => Self { axes: Vec::new(), letters: BTreeMap::new(), items: vec![Item::default()] },
        };
        match fan.items.len() {
            0 => Err("it is repeated over nothing".to_owned()),
            count if count > MOST => {
                Err(format!("it has {count} members, and more than {MOST} are not translated"))
            }
            _ => Ok(fan),
        }
    }

    fn foreach(over: &Value) -> Result<Self, String> {
        let mut fan = Self { axes: Vec::new(), letters: BTreeMap::new(), items: Vec::new() };
        match over {
            Value::Array(items) => {
                let plain = items.iter().all(is_plain);
                if plain {
                    fan.axes.push(("item".to_owned(), items.clone()));
                    fan.letters.insert(String::new(), "item".to_owned());
                }
                for (place, item) in items.iter().enumerate() {
                    let text = scalar_text(item);
                    fan.items.push(Item {
                        suffix: Some(if is_plain(item) { text.clone() } else { place.to_string() }),
                        axes: if plain {
                            BTreeMap::from([("item".to_owned(), text)])
                        } else {
                            BTreeMap::new()
                        },
                        value: Some(item.clone()),
                        key: None,
                    });
                }
            }
            Value::Object(members) => fan.items.extend(members.iter().map(|(key, value)| Item {
                value: Some(value.clone()),
                key: Some(key.clone().into()),
                suffix: Some(key.clone()),
                axes: BTreeMap::new(),
            })),
            _ => return Err("`foreach` is neither a list nor a table".to_owned()),
        }
        Ok(fan)
    }

    fn matrix(axes: &[(String, Vec<Value>)]) -> Result<Self, String> {
        let plain =
            axes.iter().all(|(name, values)| AxisName::new(name).is_ok() && values.iter().all(is_plain));
        let count = axes.iter().try_fold(1_usize, |count, (_, values)| count.checked_mul(values.len()));
        if count.is_none_or(|count| count > MOST) {
            return Err(format!("it has more than {MOST} members, and so many are not translated"));
        }
        let mut items = vec![(Map::new(), Vec::new(), BTreeMap::new())];
        for (name, values) in axes {
            let with =
                |(item, suffix, texts): (Map<String, Value>, Vec<String>, BTreeMap<String, String>)| {
                    values.iter().enumerate().map(move |(place, value)| {
                        let (mut item, mut suffix, mut texts) = (item.clone(), suffix.clone(), texts.clone());
                        let text = scalar_text(value);
                        suffix.push(if is_plain(value) { text.clone() } else { format!("{name}{place}") });
                        texts.insert(name.clone(), text);
                        item.insert(name.clone(), value.clone());
                        (item, suffix, texts)
                    })
                };
            items = items.into_iter().flat_map(with).collect();
        }
        let item = |(item, suffix, axes): (Map<String, Value>, Vec<String>, BTreeMap<String, String>)| {
            let suffix = suffix.join("-");
            Item {
                value: Some(Value::Object(item)),
                key: Some(suffix.clone().into()),
                suffix: Some(suffix),
                axes: if plain { axes } else { BTreeMap::new() },
            }
        };
        let letters = axes.iter().map(|(name, _)| (name.clone(), name.clone())).filter(|_| plain);
        Ok(Self {
            letters: letters.collect(),
            axes: if plain { axes.to_vec() } else { Vec::new() },
            items: items.into_iter().map(item).collect(),
        })
    }
}

/// A list or table, with the value itself in the place of a `${…}` that is all of a text.
fn resolved(node: &Node, scope: &Scope<'_>) -> Result<Value, String> {
    fn fill(value: Value, scope: &Scope<'_>) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) if text.contains("${") => {
                scope.value(&text).ok_or_else(|| format!("`{text}` names nothing that is known"))?
            }
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| fill(item, scope)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let filled = members.into_iter().map(|(name, value)| Ok((name, fill(value, scope)?)));
                Value::Object(filled.collect::<Result<_, String>>()?)
            }
            value => value,
        })
    }
    fill(node.value(), scope)
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn read(text: &str) -> Result<Fan, String> {
        let vars = serde_json::json!({ "models": ["cnn", "rnn"] });
        let vars = vars.as_object().unwrap();
        let scope = Scope { vars, own: Map::new(), item: None, key: None, axes: BTreeMap::new() };
        Fan::read(&yaml::parse(text).unwrap(), &scope)
    }

    fn suffixes(fan: &Fan) -> Vec<&str> {
        fan.items.iter().filter_map(|item| item.suffix.as_deref()).collect()
    }

    #[test]
    fn members_are_named_as_dvc_names_them() {
        let fan = read("foreach: [us, 2]\ndo: {}").unwrap();
        assert_eq!((suffixes(&fan), fan.axes.len()), (vec!["us", "2"], 1));
        let fan = read("foreach: [{a: 1}, {a: 2}]\ndo: {}").unwrap();
        assert_eq!((suffixes(&fan), fan.axes.len()), (vec!["0", "1"], 0));
        let fan = read("foreach: {x: 1, y: {a: 2}}\ndo: {}").unwrap();
        assert_eq!((suffixes(&fan), fan.axes.len()), (vec!["x", "y"], 0));
        let fan = read("matrix:\n  model: ${models}\n  lr: [0.1, 1]\n").unwrap();
        assert_eq!(suffixes(&fan), ["cnn-0.1", "cnn-1", "rnn-0.1", "rnn-1"]);
        assert_eq!(fan.axes.len(), 2);
        let fan = read("matrix:\n  model: [{name: a}, {name: b}]\n").unwrap();
        assert_eq!((suffixes(&fan), fan.axes.len()), (vec!["model0", "model1"], 0));
    }

    #[test]
    fn what_cannot_be_repeated_is_told() {
        assert!(read("foreach: 3\ndo: {}").is_err());
        assert!(read("foreach: []\ndo: {}").is_err());
        assert!(read("foreach: ${nothing}\ndo: {}").is_err());
        let wide = "[1,2,3,4,5,6,7,8,9,10]";
        assert!(read(&format!("matrix: {{a: {wide}, b: {wide}, c: {wide}, d: {wide}}}")).is_err());
    }
}
