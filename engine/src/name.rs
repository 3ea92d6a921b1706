//! Names: parsed once, valid for ever after.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid name: {reason}")]
pub struct InvalidName {
    text: String,
    reason: &'static str,
}

/// The longest name that is accepted, in bytes.
const LONGEST: usize = 64;

fn check(text: &str) -> Result<(), InvalidName> {
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() > LONGEST {
        "it is longer than 64 characters"
    } else if !text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_') {
        "it must begin with a lower-case letter"
    } else if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-') {
        "only lower-case letters, digits, `-` and `_` are allowed"
    } else {
        return Ok(());
    };
    Err(InvalidName { text: text.chars().take(80).collect(), reason })
}

/// Makes a name of text as it is read.
struct Text<F>(F);

impl<T, F: Fn(&str) -> Result<T, InvalidName>> de::Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Lower-case letters, digits, `-` and `_`, beginning with a letter; 64 characters at most.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name from text.
            ///
            /// # Errors
            /// If the text is no valid name.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(Self::new))
            }
        }
    )*};
}

names! {
    /// The name of a pipeline.
    PipelineName;
    /// The name of a step as the pipeline file writes it.
    StepName;
    /// The name of an input of a step.
    InputName;
    /// The name of an output of a step.
    OutputName;
    /// The name of an axis of a matrix.
    AxisName;
    /// The name of a registered model.
    ModelName;
    /// The name of an alias of a registered model, such as `champion`.
    AliasName;
    /// The name of an endpoint that a model server offers.
    EndpointName;
    /// The name of a pin.
    PinName;
    /// The name of an executor.
    ExecutorName;
    /// The name of a trigger.
    TriggerName;
    /// The name of what tells somebody of runs.
    NotifyName;
}

/// The id of a step in the expanded graph: its name, and its matrix values in brackets: `train[alpha=0.1,fold=1]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(Arc<str>);

impl StepId {
    /// The id of one combination of a step's matrix; without axes the plain name. The axes must come sorted by name.
    #[must_use]
    pub fn new(step: &StepName, axes: &[(String, String)]) -> Self {
        if axes.is_empty() {
            return Self(Arc::clone(&step.0));
        }
        let mut id = String::with_capacity(step.0.len() + 16 * axes.len());
        id.push_str(&step.0);
        for (place, (axis, value)) in axes.iter().enumerate() {
            id.push(if place == 0 { '[' } else { ',' });
            for part in [axis, "=", value] {
                id.push_str(part);
            }
        }
        id.push(']');
        Self(id.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name before the bracket.
    #[must_use]
    pub fn step(&self) -> &str {
        self.0.split('[').next().unwrap_or(&self.0)
    }
}

impl Serialize for StepId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(|text: &str| Ok(Self(text.into()))))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The id of a run: its start in UTC to the millisecond and four random letters or digits, so that ids sort by time:
/// `20261120-235501-482k3fq`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new id for a run that starts at this time.
    #[must_use]
    pub fn generate(now: jiff::Timestamp) -> Self {
        use rand::Rng as _;
        let suffix: String =
            rand::rng().sample_iter(rand::distr::Alphanumeric).take(4).map(char::from).collect();
        let milliseconds = now.as_millisecond().rem_euclid(1000);
        Self(format!("{}-{milliseconds:03}{}", now.strftime("%Y%m%d-%H%M%S"), suffix.to_lowercase()))
    }

    /// The id from text, as a user or a folder names it.
    ///
    /// # Errors
    /// If it is empty, too long or holds anything but letters, digits and `-`.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if Self::is_valid(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName {
            text: text.chars().take(80).collect(),
            reason: "a run id looks like 20261120-235501-482k3fq",
        })
    }

    /// Whether a text can be an id.
    #[must_use]
    pub(crate) fn is_valid(text: &str) -> bool {
        let characters = || text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        !text.is_empty() && text.len() <= LONGEST && characters()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The id of an attempt: one execution of one step in a run, `<run>.<number>`, unique in a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(String);

impl AttemptId {
    /// The id of the n-th attempt that a run starts, counted from one over all its steps.
    #[must_use]
    pub fn new(run: &RunId, number: u64) -> Self {
        Self(format!("{run}.{number}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        assert!(StepName::new("train-2_b").is_ok());
        for wrong in ["", "Train", "2nd", "a b", "a.b", "a[b]"] {
            assert!(StepName::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_id_carries_its_matrix_values() {
        let train = StepName::new("train").unwrap();
        let axes = [("alpha".to_owned(), "0.1".to_owned()), ("fold".to_owned(), "1".to_owned())];
        assert_eq!(StepId::new(&train, &axes).as_str(), "train[alpha=0.1,fold=1]");
        assert_eq!(StepId::new(&train, &axes).step(), "train");
        assert_eq!(StepId::new(&train, &[]).as_str(), "train");
    }
}
