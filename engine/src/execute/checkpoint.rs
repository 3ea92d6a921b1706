//! What a step saves of its work while it runs, for the next attempt of the same key: a folder, kept in the cache and in the store. It is
//! no part of that key.
//!
//! The checkpoints of a key are numbered from 1 without a gap, and none is ever changed: each lies under a key of its own, made of the
//! step's and the number. So the newest one is found with few questions, on whatever machine it was saved. An empty one says that the
//! step has succeeded, and that what was saved before is of no use any more.
//!
//! On this machine a file of `.tidemill/checkpoints/` names each key that has some, and its newest number: so garbage collection leaves
//! that one alone.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{ActionResult, Artifact, Cache, CacheError, Document, Key, NewResult, Place, Usage};
use tidemill_store::Pushing;

use crate::graph::Checkpoint;
use crate::project::Project;

/// The output under which the folder lies.
const SAVED: &str = "checkpoint";
/// The folder of the state that names the keys.
const MARKS: &str = "checkpoints";

/// The checkpoints of one attempt.
pub(super) struct Saver {
    project: Project,
    /// The key of the step.
    key: Key,
    /// Where the folder is.
    folder: Utf8PathBuf,
    names: Names,
    state: Mutex<State>,
}

/// What records say of who saved it.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) pipeline: String,
    pub(super) step: String,
    pub(super) run: String,
}

#[derive(Debug, Default)]
struct State {
    /// The newest number, and what it holds.
    number: u64,
    newest: Option<Artifact>,
    /// What the store lacks, in order.
    unsent: Vec<ActionResult>,
    /// Whether the process has ended: what is still being saved then comes too late.
    over: bool,
}

impl Saver {
    /// The checkpoints of an attempt whose folder is this.
    pub(super) fn new(
        project: &Project,
        checkpoint: &Checkpoint,
        root: &Utf8Path,
        key: Key,
        names: Names,
    ) -> Self {
        let folder = checkpoint.path.below(root);
        Self { project: project.clone(), key, folder, names, state: Mutex::default() }
    }

