//! Tries `model`.

#![no_main]

use tidemill_steps::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("model", fuzz::seeds()),
    |bytes: &[u8]| fuzz::model(bytes)
);
