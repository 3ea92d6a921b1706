//! The memo of a large pipeline: what was known of every step when a run of it ended. The next run believes it where nothing
//! that it rests on has changed, and so looks up nothing and computes no key for a step that stays as it was.
//!
//! | a step's entry rests on | and holds as long as |
//! |---|---|
//! | its definition in the graph | its digest is the same |
//! | files and folders of the project | they are looked at once per run, and are the same artifacts |
//! | outputs of other steps | their entries hold, or they were decided about and gave the same artifacts |
//! | tools, Pythons, variables of the environment | they are observed in each run, and are the same |
//! | the newest result of its key | the cache has seen neither a result nor a withdrawal under this key since |
//!
//! The table of `recipe.rs` has nothing that is not in this one: fingerprints, rivals, globs, conditions, gates and effects are
//! no part of a [plain](crate::graph::Skeleton::is_plain) step, and all other steps are decided about in each run.

use std::collections::{HashMap, HashSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Artifact, Digest, FileStamp, Key, RecordsMark, stamps};

use super::observe::{Observation, Observations};
use super::outputs::Outputs;
use super::select::Scope;
use crate::error::EngineError;
use crate::graph::{Definition, Graph, StepIndex, Watched};
use crate::project::Project;

/// Where memos are put away.
const KIND: &str = "memo";
/// The version of the layout.
const VERSION: u32 = 2;

/// As it is put away.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sheet {
    version: u32,
    definitions: Vec<Definition>,
    entries: Vec<Option<Entry>>,
    /// What the files and folders of the project were; of files at rest, with the stamp under which they were that.
    seen: Vec<(Utf8PathBuf, Option<Artifact>, Option<FileStamp>)>,
    observed: Vec<(Watched, [u8; 32])>,
    /// The digest of the variables of the environment that enter keys.
    passed: [u8; 32],
    mark: Option<RecordsMark>,
    lists: Lists,
    /// The digest of the pipeline file and the outline of the graph that it gave.
    outline: Option<(Digest, Artifact)>,
}

/// What was known of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// What its attempt had taken, in milliseconds.
    pub saved_ms: u64,
    /// Its outputs.
    pub outputs: Outputs,
    /// The files that it placed in the project, as they lay there at rest; none if that is not known of all of them.
    pub placed: Option<Vec<(Utf8PathBuf, FileStamp)>>,
}

/// The kept lists of the steps that were found in the cache, so that a run that finds the same names the same lists. Each is
/// of the steps between two multiples of [`Lists::SIZE`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Lists {
    /// The lists.
    pub lists: Vec<Option<Artifact>>,
    /// By step: whether it stands in its list.
    pub listed: Vec<bool>,
}

impl Lists {
    /// How many steps a list is about.
    pub const SIZE: usize = 512;
}

/// What is known of the steps of a graph from an earlier run, as far as it still holds.
#[derive(Debug, Default)]
pub struct Memo {
    entries: Vec<Option<Entry>>,
    /// By step: whether all that its entry rests on but for other steps is the same.
    holds: Vec<bool>,
    /// By step: whether all that it publishes lies in its place.
    in_place: Vec<bool>,
    /// What the files and folders of the project are, in the order of the graph's skeleton.
    seen: Vec<Option<Artifact>>,
    /// The state of the cache's records before anything was looked up.
    mark: Option<RecordsMark>,
    /// The kept lists.
    pub lists: Lists,
    /// The kept outline of the graph.
    outline: Option<Artifact>,
    /// Whether what is put away already says the same as [`Memo::entries`] and [`Memo::lists`].
    is_put_away: bool,
}

