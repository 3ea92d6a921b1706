//! What Ray is told of a job, and the script that it runs. All values in them are ids of ours, numbers, or quoted.
//!
//! The script stays until the command has ended, and says how by its own end: with the command's exit code, by SIGALRM if the time was up, or
//! by SIGUSR1 if a job of several nodes has lost one, which no command can make look so. Ray ends it by SIGTERM, which all processes below it get as well. When it is killed itself, its
//! guard, a process that Ray does not know, kills the command.

use std::collections::BTreeMap;

use serde_json::json;

use crate::keeper::{GRACE, command, exports, words};
use crate::several::variables;
use crate::shell::quoted;
use crate::{Batch, ExecutorError, Job, Resources, Ticket};

/// The only file of a job's package.
pub(super) const KEEPER: &str = "keeper";
/// What Ray runs in the folder that it has unpacked the package in.
pub(super) const ENTRYPOINT: &str = "exec sh ./keeper";
/// How the keeper ends if the time was up.
pub(super) const LATE: i32 = 14;
/// How it ends if one of several nodes is gone.
pub(super) const LOST: i32 = 10;

/// The beginning of the name of a job that cancels jobs which have not begun.
pub(super) const CANCELLER: &str = "tidemill-cancel-";

/// The beginning of the name of a job that tries a program.
pub(super) const TRIAL: &str = "tidemill-try-";
/// The beginning of the name of a program, and of its package.
const PROGRAM: &str = "tidemill-program-";

/// A note on a job that has several nodes: how many.
pub(super) const NODES: &str = "tidemill_nodes";

/// How long Ray waits after SIGTERM: the keeper is faster.
const RAYS_GRACE: u32 = GRACE + 5;

/// Ray has no other way to stop what it has not begun: its supervisor, an actor that waits for resources, is killed.
const CANCEL: &str = r#"import json, sys, ray
from ray.experimental.internal_kv import _internal_kv_get
ray.init(logging_level="ERROR", log_to_driver=False)
for job in sys.argv[1:]:
    known = _internal_kv_get("_ray_internal_job_info_" + job, namespace="job")
    if known and json.loads(known)["status"] == "PENDING":
        try:
            ray.kill(ray.get_actor("_ray_internal_job_actor_" + job, namespace="SUPERVISOR_ACTOR_RAY_NAMESPACE"))
        except ValueError:
            pass
"#;

/// What finds the program of a job: Ray adds its packages to Python's path, and the folder of the job, too.
pub(super) const FIND: &str = r#"others= IFS=:
for place in ${PYTHONPATH:-}; do
    case "$place" in
    "$PWD") ;;
    */tidemill-program-*) PATH=$place:$PATH ;;
    *) others=$others:$place ;;
    esac
done
unset IFS PYTHONPATH
[ -z "$others" ] || export PYTHONPATH="${others#:}""#;

/// The driver of a job that has several nodes.
const SEVERAL: &str = include_str!("several.py");

/// The script without what is of one job: `time`, its seconds or 0, and the lines that write the command and change variables.
const KEEP: &str = r#"stopped= late= lost= child= timer= killer=
end() { kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null; }
kill_soon() {
    [ -n "$child" ] && [ -z "$killer" ] || return 0
    setsid sh -c 'sleep "$2"; kill -KILL "-$1"' sh "$child" "$grace" > /dev/null 2>&1 9>&- &
    killer=$!
}
trap 'stopped=yes; kill_soon' TERM INT
trap 'late=yes; end TERM "$child"; kill_soon' ALRM
trap 'lost=yes' USR1
# What was stopped while it waited gets its signal now, and does not begin.
sleep 0.2 2>/dev/null
[ -z "$stopped" ] || exit 0
# The guard hears nothing until this process is gone.
mkfifo life && exec 9<> life || exit 125
(setsid sh -c 'exec < life; read -r groups; read -r ended || kill -KILL $groups' > /dev/null 2>&1 9>&- &)
setsid sh ./command < /dev/null 9>&- &
child=$!
[ -z "$stopped" ] || { end TERM "$child"; kill_soon; }
if [ "$time" -gt 0 ]; then
    setsid sh -c 'sleep "$1"; kill -ALRM "$2"' sh "$time" "$$" > /dev/null 2>&1 9>&- &
    timer=$!
