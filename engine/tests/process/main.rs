//! The door to child processes: what is started runs as told, what ends leaves nothing behind, and nothing outlives its
//! owner.
//!
//! The warden and the engine that is killed are this very test program, called again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod holding;
#[cfg(target_os = "linux")]
mod tracing;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};
use tidemill_engine::process::{
    Child, Command, ProcessError, Secret, Status, Warden, run_quick, sweep, warden_main,
};

/// The variables by which this program knows what it is to be.
const WARDEN: &str = "TIDEMILL_TEST_WARDEN";
const ENGINE: &str = "TIDEMILL_TEST_ENGINE";

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn warden_entry() {
    if std::env::var_os(WARDEN).is_some() {
        let _ = warden_main();
    }
}

/// An engine that starts the script in its world and then only waits.
#[test]
fn engine_entry() {
    let Some(folder) = std::env::var(ENGINE).ok() else { return };
    run(async {
        let world = World { folder: folder.into(), _temporary: None };
        let warden = world.warden().await;
        let script = fs::read_to_string(world.path("script")).unwrap();
        fs::write(world.path("warden"), format!("{}\n", warden.pid())).unwrap();
        let _child = warden.spawn(world.shell("killed.1", &script)).await.unwrap();
        std::future::pending::<()>().await;
    });
}

/// A state folder that is a step's folder too and holds its log.
struct World {
    folder: Utf8PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl World {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(temporary.path().canonicalize().unwrap()).unwrap();
        Self { folder, _temporary: Some(temporary) }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(name)
    }

    async fn warden(&self) -> Warden {
        let program = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
        let arguments = ["--exact", "warden_entry", "--nocapture"];
        Warden::start_with(&program, &self.folder, &arguments, &[(WARDEN, "1")]).await.unwrap()
    }

    /// A shell script in the folder, with a log of its own.
    fn shell(&self, id: &str, script: &str) -> Command {
        self.command(id, &["sh", "-euc", script])
    }

    fn command(&self, id: &str, argv: &[&str]) -> Command {
        Command {
            id: id.to_owned(),
            argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
            env: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
            folder: self.folder.clone(),
            log: self.path(&format!("{id}.log")),
            redact: Vec::new(),
            kind: None,
            fence: None,
            trace: None,
        }
    }

    fn log(&self, id: &str) -> String {
        fs::read_to_string(self.path(&format!("{id}.log"))).unwrap_or_default()
    }

    /// The process id that a script writes to a file, once it is there.
    fn pid(&self, file: &str) -> i32 {
        until(&format!("{file} holds a process id"), || {
            fs::read_to_string(self.path(file)).ok()?.strip_suffix('\n')?.parse().ok()
        })
    }

