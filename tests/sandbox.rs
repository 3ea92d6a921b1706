//! How strictly a step is kept from what it did not declare, or watched. These stories need a kernel with Landlock (Linux 5.19).

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

/// What the last attempt of the only step read undeclared, as the record has it.
fn undeclared(project: &Project) -> Vec<String> {
    let shown = project.tidemill(&["show", "--json"]).ok().json();
    let attempts = shown["steps"][0]["attempts"].as_array().unwrap();
    let undeclared = &attempts.last().unwrap()["undeclared"];
    if undeclared.is_null() {
        return Vec::new();
    }
    assert_eq!(undeclared["complete"], true, "{undeclared}");
    let files = undeclared["files"].as_array().unwrap().iter();
    files.map(|file| file.as_str().unwrap().to_owned()).collect()
}

/// A traced step with this script, in which `ROOT` is the project's folder.
fn traced(script: &str) -> Project {
    let project = project("sandbox = \"trace\"", script);
    if script.contains("ROOT") {
        let root = root(&project);
        project.edit("pipeline.toml", "ROOT", &root);
    }
    project
}

#[test]
fn a_traced_step_reads_what_it_likes_and_is_told_of_it() {
    let project = traced("cat ROOT/data/secret.csv ../../../../other.txt OUTSIDE/beside > out.txt");
    project.outside_file("beside", "beside");
    project.file("other.txt", "other");
    project
        .tidemill(&["run"])
        .ok()
        .says("3 files that it did not declare: data/secret.csv, other.txt, ")
        .says("inputs.secret = \"data/secret.csv\"");
    assert_eq!(project.read("out.txt"), "secretotherbeside");
    assert_eq!(level(&project), "trace");
    assert_eq!(
        undeclared(&project),
        ["data/secret.csv", "other.txt", project.outside("beside").to_str().unwrap()]
    );
    project.tidemill(&["show"]).ok().says("look read 3 files that it did not declare: data/secret.csv");
    // The level is no part of the key, and what a result was made of is told by the run that made it.
    project.edit("pipeline.toml", "sandbox = \"trace\"", "sandbox = \"off\"");
    project.run_executes(0);
    project.tidemill(&["show"]).ok().says_nothing_of("did not declare");
}

#[test]
fn what_a_traced_step_declared_or_made_is_not_told() {
    let script = "cat known.txt ROOT/known.txt $PWD/known.txt /etc/passwd > $TMPDIR/a; echo x > b; \
                  echo mine > OUTSIDE/made; cat $TMPDIR/a b OUTSIDE/made ROOT/.venv/lib.py > /dev/null; \
                  test -f ROOT/data/secret.csv; cat ROOT/data/none.csv || ls ROOT/data > out.txt";
    let project = traced(script);
    project.file(".venv/lib.py", "");
    project.tidemill(&["run"]).ok().says_nothing_of("did not declare");
    assert_eq!((project.read("out.txt").as_str(), undeclared(&project).len()), ("secret.csv\n", 0));
}

