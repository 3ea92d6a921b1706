//! Comparing what a repeated step wrote with what the cache has: bytes with bytes, folders file by file, metrics value by value.

use std::fs::File;
use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{Artifact, CacheError, Entry, Form, IgnoreRules, Kind, Manifest, Place};

use super::metrics;
use crate::graph::{Output, Step};
use crate::interface::OutputKind;
use crate::plan::{METRICS_LIMIT, Outputs};
use crate::project::Project;
use crate::repeats::{Difference, Where};

/// So many bytes are compared at once.
const CHUNK: usize = 1 << 16;

/// A step's folder, and what its step once gave.
pub(super) struct Comparison<'a> {
    pub(super) project: &'a Project,
    pub(super) step: &'a Step,
    /// The cached outputs.
    pub(super) cached: &'a Outputs,
    /// The folder in which the step ran again.
    pub(super) root: &'a Utf8Path,
    /// A free place for a file of the cache's.
    pub(super) aside: Utf8PathBuf,
    /// How far metrics may be apart, relatively.
    pub(super) tolerance: Option<f64>,
}

impl Comparison<'_> {
    /// The first output that differs, and where; none if all are the same.
    ///
    /// # Errors
    /// If what was written cannot be read, or the cache cannot.
    pub(super) fn difference(&self) -> Result<Option<Difference>, CacheError> {
        for (name, output) in &self.step.outputs {
            let cached = self.cached.get(name).and_then(Option::as_ref);
            if let Some((file, at)) = self.of_output(output, cached)? {
                return Ok(Some(Difference { output: name.to_string(), file, at }));
            }
        }
        Ok(None)
    }

    fn of_output(
        &self,
        output: &Output,
        cached: Option<&Artifact>,
    ) -> Result<Option<(Option<String>, Where)>, CacheError> {
        let path = output.path.below(self.root);
        let seen = self.project.cache().look(&path, &IgnoreRules::builtin())?;
        Ok(match (cached, seen) {
            (None, None) => None,
            (Some(_), None) => Some((None, Where::Missing)),
            (None, Some(_)) => Some((None, Where::New)),
            (Some(cached), Some(seen)) if *cached == seen.artifact => None,
            (Some(cached), Some(seen)) => match (cached.form, &seen.manifest) {
                (Form::Folder, Some(now)) => Some(self.in_folder(&path, cached, now)?),
                (Form::Folder, None) | (_, Some(_)) => Some((None, Where::Kind)),
                _ if cached.digest == seen.artifact.digest => Some((None, Where::Kind)),
                _ if output.kind == OutputKind::Metrics => {
                    self.in_metrics(&path, cached)?.map(|at| (None, at))
                }
                _ => Some((None, self.in_file(&path, cached)?)),
            },
        })
    }

    /// Where two files of different bytes differ first.
    fn in_file(&self, path: &Utf8Path, cached: &Artifact) -> Result<Where, CacheError> {
        let cache = self.project.cache();
        match cache.place(cached, &self.aside, Place::ReadOnly) {
            Ok(()) => {}
            Err(CacheError::Missing { .. }) => return Ok(Where::Somewhere),
            Err(error) => return Err(error),
        }
        let byte = first_difference(&self.aside, path);
        cache.discard(&self.aside)?;
        Ok(Where::Byte { byte: byte? })
    }

    /// The same of metrics; none if their values are the same.
    fn in_metrics(&self, path: &Utf8Path, cached: &Artifact) -> Result<Option<Where>, CacheError> {
        let old = match self.project.cache().read(cached, METRICS_LIMIT) {
            Ok(bytes) => bytes,
            Err(CacheError::Missing { .. }) => return Ok(Some(Where::Somewhere)),
            Err(error) => return Err(error),
        };
        let new = std::fs::read(path).map_err(|source| read_error(path, source))?;
        let values = serde_json::from_slice(&old).ok().zip(serde_json::from_slice(&new).ok());
        let found = values.map(|(old, new)| metrics::difference(&old, &new, self.tolerance.unwrap_or(0.0)));
        match found {
            Some(Some(at)) => Ok(Some(at)),
            // Only the way in which the values are written differs.
            Some(None) if self.tolerance.is_some() => Ok(None),
            _ => self.in_file(path, cached).map(Some),
        }
    }

    /// The first entry of a folder that differs, and where.
    fn in_folder(
        &self,
        folder: &Utf8Path,
        cached: &Artifact,
        now: &Manifest,
    ) -> Result<(Option<String>, Where), CacheError> {
        let before = match self.project.cache().manifest(cached) {
            Ok(before) => before,
            Err(CacheError::Missing { .. }) => return Ok((None, Where::Somewhere)),
            Err(error) => return Err(error),
        };
        let named = |entry: &Entry, at: Where| (Some(entry.path.to_string()), at);
        for entry in before.entries() {
            match now.get(entry.path.as_str()) {
                None => return Ok(named(entry, Where::Missing)),
                Some(other) if other.kind == entry.kind => {}
                Some(other) => match (&entry.kind, &other.kind) {
                    (Kind::File { digest, size, .. }, Kind::File { digest: new, .. }) if digest != new => {
                        let artifact = Artifact { form: Form::File, digest: *digest, size: *size, files: 1 };
                        return Ok(named(entry, self.in_file(&entry.path.below(folder), &artifact)?));
                    }
                    _ => return Ok(named(entry, Where::Kind)),
                },
            }
        }
        let new = now.entries().iter().find(|entry| before.get(entry.path.as_str()).is_none());
        Ok(new.map_or((None, Where::Somewhere), |entry| named(entry, Where::New)))
    }
}

/// The first byte at which two files differ; the length of the shorter one if it is the beginning of the other.
fn first_difference(left: &Utf8Path, right: &Utf8Path) -> Result<u64, CacheError> {
    let open = |path: &Utf8Path| File::open(path).map_err(|source| read_error(path, source));
    let (mut files, mut buffers) = ([open(left)?, open(right)?], [vec![0; CHUNK], vec![0; CHUNK]]);
    let mut before = 0_u64;
    loop {
        let mut lengths = [0; 2];
        for (place, path) in [left, right].into_iter().enumerate() {
            let read = fill(&mut files[place], &mut buffers[place]);
            lengths[place] = read.map_err(|source| read_error(path, source))?;
        }
        let both = lengths[0].min(lengths[1]);
        let [one, other] = &buffers;
        if let Some(place) = one[..both].iter().zip(&other[..both]).position(|(one, other)| one != other) {
            return Ok(before + place as u64);
        }
        before += both as u64;
        if both < CHUNK {
            return Ok(before);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn read_error(path: &Utf8Path, source: io::Error) -> CacheError {
    CacheError::Io { action: "read", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8Path::from_path(folder.path()).unwrap().join(name);
        let long: Vec<u8> = (0..CHUNK * 2 + 100).map(|place| u8::try_from(place % 251).unwrap()).collect();
        std::fs::write(path("a"), &long).unwrap();
        for place in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, long.len() - 1] {
            let mut other = long.clone();
            other[place] ^= 1;
            std::fs::write(path("b"), other).unwrap();
            assert_eq!(first_difference(&path("a"), &path("b")).unwrap(), place as u64);
        }
        for length in [0, CHUNK, long.len() - 1] {
            std::fs::write(path("b"), &long[..length]).unwrap();
            assert_eq!(first_difference(&path("a"), &path("b")).unwrap(), length as u64);
        }
    }
}
