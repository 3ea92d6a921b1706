//! `[[notify]]`: who is told of which ends of runs, and how. What is wrong is left out and told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tidemill_notify::{Encryption, Mail, Place, Secret, Slack, Webhook, template};

use crate::event::Cause;
use crate::name::NotifyName;
use crate::secret::{SecretSource, WAYS};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::field::NOTIFY;
use super::tree::{self, Entry, Node, Span};
use super::{shape, suggest};

/// Who is told of which ends of runs, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Its name, unique in the pipeline.
    pub name: NotifyName,
    /// What is told.
    pub on: BTreeSet<News>,
    /// Of runs that were started so.
    pub causes: Vec<Cause>,
    /// Where it goes.
    pub to: To,
    /// A template; the usual one if there is none.
    pub subject: Option<String>,
    /// A template; the usual one if there is none.
    pub text: Option<String>,
    /// Whether it tells anything.
    pub enabled: bool,
}

/// What the end of a run means to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// A step or the machine failed, the run was lost, or could not begin.
    Failure,
    /// A gate said no.
    Refused,
    /// It succeeded, and the one before had not.
    Recovery,
    /// It succeeded.
    Success,
    /// It was told to stop.
    Cancelled,
}

/// Where messages go. Secrets are not here, but where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// To people, by SMTP.
    Mail {
        /// All but the password.
        mail: Mail,
        /// Where the password lies.
        password: Option<SecretSource>,
    },
    /// To a program.
    Webhook {
        /// Where its address lies.
        url: SecretSource,
        /// Headers, and where their values lie.
        headers: Vec<(String, SecretSource)>,
        /// Where the secret lies that signs.
        secret: Option<SecretSource>,
        /// A file of authorities.
        ca: Option<Utf8PathBuf>,
    },
    /// To a channel.
    Slack {
        /// Where its address lies.
        url: SecretSource,
        /// A file of authorities.
        ca: Option<Utf8PathBuf>,
    },
}

impl News {
    /// All, in the order of their words.
    const ALL: [Self; 5] = [Self::Failure, Self::Refused, Self::Recovery, Self::Success, Self::Cancelled];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Refused => "refused",
            Self::Recovery => "recovery",
            Self::Success => "success",
            Self::Cancelled => "cancelled",
        }
    }

    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|news| news.as_str() == word)
    }
}

impl To {
    /// In a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mail { .. } => "mail",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
        }
    }
}

/// What templates may ask for.
pub(crate) const NAMES: [&str; 16] = [
    "pipeline", "file", "project", "run", "outcome", "what", "why", "cause", "trigger", "started",
    "finished", "duration", "failed", "gates", "metrics", "commit",
];
/// What templates know by themselves.
const GLOBALS: [&str; 4] = ["range", "dict", "namespace", "debug"];
/// Where a message goes.
const PLACES: [&str; 3] = ["mail", "webhook", "slack"];
/// What every message is told of, if nothing is said.
const USUAL: [News; 3] = [News::Failure, News::Refused, News::Recovery];
/// What started a run, by its words.
const CAUSES: [Cause; 8] = [
    Cause::Command,
    Cause::Ci,
    Cause::Watch,
    Cause::Schedule,
    Cause::Event,
    Cause::Model,
    Cause::Run,
    Cause::Request,
];

/// The name of the pipeline in this text, and who is told of its runs. All else in the text may be wrong: those of whom something is
/// wrong are left out, and so is what is no name. None if the text is no TOML.
pub(crate) fn read_notify(text: &str) -> Option<(Option<String>, Vec<Notify>)> {
    let mut problems = Problems::default();
    let tree = tree::document(text, &mut problems)?;
    let name = tree.get("pipeline").and_then(|pipeline| pipeline.get("name")?.text().map(str::to_owned));
    let mut all = Vec::new();
    for table in tree.get("notify").map_or(&[][..], Node::items) {
        let mut problems = Problems::default();
        let owner = Entry { key: "notify".to_owned(), key_span: table.span.clone(), value: table.clone() };
        shape::check(table, NOTIFY, &owner, &mut problems);
        let notify = Reading { source: text, problems: &mut problems }.notify(table);
        all.extend(notify.filter(|_| problems.is_empty()));
    }
    Some((name, all))
}