impl Memo {
    /// What an earlier run left, held against the world as it is now. Empty for a graph of which nothing is kept.
    pub fn open(project: &Project, graph: &Graph, observations: &Observations, scope: &Scope) -> Self {
        let Some(name) = &graph.name else { return Self::default() };
        // Asked before anything is looked up: what is recorded later is asked for when the memo is put away.
        let mark = project.cache().records_mark();
        let sheet = project.cache().stashed(KIND, name);
        let sheet: Sheet =
            sheet.and_then(|sheet| postcard::from_bytes(sheet.content()).ok()).unwrap_or_default();
        let count = graph.steps.len();
        let mut memo =
            Self { mark, holds: vec![false; count], in_place: vec![false; count], ..Self::default() };
        memo.seen = look(project, graph, scope, &sheet.seen);
        if sheet.version == VERSION && sheet.mark.is_some() {
            memo.hold(project, graph, observations, sheet);
        } else {
            memo.entries = vec![None; count];
            memo.lists = Lists::default();
        }
        memo.lists.lists.resize(count.div_ceil(Lists::SIZE), None);
        memo.lists.listed.resize(count, false);
        memo
    }

    /// Whether there is one to speak of.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !self.holds.is_empty() && self.mark.is_some()
    }

    /// Holds what was put away against the world.
    fn hold(&mut self, project: &Project, graph: &Graph, observations: &Observations, sheet: Sheet) {
        let skeleton = &graph.skeleton;
        let changed = sheet.mark.as_ref().and_then(|mark| project.cache().keys_changed_since(mark));
        let Some(changed) = changed else {
            self.entries = vec![None; graph.steps.len()];
            return;
        };
        let changed: HashSet<Key> = changed.into_iter().collect();
        let before: HashMap<&Utf8PathBuf, &Option<Artifact>> =
            sheet.seen.iter().map(|(path, artifact, _)| (path, artifact)).collect();
        let reads_same: Vec<bool> = (skeleton.paths().iter().zip(&self.seen))
            .map(|(path, now)| now.is_some() && before.get(path) == Some(&now))
            .collect();
        let observed: HashMap<&Watched, &[u8; 32]> =
            sheet.observed.iter().map(|(question, answer)| (question, answer)).collect();
        let answers_same: Vec<bool> = (skeleton.watched().iter().zip(observations.watched()))
            .map(|((question, _), answer)| {
                digest_of(answer).is_some_and(|now| observed.get(question) == Some(&&now))
            })
            .collect();
        let passes_same = sheet.passed == passed(project, graph);
        self.entries = sheet.entries;
        self.entries.resize(graph.steps.len(), None);
        self.lists = sheet.lists;
        self.is_put_away = true;
        if sheet.definitions == graph.definitions {
            self.outline = sheet.outline.filter(|(text, _)| *text == graph.text).map(|(_, outline)| outline);
        }
        for place in 0..graph.steps.len() {
            let index = StepIndex::new(place);
            let Some(entry) = &self.entries[place] else { continue };
            let is_same = sheet.definitions.get(place) == graph.definitions.get(place);
            let holds = passes_same
                && is_same
                && skeleton.is_plain(index)
                && skeleton.reads(index).iter().all(|path| reads_same[*path as usize])
                && skeleton.watches(index).is_none_or(|what| answers_same[what])
                && (changed.is_empty() || !changed.contains(&entry.key));
            self.holds[place] = holds;
            if !is_same {
                // Its place in the list is another step's now.
                self.forget(index);
            }
        }
        self.look_at_placed();
    }

    /// Looks which published files lie as they did.
    fn look_at_placed(&mut self) {
        let mut paths = Vec::new();
        let mut of = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            let Some(placed) = entry.as_ref().and_then(|entry| entry.placed.as_ref()) else { continue };
            self.in_place[place] = self.holds[place];
            for (path, stamp) in placed {
                paths.push(path.clone());
                of.push((place, *stamp));
            }
        }
        for ((place, before), now) in of.into_iter().zip(stamps(&paths)) {
            self.in_place[place] &= now == Some(before);
        }
    }

    /// What is known of a step, if it holds: given that the steps before it gave the same.
    #[must_use]
    pub fn holds(&self, index: StepIndex) -> Option<&Entry> {
        let holds = self.holds.get(index.get()).copied().unwrap_or(false);
        self.entries.get(index.get())?.as_ref().filter(|_| holds)
    }

    /// Whether a step gave these outputs before too.
    #[must_use]
    pub fn gave(&self, index: StepIndex, outputs: &Outputs) -> bool {
        let entry = self.entries.get(index.get()).and_then(Option::as_ref);
        entry.is_some_and(|entry| entry.outputs == *outputs)
    }

    /// Whether all that a step publishes is known to lie in its place.
    #[must_use]
    pub fn is_in_place(&self, index: StepIndex) -> bool {
        self.in_place.get(index.get()).copied().unwrap_or(false)
    }

    fn forget(&mut self, index: StepIndex) {
        self.entries[index.get()] = None;
        if let Some(list) = self.lists.lists.get_mut(index.get() / Lists::SIZE) {
            *list = None;
        }
        self.is_put_away = false;
    }

    /// Takes what a run found or made of a step. `reads` are the files and folders of the project that its key was computed
    /// from: if they are not what the memo has seen, nothing is kept.
    pub fn learn(
        &mut self,
        graph: &Graph,
        index: StepIndex,
        entry: Entry,
        reads: &[(Utf8PathBuf, Artifact)],
    ) {
        if !self.is_kept() {
            return;
        }
        let skeleton = &graph.skeleton;
        let seen = |path: &u32| (&skeleton.paths()[*path as usize], self.seen[*path as usize].as_ref());
        let as_seen = |path: &u32| {
            let (path, artifact) = seen(path);
            reads.iter().any(|(read, now)| read == path && Some(now) == artifact)
        };
        if !skeleton.reads(index).iter().all(as_seen) {
            return self.forget(index);
        }
        let known = self.entries[index.get()].as_ref();
        let is_known = known.is_some_and(|known| {
            (known.key, known.saved_ms, &known.outputs) == (entry.key, entry.saved_ms, &entry.outputs)
        });
        if is_known && (!skeleton.publishes(index) || self.is_in_place(index)) {
            return;
        }
        if !is_known {
            self.forget(index);
        }
        self.is_put_away = false;
        self.entries[index.get()] = Some(entry);
    }

    /// Takes where a step that was taken from here placed its files.
    pub fn learn_placed(&mut self, index: StepIndex, placed: Vec<(Utf8PathBuf, FileStamp)>) {
        if let Some(Some(entry)) = self.entries.get_mut(index.get()) {
            entry.placed = Some(placed);
            self.is_put_away = false;
        }
    }

    /// Forgets the steps that this run neither took from here nor taught: what they rest on may be older than the rest.
    pub fn keep_only(&mut self, kept: impl Fn(StepIndex) -> bool) {
        for index in (0..self.entries.len()).map(StepIndex::new) {
            if self.entries[index.get()].is_some() && !kept(index) {
                self.forget(index);
            }
        }
    }

    /// The kept outline of this graph, if it is known.
    #[must_use]
    pub fn outline(&self) -> Option<&Artifact> {
        self.outline.as_ref()
    }

    /// Takes where the outline of the graph is kept.
    pub fn learn_outline(&mut self, outline: Option<Artifact>) {
        self.is_put_away &= self.outline == outline;
        self.outline = outline;
    }

    /// Takes other lists.
    pub fn learn_lists(&mut self, lists: Lists) {
        self.lists = lists;
        self.is_put_away = false;
    }

    /// Puts away what is known, if that is something else than before. `made` are the steps whose newest result this process
    /// recorded itself, once.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn put_away(
        mut self,
        project: &Project,
        graph: &Graph,
        observations: &Observations,
        made: impl Fn(StepIndex) -> bool,
    ) -> Result<(), EngineError> {
        let (Some(name), Some(before)) = (&graph.name, &self.mark) else { return Ok(()) };
        if self.is_put_away {
            return Ok(());
        }
        // Taken before the keys are asked for that were recorded meanwhile, by this run and by others.
        let cache = project.cache();
        let (Some(mark), Some(recorded)) = (cache.records_mark(), cache.keys_changed_since(before)) else {
            return Ok(());
        };
        let mut times: HashMap<Key, u32> = HashMap::with_capacity(recorded.len());
        recorded.into_iter().for_each(|key| *times.entry(key).or_default() += 1);
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let Some(known) = entry else { continue };
            match times.get(&known.key) {
                None => continue,
                // That was this process itself.
                Some(1) if made(StepIndex::new(place)) => continue,
                Some(_) => {}
            }
            let newest = cache.result(&known.key)?;
            let is_newest = newest.is_some_and(|newest| {
                known
                    .outputs
                    .iter()
                    .all(|(name, artifact)| newest.outputs.get(name.as_str()).cloned().flatten() == *artifact)
            });
            if !is_newest {
                *entry = None;
            }
        }
        let observed = (graph.skeleton.watched().iter().zip(observations.watched()))
            .filter_map(|((question, _), answer)| Some((question.clone(), digest_of(answer)?)));
        let sheet = Sheet {
            version: VERSION,
            definitions: graph.definitions.clone(),
            entries: self.entries,
            seen: at_rest(project, graph.skeleton.paths(), self.seen),
            observed: observed.collect(),
            passed: passed(project, graph),
            mark: Some(mark),
            lists: self.lists,
            outline: self.outline.map(|outline| (graph.text, outline)),
        };
        match postcard::to_stdvec(&sheet) {
            Ok(bytes) => cache.stash(KIND, name, &bytes),
            Err(error) => tracing::debug!(%error, "a memo cannot be put away"),
        }
        Ok(())
    }
}

