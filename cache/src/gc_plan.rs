//! The plan of a garbage collection: what would go, and why.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Serialize;

use crate::layout::Blob;
use crate::live::Alive;
use crate::reach::Reached;
use crate::trash::{Generation, Standing};
use crate::{ActionResult, Cache, CacheError, Digest, Key};

/// What must stay.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// Keys whose recipe, results and current artifacts stay.
    pub keys: Vec<Key>,
    /// Keys whose recipe and results stay, but not the contents of these outputs of theirs, unless something else needs them.
    pub records: Vec<(Key, BTreeSet<String>)>,
    /// Contents that stay; of a folder, all that is in it.
    pub digests: Vec<Digest>,
    /// Results that ended since then stay, with all that they refer to.
    pub keep_since: Option<SystemTime>,
    /// Of the other results, those used last stay, as long as all contents together have no more bytes.
    pub max_size: Option<u64>,
    /// When keys were used last; of others, it counts when their result was made.
    pub used: HashMap<Key, Timestamp>,
    /// When it was begun to find out all this: who came and went since is not in it. Now, if it is none.
    pub moment: Option<Moment>,
}

/// Who lived at a moment, and which part of the trash nobody could need any more.
#[derive(Debug, Clone)]
pub struct Moment {
    pub(crate) alive: Alive,
    pub(crate) trash: Vec<(Generation, Standing)>,
}

/// What a garbage collection would remove.
#[derive(Debug, Clone, Serialize)]
pub struct GcPlan {
    /// Results that would go, those that free most first.
    pub results: Vec<PlannedResult>,
    /// Keys whose recipe would go.
    pub recipes: Vec<Key>,
    /// Blobs that would go.
    pub objects: Vec<PlannedObject>,
    /// Copies of inputs that would go: no recipe that stays names them.
    pub inputs: Vec<Utf8PathBuf>,
    /// What dead processes left behind.
    pub leftovers: Vec<Utf8PathBuf>,
    /// Bytes in the blobs and copies that would go.
    pub bytes: u64,
    /// How many blobs would stay.
    pub kept: u64,
    /// Bytes in them.
    pub kept_bytes: u64,
    /// Bytes in those of them that must stay whatever the size.
    pub protected_bytes: u64,
    /// Bytes that an earlier collection took out and that processes may still need.
    pub waiting_bytes: u64,
    /// How many processes use the cache now, so that what goes is only taken out until they have ended.
    pub users: usize,
    #[serde(skip)]
    pub(crate) orders: Orders,
}

/// What the plan says about each thing.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) moment: Moment,
    /// Blobs in their places that go.
    pub(crate) take_out: Vec<(Blob, u64)>,
    /// Blobs of the trash that something refers to.
    pub(crate) put_back: Vec<(Generation, Blob)>,
    /// Blobs of the trash that go for good.
    pub(crate) remove: Vec<(Generation, Blob, u64)>,
    /// Condemned results that stay.
    pub(crate) spare: Vec<Condemned>,
    /// Condemned results that go for good.
    pub(crate) end: Vec<Condemned>,
}

/// A condemned result.
#[derive(Debug, Clone)]
pub(crate) struct Condemned {
    pub(crate) key: Key,
    pub(crate) number: u64,
    pub(crate) generation: String,
}

/// A blob that would be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedObject {
    /// Its digest.
    pub digest: Digest,
    /// Whether it is the one with the executable bit.
    pub executable: bool,
    /// Its bytes.
    pub size: u64,
}

/// The results of a key that would be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedResult {
    /// The key.
    pub key: Key,
    /// The pipeline of the newest one; empty if it cannot be read.
    pub pipeline: String,
    /// Its step.
    pub step: String,
    /// When it was used last, as far as that is known.
    pub used: Option<Timestamp>,
    /// Bytes that only this one and smaller ones that go refer to.
    pub bytes: u64,
    /// Why it goes.
    pub why: Why,
}

/// Why a result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing that is kept refers to it.
    Unreferenced,
    /// The same, and it is too old to be kept for its age.
    Old,
    /// The same, and all that was used after it fills the cache.
    NoRoom,
    /// It cannot be read.
    Damaged,
}

/// The results of a key.
struct Known {
    key: Key,
    /// Newest first, each with its generation if it is condemned.
    results: Vec<(ActionResult, Option<String>)>,
    used: Option<Timestamp>,
}

