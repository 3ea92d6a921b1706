//! Tries `chunk_list`.

#![no_main]

use tidemill_store::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("chunk_list", fuzz::seeds()),
    |bytes: &[u8]| fuzz::chunk_list(bytes)
);
