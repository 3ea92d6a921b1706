//! What became of what was to be told, in lines for people.

use std::sync::Arc;

use jiff::Timestamp;
use tidemill_engine::outbox::{Entry, Listener, Told};

use super::sink::Ui;
use super::text::{clean, time};

/// Who tells what becomes of what is to be told; with the time of each, where it goes on for long.
pub(crate) fn listener(ui: Ui, project: &str, with_time: bool) -> Listener {
    let project = if project.is_empty() { String::new() } else { format!("{project}: ") };
    Arc::new(move |told| {
        let now = match with_time {
            true => format!("{}  ", Timestamp::now().strftime("%Y-%m-%d %H:%M:%S")),
            false => String::new(),
        };
        ui.tell(&format!("{now}{project}{}\n", clean(&line(told))));
    })
}

fn line(told: &Told<'_>) -> String {
    match told {
        Told::Delivered(entry) => format!("{}: told \"{}\"", entry.to, entry.title()),
        Told::Again(entry) => format!("{}: {}; tried again at {}", entry.to, why(entry), time(entry.next)),
        Told::Dead(entry) => {
            format!("{}: {}; `tidemill outbox retry {:.8}` tries again", entry.to, why(entry), entry.id)
        }
    }
}

/// Why it could not be told.
pub(crate) fn why(entry: &Entry) -> &str {
    entry.last_error.as_deref().unwrap_or_default()
}
