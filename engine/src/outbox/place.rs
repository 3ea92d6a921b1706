//! Where entries go: looked up in the pipeline file or in the project file at the moment in which something is told, with its secrets.

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_notify::{DeliveryError, Kind, Mail, Place, Slack, Webhook};

use super::entry::{Entry, Recipient, What};
use crate::load;
use crate::project::{self, Project};
use crate::secret::{SecretError, SecretSource};
use crate::sink::Mode;
use crate::spec::To;

/// Where entries go.
pub(super) enum Target {
    /// To people, or to a program that wants messages.
    Place(Place),
    /// To a program that wants events.
    Sink(Webhook, Mode),
}

/// Why there is no place now.
#[derive(Debug)]
pub(super) enum NoPlace {
    /// It is gone, and somebody has taken it away.
    Gone(String),
    /// It may be there again.
    Later(String),
}

impl From<SecretError> for NoPlace {
    fn from(error: SecretError) -> Self {
        Self::Later(format!("a secret is not there: {error}"))
    }
}

/// Where this one is now.
pub(super) async fn look_up(project: &Project, to: &Recipient) -> Result<Target, NoPlace> {
    match to {
        Recipient::Notify { file, name } => {
            let path = project.root().join(file);
            let found = match load::notify(&path) {
                Ok(Some(found)) => found,
                Ok(None) => return Err(NoPlace::Later(format!("{file} cannot be read: it has mistakes"))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(NoPlace::Gone(format!("{file} is not there any more")));
                }
                Err(error) => return Err(NoPlace::Later(format!("{file} cannot be read: {error}"))),
            };
            let notify = found.notify.into_iter().find(|notify| notify.name == *name);
            let Some(notify) = notify.filter(|notify| notify.enabled) else {
                return Err(NoPlace::Gone(format!("{file} has no `notify` {name} that could be told")));
            };
            let folder = path.parent().unwrap_or(project.root());
            Ok(Target::Place(place(project, folder, notify.to).await?))
        }
        Recipient::Sink { name } => {
            let sinks = project::sinks(project.root());
            let sinks = sinks.map_err(|error| NoPlace::Later(error.to_string()))?;
            let Some(sink) = sinks.into_iter().find(|sink| sink.name == *name) else {
                return Err(NoPlace::Gone(format!("{} has no sink {name} any more", project::PROJECT_FILE)));
            };
            let webhook = sink.webhook(project.environment(), project.root()).await?;
            Ok(Target::Sink(webhook, sink.mode))
        }
    }
}

/// A place with its secrets.
async fn place(project: &Project, folder: &Utf8Path, to: To) -> Result<Place, NoPlace> {
    let read = async |source: &SecretSource| source.read(project.environment(), folder).await;
    let ca = |ca: Option<Utf8PathBuf>| ca.map(|ca| folder.join(ca));
    Ok(match to {
        To::Mail { mail, password } => {
            let password = match password {
                Some(source) => Some(read(&source).await?),
                None => None,
            };
            Place::Mail(Mail { password, ca: ca(mail.ca.clone()), ..mail })
        }
        To::Webhook { url, headers, secret, ca: own } => {
            let mut webhook = Webhook::new(read(&url).await?);
            for (name, source) in headers {
                webhook.headers.push((name, read(&source).await?));
            }
            if let Some(source) = secret {
                webhook.secret = Some(read(&source).await?);
            }
            webhook.ca = ca(own);
            Place::Webhook(webhook)
        }
        To::Slack { url, ca: own } => Place::Slack(Slack { ca: ca(own), ..Slack::new(read(&url).await?) }),
    })
}

impl Target {
    /// Tells an entry, once.
    pub(super) async fn tell(&self, entry: &Entry) -> Result<(), DeliveryError> {
        match (self, &entry.what) {
            (Self::Place(place), What::Message(message)) => place.deliver(message).await,
            (Self::Sink(webhook, mode), What::Event(event)) => {
                let (headers, body) = match mode {
                    Mode::Binary => event.to_binary(),
                    Mode::Structured => (structured(), event.to_structured()),
                };
                webhook.post_event(&entry.id.to_string(), headers, body).await
            }
            _ => Err(DeliveryError {
                place: entry.to.to_string(),
                reason: "it is told another kind of things".to_owned(),
                kind: Kind::Refused,
            }),
        }
    }
}

/// The headers of an event as one JSON object.
fn structured() -> http::HeaderMap {
    let kind = http::HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
    http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind)])
}
