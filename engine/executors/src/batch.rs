//! What is submitted: jobs that need the same, under one id, each with a ticket.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::Resources;

/// The id of a batch: 26 lower-case letters and digits, the first a letter, so that every engine takes it as a part of a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(Arc<str>);

/// A text that is no id of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of a batch")]
pub struct InvalidBatchId(String);

const LENGTH: usize = 26;

impl BatchId {
    /// An id that nobody has.
    #[must_use]
    pub fn generate() -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut random = rand::rng();
        let mut letter = |first| char::from(LETTERS[random.random_range(0..if first { 26 } else { 32 })]);
        Self((0..LENGTH).map(|place| letter(place == 0)).collect::<String>().into())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BatchId {
    type Err = InvalidBatchId;

    fn from_str(text: &str) -> Result<Self, InvalidBatchId> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        match text.len() == LENGTH && begins && text.bytes().all(fits) {
            true => Ok(Self(text.into())),
            false => Err(InvalidBatchId(text.to_owned())),
        }
    }
}

impl TryFrom<String> for BatchId {
    type Error = InvalidBatchId;

    fn try_from(text: String) -> Result<Self, InvalidBatchId> {
        text.parse()
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> Self {
        id.as_str().to_owned()
    }
}

/// One job of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket {
    /// The batch.
    pub batch: BatchId,
    /// The place of the job in it, from 0.
    pub job: u32,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.batch, self.job)
    }
}

/// A command that is to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// The program and its arguments. Others may see them.
    pub argv: Vec<String>,
    /// Variables that it gets beside those of the place where it runs; they may hold secrets.
    pub env: BTreeMap<String, String>,
}

impl fmt::Debug for Job {
    /// Without the values of its variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        f.debug_struct("Job").field("argv", &self.argv).field("env", &names).finish()
    }
}

/// Jobs that need the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// What people see of it in the engine's own lists, beside the id.
    pub name: String,
    /// What each of its jobs needs.
    pub resources: Resources,
    /// The jobs; at least one.
    pub jobs: Vec<Job>,
}

impl Batch {
    /// The tickets of its jobs.
    pub fn tickets(&self) -> impl ExactSizeIterator<Item = Ticket> + '_ {
        let count = u32::try_from(self.jobs.len()).expect("a batch has fewer than 2^32 jobs");
        (0..count).map(|job| Ticket { batch: self.id.clone(), job })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is() {
        let id = BatchId::generate();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(id, BatchId::generate());
        for wrong in
            ["", "a", "../../../../../../../etc/x", &"A".repeat(26), &"2".repeat(26), &"a".repeat(27)]
        {
            assert!(wrong.parse::<BatchId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_are_not_shown() {
        let env = BTreeMap::from([("TOKEN".to_owned(), "the-secret".to_owned())]);
        let shown = format!("{:?}", Job { argv: vec!["true".to_owned()], env });
        assert!(shown.contains("TOKEN") && !shown.contains("the-secret"));
    }
}