    fn start_engine(&self, script: &str) -> std::process::Child {
        fs::write(self.path("script"), script).unwrap();
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine_entry", "--nocapture"])
            .env(ENGINE, self.folder.as_str())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

/// Waits for a condition.
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn until_gone(pid: i32) {
    until(&format!("{pid} is gone"), || (!alive(pid)).then_some(()));
}

fn until_exists(path: &Utf8Path) {
    until(&format!("{path} exists"), || path.exists().then_some(()));
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn warden_pid(warden: &Warden) -> i32 {
    i32::try_from(warden.pid()).unwrap()
}

fn leader(child: &Child) -> i32 {
    i32::try_from(child.pid()).unwrap()
}

async fn status(warden: &Warden, command: Command) -> Status {
    warden.spawn(command).await.unwrap().wait().await.unwrap().status
}

async fn refusal(warden: &Warden, command: Command) -> String {
    match warden.spawn(command).await {
        Err(error @ ProcessError::NotStarted { .. }) => error.to_string(),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was started"),
    }
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        assert_eq!(status(&warden, world.shell("a", "exit 0")).await, Status::Code(0));
        assert_eq!(status(&warden, world.shell("b", "exit 7")).await, Status::Code(7));
        assert_eq!(status(&warden, world.shell("c", "kill -SEGV $$")).await, Status::Signal(11));
        // What people end programs with works on a step, though the warden ignores it.
        assert_eq!(status(&warden, world.shell("d", "kill -INT $$")).await, Status::Signal(2));
        warden.shutdown().await;
    });
}

#[test]
fn what_cannot_be_executed_is_named() {
    let world = World::new();
    fs::write(world.path("plain"), "text").unwrap();
    fs::write(world.path("lost"), "#!/no/such/interpreter\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(world.path("lost"), executable).unwrap();
    run(async {
        let warden = world.warden().await;
        let said = refusal(&warden, world.command("a", &["no-such-program"])).await;
        assert_eq!(said, "`no-such-program` cannot be executed: no such program in PATH");
        let said = refusal(&warden, world.command("b", &["./none"])).await;
        assert_eq!(said, "`./none` cannot be executed: no such file");
        let said = refusal(&warden, world.command("c", &["./plain"])).await;
        assert!(said.contains("not executable"), "{said}");
        let said = refusal(&warden, world.command("d", &["./lost"])).await;
        assert!(said.contains("interpreter"), "{said}");
        let said = refusal(&warden, world.command("e", &[])).await;
        assert!(said.contains("empty"), "{said}");
        let said = refusal(&warden, world.command("f", &["true", "a\0b"])).await;
        assert!(said.contains("NUL"), "{said}");
        // The warden serves on.
        assert_eq!(status(&warden, world.command("g", &["true"])).await, Status::Code(0));
        warden.shutdown().await;
    });
}

#[test]
fn a_missing_folder_is_the_machines_fault() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut command = world.command("a", &["true"]);
        command.folder = world.path("nowhere");
        assert!(matches!(warden.spawn(command).await, Err(ProcessError::Machine { .. })));
        let mut command = world.command("b", &["true"]);
        command.log = world.path("nowhere/log");
        assert!(matches!(warden.spawn(command).await, Err(ProcessError::Machine { .. })));
        warden.shutdown().await;
    });
}

#[test]
fn a_program_that_is_no_warden_is_an_error() {
    run(async {
        let none = Warden::start("/no/such/program".into(), "/state".into()).await;
        assert!(matches!(none, Err(ProcessError::Warden { .. })));
        let other = Warden::start("/bin/true".into(), "/state".into()).await;
        assert!(matches!(other, Err(ProcessError::Warden { .. })));
    });
}

#[test]
fn the_log_keeps_the_order_and_grows_while_the_command_runs() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let script = "echo one; echo two >&2; echo three; mkfifo go; read line < go; echo four >&2";
        let mut child = warden.spawn(world.shell("a", script)).await.unwrap();
        until("three lines", || (world.log("a") == "one\ntwo\nthree\n").then_some(()));
        until_exists(&world.path("go"));
        fs::write(world.path("go"), "go\n").unwrap();
        child.wait().await.unwrap();
        assert_eq!(world.log("a"), "one\ntwo\nthree\nfour\n");
        // Another attempt at the same log appends.
        let mut again = world.shell("b", "echo five");
        again.log = world.path("a.log");
        status(&warden, again).await;
        assert!(world.log("a").ends_with("four\nfive\n"));
        warden.shutdown().await;
    });
}

#[test]
fn the_environment_is_what_was_given_and_the_marks() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut command = world.command("a", &["/usr/bin/env"]);
        command.env = BTreeMap::from([("ONE".to_owned(), "a b\nc".to_owned())]);
        assert_eq!(status(&warden, command).await, Status::Code(0));
        let log = world.log("a");
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        let state = format!("TIDEMILL_STATE={}", world.folder);
        let mark = format!("TIDEMILL_WARDEN={}", warden.mark());
        assert_eq!(lines, ["ONE=a b", "TIDEMILL_ATTEMPT=a", &state, &mark, "c"]);
        warden.shutdown().await;
    });
}

