//! What goes on inside, on standard error: for who asks with `-v` or `TIDEMILL_LOG`; otherwise only our own errors.

use tracing_subscriber::EnvFilter;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::sink::Talk;

/// The variable that says what to tell, such as `debug` or `tidemill_engine=trace`.
const VARIABLE: &str = "TIDEMILL_LOG";
/// What is told unasked: what cannot be told as an event of a run.
const UNASKED: &str = "off,tidemill_cache=error,tidemill_engine=error,tidemill_server=error";

/// Starts to tell.
pub(crate) fn start(context: &Context, verbose: u8) -> Result<(), CliError> {
    let wanted = match (context.variable(VARIABLE), verbose) {
        (Some(wanted), _) if !wanted.is_empty() => wanted,
        (_, 0) => UNASKED,
        (_, 1) => "info",
        (_, 2) => "debug",
        (_, _) => "trace",
    };
    let filter = EnvFilter::try_new(wanted)
        .map_err(|error| CliError::usage(format!("{VARIABLE} cannot be understood: {error}")))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Talk).with_ansi(false).init();
    Ok(())
}
