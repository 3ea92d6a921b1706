//! The trash: what a collection of garbage took out and has not removed yet, because a process that lives may need it.
//!
//! Each collection puts what it takes out into a folder of its own, the *generation*, and writes down afterwards who lived then. What
//! lies there is removed by a later collection, once all of these have ended and it is certain that nothing refers to it. Until
//! then, whoever misses a content looks here and puts it back under its name. So a collection never waits for a run nor a
//! run for it, and a run that misses nothing never looks here.
//!
//! Results stay in the folder of their key under another name; see [`crate::records`].

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;

use camino::Utf8PathBuf;

use crate::layout::Blob;
use crate::live::{Alive, Life, Own};
use crate::survey::children;
use crate::{Cache, CacheError, record};

/// How often what is not in its place is looked for in the trash. What is nowhere costs that many looks.
pub(crate) const LOOKS: usize = 3;
/// The file of a generation that says who lived when all was taken out.
const WAITS: &str = "waits";
/// The file that says which process still puts something into it.
const OWNER: &str = "owner";

/// A folder of the trash.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    path: Utf8PathBuf,
}

/// How it stands with a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A run that lives puts its own blobs there: nobody else's business.
    Owned,
    /// Somebody who may need it lives.
    Waiting,
    /// All who might have needed it without looking here have ended.
    Ripe,
}

impl Generation {
    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.file_name().unwrap_or_default()
    }

    /// Where a blob lies in it.
    pub(crate) fn blob(&self, blob: Blob) -> Utf8PathBuf {
        self.path.join(blob.to_string())
    }

    /// The blobs in it, with their sizes.
    pub(crate) fn blobs(&self) -> Result<Vec<(Blob, u64)>, CacheError> {
        let blob = |path: Utf8PathBuf| {
            let blob = Blob::parse(path.file_name()?)?;
            Some((blob, fs::symlink_metadata(&path).map_or(0, |facts| facts.len())))
        };
        Ok(children(&self.path)?.into_iter().filter_map(blob).collect())
    }

    /// Removes it, if no blob is left in it.
    pub(crate) fn remove_if_empty(&self) -> Result<(), CacheError> {
        if !self.blobs()?.is_empty() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is known who has to end before what lies in it may go.
    pub(crate) fn is_closed(&self) -> bool {
        self.lives(WAITS).is_some()
    }

    fn lives(&self, name: &str) -> Option<Vec<Life>> {
        let text = fs::read_to_string(self.path.join(name)).ok()?;
        text.lines().map(Life::parse).collect()
    }
}

impl Cache {
    /// The generations there are.
    pub(crate) fn generations(&self) -> Result<Vec<Generation>, CacheError> {
        let mut paths = children(&self.inner.layout.trash())?;
        paths.sort_unstable();
        Ok(paths.into_iter().map(|path| Generation { path }).collect())
    }

    /// A new generation; of a run that goes on, if it is one's.
    pub(crate) fn new_generation(&self, owner: Option<&Own>) -> Result<Generation, CacheError> {
        let token = RandomState::new().hash_one(std::process::id());
        let path = self.inner.layout.trash().join(format!("{token:016x}"));
        fs::create_dir_all(self.inner.layout.trash())
            .and_then(|()| fs::create_dir(&path))
            .map_err(CacheError::io("create", &path))?;
        let generation = Generation { path };
        if let Some(owner) = owner {
            let alive = self.alive()?;
            self.write(&generation, OWNER, alive.lives.iter().filter(|life| owner.is(life)))?;
        }
        Ok(generation)
    }

    /// Takes a blob out. False: it was not there.
    pub(crate) fn take_out(&self, blob: Blob, into: &Generation) -> Result<bool, CacheError> {
        let object = self.inner.layout.object(blob);
        match fs::rename(&object, into.blob(blob)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(CacheError::io("move", &object)(error)),
        }
    }

    /// Says who has to end before what lies in a generation may go: everybody but `own` who lives now. It is said after all was
    /// taken out, so that who comes later has found nothing of it in its place.
    pub(crate) fn close(&self, generation: &Generation, own: Option<&Own>) -> Result<Alive, CacheError> {
        let mut alive = self.alive()?;
        alive.lives.retain(|life| own.is_none_or(|own| !own.is(life)));
        self.write(generation, WAITS, alive.lives.iter())?;
        Ok(alive)
    }