#[test]
fn stdin_is_closed_the_umask_set_and_no_descriptor_left() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        // The fourth is the one by which `ls` reads the folder.
        let script = "cat; umask; readlink /proc/$$/fd/0; ls /proc/self/fd | tr '\\n' ' '";
        assert_eq!(status(&warden, world.shell("a", script)).await, Status::Code(0));
        assert_eq!(world.log("a"), "0022\n/dev/null\n0 1 2 3 ");
        warden.shutdown().await;
    });
}

#[test]
fn what_the_leader_leaves_in_its_group_is_killed_before_the_end_is_told() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let script = "(while :; do echo more >> output; done) & echo $! > left";
        assert_eq!(status(&warden, world.shell("a", script)).await, Status::Code(0));
        assert!(!alive(world.pid("left")));
        warden.shutdown().await;
    });
}

/// Starts a process that has left the group, the session and its parents, and waits until it runs.
const DAEMON: &str = "setsid sh -c 'sleep 1000 & echo $! > $0.new; mv $0.new $0' left & \
                      while ! [ -e left ]; do :; done";

/// The same without the marks in its environment, and in another folder.
const HIDDEN_DAEMON: &str = "env -i setsid sh -c 'cd /; sleep 1000 & echo $! > $0.new; mv $0.new $0' $PWD/left & \
                             while ! [ -e left ]; do :; done";

#[test]
fn what_left_group_and_session_is_killed_too() {
    for script in [DAEMON, HIDDEN_DAEMON] {
        let world = World::new();
        run(async {
            let warden = world.warden().await;
            assert_eq!(status(&warden, world.shell("a", script)).await, Status::Code(0));
            assert!(!alive(world.pid("left")), "{script}");
            warden.shutdown().await;
        });
    }
}

#[test]
fn the_processes_of_another_command_are_left_alone() {
    let world = World::new();
    fs::create_dir(world.path("other")).unwrap();
    run(async {
        let warden = world.warden().await;
        let mut other = world.shell("other", &format!("{DAEMON}; sleep 1000"));
        other.folder = world.path("other");
        let mut other = warden.spawn(other).await.unwrap();
        let theirs = world.pid("other/left");
        assert_eq!(status(&warden, world.shell("a", DAEMON)).await, Status::Code(0));
        assert!(!alive(world.pid("left")));
        assert!(alive(theirs));
        assert!(alive(leader(&other)));
        other.kill();
        assert_eq!(other.wait().await.unwrap().status, Status::Signal(9));
        assert!(!alive(theirs));
        warden.shutdown().await;
    });
}

/// A leader, a child and a daemon that each write down that they were asked to end.
const POLITE: &str = "
    polite='trap \"echo $0 asked; exit 3\" TERM; echo $$ > $0; while :; do sleep 0.01; done'
    sh -c \"$polite\" child &
    setsid sh -c \"$polite\" daemon &
    while ! [ -s child ] || ! [ -s daemon ]; do :; done
    trap 'echo leader asked; exit 4' TERM
    echo $$ > leader
    while :; do sleep 0.01; done";

#[test]
fn terminate_asks_the_whole_tree_and_lets_it_end() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut child = warden.spawn(world.command("a", &["sh", "-c", POLITE])).await.unwrap();
        let pids = ["child", "daemon", "leader"].map(|name| world.pid(name));
        child.terminate();
        assert_eq!(child.wait().await.unwrap().status, Status::Code(4));
        assert!(pids.iter().all(|pid| !alive(*pid)));
        let log = world.log("a");
        let mut lines: Vec<&str> = log.lines().filter(|line| line.ends_with("asked")).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["child asked", "daemon asked", "leader asked"]);
        warden.shutdown().await;
    });
}

