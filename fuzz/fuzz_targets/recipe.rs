//! Tries `recipe`.

#![no_main]

use tidemill_cache::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("recipe", fuzz::seeds()),
    |bytes: &[u8]| fuzz::recipe(bytes)
);
