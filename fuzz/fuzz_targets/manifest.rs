//! Tries `manifest`.

#![no_main]

use tidemill_cache::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("manifest", fuzz::seeds()),
    |bytes: &[u8]| fuzz::manifest(bytes)
);