/// What the files and folders are that plain steps of this scope read; none where there is nothing to read. What cannot be read
/// is told by the step that cannot do without it. A file with the stamp that it had `before` is what it was.
fn look(
    project: &Project,
    graph: &Graph,
    scope: &Scope,
    before: &[(Utf8PathBuf, Option<Artifact>, Option<FileStamp>)],
) -> Vec<Option<Artifact>> {
    let skeleton = &graph.skeleton;
    let mut wanted = vec![false; skeleton.paths().len()];
    for place in (0..graph.steps.len()).filter(|place| scope.considered[*place]) {
        let index = StepIndex::new(place);
        if skeleton.is_plain(index) {
            skeleton.reads(index).iter().for_each(|path| wanted[*path as usize] = true);
        }
    }
    let before: HashMap<&Utf8PathBuf, (&Artifact, &FileStamp)> = before
        .iter()
        .filter_map(|(path, artifact, stamp)| Some((path, (artifact.as_ref()?, stamp.as_ref()?))))
        .collect();
    let look = |(path, wanted): (&Utf8PathBuf, bool)| {
        if let Some((artifact, stamp)) = before.get(path).filter(|_| wanted)
            && FileStamp::of(path).as_ref() == Some(*stamp)
        {
            return Some((*artifact).clone());
        }
        let seen = wanted.then(|| project.cache().look(path, project.rules()).ok().flatten());
        seen.flatten().map(|seen| seen.artifact)
    };
    skeleton.paths().iter().zip(wanted).map(look).collect()
}

