//! The command of a job that has several nodes: it starts one task on each of them and stays until they have ended.

use std::fmt::Write as _;

use crate::keeper::{exports, words};
use crate::several::variables;
use crate::shell::quoted;
use crate::{ExecutorError, Job, Resources, Ticket};

/// One of the tasks, in the folder of the job. What ends the first one that fails is written down there, for `srun` tells only the
/// highest code of all.
const TASK: &str = r#"export TIDEMILL_NODE_RANK="$SLURM_NODEID" NODE_RANK="$SLURM_NODEID"
# A node may have a name that Slurm alone knows.
getent hosts "$MASTER_ADDR" > /dev/null 2>&1 || export MASTER_ADDR="$SLURM_LAUNCH_NODE_IPADDR"
if [ "$SLURM_NODEID" -eq 0 ]; then exec >> log 2>&1; else exec > "log.$SLURM_NODEID" 2>&1; fi
trap : TERM
"$@" &
child=$!
code=
while [ -z "$code" ] || kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
# If all of the job is being killed, this is killed as well.
[ "$code" -ne 137 ] || sleep 1
[ "$code" -eq 0 ] || (set -C; echo "$code" > failed) 2>/dev/null
exit "$code""#;

/// What starts the tasks, after the variables: how many, the processors of each, the task and its words. A SIGTERM makes `srun` kill
/// its tasks at once, so it is kept from it, and the tasks get it by Slurm.
const START: &str = r#"MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR
trap 'scancel --signal=TERM "$SLURM_JOB_ID.0" 2>/dev/null' TERM
start() {
    nodes=$1 cpus=$2
    shift 2
    setsid srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task="$cpus" --export=ALL \
        --kill-on-bad-exit=1 --wait=0 sh -c "$@" < /dev/null > starter 2>&1 &
    code=
    while [ -z "$code" ] || kill -0 $! 2>/dev/null; do
        wait $!
        code=$?
    done
    [ -s log ] || cat starter
    if [ -e failed ]; then
        read -r code < failed
    elif [ "$code" -ne 0 ] && [ "$code" -ne 127 ]; then
        # The starter is there, and a task is gone together with what kept it.
        : > lost
    fi
    exit "$code"
}"#;

/// The command as a script: it removes itself first, for it may hold secrets.
pub(super) fn command(job: &Job, ticket: &Ticket, needs: &Resources) -> Result<String, ExecutorError> {
    let Resources { nodes, cpus, .. } = needs;
    let mut script = format!("rm -f command\n{}", exports(job)?);
    for (name, value) in variables(ticket, *nodes) {
        writeln!(script, "export {name}={value}").expect("a text takes all");
    }
    writeln!(script, "{START}\nstart {nodes} {cpus} {} sh {}", quoted(TASK)?, words(job)?)
        .expect("a text takes all");
    quoted(&script)
}
