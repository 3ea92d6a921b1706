//! A process as other hosts see it, where a store is shared by hosts whose locks do not hold for one another.
//!
//! It is a file `presence/<token>` that says whose it is and grows by a byte at each beat. Nobody compares the clocks of two hosts:
//! whoever sees that a file has not grown for [`SILENT`] of its own beats, by his own clock, takes its process for dead and removes
//! the file; so that nobody ever has to by hand. Processes of one host tell each other by a lock on it, at once. A process that was
//! only asleep makes its file anew when it wakes: what it held is lost to it, and what it gives may lose a race.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use crate::lease::has_no_locks;
use crate::survey::children;
use crate::{CacheError, Digest, mark};

/// A process counts as dead when it was silent for so many of its beats.
const SILENT: u32 = 6;
/// How often a process beats if nothing is said.
const BEAT: Duration = Duration::from_secs(10);

/// How a store is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// What tells this host from the others.
    pub host: String,
    /// How often its processes show that they live.
    pub beat: Duration,
}

impl Default for Sharing {
    fn default() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let boot = mark::boot().map(|boot| Digest::from_bytes(boot).short()).unwrap_or_default();
        Self { host: format!("{name} {boot}"), beat: BEAT }
    }
}

/// This process, as long as it holds something.
#[derive(Debug)]
pub(crate) struct Presence {
    pub(crate) token: String,
    path: Utf8PathBuf,
    stop: Option<Sender<()>>,
    beats: Option<JoinHandle<()>>,
    /// Locked, where there are locks.
    _file: File,
}

/// The files of all processes.
#[derive(Debug, Clone)]
pub(crate) struct Presences {
    folder: Utf8PathBuf,
    sharing: Sharing,
}

/// What a file says of its process.
struct Sign {
    host: String,
    beat: Duration,
    length: u64,
}

impl Presence {
    /// Shows that this process lives, until the value is dropped.
    pub(crate) fn begin(presences: &Presences) -> Result<Self, CacheError> {
        let token = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let path = presences.path(&token);
        let file = presences.write(&path).map_err(CacheError::io("write", &path))?;
        let (stop, stopped) = channel();
        let (presences, own) = (presences.clone(), token.clone());
        let beats = std::thread::Builder::new().name("beats".to_owned()).spawn(move || {
            let (mut watch, mut file) = (Watch::default(), None);
            let beat = presences.sharing.beat;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(beat) {
                match presences.beat(&own) {
                    // It is held from now on, for the sake of its lock.
                    Ok(Some(anew)) => file = Some(anew),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "other hosts cannot be shown that this process lives");
                    }
                }
                watch.look(&presences, &own);
            }
            drop(file);
        });
        let beats = beats.map_err(CacheError::io("start a thread for", &path))?;
        Ok(Self { token, path, stop: Some(stop), beats: Some(beats), _file: file })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(beats) = self.beats.take() {
            drop(beats.join());
        }
        drop(fs::remove_file(&self.path));
    }
}

impl Presences {
    pub(crate) fn new(folder: Utf8PathBuf, sharing: Sharing) -> Self {
        Self { folder, sharing }
    }

    /// The tokens of the processes that may live. Those of this host that do not are found out at once.
    pub(crate) fn alive(&self) -> Result<Vec<String>, CacheError> {
        let mut alive = Vec::new();
        for path in children(&self.folder)? {
            if let Some(token) = path.file_name().filter(|name| is_token(name))
                && self.may_live(token)
            {
                alive.push(token.to_owned());
            }
        }
        alive.sort_unstable();
        Ok(alive)
    }

    /// Whether a process may live.
    pub(crate) fn may_live(&self, token: &str) -> bool {
        let path = self.path(token);
        let Some(sign) = Sign::read(&path) else { return path.exists() };
        if sign.host != self.sharing.host {
            return true;
        }
        let is_dead = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_dead {
            drop(fs::remove_file(&path));
        }
        !is_dead
    }

    /// Waits until it is certain of each of these whether it lives, which takes as long as they may be silent.
    pub(crate) fn wait_for_certainty(&self, tokens: &[String]) {
        let mut watch = Watch::default();
        let uncertain = |watch: &Watch| {
            tokens
                .iter()
                .any(|token| self.path(token).exists() && !watch.has_grown(token) && self.is_elsewhere(token))
        };
        watch.look(self, "");
        while uncertain(&watch) {
            std::thread::sleep(self.sharing.beat / 4);
            watch.look(self, "");
        }
    }

    fn is_elsewhere(&self, token: &str) -> bool {
        Sign::read(&self.path(token)).is_none_or(|sign| sign.host != self.sharing.host)
    }

    fn path(&self, token: &str) -> Utf8PathBuf {
        self.folder.join(token)
    }

