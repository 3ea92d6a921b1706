//! Why a schedule is not understood.

use super::field::Field;

/// Why a schedule is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There is no text.
    #[error("the schedule is empty")]
    Empty,
    /// More fields than five, or fewer.
    #[error("a schedule has five fields, but `{text}` has {count}")]
    FieldCount {
        /// So many.
        count: usize,
        /// The whole text.
        text: String,
    },
    /// A `?`, which Quartz and AWS know and cron does not.
    #[error("`?` means nothing in a schedule: `{text}`")]
    QuestionMark {
        /// The whole text.
        text: String,
    },
    /// `@reboot`, which is no time.
    #[error("`@reboot` is no time, and a schedule knows only times")]
    Reboot,
    /// A word that stands for no fields.
    #[error("`{word}` is no schedule")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// A value that the field cannot have.
    #[error("{value} is out of range: the {field} goes from {} to {}", .field.bounds().0, .field.bounds().1)]
    OutOfRange {
        /// Where.
        field: Field,
        /// As it is written.
        value: String,
    },
    /// A step that leads nowhere, or out of the field at once.
    #[error("{step} is no step of the {field}: a step goes from 1 to {}", .field.bounds().1)]
    Step {
        /// Where.
        field: Field,
        /// As it is written.
        step: String,
    },
    /// A range whose end is before its beginning.
    #[error("the range `{item}` of the {field} ends before it begins")]
    Backward {
        /// Where.
        field: Field,
        /// As it is written.
        item: String,
        /// Its beginning as a number.
        from: u8,
        /// Its end as a number.
        to: u8,
    },
    /// A part of a field that is not in the dialect.
    #[error("`{item}` is not understood in the field of the {field}")]
    Unreadable {
        /// Where.
        field: Field,
        /// The part between two commas.
        item: String,
    },
    /// A date that no year has.
    #[error("`{text}` never comes: no month that it names has such a day")]
    NeverComes {
        /// The whole text.
        text: String,
    },
    /// Anything else.
    #[error("`{text}` is no schedule")]
    Other {
        /// The whole text.
        text: String,
    },
    /// A time zone that the database of this machine does not know.
    #[error("there is no time zone \"{zone}\"")]
    UnknownZone {
        /// As it is written.
        zone: String,
    },
    /// This machine has no database of time zones.
    #[error("the time zone \"{zone}\" cannot be looked up: this machine has no database of time zones")]
    NoDatabase {
        /// As it is written.
        zone: String,
    },
}
