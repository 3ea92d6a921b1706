//! Verifying the cache of a project: what is damaged is made good again from what the project has, and what cannot be is told with the
//! steps that will make it again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use camino::Utf8PathBuf;
use rand::Rng as _;
use serde::Serialize;
use tidemill_cache::{
    Cache, Damage, Damaged, Digest, Form, IgnoreRules, Kind, Remedies, Sample, SampleSize, Source,
    Verification, VerifyReport,
};

use crate::error::EngineError;
use crate::event::Event;
use crate::project::Project;
use crate::record::{History, RunRecord};

/// Seeds are chosen below this, so that they can be typed.
const MOST_SEEDS: u64 = 1_000_000;

/// What a verification found, and what follows from it.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// What the cache found.
    #[serde(flatten)]
    pub report: VerifyReport,
    /// The steps, each after its pipeline, that run again if what they made is needed; of each damaged thing that was not repaired.
    pub steps: BTreeMap<Utf8PathBuf, BTreeSet<String>>,
}

/// A sample of this size; without a seed it is chosen by chance.
#[must_use]
pub fn sample(size: SampleSize, seed: Option<u64>) -> Sample {
    Sample { size, seed: seed.unwrap_or_else(|| rand::rng().random_range(0..MOST_SEEDS)) }
}

/// Verifies the cache, or a sample of it, and repairs what is damaged if that is wanted.
///
/// # Errors
/// If the cache cannot be read.
pub fn verify(project: &Project, sample: Option<Sample>, repair: bool) -> Result<Verified, EngineError> {
    let copies = OnceLock::new();
    let sources = |digest: &Digest| {
        let copies: &Copies = copies.get_or_init(|| Copies::of(project));
        copies.by_digest.get(digest).cloned().unwrap_or_default()
    };
    let repair: Option<&Remedies<'_>> = if repair { Some(&sources) } else { None };
    let report = project.cache().verify(&Verification { sample, repair })?;
    let lost: Vec<&Damage> = report.damaged.iter().filter(|damage| damage.repaired.is_none()).collect();
    let steps = if lost.is_empty() { BTreeMap::new() } else { steps(project.cache(), &lost)? };
    Ok(Verified { report, steps })
}

/// The copies of artifacts that the project has: what runs published, where it still lies there.
struct Copies {
    by_digest: HashMap<Digest, Vec<Source>>,
}

impl Copies {
    /// What cannot be read is no copy.
    fn of(project: &Project) -> Self {
        let mut by_digest: HashMap<Digest, Vec<Source>> = HashMap::new();
        for path in published(project) {
            let Ok(Some(seen)) = project.cache().look(&path, &IgnoreRules::builtin()) else { continue };
            let Some(manifest) = seen.manifest else {
                by_digest.entry(seen.artifact.digest).or_default().push(Source::File(path));
                continue;
            };
            for entry in manifest.entries() {
                if let Kind::File { digest, .. } = entry.kind {
                    by_digest.entry(digest).or_default().push(Source::File(entry.path.below(&path)));
                }
            }
            let listing = Source::Listing(path, manifest.encode());
            by_digest.entry(seen.artifact.digest).or_default().push(listing);
        }
        Self { by_digest }
    }
}

/// The paths where runs published something.
fn published(project: &Project) -> BTreeSet<Utf8PathBuf> {
    let history = History::below(project.state());
    let mut paths = BTreeSet::new();
    for run in history.ids().unwrap_or_default() {
        let Ok(events) = history.events(&run) else { continue };
        let Some(record) = RunRecord::fold(&events, false) else { continue };
        let file = project.root().join(&record.file);
        let Some(folder) = file.parent() else { continue };
        paths.extend(events.iter().filter_map(|stamped| match &stamped.event {
            Event::Published { path, .. } => Some(folder.join(path)),
            _ => None,
        }));
    }
    paths
}

/// Which steps made what is lost.
fn steps(cache: &Cache, lost: &[&Damage]) -> Result<BTreeMap<Utf8PathBuf, BTreeSet<String>>, EngineError> {
    let named = |pipeline: &str, step: &str| format!("{pipeline}.{step}");
    let mut steps: BTreeMap<Utf8PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut contents: HashMap<Digest, Vec<&Damage>> = HashMap::new();
    for damage in lost {
        match damage.what {
            Damaged::Object { digest } => contents.entry(digest).or_default().push(damage),
            // A recipe is only explained by; its step has a result that counts.
            Damaged::Recipe { .. } => {}
            Damaged::Result { key } => {
                let of_key = cache.steps_of(&key).into_iter().map(|(pipeline, step)| named(&pipeline, &step));
                steps.entry(damage.path.clone()).or_default().extend(of_key);
            }
        }
    }
    if contents.is_empty() {
        return Ok(steps);
    }
    for key in cache.keys_with_results()? {
        let Some(result) = cache.result(&key)? else { continue };
        for output in result.outputs.values().flatten() {
            let listing = (output.form == Form::Folder).then(|| cache.listing(&output.digest)).flatten();
            let files =
                listing.iter().flat_map(|listing| listing.entries()).filter_map(|entry| match entry.kind {
                    Kind::File { digest, .. } => Some(digest),
                    _ => None,
                });
            for content in std::iter::once(output.digest).chain(files) {
                for damage in contents.get(&content).into_iter().flatten() {
                    steps
                        .entry(damage.path.clone())
                        .or_default()
                        .insert(named(&result.pipeline, &result.step));
                }
            }
        }
    }
    Ok(steps)
}
