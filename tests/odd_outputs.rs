//! Outputs that are easily got wrong: links, moved inputs, what is written after the step has ended, places that clash.

use std::fs;

use crate::support::{Project, processes_of, until_equal};

/// After whatever the step did, the cache is sound, the project's own files are as they were, and nothing runs again.
fn sound(project: &Project, input: &[u8]) {
    assert_eq!(fs::read(project.path("a")).unwrap(), input, "the project's file is as it was");
    project.tidemill(&["cache", "verify"]).ok().says_nothing_of("damaged");
    project.run_executes(0);
    // Writing into the project's files does not reach the cache.
    for path in ["a", "out"] {
        let bytes = fs::read(project.path(path)).unwrap();
        fs::write(project.path(path), [b"x", &bytes[..]].concat()).unwrap();
    }
    project.tidemill(&["cache", "verify"]).ok().says_nothing_of("damaged");
    fs::write(project.path("a"), input).unwrap();
    project.run_executes(0);
    assert_eq!(fs::read(project.path("out")).unwrap(), input);
}

/// A step that makes its output out of a project's file, small or large, or out of another step's output.
fn made_with(command: &str) {
    for size in [10, 3 << 20] {
        let project = Project::with(&format!(
            "[steps.make]\nrun = \"{command}\"\ninputs.a = \"a\"\noutputs.out = {{ path = \"made/out\", publish = \"out\" }}\n"
        ));
        let input = vec![b'i'; size];
        project.file("a", &input);
        project.run_executes(1);
        assert_eq!(fs::read(project.path("out")).unwrap(), input);
        sound(&project, &input);

        project.pipeline(&format!(
            "[steps.first]\nrun = \"cat ${{inputs.a}} > ${{outputs.out}}\"\ninputs.a = \"a\"\noutputs.out = \"out\"\n\n[steps.make]\nrun = \"{command}\"\ninputs.a = \"${{first.out}}\"\noutputs.out = {{ path = \"made/out\", publish = \"out\" }}\n"
        ));
        project.run(&[]).ok();
        sound(&project, &input);
    }
}

#[test]
fn a_copy() {
    made_with("cp ${inputs.a} ${outputs.out}");
}

#[test]
fn a_hard_link_to_the_input() {
    made_with("ln ${inputs.a} ${outputs.out} || cp ${inputs.a} ${outputs.out}");
}

#[test]
fn a_symbolic_link_to_the_input() {
    made_with("ln -s $PWD/${inputs.a} ${outputs.out}");
}

#[test]
fn the_input_itself() {
    made_with("mv ${inputs.a} ${outputs.out}");
}

#[test]
fn the_input_changed_in_place() {
    let project = Project::with(
        r#"
        [steps.first]
        run = "echo one > ${outputs.out}"
        outputs.out = { path = "out", publish = "first" }

        [steps.make]
        run = "mv ${inputs.a} ${outputs.out}; chmod u+w ${outputs.out}; echo two >> ${outputs.out}"
        inputs.a = "${first.out}"
        outputs.out = { path = "made", publish = "made" }
        "#,
    );
    project.run(&[]).ok();
    assert_eq!(project.read("made"), "one\ntwo\n");
    assert_eq!(project.read("first"), "one\n");
    fs::remove_file(project.path("first")).unwrap();
    project.run(&[]).ok();
    assert_eq!(project.read("first"), "one\n", "a damaged blob is made again, never served");
    project.run_executes(0);
}

#[test]
fn what_is_written_after_the_step_ended_is_not_part_of_it() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "echo first > ${outputs.out}; setsid sh -c 'while :; do echo late >> made/out; done' > /dev/null 2>&1 &"
        outputs.out = { path = "made/out", publish = "out" }
        "#,
    );
    project.run_executes(1);
    until_equal("processes of the step", &Vec::<i32>::new(), || processes_of(&project.state()));
    let before = project.read("out");
    project.tidemill(&["cache", "verify"]).ok().says_nothing_of("damaged");
    fs::remove_file(project.path("out")).unwrap();
    project.run_executes(0);
    assert!(project.read("out") == before, "the output is what was taken, byte for byte");
}

#[test]
fn a_link_that_leaves_the_folder_is_refused() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "mkdir ${outputs.tree}; ln -s /etc/passwd ${outputs.tree}/link"
        outputs.tree = { path = "tree", kind = "dir" }
        "#,
    );
    project.tidemill(&["run"]).exits(1).says("link");
}

#[test]
fn a_device_or_a_pipe_is_refused() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "mkfifo ${outputs.pipe}"
        outputs.pipe = "pipe"
        "#,
    );
    project.tidemill(&["run"]).exits(1).says("pipe");
}

#[test]
fn a_folder_where_a_file_was_declared() {
    let project = Project::with("[steps.make]\nrun = \"mkdir ${outputs.out}\"\noutputs.out = \"out\"\n");
    project.tidemill(&["run"]).exits(1).says("folder").says("dir");
}

#[test]
fn places_that_clash_are_mistakes() {
    let places = [
        ("a = \"out\"", "b = \"out\""),
        ("a = { path = \"out\", kind = \"dir\" }", "b = \"out/x\""),
        ("a = \"../out\"", "b = \"x\""),
        ("a = \"/tmp/out\"", "b = \"x\""),
    ];
    for (one, other) in places {
        let project =
            Project::with(&format!("[steps.make]\nrun = \"true\"\noutputs.{one}\noutputs.{other}\n"));
        project.tidemill(&["check"]).exits(2).says("out");
    }
}

#[test]
fn a_read_only_folder_as_an_output() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "mkdir -p ${outputs.tree}/sub; echo x > ${outputs.tree}/sub/x; chmod 400 ${outputs.tree}/sub/x; chmod 555 ${outputs.tree}/sub ${outputs.tree}"
        outputs.tree = { path = "tree", kind = "dir", publish = "tree" }
        "#,
    );
    project.run_executes(1);
    assert_eq!(project.read("tree/sub/x"), "x\n");
    project.run_executes(0);
    assert!(project.state_files("work/").is_empty());
}

#[test]
fn an_empty_file_and_an_empty_folder() {
    let project = Project::with(
        r#"
        [steps.make]
        run = "mkdir ${outputs.tree}; : > ${outputs.out}"
        outputs.tree = { path = "tree", kind = "dir", publish = "tree" }
        outputs.out = { path = "out", publish = "out" }

        [steps.use]
        run = "ls ${inputs.tree} > ${outputs.list}; cat ${inputs.out} >> ${outputs.list}"
        inputs = { tree = "${make.tree}", out = "${make.out}" }
        outputs.list = { path = "list", publish = "list" }
        "#,
    );
    project.run_executes(2);
    assert!(project.path("tree").is_dir());
    assert_eq!(project.read("out") + &project.read("list"), "");
    fs::remove_dir(project.path("tree")).unwrap();
    fs::remove_file(project.path("out")).unwrap();
    project.run_executes(0);
    assert!(project.path("tree").is_dir() && project.has("out"));
}
