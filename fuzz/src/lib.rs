//! What all fuzzers share: how each gets what it begins with.

use std::{env, fs, path::PathBuf, process};

/// Writes the examples of a parser into the folder that `TIDEMILL_FUZZ_SEEDS` names, and ends; does nothing if it names none.
pub fn begin(name: &str, seeds: Vec<(&'static str, Vec<Vec<u8>>)>) {
    let Some(folder) = env::var_os("TIDEMILL_FUZZ_SEEDS").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).expect("the folder can be made");
    let examples = seeds.into_iter().filter(|(of, _)| *of == name).flat_map(|(_, examples)| examples);
    for (number, example) in examples.enumerate() {
        fs::write(folder.join(format!("seed-{number}")), example).expect("an example can be written");
    }
    process::exit(0);
}
