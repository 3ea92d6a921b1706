//! What the shell of a cluster is asked to do, and the script that its nodes run. All values in them are ids of ours, numbers, or quoted.
//!
//! Beside what the [keeper](crate::keeper) writes, the folder of a job may hold `verdict`: what Slurm said of its end, for Slurm forgets it. If
//! it has several nodes, `log` is that of the first one, and the others have `log.1` and so on; `starter` is what starts them, and `failed`
//! the exit code of the one that failed first, or there is `lost`.

use std::fmt::Write as _;

use super::parse::{ENDS, FULL};
use super::{SlurmSettings, several};
use crate::keeper::{KEEPER, command, piece};
use crate::shell::quoted;
use crate::{Batch, BatchId, ExecutorError, Resources, Ticket};

/// What is returned where a job has no log of its own.
pub(super) const NO_LOG: i32 = 3;

/// The scripts for one cluster.
#[derive(Debug, Clone)]
pub(super) struct Scripts {
    /// A line that says where the folders of the jobs lie.
    jobs: String,
    /// What `sbatch` is told of each batch.
    options: Vec<String>,
    /// The lines that load modules, and the shell that knows how.
    modules: String,
    vram_gres: Option<String>,
    interpreter: &'static str,
}

impl Scripts {
    pub(super) fn new(settings: &SlurmSettings) -> Result<Self, ExecutorError> {
        let SlurmSettings { partition, account, qos, modules, options, folder, .. } = settings;
        let jobs = match folder {
            Some(folder) => format!("jobs={}", quoted(folder)?),
            None => r#"jobs="${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/jobs""#.to_owned(),
        };
        let named = [("partition", partition), ("account", account), ("qos", qos)];
        let named = named.iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        let options =
            named.chain(options.iter().cloned()).map(|option| quoted(&option)).collect::<Result<_, _>>()?;
        let mut lines = String::new();
        for module in modules {
            writeln!(lines, "module load {} || exit 1", quoted(module)?).expect("a text takes all");
        }
        // Modules are known to login shells.
        let interpreter = if modules.is_empty() { "#!/bin/sh" } else { "#!/bin/bash -l" };
        Ok(Self { jobs, options, modules: lines, vram_gres: settings.vram_gres.clone(), interpreter })
    }