impl Cache {
    /// Notes who lives, before it is found out what must stay.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn moment(&self) -> Result<Moment, CacheError> {
        if let Some(shared) = &self.inner.shared {
            shared.presences.wait_for_certainty(&shared.presences.alive()?);
        }
        let mut trash = Vec::new();
        // Who lives is asked last, so that nobody is missed who came meanwhile.
        for generation in self.generations()? {
            let standing = self.standing(&generation)?;
            trash.push((generation, standing));
        }
        Ok(Moment { alive: self.alive()?, trash })
    }

    /// What a garbage collection would remove if only `roots` must stay.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn gc_plan(&self, roots: &Roots) -> Result<GcPlan, CacheError> {
        let moment = match &roots.moment {
            Some(moment) => moment.clone(),
            None => self.moment()?,
        };
        let survey = self.survey()?;
        let trash = of_trash(&moment)?;
        let mut reached = Reached::new(self, &trash);
        for digest in &roots.digests {
            reached.content(*digest)?;
        }
        let known = self.known_results(&survey.results, roots)?;
        let mut kept = keep_rooted(&known, roots, &mut reached)?;
        let sizes = sizes(&survey.objects, &trash);
        let protected_bytes = bytes_of(&reached.digests, &sizes);
        if let Some(limit) = roots.max_size {
            keep_newest(&known, limit, protected_bytes, &sizes, &mut reached, &mut kept)?;
        }
        let results = planned(&known, &kept, roots, &reached, &sizes)?;
        let kept_keys = kept;
        let recipes: Vec<_> =
            kept_keys.iter().filter_map(|key| self.recipe(key).transpose()).collect::<Result<_, _>>()?;
        let inputs = self.unnamed_copies(&recipes)?;
        let unkept = |keys: Vec<Key>| keys.into_iter().filter(|key| !kept_keys.contains(key)).collect();
        let (stay, go): (Vec<_>, Vec<_>) =
            survey.objects.into_iter().partition(|(blob, _)| reached.digests.contains(&blob.digest));
        let (put_back, rest): (Vec<_>, Vec<_>) =
            trash.into_iter().partition(|(_, blob, _)| reached.digests.contains(&blob.digest));
        let ripe: HashSet<String> = names(&moment, |standing| standing == Standing::Ripe);
        let (remove, wait): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(generation, ..)| ripe.contains(generation.name()));
        let size = |objects: &[(Blob, u64)]| objects.iter().map(|(_, size)| size).sum::<u64>();
        let object = |(blob, size): (Blob, u64)| PlannedObject::new(blob, size);
        let of_trash = remove.iter().map(|(_, blob, size)| (*blob, *size));
        let objects: Vec<PlannedObject> = go.iter().copied().chain(of_trash).map(object).collect();
        let (spare, end) = condemned(&known, &kept_keys, &moment, &self.inner.layout.trash());
        Ok(GcPlan {
            bytes: objects.iter().map(|object| object.size).sum::<u64>()
                + inputs.iter().map(|(_, size)| size).sum::<u64>(),
            kept: (stay.len() + put_back.len()) as u64,
            kept_bytes: size(&stay) + put_back.iter().map(|(_, _, size)| size).sum::<u64>(),
            protected_bytes,
            waiting_bytes: wait.iter().map(|(_, _, size)| size).sum(),
            users: moment.alive.lives.len(),
            results,
            recipes: unkept(survey.recipes),
            objects,
            inputs: inputs.into_iter().map(|(path, _)| path).collect(),
            leftovers: survey.strays,
            orders: Orders {
                moment,
                take_out: go,
                put_back: put_back.into_iter().map(|(generation, blob, _)| (generation, blob)).collect(),
                remove,
                spare,
                end,
            },
        })
    }

    fn known_results(&self, keys: &[Key], roots: &Roots) -> Result<Vec<Known>, CacheError> {
        let mut known = Vec::with_capacity(keys.len());
        for key in keys {
            let numbers = self.numbers(key)?;
            let mut results = Vec::new();
            for number in numbers.live() {
                let generation = numbers.generation(number).map(str::to_owned);
                let result = match &generation {
                    Some(generation) => self.condemned(key, number, generation)?,
                    None => self.numbered(key, number)?,
                };
                results.extend(result.map(|result| (result, generation)));
            }
            let made = results.iter().map(|(result, _)| result.finished).max();
            let used = roots.used.get(key).copied().max(made);
            known.push(Known { key: *key, results, used });
        }
        Ok(known)
    }
}

impl PlannedObject {
    fn new(blob: Blob, size: u64) -> Self {
        Self { digest: blob.digest, executable: blob.executable, size }
    }
}

/// The blobs of the trash, but for what living runs put there of their own.
fn of_trash(moment: &Moment) -> Result<Vec<(Generation, Blob, u64)>, CacheError> {
    let mut all = Vec::new();
    for (generation, _) in moment.trash.iter().filter(|(_, standing)| *standing != Standing::Owned) {
        let blobs = generation.blobs()?;
        all.extend(blobs.into_iter().map(|(blob, size)| (generation.clone(), blob, size)));
    }
    Ok(all)
}

fn names(moment: &Moment, wanted: impl Fn(Standing) -> bool) -> HashSet<String> {
    let wanted = moment.trash.iter().filter(|(_, standing)| wanted(*standing));
    wanted.map(|(generation, _)| generation.name().to_owned()).collect()
}

