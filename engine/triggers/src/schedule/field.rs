//! One field of a cron expression: which values it may have, and how strictly its text is read.

use std::fmt;

use super::error::ScheduleError;

/// One of the five fields of a cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or a name.
    Month,
    /// 0 to 7, or a name; 0 and 7 are Sunday.
    DayOfWeek,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

impl Field {
    /// All of them, in the order in which they are written.
    pub(super) const ALL: [Self; 5] =
        [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// The least value and the greatest.
    #[must_use]
    pub fn bounds(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The names that its values have, from the least value on.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
        }
    }

    /// The same field in numbers only, if it is one in our dialect.
    pub(super) fn in_numbers(self, text: &str) -> Result<String, ScheduleError> {
        if text == "*" {
            return Ok(text.to_owned());
        }
        let items: Result<Vec<_>, _> = text.split(',').map(|item| self.item(item)).collect();
        Ok(items?.join(","))
    }

    fn item(self, item: &str) -> Result<String, ScheduleError> {
        let Some((range, step)) = item.split_once('/') else {
            return match item.split_once('-') {
                Some((low, high)) => self.range(item, low, high),
                None => Ok(self.value(item, item)?.to_string()),
            };
        };
        let range = match range.split_once('-') {
            Some((low, high)) => self.range(item, low, high)?,
            None if range == "*" => range.to_owned(),
            None => return Err(self.unreadable(item)),
        };
        let (_, most) = self.bounds();
        match number(step) {
            Some(Ok(step)) if (1..=most).contains(&step) => Ok(format!("{range}/{step}")),
            Some(_) => Err(ScheduleError::Step { field: self, step: step.to_owned() }),
            None => Err(self.unreadable(item)),
        }
    }

    fn range(self, item: &str, low: &str, high: &str) -> Result<String, ScheduleError> {
        let (from, mut to) = (self.value(item, low)?, self.value(item, high)?);
        if to == 0 && number(high).is_none() && from > 0 {
            // `fri-sun`: the Sunday at the end.
            to = 7;
        }
        if from > to {
            return Err(ScheduleError::Backward { field: self, item: item.to_owned(), from, to });
        }
        Ok(format!("{from}-{to}"))
    }

    fn value(self, item: &str, text: &str) -> Result<u8, ScheduleError> {
        let (low, high) = self.bounds();
        match number(text) {
            Some(Ok(value)) if (low..=high).contains(&value) => Ok(value),
            Some(_) => Err(ScheduleError::OutOfRange { field: self, value: text.to_owned() }),
            None => {
                let named = (low..).zip(self.names()).find(|(_, name)| name.eq_ignore_ascii_case(text));
                named.map(|(value, _)| value).ok_or_else(|| self.unreadable(item))
            }
        }
    }

    fn unreadable(self, item: &str) -> ScheduleError {
        ScheduleError::Unreadable { field: self, item: item.to_owned() }
    }
}

/// The number that a text is, which may be too large, if it is made of digits.
fn number(text: &str) -> Option<Result<u8, std::num::ParseIntError>> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_into_numbers() {
        let read = |field: Field, text: &str| field.in_numbers(text).unwrap();
        assert_eq!(read(Field::Minute, "*"), "*");
        assert_eq!(read(Field::Minute, "*/15,07,30-40/5"), "*/15,7,30-40/5");
        assert_eq!(read(Field::Month, "jan,Mar-MAY"), "1,3-5");
        assert_eq!(read(Field::DayOfWeek, "mon-FRI"), "1-5");
        assert_eq!(read(Field::DayOfWeek, "sat-sun"), "6-7");
        assert_eq!(read(Field::DayOfWeek, "sun-tue,sun-sun,7"), "0-2,0-0,7");
    }

    #[test]
    fn what_is_not_our_dialect_is_refused() {
        let wrong = [
            (Field::Minute, "60 -1 +1 1.5 5/15 /5 */0 */60 */x */5/5 1,,2 , 1- -5 1-2-3 *,5 *-5 mon H ٣ 5-1"),
            (Field::Hour, "24 jan 99999999999"),
            (Field::DayOfMonth, "0 32 L 15W LW jan 1-40"),
            (Field::Month, "0 13 mon january 11-2"),
            (Field::DayOfWeek, "8 jan 1#2 5L +mon monday fri-mon 5-0"),
        ];
        for (field, texts) in wrong {
            for text in texts.split(' ') {
                assert!(field.in_numbers(text).is_err(), "{field} {text}");
            }
        }
    }
}
