//! Going back to what was before finds the old results: nothing is executed, and the outputs are the old ones.

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [steps.one]
        run = "COUNT(one); cat ${inputs.a} > ${outputs.b}"
        inputs.a = "a.txt"
        outputs.b = "b.txt"

        [steps.two]
        run = "COUNT(two); cat ${inputs.b} ${inputs.b} > ${outputs.c}"
        inputs.b = "${one.b}"
        outputs.c = { path = "c.txt", publish = "c.txt" }
        "#,
    );
    project.file("a.txt", "A");
    project
}

#[test]
fn an_old_input_finds_the_old_results() {
    let project = project();
    project.run_executes(2);
    assert_eq!(project.read("c.txt"), "AA");
    project.file("a.txt", "B");
    project.run_executes(2);
    assert_eq!(project.read("c.txt"), "BB");
    project.file("a.txt", "A");
    project.run_executes(0);
    assert_eq!(project.read("c.txt"), "AA");
    assert_eq!(project.counts(), "one 2, two 2");
    assert!(!project.has(".tidemill/displaced"), "what the engine placed itself is no file of the user's");
}

#[test]
fn an_old_command_finds_the_old_results() {
    let project = project();
    project.run_executes(2);
    let before = project.read("pipeline.toml");
    project.edit("pipeline.toml", "cat ${inputs.b} ${inputs.b}", "tr A-Z a-z < ${inputs.b}");
    project.run_executes(1);
    assert_eq!(project.read("c.txt"), "a");
    project.file("pipeline.toml", before);
    project.run_executes(0);
    assert_eq!(project.read("c.txt"), "AA");
}

#[test]
fn a_step_that_was_renamed_finds_its_results() {
    let project = project();
    project.run_executes(2);
    project.edit("pipeline.toml", "steps.one", "steps.first").edit("pipeline.toml", "${one.b}", "${first.b}");
    project.run_executes(0);
}
