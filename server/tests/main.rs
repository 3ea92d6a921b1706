//! The server over real loopback HTTP: the protocol with each of its errors, the token, deployments under load.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod protocol;
mod refusal;
mod rollout;
mod support;
