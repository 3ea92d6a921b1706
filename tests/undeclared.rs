//! What a step did not declare it does not find; the failure names the file and says to declare it.

use crate::support::Project;

#[test]
fn a_file_that_was_not_declared() {
    let project = Project::with(
        r#"
        [steps.join]
        run = "COUNT(join); cat ${inputs.a} other.txt > ${outputs.b}"
        inputs.a = "a.txt"
        outputs.b = { path = "b.txt", publish = "b.txt" }
        "#,
    );
    project.file("a.txt", "a").file("other.txt", "other");
    project.tidemill(&["run"]).exits(1).says("other.txt").says("declare");
    assert!(!project.has("b.txt"));
    project.edit("pipeline.toml", "inputs.a =", "inputs.other = \"other.txt\"\ninputs.a =");
    project.run_executes(1);
    assert_eq!(project.read("b.txt"), "aother");
    // Declared, it counts.
    project.file("other.txt", "changed");
    project.run_executes(1);
    assert_eq!(project.read("b.txt"), "achanged");
}

#[test]
fn a_helper_module_that_was_not_declared() {
    let project = Project::with(
        r#"
        [steps.train]
        run = "python3 ${inputs.code} ${outputs.model}"
        inputs.code = "code/train.py"
        outputs.model = { path = "model.txt", publish = "model.txt" }
        "#,
    );
    project.file("code/train.py", "import sys\nimport helper\nopen(sys.argv[1], 'w').write(helper.text())\n");
    project.file("code/helper.py", "def text():\n    return 'one'\n");
    project.tidemill(&["run"]).exits(1).says("code/helper.py").says("declare");
    project.edit("pipeline.toml", "inputs.code =", "inputs.helper = \"code/helper.py\"\ninputs.code =");
    project.run_executes(1);
    assert_eq!(project.read("model.txt"), "one");
    project.edit("code/helper.py", "one", "two");
    project.run_executes(1);
    assert_eq!(project.read("model.txt"), "two");
}

#[test]
fn a_file_that_is_nowhere_is_not_proposed() {
    let project = Project::with("[steps.read]\nrun = \"cat nowhere.txt\"\n");
    project.tidemill(&["run"]).exits(1).says("nowhere.txt").says_nothing_of("declare");
}
