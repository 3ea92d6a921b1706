//! Tries `expression`.

#![no_main]

use tidemill_engine::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("expression", fuzz::seeds()),
    |bytes: &[u8]| fuzz::expression(bytes)
);