/// Who is told of runs of the pipeline, in the order of the file.
pub(super) fn notify(list: Option<&Node>, source: &str, problems: &mut Problems) -> Vec<Notify> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut all = Vec::new();
    for table in list.map_or(&[][..], Node::items) {
        let Some(name) = table.get("name").filter(|name| name.text().is_some()) else { continue };
        let text = name.text().unwrap_or_default();
        if let Some(first) = seen.insert(text.to_owned(), name.span.clone()) {
            let diagnostic = Diagnostic::new(Code::Twice, format!("two `notify` are called `{text}`"));
            let diagnostic = diagnostic.at(&name.span, "again here").at(&first, "first here");
            problems.add(diagnostic.help("give one of them another name"));
        }
        all.extend(Reading { source, problems: &mut *problems }.notify(table));
    }
    all
}

struct Reading<'a> {
    source: &'a str,
    problems: &'a mut Problems,
}

impl Reading<'_> {
    fn wrong(&mut self, message: impl Into<String>, span: &Span, help: impl Into<String>) {
        self.problems.add(Diagnostic::new(Code::Notify, message).at(span, "").help(help));
    }

    fn notify(&mut self, table: &Node) -> Option<Notify> {
        let name = table.get("name")?;
        let text = name.text()?;
        let to = self.to(table, text, &name.span);
        let (subject, message) = (self.template(table, "subject"), self.template(table, "text"));
        let on = self.words(table, "on", News::named).unwrap_or_else(|| USUAL.to_vec());
        let cause = |word: &str| CAUSES.into_iter().find(|cause| cause.as_str() == word);
        let causes = self.words(table, "causes", cause);
        let causes = causes.unwrap_or_else(|| CAUSES[1..].to_vec());
        let name = match NotifyName::new(text) {
            Ok(name) => name,
            Err(error) => {
                let help = suggest::plain(text).map(|plain| format!("for example `{plain}`"));
                let diagnostic = Diagnostic::new(Code::InvalidName, error.to_string()).at(&name.span, "");
                self.problems.add(diagnostic.maybe_help(help));
                return None;
            }
        };
        Some(Notify {
            name,
            on: on.into_iter().collect(),
            causes,
            to: to?,
            subject,
            text: message,
            enabled: table.get("enabled").and_then(Node::bool).unwrap_or(true),
        })
    }

    /// The words of a list; none if it is not there. What is no such word was told when the shape was checked.
    fn words<T>(&mut self, table: &Node, field: &str, named: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        let list = table.get(field)?;
        if list.items().is_empty() {
            self.wrong(
                format!("`{field}` is empty, so nothing is ever told"),
                &list.span,
                "write `enabled = false` to tell nothing, or leave it away",
            );
        }
        Some(list.items().iter().filter_map(|item| named(item.text()?)).collect())
    }

    fn to(&mut self, table: &Node, name: &str, span: &Span) -> Option<To> {
        let said: Vec<&Entry> = PLACES.iter().filter_map(|place| table.entry(place)).collect();
        let entry = match said[..] {
            [one] => one,
            [] => {
                let help = format!("say one of {}", suggest::list(PLACES));
                self.wrong(format!("`{name}` tells nobody"), span, help);
                return None;
            }
            [first, second, ..] => {
                let message = format!("`{name}` tells two places");
                let diagnostic = Diagnostic::new(Code::Notify, message).at(&second.key_span, "and this one");
                self.problems
                    .add(diagnostic.at(&first.key_span, "this one").help("make two `[[notify]]` of it"));
                return None;
            }
        };
        let place = &entry.value;
        let to = match entry.key.as_str() {
            "mail" => self.mail(place)?,
            "webhook" => self.webhook(place)?,
            _ => To::Slack { url: self.secret(place.get("url")?)?, ca: path(place, "ca") },
        };
        let trial = trial(&to);
        for wrong in trial.check() {
            let span = place.entry(wrong.field()).map_or(&entry.key_span, |field| &field.value.span);
            self.wrong(wrong.to_string(), span, wrong.hint());
        }
        Some(to)
    }

    fn mail(&mut self, place: &Node) -> Option<To> {
        let text = |field: &str| place.get(field).and_then(Node::text).map(str::to_owned);
        let port = match place.get("port") {
            None => None,
            Some(port) => match port.count().and_then(|number| u16::try_from(number).ok()) {
                Some(number @ 1..) => Some(number),
                _ => {
                    self.wrong("a port is a number from 1 to 65535", &port.span, "for example `port = 587`");
                    None
                }
            },
        };
        let encryption = match text("encryption").as_deref() {
            Some("tls") => Encryption::Tls,
            Some("none") => Encryption::None,
            _ => Encryption::StartTls,
        };
        let password = match place.get("password") {
            Some(password) => Some(self.secret(password)?),
            None => None,
        };
        let to = place.get("to")?;
        let to = to.text().into_iter().chain(to.items().iter().filter_map(Node::text));
        let mail = Mail {
            port,
            encryption,
            plaintext_allowed: place.get("plaintext_allowed").and_then(Node::bool).unwrap_or(false),
            user: text("user"),
            ca: path(place, "ca"),
            ..Mail::new(text("host")?, text("from")?, to.map(str::to_owned).collect())
        };
        Some(To::Mail { mail, password })
    }

    fn webhook(&mut self, place: &Node) -> Option<To> {
        let mut headers = Vec::new();
        for header in place.get("headers").map_or(&[][..], Node::entries) {
            headers.push((header.key.clone(), self.secret(&header.value)?));
        }
        let secret = match place.get("secret") {
            Some(secret) => Some(self.secret(secret)?),
            None => None,
        };
        Some(To::Webhook { url: self.secret(place.get("url")?)?, headers, secret, ca: path(place, "ca") })
    }

    /// Where a secret lies.
    fn secret(&mut self, node: &Node) -> Option<SecretSource> {
        let help = "name the variable, as in `\"SLACK_URL\"`, or write `{ env = \"…\" }`, `{ file = \"…\" }` or `{ command = \"…\" }`";
        let source = match (node.text(), node.entries()) {
            (Some(name), _) => SecretSource::Variable(name.to_owned()),
            (None, [entry]) => SecretSource::of(&entry.key, entry.value.text()?)?,
            (None, entries) => {
                if entries.iter().all(|entry| WAYS.contains(&entry.key.as_str())) {
                    self.wrong("a secret lies in one place", &node.span, help);
                }
                return None;
            }
        };
        match source.wrong() {
            Some(wrong) => {
                self.wrong(wrong, &node.span, help);
                None
            }
            None => Some(source),
        }
    }

    fn template(&mut self, table: &Node, field: &str) -> Option<String> {
        let node = table.get(field)?;
        let text = node.text()?;
        if let Err(error) = template::check(text) {
            let said = error.to_string();
            // In a text of one line there is only this one.
            let said = if text.contains('\n') { said.as_str() } else { said.trim_start_matches("line 1: ") };
            let help = format!("for example `{field} = \"{{{{ pipeline }}}}: {{{{ what }}}}\"`");
            self.wrong(format!("this is no template: {said}"), &node.span, help);
            return None;
        }
        let known = || NAMES.into_iter();
        for name in template::names(text) {
            if known().chain(GLOBALS).any(|known| known == name) {
                continue;
            }
            let span = word(text, &name).map(|part| tree::inside(self.source, &node.span, text, &part));
            let help = match suggest::nearest(&name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("templates know {}", suggest::list(known())),
            };
            let span = span.as_ref().unwrap_or(&node.span);
            self.wrong(format!("templates know no `{name}`"), span, help);
        }
        Some(text.to_owned())
    }
}

/// Where a word stands in a text by itself.
fn word(text: &str, word: &str) -> Option<Range<usize>> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    text.match_indices(word).map(|(at, _)| at..at + word.len()).find(|place| {
        !text[..place.start].ends_with(part) && !text[place.end..].starts_with(|c| part(c) && c != '.')
    })
}

fn path(place: &Node, field: &str) -> Option<Utf8PathBuf> {
    place.get(field)?.text().map(Utf8PathBuf::from)
}

/// The place with something in the place of each secret, and without what lies on this machine only.
fn trial(to: &To) -> Place {
    let url = || Secret::new("https://example.org");
    match to {
        To::Mail { mail, password } => {
            let password = password.as_ref().map(|_| Secret::new("password"));
            Place::Mail(Mail { password, ca: None, ..mail.clone() })
        }
        To::Webhook { headers, .. } => {
            let headers = headers.iter().map(|(name, _)| (name.clone(), Secret::new("value"))).collect();
            Place::Webhook(Webhook { headers, ..Webhook::new(url()) })
        }
        To::Slack { .. } => Place::Slack(Slack::new(url())),
    }
}