/// Keeps what must stay whatever the size.
fn keep_rooted(
    known: &[Known],
    roots: &Roots,
    reached: &mut Reached<'_>,
) -> Result<BTreeSet<Key>, CacheError> {
    let rooted: BTreeSet<Key> = roots.keys.iter().copied().collect();
    let records: BTreeMap<Key, &BTreeSet<String>> =
        roots.records.iter().map(|(key, without)| (*key, without)).collect();
    let since = roots.keep_since.and_then(|since| Timestamp::try_from(since).ok());
    let mut kept: BTreeSet<Key> = rooted.iter().chain(records.keys()).copied().collect();
    for Known { key, results, .. } in known {
        for (place, (result, _)) in results.iter().enumerate() {
            let is_young = since.is_some_and(|since| result.finished >= since);
            let without = records.get(key).filter(|_| !rooted.contains(key)).copied();
            if is_young || (place == 0 && (rooted.contains(key) || without.is_some())) {
                kept.insert(*key);
                reached.result(result, without)?;
            }
        }
    }
    Ok(kept)
}

/// Of the other results, keeps those used last as long as there is room.
fn keep_newest(
    known: &[Known],
    limit: u64,
    mut bytes: u64,
    sizes: &HashMap<Digest, u64>,
    reached: &mut Reached<'_>,
    kept: &mut BTreeSet<Key>,
) -> Result<(), CacheError> {
    let mut others: Vec<&Known> = known.iter().filter(|known| !kept.contains(&known.key)).collect();
    others.sort_by(|a, b| b.used.cmp(&a.used).then(a.key.cmp(&b.key)));
    for Known { key, results, .. } in others {
        let Some((newest, _)) = results.first() else { continue };
        let own = new_digests(newest, reached)?;
        bytes += bytes_of(&own, sizes);
        if bytes > limit {
            break;
        }
        reached.digests.extend(own);
        kept.insert(*key);
    }
    Ok(())
}

/// What a result refers to and nothing else so far.
fn new_digests(result: &ActionResult, reached: &Reached<'_>) -> Result<HashSet<Digest>, CacheError> {
    let mut own = HashSet::new();
    for artifact in result.artifacts() {
        own.extend(reached.of_artifact(artifact)?);
    }
    own.retain(|digest| !reached.digests.contains(digest));
    Ok(own)
}

/// The results that go, those that free most first.
fn planned(
    known: &[Known],
    kept: &BTreeSet<Key>,
    roots: &Roots,
    reached: &Reached<'_>,
    sizes: &HashMap<Digest, u64>,
) -> Result<Vec<PlannedResult>, CacheError> {
    let mut counted: HashSet<Digest> = HashSet::new();
    let mut planned = Vec::new();
    for Known { key, results, used } in known.iter().filter(|known| !kept.contains(&known.key)) {
        let newest = results.first().map(|(result, _)| result);
        let mut own = HashSet::new();
        for (result, _) in results {
            own.extend(new_digests(result, reached)?);
        }
        own.retain(|digest| counted.insert(*digest));
        planned.push(PlannedResult {
            key: *key,
            pipeline: newest.map(|result| result.pipeline.clone()).unwrap_or_default(),
            step: newest.map(|result| result.step.clone()).unwrap_or_default(),
            used: *used,
            bytes: bytes_of(&own, sizes),
            why: match newest {
                None => Why::Damaged,
                Some(_) if roots.max_size.is_some() => Why::NoRoom,
                Some(_) if roots.keep_since.is_some() => Why::Old,
                Some(_) => Why::Unreferenced,
            },
        });
    }
    planned.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.key.cmp(&b.key)));
    Ok(planned)
}

/// The condemned results that stay after all, and those that go for good.
fn condemned(
    known: &[Known],
    kept: &BTreeSet<Key>,
    moment: &Moment,
    trash: &Utf8Path,
) -> (Vec<Condemned>, Vec<Condemned>) {
    let ripe = names(moment, |standing| standing == Standing::Ripe);
    let (mut spare, mut end) = (Vec::new(), Vec::new());
    for Known { key, results, .. } in known {
        for (result, generation) in results {
            let Some(generation) = generation else { continue };
            let one = Condemned { key: *key, number: result.number, generation: generation.clone() };
            // Of a generation that is gone, nothing is waited for.
            let is_ripe = || ripe.contains(generation) || !trash.join(generation).exists();
            if kept.contains(key) {
                spare.push(one);
            } else if is_ripe() {
                end.push(one);
            }
        }
    }
    (spare, end)
}

/// How many bytes lie under each digest.
fn sizes(objects: &[(Blob, u64)], trash: &[(Generation, Blob, u64)]) -> HashMap<Digest, u64> {
    let mut sizes = HashMap::with_capacity(objects.len());
    for (blob, size) in objects.iter().copied().chain(trash.iter().map(|(_, blob, size)| (*blob, *size))) {
        *sizes.entry(blob.digest).or_default() += size;
    }
    sizes
}

fn bytes_of(digests: &HashSet<Digest>, sizes: &HashMap<Digest, u64>) -> u64 {
    digests.iter().filter_map(|digest| sizes.get(digest)).sum()
}
