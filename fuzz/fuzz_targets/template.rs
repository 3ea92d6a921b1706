//! Tries `template`.

#![no_main]

use tidemill_engine::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("template", fuzz::seeds()),
    |bytes: &[u8]| fuzz::template(bytes)
);
