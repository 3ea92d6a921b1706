//! What garbage collection keeps, here and in the store of the team: what records refer to, and what the policy says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tidemill_cache::{Digest, Document, Key, Roots};
use tidemill_store::Keep;

use crate::effects::Effects;
use crate::error::EngineError;
use crate::execute::checkpoints;
use crate::name::RunId;
use crate::pin::{Pinned, pinned_contents, pins};
use crate::plan::Facts;
use crate::policy::{KEPT_RUNS, Policy};
use crate::project::Project;
use crate::record::{History, RunRecord};
use crate::registry::Registry;
use crate::withdrawn::Quarantines;

/// What garbage collection keeps: what pins and kept runs refer to, runs that live, the last effects, every registered model, and
/// what the policy says; the newest checkpoints too. Contents that were quarantined are kept by none of these: only by a result that counts.
///
/// # Errors
/// If the records cannot be read.
pub fn roots(project: &Project, policy: Policy) -> Result<Roots, EngineError> {
    // Before anything is read: who comes and goes meanwhile is not in it.
    let moment = project.cache().moment()?;
    let now = SystemTime::now();
    let mut found = Collected { moment: Some(moment), ..Collected::default() };
    let pinned_runs: BTreeSet<RunId> = pins(project.state())?
        .into_iter()
        .filter_map(|pin| match pin.pinned {
            Pinned::Run { run } => Some(run),
            Pinned::Step { .. } | Pinned::Output { .. } => None,
        })
        .collect();
    let (keys, digests) = pinned_contents(project.state())?;
    found.keys.extend(keys);
    found.digests.extend(digests);
    let history = History::below(project.state());
    let keep_runs = policy.keep_runs.unwrap_or(KEPT_RUNS);
    for (place, id) in history.ids()?.iter().enumerate() {
        let is_kept = place < keep_runs || pinned_runs.contains(id) || history.is_alive(id);
        if !is_kept && policy.max_size.is_none() {
            continue;
        }
        let Some(record) = RunRecord::fold(history.events(id)?, false) else { continue };
        found.note_use(&record);
        if is_kept {
            found.run(&record);
            found.digests.extend(history.lists(id)?.iter().map(|list| list.digest));
        }
    }
    found.keys.extend(Effects::below(project.state()).keys()?);
    found.keys.extend(checkpoints(project.state()));
    found.digests.extend(Registry::at(project.state()).roots()?);
    // The registry has its own copies of its models.
    let bad = Quarantines::below(project.state()).bad_contents(project.cache())?;
    found.digests.retain(|digest| !bad.contains(digest));
    let keep_since = policy.keep_for.and_then(|keep| now.checked_sub(keep));
    Ok(found.roots(keep_since, policy.max_size))
}

/// What a collection of garbage in the store keeps: what was used within this time, what records here refer to, and what all that was
/// made of.
///
/// # Errors
/// If the records cannot be read.
pub fn roots_in_store(project: &Project, used_within: Duration) -> Result<Keep, EngineError> {
    let Roots { keys, records, digests, .. } = roots(project, Policy { max_size: None, ..project.policy() })?;
    let keys = keys.into_iter().chain(records.into_iter().map(|(key, _)| key)).collect();
    Ok(Keep { used_within, keys, digests: digests.into_iter().collect(), reads })
}

/// What a recipe says that was read.
fn reads(recipe: &[u8]) -> Vec<Digest> {
    let inputs = Document::decode(recipe).map(|recipe| Facts::of(&recipe).inputs).unwrap_or_default();
    inputs.into_iter().map(|input| input.digest).collect()
}

/// What was found that must stay.
#[derive(Default)]
struct Collected {
    moment: Option<tidemill_cache::Moment>,
    keys: BTreeSet<Key>,
    records: BTreeMap<Key, BTreeSet<String>>,
    digests: BTreeSet<Digest>,
    used: HashMap<Key, Timestamp>,
}

impl Collected {
    fn run(&mut self, record: &RunRecord) {
        for step in &record.steps {
            match step.key {
                // An output that the run itself let go is kept by nothing but another run.
                Some(key) if !step.dropped.is_empty() => {
                    self.records.entry(key).or_default().extend(step.dropped.iter().cloned());
                }
                key => self.keys.extend(key),
            }
            let kept = step.outputs.iter().filter(|(name, _)| !step.dropped.contains(*name));
            self.digests.extend(kept.map(|(_, artifact)| artifact.digest));
        }
        self.digests.extend(record.graph.as_ref().map(|outline| outline.digest));
    }

    fn note_use(&mut self, record: &RunRecord) {
        for key in record.steps.iter().filter_map(|step| step.key) {
            let used = self.used.entry(key).or_insert(record.started);
            *used = record.started.max(*used);
        }
    }

    fn roots(self, keep_since: Option<SystemTime>, max_size: Option<u64>) -> Roots {
        Roots {
            keys: self.keys.into_iter().collect(),
            records: self.records.into_iter().collect(),
            digests: self.digests.into_iter().collect(),
            keep_since,
            max_size,
            used: self.used,
            moment: self.moment,
        }
    }
}
