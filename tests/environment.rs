//! A step's process gets the variables that it declares and a fixed few, no other.

use crate::support::Project;

#[test]
fn no_variable_leaks_in() {
    let mut project = Project::with(
        r#"
        [params]
        depth = 3

        [steps.look]
        run = ["cp", "/proc/self/environ", "${outputs.env}"]
        env = { DEPTH = "${params.depth}", TEXT = "a b" }
        pass_env = ["CHOSEN", "UNSET"]
        outputs.env = { path = "env", publish = "env" }
        "#,
    );
    project.variable("CHOSEN", "chosen");
    project.variable("LEAK", "leak");
    project.variable("PYTHONPATH", "/leak");
    project.variable("LANG", "de_DE.UTF-8");
    project.run_executes(1);
    let text = project.read("env");
    let mut variables: Vec<(&str, &str)> =
        text.split_terminator('\0').map(|variable| variable.split_once('=').unwrap()).collect();
    variables.sort_unstable();
    let names: Vec<&str> =
        variables.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("TIDEMILL_")).collect();
    assert_eq!(names, ["CHOSEN", "DEPTH", "HOME", "LANG", "PATH", "TEXT", "TMPDIR", "TZ"]);
    let value = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).unwrap().1;
    assert_eq!((value("CHOSEN"), value("DEPTH"), value("TEXT")), ("chosen", "3", "a b"));
    assert_eq!((value("LANG"), value("TZ")), ("C.UTF-8", "UTC"));
    assert_ne!(value("TMPDIR"), "/tmp");
}

#[test]
fn a_passed_variable_is_part_of_the_key_and_others_are_not() {
    let mut project = Project::with(
        r#"
        [steps.say]
        run = "COUNT(say); echo $CHOSEN > ${outputs.out}"
        pass_env = ["CHOSEN"]
        outputs.out = { path = "out", publish = "out" }
        "#,
    );
    project.variable("CHOSEN", "one");
    project.run_executes(1);
    project.variable("OTHER", "other");
    project.run_executes(0);
    project.variable("CHOSEN", "two");
    project.run_executes(1);
    assert_eq!(project.read("out"), "two\n");
    project.variable("CHOSEN", "one");
    project.run_executes(0);
    assert_eq!(project.read("out"), "one\n");
}

#[test]
fn the_process_stands_where_it_should() {
    let project = Project::with(
        r#"
        [steps.look]
        run = "umask > ${outputs.out}; if read line; then echo input; else echo closed; fi >> ${outputs.out}; test -d $TMPDIR; touch $TMPDIR/x"
        outputs.out = { path = "out", publish = "out" }
        "#,
    );
    project.run_executes(1);
    assert_eq!(project.read("out"), "0022\nclosed\n");
}

/// The Python that a command starts is part of the key, first or after a change of folder: another installed distribution is
/// another Python.
#[test]
fn a_distribution_that_is_installed_runs_the_step_again() {
    for before in ["", "cd . && OMP_NUM_THREADS=1 "] {
        runs_again_after_an_installation(before);
    }
}

fn runs_again_after_an_installation(before: &str) {
    let project = Project::with(
        &r#"
        [steps.train]
        run = "BEFORE OUTSIDE/venv/bin/python -c 'print(1)' > ${outputs.model}"
        outputs.model = "model"
        "#
        .replace("BEFORE ", before),
    );
    let made = std::process::Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(project.outside("venv"))
        .status()
        .unwrap();
    assert!(made.success());
    project.run_executes(1);
    project.run_executes(0);
    let library = std::fs::read_dir(project.outside("venv/lib")).unwrap().next().unwrap().unwrap();
    let site = library.path().join("site-packages");
    std::fs::create_dir(site.join("torch-2.9.0.dist-info")).unwrap();
    project.run_executes(1);
    std::fs::rename(site.join("torch-2.9.0.dist-info"), site.join("torch-2.9.1.dist-info")).unwrap();
    project.run_executes(1);
    std::fs::remove_dir(site.join("torch-2.9.1.dist-info")).unwrap();
    project.run_executes(0);
}
