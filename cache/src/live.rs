//! Who lives: every process that uses the store for a run holds one of a few numbered files while it does, so that garbage
//! collection knows whom to wait for.
//!
//! A place is a file `live/<number>`, locked by its holder; the lock dies with him. It grows by a byte each time that somebody
//! takes it, so that a later holder is told from an earlier one, and that somebody came and went is seen. Places are never
//! removed: taking one costs what opening a file costs.
//!
//! Where hosts share a store, locks may hold on one host only: there a process also shows its [presence](crate::presence).

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::lease::{has_no_locks, open};
use crate::presence::{Presence, is_token};
use crate::survey::children;
use crate::{Cache, CacheError};

/// A process that lived at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// A holder of a place.
    Place {
        /// The number of the place.
        place: u32,
        /// How often it had been taken when this holder was seen, at least.
        taken: u64,
    },
    /// The token of a presence.
    Elsewhere(String),
}

/// Who lived at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Alive {
    pub(crate) lives: Vec<Life>,
    /// How often places were taken so far.
    pub(crate) starts: u64,
}

/// The sign that a run is going on: what it may need is not removed.
#[derive(Debug)]
pub struct Running {
    pub(crate) own: Own,
    presence: Option<Arc<Presence>>,
    _file: File,
}

/// What tells the lives of this process from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    place: Option<u32>,
    token: Option<String>,
}

impl Own {
    /// A process that holds no place, and has this token.
    pub(crate) fn with_token(token: Option<String>) -> Self {
        Self { place: None, token }
    }

    /// Whether a life is this one.
    pub(crate) fn is(&self, life: &Life) -> bool {
        match life {
            Life::Place { place, .. } => Some(*place) == self.place,
            Life::Elsewhere(token) => Some(token) == self.token.as_ref(),
        }
    }
}

impl Running {
    /// By what other hosts know that this process lives, if they share the store.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.presence.as_ref().map(|presence| presence.token.as_str())
    }

    /// Takes the first free place.
    pub(crate) fn start(folder: &Utf8Path, presence: Option<Arc<Presence>>) -> Result<Self, CacheError> {
        let mut place = 0;
        loop {
            let path = at(folder, place);
            let mut file = open(&path).map_err(CacheError::io("open", &path))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    place += 1;
                    continue;
                }
                Err(TryLockError::Error(error)) if !has_no_locks(&error) => {
                    return Err(CacheError::io("lock", &path)(error));
                }
                // Where there are no locks, nothing is ever removed by a collection.
                Err(TryLockError::Error(_)) | Ok(()) => {}
            }
            file.write_all(b".").map_err(CacheError::io("write", &path))?;
            let token = presence.as_ref().map(|presence| presence.token.clone());
            return Ok(Self { own: Own { place: Some(place), token }, presence, _file: file });
        }
    }
}

impl Life {
    /// As a line of a text.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Place { place, taken } => format!("{place} {taken}\n"),
            Self::Elsewhere(token) => format!("{token}\n"),
        }
    }

    /// The life of such a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let Some((place, taken)) = line.split_once(' ') else {
            return is_token(line).then(|| Self::Elsewhere(line.to_owned()));
        };
        Some(Self::Place { place: place.parse().ok()?, taken: taken.parse().ok()? })
    }
}

impl Cache {
    /// Who lives now.
    pub(crate) fn alive(&self) -> Result<Alive, CacheError> {
        let mut alive = Alive::default();
        for path in children(&self.inner.layout.live())? {
            let Some(place) = path.file_name().and_then(|name| name.parse().ok()) else { continue };
            let (held, taken) = self.look_at(&path)?;
            alive.starts += taken;
            if held {
                alive.lives.push(Life::Place { place, taken });
            }
        }
        if let Some(shared) = &self.inner.shared {
            alive.lives.extend(shared.presences.alive()?.into_iter().map(Life::Elsewhere));
        }
        alive.lives.sort_unstable();
        Ok(alive)
    }

    /// Whether a process that was alive once is certainly not any more.
    pub(crate) fn is_over(&self, life: &Life) -> Result<bool, CacheError> {
        let (place, before) = match (life, &self.inner.shared) {
            (Life::Place { place, taken }, _) => (*place, *taken),
            (Life::Elsewhere(token), Some(shared)) => return Ok(!shared.presences.may_live(token)),
            // What others share with hosts is not ours to judge.
            (Life::Elsewhere(token), None) => return Ok(!self.inner.layout.presence().join(token).exists()),
        };
        let path = at(&self.inner.layout.live(), place);
        let (held, taken) = match self.look_at(&path) {
            Err(error) if error.is_absence() => return Ok(true),
            other => other?,
        };
        // Whoever was seen between taking the place and saying so says it afterwards: that is no later holder.
        Ok(!held || taken >= before + 2)
    }

    /// Whether somebody holds a place, and how often it was taken.
    fn look_at(&self, path: &Utf8Path) -> Result<(bool, u64), CacheError> {
        let file = File::open(path).map_err(CacheError::io("open", path))?;
        // Who wants the place just now takes the next one.
        let held = match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            // Then a process is known by its presence.
            Err(TryLockError::Error(_)) if self.inner.shared.is_some() => false,
            // Where there are no locks, nothing is certain.
            Err(TryLockError::Error(error)) => return Err(CacheError::io("lock", path)(error)),
        };
        let taken = file.metadata().map_err(CacheError::io("read", path))?.len();
        Ok((held, taken))
    }
}

fn at(folder: &Utf8Path, place: u32) -> Utf8PathBuf {
    folder.join(place.to_string())
}

#[cfg(test)]
mod tests {
    use crate::scene::Scene;

    use super::*;

    #[test]
    fn places_are_taken_one_by_one_and_used_again() {
        let scene = Scene::new();
        assert_eq!(scene.cache.alive().unwrap(), Alive::default());
        let first = scene.cache.running().unwrap();
        let second = scene.another_process().running().unwrap();
        assert_eq!((first.own.place, second.own.place), (Some(0), Some(1)));
        let alive = scene.cache.alive().unwrap();
        let lives = [Life::Place { place: 0, taken: 1 }, Life::Place { place: 1, taken: 1 }];
        assert_eq!(alive, Alive { lives: lives.to_vec(), starts: 2 });
        drop(first);
        assert!(scene.cache.is_over(&lives[0]).unwrap());
        assert!(!scene.cache.is_over(&lives[1]).unwrap());
        let third = scene.cache.running().unwrap();
        assert_eq!(third.own.place, Some(0));
        assert_eq!(scene.cache.alive().unwrap().starts, 3);
    }

    #[test]
    fn a_life_is_over_when_its_place_was_given_away_twice_at_the_latest() {
        let scene = Scene::new();
        let first = scene.cache.running().unwrap();
        let life = scene.cache.alive().unwrap().lives[0].clone();
        drop(first);
        drop(scene.cache.running().unwrap());
        let _third = scene.cache.running().unwrap();
        assert!(scene.cache.is_over(&life).unwrap());
    }

    #[test]
    fn a_life_is_a_line() {
        for life in [Life::Place { place: 3, taken: 17 }, Life::Elsewhere("0123456789abcdef".to_owned())] {
            assert_eq!(Life::parse(life.line().trim_end()), Some(life));
        }
        for wrong in ["", "3", "3 ", "3 x", "-1 2", "3 17 "] {
            assert_eq!(Life::parse(wrong), None, "{wrong:?}");
        }
    }
}
