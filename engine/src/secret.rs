//! Where a secret lies: in a variable of the environment, in a file, or with a command that prints it. It is read when it is needed
//! and kept nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tidemill_notify::Secret;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// A command that takes longer has none.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer text is no secret, in bytes.
const LONGEST: usize = 64 * 1024;

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In this variable of the environment.
    Variable(String),
    /// In this file.
    File(Utf8PathBuf),
    /// This command prints it.
    Command(String),
}

/// The members of a table that says where a secret lies.
pub(crate) const WAYS: [&str; 3] = ["env", "file", "command"];

/// Why there is no secret. It says nothing of what was read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the variable {name} is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read the file {path}: {source}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The command printed none.
    #[error("the command that prints it {reason}")]
    Command {
        /// Why.
        reason: String,
    },
    /// There is nothing in it, or it cannot be a text.
    #[error("what was found is {what}")]
    NoText {
        /// What it is.
        what: &'static str,
    },
}

impl SecretSource {
    /// The source that one of [`WAYS`] names.
    pub(crate) fn of(way: &str, text: &str) -> Option<Self> {
        match way {
            "env" => Some(Self::Variable(text.to_owned())),
            "file" => Some(Self::File(text.into())),
            "command" => Some(Self::Command(text.to_owned())),
            _ => None,
        }
    }

    /// Why it cannot be one, whatever lies there.
    pub(crate) fn wrong(&self) -> Option<String> {
        match self {
            Self::Variable(name) if !is_variable(name) => {
                Some("a secret is named by the variable of the environment that holds it".to_owned())
            }
            Self::File(path) if path.as_str().is_empty() => Some("the name of the file is empty".to_owned()),
            Self::Command(command) if command.trim().is_empty() => Some("the command is empty".to_owned()),
            _ => None,
        }
    }

    /// The secret, read now. Paths and commands are of this folder.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn read(
        &self,
        environment: &BTreeMap<String, String>,
        folder: &Utf8Path,
    ) -> Result<Secret, SecretError> {
        let bytes = match self {
            Self::Variable(name) => match environment.get(name) {
                Some(value) => value.clone().into_bytes(),
                None => return Err(SecretError::NotSet { name: name.clone() }),
            },
            Self::File(path) => {
                let path = folder.join(path);
                beginning(&path).await.map_err(|source| SecretError::File { path, source })?
            }
            Self::Command(command) => printed(command, environment, folder).await?,
        };
        if bytes.len() > LONGEST {
            return Err(SecretError::NoText { what: "too long" });
        }
        match String::from_utf8(bytes) {
            Ok(text) if text.trim().is_empty() => Err(SecretError::NoText { what: "empty" }),
            Ok(text) => Ok(Secret::new(text.trim())),
            Err(_) => Err(SecretError::NoText { what: "no text" }),
        }
    }
}

/// What is in a file, as far as it can be a secret. It may be a pipe that somebody still writes to.
async fn beginning(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// What a command prints. What it says beside that is not told: it may hold what it prints.
async fn printed(
    command: &str,
    environment: &BTreeMap<String, String>,
    folder: &Utf8Path,
) -> Result<Vec<u8>, SecretError> {
    let wrong = |reason: String| SecretError::Command { reason };
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]).current_dir(folder).env_clear().envs(environment).process_group(0);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = shell.spawn().map_err(|error| wrong(format!("cannot be started: {error}")))?;
    // All that it has started ends with it, also if nobody waits any more.
    let family = Family(child.id().and_then(|id| i32::try_from(id).ok()));
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    drop(family);
    let output = output.map_err(|_| wrong(format!("took longer than {} seconds", PATIENCE.as_secs())))?;
    let output = output.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(code) => Err(wrong(format!("ended with exit code {code}"))),
        None => Err(wrong("was ended by a signal".to_owned())),
    }
}

/// The processes of a command, which end when this does.
struct Family(Option<i32>);

impl Drop for Family {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(rustix::process::Pid::from_raw) {
            // They may have ended by themselves.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
    }
}

/// Whether a text can name an environment variable.
fn is_variable(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(part) && text.starts_with(|first: char| !first.is_ascii_digit())
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

/// Reads the name of a variable, or a table with one of [`WAYS`].
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a variable, or a table with one of `env`, `file` and `command`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretSource, E> {
        sound(SecretSource::Variable(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let mut found = None;
        while let Some((way, text)) = map.next_entry::<String, String>()? {
            let source = SecretSource::of(&way, &text);
            let source = source.ok_or_else(|| A::Error::unknown_field(&way, &WAYS))?;
            if found.replace(source).is_some() {
                return Err(A::Error::custom(
                    "a secret lies in one place: give one of `env`, `file` and `command`",
                ));
            }
        }
        sound(found.ok_or_else(|| A::Error::custom("give one of `env`, `file` and `command`"))?)
    }
}

fn sound<E: serde::de::Error>(source: SecretSource) -> Result<SecretSource, E> {
    match source.wrong() {
        Some(wrong) => Err(E::custom(wrong)),
        None => Ok(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Table {
        secret: SecretSource,
    }

    #[test]
    fn a_secret_lies_in_one_place() {
        let read = |text: &str| toml::from_str::<Table>(text).map(|table| table.secret);
        assert_eq!(read("secret = \"TOKEN\"").unwrap(), SecretSource::Variable("TOKEN".into()));
        assert_eq!(read("secret = { env = \"TOKEN\" }").unwrap(), SecretSource::Variable("TOKEN".into()));
        assert_eq!(read("secret = { file = \"token\" }").unwrap(), SecretSource::File("token".into()));
        assert_eq!(read("secret.command = \"pass x\"").unwrap(), SecretSource::Command("pass x".into()));
        for wrong in [
            "secret = \"https://example.org/x\"",
            "secret = \"\"",
            "secret = 1",
            "secret = {}",
            "secret = { env = \"A\", file = \"b\" }",
            "secret = { var = \"A\" }",
            "secret = { command = \" \" }",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_found_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::write(folder.join("token"), "from a file\n").unwrap();
        std::fs::write(folder.join("empty"), " \n").unwrap();
        std::fs::write(folder.join("long"), "x".repeat(LONGEST + 1)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let environment =
            BTreeMap::from([("TOKEN".to_owned(), "from a variable".to_owned()), ("PATH".to_owned(), path)]);
        let read = async |way: &str, text: &str| {
            let read = SecretSource::of(way, text).unwrap().read(&environment, folder).await;
            read.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(read("env", "TOKEN").await.unwrap(), "from a variable");
        assert_eq!(read("file", "token").await.unwrap(), "from a file");
        assert_eq!(read("command", "cat token").await.unwrap(), "from a file");
        assert_eq!(read("env", "OTHER").await.unwrap_err(), "the variable OTHER is not set");
        assert!(read("file", "none").await.unwrap_err().contains("none: No such file"));
        assert_eq!(read("file", "empty").await.unwrap_err(), "what was found is empty");
        assert_eq!(read("file", "long").await.unwrap_err(), "what was found is too long");
        let failed = read("command", "echo secret; echo secret >&2; exit 3").await.unwrap_err();
        assert_eq!(failed, "the command that prints it ended with exit code 3");
    }
}
