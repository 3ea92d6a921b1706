//! An event in the form of `CloudEvents` 1.0, as HTTP brings it and as a file keeps it.
//!
//! The sources of the rules, at <https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents>: `spec.md` (attributes, their
//! names and types), `formats/json-format.md` (the structured form and batches) and `bindings/http-protocol-binding.md`
//! (the three modes of HTTP, percent-encoding of headers).
//!
//! It knows nothing of triggers, of a server, or of who may send an event.

mod attribute;
mod cloud_event;
mod data;
mod error;
mod http_binding;
mod json;
mod media;
mod percent;
mod uri;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use cloud_event::CloudEvent;
pub use data::{Data, ExtensionValue};
pub use error::{EventError, Limits};
pub use http_binding::received;

pub(crate) use attribute::time;
pub(crate) use json::parse;
