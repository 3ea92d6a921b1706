//! The axes of a matrix with their values, and the combinations of them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use camino::Utf8Path;
use tidemill_cache::Digest;

use crate::Value;
use crate::name::AxisName;
use crate::spec::{self, AxisSpec, AxisValues, Code, Diagnostic, Problems, Span, StepSpec};

use super::fill::Filler;
use super::glob::glob;

/// The axes of one step, sorted by name, their values sorted too, so that the order of the file changes nothing.
#[derive(Debug, Default)]
pub(super) struct Axes {
    axes: Vec<Axis>,
    /// The globs that were asked for, each with the digest of what it found.
    globs: Vec<(String, Digest)>,
}

#[derive(Debug)]
struct Axis {
    name: AxisName,
    values: Vec<Value>,
    /// The place of each value by its text.
    places: BTreeMap<String, usize>,
}

/// One combination: for every axis the place of its value.
pub(super) type Combination = Vec<usize>;

impl Axes {
    /// The axes of a step; none if one of them is wrong, which is told.
    pub(super) fn resolve(
        step: &StepSpec<'_>,
        folder: &Utf8Path,
        params: &BTreeMap<String, Value>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let none = BTreeMap::new();
        let mut filler = Filler::new(params, &none);
        let mut globs = Vec::new();
        // Every axis is looked at, so that all mistakes are told.
        let axes: Vec<Option<Axis>> = step
            .matrix
            .iter()
            .map(|axis| {
                let values = values(axis, folder, &mut filler, &mut globs, problems)?;
                Axis::new(&axis.name, values, &axis.span, problems)
            })
            .collect();
        Some(Self { axes: axes.into_iter().collect::<Option<_>>()?, globs })
    }

    /// The globs that were asked for, each with the digest of what it found.
    pub(super) fn globs(&self) -> &[(String, Digest)] {
        &self.globs
    }

    /// How many combinations there are; none if they are too many to count.
    pub(super) fn count(&self) -> Option<usize> {
        self.axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()))
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &AxisName> {
        self.axes.iter().map(|axis| &axis.name)
    }

    /// The n-th combination; the last axis changes fastest.
    pub(super) fn combination(&self, index: usize) -> Combination {
        let mut rest = index;
        let mut places = vec![0; self.axes.len()];
        for (place, axis) in places.iter_mut().zip(&self.axes).rev() {
            *place = rest % axis.values.len();
            rest /= axis.values.len();
        }
        places
    }

    /// The values of a combination.
    pub(super) fn values(&self, combination: &[usize]) -> BTreeMap<AxisName, Value> {
        self.axes
            .iter()
            .zip(combination)
            .map(|(axis, place)| (axis.name.clone(), axis.values[*place].clone()))
            .collect()
    }

    /// The combinations that have these values on the axes that both have; the fixed values that no combination has, as an error.
    pub(super) fn matching(
        &self,
        values: &BTreeMap<AxisName, Value>,
    ) -> Result<Vec<usize>, Vec<(String, String)>> {
        let mut indices = vec![0];
        let mut absent = Vec::new();
        for axis in &self.axes {
            let places = match values.get(&axis.name).map(label) {
                None => 0..axis.values.len(),
                Some(text) => match axis.places.get(&text) {
                    Some(place) => *place..*place + 1,
                    None => {
                        absent.push((axis.name.to_string(), text));
                        continue;
                    }
                },
            };
            let step = |index: usize| places.clone().map(move |place| index * axis.values.len() + place);
            indices = indices.into_iter().flat_map(step).collect();
        }
        if absent.is_empty() { Ok(indices) } else { Err(absent) }
    }
}

impl Axis {
    fn new(
        name: &AxisName,
        mut values: Vec<(Value, &Span)>,
        span: &Span,
        problems: &mut Problems,
    ) -> Option<Self> {
        if values.is_empty() {
            let message = format!("the matrix axis `{name}` has no values");
            problems.add(
                Diagnostic::new(Code::Axis, message)
                    .at(span, "an empty list makes no step")
                    .help("for example `[1, 2, 3]`"),
            );
            return None;
        }
        values.sort_by(|(left, _), (right, _)| order(left, right));
        let mut places = BTreeMap::new();
        for (place, (value, here)) in values.iter().enumerate() {
            if let Value::List(_) | Value::Map(_) = value {
                let message = format!("a value of the axis `{name}` is {}", spec::noun(value));
                problems.add(Diagnostic::new(Code::Axis, message).at(here, ""));
                return None;
            }
            if let Some(first) = places.insert(label(value), place) {
                let message = format!("the axis `{name}` has the value `{}` twice", spec::text(value));
                let mut diagnostic = Diagnostic::new(Code::Axis, message).at(here, "again here");
                if values[first].1 != *here {
                    diagnostic = diagnostic.at(values[first].1, "first here");
                }
                problems.add(diagnostic.help("each value makes one step: keep one of them"));
                return None;
            }
        }
        Some(Self {
            name: name.clone(),
            values: values.into_iter().map(|(value, _)| value).collect(),
            places,
        })
    }
}

