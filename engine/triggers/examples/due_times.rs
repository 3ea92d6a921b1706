//! Compares due times with those that another program expects, as `tests/campaigns/schedules.py` writes them, one case a line.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use jiff::Timestamp;
use tidemill_triggers::Schedule;

/// After so many differences no more is read.
const MOST: usize = 20;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let (mut cases, mut different) = (0, 0);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let case: serde_json::Value = serde_json::from_str(&line)?;
        let found = due_times(&case);
        cases += 1;
        let expected = case["next"].as_array().cloned().unwrap_or_default();
        if found.as_ref() != Ok(&expected) {
            different += 1;
            writeln!(out, "{line}\n  found {found:?}")?;
        }
        if different == MOST {
            break;
        }
    }
    writeln!(out, "{cases} cases, {different} differences")?;
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As many due times as are expected, or why there are none.
fn due_times(case: &serde_json::Value) -> Result<Vec<serde_json::Value>, String> {
    let cron = case["cron"].as_str().ok_or("no expression")?;
    let schedule = Schedule::parse(cron, case["zone"].as_str()).map_err(|error| error.to_string())?;
    let from = case["from"].as_i64().ok_or("no beginning")?;
    let from = Timestamp::from_second(from).map_err(|error| error.to_string())?;
    let count = case["next"].as_array().map_or(0, Vec::len);
    let due: Vec<Timestamp> = schedule.due_between(from, Timestamp::MAX).take(count).collect();
    if let Some(last) = due.last() {
        // The two ways of walking must agree.
        let counted = schedule.count_between(from, *last);
        if counted != due.len() as u64 {
            return Err(format!("{counted} are counted but {} are found", due.len()));
        }
    }
    Ok(due.iter().map(|due| due.as_second().into()).collect())
}
