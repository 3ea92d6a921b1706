//! Deliveries to real receivers: a mail server and a receiver of webhooks, both in Python, in an environment that `tests/setup` makes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod chat;
mod mail;
mod support;
mod webhook;
