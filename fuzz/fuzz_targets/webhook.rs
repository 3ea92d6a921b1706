//! Tries `webhook`.

#![no_main]

use tidemill_triggers::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("webhook", fuzz::seeds()),
    |bytes: &[u8]| fuzz::webhook(bytes)
);