#[test]
fn after_terminate_a_child_outlives_its_leader_until_the_kill() {
    let world = World::new();
    let script = "sh -c 'trap \"\" TERM; echo $$ > deaf; while :; do sleep 0.01; done' &
                  while ! [ -s deaf ]; do :; done; echo ready; wait";
    run(async {
        let warden = world.warden().await;
        let mut child = warden.spawn(world.shell("a", script)).await.unwrap();
        let (deaf, leader) = (world.pid("deaf"), leader(&child));
        until("ready", || world.log("a").contains("ready").then_some(()));
        child.terminate();
        until_gone(leader);
        // Another command comes and goes: the deaf one still has its time.
        assert_eq!(status(&warden, world.shell("b", "exit 0")).await, Status::Code(0));
        assert!(alive(deaf));
        child.kill();
        assert_eq!(child.wait().await.unwrap().status, Status::Signal(15));
        assert!(!alive(deaf));
        warden.shutdown().await;
    });
}

#[test]
fn kill_ends_the_whole_tree() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut child = warden.spawn(world.command("a", &["sh", "-c", POLITE])).await.unwrap();
        let pids = ["child", "daemon", "leader"].map(|name| world.pid(name));
        child.kill();
        assert_eq!(child.wait().await.unwrap().status, Status::Signal(9));
        assert!(pids.iter().all(|pid| !alive(*pid)));
        assert!(!world.log("a").contains("asked"));
        warden.shutdown().await;
    });
}

#[test]
fn a_child_that_is_dropped_is_killed() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let child = warden.spawn(world.shell("a", "sleep 1000")).await.unwrap();
        let pid = leader(&child);
        drop(child);
        until_gone(pid);
        warden.shutdown().await;
    });
}

#[test]
fn shutdown_and_the_last_handle_end_everything() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let script = format!("{HIDDEN_DAEMON}; sleep 1000");
        let mut child = warden.spawn(world.shell("a", &script)).await.unwrap();
        let left = world.pid("left");
        warden.clone().shutdown().await;
        assert!(!alive(left) && !alive(warden_pid(&warden)));
        assert!(matches!(child.wait().await, Err(ProcessError::WardenLost)));
        assert!(matches!(warden.spawn(world.shell("b", "true")).await, Err(ProcessError::WardenLost)));

        let warden = world.warden().await;
        let pid = warden_pid(&warden);
        drop(warden);
        until_gone(pid);
    });
}

#[test]
fn an_engine_that_is_killed_takes_everything_with_it() {
    for script in [DAEMON, HIDDEN_DAEMON] {
        let world = World::new();
        let script = format!("{script}; echo $$ > leader; while :; do echo >> output; done");
        let mut engine = world.start_engine(&script);
        let pids = ["warden", "left", "leader"].map(|name| world.pid(name));
        engine.kill().unwrap();
        engine.wait().unwrap();
        pids.into_iter().for_each(until_gone);
    }
}

#[test]
fn the_warden_is_deaf_to_the_signals_that_end_programs() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        for ending in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            signal(warden_pid(&warden), ending);
        }
        assert_eq!(status(&warden, world.shell("a", "exit 5")).await, Status::Code(5));
        warden.shutdown().await;
    });
}

#[test]
fn a_lost_warden_is_an_error_and_leaders_die_with_it() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut child = warden.spawn(world.shell("a", &format!("{DAEMON}; sleep 1000"))).await.unwrap();
        let (left, leader) = (world.pid("left"), leader(&child));
        signal(warden_pid(&warden), Signal::KILL);
        assert!(matches!(child.wait().await, Err(ProcessError::WardenLost)));
        until_gone(leader);
        assert!(alive(left), "nobody was there to kill it");
        assert!(sweep(&world.folder).unwrap() >= 1);
        assert!(!alive(left));
    });
}

#[test]
fn a_sweep_ends_what_outlived_engine_and_warden_and_nothing_else() {
    let world = World::new();
    let mut engine = world.start_engine(&format!("{DAEMON}; echo $$ > leader; sleep 1000"));
    let [warden, left, leader] = ["warden", "left", "leader"].map(|name| world.pid(name));
    assert_eq!(sweep(&world.folder).unwrap(), 0, "the run lives");
    assert!(alive(left) && alive(leader));

    // The warden first, so that it cannot do its work.
    signal(warden, Signal::KILL);
    engine.kill().unwrap();
    engine.wait().unwrap();
    until_gone(warden);
    until_gone(leader);
    assert!(alive(left));
    assert_eq!(sweep(Utf8Path::new("/another/state")).unwrap(), 0);
    assert!(alive(left));
    assert!(sweep(&world.folder).unwrap() >= 1);
    assert!(!alive(left));
}

