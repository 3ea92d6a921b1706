//! Two recipes, field by field. Pure: what is in the files that changed is looked at elsewhere.
//!
//! What changed only because something else did — a word of the command that is a parameter's value — is a *consequence*, told
//! apart so that it does not hide the cause. No difference is lost: what no part's comparison tells is told as [`Part::Other`].

use std::collections::{BTreeMap, BTreeSet};

use tidemill_cache::{Digest, Form};

use super::change::{Change, Difference, FileChange, Part, Version};
use super::{packages, words};
use crate::Value;
use crate::spec;

/// What differs between two recipes; nothing in both lists if they are equal.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Comparison {
    /// What changed of itself, the most telling first.
    pub changes: Vec<Change>,
    /// What changed because of that.
    pub consequences: Vec<Change>,
}

type Members = BTreeMap<String, Value>;

/// Compares two recipes, the inputs in `unknown` left out.
pub(crate) fn compare(old: &Value, new: &Value, unknown: &BTreeSet<String>) -> Comparison {
    if old == new {
        return Comparison::default();
    }
    let (Value::Map(old), Value::Map(new)) = (old, new) else {
        let change = Change::value(Part::Other, "recipe", Some(old.clone()), Some(new.clone()));
        return Comparison { changes: vec![change], consequences: Vec::new() };
    };
    let mut changes = Vec::new();
    for (name, old, new) in differing(old, new) {
        let found = part(name, old, new, unknown);
        let is_hidden = name == "inputs" && !unknown.is_empty();
        if found.is_empty() && !is_hidden {
            changes.push(Change::value(Part::Other, name, old.cloned(), new.cloned()));
        }
        changes.extend(found);
    }
    changes.sort_by_key(Change::rank);
    let causes = Causes::of(&changes);
    let (consequences, changes) = changes.into_iter().partition(|change| causes.explain(change));
    Comparison { changes, consequences }
}

/// The members that are not the same in two maps, in order.
fn differing<'a>(
    old: &'a Members,
    new: &'a Members,
) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let both = |name: &'a String| (name.as_str(), old.get(name), new.get(name));
    names.into_iter().map(both).filter(|(_, old, new)| old != new)
}

fn part(name: &str, old: Option<&Value>, new: Option<&Value>, unknown: &BTreeSet<String>) -> Vec<Change> {
    match (name, old, new) {
        ("params", Some(Value::Map(old)), Some(Value::Map(new))) => members(Part::Parameter, old, new),
        ("inputs", Some(Value::Map(old)), Some(Value::Map(new))) => inputs(old, new, unknown),
        ("command", Some(Value::Map(old)), Some(Value::Map(new))) => command(old, new),
        ("env", Some(Value::Map(old)), Some(Value::Map(new))) => members(Part::Variable, old, new),
        ("outputs", Some(Value::Map(old)), Some(Value::Map(new))) => leaves(Part::Output, old, new),
        ("fingerprint", old, new) => vec![Change::value(Part::Fingerprint, "", present(old), present(new))],
        ("tools", Some(Value::Map(old)), Some(Value::Map(new))) => {
            let identity = |value: Option<Value>| value.map(|value| program(&value));
            let tool = |change: Change| match change.difference {
                Difference::Value { old, new } => {
                    Change::value(Part::Tool, change.name, identity(old), identity(new))
                }
                _ => change,
            };
            members(Part::Tool, old, new).into_iter().map(tool).collect()
        }
        ("python", Some(Value::Map(old)), Some(Value::Map(new))) => python(old, new),
        ("python", old, new) => {
            let whole = |value: Option<&Value>| present(value).map(|value| interpreter(&value));
            vec![Change::value(Part::Python, "", whole(old), whole(new))]
        }
        ("platform", Some(Value::Map(old)), Some(Value::Map(new))) => members(Part::Platform, old, new),
        ("layout", old, new) => vec![Change::value(Part::Layout, "", old.cloned(), new.cloned())],
        _ => Vec::new(),
    }
}

/// What is there and not nothing.
fn present(value: Option<&Value>) -> Option<Value> {
    value.filter(|value| **value != Value::Null).cloned()
}

fn members(part: Part, old: &Members, new: &Members) -> Vec<Change> {
    differing(old, new)
        .map(|(name, old, new)| Change::value(part, name, old.cloned(), new.cloned()))
        .collect()
}

