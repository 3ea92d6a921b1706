//! The plan of a quarantine: which results would be withdrawn, and what rests on them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use tidemill_cache::{Artifact, Digest, Form, Key, Withdrawal};

use super::derived::derived;
use super::evidence::{Evidence, outputs};
use super::live::{self, LiveEffect, LiveEndpoint, LiveModel, Makers};
use crate::error::EngineError;
use crate::project::Project;
use crate::record::{History, RecordError};
use crate::withdrawn::{BadContent, Named};

/// What is asked to be taken out, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The results that this run made: an id, the beginning of one, or `last`.
    Run(String),
    /// The results of this key: or its first digits.
    Key(String),
    /// This content: or its first digits.
    Digest(String),
}

/// What a quarantine would withdraw, and what rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// What was named.
    pub named: Named,
    /// The results, the named ones first.
    pub results: Vec<Planned>,
    /// Versions of registered models that rest on them.
    pub models: Vec<LiveModel>,
    /// Endpoints that serve such models now.
    pub endpoints: Vec<LiveEndpoint>,
    /// Other effects that were done with them.
    pub effects: Vec<LiveEffect>,
    /// What they made and no other result did.
    #[serde(skip)]
    pub(super) contents: Vec<BadContent>,
}

/// A result that would be withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Its key.
    pub key: Key,
    /// Its number.
    pub number: u64,
    /// The step that made it.
    pub step: String,
    /// The step's pipeline.
    pub pipeline: String,
    /// The run that made it.
    pub run: String,
    /// When.
    pub finished: Timestamp,
    /// Why it is bad.
    pub why: Why,
    /// Who withdrew it before, if somebody did.
    pub withdrawn: Option<Withdrawal>,
}

/// Why a result is bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Why {
    /// It is what was named.
    Named,
    /// It read what a bad result made.
    Derived {
        /// The step that made it.
        from: String,
        /// The content.
        digest: Digest,
    },
}

/// The fewest digits that mean a key or a content.
const SHORTEST: usize = 4;

/// What a quarantine of this would withdraw.
///
/// # Errors
/// If it means nothing or several things, or the cache, the history or the registry cannot be read.
pub fn assess(project: &Project, request: &Request) -> Result<Assessment, EngineError> {
    let evidence = Evidence::gather(project.cache())?;
    let (named, places) = find(project, &evidence, request)?;
    let bad = derived(&evidence.nodes, &evidence.listings, &places);
    let planned = |place: usize, why: Why| {
        let known = &evidence.known[place];
        let result = &known.result;
        Planned {
            key: result.key,
            number: result.number,
            step: result.step.clone(),
            pipeline: result.pipeline.clone(),
            run: result.run.clone(),
            finished: result.finished,
            why,
            withdrawn: known.withdrawal.clone(),
        }
    };
    let mut results: Vec<Planned> = places.iter().map(|place| planned(*place, Why::Named)).collect();
    results.sort_by_key(|planned| planned.finished);
    let mut others: Vec<Planned> = (bad.derived.iter())
        .map(|(place, (digest, maker))| {
            let from = evidence.known[*maker].result.step.clone();
            planned(*place, Why::Derived { from, digest: *digest })
        })
        .collect();
    others.sort_by_key(|planned| planned.finished);
    results.append(&mut others);

    let mut makers = Makers::new();
    let mut artifacts: BTreeMap<Digest, &Artifact> = BTreeMap::new();
    // Who makes again what was made of a named content has read it again.
    let is_content = matches!(named, Named::Digest(_));
    for (digest, places) in &bad.contents {
        let results = || places.iter().map(|place| &evidence.known[*place].result);
        let keys = if is_content { Vec::new() } else { results().map(|result| result.key).collect() };
        makers.insert(*digest, keys);
        let as_output = results().flat_map(outputs).find(|output| output.digest == *digest);
        artifacts.extend(as_output.map(|output| (*digest, output)));
    }
    let content = |(digest, artifact): (&Digest, &&Artifact)| BadContent {
        artifact: (*artifact).clone(),
        keys: makers[digest].clone(),
    };
    let mut contents: Vec<BadContent> = artifacts.iter().map(content).collect();
    if let Named::Digest(digest) = &named {
        makers.insert(*digest, Vec::new());
        contents.retain(|content| content.artifact.digest != *digest);
        contents.push(BadContent { artifact: artifact_of(&evidence, digest), keys: Vec::new() });
    }
    let models = live::models(project, &makers)?;
    let endpoints = live::endpoints(project, &models, &makers)?;
    let keys: BTreeSet<Key> = results.iter().map(|planned| planned.key).collect();
    if let (Named::Digest(digest), true, true) = (&named, results.is_empty(), models.is_empty()) {
        return Err(nothing(&digest.short(), "no result and no registered model has or read such a content"));
    }
    Ok(Assessment { named, effects: live::effects(project, &keys)?, results, models, endpoints, contents })
}