    /// How it stands with a generation. For one that was never closed it is not known who may need what lies in it.
    pub(crate) fn standing(&self, generation: &Generation) -> Result<Standing, CacheError> {
        let over = |lives: &[Life]| -> Result<bool, CacheError> {
            for life in lives {
                if !self.is_over(life)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        if let Some(owner) = generation.lives(OWNER)
            && !over(&owner)?
        {
            return Ok(Standing::Owned);
        }
        let is_ripe = match generation.lives(WAITS) {
            Some(waits) => over(&waits)?,
            None => false,
        };
        Ok(if is_ripe { Standing::Ripe } else { Standing::Waiting })
    }

    /// Puts a blob of the trash back under its name, if it lies there.
    pub(crate) fn put_back(&self, blob: Blob) -> Result<bool, CacheError> {
        for generation in self.generations()? {
            if self.put_back_from(blob, &generation)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same for one that lies in a certain generation.
    pub(crate) fn put_back_from(&self, blob: Blob, generation: &Generation) -> Result<bool, CacheError> {
        let (from, to) = (generation.blob(blob), self.inner.layout.object(blob));
        let renamed = match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                record::make_folder(to.parent().unwrap_or(&to)).and_then(|()| fs::rename(&from, &to))
            }
            other => other,
        };
        match renamed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(CacheError::io("move", &from)(error)),
        }
    }

    /// Does something with contents. What it does not find in its place is looked for in the trash, and it is done again: somebody else may
    /// have put it back in between, and a collection may have taken it out once more.
    pub(crate) fn with_trash<T>(
        &self,
        mut done: impl FnMut() -> Result<T, CacheError>,
        lacking: impl Fn() -> Result<Vec<Blob>, CacheError>,
    ) -> Result<T, CacheError> {
        for _ in 0..LOOKS {
            match done() {
                Err(error) if error.is_absence() => self.put_back_any(lacking()?.into_iter())?,
                other => return other,
            }
        }
        done()
    }

    /// Puts back what lies in the trash of these contents, each with or without the executable bit.
    pub(crate) fn put_back_any(&self, blobs: impl Iterator<Item = Blob>) -> Result<(), CacheError> {
        for blob in blobs {
            self.put_back(blob)?;
            self.put_back(blob.twin())?;
        }
        Ok(())
    }

    fn write<'l>(
        &self,
        generation: &Generation,
        name: &str,
        lives: impl Iterator<Item = &'l Life>,
    ) -> Result<(), CacheError> {
        let (path, text) = (generation.path.join(name), lives.map(Life::line).collect::<String>());
        // After a power failure nobody lives, so it is not waited for the disk.
        let new = generation.path.join(format!("{name}.new"));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(CacheError::io("write", &path))
    }
}

/// Whether this is the name of a generation.
pub(crate) fn is_generation(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    /// Two processes miss the same content, and a collection goes on: each of them finds it, whoever puts it back.
    #[test]
    fn what_another_puts_back_in_the_same_moment_is_found() {
        let scene = Scene::new();
        let cache = &scene.cache;
        let artifact = cache.put(b"content").unwrap();
        let blob = Blob { digest: artifact.digest, executable: false };
        let generation = cache.new_generation(None).unwrap();
        for collections in 0..LOOKS {
            assert!(cache.take_out(blob, &generation).unwrap());
            let mut looks = 0;
            let found = cache.with_trash(
                || {
                    let found = std::fs::read(cache.inner.layout.object(blob)).ok();
                    // Right after it was missed another one puts it back, and so often a collection takes it out again.
                    if found.is_none() {
                        cache.put_back(blob).unwrap();
                        looks += 1;
                        if looks <= collections {
                            cache.take_out(blob, &generation).unwrap();
                        }
                    }
                    found.ok_or(CacheError::Missing { digest: blob.digest })
                },
                || Ok(Vec::new()),
            );
            assert_eq!(found.unwrap(), b"content", "{collections}");
        }
    }
}
