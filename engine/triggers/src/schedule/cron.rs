//! A schedule: a cron expression in a time zone, and the times at which it is due.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::ScheduleError;
use super::fields::Fields;
use super::walk::Walk;
use super::zone;

/// When something is due, again and again: a cron expression of five fields, in a time zone.
///
/// How it is read and what happens when clocks change is written in the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    fields: Fields,
    zone: TimeZone,
    zone_name: String,
}

impl Schedule {
    /// The schedule that an expression means in a zone of the IANA database, or in UTC if none is named.
    ///
    /// # Errors
    /// The expression or the zone is not understood, or the expression never comes true.
    pub fn parse(cron: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let fields = Fields::parse(cron)?;
        let (zone, zone_name) = zone::find(zone)?;
        let text = cron.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { text, fields, zone, zone_name })
    }

    /// The first due time that is later than `after`. There is none only where the calendar ends, in the year 9999.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.walk().next(second(after))?;
        Timestamp::from_second(next).ok()
    }

    /// The due times that are later than `after` and not later than `until`, in order.
    pub fn due_between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let within = move |due: &Timestamp| *due <= until;
        let first = self.next_after(after).filter(within);
        std::iter::successors(first, move |due| self.next_after(*due).filter(within))
    }

    /// How many due times `due_between` has. They are counted by months, not one by one, so that a long time is counted as fast.
    #[must_use]
    pub fn count_between(&self, after: Timestamp, until: Timestamp) -> u64 {
        self.walk().count(second(after), second(until))
    }

    /// The name of its time zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// Its expression, with one space between the fields.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn walk(&self) -> Walk<'_> {
        Walk::new(&self.fields, &self.zone)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.text, self.zone_name)
    }
}

