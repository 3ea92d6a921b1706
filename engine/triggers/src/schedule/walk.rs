//! The walk through time from one change of a zone's clocks to the next, which turns civil times into due times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::fields::Fields;

/// More than clocks can differ, in seconds: no offset from UTC is as large as 26 hours.
const WIDEST: i64 = 2 * 26 * 3600;

/// The fields of a schedule and its zone. All times are in seconds, instants since the beginning of 1970 in UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    fields: &'a Fields,
    zone: &'a TimeZone,
}

/// A stretch of time in which no clock is changed, and which civil times it must answer for.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Its first instant.
    start: i64,
    /// The first instant after it.
    end: i64,
    /// What its clocks are ahead of UTC.
    offset: i64,
    /// Civil times before this one have been due. It may be earlier than what the clocks show at the start, if they skipped some.
    from: i64,
}

impl Stretch {
    /// What the clocks show at the start.
    fn opens(&self) -> i64 {
        self.start + self.offset
    }

    /// What the clocks would show at the end.
    fn closes(&self) -> i64 {
        self.end + self.offset
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(fields: &'a Fields, zone: &'a TimeZone) -> Self {
        Self { fields, zone }
    }

    /// The first due time after an instant.
    pub(super) fn next(self, after: i64) -> Option<i64> {
        let mut search = Search { fields: self.fields, from: 0, found: None };
        for stretch in self.stretches(after) {
            let skipped = stretch.from < stretch.opens();
            if skipped && search.next(stretch.from)? < stretch.opens() {
                return Some(stretch.start);
            }
            let next = search.next(stretch.from.max(stretch.opens()))?;
            if next < stretch.closes() {
                return Some(next - stretch.offset);
            }
        }
        None
    }

    /// How many due times there are after one instant and not after another one.
    pub(super) fn count(self, after: i64, until: i64) -> u64 {
        let stretches = self.stretches(after).take_while(|stretch| stretch.start <= until);
        stretches.map(|stretch| self.count_in(stretch, until)).sum()
    }

    fn count_in(self, stretch: Stretch, until: i64) -> u64 {
        let opens = stretch.opens();
        let closes = stretch.closes().min(until + 1 + stretch.offset);
        let shown = self.fields.count(stretch.from.max(opens)..closes);
        // However many were skipped, they are due together, and with one that is due at the start anyway.
        let skipped = stretch.from < opens && self.fields.next(stretch.from).is_some_and(|next| next < opens);
        shown + u64::from(skipped && self.fields.next(opens) != Some(opens))
    }

    /// The stretches after an instant, the first of them without what is not after it.
    fn stretches(self, after: i64) -> impl Iterator<Item = Stretch> {
        let follow_clock = self.fields.follow_clock;
        let mut been_due = if follow_clock { i64::MIN } else { self.been_due(after) };
        let changes = instant(after + 1).map(|start| self.zone.following(start));
        let mut changes = changes.into_iter().flatten().map(|change| change.timestamp().as_second());
        let mut next = (after < Timestamp::MAX.as_second()).then_some(after + 1);
        std::iter::from_fn(move || {
            let start = next?;
            next = changes.next();
            let offset = self.offset(start)?;
            let end = next.unwrap_or(Timestamp::MAX.as_second() + 1);
            let from = if follow_clock { start + offset } else { been_due };
            been_due = been_due.max(end + offset);
            Some(Stretch { start, end, offset, from })
        })
    }

    /// The civil time before which all fixed ones have been due at an instant: the latest that clocks have shown so far.
    fn been_due(self, at: i64) -> i64 {
        let shown = self.offset(at).map_or(i64::MIN, |offset| at + 1 + offset);
        let changes = instant(at + 1).map(|end| self.zone.preceding(end));
        let changes = changes.into_iter().flatten().map(|change| change.timestamp().as_second());
        // What clocks showed when they were changed counts until they show it again.
        let before = |change: i64| Some(change + self.offset(change - 1)?);
        changes.take_while(|change| *change > at - WIDEST).filter_map(before).fold(shown, i64::max)
    }

    fn offset(self, at: i64) -> Option<i64> {
        Some(self.zone.to_offset(instant(at)?).seconds().into())
    }
}

/// The search for the next civil time that matches. It remembers the last answer, since most changes of clocks do not alter it.
#[derive(Debug)]
struct Search<'a> {
    fields: &'a Fields,
    from: i64,
    found: Option<i64>,
}

impl Search<'_> {
    fn next(&mut self, from: i64) -> Option<i64> {
        let known = self.found.filter(|found| (self.from..=*found).contains(&from));
        self.found = known.or_else(|| self.fields.next(from));
        if known.is_none() {
            self.from = from;
        }
        self.found
    }
}

fn instant(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}
