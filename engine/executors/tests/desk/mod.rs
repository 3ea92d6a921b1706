//! The desk before an engine in memory.

mod book;
mod logs;
mod lost;
mod pace;
mod property;
mod rules;
mod simulation;
mod stage;

use std::collections::BTreeMap;

use tidemill_executors::{End, Job};

use crate::contract::{self, Does};
use crate::scripted::{Script, Scripted};

/// The engine in memory keeps the promise too, so that what is found before it holds before the others.
#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_keeps_its_promise() {
    let read = |job: &Job| match (job.argv[0].as_str(), job.argv[1].parse().unwrap()) {
        ("exit", code) => {
            Script { end: End::Exited { code }, prints: b"said\n".to_vec(), ..Script::default() }
        }
        ("die", signal) => Script { end: End::Killed { signal }, ..Script::default() },
        ("sleep", seconds) => Script {
            runs: std::time::Duration::from_secs(seconds.unsigned_abs().into()),
            ..Script::default()
        },
        (_, to) => {
            Script { prints: contract::counted(to.unsigned_abs() as usize).into_bytes(), ..Script::default() }
        }
    };
    let job = |does| {
        let argv = match does {
            Does::Exit(code) => vec!["exit".to_owned(), code.to_string()],
            Does::Die(signal) => vec!["die".to_owned(), signal.to_string()],
            Does::Sleep => vec!["sleep".to_owned(), "600".to_owned()],
            Does::Count(to) => vec!["count".to_owned(), to.to_string()],
        };
        Job { argv, env: BTreeMap::new() }
    };
    contract::of_any_job(&Scripted::new(read), job).await;
}
