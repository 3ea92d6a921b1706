//! Doing what was planned, undoing it, and listing what was done.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use tidemill_cache::{Key, Withdrawal};

use super::assess::{Assessment, Planned, Request, assess};
use crate::error::EngineError;
use crate::project::Project;
use crate::withdrawn::{Entry, Named, Quarantine, Quarantines, WithdrawnResult};

/// A quarantine that was done.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// What is withdrawn now.
    #[serde(flatten)]
    pub assessment: Assessment,
    /// The number of its entry, for who wants to undo it; none if all of this was withdrawn before.
    pub quarantine: Option<u64>,
    /// How many results were withdrawn now.
    pub new: usize,
    /// What the store of the team was told, if there is one that may be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Told>,
}

/// What the store of the team was told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// So many of the results were there, and do not count there any more.
    Withdrawn(usize),
    /// Nothing, and why; the same quarantine once more tells it.
    Nothing(String),
}

impl Done {
    fn new(project: &Project, assessment: Assessment, quarantine: Option<u64>, new: usize) -> Self {
        let store = project.store().filter(|store| store.store.settings().writes());
        let results: Vec<(Key, u64)> =
            assessment.results.iter().map(|planned| (planned.key, planned.number)).collect();
        let store = store.filter(|_| !results.is_empty()).map(|store| match store.store.withdraw(&results) {
            Ok(count) => Told::Withdrawn(count),
            Err(error) => Told::Nothing(error.to_string()),
        });
        Self { assessment, quarantine, new, store }
    }
}

/// What was given back.
#[derive(Debug, Clone, Serialize)]
pub struct GivenBack {
    /// The number of the quarantine that was undone.
    pub quarantine: u64,
    /// The results that count again.
    pub results: Vec<WithdrawnResult>,
    /// How many stay withdrawn because of another quarantine.
    pub kept: usize,
    /// How many are gone.
    pub gone: usize,
}

/// A quarantine, for a list.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its number.
    pub quarantine: u64,
    /// What was named.
    pub named: Named,
    /// Why, by whom and when.
    #[serde(flatten)]
    pub withdrawal: Withdrawal,
    /// How many results it withdrew.
    pub results: usize,
    /// How many versions of models rest on them.
    pub models: usize,
    /// Who gave it back, if somebody did.
    pub given_back: Option<Withdrawal>,
}

/// Withdraws what was asked for, and all that is derived from it. What was withdrawn before stays as it is.
///
/// # Errors
/// As [`assess`]; also if a mark cannot be written: the same again does the rest.
pub fn quarantine(project: &Project, request: &Request, reason: &str) -> Result<Done, EngineError> {
    let (cache, log) = (project.cache(), Quarantines::below(project.state()));
    let (mut number, mut new) = (None, 0);
    loop {
        // A run may record a result while this is going on: then it is looked at once more.
        let before = cache.records_mark();
        let assessment = assess(project, request)?;
        let standing = log.standing()?;
        let is_listed = |planned: &Planned| {
            standing.values().any(|quarantine| quarantine.results.contains(&listed(planned)))
        };
        let is_old = match assessment.results.is_empty() {
            true => standing.values().any(|quarantine| quarantine.named == assessment.named),
            false => {
                assessment.results.iter().all(|planned| planned.withdrawn.is_some() && is_listed(planned))
            }
        };
        let nothing = assessment.results.is_empty() && assessment.models.is_empty();
        if is_old || nothing {
            return Ok(Done::new(project, assessment, number, new));
        }
        let withdrawal =
            Withdrawal { reason: reason.to_owned(), by: project.user().to_owned(), at: Timestamp::now() };
        let fresh = || assessment.results.iter().filter(|planned| planned.withdrawn.is_none());
        for planned in fresh() {
            new += usize::from(cache.quarantine(&planned.key, planned.number, &withdrawal)?);
        }
        let entry = Entry::Withdrawn(Quarantine {
            named: assessment.named.clone(),
            withdrawal,
            results: assessment.results.iter().map(listed).collect(),
            contents: assessment.contents.clone(),
            models: assessment.models.iter().map(|model| model.bad.clone()).collect(),
        });
        number = Some(log.add(&entry)?);
        let changed = before.and_then(|before| cache.keys_changed_since(&before));
        let marked: Vec<Key> = fresh().map(|planned| planned.key).collect();
        if changed.is_some_and(|changed| is_same(changed, marked)) {
            return Ok(Done::new(project, assessment, number, new));
        }
    }
}

/// Whether both hold the same keys, each as often.
fn is_same(mut left: Vec<Key>, mut right: Vec<Key>) -> bool {
    left.sort_unstable();
    right.sort_unstable();
    left == right
}

fn listed(planned: &Planned) -> WithdrawnResult {
    WithdrawnResult { key: planned.key, number: planned.number, finished: planned.finished }
}

/// Gives back what a quarantine withdrew, unless another one withdrew it too.
///
/// # Errors
/// If there is no such quarantine, or a mark cannot be removed: the same again does the rest.
pub fn undo(project: &Project, number: u64, reason: &str) -> Result<GivenBack, EngineError> {
    let (cache, log) = (project.cache(), Quarantines::below(project.state()));
    let mut standing = log.standing()?;
    let Some(quarantine) = standing.remove(&number) else {
        let reason = match log.last_number()? {
            0 => "nothing was ever quarantined",
            _ => "there is no such quarantine, or it was undone before",
        };
        return Err(EngineError::NotQuarantined { number, reason: reason.to_owned() });
    };
    let others: BTreeSet<&WithdrawnResult> = standing.values().flat_map(|other| &other.results).collect();
    let (mut results, mut kept, mut gone) = (Vec::new(), 0, 0);
    for withdrawn in quarantine.results {
        let every = cache.every_result(&withdrawn.key)?;
        let is_it = |result: &tidemill_cache::ActionResult| {
            (result.number, result.finished) == (withdrawn.number, withdrawn.finished)
        };
        if !every.iter().any(|(result, _)| is_it(result)) {
            gone += 1;
        } else if others.contains(&withdrawn) {
            kept += 1;
        } else if cache.give_back(&withdrawn.key, withdrawn.number)? {
            results.push(withdrawn);
        }
    }
    let withdrawal =
        Withdrawal { reason: reason.to_owned(), by: project.user().to_owned(), at: Timestamp::now() };
    log.add(&Entry::GivenBack { number, withdrawal })?;
    Ok(GivenBack { quarantine: number, results, kept, gone })
}

/// All quarantines, oldest first.
///
/// # Errors
/// If the log cannot be read.
pub fn list(project: &Project) -> Result<Vec<Listed>, EngineError> {
    let mut all: Vec<Listed> = Vec::new();
    for (number, entry) in Quarantines::below(project.state()).entries()? {
        match entry {
            Entry::Withdrawn(Quarantine { named, withdrawal, results, models, .. }) => all.push(Listed {
                quarantine: number,
                named,
                withdrawal,
                results: results.len(),
                models: models.len(),
                given_back: None,
            }),
            Entry::GivenBack { number, withdrawal } => {
                for listed in all.iter_mut().filter(|listed| listed.quarantine == number) {
                    listed.given_back = Some(withdrawal.clone());
                }
            }
        }
    }
    Ok(all)
}
