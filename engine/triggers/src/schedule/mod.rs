//! Schedules: when a cron expression in a time zone is due, and what of it was missed.
//!
//! # The expression
//! Five fields as Vixie's cron reads them: minute, hour, day of month, month, day of week. A field is a list of numbers, names
//! (`jan`, `mon`), ranges and steps (`*/5`, `10-30/5`). Sunday is `0` and `7`. If day of month and day of week are both restricted,
//! a day that one of them names is enough; a field that begins with `*` does not restrict, so `*/2` together with `mon` means
//! Mondays with an odd number. The words `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually` stand for
//! five fields.
//!
//! # When clocks change
//! As in Vixie's cron it matters whether the field of the minute or that of the hour begins with `*`.
//!
//! - If neither does, the times are *fixed*. Each is due at the first instant at which the clocks of the zone show it or a later
//!   time. So what is skipped in spring is due right after the gap, and only once however many times lie in the gap; what
//!   the clocks show twice in autumn is due the first time only. This holds for every change of a clock, by an hour, by half
//!   an hour or by a whole day.
//! - Otherwise the times *follow the clock*: one is due whenever the clocks show it, so twice when they are set back, and never
//!   when they skip it. `*/15 * * * *` is thus due every quarter of an hour, whatever the clocks do.
//!   `*/15 2 * * *` is not due at all in a night that has no hour 2.
//!
//! Only the first character of a field counts: `0-59 3 * * *` and `5,*/10 3 * * *` are fixed.
//! Vixie's cron takes a change of three hours or more for a correction of the clock and forgets what was skipped; here each change is
//! treated alike, since zones do skip whole days.

mod cron;
mod error;
mod field;
mod fields;
mod hint;
mod jitter;
#[cfg(test)]
mod laws;
mod missed;
mod walk;
mod windows;
mod zone;

pub use cron::Schedule;
pub use error::ScheduleError;
pub use field::Field;
pub use jitter::jitter;
pub use missed::{CatchUp, Missed, missed};
