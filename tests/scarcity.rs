//! Few descriptors, or a full disk: that is the machine's failure, told as one, and no bug.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::Project;

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
        // The limit holds for the shell and what it becomes.
        let program = project.path("limited");
        let text = format!("#!/bin/sh\nulimit -n {most} && exec {} run\n", env!("CARGO_BIN_EXE_tidemill"));
        project.file("limited", text);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = project.command(&[], &project.root());
        let output = std::process::Command::new(&program)
            .envs(output.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(project.root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 4 | 127)), "{most} descriptors: {code:?}\n{said}");
        assert!(!said.contains("panicked"), "{most} descriptors:\n{said}");
        assert!(code == Some(0) || !said.trim().is_empty(), "{most} descriptors: nothing is said");
        project.run_executes(u64::from(code != Some(0)));
        assert_eq!(project.read("said.txt"), "said\n");
    }
}
