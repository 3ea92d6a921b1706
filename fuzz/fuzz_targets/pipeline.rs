//! Tries `pipeline`.

#![no_main]

use tidemill_engine::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("pipeline", fuzz::seeds()),
    |bytes: &[u8]| fuzz::pipeline(bytes, &*tidemill_steps::catalog())
);
