//! The successes of effects: one append-only log per target and step. An effect whose last success has the same key is not
//! done again, as long as its target still says so.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Key, Log, LogError};

use crate::name::{PipelineName, RunId, StepId};

/// A success of an effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Success {
    /// The key of the step that was run.
    pub key: Key,
    /// The run.
    pub run: RunId,
    /// Who ran it.
    pub by: String,
    /// When it ended.
    pub at: jiff::Timestamp,
    /// What the step wrote of its outcome; handed to the next probe.
    pub outcome: serde_json::Value,
}

/// The logs of all effects of a project.
#[derive(Debug, Clone)]
pub struct Effects {
    folder: Utf8PathBuf,
}

impl Effects {
    /// The effects of the project with this state folder.
    #[must_use]
    pub fn below(state: &camino::Utf8Path) -> Self {
        Self { folder: state.join("effects") }
    }

    /// The log of one step's successes in one target.
    fn log(&self, target: &str, pipeline: &PipelineName, step: &StepId) -> Log {
        Log::at(self.folder.join(file_name(target)).join(file_name(&format!("{pipeline}.{step}"))))
    }

    /// The newest success of this key, and whether no other key succeeded after it.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn find(
        &self,
        target: &str,
        pipeline: &PipelineName,
        step: &StepId,
        key: &Key,
    ) -> Result<Option<(Success, bool)>, LogError> {
        let entries = self.log(target, pipeline, step).entries::<Success>()?;
        let last = entries.len();
        let found = entries.into_iter().enumerate().rev().find(|(_, (_, success))| success.key == *key);
        Ok(found.map(|(place, (_, success))| (success, place + 1 == last)))
    }

    /// Adds a success.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn add(
        &self,
        target: &str,
        pipeline: &PipelineName,
        step: &StepId,
        success: &Success,
    ) -> Result<(), LogError> {
        self.log(target, pipeline, step).append(success).map(|_| ())
    }

    /// The keys of all last successes: their results are kept.
    ///
    /// # Errors
    /// If the logs cannot be read.
    pub fn keys(&self) -> Result<Vec<Key>, LogError> {
        Ok(self.last_successes()?.into_iter().map(|(_, _, success)| success.key).collect())
    }

    /// All last successes, each with its target, and its step after its pipeline; of very long names only the beginning is known.
    ///
    /// # Errors
    /// If the logs cannot be read.
    pub fn last_successes(&self) -> Result<Vec<(String, String, Success)>, LogError> {
        let text = |folder: &camino::Utf8Path| text_of(folder.file_name().unwrap_or_default());
        let mut successes = Vec::new();
        for target in folders(&self.folder)? {
            for step in folders(&target)? {
                if let Some((_, success)) = Log::at(step.clone()).last::<Success>()? {
                    successes.push((text(&target), text(&step), success));
                }
            }
        }
        Ok(successes)
    }
}

/// The text that became this name of a file.
fn text_of(name: &str) -> String {
    let mut parts = name.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part[2..].bytes());
            }
            None => bytes.extend(part.bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn folders(folder: &camino::Utf8Path) -> Result<Vec<Utf8PathBuf>, LogError> {
    let io = |source| LogError::Io { path: folder.to_owned(), source };
    let listing = match folder.read_dir_utf8() {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut found = Vec::new();
    for entry in listing {
        found.push(entry.map_err(io)?.into_path());
    }
    found.sort();
    Ok(found)
}

/// A text as the name of a file: anything but letters, digits, `.`, `-` and `_` percent-encoded; long ones cut with a hash.
pub(crate) fn file_name(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    // A leading dot would make `.` and `..` possible.
    let name = name.strip_prefix('.').map_or(name.clone(), |rest| format!("%2E{rest}"));
    match name.len() > 200 {
        true => format!("{}~{}", &name[..180], tidemill_cache::Digest::of(text.as_bytes()).short()),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_cannot_leave_its_folder() {
        assert_eq!(file_name("../../etc"), "%2E.%2F..%2Fetc");
        assert_eq!(file_name(".."), "%2E.");
        assert_eq!(file_name("models/diabetes"), "models%2Fdiabetes");
        assert!(file_name(&"x".repeat(500)).len() <= 200);
    }

    #[test]
    fn the_name_of_a_file_tells_its_text() {
        for text in ["models/diabetes", "..", "p.train[fold=1]", "größe", "100%"] {
            assert_eq!(text_of(&file_name(text)), text);
        }
    }

    #[test]
    fn the_newest_success_of_a_key_is_found_and_whether_another_came_after() {
        let folder = tempfile::tempdir().unwrap();
        let effects = Effects::below(camino::Utf8Path::from_path(folder.path()).unwrap());
        let (pipeline, step) = (
            PipelineName::new("p").unwrap(),
            StepId::new(&crate::name::StepName::new("deploy").unwrap(), &[]),
        );
        let keys = [Key::of_recipe(b"a"), Key::of_recipe(b"b")];
        for key in keys {
            let success = Success {
                key,
                run: RunId::new("r").unwrap(),
                by: "me".to_owned(),
                at: jiff::Timestamp::UNIX_EPOCH,
                outcome: serde_json::Value::Null,
            };
            effects.add("qa", &pipeline, &step, &success).unwrap();
        }
        let find = |key| effects.find("qa", &pipeline, &step, key).unwrap().map(|(_, newest)| newest);
        assert_eq!(find(&keys[0]), Some(false));
        assert_eq!(find(&keys[1]), Some(true));
        assert_eq!(find(&Key::of_recipe(b"c")), None);
        assert_eq!(effects.keys().unwrap(), [keys[1]]);
    }
}
