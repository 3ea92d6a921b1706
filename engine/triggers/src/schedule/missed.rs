//! What to run of that which was due while nobody looked.

use std::time::Duration;

use jiff::Timestamp;

use super::cron::Schedule;

/// What is run of several due times that were missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// The newest of them.
    #[default]
    One,
    /// None of them, but what is due in this very minute.
    None,
    /// Every one.
    All,
}

impl CatchUp {
    /// The way that a word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "one" => Some(Self::One),
            "none" => Some(Self::None),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// What was due since the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missed {
    /// What is to be run now, the oldest first.
    pub due: Vec<Timestamp>,
    /// How many due times are left out.
    pub skipped: u64,
}

/// No more due times than these are run at once; older ones are left out.
const MOST: u64 = 1_000;

/// Without catching up, what is due is run if it is no older.
const TICK: Duration = Duration::from_secs(60);

/// What to run now of that which was due after the last look and up to now.
///
/// A due time that is older than `deadline` is left out, and so are all but the newest 1,000.
/// The due times are counted by months and only those to be run are listed, so that ten years of every minute take less than a millisecond.
#[must_use]
pub fn missed(
    schedule: &Schedule,
    last: Timestamp,
    now: Timestamp,
    catch_up: CatchUp,
    deadline: Option<Duration>,
) -> Missed {
    let all = schedule.count_between(last, now);
    let oldest = match catch_up {
        CatchUp::None => Some(deadline.map_or(TICK, |deadline| deadline.min(TICK))),
        CatchUp::One | CatchUp::All => deadline,
    };
    let most = if catch_up == CatchUp::One { 1 } else { MOST };
    let since = oldest.map_or(last, |oldest| last.max(just_before(now, oldest)));
    let since = newest(schedule, since, now, most);
    let due: Vec<Timestamp> = schedule.due_between(since, now).collect();
    let run = due.len() as u64;
    Missed { due, skipped: all.saturating_sub(run) }
}

/// The last instant that is older than this.
fn just_before(now: Timestamp, age: Duration) -> Timestamp {
    let nanosecond =
        i128::try_from(age.as_nanos()).ok().and_then(|age| now.as_nanosecond().checked_sub(age + 1));
    nanosecond.and_then(|nanosecond| Timestamp::from_nanosecond(nanosecond).ok()).unwrap_or(Timestamp::MIN)
}

/// The first full second since which no more than so many are due up to now, or `since` if they are that few.
fn newest(schedule: &Schedule, since: Timestamp, now: Timestamp, most: u64) -> Timestamp {
    let few = |second: i64| {
        let from = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        schedule.count_between(from, now) <= most
    };
    if schedule.count_between(since, now) <= most {
        return since;
    }
    // Too many at the one, few enough at the other.
    let (mut many, mut enough) = (since.as_second() - 1, now.as_second());
    while enough - many > 1 {
        let middle = many + (enough - many) / 2;
        if few(middle) {
            enough = middle;
        } else {
            many = middle;
        }
    }
    Timestamp::from_second(enough).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn run(
        cron: &str,
        last: &str,
        now: &str,
        catch_up: CatchUp,
        deadline: Option<u64>,
    ) -> (Vec<String>, u64) {
        let schedule = Schedule::parse(cron, None).unwrap();
        let missed = missed(&schedule, at(last), at(now), catch_up, deadline.map(Duration::from_secs));
        (missed.due.iter().map(|due| due.strftime("%d %H:%M").to_string()).collect(), missed.skipped)
    }

    #[test]
    fn words_name_ways() {
        let named = ["one", "none", "all", "One", "some"].map(CatchUp::named);
        assert_eq!(named, [Some(CatchUp::One), Some(CatchUp::None), Some(CatchUp::All), None, None]);
        assert_eq!(CatchUp::default(), CatchUp::One);
    }

    #[test]
    fn one_all_or_none_of_the_missed_are_run() {
        let days = |catch_up, deadline| {
            run("0 3 * * *", "2026-01-01T12:00:00Z", "2026-01-04T12:00:00Z", catch_up, deadline)
        };
        let owned = |due: &[&str]| due.iter().map(|due| (*due).to_owned()).collect::<Vec<_>>();
        assert_eq!(days(CatchUp::One, None), (owned(&["04 03:00"]), 2));
        assert_eq!(days(CatchUp::All, None), (owned(&["02 03:00", "03 03:00", "04 03:00"]), 0));
        assert_eq!(days(CatchUp::None, None), (vec![], 3));
        // The deadline is nine hours after three o'clock.
        assert_eq!(days(CatchUp::One, Some(9 * 3600)), (owned(&["04 03:00"]), 2));
        assert_eq!(days(CatchUp::One, Some(9 * 3600 - 1)), (vec![], 3));
        assert_eq!(days(CatchUp::All, Some(33 * 3600)), (owned(&["03 03:00", "04 03:00"]), 1));
        assert_eq!(days(CatchUp::All, Some(u64::MAX)), (owned(&["02 03:00", "03 03:00", "04 03:00"]), 0));
    }

    #[test]
    fn a_normal_tick_runs_what_is_due() {
        for catch_up in [CatchUp::One, CatchUp::None, CatchUp::All] {
            let tick = |last, now| run("0 3 * * *", last, now, catch_up, None);
            let due = (vec!["01 03:00".to_owned()], 0);
            assert_eq!(tick("2026-01-01T02:59:30Z", "2026-01-01T03:00:00Z"), due);
            assert_eq!(tick("2026-01-01T02:59:59.9Z", "2026-01-01T03:01:00Z"), due);
            assert_eq!(tick("2026-01-01T03:00:00Z", "2026-01-01T03:00:30Z"), (vec![], 0));
            // A clock that was set back.
            assert_eq!(tick("2026-01-02T03:00:00Z", "2026-01-01T03:00:30Z"), (vec![], 0));
        }
        let late = run("0 3 * * *", "2026-01-01T02:59:30Z", "2026-01-01T03:01:01Z", CatchUp::None, None);
        assert_eq!(late, (vec![], 1));
    }

    #[test]
    fn ten_years_of_minutes_are_counted_not_listed() {
        let decade =
            |catch_up| run("* * * * *", "2016-01-01T00:00:00Z", "2026-01-01T00:00:00Z", catch_up, None);
        let minutes = 3653 * 24 * 60;
        let (due, skipped) = decade(CatchUp::All);
        assert_eq!((due.len(), skipped), (1000, minutes - 1000));
        assert_eq!((due[0].as_str(), due[999].as_str()), ("31 07:21", "01 00:00"));
        assert_eq!(decade(CatchUp::One), (vec!["01 00:00".to_owned()], minutes - 1));
        let all_time = missed(
            &Schedule::parse("* * * * *", Some("Europe/Berlin")).unwrap(),
            Timestamp::MIN,
            Timestamp::MAX,
            CatchUp::One,
            None,
        );
        assert_eq!(all_time.due.len(), 1);
    }
}
