//! What keeps a job where no engine does, or beside one: a script that starts the command, stays until it has ended, and writes down how.
//!
//! The folder of a job, `BATCH.JOB`, holds:
//!
//! ```text
//! keeper     what starts the command and writes down how it ended
//! command    the command with its variables; removed as soon as it was read
//! alive      the keeper's process id and when that began, in the kernel's count
//! child      the process id of the command
//! cancelled  somebody wants it to end; `late`: its time was up
//! ended      its exit code
//! log        what it printed
//! gpus       how many it asked for, where nobody but us counts them
//! ```

use std::fmt::Write as _;

use crate::shell::quoted;
use crate::{ExecutorError, Job};

/// How long a command may take to end after SIGTERM, in seconds.
pub(crate) const GRACE: u32 = 10;

/// A function of the shell that says when a process began: with its id, that is a name that no other process of the host ever has.
pub(crate) const BEGAN: &str = r#"began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }"#;

/// The keeper: its arguments are the folder of the job, and how many seconds it may take, or 0. The command is the leader of a session of
/// its own; what it leaves behind in its group goes with it.
pub(crate) const KEEPER: &str = r#"cd "$1" || exit 1
umask 077
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
end() { kill "-$1" "-$child" 2>/dev/null || kill "-$1" "$child" 2>/dev/null; }
# An engine may send signals to all that it runs; how the command ended is written down all the same.
trap : TERM HUP INT
printf '%s %s\n' "$$" "$(began $$)" > alive.new && mv alive.new alive
setsid sh ./command > log 2>&1 < /dev/null &
child=$!
echo "$child" > child.new && mv child.new child
[ ! -e cancelled ] || end TERM
if [ "$2" -gt 0 ]; then
    setsid sh -c 'sleep "$2"; : > late; kill -TERM "-$1"; sleep 10; kill -KILL "-$1"' sh "$child" "$2" 2>/dev/null &
    timer=$!
fi
code=
while [ -z "$code" ] || kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
[ -z "${timer:-}" ] || kill -KILL "-$timer" 2>/dev/null
end KILL
echo "$code" > ended.new && mv ended.new ended
"#;

/// The most of a log that is told at once, in bytes.
pub(crate) const PIECE: usize = 1 << 16;

/// A line of the shell that prints a piece of a file, from a byte on.
pub(crate) fn piece(file: &str, from: u64) -> String {
    format!("tail -c +{} {file} | head -c {PIECE}", from + 1)
}

/// The command of a job as a script: it removes itself first, for it may hold secrets.
pub(crate) fn command(job: &Job) -> Result<String, ExecutorError> {
    quoted(&format!("rm -f command\n{}exec {}\n", exports(job)?, words(job)?))
}

/// Lines that set the variables of a job.
pub(crate) fn exports(job: &Job) -> Result<String, ExecutorError> {
    let mut lines = String::new();
    for (name, value) in &job.env {
        writeln!(lines, "export {}={}", name, quoted(value)?).expect("a text takes all");
    }
    Ok(lines)
}

/// The words of a job's command.
pub(crate) fn words(job: &Job) -> Result<String, ExecutorError> {
    Ok(job.argv.iter().map(|word| quoted(word)).collect::<Result<Vec<_>, _>>()?.join(" "))
}
