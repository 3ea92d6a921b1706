//! The skeleton of a graph: what a run has to know of every step even if nothing is to be done with it. It is kept beside the
//! steps, so that of a kept graph only those steps are read that something happens with.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::programs::pythons;
use super::steps::Rows;
use super::{Common, Fingerprint, Resources, Source, Step, StepIndex};
use crate::interface::OutputKind;

/// What is known of the steps of a graph without looking at each.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Skeleton {
    upstream: Rows,
    plain: Vec<bool>,
    publishes: Vec<bool>,
    /// By step: the places in `paths` of the project's files and folders that it reads.
    reads: Rows,
    paths: Vec<Utf8PathBuf>,
    /// By step: the place in `watched` of what must be asked of the world for its key, after zero for nothing.
    watches: Vec<u32>,
    watched: Vec<(Watched, StepIndex)>,
    passed: BTreeSet<String>,
    needs: Vec<(Resources, StepIndex)>,
    longest_id: usize,
}

/// What must be asked of the world before a key can be computed; the same for all steps that ask the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Watched {
    /// The declared tools.
    pub tools: Vec<String>,
    /// The Python that the command begins with.
    pub python: Option<String>,
    /// All the Pythons that it starts.
    pub pythons: Vec<String>,
    /// The command whose output enters the key.
    pub fingerprint: Option<Fingerprint>,
}

impl Skeleton {
    /// The skeleton of these steps; paths are relative to `folder`.
    pub(super) fn of<'a>(steps: impl ExactSizeIterator<Item = &'a Step>, folder: &Utf8Path) -> Self {
        let mut skeleton = Self::default();
        let mut paths = Numbered::new();
        let mut watched = Numbered::new();
        let mut needs = Numbered::new();
        // Combinations of one matrix stand side by side and share most of what follows.
        let mut before: Option<&Arc<Common>> = None;
        for (place, step) in steps.enumerate() {
            let index = StepIndex::new(place);
            skeleton.upstream.push(upstream(step).into_iter().map(StepIndex::number));
            skeleton.plain.push(is_plain(step));
            skeleton.publishes.push(step.outputs.values().any(|output| output.publish.is_some()));
            let reads = step.inputs.values().filter_map(|input| match &input.source {
                Source::Project(path) => Some(path.below(folder)),
                Source::Outside(path) => Some(folder.join(path)),
                _ => None,
            });
            skeleton.reads.push(reads.map(|path| paths.number(path).0).collect::<Vec<u32>>());
            skeleton.watches.push(match watches(step).map(|what| watched.number(what)) {
                None => 0,
                Some((number, is_new)) => {
                    if is_new {
                        skeleton.watched.push((watched.things[number as usize].clone(), index));
                    }
                    1 + number
                }
            });
            if !before.is_some_and(|before| Arc::ptr_eq(before, &step.common)) {
                skeleton.passed.extend(step.pass_env.iter().cloned());
                if needs.number(step.resources.clone()).1 {
                    skeleton.needs.push((step.resources.clone(), index));
                }
            }
            before = Some(&step.common);
            skeleton.longest_id = skeleton.longest_id.max(step.id.as_str().chars().count());
        }
        skeleton.paths = paths.things;
        skeleton
    }

    /// The steps that this one depends on, by data or by `needs`; sorted, each once.
    pub fn upstream(&self, index: StepIndex) -> impl ExactSizeIterator<Item = StepIndex> + Clone + use<'_> {
        self.upstream.row(index.get()).iter().map(|number| StepIndex::new(*number as usize))
    }

    /// Whether all that a run could do with this step follows from its key and a known result: it is cached, has no effect, no
    /// gate, no condition, no rival, no glob and no metrics.
    #[must_use]
    pub fn is_plain(&self, index: StepIndex) -> bool {
        self.plain[index.get()]
    }

    /// Whether it places an output in the project.
    #[must_use]
    pub fn publishes(&self, index: StepIndex) -> bool {
        self.publishes[index.get()]
    }

    /// The files and folders of the project that plain steps read, each once (absolute).
    #[must_use]
    pub fn paths(&self) -> &[Utf8PathBuf] {
        &self.paths
    }

    /// Which of [`Skeleton::paths`] a step reads.
    #[must_use]
    pub fn reads(&self, index: StepIndex) -> &[u32] {
        self.reads.row(index.get())
    }

    /// What must be asked of the world for the keys of the steps, each question once, with the first step that asks it.
    #[must_use]
    pub fn watched(&self) -> &[(Watched, StepIndex)] {
        &self.watched
    }

    /// Which of [`Skeleton::watched`] must be asked for a step; none if nothing.
    #[must_use]
    pub fn watches(&self, index: StepIndex) -> Option<usize> {
        (self.watches[index.get()] as usize).checked_sub(1)
    }

    /// The variables of the user's environment that enter keys.
    #[must_use]
    pub fn passed(&self) -> &BTreeSet<String> {
        &self.passed
    }

    /// What steps need while they run, each different need once, with the first step that has it.
    pub fn needs(&self) -> impl Iterator<Item = (&Resources, StepIndex)> {
        self.needs.iter().map(|(resources, first)| (resources, *first))
    }

    /// How many characters the longest id of a step has.
    #[must_use]
    pub fn longest_id(&self) -> usize {
        self.longest_id
    }
}

fn upstream(step: &Step) -> Vec<StepIndex> {
    let mut upstream = step.needs.clone();
    for input in step.inputs.values() {
        upstream.extend(input.source.producers().map(|(step, _)| step));
    }
    upstream.sort_unstable();
    upstream.dedup();
    upstream
}

fn is_plain(step: &Step) -> bool {
    step.cache
        && step.effect.is_none()
        && step.gate.is_empty()
        && step.left_out.is_none()
        && step.fingerprint.is_none()
        && step.inputs.values().all(|input| !matches!(input.source, Source::Glob(_) | Source::Rival { .. }))
        && step.outputs.values().all(|output| output.kind != OutputKind::Metrics)
}

pub(super) fn watches(step: &Step) -> Option<Watched> {
    let (python, pythons) = match step.left_out {
        Some(_) => (None, Vec::new()),
        None => pythons(&step.action),
    };
    let fingerprint = step.fingerprint.as_deref().cloned().filter(|_| step.left_out.is_none());
    let nothing = step.tools.is_empty() && python.is_none() && pythons.is_empty() && fingerprint.is_none();
    (!nothing).then(|| Watched { tools: step.tools.clone(), python, pythons, fingerprint })
}

/// Different things, each with a number.
struct Numbered<T> {
    numbers: HashMap<T, u32>,
    things: Vec<T>,
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn new() -> Self {
        Self { numbers: HashMap::new(), things: Vec::new() }
    }

    /// The number of this thing, and whether it is new.
    fn number(&mut self, thing: T) -> (u32, bool) {
        if let Some(number) = self.numbers.get(&thing) {
            return (*number, false);
        }
        let number = u32::try_from(self.things.len()).expect("a graph has fewer than 2^32 different parts");
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        (number, true)
    }
}
