//! What was quarantined: one append-only log of what was withdrawn, by whom and why, and of what was given back.
//!
//! That a result does not count is said by a mark beside it, in the cache. This log holds what no mark knows: what was asked for, which
//! results and contents belong together, and which registered models rest on them. Marks are written first and the entry last: a
//! run that begins after the entry sees all marks, and one that began before finds the entry ([`Quarantines::read_since`]).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Artifact, Cache, CacheError, Digest, Form, Key, Kind, Log, LogError, Withdrawal};

use crate::error::EngineError;
use crate::name::ModelName;

/// What was named as bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// All results that a run made.
    Run(String),
    /// All results of a key.
    Key(Key),
    /// A content: the results that have it as an output, and those that read it.
    Digest(Digest),
}

/// A quarantine: what was withdrawn at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// What was named.
    pub named: Named,
    /// Why, by whom and when.
    #[serde(flatten)]
    pub withdrawal: Withdrawal,
    /// The results that do not count any more, those that did not count before included.
    pub results: Vec<WithdrawnResult>,
    /// What they made and no other result does.
    pub contents: Vec<BadContent>,
    /// The registered models that rest on that.
    pub models: Vec<BadModel>,
}

/// A withdrawn result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WithdrawnResult {
    /// Its key.
    pub key: Key,
    /// Its number.
    pub number: u64,
    /// When it was made: after a collection of garbage another one may have its number.
    pub finished: Timestamp,
}

/// A content that only withdrawn results made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadContent {
    /// The content.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// The keys that made it: if one has a result with this content again, the content is not bad any more. None if a content was
    /// named: then what was made of it is bad until that is undone.
    pub keys: Vec<Key>,
}

/// A version of a registered model that rests on bad content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadModel {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: u64,
    /// What of it is bad.
    pub because: Because,
    /// The bad content.
    pub digest: Digest,
    /// As in [`BadContent`].
    pub keys: Vec<Key>,
}

/// What of a registered model is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// Its file.
    Model,
    /// The report of the evaluation that it was registered with.
    Report,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Entry {
    /// Results were withdrawn.
    Withdrawn(Quarantine),
    /// What an earlier entry withdrew was given back.
    GivenBack {
        /// The number of that entry.
        number: u64,
        /// Why, by whom and when.
        #[serde(flatten)]
        withdrawal: Withdrawal,
    },
}

/// The quarantines of a project.
#[derive(Debug, Clone)]
pub struct Quarantines {
    log: Log,
}

impl Quarantines {
    /// Those of the project with this state folder.
    #[must_use]
    pub fn below(state: &Utf8Path) -> Self {
        Self { log: Log::at(state.join("quarantines")) }
    }

    /// The number of the newest entry; 0 if there is none.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn last_number(&self) -> Result<u64, LogError> {
        self.log.last_number()
    }

    /// Adds an entry, and returns its number.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&self, entry: &Entry) -> Result<u64, LogError> {
        self.log.append(entry)
    }

    /// All entries, oldest first.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn entries(&self) -> Result<Vec<(u64, Entry)>, LogError> {
        self.log.entries()
    }

    /// The quarantines of which nothing was given back, by number.
    ///
    /// # Errors
    /// If an entry cannot be read.
    pub fn standing(&self) -> Result<BTreeMap<u64, Quarantine>, LogError> {
        let mut standing = BTreeMap::new();
        for (number, entry) in self.entries()? {
            match entry {
                Entry::Withdrawn(quarantine) => drop(standing.insert(number, quarantine)),
                Entry::GivenBack { number, .. } => drop(standing.remove(&number)),
            }
        }
        Ok(standing)
    }

    /// The contents that are bad now: those of standing quarantines that have not been made again since.
    ///
    /// # Errors
    /// If the log or the cache cannot be read.
    pub fn bad_contents(&self, cache: &Cache) -> Result<BTreeSet<Digest>, EngineError> {
        let mut bad = BTreeSet::new();
        for quarantine in self.standing()?.values() {
            for content in &quarantine.contents {
                if !is_made_again(cache, &content.keys, &content.artifact.digest)? {
                    bad.insert(content.artifact.digest);
                }
            }
        }
        Ok(bad)
    }

    /// Which versions of a model rest on bad content now, each with its quarantine's number and reason.
    ///
    /// # Errors
    /// If the log or the cache cannot be read.
    pub fn bad_versions(
        &self,
        cache: &Cache,
        model: &ModelName,
    ) -> Result<BTreeMap<u64, VersionMark>, EngineError> {
        let mut marks = BTreeMap::new();
        for (number, quarantine) in self.standing()? {
            for bad in quarantine.models.iter().filter(|bad| bad.model == *model) {
                if !is_made_again(cache, &bad.keys, &bad.digest)? {
                    let withdrawal = quarantine.withdrawal.clone();
                    marks.insert(
                        bad.version,
                        VersionMark { quarantine: number, because: bad.because, withdrawal },
                    );
                }
            }
        }
        Ok(marks)
    }

    /// The first of these contents, which somebody reads, that was withdrawn after the entry with this number, and why.
    ///
    /// # Errors
    /// If the log or the cache cannot be read.
    pub fn read_since<'a>(
        &self,
        cache: &Cache,
        since: u64,
        read: impl Iterator<Item = &'a Artifact>,
    ) -> Result<Option<(usize, String)>, EngineError> {
        if self.last_number()? <= since {
            return Ok(None);
        }
        let later: Vec<Quarantine> =
            self.standing()?.into_iter().filter(|(number, _)| *number > since).map(|(_, one)| one).collect();
        let mut bad: Vec<(HashSet<Digest>, &str)> = Vec::new();
        for quarantine in &later {
            let mut contents = HashSet::new();
            for BadContent { artifact, keys } in &quarantine.contents {
                if !is_made_again(cache, keys, &artifact.digest)? {
                    contents.insert(artifact.digest);
                    contents.extend(files_of(cache, artifact));
                }
            }
            bad.push((contents, &quarantine.withdrawal.reason));
        }
        for (place, artifact) in read.enumerate() {
            let inner = files_of(cache, artifact);
            let is_bad = |contents: &HashSet<Digest>| {
                contents.contains(&artifact.digest) || inner.iter().any(|digest| contents.contains(digest))
            };
            if let Some((_, reason)) = bad.iter().find(|(contents, _)| is_bad(contents)) {
                return Ok(Some((place, (*reason).to_owned())));
            }
        }
        Ok(None)
    }
}

