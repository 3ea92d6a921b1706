//! What is to be said of the end of a run: the facts as templates see them, and the message that is made of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tidemill_notify::{Level, Message, template};

use crate::event::{Cause, Outcome};
use crate::name::{PipelineName, RunId};
use crate::project::Project;
use crate::record::{FailedStep, GateAnswer, Recap, RunRecord};
use crate::spec::{News, Notify};
use crate::words::duration;

/// So many steps that failed are told with their last lines.
const TOLD: usize = 3;
/// So many lines each.
const LINES: usize = 20;
/// So many are named.
const NAMED: usize = 5;
/// So many metrics are told.
const METRICS: usize = 20;

/// What is to be said. Templates see it under these names.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Facts {
    pub(super) pipeline: PipelineName,
    pub(super) file: String,
    pub(super) project: String,
    pub(super) run: Option<RunId>,
    pub(super) outcome: &'static str,
    pub(super) what: String,
    pub(super) why: Option<String>,
    pub(super) cause: Cause,
    pub(super) trigger: Option<String>,
    pub(super) started: Option<String>,
    pub(super) finished: Option<String>,
    pub(super) duration: Option<String>,
    pub(super) failed: Vec<Json>,
    pub(super) gates: Vec<Json>,
    pub(super) metrics: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) commit: Option<String>,
    /// What the run's end means.
    #[serde(skip)]
    pub(super) news: News,
    /// When it ended.
    #[serde(skip)]
    pub(super) at: Timestamp,
}

impl Facts {
    /// What is known of a run that did not end by itself, or not begin.
    pub(super) fn bare(
        project: &Project,
        pipeline: PipelineName,
        file: String,
        cause: Cause,
        what: &str,
        at: Timestamp,
    ) -> Self {
        Self {
            pipeline,
            file,
            project: name(project),
            run: None,
            outcome: "failed",
            what: what.to_owned(),
            why: None,
            cause,
            trigger: None,
            started: None,
            finished: None,
            duration: None,
            failed: Vec::new(),
            gates: Vec::new(),
            metrics: BTreeMap::new(),
            commit: None,
            news: News::Failure,
            at,
        }
    }

    /// What is known of a run that ended.
    pub(super) fn of(project: &Project, record: &RunRecord, recap: &Recap, outcome: Outcome) -> Self {
        let at = record.finished.unwrap_or(record.started);
        let (news, what) = meaning(outcome, recap);
        let (pipeline, file) = (record.pipeline.clone(), record.file.clone());
        let bare = Self::bare(project, pipeline, file, record.cause, &what, at);
        let why = match news {
            News::Failure => why_failed(recap),
            News::Refused => why_refused(recap),
            News::Recovery | News::Success | News::Cancelled => None,
        };
        let triggered = record.triggered.as_ref();
        let metrics = recap.metrics.iter().map(|measured| {
            let values = measured.values.iter().map(|(name, metric)| (name.clone(), metric.value));
            (measured.step.to_string(), values.collect())
        });
        Self {
            run: Some(record.run.clone()),
            outcome: word(outcome),
            why,
            trigger: triggered.and_then(|triggered| triggered.trigger.as_ref()).map(ToString::to_string),
            started: Some(time(record.started)),
            finished: Some(time(at)),
            duration: Some(duration(record.wall_ms)),
            failed: recap.failures.iter().map(failed).collect(),
            gates: recap.gates.iter().map(|gate| json!(gate)).collect(),
            metrics: metrics.collect(),
            commit: record.git.as_ref().map(|git| match git.dirty {
                true => format!("{} and changes that are not committed", git.commit),
                false => git.commit.clone(),
            }),
            news,
            ..bare
        }
    }

    /// The same, of a run that succeeded after one that had not.
    pub(super) fn recovered(self) -> Self {
        Self { what: "it succeeded again".to_owned(), news: News::Recovery, ..self }
    }