/// The values of an axis as they are written, each with the place to show if it is wrong.
fn values<'a>(
    axis: &'a AxisSpec,
    folder: &Utf8Path,
    filler: &mut Filler<'_>,
    globs: &mut Vec<(String, Digest)>,
    problems: &mut Problems,
) -> Option<Vec<(Value, &'a Span)>> {
    match &axis.values {
        AxisValues::List(items) => {
            let values = items.iter().map(|item| (filler.filling(item), &item.span));
            let flat = values.flat_map(|(value, span)| match value {
                Value::List(items) => items.into_iter().map(|item| (item, span)).collect(),
                value => vec![(value, span)],
            });
            Some(flat.collect())
        }
        AxisValues::Reference(template) => match filler.value(template) {
            Value::List(items) => Some(items.into_iter().map(|item| (item, &axis.span)).collect()),
            other => {
                let message = format!("a matrix axis needs a list, not {}", spec::noun(&other));
                let help = "refer to a parameter that is a list, or write the values here: `[1, 2, 3]`";
                problems.add(Diagnostic::new(Code::Axis, message).at(&axis.span, "").help(help));
                None
            }
        },
        AxisValues::Glob(template) => {
            let pattern = filler.text(template);
            let files = files(folder, &pattern, &axis.span, problems)?;
            globs.push((pattern, digest_of(&files)));
            Some(files.into_iter().map(|file| (Value::Text(file), &axis.span)).collect())
        }
    }
}

/// What a glob of this folder finds now, as one digest; none if it cannot be told.
pub(super) fn digest_of_glob(folder: &Utf8Path, pattern: &str) -> Option<Digest> {
    let files = glob(folder, pattern).ok()?;
    Some(digest_of(&files.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

fn digest_of(files: &[String]) -> Digest {
    // No path holds a zero byte.
    Digest::of(files.join("\0").as_bytes())
}

fn files(folder: &Utf8Path, pattern: &str, span: &Span, problems: &mut Problems) -> Option<Vec<String>> {
    let wrong = if pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
        Err("a glob cannot leave the pipeline's folder".to_owned())
    } else {
        match glob(folder, pattern) {
            Ok(files) if files.is_empty() => Err(format!("no file matches `{pattern}`")),
            Ok(files) => Ok(files),
            Err(error) => Err(format!("`{pattern}`: {error}")),
        }
    };
    match wrong {
        Ok(files) => Some(files.into_iter().map(|file| file.to_string()).collect()),
        Err(message) => {
            let help = "globs are relative to the pipeline's folder, and `*` does not cross `/`; `**` does";
            problems.add(Diagnostic::new(Code::NoFiles, message).at(span, "").help(help));
            None
        }
    }
}

/// Truth values before numbers before texts, each in their own order.
fn order(left: &Value, right: &Value) -> Ordering {
    #[expect(clippy::cast_precision_loss, reason = "only mixed lists compare whole and other numbers")]
    let number = |value: &Value| match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => 0.0,
    };
    let rank = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Float(_) => 1,
        _ => 2,
    };
    rank(left).cmp(&rank(right)).then_with(|| match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (left, right) => number(left).total_cmp(&number(right)),
    })
}

/// A value as the id of a step shows it: what would end it there is percent-encoded.
pub(super) fn label(value: &Value) -> String {
    let mut label = String::new();
    for c in spec::text(value).chars() {
        if c.is_control() || matches!(c, ',' | '=' | '[' | ']' | '%') {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| label.push_str(&format!("%{byte:02X}")));
        } else {
            label.push(c);
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_be_mistaken_for_more_axes() {
        assert_eq!(label(&Value::text("a,b=c]%é")), "a%2Cb%3Dc%5D%25é");
        assert_eq!(label(&Value::Float(1.0)), "1.0");
    }

    #[test]
    fn values_are_sorted_by_kind_and_size() {
        let mut values =
            [Value::text("b"), Value::Int(10), Value::Float(2.5), Value::Bool(true), Value::text("a")];
        values.sort_by(order);
        let texts: Vec<String> = values.iter().map(label).collect();
        assert_eq!(texts, ["true", "2.5", "10", "a", "b"]);
    }
}
