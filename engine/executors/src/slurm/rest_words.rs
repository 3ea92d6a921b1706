//! What is said to Slurm's REST server and what it says, in the versions of its interface: with each release of Slurm there is a new one, and
//! old ones go. The first that is known here came with 22.05; since 23.11 numbers, states and variables have other forms.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use serde_json::{Value, json};

use super::SlurmSettings;
use crate::{Batch, BatchId, Resources, Ticket};

/// A version of the interface: 38 is `v0.0.38`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dialect(u32);

/// The oldest version in its first form, and the versions in its second.
const FIRST: u32 = 38;
const SECOND: RangeInclusive<u32> = 40..=45;

/// What an array gets beside what its jobs need.
pub(super) struct Surroundings<'a> {
    /// What its nodes run.
    pub(super) script: &'a str,
    /// The variables of the script.
    pub(super) environment: &'a [(&'a str, &'a str)],
    /// The file for what Slurm itself has to say.
    pub(super) output: &'a str,
}

impl Dialect {
    /// The newest version that a server has, by the paths that it answers.
    pub(super) fn newest<'a>(paths: impl Iterator<Item = &'a str>) -> Option<Self> {
        let version = |path: &str| {
            let path = path.trim_end_matches('/');
            path.strip_prefix("/slurm/v0.0.")?.strip_suffix("/job/submit")?.parse().ok()
        };
        let known = |number: &u32| *number == FIRST || SECOND.contains(number);
        paths.filter_map(version).filter(known).max().map(Self)
    }

    /// What a server must have, in words.
    pub(super) fn needed() -> String {
        format!(
            "it has none of the versions v0.0.{FIRST} and v0.0.{} to v0.0.{} of the interface",
            SECOND.start(),
            SECOND.end()
        )
    }

    pub(super) fn version(self) -> String {
        format!("v0.0.{}", self.0)
    }

    fn is_first(self) -> bool {
        self.0 == FIRST
    }

    /// Some jobs of a batch as one array.
    pub(super) fn submission(
        self,
        batch: &Batch,
        jobs: Range<u32>,
        settings: &SlurmSettings,
        surroundings: &Surroundings<'_>,
    ) -> Value {
        let Surroundings { script, environment, output } = surroundings;
        let Resources { nodes, cpus, memory, gpus, gpu_type, vram, time } = &batch.resources;
        let mut job = json!({
            "name": batch.id.as_str(),
            "comment": batch.name,
            "array": format!("{}-{}", jobs.start, jobs.end - 1),
            "requeue": false,
            "current_working_directory": "/",
            "standard_output": output,
            "tasks": nodes,
            "tasks_per_node": 1,
            "cpus_per_task": cpus,
        });
        let mut say = |name: &str, value: Value| job[name] = value;
        let named =
            [("account", &settings.account), ("partition", &settings.partition), ("qos", &settings.qos)];
        for (name, value) in named {
            if let Some(value) = value {
                say(name, json!(value));
            }
        }
        if let Some(bytes) = memory {
            say("memory_per_node", self.number(bytes.div_ceil(1 << 20)));
        }
        // The keeper keeps the time to the second; Slurm's is a fence behind it, in whole minutes.
        if let Some(time) = time {
            say("time_limit", self.number(time.as_secs().div_ceil(60) + 1));
        }
        if *gpus > 0 {
            let kind = gpu_type.as_ref().map(|kind| format!("{kind}:")).unwrap_or_default();
            let memory = vram.zip(settings.vram_gres.as_ref());
            let memory = memory.map(|(bytes, name)| format!("{name}:{}M", bytes.div_ceil(1 << 20)));
            let wanted = [Some(format!("gpu:{kind}{gpus}")), memory].into_iter().flatten();
            match self.is_first() {
                true => say("gres", json!(wanted.collect::<Vec<_>>().join(","))),
                false => {
                    let wanted: Vec<String> = wanted.map(|gres| format!("gres/{gres}")).collect();
                    say("tres_per_node", json!(wanted.join(",")));
                }
            }
        }
        if self.is_first() {
            say("nodes", json!([nodes, nodes]));
            say("environment", environment.iter().map(|(name, value)| (*name, *value)).collect());
            return json!({ "job": job, "script": script });
        }
        say("minimum_nodes", json!(nodes));
        say("maximum_nodes", json!(nodes));
        say("environment", environment.iter().map(|(name, value)| format!("{name}={value}")).collect());
        say("script", json!(script));
        json!({ "job": job })
    }

    fn number(self, number: u64) -> Value {
        match self.is_first() {
            true => json!(number),
            false => json!({ "set": true, "infinite": false, "number": number }),
        }
    }
}

/// What Slurm says of a job, of a task of an array, or of those tasks of one that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Its name: of ours, the id of the batch.
    pub(super) name: String,
    /// The number of the array, or of the job.
    pub(super) array: u64,
    tasks: Tasks,
    /// Its state, as `squeue` says it.
    pub(super) state: String,
    /// Where it runs.
    pub(super) nodes: String,
    /// Why it waits.
    pub(super) reason: String,
    partition: String,
    priority: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tasks {
    One(u32),
    Waiting(BTreeSet<u32>),
    /// Some that wait, and Slurm does not say all of them.
    Unclear,
    /// It is no array, and none of ours.
    None,
}