/// The last full second at or before an instant. All due times are full seconds.
fn second(instant: Timestamp) -> i64 {
    // Before 1970 the parts of a second count backwards.
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first due times after a civil time, as the clocks of the zone show them. Of a civil time that is shown twice, the first is meant.
    fn due(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(cron, Some(zone)).unwrap();
        let from: jiff::civil::DateTime = from.parse().unwrap();
        let from = schedule.zone.to_timestamp(from).unwrap();
        let shown = |due: Timestamp| due.to_zoned(schedule.zone.clone()).strftime("%F %T %:z").to_string();
        schedule.due_between(from, Timestamp::MAX).take(count).map(shown).collect()
    }

    #[test]
    fn a_schedule_shows_its_zone() {
        let schedule = Schedule::parse("  0  3 * *\tmon ", Some("europe/berlin")).unwrap();
        assert_eq!(schedule.to_string(), "0 3 * * mon (Europe/Berlin)");
        assert_eq!((schedule.text(), schedule.zone()), ("0 3 * * mon", "Europe/Berlin"));
        assert_eq!(Schedule::parse("@daily", None).unwrap().to_string(), "@daily (UTC)");
    }

    #[test]
    fn words_stand_for_fields() {
        let next = |cron| due(cron, "UTC", "2026-07-15 10:20", 1).remove(0);
        assert_eq!(next("@hourly"), "2026-07-15 11:00:00 +00:00");
        assert_eq!(next("@Daily"), "2026-07-16 00:00:00 +00:00");
        assert_eq!(next("@midnight"), "2026-07-16 00:00:00 +00:00");
        assert_eq!(next("@weekly"), "2026-07-19 00:00:00 +00:00");
        assert_eq!(next("@monthly"), "2026-08-01 00:00:00 +00:00");
        assert_eq!(next("@yearly"), "2027-01-01 00:00:00 +00:00");
        assert_eq!(next("@annually"), "2027-01-01 00:00:00 +00:00");
    }

    #[test]
    fn days_are_joined_as_vixie_joins_them() {
        let days = |cron| -> Vec<_> {
            let due = due(cron, "UTC", "2026-07-01 12:00", 4);
            due.iter().map(|due| due[5..10].to_owned()).collect()
        };
        // 2026-07-06 is a Monday.
        assert_eq!(days("0 0 13 * mon"), ["07-06", "07-13", "07-20", "07-27"]);
        assert_eq!(days("0 0 13,14 * mon"), ["07-06", "07-13", "07-14", "07-20"]);
        assert_eq!(days("0 0 */2 * mon"), ["07-13", "07-27", "08-03", "08-17"]);
        assert_eq!(days("0 0 1-31/2 * mon"), ["07-03", "07-05", "07-06", "07-07"]);
        assert_eq!(days("0 0 13 * */1"), ["07-13", "08-13", "09-13", "10-13"]);
        assert_eq!(days("0 0 31 * *"), ["07-31", "08-31", "10-31", "12-31"]);
        assert_eq!(days("0 0 * * 0"), days("0 0 * * 7"));
        assert_eq!(days("0 0 * * fri-sun"), ["07-03", "07-04", "07-05", "07-10"]);
        assert_eq!(days("0 0 29 2 */7"), ["02-29", "02-29", "02-29", "02-29"]);
    }

    #[test]
    fn a_fixed_time_in_a_gap_is_due_once_after_it() {
        let spring = |cron| due(cron, "Europe/Berlin", "2026-03-28 12:00", 3);
        let (saturday, gap, monday) =
            ("2026-03-28 23:00:00 +01:00", "2026-03-29 03:00:00 +02:00", "2026-03-30 02:30:00 +02:00");
        assert_eq!(spring("30 2 * * *"), [gap, monday, "2026-03-31 02:30:00 +02:00"]);
        assert_eq!(
            spring("0,15,30 2,23 * * *")[..2],
            ["2026-03-28 23:00:00 +01:00", "2026-03-28 23:15:00 +01:00"]
        );
        assert_eq!(spring("0,30 2 * * *"), [gap, "2026-03-30 02:00:00 +02:00", monday]);
        // The one that is due then anyway is no second one.
        assert_eq!(spring("0 2,3 * * *")[..2], [gap, "2026-03-30 02:00:00 +02:00"]);
        assert_eq!(spring("0 2,23 * * *")[..2], [saturday, gap]);
        // A range is fixed, whatever it spans.
        assert_eq!(spring("0-59 2 29 3 *")[..2], [gap, "2027-03-29 02:00:00 +02:00"]);
    }

    #[test]
    fn a_fixed_time_that_comes_twice_is_due_the_first_time() {
        let autumn = |cron, from| due(cron, "Europe/Berlin", from, 3);
        let (sunday, monday) = ("2026-10-25 02:30:00 +02:00", "2026-10-26 02:30:00 +01:00");
        assert_eq!(autumn("30 2 * * *", "2026-10-25 00:00")[..2], [sunday, monday]);
        assert_eq!(autumn("30 2 * * *", "2026-10-25 02:30")[..1], [monday]);
        let (hour, later) = ("2026-10-25 02:00:00 +02:00", "2026-10-25 03:00:00 +01:00");
        assert_eq!(autumn("0 2,3 * * *", "2026-10-25 00:00"), [hour, later, "2026-10-26 02:00:00 +01:00"]);
        // Asked while the clocks show the hour again.
        let schedule = Schedule::parse("30 2 * * *", Some("Europe/Berlin")).unwrap();
        let again: Timestamp = "2026-10-25T02:10:00+01:00".parse().unwrap();
        assert_eq!(schedule.next_after(again).unwrap().to_string(), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn times_that_follow_the_clock_come_as_it_shows_them() {
        let spring = |cron| due(cron, "Europe/Berlin", "2026-03-29 01:30", 2);
        assert_eq!(spring("0 * * * *"), ["2026-03-29 03:00:00 +02:00", "2026-03-29 04:00:00 +02:00"]);
        assert_eq!(spring("*/15 * * * *"), ["2026-03-29 01:45:00 +01:00", "2026-03-29 03:00:00 +02:00"]);
        assert_eq!(spring("30 */2 * * *"), ["2026-03-29 04:30:00 +02:00", "2026-03-29 06:30:00 +02:00"]);
        assert_eq!(spring("*/30 2 * * *"), ["2026-03-30 02:00:00 +02:00", "2026-03-30 02:30:00 +02:00"]);
        let autumn = |cron| due(cron, "Europe/Berlin", "2026-10-25 02:15", 3);
        let (twice, three) = ("2026-10-25 02:00:00 +01:00", "2026-10-25 03:00:00 +01:00");
        assert_eq!(autumn("0 * * * *"), [twice, three, "2026-10-25 04:00:00 +01:00"]);
        let (first, again) = ("2026-10-25 02:30:00 +02:00", "2026-10-25 02:30:00 +01:00");
        assert_eq!(autumn("*/30 2 * * *"), [first, twice, again]);
        assert_eq!(autumn("30 */2 * * *"), [first, again, "2026-10-25 04:30:00 +01:00"]);
    }

    #[test]
    fn clocks_change_in_other_ways_too() {
        let days = |cron, zone, from| due(cron, zone, from, 2);
        // By half an hour.
        assert_eq!(
            days("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00"),
            ["2026-10-04 02:30:00 +11:00", "2026-10-05 02:15:00 +11:00"]
        );
        assert_eq!(
            days("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00"),
            ["2026-04-05 01:45:00 +11:00", "2026-04-06 01:45:00 +10:30"]
        );
        // At midnight.
        assert_eq!(
            days("@daily", "America/Sao_Paulo", "2017-10-14 12:00"),
            ["2017-10-15 01:00:00 -02:00", "2017-10-16 00:00:00 -02:00"]
        );
        assert_eq!(
            days("0 0 * * *", "Africa/Cairo", "2023-04-27 12:00"),
            ["2023-04-28 01:00:00 +03:00", "2023-04-29 00:00:00 +03:00"]
        );
        // By a whole day, forwards and back.
        assert_eq!(
            days("0 3 * * *", "Pacific/Apia", "2011-12-29 12:00"),
            ["2011-12-31 00:00:00 +14:00", "2011-12-31 03:00:00 +14:00"]
        );
        assert_eq!(
            days("0 3 * * *", "Pacific/Kwajalein", "1993-08-20 12:00"),
            ["1993-08-22 00:00:00 +12:00", "1993-08-22 03:00:00 +12:00"]
        );
        assert_eq!(
            days("0 12 * * *", "Pacific/Kwajalein", "1969-09-29 18:00"),
            ["1969-09-30 12:00:00 +11:00", "1969-10-01 12:00:00 -12:00"]
        );
        // For good, and by a part of a minute.
        assert_eq!(
            days("45 23 * * *", "Asia/Pyongyang", "2015-08-14 12:00"),
            ["2015-08-14 23:45:00 +09:00", "2015-08-15 23:45:00 +08:30"]
        );
        assert_eq!(
            days("44 0 * * *", "Africa/Monrovia", "1972-01-05 12:00"),
            ["1972-01-06 00:44:00 -00:44:30", "1972-01-07 00:44:30 +00:00"]
        );
    }

    #[test]
    fn a_due_time_is_later_and_its_end_belongs_to_a_time() {
        let schedule = Schedule::parse("* * * * *", None).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (after, next) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("2026-01-01T00:00:59.999999999Z", "2026-01-01T00:01:00Z"),
            ("1969-12-31T23:58:59.5Z", "1969-12-31T23:59:00Z"),
            ("1969-12-31T23:59:00.5Z", "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(schedule.next_after(at(after)), Some(at(next)), "{after}");
        }
        let between = |after, until| schedule.due_between(at(after), at(until)).count();
        assert_eq!(between("2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"), 2);
        assert_eq!(between("2026-01-01T00:00:00Z", "2026-01-01T00:00:59Z"), 0);
        assert_eq!(between("2026-01-01T00:02:00Z", "2026-01-01T00:00:00Z"), 0);
    }

    #[test]
    fn the_calendar_ends() {
        for cron in ["* * * * *", "0 0 29 2 */7", "@yearly"] {
            for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
                let schedule = Schedule::parse(cron, Some(zone)).unwrap();
                assert_eq!(schedule.next_after(Timestamp::MAX), None);
                assert!(schedule.next_after(Timestamp::MIN).is_some());
                let last =
                    schedule.due_between("9998-12-31T00:00:00Z".parse().unwrap(), Timestamp::MAX).last();
                assert!(last.is_none_or(|last| last > "9998-12-31T00:00:00Z".parse().unwrap()));
            }
        }
    }

    #[test]
    fn rare_times_are_found() {
        // Over the year 2100, which has no 29th of February, one that is a Sunday is forty years away.
        let rare = due("0 0 29 2 */7", "Europe/Berlin", "2072-03-01 00:00", 2);
        assert_eq!(rare, ["2088-02-29 00:00:00 +01:00", "2128-02-29 00:00:00 +01:00"]);
    }
}
