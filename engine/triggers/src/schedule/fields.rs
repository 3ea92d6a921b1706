//! The five fields together: which minutes of which days match, as a calendar without zones has them.

use std::ops::Range;

use croner::parser::{CronParser, Seconds, Year};
use jiff::SignedDuration;
use jiff::civil::Date;

use super::error::ScheduleError;
use super::field::Field;

const DAY: i64 = 24 * 60;
const EPOCH: Date = Date::constant(1970, 1, 1);

/// The values of the five fields, as sets of bits.
///
/// Civil times are counted here in seconds from the beginning of 1970, as if there were no zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    days_join: Join,
    /// Whether the times follow the clock where it is changed, or are fixed.
    pub(super) follow_clock: bool,
}

/// How the two fields of a day go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// One of them begins with `*`: both must match.
    Both,
    /// Both are restricted: one that matches is enough.
    Either,
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let expanded = match words[..] {
            [] => return Err(ScheduleError::Empty),
            [word, ..] if word.starts_with('@') => nickname(&words)?.split(' ').collect(),
            _ => words,
        };
        let Ok([minute, hour, day, _, weekday]) = <[&str; 5]>::try_from(expanded.as_slice()) else {
            return Err(ScheduleError::FieldCount { count: expanded.len(), text: text.to_owned() });
        };
        if expanded.iter().any(|field| field.contains('?')) {
            return Err(ScheduleError::QuestionMark { text: text.to_owned() });
        }
        let numbers: Result<Vec<_>, _> =
            Field::ALL.iter().zip(&expanded).map(|(field, text)| field.in_numbers(text)).collect();
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser
            .parse(&numbers?.join(" "))
            .map_err(|_| ScheduleError::Other { text: text.to_owned() })?
            .pattern;
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        let fields = Self {
            minutes: bits(&pattern.minutes.values()),
            hours: bits(&pattern.hours.values()),
            days: bits(&pattern.days.values()),
            months: bits(&pattern.months.values()),
            weekdays: bits(&pattern.days_of_week.values()),
            days_join: if either { Join::Either } else { Join::Both },
            follow_clock: minute.starts_with('*') || hour.starts_with('*'),
        };
        if fields.comes() { Ok(fields) } else { Err(ScheduleError::NeverComes { text: text.to_owned() }) }
    }

    /// Whether some day matches at all. Within 400 years each date of the calendar falls on each day of the week.
    fn comes(&self) -> bool {
        let longest = |month: u32| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let some_date =
            |month: u32| self.months & (1 << month) != 0 && self.days & through(longest(month)) != 0;
        self.days_join == Join::Either || (1..=12).any(some_date)
    }

    /// The first civil time that matches and is not before `from`.
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let minute = minute_at(from);
        let (day, minute_of_day) = (minute.div_euclid(DAY), minute.rem_euclid(DAY));
        let date = date(day)?;
        let today = self.days_of(date) & (1 << date.day()) != 0;
        if today && let Some(minute) = self.minute_from(minute_of_day) {
            return Some((day * DAY + minute) * 60);
        }
        let day = day_number(self.date_from(date.tomorrow().ok()?)?);
        Some((day * DAY + self.minute_from(0)?) * 60)
    }

    /// How many civil times of a range match.
    pub(super) fn count(&self, range: Range<i64>) -> u64 {
        let (from, to) = (minute_at(range.start), minute_at(range.end));
        let (first, last) = (from.div_euclid(DAY), to.div_euclid(DAY));
        // The matching minutes since the day of `from` began, less those before `from`.
        let (Some(first_date), Some(last_date)) = (date(first), date(last)) else { return 0 };
        if from >= to {
            return 0;
        }
        let part = |date: Date, minute: i64| {
            let matches = self.days_of(date) & (1 << date.day()) != 0;
            if matches { self.minutes_before(minute.rem_euclid(DAY)) } else { 0 }
        };
        let whole = self.days_between(first_date, last_date) * self.minutes_before(DAY);
        whole + part(last_date, to) - part(first_date, from)
    }

    /// The first matching minute of a day that is not before `from`.
    fn minute_from(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (from / 60, from % 60);
        let rest = self.minutes >> minute << minute;
        if self.hours & (1 << hour) != 0 && rest != 0 {
            return Some(hour * 60 + i64::from(rest.trailing_zeros()));
        }
        let later = self.hours & !through(hour);
        let first = i64::from(later.trailing_zeros()) * 60 + i64::from(self.minutes.trailing_zeros());
        (later != 0).then_some(first)
    }

    /// How many matching minutes of a day are before this one, on a day that matches.
    fn minutes_before(&self, minute: i64) -> u64 {
        let (hour, minute) = (minute / 60, minute % 60);
        let count = |bits: u64| u64::from(bits.count_ones());
        let before = |end: i64| (1_u64 << end) - 1;
        let this_hour = if self.hours & (1 << hour) == 0 { 0 } else { count(self.minutes & before(minute)) };
        count(self.hours & before(hour)) * count(self.minutes) + this_hour
    }

    /// The first matching date that is not before `from`.
    fn date_from(&self, from: Date) -> Option<Date> {
        let mut first = from;
        loop {
            let days = self.days_of(first) >> first.day() << first.day();
            if days != 0 {
                return Date::new(first.year(), first.month(), i8::try_from(days.trailing_zeros()).ok()?)
                    .ok();
            }
            first = first.last_of_month().tomorrow().ok()?;
        }
    }

    /// How many dates match from one date on and before another one.
    fn days_between(&self, from: Date, to: Date) -> u64 {
        let mut count = 0;
        let mut first = from;
        while first < to {
            let mut days = self.days_of(first) >> first.day() << first.day();
            let last = first.last_of_month();
            if to <= last {
                days &= (1 << to.day()) - 1;
            }
            count += u64::from(days.count_ones());
            let Ok(next) = last.tomorrow() else { break };
            first = next;
        }
        count
    }

    /// The days that match in the month of a date, bit 1 for the first.
    fn days_of(&self, date: Date) -> u64 {
        if self.months & (1 << date.month()) == 0 {
            return 0;
        }
        let weekday = i64::from(date.first_of_month().weekday().to_sunday_zero_offset());
        // The week as the month begins it, five times over.
        let week = (self.weekdays >> weekday | self.weekdays << (7 - weekday)) & 0x7f;
        let by_weekday = (week | week << 7 | week << 14 | week << 21 | week << 28) << 1;
        let days = match self.days_join {
            Join::Both => self.days & by_weekday,
            Join::Either => self.days | by_weekday,
        };
        days & through(i64::from(date.days_in_month())) & !1
    }
}

/// Bits 0 to `last`.
fn through(last: i64) -> u64 {
    (1 << (last + 1)) - 1
}

fn bits(values: &[u16]) -> u64 {
    values.iter().fold(0, |bits, value| bits | 1 << value)
}

/// The number of the first full minute that is not before a civil second.
fn minute_at(second: i64) -> i64 {
    second.div_euclid(60) + i64::from(second.rem_euclid(60) != 0)
}

/// The date of a day, counted from the beginning of 1970.
fn date(day: i64) -> Option<Date> {
    EPOCH.checked_add(SignedDuration::from_hours(day.checked_mul(24)?)).ok()
}

fn day_number(date: Date) -> i64 {
    date.duration_since(EPOCH).as_hours() / 24
}

/// The words that stand for five fields.
pub(super) const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

fn nickname(words: &[&str]) -> Result<&'static str, ScheduleError> {
    let text = words.join(" ");
    match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)) {
        Some((_, fields)) => Ok(fields),
        None if text.eq_ignore_ascii_case("@reboot") => Err(ScheduleError::Reboot),
        None => Err(ScheduleError::UnknownWord { word: text }),
    }
}
