//! Tries `inference_request`.

#![no_main]

use tidemill_server::fuzz;

libfuzzer_sys::fuzz_target!(
    init: tidemill_fuzz::begin("inference_request", fuzz::seeds()),
    |bytes: &[u8]| fuzz::inference_request(bytes)
);
