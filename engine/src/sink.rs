//! `[[sinks]]` in the project file: programs that are told as `CloudEvents` what happens in the project.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tidemill_notify::{Secret, Webhook};
use tidemill_triggers::{CloudEvent, Pattern};

use crate::name::NotifyName;
use crate::secret::{SecretError, SecretSource};

/// A program that is told what happens in the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name, unique in the project.
    pub name: NotifyName,
    url: Address,
    /// Of which types; of all if there is none.
    types: Vec<Pattern>,
    /// How events are laid out in requests.
    pub mode: Mode,
    token: Option<SecretSource>,
    secret: Option<SecretSource>,
    ca: Option<Utf8PathBuf>,
}

/// How events are laid out in requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As one JSON object.
    #[default]
    Structured,
    /// Attributes as headers, data as the body.
    Binary,
}

/// An address, or where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Plain(String),
    Secret(SecretSource),
}

/// A sink as the project file says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkTable {
    name: NotifyName,
    url: Address,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    mode: Mode,
    token: Option<SecretSource>,
    secret: Option<SecretSource>,
    ca: Option<Utf8PathBuf>,
}

/// The sinks that these tables say.
///
/// # Errors
/// What is wrong with them, in a sentence.
pub(crate) fn sinks(tables: Vec<SinkTable>) -> Result<Vec<Sink>, String> {
    let mut names = BTreeSet::new();
    let mut sinks = Vec::with_capacity(tables.len());
    for table in tables {
        let SinkTable { name, url, types, mode, token, secret, ca } = table;
        if !names.insert(name.clone()) {
            return Err(format!("two sinks are called `{name}`"));
        }
        if let Address::Plain(url) = &url
            && let Some(wrong) = Webhook::new(Secret::new(url)).check().first()
        {
            return Err(format!("the sink `{name}` cannot be told: {wrong} ({})", wrong.hint()));
        }
        let types: Result<_, _> = types.iter().map(|text| Pattern::new(text)).collect();
        let types = types.map_err(|error| format!("the sink `{name}`: {error}"))?;
        sinks.push(Sink { name, url, types, mode, token, secret, ca });
    }
    Ok(sinks)
}

impl Sink {
    /// Whether it is told of this event.
    #[must_use]
    pub fn wants(&self, event: &CloudEvent) -> bool {
        self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(event.kind()))
    }

    /// The place, with its secrets. Paths and commands are of this folder.
    ///
    /// # Errors
    /// If a secret is not there.
    pub(crate) async fn webhook(
        &self,
        environment: &BTreeMap<String, String>,
        folder: &Utf8Path,
    ) -> Result<Webhook, SecretError> {
        let url = match &self.url {
            Address::Plain(url) => Secret::new(url),
            Address::Secret(source) => source.read(environment, folder).await?,
        };
        let mut webhook = Webhook::new(url);
        if let Some(token) = &self.token {
            let token = token.read(environment, folder).await?;
            let value = Secret::new(format!("Bearer {}", token.expose()));
            webhook.headers.push(("Authorization".to_owned(), value));
        }
        if let Some(secret) = &self.secret {
            webhook.secret = Some(secret.read(environment, folder).await?);
        }
        webhook.ca = self.ca.as_ref().map(|ca| folder.join(ca));
        Ok(webhook)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

/// Reads an address, or where it lies.
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, or a table with one of `env`, `file` and `command`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Address, E> {
        Ok(Address::Plain(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Address, A::Error> {
        SecretSource::deserialize(MapAccessDeserializer::new(map)).map(Address::Secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        sinks: Vec<SinkTable>,
    }

    fn read(text: &str) -> Result<Vec<Sink>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        sinks(file.sinks)
    }

    #[test]
    fn sinks_are_read_strictly() {
        let all = read(
            "[[sinks]]\nname = \"ops\"\nurl = \"https://example.org/events\"\ntypes = [\"tidemill.run.*\"]\nmode = \"binary\"\n\
             token = \"TOKEN\"\nsecret = { file = \"secret\" }\n[[sinks]]\nname = \"other\"\nurl = { env = \"SINK_URL\" }\n",
        )
        .unwrap();
        assert_eq!((all.len(), all[0].mode, all[1].mode), (2, Mode::Binary, Mode::Structured));
        let event = |kind| CloudEvent::new("1", "/x", kind).unwrap();
        assert!(all[0].wants(&event("tidemill.run.failed")) && !all[0].wants(&event("tidemill.step.failed")));
        assert!(all[1].wants(&event("tidemill.step.failed")));
        let sink = |rest: &str| read(&format!("[[sinks]]\nname = \"ops\"\n{rest}"));
        for wrong in [
            "",
            "url = \"example.org\"",
            "url = \"ftp://example.org\"",
            "url = { env = \"SINK URL\" }",
            "url = \"https://example.org\"\nmode = \"batch\"",
            "url = \"https://example.org\"\ntypes = [\"\"]",
            "url = \"https://example.org\"\ntoken = \"Bearer x\"",
            "url = \"https://example.org\"\nheaders = {}",
            "url = \"https://example.org\"\n[[sinks]]\nname = \"ops\"\nurl = \"https://example.org\"",
        ] {
            assert!(sink(wrong).is_err(), "{wrong}");
        }
    }
}
