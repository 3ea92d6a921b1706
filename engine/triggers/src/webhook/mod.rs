//! Webhooks: whether one comes from whom it says, and the event that it brings.
//!
//! A hook is verified over the bytes of its body as they came, before anything in them is read. Headers that no signature
//! covers are taken for hints only: that a request is the same as an earlier one is told by what is signed.
//!
//! It knows nothing of triggers and of a server; what was seen before is kept by the caller.

mod github;
mod gitlab;
mod hook;
mod request;
mod secret;
mod standard;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use hook::{Hook, Sender, Verified, WebhookError};
pub use secret::{Secret, SecretError};
pub use standard::{SignError, sign_standard};
