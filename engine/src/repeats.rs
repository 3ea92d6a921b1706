//! What showed when cached steps were run again: one append-only log per key. A step whose outputs differ is not deterministic, and
//! that stays true of its key whatever later repeats show.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Key, Log, LogError};

/// What one verification of a step showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repetition {
    /// How often the step was run again.
    pub repeats: u64,
    /// How often its outputs differed from the cached ones.
    pub differing: u64,
    /// Where they differed first.
    pub difference: Option<Difference>,
    /// How far metrics could be apart and count as the same, if they could.
    pub tolerance: Option<f64>,
    /// When.
    pub at: Timestamp,
    /// Who ran it.
    pub by: String,
    /// On which machine.
    pub host: String,
}

/// Where an output differs from the cached one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The output.
    pub output: String,
    /// The file in it, if it is a folder.
    pub file: Option<String>,
    /// Where.
    #[serde(flatten)]
    pub at: Where,
}

/// Where two outputs differ first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "differs")]
pub enum Where {
    /// At this byte, counted from 0; it may be the end of the shorter one.
    Byte {
        /// The byte.
        byte: u64,
    },
    /// A value of the metrics; none where it is not there.
    Value {
        /// Its dotted path.
        path: String,
        /// As it is cached.
        cached: Option<serde_json::Value>,
        /// As it is now.
        repeated: Option<serde_json::Value>,
    },
    /// It was not written again.
    Missing,
    /// It was not written before.
    New,
    /// One is a folder, a link or an executable file, and the other is not.
    Kind,
    /// The cached bytes are gone, so all that is known is that the digests differ.
    Somewhere,
}

/// All that is known of the repeats of a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repeated {
    /// How often the step was run again.
    pub repeats: u64,
    /// How often its outputs differed.
    pub differing: u64,
    /// Where they differed, the last time that they did.
    pub difference: Option<Difference>,
    /// When it was tried last.
    pub at: Timestamp,
}

impl Repeated {
    /// That it differs, in a few words; none if it never did.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        self.difference.as_ref().map(|difference| format!("differs when repeated: {difference}"))
    }

    fn of(repetitions: impl IntoIterator<Item = Repetition>) -> Option<Self> {
        repetitions.into_iter().fold(None, |sum, next| {
            let before = sum.unwrap_or(Self { repeats: 0, differing: 0, difference: None, at: next.at });
            Some(Self {
                repeats: before.repeats + next.repeats,
                differing: before.differing + next.differing,
                difference: next.difference.or(before.difference),
                at: next.at,
            })
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "file `{file}` of output `{}`", self.output)?,
            None => write!(f, "output `{}`", self.output)?,
        }
        let value = |value: &Option<serde_json::Value>| match value {
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        match &self.at {
            Where::Byte { byte } => write!(f, " at byte {byte}"),
            Where::Value { path, cached, repeated } => {
                write!(f, " at `{path}`: {} → {}", value(cached), value(repeated))
            }
            Where::Missing => write!(f, " was not written again"),
            Where::New => write!(f, " was not written before"),
            Where::Kind => write!(f, " is another kind of file"),
            Where::Somewhere => write!(f, ", where cannot be told: the cached bytes are gone"),
        }
    }
}

/// The repeats of a project's steps.
#[derive(Debug, Clone)]
pub struct Repeats {
    folder: Utf8PathBuf,
}

impl Repeats {
    /// Those of the project with this state folder.
    #[must_use]
    pub fn below(state: &Utf8Path) -> Self {
        Self { folder: state.join("repeats") }
    }

    /// Adds what a verification of a key showed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&self, key: &Key, repetition: &Repetition) -> Result<(), LogError> {
        self.log(key).append(repetition).map(|_| ())
    }

    /// What is known of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(&self, key: &Key) -> Result<Option<Repeated>, LogError> {
        Ok(Repeated::of(self.log(key).entries::<Repetition>()?.into_iter().map(|(_, entry)| entry)))
    }

    /// The keys whose steps differ when they are repeated. Few steps are ever verified, so that this is one listing, mostly of nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn differing(&self) -> Result<HashMap<Key, Repeated>, LogError> {
        let mut differing = HashMap::new();
        for key in self.keys()? {
            if let Some(repeated) = self.of(&key)?.filter(|repeated| repeated.difference.is_some()) {
                differing.insert(key, repeated);
            }
        }
        Ok(differing)
    }

    /// Forgets what is known of these keys: their results are gone.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget(&self, keys: &[Key]) -> Result<(), LogError> {
        let known: BTreeMap<Key, ()> = self.keys()?.into_iter().map(|key| (key, ())).collect();
        for key in keys.iter().filter(|key| known.contains_key(key)) {
            let path = self.log(key).folder().to_owned();
            match fs::remove_dir_all(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(LogError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn keys(&self) -> Result<Vec<Key>, LogError> {
        let listing = match self.folder.read_dir_utf8() {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(LogError::Io { path: self.folder.clone(), source }),
        };
        Ok(listing.flatten().filter_map(|entry| entry.file_name().parse().ok()).collect())
    }

    fn log(&self, key: &Key) -> Log {
        Log::at(self.folder.join(key.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repetition(differing: u64) -> Repetition {
        let difference = Difference { output: "model".to_owned(), file: None, at: Where::Byte { byte: 123 } };
        Repetition {
            repeats: 3,
            differing,
            difference: (differing > 0).then_some(difference),
            tolerance: None,
            at: Timestamp::UNIX_EPOCH,
            by: "ada".to_owned(),
            host: "here".to_owned(),
        }
    }

    #[test]
    fn a_step_that_once_differed_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let repeats = Repeats::below(Utf8Path::from_path(folder.path()).unwrap());
        let [flaky, steady] = [Key::of_recipe(b"flaky"), Key::of_recipe(b"steady")];
        assert!(repeats.differing().unwrap().is_empty());
        repeats.add(&flaky, &repetition(2)).unwrap();
        repeats.add(&flaky, &repetition(0)).unwrap();
        repeats.add(&steady, &repetition(0)).unwrap();
        let known = repeats.of(&flaky).unwrap().unwrap();
        assert_eq!((known.repeats, known.differing), (6, 2));
        assert_eq!(known.note().unwrap(), "differs when repeated: output `model` at byte 123");
        assert_eq!(repeats.of(&steady).unwrap().unwrap().note(), None);
        assert_eq!(repeats.differing().unwrap().into_keys().collect::<Vec<_>>(), [flaky]);
        repeats.forget(&[flaky]).unwrap();
        assert_eq!(repeats.of(&flaky).unwrap(), None);
        assert!(repeats.of(&steady).unwrap().is_some());
    }

    #[test]
    fn a_difference_is_told_in_a_few_words() {
        let told = |file: Option<&str>, at: Where| {
            Difference { output: "o".to_owned(), file: file.map(str::to_owned), at }.to_string()
        };
        assert_eq!(told(Some("a/b"), Where::Byte { byte: 3 }), "file `a/b` of output `o` at byte 3");
        let value = Where::Value { path: "a.b".to_owned(), cached: Some(1.5.into()), repeated: None };
        assert_eq!(told(None, value), "output `o` at `a.b`: 1.5 → nothing");
        assert_eq!(told(Some("x"), Where::New), "file `x` of output `o` was not written before");
    }
}