    /// Writes a file that is locked before it has its name.
    fn write(&self, path: &Utf8Path) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let new = path.with_extension("new");
        drop(fs::remove_file(&new));
        let mut file = File::options().append(true).create_new(true).open(&new)?;
        match file.try_lock().map_err(io::Error::from) {
            Err(error) if !has_no_locks(&error) => return Err(error),
            _ => {}
        }
        let Sharing { host, beat } = &self.sharing;
        let text = format!("{host}\n{}\n{}\n", std::process::id(), beat.as_millis());
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(file)
    }

    /// One beat. The file is opened for it, so that other hosts see its size. A file that was made anew, if it was gone.
    fn beat(&self, token: &str) -> io::Result<Option<File>> {
        let path = self.path(token);
        match File::options().append(true).open(&path) {
            Ok(mut file) => {
                file.write_all(b".")?;
                file.sync_data().map(|()| None)
            }
            // It was taken for dead while it slept.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write(&path).map(Some),
            Err(error) => Err(error),
        }
    }
}

impl Sign {
    fn read(path: &Utf8Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut lines = text.splitn(4, '\n');
        let (host, _process) = (lines.next()?.to_owned(), lines.next()?);
        let beat = Duration::from_millis(lines.next()?.parse().ok()?);
        Some(Self { host, beat, length: text.len() as u64 })
    }
}

/// What was seen of the files of other processes, by the clock of this one.
#[derive(Debug, Default)]
struct Watch {
    /// By token: how long it was, since when, and whether it ever grew.
    seen: HashMap<String, (u64, Instant, bool)>,
}

impl Watch {
    /// Looks at all, and removes those that were silent for too long.
    fn look(&mut self, presences: &Presences, own: &str) {
        let Ok(paths) = children(&presences.folder) else { return };
        for path in paths {
            let Some(token) = path.file_name().filter(|name| is_token(name) && *name != own) else {
                continue;
            };
            let (beat, length) = Sign::read(&path).map_or((BEAT, 0), |sign| (sign.beat, sign.length));
            let now = Instant::now();
            let (before, since, grew) = self.seen.entry(token.to_owned()).or_insert((length, now, false));
            if *before != length {
                (*before, *since, *grew) = (length, now, true);
            } else if now.duration_since(*since) > beat * SILENT {
                tracing::warn!(%path, "a process on another host is silent; it is taken for dead");
                drop(fs::remove_file(&path));
                self.seen.remove(token);
            }
        }
    }

    fn has_grown(&self, token: &str) -> bool {
        self.seen.get(token).is_some_and(|(_, _, grew)| *grew)
    }
}

/// Whether this is the name of a process.
pub(crate) fn is_token(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    fn host(scene: &Scene, name: &str) -> Presences {
        let sharing = Sharing { host: name.to_owned(), beat: Duration::from_millis(20) };
        Presences::new(scene.path("presence"), sharing)
    }

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < end, "{what} never comes");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_is_seen_while_it_lives() {
        let scene = Scene::new();
        let (here, there) = (host(&scene, "here"), host(&scene, "there"));
        let presence = Presence::begin(&here).unwrap();
        for presences in [&here, &there] {
            assert_eq!(presences.alive().unwrap(), std::slice::from_ref(&presence.token));
        }
        let length = || fs::metadata(here.path(&presence.token)).unwrap().len();
        let before = length();
        until("a beat", || length() > before);
        drop(presence);
        assert!(there.alive().unwrap().is_empty());
    }

    #[test]
    fn the_file_of_a_silent_process_goes_by_itself() {
        let scene = Scene::new();
        let here = host(&scene, "here");
        let dead = format!("{:016x}", 7);
        scene.write(&format!("presence/{dead}"), "there\n1\n20\n");
        let presence = Presence::begin(&here).unwrap();
        assert!(here.may_live(&dead), "nobody has watched it yet");
        until("its end", || !here.may_live(&dead));
        assert_eq!(here.alive().unwrap(), std::slice::from_ref(&presence.token));
    }

    #[test]
    fn of_its_own_host_a_dead_process_is_known_at_once() {
        let scene = Scene::new();
        let here = host(&scene, "here");
        let dead = format!("{:016x}", 7);
        scene.write(&format!("presence/{dead}"), "here\n1\n10000\n");
        assert!(!here.may_live(&dead));
        assert!(!here.path(&dead).exists());
    }

    #[test]
    fn a_process_that_was_taken_for_dead_shows_itself_again() {
        let scene = Scene::new();
        let here = host(&scene, "here");
        let presence = Presence::begin(&here).unwrap();
        fs::remove_file(here.path(&presence.token)).unwrap();
        until("its file", || here.path(&presence.token).exists());
    }

    #[test]
    fn certainty_comes_with_a_beat_or_with_silence() {
        let scene = Scene::new();
        let (here, there) = (host(&scene, "here"), host(&scene, "there"));
        let living = Presence::begin(&there).unwrap();
        let dead = format!("{:016x}", 7);
        scene.write(&format!("presence/{dead}"), "elsewhere\n1\n20\n");
        here.wait_for_certainty(&here.alive().unwrap());
        assert_eq!(here.alive().unwrap(), std::slice::from_ref(&living.token));
    }
}
