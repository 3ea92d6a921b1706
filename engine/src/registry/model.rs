//! A registered model: its numbered versions, what is known about each, and their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Artifact, Digest, Key, LogError};

use super::{Registry, RegistryError};
use crate::name::{AliasName, ModelName};

/// A version of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, counted from one.
    pub version: u64,
    /// What is known about it.
    #[serde(flatten)]
    pub about: NewVersion,
    /// When it was registered.
    pub created: Timestamp,
}

/// What is known about a version when it is registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewVersion {
    /// The model file.
    pub model: Artifact,
    /// Its metrics, as the evaluation wrote them.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub metrics: serde_json::Value,
    /// The evaluation's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Artifact>,
    /// The model that it was compared with.
    #[serde(default)]
    pub rival: Rival,
    /// Who registered it.
    pub by: String,
    /// The run that registered it.
    pub run: String,
    /// The pipeline.
    pub pipeline: String,
    /// The git commit, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The key of the step that registered it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// What the pipeline says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// The model that a version was compared with when it was registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "compared")]
pub enum Rival {
    /// Nobody recorded it.
    #[default]
    Unknown,
    /// There was none: it was the first.
    Nobody,
    /// This one.
    Model {
        /// The model file's digest.
        digest: Digest,
    },
}

impl Rival {
    /// Whether both may mean the same: equal, or one of them unknown.
    fn agrees(self, other: Self) -> bool {
        self == other || self == Self::Unknown || other == Self::Unknown
    }
}

/// A registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// The version.
    pub version: Version,
    /// Whether it was made now; false if the same model was there already.
    pub new: bool,
}

/// A model at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSummary {
    /// Its name.
    pub model: ModelName,
    /// How many versions it has; also the newest version's number.
    pub versions: u64,
    /// Where each alias stands.
    pub aliases: BTreeMap<AliasName, u64>,
    /// The versions on hold.
    pub held: BTreeSet<u64>,
    /// The newest version, if one was registered.
    pub newest: Option<Version>,
}

impl std::ops::Deref for Version {
    type Target = NewVersion;

    fn deref(&self) -> &NewVersion {
        &self.about
    }
}

impl Registry {
    /// The names of all registered models, sorted.
    ///
    /// # Errors
    /// If the registry cannot be listed.
    pub fn models(&self) -> Result<Vec<ModelName>, RegistryError> {
        names_in(&self.models_folder())
    }

    /// A model at a glance.
    ///
    /// # Errors
    /// If there is no such model, or a record cannot be read.
    pub fn summary(&self, model: &ModelName) -> Result<ModelSummary, RegistryError> {
        let versions = self.versions(model)?;
        if versions.is_empty() {
            return Err(self.unknown(model));
        }
        let aliases = self.aliases(model)?;
        Ok(ModelSummary {
            model: model.clone(),
            versions: versions.len() as u64,
            aliases: aliases.into_iter().map(|(alias, moved)| (alias, moved.version)).collect(),
            held: self
                .holds(model)?
                .into_values()
                .filter(|hold| hold.held)
                .map(|hold| hold.version)
                .collect(),
            newest: versions.into_iter().next_back(),
        })
    }

    /// All versions of a model, oldest first; none if it is not registered.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn versions(&self, model: &ModelName) -> Result<Vec<Version>, RegistryError> {
        let entries = self.version_log(model).entries::<Version>()?;
        Ok(entries.into_iter().map(|(number, version)| Version { version: number, ..version }).collect())
    }

    /// One version.
    ///
    /// # Errors
    /// If it does not exist or cannot be read.
    pub fn version(&self, model: &ModelName, version: u64) -> Result<Version, RegistryError> {
        let log = self.version_log(model);
        let last = log.last_number()?;
        if last == 0 {
            return Err(self.unknown(model));
        }
        if version == 0 || version > last {
            let known = if last == 1 { "version 1 only".to_owned() } else { format!("versions 1 to {last}") };
            return Err(RegistryError::UnknownVersion { model: model.clone(), version, known });
        }
        Ok(Version { version, ..log.read(version)? })
    }

    /// Registers a model whose file lies at `file`. The same model, compared with the same rival, keeps its version.
    ///
    /// # Errors
    /// If the file is not the one that is announced, or something cannot be written.
    pub fn register(
        &self,
        model: &ModelName,
        about: &NewVersion,
        file: &Utf8Path,
    ) -> Result<Registered, RegistryError> {
        self.ensure_id()?;
        self.keep(model, &about.model.digest, file)?;
        let log = self.version_log(model);
        loop {
            let versions = self.versions(model)?;
            let same = versions
                .iter()
                .rev()
                .find(|known| known.model.digest == about.model.digest && known.rival.agrees(about.rival));
            if let Some(version) = same {
                return Ok(Registered { version: version.clone(), new: false });
            }
            let number = versions.last().map_or(0, |last| last.version) + 1;
            let version = Version { version: number, about: about.clone(), created: Timestamp::now() };
            match log.create(number, &version) {
                Ok(()) => return Ok(Registered { version, new: true }),
                // Another run was faster: it may have registered the very same model.
                Err(LogError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Where the bytes of a version's model lie.
    #[must_use]
    pub fn model_file(&self, model: &ModelName, digest: &Digest) -> Utf8PathBuf {
        self.model_folder(model).join("blobs").join(format!("{digest}.onnx"))
    }

    /// Copies a model file durably into the registry, unless it is there already, unharmed.
    fn keep(&self, model: &ModelName, digest: &Digest, file: &Utf8Path) -> Result<(), RegistryError> {
        let at = self.model_file(model, digest);
        if fs::read(&at).is_ok_and(|bytes| Digest::of(&bytes) == *digest) {
            return Ok(());
        }
        let bytes = fs::read(file).map_err(RegistryError::io(file))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(RegistryError::WrongContent {
                path: file.to_owned(),
                expected: digest.short(),
                found: found.short(),
            });
        }
        let folder = self.model_folder(model).join("blobs");
        let error = || RegistryError::io(&at);
        fs::create_dir_all(&folder).map_err(error())?;
        let mut copy = tempfile::Builder::new().prefix(".new-").tempfile_in(&folder).map_err(error())?;
        io::Write::write_all(&mut copy, &bytes).and_then(|()| copy.as_file().sync_all()).map_err(error())?;
        copy.persist(&at).map_err(|refused| error()(refused.error))?;
        fs::File::open(&folder).and_then(|folder| folder.sync_all()).map_err(error())
    }

    fn unknown(&self, model: &ModelName) -> RegistryError {
        let near = self.models().unwrap_or_default().into_iter().map(|name| name.to_string());
        let near = near
            .map(|name| (strsim::damerau_levenshtein(&name, model.as_str()), name))
            .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
            .min();
        RegistryError::UnknownModel { model: model.clone(), near: near.map(|(_, name)| name) }
    }
}

/// The names of the folders in a folder that are valid names, sorted; none if there is no such folder.
pub(super) fn names_in<N: std::str::FromStr + Ord>(folder: &Utf8Path) -> Result<Vec<N>, RegistryError> {
    let listing = match folder.read_dir_utf8() {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RegistryError::io(folder)(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(RegistryError::io(folder))?;
        names.extend(entry.file_name().parse::<N>());
    }
    names.sort();
    Ok(names)
}
