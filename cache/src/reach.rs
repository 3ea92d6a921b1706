//! What is reachable: the contents that something refers to, in their places or in the trash.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::layout::Blob;
use crate::manifest::blobs;
use crate::trash::Generation;
use crate::{ActionResult, Artifact, Cache, CacheError, Digest, Form, Manifest};

/// The contents that something refers to.
pub(crate) struct Reached<'a> {
    cache: &'a Cache,
    /// Where the blobs lie that are in the trash.
    trash: HashMap<Blob, Utf8PathBuf>,
    pub(crate) digests: HashSet<Digest>,
}

impl<'a> Reached<'a> {
    pub(crate) fn new(cache: &'a Cache, trash: &[(Generation, Blob, u64)]) -> Self {
        let trash = trash.iter().map(|(generation, blob, _)| (*blob, generation.blob(*blob))).collect();
        Self { cache, trash, digests: HashSet::new() }
    }

    /// A result and its contents, but for these outputs.
    pub(crate) fn result(
        &mut self,
        result: &ActionResult,
        without: Option<&BTreeSet<String>>,
    ) -> Result<(), CacheError> {
        for (name, artifact) in &result.outputs {
            let Some(artifact) = artifact else { continue };
            match without.is_some_and(|without| without.contains(name)) {
                // What lies in a folder is always known.
                true => self.digests.extend((artifact.form == Form::Folder).then_some(artifact.digest)),
                false => self.digests.extend(self.of_artifact(artifact)?),
            }
        }
        self.digests.extend(result.log.iter().map(|log| log.digest));
        Ok(())
    }

    /// What an artifact needs.
    pub(crate) fn of_artifact(&self, artifact: &Artifact) -> Result<Vec<Digest>, CacheError> {
        if artifact.form == Form::Folder {
            return self.of_content(artifact.digest);
        }
        Ok(vec![artifact.digest])
    }

    /// Content of unknown form: if it can be a manifest, what it lists stays too.
    pub(crate) fn content(&mut self, digest: Digest) -> Result<(), CacheError> {
        let all = self.of_content(digest)?;
        self.digests.extend(all);
        Ok(())
    }

    fn of_content(&self, digest: Digest) -> Result<Vec<Digest>, CacheError> {
        let mut all = vec![digest];
        for executable in [false, true] {
            let blob = Blob { digest, executable };
            let object = self.cache.inner.layout.object(blob);
            let path = self.trash.get(&blob).filter(|_| !object.exists()).unwrap_or(&object);
            if let Some(manifest) = read_manifest(path).map_err(CacheError::io("read", path))? {
                all.extend(blobs(&manifest).into_keys().map(|blob| blob.digest));
            }
        }
        Ok(all)
    }
}

/// The manifest in this file, if it is one; of other files only the beginning is read.
fn read_manifest(path: &Utf8Path) -> io::Result<Option<Manifest>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.by_ref().take(Manifest::OPENING_LENGTH as u64).read_to_end(&mut bytes)?;
    if !Manifest::may_begin(&bytes) {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    Ok(Manifest::decode(&bytes))
}
