//! What the tests share: receivers, and a message with all that a message can have.

mod receiver;

use tidemill_notify::{Level, Message};

pub(crate) use receiver::{Receiver, Script};

/// The file of the authority that signed a receiver's certificate.
pub(crate) fn ca(receiver: &Receiver) -> Option<camino::Utf8PathBuf> {
    camino::Utf8PathBuf::from_path_buf(receiver.ca()).ok()
}

/// A message with all that a message can have.
pub(crate) fn message() -> Message {
    Message {
        subject: "churn: evaluate failed".to_owned(),
        text: "The step evaluate failed.".to_owned(),
        facts: vec![("step".to_owned(), "evaluate".to_owned()), ("exit code".to_owned(), "3".to_owned())],
        link: Some("https://tidemill.example.org/runs/7".to_owned()),
        level: Level::Failure,
        id: "run-7-failed".to_owned(),
        time: "2026-11-30T12:00:00Z".parse().unwrap(),
    }
}
