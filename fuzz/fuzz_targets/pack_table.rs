//! Tries `pack_table`.

#![no_main]

use tidemill_store::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("pack_table", fuzz::seeds()),
    |bytes: &[u8]| fuzz::pack_table(bytes)
);
