//! What is said when the machine gives no more threads or descriptors to a library that can only panic then: no bug of ours.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::process::exit;

use crate::exit::Exit;
use crate::ui::sink::tell;

/// How the panics of rayon, tokio and the standard library begin that say so.
const BEGINNINGS: [&str; 4] = [
    "The global thread pool has not been initialized",
    "OS can't spawn worker thread",
    "failed to spawn thread",
    "failed to create UnixStream",
];

const HINT: &str =
    "other programs of this user may use them up, or a limit is low: see `ulimit -u` and `ulimit -n`";

/// From now on these panics end the program as other failures of the machine do, whichever thread they come from. What it started
/// ends with it.
#[expect(clippy::exit, reason = "there is nobody to return to: the thread that panics may be any")]
pub(crate) fn install() {
    let usual = take_hook();
    set_hook(Box::new(move |info| match reason(info) {
        Some(reason) => {
            tell(&format!(
                "error: the machine gives no more threads or descriptors\n  because: {reason}\nhint: {HINT}\n"
            ));
            exit(Exit::Infrastructure.code().into());
        }
        None => usual(info),
    }));
}

/// What the library says, if it is one of these panics.
fn reason<'a>(info: &'a PanicHookInfo<'_>) -> Option<&'a str> {
    let text = info.payload_as_str()?;
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)).then_some(text)
}
