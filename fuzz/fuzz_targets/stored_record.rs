//! Tries `stored_record`.

#![no_main]

use tidemill_store::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("stored_record", fuzz::seeds()),
    |bytes: &[u8]| fuzz::stored_record(bytes)
);
