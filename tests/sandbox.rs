//! How strictly a step is kept from what it did not declare. These stories need a kernel with Landlock (Linux 5.19).

use std::fs;

use crate::support::Project;

/// A step that runs this script; `FIELDS` are more lines of its table.
fn project(fields: &str, script: &str) -> Project {
    let project = Project::with(&format!(
        "[steps.look]\nrun = '''{script}'''\ninputs.known = \"known.txt\"\noutputs.out = {{ path = \"out.txt\", publish = \"out.txt\" }}\n{fields}\n"
    ));
    project.file("known.txt", "known").file("data/secret.csv", "secret");
    project
}

fn root(project: &Project) -> String {
    project.root().to_str().unwrap().to_owned()
}

/// The word that the result keeps.
fn level(project: &Project) -> String {
    let results = project.state_files("results/");
    let text = String::from_utf8_lossy(&fs::read(&results[0]).unwrap()).into_owned();
    let (_, rest) = text.split_once("\"sandbox\": \"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// A step that reads this path, whatever the way to it.
fn reads(fields: &str, path: impl Fn(&Project) -> String) -> Project {
    let project = project(fields, "cat PATH > out.txt");
    let path = path(&project);
    project.edit("pipeline.toml", "PATH", &path);
    project
}

#[test]
fn a_file_of_the_project_that_is_not_declared_is_refused_by_whatever_path() {
    let absolute = |project: &Project| format!("{}/data/secret.csv", root(project));
    let upwards = |_: &Project| "../../../../data/secret.csv".to_owned();
    let by_link = |project: &Project| {
        let link = project.outside("link");
        std::os::unix::fs::symlink(project.path("data"), &link).unwrap();
        format!("{}/secret.csv", link.display())
    };
    for path in [&absolute as &dyn Fn(&Project) -> String, &upwards, &by_link] {
        let project = reads("", path);
        let answer = project.tidemill(&["run"]).exits(1);
        assert!(!project.has("out.txt"), "{}", answer.transcript());
    }
    // The message names the file and what to write.
    for path in [&absolute as &dyn Fn(&Project) -> String, &upwards] {
        reads("", path)
            .tidemill(&["run"])
            .exits(1)
            .says("data/secret.csv")
            .says("inputs.secret = \"data/secret.csv\"");
    }
}

#[test]
fn declared_it_is_read_from_the_step_folder() {
    let project =
        project("inputs.secret = \"data/secret.csv\"", "cat ${inputs.secret} ${inputs.known} > out.txt");
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "secretknown");
    assert_eq!(level(&project), "default");
}

#[test]
fn what_is_installed_in_the_project_may_be_read() {
    let project = project("", "cat ROOT/.venv/lib.py ROOT/tools/bin/lib.py > out.txt");
    let root = root(&project);
    project.edit("pipeline.toml", "ROOT/.venv", &format!("{root}/.venv")).edit(
        "pipeline.toml",
        "ROOT",
        &root,
    );
    project.file(".venv/lib.py", "one").file("tools/bin/lib.py", "two");
    project.tidemill(&["run"]).exits(1).says("tools/bin/lib.py");
    project.file("tools/pyvenv.cfg", "");
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "onetwo");
}

#[test]
fn files_beside_the_project_can_be_read_and_written_and_moved() {
    let project = project(
        "",
        "cat OUTSIDE/a > OUTSIDE/b; mkdir OUTSIDE/c; mv OUTSIDE/b OUTSIDE/c/b; cp OUTSIDE/c/b out.txt",
    );
    project.outside_file("a", "beside");
    project.run_executes(1);
    assert_eq!(project.read("out.txt"), "beside");
}

