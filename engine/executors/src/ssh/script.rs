//! The scripts that hosts run, for any POSIX shell. All values in them are ids of ours, numbers, or quoted.

use std::fmt::Write as _;

use crate::keeper::{BEGAN, GRACE, KEEPER, command, piece};
use crate::shell::quoted;
use crate::{Batch, BatchId, ExecutorError, Ticket};

/// The scripts for hosts on which the folders of the jobs lie at one place.
#[derive(Debug, Clone)]
pub(super) struct Scripts {
    /// A line that says where.
    jobs: String,
}

impl Scripts {
    /// For a folder on each host, or the user's cache folder there.
    pub(super) fn new(folder: Option<&str>) -> Result<Self, ExecutorError> {
        let jobs = match folder {
            Some(folder) => format!("jobs={}", quoted(folder)?),
            None => r#"jobs="${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/jobs""#.to_owned(),
        };
        Ok(Self { jobs })
    }

    /// How many of our jobs are unfinished here, how many GPUs these asked for, and which of this batch there are.
    pub(super) fn survey(&self, batch: &BatchId) -> String {
        let jobs = &self.jobs;
        format!(
            r#"{jobs}
{BEGAN}
unfinished=0 gpus=0
for job in "$jobs"/*; do
    [ -d "$job" ] && [ -e "$job/keeper" ] || continue
    case "$job" in */{batch}.*) echo "has ${{job##*.}}" ;; esac
    [ ! -e "$job/ended" ] || continue
    if [ -e "$job/alive" ]; then
        read -r pid since < "$job/alive"
        [ "$(began "$pid")" = "$since" ] || continue
    fi
    unfinished=$((unfinished + 1))
    [ ! -e "$job/gpus" ] || {{ read -r count < "$job/gpus" && gpus=$((gpus + count)); }}
done
echo "unfinished $unfinished $gpus""#
        )
    }

    /// Makes the folders of these jobs and starts them. Each gets its name when it is whole.
    pub(super) fn submit(&self, batch: &Batch, places: &[u32]) -> Result<String, ExecutorError> {
        let jobs = &self.jobs;
        let time = batch.resources.time.map_or(0, |time| time.as_secs().max(1));
        let gpus = batch.resources.gpus;
        let mut script = format!("trap '' HUP\n{jobs}\numask 077\nmkdir -p \"$jobs\" || return 1\n");
        for job in places {
            let name = format!("{}.{job}", batch.id);
            let command = command(&batch.jobs[*job as usize])?;
            let keeper = quoted(KEEPER)?;
            write!(
                script,
                r#"if [ ! -e "$jobs/{name}" ]; then
    new="$jobs/.{name}.$$"
    mkdir "$new" && printf %s {keeper} > "$new/keeper" && printf %s {command} > "$new/command" && echo {gpus} > "$new/gpus" || return 1
    mv -T "$new" "$jobs/{name}" 2>/dev/null || {{ rm -rf "$new"; [ -e "$jobs/{name}" ] || return 1; }}
    [ -e "$new" ] || setsid sh "$jobs/{name}/keeper" "$jobs/{name}" {time} < /dev/null > /dev/null 2>&1 &
fi
"#
            )
            .expect("a text takes all");
        }
        Ok(script)
    }

    /// A line for each job of these batches.
    pub(super) fn status(&self, batches: &[BatchId]) -> String {
        let jobs = &self.jobs;
        let patterns: Vec<String> = batches.iter().map(|batch| format!("\"$jobs\"/{batch}.*")).collect();
        format!(
            r#"{jobs}
{BEGAN}
for job in {}; do
    [ -d "$job" ] || continue
    alive=no
    if [ -e "$job/alive" ]; then
        read -r pid since < "$job/alive"
        [ "$(began "$pid")" = "$since" ] && alive=yes
    else
        alive=unborn
    fi
    mark=-
    [ -e "$job/late" ] && mark=late
    [ -e "$job/cancelled" ] && mark=cancelled
    code=-
    [ -e "$job/ended" ] && read -r code < "$job/ended"
    echo "${{job##*/}} $alive $mark $code"
done"#,
            patterns.join(" ")
        )
    }

    /// Ends jobs.
    pub(super) fn cancel(&self, tickets: &[Ticket]) -> String {
        let jobs = &self.jobs;
        let mut script = format!(
            r#"trap '' HUP
{jobs}
{BEGAN}
end() {{
    [ -d "$jobs/$1" ] && [ ! -e "$jobs/$1/ended" ] || return 0
    : > "$jobs/$1/cancelled"
    [ -e "$jobs/$1/child" ] || return 0
    read -r keeper since < "$jobs/$1/alive"
    read -r child < "$jobs/$1/child"
    [ "$(began "$keeper")" = "$since" ] || return 0
    kill -TERM "-$child" 2>/dev/null
    ( sleep {GRACE}; [ "$(began "$keeper")" != "$since" ] || kill -KILL "-$child" ) < /dev/null > /dev/null 2>&1 &
}}
"#
        );
        for ticket in tickets {
            writeln!(script, "end {ticket}").expect("a text takes all");
        }
        script
    }

    /// A piece of what a job printed.
    pub(super) fn log(&self, job: &Ticket, from: u64) -> String {
        let jobs = &self.jobs;
        let piece = piece(&format!("\"$jobs/{job}/log\""), from);
        format!("{jobs}\n[ ! -e \"$jobs/{job}/log\" ] || {piece}")
    }

    /// Removes the folders of batches.
    pub(super) fn forget(&self, batches: &[BatchId]) -> String {
        let jobs = &self.jobs;
        let mut script = format!("{jobs}\n");
        for batch in batches {
            writeln!(script, "rm -rf \"$jobs\"/{batch}.*").expect("a text takes all");
        }
        script
    }
}
