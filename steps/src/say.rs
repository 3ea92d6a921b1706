//! The one place where a built-in step speaks: its standard output is the attempt's log.
#![expect(clippy::print_stdout, reason = "the log of an attempt is what the step's process prints")]

/// Prints a line of progress.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
