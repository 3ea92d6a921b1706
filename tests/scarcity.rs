//! Few descriptors, or a full disk: that is the machine's failure, told as one, and no bug.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::Project;

/// Runs a command that may have only so many files open.
fn with_descriptors(project: &Project, most: u32, arguments: &str) -> std::process::Output {
    let program = project.path("limited");
    // The limit holds for the shell and what it becomes.
    let text =
        format!("#!/bin/sh\nulimit -n {most} && exec {} {arguments}\n", env!("CARGO_BIN_EXE_tidemill"));
    project.file("limited", text);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = project.command(&[], &project.root());
    std::process::Command::new(&program)
        .envs(output.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(project.root())
        .output()
        .unwrap()
}

#[test]
fn folders_of_many_files_need_few_descriptors() {
    let mut project = Project::with(
        r#"
        [steps.take]
        run = "cp -r ${inputs.data} ${outputs.taken}"
        inputs.data = "data"
        outputs.taken = { path = "taken", kind = "dir", publish = "out" }
        "#,
    );
    for number in 0..1500 {
        project.file(&format!("data/{number}"), format!("{number}"));
    }
    let store = project.outside("store");
    project.variable("TIDEMILL_STORE_URL", &format!("file://{}", store.display()));
    let run = |project: &Project, arguments| {
        let output = with_descriptors(project, 128, arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&project, "run");
    assert_eq!(project.read("out/1499"), "1499");
    std::fs::remove_dir_all(project.path("out")).unwrap();
    run(&project, "run");
    let second = project.checkout("second");
    for number in 0..1500 {
        second.file(&format!("data/{number}"), format!("{number}"));
    }
    run(&second, "run");
    assert_eq!(second.read("out/0"), "0");
    run(&second, "cache verify");
}

#[test]
fn few_descriptors_are_no_bug() {
    for most in 4..16 {
        let project = Project::with(
            r#"
            [steps.say]
            run = "echo said > ${outputs.out}"
            outputs.out = { path = "out", publish = "said.txt" }
            "#,
        );
        let output = with_descriptors(&project, most, "run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 4 | 127)), "{most} descriptors: {code:?}\n{said}");
        assert!(!said.contains("panicked"), "{most} descriptors:\n{said}");
        assert!(code == Some(0) || !said.trim().is_empty(), "{most} descriptors: nothing is said");
        project.run_executes(u64::from(code != Some(0)));
        assert_eq!(project.read("said.txt"), "said\n");
    }
}
