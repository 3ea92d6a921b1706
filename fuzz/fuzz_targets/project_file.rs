//! Tries `project_file`.

#![no_main]

use tidemill_engine::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("project_file", fuzz::seeds()),
    |bytes: &[u8]| fuzz::project_file(bytes)
);
