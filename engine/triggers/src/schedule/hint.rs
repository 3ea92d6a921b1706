//! What to write instead of a schedule that is not understood.

use super::error::ScheduleError;
use super::field::Field;
use super::fields::{Fields, NICKNAMES};
use super::zone;

impl ScheduleError {
    /// What to write instead, if that can be told.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty | Self::Other { .. } => Some(format!("write {FIVE}")),
            Self::FieldCount { count, text } => Some(too_many(*count, text)),
            Self::QuestionMark { text } => Some(question_mark(text)),
            Self::Reboot => {
                Some("to run when the host starts, start a run from a service of the system".to_owned())
            }
            Self::UnknownWord { word } => Some(nickname(word)),
            Self::OutOfRange { field: Field::Hour, value } if value == "24" => {
                Some("midnight is hour 0".to_owned())
            }
            Self::OutOfRange { .. } | Self::NeverComes { .. } => None,
            Self::Step { field, .. } => Some(step(*field)),
            Self::Backward { field, from, to, .. } => Some(backward(*field, *from, *to)),
            Self::Unreadable { field, item } => {
                Some(unreadable(*field, &item.to_uppercase()).unwrap_or_else(|| readable(*field)))
            }
            Self::UnknownZone { zone } => zone::hint(zone),
            Self::NoDatabase { .. } => {
                Some("install the package tzdata, or leave the zone out for UTC".to_owned())
            }
        }
    }
}

const FIVE: &str = "the minute, hour, day of month, month and day of week, such as `0 3 * * *`";

/// What to write instead of six or seven fields: the same without seconds or without a year, where that means the same.
fn too_many(count: usize, text: &str) -> String {
    if !(6..=7).contains(&count) {
        return format!("write {FIVE}");
    }
    let fields: Vec<String> = text.split_ascii_whitespace().map(|field| field.replace('?', "*")).collect();
    let without_seconds = matches!(fields[0].as_str(), "0" | "00").then(|| fields[1..].to_vec());
    let without_year = |fields: &[String]| {
        let (year, rest) = fields.split_last()?;
        (year == "*").then(|| rest.to_vec())
    };
    let sound = |fields: Option<Vec<String>>| {
        fields.map(|fields| fields.join(" ")).filter(|text| Fields::parse(text).is_ok())
    };
    if count == 7 {
        let said =
            "the first of seven fields would be seconds and the last a year, and a schedule has neither";
        return match sound(without_seconds.and_then(|fields| without_year(&fields))) {
            Some(text) => format!("{said}: write `{text}`"),
            None => format!("{said}: write {FIVE}"),
        };
    }
    let seconds =
        sound(without_seconds).map(|text| format!("if the first field is the second, write `{text}`"));
    let year =
        sound(without_year(&fields)).map(|text| format!("if the last field is the year, write `{text}`"));
    match (seconds, year) {
        (Some(seconds), Some(year)) => format!("{seconds}; {year}"),
        (Some(seconds), None) => seconds,
        (None, Some(year)) => format!("a schedule has no seconds; {year}"),
        (None, None) => {
            format!(
                "the first of six fields would be the second or the last the year, and a schedule has neither: write {FIVE}"
            )
        }
    }
}

fn question_mark(text: &str) -> String {
    let star =
        text.split_ascii_whitespace().map(|field| field.replace('?', "*")).collect::<Vec<_>>().join(" ");
    if Fields::parse(&star).is_ok() { format!("write `{star}`") } else { "write `*`".to_owned() }
}

fn nickname(word: &str) -> String {
    let word = word.to_lowercase();
    if word.starts_with("@every") {
        return "write steps, such as `*/5 * * * *` for every five minutes".to_owned();
    }
    let names = NICKNAMES.iter().map(|(name, _)| *name);
    match near(&word, names, 3) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("write {FIVE}"),
    }
}

fn step(field: Field) -> String {
    let (_, most) = field.bounds();
    match field {
        Field::Minute => {
            "a step begins anew in every hour; for every second hour write `0 */2 * * *`".to_owned()
        }
        Field::Hour => "a step begins anew on every day; for every second day write `0 0 */2 * *`".to_owned(),
        _ => format!("write a step from 1 to {most}"),
    }
}

fn backward(field: Field, from: u8, to: u8) -> String {
    let (low, high) = ends(field);
    let part = |low: u8, high: u8| if low == high { low.to_string() } else { format!("{low}-{high}") };
    if from > high {
        // Sunday as 7.
        return format!("write `{}`", part(low, to));
    }
    format!("write two: `{},{}`", part(from, high), part(low, to))
}

/// The first value of a field and the last, where a week is from Sunday to Saturday.
fn ends(field: Field) -> (u8, u8) {
    match field {
        Field::DayOfWeek => (0, 6),
        field => field.bounds(),
    }
}

