//! What is said: a subject, a text, some facts and a link, with an id by which a repeated delivery is recognised.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::{lines, one_line};

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// In one line.
    pub subject: String,
    /// In as many lines as it takes; plain text.
    pub text: String,
    /// Names and values, in this order.
    pub facts: Vec<(String, String)>,
    /// Where more is to be seen.
    pub link: Option<String>,
    /// What kind of news it is.
    pub level: Level,
    /// The same for each delivery of the same message, and for no other.
    pub id: String,
    /// When that happened which it tells of.
    pub time: Timestamp,
}

/// What kind of news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something broke.
    Failure,
    /// Something worked and its result was not good enough.
    Refused,
    /// Something works again.
    Recovered,
    /// Something worked.
    Success,
    /// Something happened.
    Information,
}

/// The longest subject, in characters.
const SUBJECT: usize = 250;

impl Level {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Refused => "refused",
            Self::Recovered => "recovered",
            Self::Success => "success",
            Self::Information => "information",
        }
    }

    /// As a sign that is seen from afar.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Failure => "❌",
            Self::Refused => "⛔",
            Self::Recovered => "🔁",
            Self::Success => "✅",
            Self::Information => "ℹ️",
        }
    }
}

impl Message {
    /// The subject in one line; a message without one is called by its level.
    pub(crate) fn headline(&self) -> String {
        match one_line(&self.subject, SUBJECT) {
            line if line.is_empty() => self.level.word().to_owned(),
            line => line,
        }
    }

    /// Text, facts and link as plain text.
    pub(crate) fn plain(&self) -> String {
        let mut plain = lines(&self.text).trim_end().to_owned();
        let facts = self.facts();
        let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        if !facts.is_empty() && !plain.is_empty() {
            plain.push_str("\n\n");
        }
        for (name, value) in &facts {
            let space = width - name.chars().count();
            let value = value.replace('\n', &format!("\n{:1$}", "", width + 2));
            // Writing to a string cannot fail.
            let _ = writeln!(plain, "{name}: {:space$}{value}", "");
        }
        if let Some(link) = self.link() {
            let _ = write!(plain, "{}{link}", if plain.is_empty() { "" } else { "\n\n" });
        }
        let mut plain = plain.replace("\n\n\n", "\n\n").trim_end().to_owned();
        plain.push('\n');
        plain
    }

    /// The facts, fit to be shown.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        self.facts.iter().map(|(name, value)| (one_line(name, 100), lines(value).trim().to_owned())).collect()
    }

    /// The link, if it is one of the web: it is clicked by people.
    pub(crate) fn link(&self) -> Option<String> {
        let url = reqwest::Url::parse(self.link.as_deref()?).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| url.to_string())
    }

    /// The id in letters that every protocol takes. One of other letters is replaced by its digest.
    pub(crate) fn handle(&self) -> String {
        handle(&self.id)
    }
}

/// An id in letters that every protocol takes: no dot, which separates what a webhook signs.
pub(crate) fn handle(id: &str) -> String {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=128).contains(&id.len()) && id.bytes().all(fit) {
        return id.to_owned();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256_{hex}")
}

#[cfg(test)]
pub(crate) fn example() -> Message {
    Message {
        subject: "churn: evaluate failed".to_owned(),
        text: "The step evaluate failed.".to_owned(),
        facts: vec![("step".to_owned(), "evaluate".to_owned()), ("exit code".to_owned(), "3".to_owned())],
        link: Some("https://tidemill.example.org/runs/7".to_owned()),
        level: Level::Failure,
        id: "run-7-failed".to_owned(),
        time: Timestamp::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_says_all() {
        let expected = "The step evaluate failed.\n\nstep:      evaluate\nexit code: 3\n\nhttps://tidemill.example.org/runs/7\n";
        assert_eq!(example().plain(), expected);
        let bare = Message { text: String::new(), facts: vec![], ..example() };
        assert_eq!(bare.plain(), "https://tidemill.example.org/runs/7\n");
        let odd = Message {
            facts: vec![("log".to_owned(), "one\r\ntwo".to_owned())],
            link: Some("javascript:alert(1)".to_owned()),
            ..example()
        };
        assert_eq!(odd.plain(), "The step evaluate failed.\n\nlog: one\n     two\n");
    }

    #[test]
    fn a_subject_is_one_line() {
        let message = Message { subject: "a\r\nBcc: b@c.de\n\nbody".to_owned(), ..example() };
        assert_eq!(message.headline(), "a Bcc: b@c.de body");
        assert_eq!(Message { subject: "\u{7}".to_owned(), ..example() }.headline(), "failure");
        let long = Message { subject: "ü".repeat(1000), ..example() };
        assert_eq!(long.headline().chars().count(), 250);
    }

    #[test]
    fn an_id_fits_everywhere() {
        assert_eq!(handle("run-7_failed"), "run-7_failed");
        for odd in ["", "a.b", "a b", "a\r\nb", "ä", &"x".repeat(129)] {
            let handle = handle(odd);
            assert!(handle.starts_with("sha256_") && handle.len() == 71, "{odd:?}");
        }
        assert_ne!(handle("a.b"), handle("a b"));
    }
}
