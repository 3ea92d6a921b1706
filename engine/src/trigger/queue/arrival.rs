//! What arrived and is to lead to one run, and what becomes of it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidemill_cache::Digest;

use crate::event::{Cause, Outcome, Triggered};
use crate::name::{PipelineName, RunId, TriggerName};

/// What tells one arrival from another: two with the same id are the same thing, told twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArrivalId([u8; 16]);

impl ArrivalId {
    /// The id of what a source told under an id of its own, for one trigger of one pipeline; or for a pipeline itself, if somebody
    /// asked for a run of it.
    #[must_use]
    pub fn of(file: &str, trigger: Option<&TriggerName>, source: &str, id: &str) -> Self {
        let mut bytes = Vec::new();
        for part in [file, trigger.map_or("", TriggerName::as_str), source, id] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        let mut own = [0; 16];
        own.copy_from_slice(&Digest::of(&bytes).as_bytes()[..16]);
        Self(own)
    }
}

impl fmt::Display for ArrivalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ArrivalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ArrivalId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("{:?} is no id of an arrival: 32 hexadecimal digits", text.get(..80).unwrap_or(text));
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| wrong())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for ArrivalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ArrivalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is to lead to one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// Its id.
    pub id: ArrivalId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Its file, relative to the project.
    pub file: String,
    /// The trigger; none if somebody asked for the run itself.
    pub trigger: Option<TriggerName>,
    /// What starts the run.
    pub cause: Cause,
    /// What happened: the attributes and the data of a CloudEvent.
    pub event: serde_json::Value,
    /// Values of parameters, stronger than those of the pipeline.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
    /// When it arrived.
    pub at: Timestamp,
    /// Its run does not begin before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Its run does not begin after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// Larger data of an event are not kept when it is done with, in bytes.
const SMALL: usize = 1 << 10;

impl Arrival {
    /// About so much memory it takes, in bytes.
    #[must_use]
    pub(super) fn weight(&self) -> usize {
        let params = self.params.iter().map(|(name, value)| name.len() + weight(value));
        size_of::<Self>() + self.file.len() + weight(&self.event) + params.sum::<usize>()
    }

    /// What its run answers.
    #[must_use]
    pub fn triggered(&self) -> Triggered {
        let text = |name: &str| {
            self.event.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        Triggered {
            trigger: self.trigger.clone(),
            kind: text("type"),
            source: text("source"),
            id: text("id"),
        }
    }

    /// The same without large data, for the record.
    pub(super) fn without_data(mut self) -> Self {
        if let Some(event) = self.event.as_object_mut()
            && event.get("data").is_some_and(|data| weight(data) > SMALL)
        {
            event.shift_remove("data");
        }
        self.params.retain(|_, value| weight(value) <= SMALL);
        self
    }
}

fn weight(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inner
}

/// Why an arrival leads to no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dropped {
    /// A run of its pipeline went on, and its trigger has `concurrency = "forbid"`.
    Forbidden,
    /// A later one took its place: its trigger has `concurrency = "replace"`.
    Replaced,
    /// Its trigger had led to a run shortly before.
    Cooldown,
    /// Its turn came after its deadline.
    Late,
    /// Its trigger is not in the pipeline any more, or is not enabled.
    Gone,
}

impl Dropped {
    /// In words that follow "no run: ".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Forbidden => "a run of the pipeline went on",
            Self::Replaced => "a later one took its place",
            Self::Cooldown => "the trigger had led to a run shortly before",
            Self::Late => "its turn came after its deadline",
            Self::Gone => "the trigger is gone, or not enabled",
        }
    }
}

/// What became of an arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum Fate {
    /// Its run ended.
    Ended {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Its run could not begin: the pipeline has mistakes, or it asks for what is not there.
    NotBegun {
        /// Why, in the words of the program.
        reason: String,
    },
    /// Its runs were lost with their machine, one after the other.
    Lost {
        /// The last of them.
        run: RunId,
    },
    /// It leads to no run.
    Dropped {
        /// Why.
        why: Dropped,
    },
}

/// An arrival that is done with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// What arrived.
    pub arrival: Arrival,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// When that was known.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_its_parts_and_reads_back() {
        let name = TriggerName::new("nightly").unwrap();
        let id = |file, source, id| ArrivalId::of(file, Some(&name), source, id);
        let one = id("p.toml", "/a", "1");
        assert_eq!(one, id("p.toml", "/a", "1"));
        for other in [
            id("q.toml", "/a", "1"),
            id("p.toml", "/a1", ""),
            id("p.toml", "/b", "1"),
            id("p.toml", "/a", "2"),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(one, ArrivalId::of("p.toml", None, "/a", "1"));
        assert_eq!(one.to_string().parse(), Ok(one));
        for wrong in ["", "12", "+0000000000000000000000000000001", &one.to_string().to_uppercase()] {
            assert!(wrong.parse::<ArrivalId>().is_err(), "{wrong}");
        }
    }
}