/// What to write instead of a part of a field, which is given in capital letters.
fn unreadable(field: Field, item: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if item.is_empty() {
        return Some("there is a comma too many".to_owned());
    }
    if item == "*" {
        return Some("`*` is every value: write it alone".to_owned());
    }
    let with_end = item.replacen('/', &format!("-{}/", ends(field).1), 1);
    if !item.contains('-') && with_end != item && field.in_numbers(&with_end).is_ok() {
        return Some(format!("a step needs a range: write `{with_end}`"));
    }
    if item.starts_with('H') && field.names().is_empty() {
        return Some(
            "`H` belongs to Jenkins: write a number; a jitter spreads what is due together".to_owned(),
        );
    }
    let of_days = matches!(field, Field::DayOfMonth | Field::DayOfWeek);
    let special = item.contains('#') || item.ends_with(['L', 'W']) || item.starts_with('L');
    if of_days && special && !item.contains('-') {
        return Some(
            "`L`, `W` and `#` are not part of cron: write days as numbers, names, ranges and lists"
                .to_owned(),
        );
    }
    let word = item.split(['-', '/']).find(|word| !digits(word) && *word != "*")?;
    let long = field.names().iter().find(|name| word.starts_with(*name)).copied();
    let name = long.or_else(|| near(word, field.names().iter().copied(), 1))?;
    Some(format!("did you mean `{name}`?"))
}

/// What a field may be made of.
fn readable(field: Field) -> String {
    let (low, high) = field.bounds();
    let names = match field.names() {
        [first, .., last] => format!(", names from `{first}` to `{last}`"),
        _ => String::new(),
    };
    format!(
        "write `*`, numbers from {low} to {high}{names}, ranges such as `1-5` and steps such as `*/2`, with commas between them"
    )
}

