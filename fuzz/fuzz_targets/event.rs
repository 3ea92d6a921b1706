//! Tries `event`.

#![no_main]

use tidemill_triggers::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("event", fuzz::seeds()),
    |bytes: &[u8]| fuzz::event(bytes)
);