#[test]
fn a_failed_attempt_and_its_descendants_are_told_of_too() {
    let script = "(setsid sh -c '(cat ROOT/data/secret.csv; cat ROOT/other.txt) & wait'); exit 3";
    let project = traced(script);
    project.file("other.txt", "other").file("tool.sh", "#!/bin/sh\ncat $1\n");
    project.tidemill(&["run"]).exits(1).says("2 files that it did not declare: data/secret.csv, other.txt");
    assert_eq!(undeclared(&project), ["data/secret.csv", "other.txt"]);

    // A program of the project is read by who executes it, whatever is linked to where.
    let project = traced("ln -s ROOT/tool.sh run-it; ./run-it known.txt > out.txt");
    project.file("tool.sh", "#!/bin/sh\ncat $1\n");
    fs::set_permissions(project.path("tool.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    project.run_executes(1);
    assert_eq!(
        (project.read("out.txt").as_str(), undeclared(&project).as_slice()),
        ("known", ["tool.sh".to_owned()].as_slice())
    );
}

#[test]
fn many_processes_and_threads_at_once_are_followed() {
    let script = "for n in $(seq 200); do cat ROOT/many/$n > part.$n & done; wait; cat $(seq -f part.%g 200) > out.txt";
    let project = traced(script);
    for number in 1..=200 {
        project.file(&format!("many/{number}"), format!("{number}\n"));
    }
    project.run_executes(1);
    let expected: String = (1..=200).map(|number| format!("{number}\n")).collect();
    assert_eq!((project.read("out.txt"), undeclared(&project).len()), (expected, 100));
    project.tidemill(&["show"]).ok().says("200 files that it did not declare").says("and 195 more");

    let program = "
import threading
def read(number):
    for _ in range(20):
        open(f'ROOT/many/{number}').read()
threads = [threading.Thread(target=read, args=(number,)) for number in range(1, 33)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
open('out.txt', 'w').write('well')
";
    let project = traced(&format!("cat > run.py <<'END'\n{program}END\npython3 run.py"));
    for number in 1..=32 {
        project.file(&format!("many/{number}"), "");
    }
    project.run_executes(1);
    assert_eq!((project.read("out.txt").as_str(), undeclared(&project).len()), ("well", 32));
}

#[test]
fn odd_names_are_shown_and_nothing_stands_still() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    // Names that are no text, at the end of a path that is longer than a path may be, and that vanish at once.
    let program = "
import os
here = os.getcwd()
open(b'ROOT/odd-\\xff').close()
os.chdir('ROOT/deep')
for _ in range(30):
    os.mkdir('d' * 200); os.chdir('d' * 200)
for path in ('x' * 5000, 'x' * 300, 'ROOT/none/x', ''):
    try: open(path)
    except OSError: pass
open('brief', 'w').close(); open('brief').close(); os.remove('brief')
os.chdir(here)
open('out.txt', 'w').write('well')
";
    let project = traced(&format!("cat > run.py <<'END'\n{program}END\npython3 run.py"));
    project.file("deep/known", "");
    fs::write(project.root().join(OsStr::from_bytes(b"odd-\xff")), "").unwrap();
    project.tidemill(&["run"]).ok().says("odd-\u{fffd}");
    assert_eq!(project.read("out.txt"), "well");
}

#[test]
fn without_its_engine_no_traced_process_is_left() {
    use rustix::process::Signal;

    use crate::support::{processes_of, signal, until};
    let project = traced("echo x > OUTSIDE/begun; while true; do cat known.txt > out.txt; done");
    let mut started = project.start(&["run"]);
    started.until("the step runs", || project.outside("begun").exists().then_some(()));
    signal(started.pid(), Signal::KILL);
    until("nothing of it is left", || processes_of(&project.state()).is_empty().then_some(()));
}

#[test]
fn without_its_watcher_no_traced_process_waits() {
    use rustix::process::Signal;

    use crate::support::{children_of, processes_of, signal, until};
    // It counts in a session of its own, which the death of the first process does not reach.
    let script = "setsid sh -c 'n=0; while n=$((n + 1)); do cat known.txt > mine; echo $n > OUTSIDE/count; done' & \
                  cat ROOT/data/secret.csv > OUTSIDE/begun; wait";
    let project = traced(script);
    let mut started = project.start(&["run"]);
    started.until("the step runs", || project.outside("begun").exists().then_some(()));
    let engine = started.pid();
    let both = [children_of(engine), vec![engine]].concat();
    both.iter().for_each(|pid| signal(*pid, Signal::STOP));
    both.iter().for_each(|pid| signal(*pid, Signal::KILL));
    // Whoever waited for the watcher is refused what it asked for, and ends or goes on: nobody sleeps in the kernel.
    until("nobody waits for an answer", || {
        let waits = |pid: &i32| {
            let stack = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
            stack.contains("seccomp")
        };
        (!processes_of(&project.state()).iter().any(waits)).then_some(())
    });
    // The next run ends what is left.
    project.edit("pipeline.toml", "wait", "true").edit("pipeline.toml", "while n=", "until n=");
    project.tidemill(&["run"]).says("out.txt");
    assert!(processes_of(&project.state()).is_empty());
}

#[test]
fn a_traced_step_is_stopped_as_any_other() {
    use crate::support::processes_of;
    use rustix::process::Signal;
    let project = traced("while true; do cat ROOT/data/secret.csv > /dev/null; echo x > OUTSIDE/begun; done");
    let mut started = project.start(&["run"]);
    started.until("the step runs", || project.outside("begun").exists().then_some(()));
    started.signal_group(Signal::INT);
    project.answer_of(started).exits(130).says("data/secret.csv");
    assert!(processes_of(&project.state()).is_empty());
}