    /// The message. If a template cannot be filled in, the usual one says so.
    pub(super) fn message(&self, notify: &Notify, id: &str) -> Message {
        let context = serde_json::to_value(self).unwrap_or_default();
        let usual = |text: &str| template::render(text, &context).unwrap_or_else(|_| self.what.clone());
        let mut wrong = Vec::new();
        let mut made = |field: &str, own: Option<&String>, text: &str| {
            let Some(own) = own else { return usual(text) };
            template::render(own, &context).unwrap_or_else(|error| {
                wrong.push(format!(
                    "The template `{field}` of `{}` cannot be filled in: {error}.",
                    notify.name
                ));
                usual(text)
            })
        };
        let subject = made("subject", notify.subject.as_ref(), template::SUBJECT);
        let mut text = made("text", notify.text.as_ref(), template::TEXT);
        for wrong in &wrong {
            text = format!("{}\n\n{wrong}\n", text.trim_end());
        }
        Message {
            subject,
            text,
            facts: self.list(),
            link: None,
            level: match self.news {
                News::Failure => Level::Failure,
                News::Refused => Level::Refused,
                News::Recovery => Level::Recovered,
                News::Success => Level::Success,
                News::Cancelled => Level::Information,
            },
            id: id.to_owned(),
            time: self.at,
        }
    }

    /// The facts that stand below a text.
    fn list(&self) -> Vec<(String, String)> {
        let run = self.run.as_ref().map(ToString::to_string);
        let cause = self.cause.words().to_owned();
        let known = [
            ("project", Some(self.project.clone())),
            ("pipeline", Some(self.pipeline.to_string())),
            ("run", run),
            ("cause", Some(cause)),
            ("trigger", self.trigger.clone()),
            ("started", self.started.clone()),
            ("duration", self.duration.clone()),
            ("commit", self.commit.clone()),
        ];
        let metrics = self.metrics.iter().flat_map(|(step, values)| {
            values.iter().map(move |(name, value)| (format!("{step}.{name}"), value.to_string()))
        });
        let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.chain(metrics.take(METRICS)).collect()
    }
}

/// The name of a project, for others.
pub(super) fn name(project: &Project) -> String {
    project.root().file_name().unwrap_or("project").to_owned()
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::StepFailed => "step-failed",
        Outcome::GateClosed => "gate-closed",
        Outcome::InfrastructureFailed => "infrastructure-failed",
        Outcome::Interrupted => "interrupted",
    }
}

/// What an end means to people, and in words that follow the pipeline's name.
fn meaning(outcome: Outcome, recap: &Recap) -> (News, String) {
    let steps: Vec<&str> = recap.failures.iter().map(|failed| failed.step.as_str()).collect();
    let closed = recap.gates.iter().filter(|gate| !gate.open).map(|gate| gate.step.as_str());
    let closed: Vec<&str> = closed.collect();
    match outcome {
        Outcome::Succeeded => (News::Success, "it succeeded".to_owned()),
        Outcome::StepFailed => (
            News::Failure,
            match steps.as_slice() {
                [] => "a step failed".to_owned(),
                [step] => format!("the step {step} failed"),
                steps => format!("the steps {} failed", named(steps)),
            },
        ),
        Outcome::InfrastructureFailed => (News::Failure, "it failed with its machine".to_owned()),
        Outcome::GateClosed => (
            News::Refused,
            match closed.as_slice() {
                [] => "a gate said no".to_owned(),
                [step] => format!("the gate of {step} said no"),
                steps => format!("the gates of {} said no", named(steps)),
            },
        ),
        Outcome::Interrupted => (News::Cancelled, "it was told to stop".to_owned()),
    }
}

fn named(steps: &[&str]) -> String {
    match steps.len().saturating_sub(NAMED) {
        0 => steps.join(", "),
        more => format!("{} and {more} more", steps[..NAMED].join(", ")),
    }
}

/// A step that failed, as templates see it.
fn failed(failed: &FailedStep) -> Json {
    let report = &failed.report;
    let lines = &report.tail[report.tail.len().saturating_sub(LINES)..];
    json!({ "step": failed.step, "why": report.failure.words(), "lines": lines, "hint": report.hint })
}