/// The values in tables of tables that are not the same, by dotted name.
fn leaves(part: Part, old: &Members, new: &Members) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, old, new) in differing(old, new) {
        match (old, new) {
            (Some(Value::Map(old)), Some(Value::Map(new))) => {
                changes.extend(
                    leaves(part, old, new)
                        .into_iter()
                        .map(|change| Change { name: format!("{name}.{}", change.name), ..change }),
                );
            }
            (old, new) => changes.push(Change::value(part, name, old.cloned(), new.cloned())),
        }
    }
    changes
}

/// The digest of a tool's program as text; anything else as it is.
fn program(identity: &Value) -> Value {
    version(identity).map_or_else(|| identity.clone(), |version| Value::text(version.digest.to_string()))
}

/// A Python in a word or two.
fn interpreter(python: &Value) -> Value {
    let field = |name: &str| python.get(name).and_then(Value::as_text);
    match (field("implementation"), field("version")) {
        (Some(implementation), Some(version)) => Value::text(format!("{implementation} {version}")),
        _ => python.clone(),
    }
}

fn python(old: &Members, new: &Members) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, old, new) in differing(old, new) {
        match (name, old, new) {
            ("distributions", Some(Value::List(old)), Some(Value::List(new))) => {
                let packages = packages::compare(old, new);
                if packages.is_empty() {
                    let list = |items: &[Value]| Some(Value::List(items.to_vec()));
                    changes.push(Change::value(Part::Python, name, list(old), list(new)));
                }
                changes.extend(packages);
            }
            (name, old, new) => {
                changes.push(Change::value(Part::Python, name, old.cloned(), new.cloned()));
            }
        }
    }
    changes
}

fn command(old: &Members, new: &Members) -> Vec<Change> {
    let pair = |name: &str| Some((old.get(name)?, new.get(name)?));
    let texts = |value: &Value| match value {
        Value::List(items) => items.iter().map(spec::text).collect(),
        other => words::split(&spec::text(other)),
    };
    let kinds = (kind(old), kind(new));
    if kinds.0 != kinds.1 {
        return vec![Change::value(Part::Action, "", kinds.0.map(Value::text), kinds.1.map(Value::text))];
    }
    if let Some((old, new)) = pair("shell").or_else(|| pair("exec")) {
        let words = words::compare(&texts(old), &texts(new));
        let diff = match (old.as_text(), new.as_text()) {
            (Some(old), Some(new)) if old.trim().contains('\n') || new.trim().contains('\n') => {
                Some(words::lines(old, new))
            }
            _ => None,
        };
        let difference = Difference::Words { words, diff };
        return vec![Change { part: Part::Command, name: String::new(), difference }];
    }
    let mut changes = Vec::new();
    for (name, old, new) in differing(old, new) {
        match (name, old, new) {
            ("version", old, new) => {
                changes.push(Change::value(Part::Interface, "", old.cloned(), new.cloned()));
            }
            ("with", Some(Value::Map(old)), Some(Value::Map(new))) => {
                changes.extend(leaves(Part::With, old, new));
            }
            (name, old, new) => {
                changes.push(Change::value(Part::Other, name, old.cloned(), new.cloned()));
            }
        }
    }
    changes
}

/// What kind of thing a step does, in words.
fn kind(command: &Members) -> Option<String> {
    match (command.contains_key("shell"), command.contains_key("exec"), command.get("uses")) {
        (true, ..) => Some("a shell command".to_owned()),
        (_, true, _) => Some("a program".to_owned()),
        (.., Some(uses)) => Some(format!("the built-in step {}", spec::text(uses))),
        _ => None,
    }
}

fn inputs(old: &Members, new: &Members, unknown: &BTreeSet<String>) -> Vec<Change> {
    let known = differing(old, new).filter(|(name, ..)| !unknown.contains(*name));
    known.map(|(name, old, new)| input(name, old, new)).collect()
}

fn input(name: &str, old: Option<&Value>, new: Option<&Value>) -> Change {
    let files = match (old.map(places), new.map(places)) {
        (Some(Some(old)), Some(Some(new))) => moved(changed(&old, &new)),
        _ => Vec::new(),
    };
    let difference = match files.is_empty() {
        true => Difference::Value { old: old.cloned(), new: new.cloned() },
        false => Difference::Files { from: None, files, more: 0 },
    };
    Change { part: Part::Input, name: name.to_owned(), difference }
}