/// What was named, and the places of the results that are bad by that.
fn find(
    project: &Project,
    evidence: &Evidence,
    request: &Request,
) -> Result<(Named, BTreeSet<usize>), EngineError> {
    let all = 0..evidence.known.len();
    let result = |place: &usize| &evidence.known[*place].result;
    Ok(match request {
        Request::Run(text) => {
            let run = run_of(project, evidence, text)?;
            let places = all.filter(|place| result(place).run == run).collect();
            (Named::Run(run), places)
        }
        Request::Key(text) => {
            let keys: BTreeSet<Key> = all.clone().map(|place| result(&place).key).collect();
            let key = one(text, keys, "no result of such a key is known")?;
            (Named::Key(key), all.filter(|place| result(place).key == key).collect())
        }
        Request::Digest(text) => {
            let digest = match text.parse() {
                Ok(digest) => digest,
                Err(_) => one(
                    text,
                    evidence.all_contents().into_iter().collect(),
                    "no result has or read such a content",
                )?,
            };
            let has = |place: &usize| {
                evidence.nodes[*place].outputs.contains(&digest)
                    || evidence.contents_read(*place).any(|content| content == digest)
            };
            (Named::Digest(digest), all.filter(has).collect())
        }
    })
}

/// The run that a text means: of the history, or, if its journal is gone, one that made a result.
fn run_of(project: &Project, evidence: &Evidence, text: &str) -> Result<String, EngineError> {
    match History::below(project.state()).find(text) {
        Ok(record) => Ok(record.run.to_string()),
        Err(RecordError::NotFound { .. }) => {
            let runs = evidence.known.iter().map(|known| known.result.run.clone());
            one(text, runs.collect(), "there is no such run, and no result was made by one")
        }
        Err(error) => Err(error.into()),
    }
}

/// The one of these that a text means, as a whole or by its beginning.
fn one<T: ToString>(text: &str, of: BTreeSet<T>, none: &str) -> Result<T, EngineError> {
    if text.len() < SHORTEST {
        return Err(nothing(text, "that is too short to mean one: write at least four of its characters"));
    }
    let wanted = text.to_ascii_lowercase();
    let mut meant = of.into_iter().filter(|one| one.to_string().starts_with(&wanted));
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(nothing(text, "several begin so: write more of it")),
        (None, _) => Err(nothing(text, none)),
    }
}

fn nothing(text: &str, reason: &str) -> EngineError {
    EngineError::NothingToQuarantine { text: text.to_owned(), reason: reason.to_owned() }
}

/// What is known of a content: an output with this digest, else a file of unknown size.
fn artifact_of(evidence: &Evidence, digest: &Digest) -> Artifact {
    let mut outputs = evidence.known.iter().flat_map(|known| outputs(&known.result));
    let known = outputs.find(|output| output.digest == *digest).cloned();
    let form = if evidence.listings.contains_key(digest) { Form::Folder } else { Form::File };
    known.unwrap_or(Artifact { form, digest: *digest, size: 0, files: 1 })
}
