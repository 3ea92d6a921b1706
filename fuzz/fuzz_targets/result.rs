//! Tries `result`.

#![no_main]

use tidemill_cache::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("result", fuzz::seeds()),
    |bytes: &[u8]| fuzz::result(bytes)
);
