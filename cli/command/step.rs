//! `tidemill step NAME`: the child side of a built-in step. The engine starts it; nobody types it.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::exit::Exit;
use crate::ui::sink::tell;

/// Does the work that the engine ordered. What went wrong is the end of the attempt's log.
pub(crate) fn main(name: Option<OsString>) -> ExitCode {
    let Some(name) = name.and_then(|name| name.into_string().ok()) else {
        tell("error: `tidemill step` takes the name of a built-in step; the engine calls it\n");
        return Exit::Usage.into();
    };
    let Err(error) = tidemill_steps::run(&name) else {
        return Exit::Done.into();
    };
    let mut text = format!("error: {error}\n");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("  because: {cause}\n"));
        source = cause.source();
    }
    tell(&text);
    Exit::StepFailed.into()
}