/// What was seen, with the stamps of files that are at rest and still are what was seen: the stamp is taken first, so that
/// another content has another one.
fn at_rest(
    project: &Project,
    paths: &[Utf8PathBuf],
    seen: Vec<Option<Artifact>>,
) -> Vec<(Utf8PathBuf, Option<Artifact>, Option<FileStamp>)> {
    let stamps = project.cache().settled_stamps(paths);
    let pairs = paths.iter().zip(seen).zip(stamps);
    pairs
        .map(|((path, artifact), stamp)| {
            let is_same = |_: &FileStamp| {
                let now = project.cache().look(path, project.rules()).ok().flatten();
                artifact.is_some() && now.map(|now| now.artifact) == artifact
            };
            let stamp = stamp.filter(is_same);
            (path.clone(), artifact, stamp)
        })
        .collect()
}

/// The digest of what was observed; none if it has no canonical form.
fn digest_of(observation: &Observation) -> Option<[u8; 32]> {
    let document = observation.document().encode().ok()?;
    Some(*Digest::of(&document).as_bytes())
}

/// The digest of the variables of the user's environment that enter keys.
fn passed(project: &Project, graph: &Graph) -> [u8; 32] {
    let mut bytes = Vec::new();
    for name in graph.skeleton.passed() {
        for part in [Some(name.as_str()), project.variable(name)] {
            bytes.push(u8::from(part.is_some()));
            bytes.extend(part.map_or(0, str::len).to_le_bytes());
            bytes.extend(part.unwrap_or_default().as_bytes());
        }
    }
    *Digest::of(&bytes).as_bytes()
}