#[test]
fn secrets_do_not_reach_the_log_also_in_two_writes() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let script = "printf 'hunt'; mkfifo go; read line < go; printf 'er2!\\n'; echo hunter >&2; echo $KEY";
        let mut command = world.shell("a", script);
        command.env.insert("KEY".to_owned(), "hunter2".to_owned());
        command.redact = vec![Secret::new("hunter2".to_owned())];
        assert!(!format!("{command:?}").contains("hunter2"));
        let mut child = warden.spawn(command).await.unwrap();
        until_exists(&world.path("go"));
        fs::write(world.path("go"), "go\n").unwrap();
        assert_eq!(child.wait().await.unwrap().status, Status::Code(0));
        assert_eq!(world.log("a"), "***!\nhunter\n***\n");
        warden.shutdown().await;
    });
}

#[test]
fn a_redacted_log_grows_and_a_large_one_is_whole() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut command = world.shell("a", "printf '50%%\\r'; mkfifo go; read line < go; seq 1 200000");
        command.redact = vec![Secret::new("hunter2".to_owned())];
        let mut child = warden.spawn(command).await.unwrap();
        until("the progress shows", || (world.log("a") == "50%\r").then_some(()));
        until_exists(&world.path("go"));
        fs::write(world.path("go"), "go\n").unwrap();
        child.wait().await.unwrap();
        let log = world.log("a");
        assert_eq!(log.lines().count(), 200_000);
        assert!(log.ends_with("\n200000\n"));
        warden.shutdown().await;
    });
}

#[test]
fn a_hundred_commands_at_once() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let mut running = tokio::task::JoinSet::new();
        for number in 0..100 {
            let command = world.shell(&format!("c{number}"), "sleep 1000 & echo $0; exit 3");
            let warden = warden.clone();
            running.spawn(async move { status(&warden, command).await });
        }
        assert_eq!(running.join_all().await, vec![Status::Code(3); 100]);
        assert!((0..100).all(|number| world.log(&format!("c{number}")) == "sh\n"));
        warden.shutdown().await;
    });
}

#[test]
fn usage_is_that_of_the_tree() {
    let world = World::new();
    let script = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; exit 0";
    run(async {
        let warden = world.warden().await;
        let exit = warden.spawn(world.shell("a", script)).await.unwrap().wait().await.unwrap();
        assert!(exit.success());
        assert!(exit.user > Duration::from_millis(5), "{exit:?}");
        assert!(exit.peak_memory > 100_000, "{exit:?}");
        warden.shutdown().await;
    });
}

#[test]
fn a_quick_command_gives_its_stdout() {
    let world = World::new();
    run(async {
        let warden = world.warden().await;
        let quick = |script| run_quick(&warden, world.shell("q", script), PATIENCE);
        let (one, two) = tokio::join!(quick("printf 'a\\0\\377'; echo why >&2"), quick("exit 2"));
        assert_eq!(one.unwrap().1, b"a\0\xff");
        assert_eq!(two.unwrap().0.status, Status::Code(2));
        assert_eq!(world.log("q"), "why\n");
        assert!(matches!(quick("yes").await, Err(ProcessError::TooMuchOutput { .. })));
        let slow = world.shell("slow", "echo $$ > slow; sleep 1000");
        let slow = run_quick(&warden, slow, Duration::from_millis(300)).await;
        assert_eq!(slow.unwrap_err().to_string(), "`sh` was killed after 300ms");
        assert!(!alive(world.pid("slow")));
        warden.shutdown().await;
    });
}