/// The nearest of some candidates, if it is near.
fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>, most: usize) -> Option<&'a str> {
    let distance = |candidate: &'a str| (strsim::damerau_levenshtein(word, candidate), candidate);
    candidates.map(distance).min().filter(|(distance, _)| *distance <= most).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use crate::schedule::Schedule;

    #[test]
    fn a_message_says_what_is_wrong_and_what_to_write() {
        for (cron, message, hint) in [
            (
                "",
                "the schedule is empty",
                "write the minute, hour, day of month, month and day of week, such as `0 3 * * *`",
            ),
            (
                "0 3 * *",
                "a schedule has five fields, but `0 3 * *` has 4",
                "write the minute, hour, day of month, month and day of week, such as `0 3 * * *`",
            ),
            (
                "0 0 3 * * *",
                "a schedule has five fields, but `0 0 3 * * *` has 6",
                "if the first field is the second, write `0 3 * * *`; if the last field is the year, write `0 0 3 * *`",
            ),
            (
                "0 0 3 * * ?",
                "a schedule has five fields, but `0 0 3 * * ?` has 6",
                "if the first field is the second, write `0 3 * * *`; if the last field is the year, write `0 0 3 * *`",
            ),
            (
                "5 0 3 * * *",
                "a schedule has five fields, but `5 0 3 * * *` has 6",
                "a schedule has no seconds; if the last field is the year, write `5 0 3 * *`",
            ),
            (
                "5 0 3 * * 2027",
                "a schedule has five fields, but `5 0 3 * * 2027` has 6",
                "the first of six fields would be the second or the last the year, and a schedule has neither: write the minute, hour, day of month, month and day of week, such as `0 3 * * *`",
            ),
            (
                "0 0 12 * * ? *",
                "a schedule has five fields, but `0 0 12 * * ? *` has 7",
                "the first of seven fields would be seconds and the last a year, and a schedule has neither: write `0 12 * * *`",
            ),
            (
                "0 10 ? * MON-FRI *",
                "a schedule has five fields, but `0 10 ? * MON-FRI *` has 6",
                "a schedule has no seconds; if the last field is the year, write `0 10 * * MON-FRI`",
            ),
            ("0 3 ? * MON", "`?` means nothing in a schedule: `0 3 ? * MON`", "write `0 3 * * MON`"),
            ("? ? ? ? ?8", "`?` means nothing in a schedule: `? ? ? ? ?8`", "write `*`"),
            (
                "@reboot",
                "`@reboot` is no time, and a schedule knows only times",
                "to run when the host starts, start a run from a service of the system",
            ),
            ("@dayly", "`@dayly` is no schedule", "did you mean `@daily`?"),
            (
                "@fortnightly",
                "`@fortnightly` is no schedule",
                "write the minute, hour, day of month, month and day of week, such as `0 3 * * *`",
            ),
            (
                "@every 5m",
                "`@every 5m` is no schedule",
                "write steps, such as `*/5 * * * *` for every five minutes",
            ),
            ("60 * * * *", "60 is out of range: the minute goes from 0 to 59", ""),
            ("0 24 * * *", "24 is out of range: the hour goes from 0 to 23", "midnight is hour 0"),
            ("0 0 * * 8", "8 is out of range: the day of week goes from 0 to 7", ""),
            (
                "*/90 * * * *",
                "90 is no step of the minute: a step goes from 1 to 59",
                "a step begins anew in every hour; for every second hour write `0 */2 * * *`",
            ),
            (
                "0 */24 * * *",
                "24 is no step of the hour: a step goes from 1 to 23",
                "a step begins anew on every day; for every second day write `0 0 */2 * *`",
            ),
            (
                "0 0 */0 * *",
                "0 is no step of the day of month: a step goes from 1 to 31",
                "write a step from 1 to 31",
            ),
            ("0 22-2 * * *", "the range `22-2` of the hour ends before it begins", "write two: `22-23,0-2`"),
            (
                "0 0 * * fri-mon",
                "the range `fri-mon` of the day of week ends before it begins",
                "write two: `5-6,0-1`",
            ),
            (
                "5/15 * * * *",
                "`5/15` is not understood in the field of the minute",
                "a step needs a range: write `5-59/15`",
            ),
            (
                "*,5 * * * *",
                "`*` is not understood in the field of the minute",
                "`*` is every value: write it alone",
            ),
            ("1,,2 * * * *", "`` is not understood in the field of the minute", "there is a comma too many"),
            (
                "H 3 * * *",
                "`H` is not understood in the field of the minute",
                "`H` belongs to Jenkins: write a number; a jitter spreads what is due together",
            ),
            (
                "0 0 L * *",
                "`L` is not understood in the field of the day of month",
                "`L`, `W` and `#` are not part of cron: write days as numbers, names, ranges and lists",
            ),
            (
                "0 0 15W * *",
                "`15W` is not understood in the field of the day of month",
                "`L`, `W` and `#` are not part of cron: write days as numbers, names, ranges and lists",
            ),
            (
                "0 0 * * 1#2",
                "`1#2` is not understood in the field of the day of week",
                "`L`, `W` and `#` are not part of cron: write days as numbers, names, ranges and lists",
            ),
            (
                "0 0 * * monday",
                "`monday` is not understood in the field of the day of week",
                "did you mean `MON`?",
            ),
            ("0 0 * * mno", "`mno` is not understood in the field of the day of week", "did you mean `MON`?"),
            (
                "0 0 * juli-sep *",
                "`juli-sep` is not understood in the field of the month",
                "did you mean `JUL`?",
            ),
            (
                "0 mon * * *",
                "`mon` is not understood in the field of the hour",
                "write `*`, numbers from 0 to 23, ranges such as `1-5` and steps such as `*/2`, with commas between them",
            ),
            ("0 0 30 2 *", "`0 0 30 2 *` never comes: no month that it names has such a day", ""),
            ("0 0 30 2 */2", "`0 0 30 2 */2` never comes: no month that it names has such a day", ""),
            (
                "٣ 0 * * *",
                "`٣` is not understood in the field of the minute",
                "write `*`, numbers from 0 to 59, ranges such as `1-5` and steps such as `*/2`, with commas between them",
            ),
            (
                "0 3 * * * * * *",
                "a schedule has five fields, but `0 3 * * * * * *` has 8",
                "write the minute, hour, day of month, month and day of week, such as `0 3 * * *`",
            ),
            (
                "0 3 * * * extra",
                "a schedule has five fields, but `0 3 * * * extra` has 6",
                "the first of six fields would be the second or the last the year, and a schedule has neither: write the minute, hour, day of month, month and day of week, such as `0 3 * * *`",
            ),
            (
                "L * * * *",
                "`L` is not understood in the field of the minute",
                "write `*`, numbers from 0 to 59, ranges such as `1-5` and steps such as `*/2`, with commas between them",
            ),
            (
                "+5 * * * *",
                "`+5` is not understood in the field of the minute",
                "write `*`, numbers from 0 to 59, ranges such as `1-5` and steps such as `*/2`, with commas between them",
            ),
            ("0 0 * * thr", "`thr` is not understood in the field of the day of week", "did you mean `THU`?"),
        ] {
            let error = Schedule::parse(cron, None).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.hint().unwrap_or_default().as_str()),
                (message, hint)
            );
        }
    }

    #[test]
    fn what_is_to_be_written_can_be_read() {
        for (day, hint) in [("fri-mon", "5-6,0-1"), ("6-0", "6,0"), ("7-1", "0-1"), ("mon/2", "MON-6/2")] {
            let told = Schedule::parse(&format!("0 0 * * {day}"), None).unwrap_err().hint().unwrap();
            assert!(told.ends_with(&format!("`{hint}`")), "{told}");
            assert!(Schedule::parse(&format!("0 0 * * {hint}"), None).is_ok());
        }
        let told = Schedule::parse("75/15 * * * *", None).unwrap_err().hint().unwrap();
        assert!(!told.contains("75"), "{told}");
    }
}
