//! `[[triggers]]` as they are written: which one thing each waits for, and that nothing is said which belongs to another.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::TriggerName;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::model::{OnSpec, Placed, TriggerSpec, WebhookSpec};
use super::suggest;
use super::tree::{Entry, Node, Span};

/// What a trigger may wait for, each with the fields that belong to it.
const KINDS: [(&str, &[&str]); 5] = [
    ("cron", &["timezone", "catch_up", "jitter", "deadline"]),
    ("watch", &["settle"]),
    ("event", &["webhook"]),
    ("model", &[]),
    ("run", &[]),
];

/// The triggers of a file, in its order. What is wrong is left out and told.
pub(super) fn triggers(list: Option<&Node>, problems: &mut Problems) -> Vec<TriggerSpec> {
    let mut seen: BTreeMap<TriggerName, Span> = BTreeMap::new();
    let mut triggers = Vec::new();
    for table in list.map_or(&[][..], Node::items) {
        let Some(trigger) = trigger(table, problems) else { continue };
        let Placed { value, span } = &trigger.name;
        if let Some(first) = seen.insert(value.clone(), span.clone()) {
            let diagnostic = Diagnostic::new(Code::Twice, format!("two triggers are called `{value}`"));
            problems.add(
                diagnostic
                    .at(span, "again here")
                    .at(&first, "first here")
                    .help("give one of them another name"),
            );
        }
        triggers.push(trigger);
    }
    triggers
}

fn trigger(table: &Node, problems: &mut Problems) -> Option<TriggerSpec> {
    let name = placed(table.get("name")?)?;
    let on = on(table, &name, problems);
    let name = match TriggerName::new(&name.value) {
        Ok(value) => Placed { value, span: name.span },
        Err(error) => {
            let help = suggest::plain(&name.value).map(|plain| format!("for example `{plain}`"));
            problems.add(
                Diagnostic::new(Code::InvalidName, error.to_string()).at(&name.span, "").maybe_help(help),
            );
            return None;
        }
    };
    let mut params = Vec::new();
    add_params(table.get("params"), "", &mut params);
    Some(TriggerSpec {
        name,
        on,
        params,
        concurrency: word(table, "concurrency"),
        cooldown: duration(table, "cooldown"),
        enabled: table.get("enabled").and_then(Node::bool).unwrap_or(true),
    })
}

fn on(table: &Node, name: &Placed<String>, problems: &mut Problems) -> Option<OnSpec> {
    let said: Vec<(&Entry, &str)> =
        KINDS.iter().filter_map(|(kind, _)| table.entry(kind).map(|entry| (entry, *kind))).collect();
    let kinds = || suggest::list(KINDS.iter().map(|(kind, _)| *kind));
    let (entry, kind) = match said[..] {
        [one] => one,
        [] => {
            let message = format!("the trigger `{}` waits for nothing", name.value);
            let help = format!("say one of {}, such as `cron = \"0 3 * * *\"`", kinds());
            problems.add(Diagnostic::new(Code::Trigger, message).at(&name.span, "").help(help));
            return None;
        }
        [(first, _), (second, _), ..] => {
            let message = format!("the trigger `{}` waits for two things", name.value);
            let diagnostic = Diagnostic::new(Code::Trigger, message);
            problems.add(
                diagnostic
                    .at(&second.key_span, "and for this")
                    .at(&first.key_span, "for this")
                    .help("make two triggers of it"),
            );
            return None;
        }
    };
    let others = KINDS.iter().filter(|(other, _)| *other != kind);
    for (owner, field) in others.flat_map(|(owner, fields)| fields.iter().map(move |field| (owner, field))) {
        if let Some(entry) = table.entry(field) {
            let message = format!("`{field}` belongs to `{owner}`, and this trigger waits for `{kind}`");
            problems
                .add(Diagnostic::new(Code::Trigger, message).at(&entry.key_span, "").help("leave it away"));
        }
    }
    let value = &entry.value;
    Some(match kind {
        "cron" => OnSpec::Cron {
            cron: placed(value)?,
            timezone: table.get("timezone").and_then(placed),
            catch_up: word(table, "catch_up"),
            jitter: duration(table, "jitter"),
            deadline: duration(table, "deadline"),
        },
        "watch" => {
            if value.bool() == Some(false) {
                let diagnostic =
                    Diagnostic::new(Code::Trigger, "a trigger that does not watch waits for nothing");
                problems.add(
                    diagnostic.at(&value.span, "").help("write `enabled = false`, or leave the trigger away"),
                );
                return None;
            }
            OnSpec::Watch { only: texts(value), settle: duration(table, "settle") }
        }
        "event" => event(table, value),
        "model" => OnSpec::Model(placed(value)?),
        _ => OnSpec::Run {
            pipeline: placed(if value.text().is_some() { value } else { value.get("pipeline")? })?,
            ended: value
                .get("ended")
                .map(texts)
                .unwrap_or_default()
                .into_iter()
                .map(|end| end.value)
                .collect(),
        },
    })
}

fn event(table: &Node, value: &Node) -> OnSpec {
    let all = |node: Option<&Node>| node.map(texts).unwrap_or_default();
    let kinds = if value.text().is_some() { Some(value) } else { value.get("type") };
    let webhook = table.get("webhook").and_then(|webhook| {
        Some(WebhookSpec {
            sender: webhook.get("sender")?.text()?.to_owned(),
            secrets: webhook.get("secret").map(texts).unwrap_or_default(),
            window: duration(webhook, "window"),
        })
    });
    OnSpec::Event {
        kinds: all(kinds),
        sources: all(value.get("source")),
        filter: value.get("filter").and_then(placed),
        webhook,
    }
}

/// Values by dotted name, as parameters have them.
fn add_params(node: Option<&Node>, prefix: &str, params: &mut Vec<(Placed<String>, Node)>) {
    for entry in node.map_or(&[][..], Node::entries) {
        let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        match entry.value.entries() {
            [] => params.push((Placed { value: name, span: entry.key_span.clone() }, entry.value.clone())),
            _ => add_params(Some(&entry.value), &name, params),
        }
    }
}

/// A text, or all of a list.
fn texts(node: &Node) -> Vec<Placed<String>> {
    placed(node).into_iter().chain(node.items().iter().filter_map(placed)).collect()
}

fn placed(node: &Node) -> Option<Placed<String>> {
    Some(Placed { value: node.text()?.to_owned(), span: node.span.clone() })
}

fn word(table: &Node, name: &str) -> Option<String> {
    table.get(name)?.text().map(str::to_owned)
}

fn duration(table: &Node, name: &str) -> Option<Duration> {
    humantime::parse_duration(table.get(name)?.text()?).ok()
}