fi
echo "-$child ${timer:+-$timer}" >&9
code=
while [ -z "$code" ] || kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
for group in $timer $killer; do end KILL "$group"; done
kill -KILL "-$child" 2>/dev/null
echo ended >&9
rm -f life
[ -z "$late" ] || { trap - ALRM; kill -ALRM "$$"; }
[ -z "$lost" ] || { trap - USR1; kill -USR1 "$$"; }
exit "$code"
"#;

/// The name of a job's package.
pub(super) fn package(ticket: &Ticket) -> String {
    format!("tidemill-{ticket}")
}

/// The name of a program, of the package that has it, and of the only file in it.
pub(super) fn program(digest: &str) -> String {
    format!("{PROGRAM}{digest}")
}

/// The program that a job starts with, if it is one that was uploaded.
pub(super) fn program_of(job: &Job) -> Option<&str> {
    job.argv.first().map(String::as_str).filter(|word| word.starts_with(PROGRAM))
}

/// The script of a job. It removes itself first, for it may hold secrets.
pub(super) fn keeper(batch: &Batch, ticket: &Ticket) -> Result<String, ExecutorError> {
    let (job, needs) = (&batch.jobs[ticket.job as usize], &batch.resources);
    let time = needs.time.map_or(0, |time| time.as_secs().max(1));
    // Of several nodes the driver keeps the time: it begins when all of them are there.
    let (command, time) = match needs.nodes {
        1 => (command(job)?, time),
        _ => (several(batch, ticket, job, time)?, 0),
    };
    // What the command has Ray do belongs to the job, and does not get its package.
    let config = quoted(&json!({ "metadata": metadata(batch, ticket) }).to_string())?;
    Ok(format!(
        r#"rm -f {KEEPER}
(umask 077; printf %s {command} > command)
export RAY_JOB_CONFIG_JSON_ENV_VAR={config}
time={time} grace={GRACE}
{FIND}
{KEEP}"#
    ))
}

/// The command of a job that has several nodes: the driver that starts it on each.
fn several(batch: &Batch, ticket: &Ticket, job: &Job, time: u64) -> Result<String, ExecutorError> {
    let needs = &batch.resources;
    let mut bundle = json!({ "CPU": needs.cpus });
    if needs.gpus > 0 {
        bundle["GPU"] = needs.gpus.into();
    }
    if let Some(bytes) = needs.memory {
        bundle["memory"] = bytes.into();
    }
    if let Some((kind, amount)) = of_type(needs) {
        bundle[kind] = amount.into();
    }
    let environment =
        program_of(job).map_or(json!({}), |program| json!({ "py_modules": [of_package(program)] }));
    let variables = variables(ticket, needs.nodes).map(|(name, value)| (name, value.to_string()));
    let how = json!({
        "name": ticket.to_string(),
        "nodes": needs.nodes,
        "bundle": bundle,
        "runtime_env": environment,
        "variables": BTreeMap::from(variables),
        "names": job.env.keys().collect::<Vec<_>>(),
        "time": time,
        "grace": GRACE,
    });
    let (driver, how) = (quoted(SEVERAL)?, quoted(&how.to_string())?);
    quoted(&format!(
        "rm -f command\n{}python=$(command -v python || command -v python3)\nexec \"$python\" -c {driver} {how} {}\n",
        exports(job)?,
        words(job)?
    ))
}

/// A node with such GPUs has 1 of this, which is for all.
fn of_type(needs: &Resources) -> Option<(String, f64)> {
    let kind = needs.gpu_type.as_ref().filter(|_| needs.gpus > 0)?;
    Some((format!("accelerator_type:{kind}"), 0.001))
}

fn metadata(batch: &Batch, ticket: &Ticket) -> serde_json::Value {
    json!({ "job_submission_id": ticket.to_string(), "job_name": batch.name })
}

