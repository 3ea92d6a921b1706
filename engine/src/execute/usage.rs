//! What an attempt uses while it runs: cores, memory, GPUs, looked at now and then and kept with the history. A long attempt is looked at
//! less often, so that it leaves no more than a short one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::UsagePoint;
use crate::process::{Gpus, LazyWarden};

/// When an attempt is looked at the first time, and how often after that as long as it is young.
const FIRST: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_secs(10);
/// So many points are kept; then every second one goes, and the next come half as often.
const MOST: usize = 240;

/// The points of one attempt.
#[derive(Debug, Default)]
pub(super) struct Course {
    points: Mutex<Vec<UsagePoint>>,
}

impl Course {
    /// Looks at an attempt now and then, for as long as this is polled.
    pub(super) async fn watch(
        &self,
        id: &str,
        gpus: &[String],
        warden: &LazyWarden,
    ) -> std::convert::Infallible {
        let (began, mut interval) = (Instant::now(), OFTEN);
        let (mut library, mut before) = (Gpus::default(), (began, Duration::ZERO));
        tokio::time::sleep(FIRST).await;
        loop {
            let Some(present) = warden.present() else {
                tokio::time::sleep(interval).await;
                continue;
            };
            let (name, ids) = (id.to_owned(), gpus.to_vec());
            // Both ask the kernel.
            let asked = tokio::task::spawn_blocking(move || {
                let load = present.loads().remove(name.as_str());
                let processes = load.as_ref().map_or(&[][..], |load| &load.processes);
                let used = library.load(&ids, processes);
                (load, used, library)
            });
            let (load, used, back) = asked.await.expect("looking at processes does not panic");
            library = back;
            let now = Instant::now();
            let passed = now.duration_since(before.0).as_secs_f64();
            let point = UsagePoint {
                at_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                cores: load
                    .as_ref()
                    .filter(|_| passed > 0.0)
                    .map(|load| load.cpu.saturating_sub(before.1).as_secs_f64() / passed),
                memory: load.as_ref().map(|load| load.memory),
                gpu_busy: used.and_then(|used| used.busy),
                gpu_memory: used.map(|used| used.memory),
            };
            before = (now, load.map_or(before.1, |load| load.cpu));
            if self.add(point) {
                interval *= 2;
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Adds a point; whether the points were thinned out.
    fn add(&self, point: UsagePoint) -> bool {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        points.push(point);
        if points.len() < MOST {
            return false;
        }
        let mut place = 0;
        points.retain(|_| {
            place += 1;
            place % 2 == 0
        });
        true
    }

    /// The points so far.
    pub(super) fn points(&self) -> Vec<UsagePoint> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_attempt_leaves_no_more_than_a_short_one() {
        let course = Course::default();
        let thinned = (0..1000)
            .filter(|at_ms| course.add(UsagePoint { at_ms: *at_ms, ..UsagePoint::default() }))
            .count();
        let points = course.points();
        assert!(points.len() < MOST && thinned > 5, "{} {thinned}", points.len());
        assert!(points.is_sorted_by_key(|point| point.at_ms));
        assert_eq!(points.last().map(|point| point.at_ms), Some(999));
    }
}
