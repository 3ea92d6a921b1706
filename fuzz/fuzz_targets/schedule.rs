//! Tries `schedule`.

#![no_main]

use tidemill_triggers::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("schedule", fuzz::seeds()),
    |bytes: &[u8]| fuzz::schedule(bytes)
);
