//! Which names a tree leaves out.

use camino::{Utf8Path, Utf8PathBuf};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::CacheError;

/// What is never part of a tree: caches and state of tools, which change without anybody meaning it.
const ALWAYS: [&str; 4] = ["__pycache__", ".DS_Store", ".git", ".tidemill"];

/// Which names a tree leaves out: the builtin ones, and those of a project's `.tidemillignore`.
#[derive(Debug, Clone)]
pub struct IgnoreRules {
    own: Option<(Utf8PathBuf, Gitignore)>,
}

impl IgnoreRules {
    /// Only the builtin rules; what outputs are captured by.
    #[must_use]
    pub fn builtin() -> Self {
        Self { own: None }
    }

    /// The builtin rules and those of `.tidemillignore` in the project's root, if there is one (gitignore syntax).
    ///
    /// # Errors
    /// If the file cannot be read or understood.
    pub fn load(root: &Utf8Path) -> Result<Self, CacheError> {
        let path = root.join(".tidemillignore");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::builtin()),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        let root = std::path::absolute(root).map_err(CacheError::io("find", root))?;
        let root = Utf8PathBuf::from_path_buf(root)
            .map_err(|root| CacheError::NotUtf8 { path: root.to_string_lossy().into_owned() })?;
        let mut builder = GitignoreBuilder::new(&root);
        for line in text.lines() {
            builder
                .add_line(None, line)
                .map_err(|source| CacheError::Ignore { path: path.clone(), source })?;
        }
        let rules = builder.build().map_err(|source| CacheError::Ignore { path, source })?;
        Ok(Self { own: Some((root, rules)) })
    }

    /// Whether this absolute path is left out. Its parents were asked before.
    pub(crate) fn leaves_out(&self, path: &Utf8Path, is_folder: bool) -> bool {
        if path.file_name().is_some_and(|name| ALWAYS.contains(&name)) {
            return true;
        }
        let Some((root, rules)) = &self.own else { return false };
        path.strip_prefix(root).is_ok_and(|path| rules.matched(path, is_folder).is_ignore())
    }
}