/// The files at places that are not the same, by path.
pub(super) fn changed(old: &BTreeMap<&str, Version>, new: &BTreeMap<&str, Version>) -> Vec<FileChange> {
    let paths: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let change = |path: &str| {
        let (old, new) = (old.get(path).copied(), new.get(path).copied());
        (old != new).then(|| FileChange::new(path, old, new))
    };
    paths.into_iter().filter_map(change).collect()
}

/// The same with what is gone here and new there told as one.
pub(super) fn moved(files: Vec<FileChange>) -> Vec<FileChange> {
    use super::change::Fate;
    let (gone, mut files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.fate == Fate::Gone);
    for gone in gone {
        let is_same = |file: &&mut FileChange| file.fate == Fate::New && file.new == gone.old;
        match files.iter_mut().find(is_same) {
            Some(file) => {
                file.fate = Fate::Moved;
                file.old = gone.old;
                file.moved_from = Some(gone.path);
            }
            None => files.push(gone),
        }
    }
    files
}

/// The places of an input with what lies there; none if the recipe does not say it in a way that is known.
fn places(input: &Value) -> Option<BTreeMap<&str, Version>> {
    let Value::List(places) = input else { return None };
    places.iter().map(|place| Some((place.get("at")?.as_text()?, version(place.get("content")?)?))).collect()
}

fn version(identity: &Value) -> Option<Version> {
    let form = match identity.get("form")?.as_text()? {
        "file" => Form::File,
        "executable" => Form::Executable,
        "folder" => Form::Folder,
        _ => return None,
    };
    match identity.get("digest")? {
        Value::Bytes(bytes) => {
            Some(Version { form, digest: Digest::from_bytes(bytes.as_slice().try_into().ok()?) })
        }
        _ => None,
    }
}

/// Texts that became other texts because something was changed, the longest first.
struct Causes {
    texts: Vec<(String, String)>,
}

impl Causes {
    /// Of parameters, the paths of outputs, and files that were moved.
    fn of(changes: &[Change]) -> Self {
        let mut texts = Vec::new();
        for change in changes {
            match (&change.part, &change.difference) {
                (Part::Parameter | Part::Output, Difference::Value { old: Some(old), new: Some(new) }) => {
                    texts.push((spec::text(old), spec::text(new)));
                    if let (Value::List(old), Value::List(new)) = (old, new) {
                        texts
                            .extend(old.iter().zip(new).map(|(old, new)| (spec::text(old), spec::text(new))));
                    }
                }
                (Part::Input, Difference::Files { files, .. }) => {
                    let moved = |file: &FileChange| Some((file.moved_from.clone()?, file.path.clone()));
                    texts.extend(files.iter().filter_map(moved));
                }
                _ => {}
            }
        }
        texts.retain(|(old, new)| old != new && !new.is_empty());
        texts.sort_by_key(|(_, new)| std::cmp::Reverse(new.len()));
        Self { texts }
    }

    /// Whether a change only follows from these.
    fn explain(&self, change: &Change) -> bool {
        match (&change.part, &change.difference) {
            (Part::With | Part::Variable, Difference::Value { old: Some(old), new: Some(new) }) => {
                self.lead(&spec::text(old), &spec::text(new))
            }
            (Part::Command, Difference::Words { words, .. }) => {
                let explained = |word: &super::change::WordChange| match (&word.old, &word.new) {
                    (Some(old), Some(new)) => self.lead(old, new),
                    _ => false,
                };
                !words.is_empty() && words.iter().all(explained)
            }
            _ => false,
        }
    }

    /// Whether they lead from one text to another: all of them at once, or one at one place.
    fn lead(&self, old: &str, new: &str) -> bool {
        let mut all = new.to_owned();
        for (before, now) in &self.texts {
            all = all.replace(now, before);
        }
        let once = |(before, now): &(String, String)| {
            new.match_indices(now.as_str())
                .any(|(place, _)| [&new[..place], before, &new[place + now.len()..]].concat() == old)
        };
        !self.texts.is_empty() && (all == old || self.texts.iter().any(once))
    }
}