    /// Puts what was saved last into the folder of an attempt that begins; whether there was something. Without a checkpoint the folder
    /// is there, and empty.
    ///
    /// # Errors
    /// If the cache or the file system says no. That a store cannot be reached, or that the content is gone, is none: then the step begins
    /// at its beginning.
    pub(super) fn restore(&self) -> Result<bool, CacheError> {
        if let Some(parent) = self.folder.parent() {
            fs::create_dir_all(parent).map_err(io("create", parent))?;
        }
        let cache = self.project.cache();
        let number = newest(cache, &self.key, marked(self.project.state(), &self.key))?;
        let saved = match number {
            0 => None,
            number => cache
                .result(&carrier_key(&self.key, number))?
                .and_then(|found| found.outputs.get(SAVED).cloned()?),
        };
        let mut state = self.state();
        state.number = number;
        if let Some(saved) = &saved {
            cache.bring_here(std::slice::from_ref(saved))?;
            match cache.place(saved, &self.folder, Place::Writable) {
                Ok(()) => {
                    state.newest = Some(saved.clone());
                    return Ok(true);
                }
                Err(CacheError::Missing { .. }) => {
                    tracing::warn!(
                        step = self.names.step,
                        "its checkpoint is gone: it begins at its beginning"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        fs::create_dir_all(&self.folder).map_err(io("create", &self.folder))?;
        Ok(false)
    }

    /// Saves the folder as it is; false if it does not stand still, or holds nothing.
    ///
    /// # Errors
    /// If the cache says no.
    pub(super) fn save(&self) -> Result<bool, CacheError> {
        let Some(saved) = self.capture()? else { return Ok(false) };
        let mut state = self.state();
        if !state.over {
            self.keep(&mut state, saved)?;
        }
        Ok(true)
    }

    /// The process has ended. If the step has succeeded, what it saved is of no use any more; else what it left is saved.
    ///
    /// # Errors
    /// If the cache says no.
    pub(super) fn finish(&self, succeeded: bool) -> Result<(), CacheError> {
        let mut state = self.state();
        state.over = true;
        if !succeeded {
            return match self.capture()? {
                Some(saved) => self.keep(&mut state, saved),
                None => Ok(()),
            };
        }
        if state.newest.is_some() {
            self.add(&mut state, None)?;
            self.send(&mut state);
        }
        fs::remove_file(self.mark()).ok();
        Ok(())
    }

    /// The folder as it is, in the cache; nothing if it does not stand still, or holds nothing.
    fn capture(&self) -> Result<Option<Artifact>, CacheError> {
        let is_empty = self.folder.read_dir_utf8().map_or(true, |mut entries| entries.next().is_none());
        if is_empty {
            return Ok(None);
        }
        match self.project.cache().capture_copy(&self.folder, self.project.rules()) {
            Err(CacheError::Changed { .. }) => Ok(None),
            captured => captured,
        }
    }

    fn keep(&self, state: &mut State, saved: Artifact) -> Result<(), CacheError> {
        if state.newest.as_ref() != Some(&saved) {
            self.add(state, Some(saved))?;
        }
        self.send(state);
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) -> Utf8PathBuf {
        self.project.state().join(MARKS).join(self.key.to_string())
    }

    fn add(&self, state: &mut State, saved: Option<Artifact>) -> Result<(), CacheError> {
        let number = state.number + 1;
        let new = NewResult {
            after: 0,
            outputs: BTreeMap::from([(SAVED.to_owned(), saved.clone())]),
            log: None,
            usage: Usage::default(),
            finished: jiff::Timestamp::now(),
            run: self.names.run.clone(),
            // It is no result of the step, and is not to be compared with one.
            step: format!("{} ({SAVED})", self.names.step),
            pipeline: self.names.pipeline.clone(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            user: self.project.user().to_owned(),
            project: self.project.root().to_string(),
            sandbox: String::new(),
        };
        let mark = self.mark();
        let folder = mark.parent().expect("a mark lies in a folder");
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        // Before it is there, so that none is there that garbage collection does not know.
        fs::write(&mark, number.to_string()).map_err(io("write", &mark))?;
        let result = self.project.cache().publish(&carrier(&self.key, number), new)?;
        state.number = number;
        state.newest = saved;
        state.unsent.push(result);
        Ok(())
    }

    /// Sends what was saved to the store. What cannot be sent now goes with the next.
    fn send(&self, state: &mut State) {
        let Some(store) = self.project.store().filter(|store| store.takes_results()) else { return };
        if state.unsent.is_empty() {
            return;
        }
        match store.store.push(self.project.cache(), state.unsent.clone(), &Pushing::aside()) {
            Ok(pushed) if pushed.left.is_empty() => state.unsent.clear(),
            Ok(pushed) => {
                tracing::warn!(step = self.names.step, left = ?pushed.left, "its checkpoint is not in the store");
            }
            Err(error) => {
                tracing::warn!(step = self.names.step, %error, "its checkpoint is not in the store");
            }
        }
    }
}

fn io(action: &'static str, path: &Utf8Path) -> impl FnOnce(std::io::Error) -> CacheError + use<> {
    let path = path.to_owned();
    move |source| CacheError::Io { action, path, source }
}

/// The document under whose key a checkpoint lies.
fn carrier(key: &Key, number: u64) -> Vec<u8> {
    let parts = [
        ("number", Document::Int(i64::try_from(number).unwrap_or(i64::MAX))),
        ("of", Document::Text(key.to_string())),
    ];
    Document::map([("checkpoint", Document::map(parts))]).encode().expect("it holds no number that is none")
}

fn carrier_key(key: &Key, number: u64) -> Key {
    Key::of_recipe(&carrier(key, number))
}

/// How many distances are asked for at once: 1, 2, 4, … beyond what is known to be there.
const STRIDES: u32 = 12;

/// The number of the newest checkpoint of a key, here or in the store, from one on that is thought to be there; 0 if there is none.
fn newest(cache: &Cache, key: &Key, from: u64) -> Result<u64, CacheError> {
    let is_there = |number: u64| {
        Ok::<bool, CacheError>(number == 0 || cache.result(&carrier_key(key, number))?.is_some())
    };
    let mut there = if is_there(from)? { from } else { 0 };
    loop {
        let asked: Vec<u64> = (0..STRIDES).map(|stride| there + (1 << stride)).collect();
        if let Some(remote) = cache.remote() {
            let keys: Vec<Key> = asked.iter().map(|number| carrier_key(key, *number)).collect();
            remote.look_up_again(cache, &keys);
        }
        let mut farthest = there;
        for number in asked {
            if !is_there(number)? {
                break;
            }
            farthest = number;
        }
        if farthest == there {
            return Ok(there);
        }
        there = farthest;
    }
}

fn marked(state: &Utf8Path, key: &Key) -> u64 {
    let text = fs::read_to_string(state.join(MARKS).join(key.to_string()));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The keys under which the newest checkpoints of this machine lie that are still of use.
pub(crate) fn checkpoints(state: &Utf8Path) -> Vec<Key> {
    let Ok(listing) = state.join(MARKS).read_dir_utf8() else { return Vec::new() };
    let keys = listing.flatten().filter_map(|entry| entry.file_name().parse::<Key>().ok());
    keys.map(|key| carrier_key(&key, marked(state, &key))).collect()
}
