//! The door to child processes: a warden that starts them, watches them and lets none of them outlive its owner.
//!
//! One helper process per engine, the *warden*, starts every command. It is small and does nothing else, so that it is
//! there when the engine is not: when the engine's end of the pipe between them closes, for whatever reason, it kills every
//! descendant and ends. Whatever a command leaves behind, also what left its process group or session, falls to the
//! warden (it is a subreaper) and is killed before the end of the command is told: nothing writes to outputs afterwards.
//! If warden and engine are both killed, the leaders die by their death signal, and [`sweep()`] finds the rest.
//!
//! ```text
//! engine: handle ──pipes, JSON lines (wire)───▶ warden ─ launch ─ start, fence, trace, output, redact
//!                     │                              └ family ─ table
//!                     └ load, gpu: what they use while they run
//! ```
//!
//! Knows no step, no cache and no run. Every process carries three marks in its environment, see [`MARKS`].

mod command;
mod error;
mod family;
mod fence;
mod gpu;
mod handle;
mod launch;
mod lazy;
mod load;
mod output;
mod redact;
mod start;
mod sweep;
mod sys;
mod table;
mod trace;
mod warden;
mod wire;

pub use command::{Command, Exit, Rank, Secret, Status};
pub use error::ProcessError;
pub use fence::{Fence, Guards};
pub use gpu::{Gpu, GpuLoad, Gpus};
pub use handle::{Child, HeldCommand, Warden, run_quick};
pub use lazy::LazyWarden;
pub use load::Load;
pub use sweep::sweep;
pub use trace::{Reads, Trace, can_trace};
pub use warden::warden_main;

/// The variables by which a process is found again, added to the environment of each: the attempt it belongs to, the
/// warden that started it, and the state folder of its project.
pub const MARKS: [&str; 3] = ["TIDEMILL_ATTEMPT", "TIDEMILL_WARDEN", "TIDEMILL_STATE"];
