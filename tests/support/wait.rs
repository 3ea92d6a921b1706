//! Waiting for a condition with a deadline; no story sleeps for a fixed time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until the condition gives a value.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until a question has this answer, and tells the last other one if it never does.
pub(crate) fn until_equal<T: PartialEq + Debug>(what: &str, expected: &T, mut question: impl FnMut() -> T) {
    let began = Instant::now();
    loop {
        let answer = question();
        if answer == *expected {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: still {answer:?} after {PATIENCE:?}, not {expected:?}");
        std::thread::sleep(PAUSE);
    }
}
