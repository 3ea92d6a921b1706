//! Takes a message and a place and delivers it once: by mail, to a webhook, to a chat. Knows no pipeline and no run, and
//! keeps no state: whoever calls it remembers what is still to be delivered and asks `backoff` when to try again.

pub mod backoff;
mod error;
mod http;
mod mail;
mod message;
mod secret;
mod slack;
pub mod template;
mod text;
mod tls;
mod webhook;
mod wrong;

pub use error::{DeliveryError, Kind};
pub use mail::{Encryption, Mail};
pub use message::{Level, Message};
pub use secret::Secret;
pub use slack::Slack;
pub use webhook::Webhook;
pub use wrong::WrongPlace;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To people, by SMTP.
    Mail(Mail),
    /// To a program, by a signed request.
    Webhook(Webhook),
    /// To a channel of Slack, Mattermost or whatever takes the same requests.
    Slack(Slack),
}

impl Place {
    /// All that is wrong with it, before anything is sent.
    #[must_use]
    pub fn check(&self) -> Vec<WrongPlace> {
        match self {
            Self::Mail(mail) => mail.check(),
            Self::Webhook(webhook) => webhook.check(),
            Self::Slack(slack) => slack.check(),
        }
    }

    /// Delivers a message, in one try of at most half a minute. It may arrive twice if the answer is lost on the way and the
    /// caller tries again: mail then has the same Message-ID, and a webhook the same `webhook-id`.
    ///
    /// # Errors
    /// If the message did not arrive; the error tells whether another try may help.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryError> {
        match self {
            Self::Mail(mail) => mail.deliver(message).await,
            Self::Webhook(webhook) => webhook.deliver(message).await,
            Self::Slack(slack) => slack.deliver(message).await,
        }
    }
}

impl std::fmt::Display for Place {
    /// The place as people call it, without anything secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            Self::Mail(mail) => mail.place(),
            Self::Webhook(webhook) => webhook.place(),
            Self::Slack(slack) => slack.place(),
        })
    }
}