impl Record {
    /// Of which of our jobs it speaks.
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        let Ok(batch) = self.name.parse::<BatchId>() else { return Vec::new() };
        let ticket = |job: &u32| Ticket { batch: batch.clone(), job: *job };
        match &self.tasks {
            Tasks::One(job) => vec![ticket(job)],
            Tasks::Waiting(jobs) => jobs.iter().map(ticket).collect(),
            Tasks::Unclear | Tasks::None => Vec::new(),
        }
    }

    /// Whether it speaks of tasks that it does not name, for there are too many.
    pub(super) fn is_unclear(&self) -> bool {
        self.tasks == Tasks::Unclear
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        !super::parse::is_alive(&self.state)
    }
}

/// The records of an answer; none if it cannot be understood.
pub(super) fn records(answer: &Value) -> Option<Vec<Record>> {
    answer.get("jobs")?.as_array()?.iter().map(record).collect()
}

fn record(job: &Value) -> Option<Record> {
    let text = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| job.get(name).and_then(number);
    let id = number("job_id")?;
    let array = number("array_job_id").filter(|array| *array > 0);
    let tasks = match (array, number("array_task_id"), text("array_task_string")) {
        (None, ..) => Tasks::None,
        (Some(_), Some(task), _) => Tasks::One(u32::try_from(task).ok()?),
        (Some(_), None, waiting) if waiting.is_empty() => Tasks::None,
        (Some(_), None, waiting) => tasks(&waiting).map_or(Tasks::Unclear, Tasks::Waiting),
    };
    Some(Record {
        name: text("name"),
        array: array.unwrap_or(id),
        tasks,
        state: state(job.get("job_state")?)?,
        nodes: text("nodes"),
        reason: text("state_reason"),
        partition: text("partition"),
        priority: number("priority").unwrap_or_default(),
    })
}

/// How many jobs and arrays wait in the same partition before the first that waits under this name, if one does.
pub(super) fn before(name: &str, records: &[Record]) -> Option<usize> {
    let waiting = || records.iter().filter(|record| record.state == "PENDING");
    let turn = |record: &Record| (std::cmp::Reverse(record.priority), record.array);
    let own = waiting().filter(|record| record.name == name).min_by_key(|record| turn(record))?;
    let is_before = |other: &&Record| other.partition == own.partition && turn(other) < turn(own);
    Some(waiting().filter(is_before).map(|record| record.array).collect::<BTreeSet<_>>().len())
}

/// A number, plain or as a table that says whether it is one.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Object(table) => {
            let is_set = table.get("set").and_then(Value::as_bool) == Some(true);
            table.get("number").filter(|_| is_set)?.as_u64()
        }
        plain => plain.as_u64(),
    }
}

/// A state, plain or as a list of it and what comes on top, of which only that it is being cleared up says something.
fn state(value: &Value) -> Option<String> {
    let words: Vec<&str> = match value {
        Value::Array(words) => words.iter().map(Value::as_str).collect::<Option<_>>()?,
        word => vec![word.as_str()?],
    };
    let completing = words.iter().find(|word| **word == "COMPLETING");
    completing.or(words.first()).map(|word| (*word).to_owned())
}