/// What Ray is told of a job.
pub(super) fn submission(batch: &Batch, ticket: &Ticket) -> String {
    let needs = &batch.resources;
    let mut told = json!({
        "submission_id": ticket.to_string(),
        "entrypoint": ENTRYPOINT,
        "metadata": metadata(batch, ticket),
        "runtime_env": {
            "working_dir": of_package(&package(ticket)),
            "env_vars": { "RAY_JOB_STOP_SIGNAL": "SIGTERM", "RAY_JOB_STOP_WAIT_TIME_S": RAYS_GRACE.to_string() },
        },
    });
    if let Some(program) = program_of(&batch.jobs[ticket.job as usize]) {
        told["runtime_env"]["py_modules"] = json!([of_package(program)]);
    }
    // The driver of several nodes asks for them itself.
    if needs.nodes == 1 {
        told["entrypoint_num_cpus"] = needs.cpus.into();
        told["entrypoint_num_gpus"] = needs.gpus.into();
        if let Some(bytes) = needs.memory {
            told["entrypoint_memory"] = bytes.into();
        }
        if let Some((kind, amount)) = of_type(needs) {
            told["entrypoint_resources"] = json!({ kind: amount });
        }
    } else {
        told["metadata"][NODES] = needs.nodes.to_string().into();
    }
    told.to_string()
}

fn of_package(name: &str) -> String {
    format!("gcs://{name}.zip")
}

/// A job that tries something, with a program or without one.
pub(super) fn trial(id: &str, command: &str, program: Option<&str>) -> String {
    let mut told = json!({ "submission_id": id, "entrypoint": command });
    if let Some(program) = program {
        told["runtime_env"] = json!({ "py_modules": [of_package(program)] });
    }
    told.to_string()
}

/// A job that cancels jobs which have not begun.
pub(super) fn canceller(id: &str, tickets: &[&Ticket]) -> Result<String, ExecutorError> {
    let script = quoted(CANCEL)?;
    let names: Vec<String> = tickets.iter().map(ToString::to_string).collect();
    let names = names.join(" ");
    let entrypoint = format!("python -c {script} {names} || python3 -c {script} {names}");
    Ok(json!({ "submission_id": id, "entrypoint": entrypoint }).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::BatchId;

    fn batch(resources: Resources) -> Batch {
        let env = BTreeMap::from([("TOKEN".to_owned(), "the-secret".to_owned())]);
        let job = Job { argv: vec!["train".to_owned()], env };
        Batch { id: BatchId::generate(), name: "it's".to_owned(), resources, jobs: vec![job] }
    }

    #[test]
    fn ray_is_told_what_a_job_needs_and_no_secret() {
        let batch = batch(Resources {
            cpus: 3,
            gpus: 2,
            gpu_type: Some("T4".to_owned()),
            memory: Some(1 << 30),
            ..Resources::default()
        });
        let ticket = batch.tickets().next().unwrap();
        let told: serde_json::Value = serde_json::from_str(&submission(&batch, &ticket)).unwrap();
        assert_eq!(told["submission_id"], ticket.to_string());
        assert_eq!(told["entrypoint_num_cpus"], 3);
        assert_eq!(told["entrypoint_num_gpus"], 2);
        assert_eq!(told["entrypoint_memory"], 1 << 30);
        assert_eq!(told["entrypoint_resources"]["accelerator_type:T4"], 0.001);
        assert_eq!(told["metadata"]["job_name"], "it's");
        assert!(!told.to_string().contains("the-secret"));
    }

    #[test]
    fn the_keeper_knows_the_command_and_its_time() {
        let batch = batch(Resources { time: Some(Duration::from_millis(1)), ..Resources::default() });
        let keeper = keeper(&batch, &batch.tickets().next().unwrap()).unwrap();
        assert!(keeper.starts_with("rm -f keeper\n"));
        assert!(keeper.contains("the-secret") && keeper.contains("time=1 "));
    }
}