#[test]
fn off_it_is_read() {
    let absolute = |project: &Project| format!("{}/data/secret.csv", root(project));
    let project = reads("sandbox = \"off\"", absolute);
    project.run_executes(1);
    assert_eq!((project.read("out.txt").as_str(), level(&project).as_str()), ("secret", "off"));
    // The level is no part of the key.
    project.edit("pipeline.toml", "sandbox = \"off\"", "");
    project.run_executes(0);
    // What the project says holds for steps that say nothing.
    let project = reads("", absolute);
    project.file("tidemill.toml", "[project]\nsandbox = \"off\"\n");
    project.run_executes(1);
}

#[test]
fn a_strict_step_reads_nothing_of_the_users_and_writes_in_its_folder_only() {
    let strict = "sandbox = \"strict\"";
    let project = project(
        strict,
        "cat ${inputs.known} > $TMPDIR/a; mkdir -p $TMPDIR/b; mv $TMPDIR/a $TMPDIR/b/a; cp $TMPDIR/b/a out.txt; date > /dev/null",
    );
    project.run_executes(1);
    assert_eq!((project.read("out.txt").as_str(), level(&project).as_str()), ("known", "strict"));

    let refused = [
        ("cat OUTSIDE/mine > out.txt", "mine"),
        ("echo x > OUTSIDE/new; echo > out.txt", "new"),
        ("echo x >> OUTSIDE/mine; echo > out.txt", "mine"),
        ("rm OUTSIDE/mine; echo > out.txt", "mine"),
        ("ls OUTSIDE > out.txt", "outside"),
        ("echo x > /tmp/tidemill-story; echo > out.txt", "/tmp/tidemill-story"),
        ("ls ~ > out.txt", "home"),
    ];
    for (script, named) in refused {
        let project = Project::with(&format!(
            "[steps.look]\nrun = '''{script}'''\noutputs.out = \"out.txt\"\n{strict}\n"
        ));
        project.outside_file("mine", "mine");
        project.tidemill(&["run"]).exits(1).says(named).says("ermission denied");
        assert_eq!(fs::read_to_string(project.outside("mine")).unwrap(), "mine", "{script}");
        assert!(!project.outside("new").exists(), "{script}");
    }
    assert!(!fs::exists("/tmp/tidemill-story").unwrap());
}

#[test]
fn children_do_not_leave_the_fence() {
    let project =
        project("", "(setsid sh -c 'cat ROOT/data/secret.csv' || nohup cat ROOT/data/secret.csv) > out.txt");
    let root = root(&project);
    project.edit("pipeline.toml", "ROOT", &root);
    project.tidemill(&["run"]).exits(1).says("data/secret.csv");
}

#[test]
fn a_step_without_network_makes_no_socket() {
    let script = "python3 -c 'import socket; socket.socket(); print(1)' > out.txt";
    let project = project("network = false", script);
    project.tidemill(&["run"]).exits(1).says("Permission denied");
    project.edit("pipeline.toml", "network = false", "network = true");
    project.run_executes(1);

    // Local sockets and pipes work, also where files are not guarded.
    let script = "python3 -c 'import socket; socket.socketpair(); print(1)' | cat > out.txt";
    for level in ["default", "off", "strict"] {
        let project = Project::with(&format!(
            "[steps.look]\nrun = \"{script}\"\noutputs.out = \"out.txt\"\nnetwork = false\nsandbox = \"{level}\"\n"
        ));
        project.tidemill(&["run"]).ok();
        let project = Project::with(&format!(
            "[steps.look]\nrun = \"python3 -c 'import socket; socket.socket()'\"\nnetwork = false\nsandbox = \"{level}\"\n"
        ));
        project.tidemill(&["run"]).exits(1);
    }
}

#[test]
fn what_is_put_beside_the_project_while_it_runs_is_seen_by_the_next_step() {
    let project = Project::with(
        r#"
        [steps.one]
        run = "mkdir -p OUTSIDE/../later; echo late > OUTSIDE/../later/file; echo > out"
        outputs.out = "out"

        [steps.two]
        run = "cat OUTSIDE/../later/file > out"
        inputs.one = "${one.out}"
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    project.tidemill(&["run"]).ok();
    assert_eq!(project.read("out.txt"), "late\n");
}