    /// Submits what neither Slurm nor its folders know of a batch as one array. If Slurm takes no array of this length, it gets shorter ones, for
    /// as long as it takes any.
    pub(super) fn submit(&self, batch: &Batch) -> Result<String, ExecutorError> {
        let jobs = &self.jobs;
        let id = &batch.id;
        let nodes = quoted(&self.of_nodes(batch)?)?;
        let options: Vec<String> =
            self.needs(&batch.resources).map(|need| quoted(&need)).collect::<Result<_, _>>()?;
        let options = [options.as_slice(), &self.options].concat().join(" ");
        let comment = quoted(&format!("--comment={}", batch.name))?;
        let last = batch.jobs.len() - 1;
        Ok(format!(
            r#"{jobs}
umask 077
mkdir -p "$jobs" || return 1
{from}
set -- env -i HOME="$HOME" PATH="$PATH" USER="$(id -un)" LOGNAME="$(id -un)" LANG=C.UTF-8
[ -z "${{SLURM_CONF:-}}" ] || set -- "$@" SLURM_CONF="$SLURM_CONF"
to={last}
while [ "$from" -le {last} ]; do
    if said=$(printf %s {nodes} | "$@" sbatch --parsable --job-name={id} {comment} --array="$from-$to" --no-requeue \
        --output="$jobs/{id}.%a.out" --chdir=/ {options} 2>&1 > /dev/null); then
        size=$((to - from + 1))
        from=$((to + 1))
        to=$((to + size))
        [ "$to" -le {last} ] || to={last}
        continue
    fi
    case "$said" in {full}) if [ "$to" -gt "$from" ]; then to=$(((from + to) / 2)); continue; fi ;; esac
    printf '%s\n' "$said" >&2
    return 1
done"#,
            full = FULL.map(|text| format!("*\"{text}\"*")).join(" | "),
            from = Self::first_missing(
                &batch.id,
                &format!("$(squeue -h -a -r -t all -n {id} -o %K) || return 1")
            ),
        ))
    }

    /// A line that finds the first job of a batch that is not there: `known` gives the numbers that Slurm knows, beside those of the folders. Jobs
    /// are submitted in their order.
    fn first_missing(batch: &BatchId, known: &str) -> String {
        format!(
            r#"known={known}
from=$(for job in $known "$jobs"/{batch}.*; do echo "${{job##*.}}"; done | {{
    from=0
    while read -r job; do
        case "$job" in '' | *[!0-9]*) ;; *) [ "$job" -lt "$from" ] || from=$((job + 1)) ;; esac
    done
    echo "$from"
}})"#
        )
    }

    /// The script that the nodes run. Of two that have the same job, one does nothing.
    pub(super) fn of_nodes(&self, batch: &Batch) -> Result<String, ExecutorError> {
        let Self { jobs, modules, interpreter, .. } = self;
        let (id, keeper) = (&batch.id, quoted(KEEPER)?);
        let time = batch.resources.time.map_or(0, |time| time.as_secs().max(1));
        let mut commands = String::new();
        for (ticket, job) in batch.tickets().zip(&batch.jobs) {
            let command = match batch.resources.nodes {
                1 => command(job)?,
                _ => several::command(job, &ticket, &batch.resources)?,
            };
            writeln!(commands, "{}) printf %s {command} > command ;;", ticket.job).expect("a text takes all");
        }
        Ok(format!(
            r#"{interpreter}
trap : TERM
{jobs}
umask 077
place="$jobs/{id}.$SLURM_ARRAY_TASK_ID"
mkdir "$place" && cd "$place" || exit 0
{modules}case "$SLURM_ARRAY_TASK_ID" in
{commands}esac
printf %s {keeper} > keeper
sh ./keeper "$place" {time} &
while [ ! -e ended ] && kill -0 $! 2>/dev/null; do wait $!; done
read -r code < ended
exit "$code"
"#
        ))
    }

    /// Where the folders of the jobs lie, what a job gets as its surroundings, and the first job of a batch that has no folder: the folder, `HOME`,
    /// `PATH`, the user and the number, a line each.
    pub(super) fn surroundings(&self, batch: &BatchId) -> String {
        let jobs = &self.jobs;
        format!(
            r#"{jobs}
umask 077
mkdir -p "$jobs" || return 1
{from}
printf '%s\n' "$jobs" "$HOME" "$PATH" "$(id -un)" "$from""#,
            from = Self::first_missing(batch, "")
        )
    }

    /// A line for each folder of these batches. Before that it is written down what was said of ends that nobody else tells.
    pub(super) fn folders(
        &self,
        batches: &[BatchId],
        ends: &[(Ticket, &str)],
    ) -> Result<String, ExecutorError> {
        let mut script = format!("{}\numask 077\n", self.jobs);
        for (ticket, state) in ends {
            let state = quoted(state)?;
            writeln!(
                script,
                r#"mkdir -p "$jobs/{ticket}" && [ -e "$jobs/{ticket}/verdict" ] || echo {state} > "$jobs/{ticket}/verdict""#
            )
            .expect("a text takes all");
        }
        script.push_str(&lines(batches));
        Ok(script)
    }

    /// Marks jobs as cancelled: those that have not begun find that their folder is taken.
    pub(super) fn mark_cancelled(&self, tickets: &[Ticket]) -> String {
        let mut script = format!("{}\numask 077\n", self.jobs);
        for ticket in tickets {
            writeln!(script, r#"mkdir -p "$jobs/{ticket}" && : > "$jobs/{ticket}/cancelled" || return 1"#)
                .expect("a text takes all");
        }
        script
    }

    /// A piece of the log of a job; it returns [`NO_LOG`] if there is none, and Slurm has kept something of its script.
    pub(super) fn own_log(&self, ticket: &Ticket, from: u64) -> String {
        let (jobs, piece) = (&self.jobs, piece("\"$jobs/$job/log\"", from));
        format!(
            r#"{jobs}
job={ticket}
if [ -e "$jobs/$job/log" ]; then {piece}
elif [ -s "$jobs/$job.out" ]; then return {NO_LOG}
fi"#
        )
    }

    /// A piece of what Slurm has kept of the script of a job.
    pub(super) fn kept_by_slurm(&self, ticket: &Ticket, from: u64) -> String {
        let (jobs, piece) = (&self.jobs, piece("\"$jobs/$job.out\"", from));
        format!("{jobs}\njob={ticket}\n[ -e \"$jobs/$job/log\" ] || {piece}")
    }

    /// What Slurm says of these batches, how many jobs wait before those of them that wait, and a line for each of their folders. What Slurm says
    /// of an end is written down.
    pub(super) fn status(&self, batches: &[BatchId]) -> String {
        let jobs = &self.jobs;
        let ids: Vec<&str> = batches.iter().map(BatchId::as_str).collect();
        let (lines, ends) = (lines(batches), ENDS.join("|"));
        format!(
            r#"{jobs}
said=$(squeue -h -a -r -t all -n {} -o '%j|%K|%T|%N|%r') || return 1
printf '%s\n' "$said" | while IFS='|' read -r id job state node reason; do
    [ -n "$id" ] || continue
    echo "slurm|$id.$job|$state|$node|$reason"
    case "$state" in
    {ends})
        mkdir -p "$jobs/$id.$job" && [ -e "$jobs/$id.$job/verdict" ] || echo "$state" > "$jobs/$id.$job/verdict" ;;
    esac
done
case "$said" in *"|PENDING|"*)
    squeue -h -a -t pd --sort=-p,i -o '%P|%j' | awk -F'|' -v ours='|{}|' '
        index(ours, "|" $2 "|") && !($2 in told) {{ told[$2] = 1; print "queue|" $2 ".0|" before[$1] + 0 "||" }}
        {{ before[$1]++ }}' ;;
esac
{lines}"#,
            ids.join(","),
            ids.join("|"),
        )
    }

    /// Ends jobs; those that have not begun find that their folder is taken.
    pub(super) fn cancel(&self, tickets: &[Ticket]) -> String {
        let mut script = format!("{}\numask 077\nmkdir -p \"$jobs\" || return 1\nids=\n", self.jobs);
        for Ticket { batch, job } in tickets {
            write!(
                script,
                r#"at=$(squeue -h -a -r -n {batch} -o '%K %i' | while read -r job at; do [ "$job" != {job} ] || echo "$at"; done) || return 1
if [ -n "$at" ]; then
    mkdir -p "$jobs/{batch}.{job}" && : > "$jobs/{batch}.{job}/cancelled" || return 1
    ids="$ids $at"
fi
"#
            )
            .expect("a text takes all");
        }
        script.push_str("[ -z \"$ids\" ] || scancel $ids");
        script
    }

    /// A piece of what a job printed. What Slurm kept of its script is told instead if it never came to a log of its own, and will not any
    /// more: the two are never mixed.
    pub(super) fn log(&self, ticket: &Ticket, from: u64) -> String {
        let jobs = &self.jobs;
        let Ticket { batch, job } = ticket;
        let piece = piece("\"$file\"", from);
        format!(
            r#"{jobs}
file="$jobs/{ticket}/log"
if [ ! -e "$file" ] && [ -s "$jobs/{ticket}.out" ]; then
    alive=$(squeue -h -a -r -n {batch} -o %K) || return 1
    case "
$alive
" in *"
{job}
"*) ;; *) [ -e "$file" ] || file="$jobs/{ticket}.out" ;; esac
fi
[ ! -e "$file" ] || {piece}"#
        )
    }

    /// Removes the folders of batches.
    pub(super) fn forget(&self, batches: &[BatchId]) -> String {
        let mut script = format!("{}\n", self.jobs);
        for batch in batches {
            writeln!(script, "rm -rf \"$jobs\"/{batch}.*").expect("a text takes all");
        }
        script
    }

    /// What a job needs, in Slurm's words.
    fn needs(&self, resources: &Resources) -> impl Iterator<Item = String> + use<> {
        let Resources { nodes, cpus, memory, gpus, gpu_type, vram, time } = resources;
        let mut needs = vec![
            format!("--nodes={nodes}"),
            "--ntasks-per-node=1".to_owned(),
            format!("--cpus-per-task={cpus}"),
        ];
        needs.extend(memory.map(|bytes| format!("--mem={}M", bytes.div_ceil(1 << 20))));
        if *gpus > 0 {
            let kind = gpu_type.as_ref().map(|kind| format!("{kind}:")).unwrap_or_default();
            let memory = vram.zip(self.vram_gres.as_ref());
            let memory = memory.map(|(bytes, name)| format!(",{name}:{}M", bytes.div_ceil(1 << 20)));
            needs.push(format!("--gres=gpu:{kind}{gpus}{}", memory.unwrap_or_default()));
        }
        // The keeper keeps the time to the second; Slurm's is a fence behind it, in whole minutes.
        needs.extend(time.map(|time| format!("--time={}", time.as_secs().div_ceil(60) + 1)));
        needs.into_iter()
    }
}

/// What tells of each folder of these batches, and that it has told of all.
fn lines(batches: &[BatchId]) -> String {
    let patterns: Vec<String> = batches.iter().map(|batch| format!("\"$jobs\"/{batch}.*")).collect();
    format!(
        r#"for job in {}; do
    [ -d "$job" ] || continue
    mark=
    [ ! -e "$job/lost" ] || mark=lost
    [ ! -e "$job/late" ] || mark=late
    [ ! -e "$job/cancelled" ] || mark=cancelled
    code= verdict=
    [ ! -e "$job/ended" ] || read -r code < "$job/ended"
    [ ! -e "$job/verdict" ] || read -r verdict < "$job/verdict"
    echo "folder|${{job##*/}}|$mark|$code|$verdict"
done
echo whole"#,
        patterns.join(" ")
    )
}
