//! What engines promise that copy the program of jobs, tried on them.

use std::os::unix::fs::PermissionsExt as _;

use tidemill_executors::{BatchId, End, Executor, ExecutorError, Job, Program};

use crate::contract::{batch, end, printed};

/// All of it.
pub(crate) async fn all(engine: &impl Executor) {
    a_program_is_copied_once_per_digest(engine).await;
    what_cannot_run_is_refused(engine).await;
}

/// A program with this content, and a digest that none had before.
fn program(folder: &tempfile::TempDir, content: &[u8], version: &str) -> Program {
    let digest = BatchId::generate().to_string();
    let path = folder.path().join(&digest);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    Program { path: path.try_into().unwrap(), digest, version: version.to_owned() }
}

/// A script that says what it is.
fn script(folder: &tempfile::TempDir, version: &str) -> Program {
    let content = format!(
        "#!/bin/sh\n[ \"$1\" != --version ] || {{ echo story {version}; exit; }}\necho {version} runs \"$@\"\n"
    );
    program(folder, content.as_bytes(), version)
}

async fn a_program_is_copied_once_per_digest(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (script(&folder, "1.0.0"), script(&folder, "1.0.1"));
    let words = [engine.install(&old).await.unwrap(), engine.install(&new).await.unwrap()];
    // What is not there any more cannot be copied again.
    drop(folder);
    assert_eq!([engine.install(&old).await.unwrap(), engine.install(&new).await.unwrap()], words);
    let jobs = words.iter().map(|word| Job {
        argv: [word, "step", "it's $one"].map(str::to_owned).to_vec(),
        env: [("PLACE".to_owned(), "here".to_owned())].into(),
    });
    let batch = batch(jobs.collect());
    engine.submit(&batch).await.unwrap();
    for (ticket, version) in batch.tickets().zip(["1.0.0", "1.0.1"]) {
        assert_eq!(end(engine, &ticket).await, End::Exited { code: 0 });
        assert_eq!(printed(engine, &ticket).await, format!("{version} runs step it's $one\n"));
    }
}

async fn what_cannot_run_is_refused(engine: &impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    let mut foreign = b"\x7fELF\x02\x01\x01".to_vec();
    foreign.resize(18, 0);
    // A processor that nobody has here.
    foreign.extend([243, 0]);
    let foreign = program(&folder, &foreign, "1.0.0");
    let broken = program(&folder, b"#!/bin/sh\necho no such libc >&2; exit 127\n", "1.0.0");
    let other = Program { version: "1.0.2".to_owned(), ..script(&folder, "1.0.0") };
    for (program, why) in [(foreign, "made for Linux riscv64"), (broken, "no such libc"), (other, "1.0.2")] {
        let asked = engine.install(&program).await;
        let Err(ExecutorError::Refused { reason, .. }) = &asked else { panic!("{asked:?}") };
        assert!(reason.contains(why) && !reason.contains('\n'), "{reason}");
    }
}
