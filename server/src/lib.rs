//! What answers over HTTP: a model server that follows the desired state of endpoints, and the interface of the daemon.
//!
//! A request takes the model that its endpoint has at that moment and keeps it until it is answered; a new desired state
//! is loaded and verified beside it and then swapped in. So no request is dropped and none sees half of a change.
//!
//! The flow of a request: `routes` (who may, which model) → `decode` (wire → tensors) → the model → `encode`.
//! The flow of a deployment: `follow` (a folder changed) → `endpoints` (load, verify, swap).

pub mod api;

mod answer;
mod connections;
mod datatype;
mod decode;
mod encode;
mod endpoints;
mod follow;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod metrics;
mod protocol;
mod routes;
mod server;
mod token;

pub use axum::Router;
pub use endpoints::{LoadError, ServeEvent};
pub use server::{Models, ServeError, ServeOptions, Server, Source};
pub use token::{Token, TokenError};
