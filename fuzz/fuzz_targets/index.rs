//! Tries `index`.

#![no_main]

use tidemill_store::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("index", fuzz::seeds()),
    |bytes: &[u8]| fuzz::index(bytes)
);