/// Tasks as Slurm lists them: `0-4,7,9-12`, with `%2` at the end if so many may run at once. None if it leaves some out.
fn tasks(text: &str) -> Option<BTreeSet<u32>> {
    let text = text.split('%').next().unwrap_or_default();
    let mut tasks = BTreeSet::new();
    for part in text.trim_matches(['[', ']']).split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // Slurm itself takes four million at most.
        if last < first || last - first > 1 << 22 {
            return None;
        }
        tasks.extend(first..=last);
    }
    Some(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Job;

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        let newest = |paths: &[&str]| Dialect::newest(paths.iter().copied()).map(Dialect::version);
        let old = ["/slurm/v0.0.37/job/submit", "/slurm/v0.0.38/job/submit", "/slurmdb/v0.0.40/jobs"];
        assert_eq!(newest(&old).as_deref(), Some("v0.0.38"));
        let new = ["/slurm/v0.0.39/job/submit", "/slurm/v0.0.41/job/submit/", "/slurm/v0.0.99/job/submit"];
        assert_eq!(newest(&new).as_deref(), Some("v0.0.41"));
        assert_eq!(newest(&["/slurm/v0.0.39/job/submit", "/ping"]), None);
    }

    #[test]
    fn a_batch_is_an_array_in_either_form() {
        let id: BatchId = "a".repeat(26).parse().unwrap();
        let jobs = vec![Job { argv: vec!["true".to_owned()], env: [].into() }; 3];
        let time = Some(std::time::Duration::from_secs(90));
        let resources = Resources {
            nodes: 2,
            gpus: 4,
            memory: Some(3 << 20),
            vram: Some(5 << 30),
            time,
            ..Resources::default()
        };
        let batch = Batch { id, name: "p.train".to_owned(), resources, jobs };
        let settings = SlurmSettings {
            partition: Some("a100".to_owned()),
            vram_gres: Some("gpumem".to_owned()),
            ..SlurmSettings::default()
        };
        let surroundings =
            Surroundings { script: "#!/bin/sh\n", environment: &[("HOME", "/h")], output: "/o" };
        let say = |version| Dialect(version).submission(&batch, 1..3, &settings, &surroundings);
        let (old, new) = (say(38), say(41));
        for said in [&old["job"], &new["job"]] {
            assert_eq!(
                (&said["array"], &said["partition"], &said["requeue"]),
                (&json!("1-2"), &json!("a100"), &json!(false))
            );
            assert!(said.get("qos").is_none());
        }
        assert_eq!((&old["script"], &old["job"]["nodes"]), (&json!("#!/bin/sh\n"), &json!([2, 2])));
        assert_eq!((&old["job"]["memory_per_node"], &old["job"]["time_limit"]), (&json!(3), &json!(3)));
        assert_eq!(old["job"]["gres"], "gpu:4,gpumem:5120M");
        assert_eq!(old["job"]["environment"], json!({ "HOME": "/h" }));
        assert_eq!((&new["job"]["script"], &new["job"]["maximum_nodes"]), (&json!("#!/bin/sh\n"), &json!(2)));
        assert_eq!(new["job"]["memory_per_node"], json!({ "set": true, "infinite": false, "number": 3 }));
        assert_eq!(new["job"]["tres_per_node"], "gres/gpu:4,gres/gpumem:5120M");
        assert_eq!(new["job"]["environment"], json!(["HOME=/h"]));
    }

    #[test]
    fn those_that_wait_stand_in_line() {
        let job = |id: u64, name: &str, state: &str, partition: &str, priority: u64| json!({ "job_id": id, "name": name, "job_state": state, "partition": partition, "priority": priority });
        let answer = json!({ "jobs": [
            job(1, "running", "RUNNING", "main", 99), job(2, "first", "PENDING", "main", 7), job(3, "later", "PENDING", "main", 7),
            job(4, "sooner", "PENDING", "main", 8), job(5, "elsewhere", "PENDING", "other", 1),
        ]});
        let records = records(&answer).unwrap();
        let before = |name: &str| before(name, &records);
        assert_eq!([before("sooner"), before("first"), before("later")], [Some(0), Some(1), Some(2)]);
        assert_eq!((before("elsewhere"), before("running"), before("nobody")), (Some(0), None, None));
    }

    #[test]
    fn records_are_read_in_either_form() {
        let name = "a".repeat(26);
        let old = json!({ "jobs": [
            { "job_id": 8, "array_job_id": 7, "array_task_id": 0, "name": name, "job_state": "RUNNING", "nodes": "n1", "state_reason": "None" },
            { "job_id": 7, "array_job_id": 7, "array_task_id": null, "array_task_string": "2-3,5%2", "name": name, "job_state": "PENDING", "state_reason": "Resources" },
            { "job_id": 9, "array_job_id": 0, "array_task_id": null, "name": "other", "job_state": "FAILED" },
        ]});
        let of = |number: u64| json!({ "set": true, "infinite": false, "number": number });
        let unset = json!({ "set": false, "infinite": false, "number": 0 });
        let new = json!({ "jobs": [
            { "job_id": 8, "array_job_id": of(7), "array_task_id": of(0), "name": name, "job_state": ["RUNNING", "COMPLETING"], "nodes": "n1", "state_reason": "None" },
            { "job_id": 7, "array_job_id": of(7), "array_task_id": unset, "array_task_string": "2-3,5", "name": name, "job_state": ["PENDING"], "state_reason": "Resources" },
            { "job_id": 9, "array_job_id": of(0), "array_task_id": unset, "name": "other", "job_state": ["FAILED"] },
        ]});
        for (answer, first) in [(old, "RUNNING"), (new, "COMPLETING")] {
            let records = records(&answer).unwrap();
            let jobs = |record: &Record| record.tickets().iter().map(|ticket| ticket.job).collect::<Vec<_>>();
            assert_eq!(records.iter().map(jobs).collect::<Vec<_>>(), [vec![0], vec![2, 3, 5], vec![]]);
            assert_eq!(records.iter().map(|record| record.array).collect::<Vec<_>>(), [7, 7, 9]);
            assert_eq!((records[0].state.as_str(), records[1].reason.as_str()), (first, "Resources"));
            assert_eq!(records.iter().map(Record::has_ended).collect::<Vec<_>>(), [false, false, true]);
        }
    }

    #[test]
    fn tasks_that_slurm_leaves_out_are_not_taken_for_none() {
        assert_eq!(tasks("0"), Some([0].into()));
        assert_eq!(tasks("[1-3,7]%4"), Some([1, 2, 3, 7].into()));
        for text in ["1-3,...", "3-1", "", "x"] {
            assert_eq!(tasks(text), None, "{text:?}");
        }
        let said = json!({ "jobs": [{ "job_id": 7, "array_job_id": 7, "array_task_string": "1,...", "job_state": "PENDING" }] });
        assert!(records(&said).unwrap()[0].is_unclear());
    }
}
