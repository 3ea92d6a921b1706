//! What holds for every schedule, in every zone and at every time.

use std::collections::BTreeSet;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;
use proptest::sample::select;

use super::{CatchUp, Schedule, jitter, missed};

/// Zones whose clocks do all that clocks do.
const ZONES: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "America/Scoresbysund",
];

fn item(low: u8, high: u8) -> impl Strategy<Value = String> {
    let value = low..=high;
    let range = (value.clone(), value.clone()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        4 => value.prop_map(|value| value.to_string()),
        1 => range.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (range, 1..=high).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
        1 => (1..=high).prop_map(|step| format!("*/{step}")),
    ]
}

fn field(low: u8, high: u8) -> impl Strategy<Value = String> {
    let items = prop::collection::vec(item(low, high), 1..4).prop_map(|items| items.join(","));
    prop_oneof![Just("*".to_owned()), items]
}

/// An expression that comes at least once in most years, with these fields of a minute and an hour.
fn cron(minute: BoxedStrategy<String>, hour: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let fields = (minute, hour, field(1, 28), field(1, 12), field(0, 7));
    fields.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn any_cron() -> impl Strategy<Value = String> {
    cron(field(0, 59).boxed(), field(0, 23).boxed())
}

/// One whose times are fixed: its first two fields begin with a number.
fn fixed_cron() -> impl Strategy<Value = String> {
    let begun = |high: u8| {
        (0..=high, field(0, high)).prop_map(|(value, rest)| match rest.as_str() {
            "*" => value.to_string(),
            rest => format!("{value},{rest}"),
        })
    };
    cron(begun(59).boxed(), begun(23).boxed())
}

/// One whose times follow the clock.
fn following_cron() -> impl Strategy<Value = String> {
    let star = |high: u8| prop_oneof![Just("*".to_owned()), (1..=high).prop_map(|step| format!("*/{step}"))];
    let first = cron(star(59).boxed(), field(0, 23).boxed());
    prop_oneof![first, cron(field(0, 59).boxed(), star(23).boxed())]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (any_cron(), select(&ZONES)).prop_map(|(cron, zone)| Schedule::parse(&cron, Some(zone)).unwrap())
}

/// Any time from 1960 to 2060, or one near a change of the clocks.
fn time(zone: &'static str) -> impl Strategy<Value = Timestamp> {
    let any = (-315_000_000_i64..2_840_000_000, 0..1_000_000_000_i32);
    let any = any.prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap());
    let near = (any.clone(), -100_000..100_000_i64).prop_map(move |(time, away)| {
        let zone = TimeZone::get(zone).unwrap();
        let change = zone.following(time).next().map_or(time, |change| change.timestamp());
        Timestamp::from_second(change.as_second() + away).unwrap()
    });
    prop_oneof![any, near]
}

/// A schedule and a time that is interesting in its zone.
fn moment(cron: impl Strategy<Value = String>) -> impl Strategy<Value = (Schedule, Timestamp)> {
    let zoned = (cron, select(&ZONES)).prop_flat_map(|(cron, zone)| (Just(cron), Just(zone), time(zone)));
    zoned.prop_map(|(cron, zone, time)| (Schedule::parse(&cron, Some(zone)).unwrap(), time))
}

/// The same expression as another reader has it.
fn other(schedule: &Schedule) -> Cron {
    let fields: Vec<&str> = schedule.text().split(' ').collect();
    let both = fields[2].starts_with('*') || fields[4].starts_with('*');
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both);
    parser.build().parse(schedule.text()).unwrap()
}

fn follows_clock(schedule: &Schedule) -> bool {
    let mut fields = schedule.text().split(' ');
    fields.by_ref().take(2).any(|field| field.starts_with('*'))
}

fn zone_of(schedule: &Schedule) -> TimeZone {
    TimeZone::get(schedule.zone()).unwrap()
}