fn why_failed(recap: &Recap) -> Option<String> {
    let mut parts = Vec::new();
    for failed in recap.failures.iter().take(TOLD) {
        let report = &failed.report;
        let mut part = format!("{}: {}", failed.step, report.failure.words());
        for line in &report.tail[report.tail.len().saturating_sub(LINES)..] {
            part.push_str(&format!("\n  | {line}"));
        }
        part.extend(report.hint.iter().map(|hint| format!("\n  hint: {hint}")));
        parts.push(part);
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

fn why_refused(recap: &Recap) -> Option<String> {
    let closed = recap.gates.iter().filter(|gate| !gate.open);
    let lines: Vec<String> = closed.flat_map(refusals).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What a gate asked that does not hold.
fn refusals(gate: &GateAnswer) -> Vec<String> {
    let wrong = gate.conditions.iter().filter(|condition| condition.holds == Some(false));
    let line = wrong.map(|condition| {
        let values: Vec<String> =
            condition.values.iter().map(|(name, value)| format!("{name} is {value}")).collect();
        format!("{}: `{}` does not hold: {}", gate.step, condition.text, values.join(", "))
    });
    line.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureReport, StepFailure};
    use crate::name::{StepId, StepName};
    use crate::spec;

    fn recap() -> Recap {
        let step = StepId::new(&StepName::new("train").unwrap(), &[]);
        let report = FailureReport {
            failure: Failure::Step(StepFailure::Exit { code: 3 }),
            tail: (0..30).map(|number| format!("line {number}")).collect(),
            log: None,
            folder: None,
            hint: Some("declare `helper.py`".to_owned()),
        };
        let mut recap = Recap::default();
        recap.failures.push(FailedStep { step, report });
        recap
    }

    fn facts(recap: &Recap) -> Facts {
        let (news, what) = meaning(Outcome::StepFailed, recap);
        Facts {
            pipeline: PipelineName::new("flights").unwrap(),
            file: "pipeline.toml".to_owned(),
            project: "project".to_owned(),
            run: Some(RunId::new("20261130-000000-aaaaaa").unwrap()),
            outcome: "step-failed",
            what,
            why: why_failed(recap),
            cause: Cause::Schedule,
            trigger: Some("nightly".to_owned()),
            started: None,
            finished: None,
            duration: Some("2.5 s".to_owned()),
            failed: recap.failures.iter().map(failed).collect(),
            gates: Vec::new(),
            metrics: BTreeMap::from([("evaluate".to_owned(), BTreeMap::from([("rmse".to_owned(), 0.5)]))]),
            commit: None,
            news,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn notify(text: &str) -> Notify {
        let file = format!("[[notify]]\nname = \"ops\"\nslack = {{ url = \"URL\" }}\n{text}");
        spec::read_notify(&file).unwrap().1.remove(0)
    }

    #[test]
    fn a_message_says_what_happened_and_why() {
        let message = facts(&recap()).message(&notify(""), "id");
        assert_eq!(message.subject, "flights: the step train failed");
        assert!(
            message.text.starts_with(
                "In the pipeline flights, the step train failed.\n\ntrain: exit code 3\n  | line 10\n"
            ),
            "{}",
            message.text
        );
        assert!(message.text.contains("| line 29\n  hint: declare `helper.py`"), "{}", message.text);
        assert_eq!(message.level, Level::Failure);
        let facts: Vec<String> =
            message.facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert!(
            facts.contains(&"trigger=nightly".to_owned()) && facts.contains(&"evaluate.rmse=0.5".to_owned())
        );
    }

    #[test]
    fn templates_see_the_facts_and_one_that_fails_does_not_swallow_the_message() {
        let own = notify(
            "subject = \"{{ project }}/{{ pipeline }} {{ outcome }}\"\n\
             text = \"{% for step in failed %}{{ step.step }}: {{ step.lines | last }}{% endfor %} {{ metrics.evaluate.rmse }}\"\n",
        );
        let message = facts(&recap()).message(&own, "id");
        assert_eq!(
            (message.subject.as_str(), message.text.as_str()),
            ("project/flights step-failed", "train: line 29 0.5")
        );
        let wrong = facts(&recap()).message(&notify("text = \"{{ metrics.train.loss }}\"\n"), "id");
        assert!(wrong.text.contains("the step train failed"), "{}", wrong.text);
        assert!(wrong.text.contains("The template `text` of `ops` cannot be filled in"), "{}", wrong.text);
    }

    #[test]
    fn every_name_that_a_template_may_use_is_there() {
        let context = serde_json::to_value(facts(&recap())).unwrap();
        let there: std::collections::BTreeSet<&str> =
            context.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(there, spec::NAMES.into_iter().collect());
    }
}