/// That a version of a model rests on bad content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionMark {
    /// The number of the quarantine.
    pub quarantine: u64,
    /// What of it is bad.
    pub because: Because,
    /// Why, by whom and when.
    #[serde(flatten)]
    pub withdrawal: Withdrawal,
}

impl VersionMark {
    /// In a sentence for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let what = match self.because {
            Because::Model => "its model",
            Because::Report => "its evaluation",
        };
        format!("{what} was {}", described(&self.withdrawal))
    }
}

/// `quarantined by ada on 2026-11-20 23:55 UTC: a broken machine`.
#[must_use]
pub fn described(withdrawal: &Withdrawal) -> String {
    let Withdrawal { reason, by, at } = withdrawal;
    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("quarantined{by} on {}{reason}", at.strftime("%Y-%m-%d %H:%M UTC"))
}

/// Whether one of these keys has a result again that counts and has this content.
fn is_made_again(cache: &Cache, keys: &[Key], digest: &Digest) -> Result<bool, CacheError> {
    for key in keys {
        let Some(result) = cache.result(key)? else { continue };
        let mut outputs = result.outputs.values().flatten();
        if outputs.any(|output| output.digest == *digest || files_of(cache, output).contains(digest)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The contents of the files of a folder, as far as its listing is kept; without the empty one, which says nothing.
fn files_of(cache: &Cache, artifact: &Artifact) -> BTreeSet<Digest> {
    let listing = (artifact.form == Form::Folder).then(|| cache.listing(&artifact.digest)).flatten();
    let entries = listing.iter().flat_map(|listing| listing.entries());
    let file = |kind: &Kind| match kind {
        Kind::File { digest, size, .. } if *size > 0 => Some(*digest),
        _ => None,
    };
    entries.filter_map(|entry| file(&entry.kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawal() -> Withdrawal {
        Withdrawal { reason: "bad".to_owned(), by: "ada".to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    fn quarantine(contents: Vec<BadContent>) -> Entry {
        let named = Named::Run("r1".to_owned());
        let (results, models) = (Vec::new(), Vec::new());
        Entry::Withdrawn(Quarantine { named, withdrawal: withdrawal(), results, contents, models })
    }

    #[test]
    fn what_is_given_back_does_not_stand() {
        let folder = tempfile::tempdir().unwrap();
        let log = Quarantines::below(Utf8Path::from_path(folder.path()).unwrap());
        assert_eq!(log.add(&quarantine(Vec::new())).unwrap(), 1);
        assert_eq!(log.add(&quarantine(Vec::new())).unwrap(), 2);
        log.add(&Entry::GivenBack { number: 1, withdrawal: withdrawal() }).unwrap();
        assert_eq!(log.standing().unwrap().into_keys().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_is_read_is_held_against_later_quarantines_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(folder.path()).unwrap();
        let (cache, log) = (Cache::open(state).unwrap(), Quarantines::below(state));
        let [bad, good] = [&b"bad"[..], b"good"].map(|bytes| cache.put(bytes).unwrap());
        let folder =
            cache.assemble(&[("a".to_owned(), good.clone()), ("b".to_owned(), bad.clone())]).unwrap();
        log.add(&quarantine(vec![BadContent { artifact: bad.clone(), keys: Vec::new() }])).unwrap();
        let found = |since: u64, artifact: &Artifact| {
            log.read_since(&cache, since, [&good, artifact].into_iter()).unwrap().map(|(place, _)| place)
        };
        assert_eq!((found(0, &bad), found(0, &folder), found(0, &good)), (Some(1), Some(1), None));
        assert_eq!(found(1, &bad), None);
    }
}