/// Whether the clocks skip something right before this instant.
fn ends_gap(zone: &TimeZone, at: Timestamp) -> bool {
    zone.to_offset(at) > zone.to_offset(at - 1.second())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_due_time_is_later_and_matches_or_ends_a_gap((schedule, after) in moment(any_cron())) {
        let (zone, other) = (zone_of(&schedule), other(&schedule));
        let mut before = after;
        for due in schedule.due_between(after, Timestamp::MAX).take(20) {
            prop_assert!(due > before, "{schedule}: {due} after {before}");
            let matches = other.is_time_matching(&zone.to_datetime(due)).unwrap();
            let late = !follows_clock(&schedule) && ends_gap(&zone, due);
            prop_assert!(matches || late, "{schedule}: {due}");
            before = due;
        }
    }

    #[test]
    fn times_side_by_side_are_one_time((schedule, from) in moment(any_cron()), one in 0..200_000_i64, two in 0..200_000_i64) {
        let (middle, end) = (from + one.seconds(), from + (one + two).seconds());
        let parts = schedule.due_between(from, middle).chain(schedule.due_between(middle, end));
        let whole: Vec<_> = schedule.due_between(from, end).collect();
        prop_assert_eq!(parts.collect::<Vec<_>>(), whole.clone());
        prop_assert_eq!(schedule.count_between(from, end), whole.len() as u64);
        prop_assert_eq!(schedule.count_between(end, from), 0);
    }

    #[test]
    fn a_fixed_daily_time_is_due_once_a_day(minute in 0..60, hour in 0..24, (schedule, from) in moment(any_cron())) {
        let zone = zone_of(&schedule);
        let daily = Schedule::parse(&format!("{minute} {hour} * * *"), Some(schedule.zone())).unwrap();
        let due = daily.due_between(from, from + (24 * 400).hours());
        let own: Vec<_> = due.filter(|due| !ends_gap(&zone, *due)).map(|due| zone.to_datetime(due).date()).collect();
        prop_assert_eq!(own.iter().collect::<BTreeSet<_>>().len(), own.len());
        prop_assert!(own.len() >= 397);
    }

    #[test]
    fn what_is_missed_is_run_or_counted(
        (schedule, last) in moment(any_cron()),
        seconds in -1000..10_000_000_i64,
        catch_up in select(&[CatchUp::One, CatchUp::None, CatchUp::All]),
        deadline in prop::option::of(0..5_000_000_u64),
    ) {
        let now = last + seconds.seconds();
        let deadline = deadline.map(Duration::from_secs);
        let found = missed(&schedule, last, now, catch_up, deadline);
        let all = schedule.count_between(last, now);
        prop_assert_eq!(found.due.len() as u64 + found.skipped, all);
        let young = |due: &Timestamp| {
            let age = Duration::try_from(now.duration_since(*due)).unwrap();
            deadline.is_none_or(|deadline| age <= deadline) && (catch_up != CatchUp::None || age.as_secs_f64() <= 60.0)
        };
        prop_assert!(found.due.iter().all(|due| young(due) && *due > last && *due <= now));
        // What is run is the newest of what may be run.
        let most = if catch_up == CatchUp::One { 1 } else { 1000 };
        if all < 3000 {
            let mut may: Vec<_> = schedule.due_between(last, now).filter(young).collect();
            let may = may.split_off(may.len().saturating_sub(most));
            prop_assert_eq!(found.due, may);
        }
    }

    #[test]
    fn a_text_is_read_or_refused_with_a_reason(text in "[0-9*/,@ A-Za-z?#-]{0,24}", fields in any_cron(), zone in ".{0,12}") {
        for text in [text, fields] {
            if let Err(error) = Schedule::parse(&text, Some(&zone)) {
                prop_assert!(!error.to_string().is_empty());
                let _ = error.hint();
            }
        }
    }

    #[test]
    fn a_jitter_is_never_more_than_the_most(name in ".*", second in 0..4_000_000_000_i64, most in any::<u64>()) {
        let most = Duration::from_nanos(most);
        prop_assert!(jitter(&name, Timestamp::from_second(second).unwrap(), most) <= most);
    }

    #[test]
    fn times_far_away_do_no_harm(schedule in schedule(), second in Timestamp::MIN.as_second()..Timestamp::MAX.as_second()) {
        let at = Timestamp::from_second(second).unwrap();
        if let Some(due) = schedule.next_after(at) {
            prop_assert!(due > at);
            prop_assert_eq!(schedule.count_between(at, due), 1);
        }
    }
}

// These two look at every minute of days, so that they try less.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_follows_the_clock_is_due_whenever_it_matches((schedule, from) in moment(following_cron())) {
        let (zone, other) = (zone_of(&schedule), other(&schedule));
        let from = Timestamp::from_second(from.as_second()).unwrap();
        let until = from + 30.hours();
        let due: Vec<Timestamp> = schedule.due_between(from, until).collect();
        let mut shown = Vec::new();
        let mut second = from.as_second() + 1;
        while second <= until.as_second() {
            let at = Timestamp::from_second(second).unwrap();
            let civil = zone.to_datetime(at);
            if civil.second() == 0 && other.is_time_matching(&civil).unwrap() {
                shown.push(at);
            }
            second += i64::from(60 - civil.second());
        }
        prop_assert_eq!(due, shown, "{}", schedule);
    }

    #[test]
    fn a_fixed_time_is_due_when_clocks_first_reach_it((schedule, from) in moment(fixed_cron())) {
        let (zone, other) = (zone_of(&schedule), other(&schedule));
        // Minute by minute: the latest that clocks have shown, and whether a time that matches has come since.
        let from = Timestamp::from_second(from.as_second().div_euclid(60) * 60).unwrap();
        let start = from - 60.hours();
        prop_assume!(zone.to_offset(start).seconds() % 60 == 0 && zone.to_offset(from + 30.hours()).seconds() % 60 == 0);
        prop_assume!(zone.to_offset(from).seconds() % 60 == 0);
        let mut latest = zone.to_datetime(start);
        let mut reached = BTreeSet::new();
        let mut at = start;
        while at < from + 30.hours() {
            at += 1.minute();
            let shown = zone.to_datetime(at);
            while latest < shown {
                latest = latest.checked_add(1.minute()).unwrap();
                if other.is_time_matching(&latest).unwrap() && at > from {
                    reached.insert(at);
                }
            }
        }
        let due: BTreeSet<Timestamp> = schedule.due_between(from, at).collect();
        prop_assert_eq!(due, reached, "{}", schedule);
    }
}
