//! What a user does, end to end: the stories run the real `tidemill` in a closed world. They are listed in reading order, group by group.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod support;

// A first afternoon.
mod asking;
mod completion;
mod drawing;
mod editors;
mod exit_codes;
mod explain_error;
mod finding_pipelines;
mod first_run;
mod from_dvc;
mod history;
mod init;
mod progress;
mod summary;
mod what_is_said;
mod whole_answers;

// What runs, and what does not.
mod command_changed;
mod deleted_outputs;
mod early_cutoff;
mod explain;
mod going_back;
mod large_pipeline;
mod nothing_changed;
mod notifying;
mod object_stores;
mod odd_inputs;
mod odd_outputs;
mod parameter_changed;
mod plan;
mod same_size_and_time;
mod sandbox;
mod selection;
mod shared_state;
mod tampered;
mod team_store;
mod triggers;
mod undeclared;
mod watching;

// Elsewhere.
mod everywhere;
mod executors;

// What goes wrong.
mod damaged_records;
mod debug;
mod doctor;
mod edited_meanwhile;
mod interrupted;
mod killed;
mod partial_output;
mod retries_and_timeout;
mod scarcity;
mod two_at_once;

// The language at work.
mod effect_once;
mod environment;
mod gate_stops;
mod gpus;
mod left_out;
mod matrix;
mod publish;
mod secrets;
mod values_do_not_inject;

// The cache, and what must hold whatever a user does.
mod cache_care;
mod clean_run_law;
mod crash_law;
mod gc;
mod keep_final;
mod quarantine;
mod repeat;
mod shared_hosts;

// A whole life of a model.
mod daemon;
mod diabetes;
mod flights;
mod pages;
mod serving;

// The house itself.
mod documents;
mod house;
mod session;

/// Every file of this folder is a story in the list above.
#[test]
fn every_story_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let list = std::fs::read_to_string(format!("{folder}/main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(story) = name.strip_suffix(".rs").filter(|story| *story != "main") else { continue };
        assert!(list.contains(&format!("\nmod {story};\n")), "tests/{name} is not listed in tests/main.rs");
    }
}
