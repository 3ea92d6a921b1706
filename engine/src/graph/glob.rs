//! Globs over the files of a folder: sorted, `*` does not cross `/`, hidden state and caches are left out.

use camino::Utf8Path;
use globset::GlobBuilder;
use tidemill_cache::RelPath;

/// What is never matched, wherever it lies.
const LEFT_OUT: [&str; 4] = [".git", ".tidemill", "__pycache__", ".DS_Store"];

/// A glob that is wrong, or a folder that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    /// The pattern is wrong.
    #[error("the glob is not valid: {}", .0.kind())]
    Pattern(#[from] globset::Error),
    /// The folder could not be read.
    #[error("the folder cannot be read")]
    Walk(#[from] ignore::Error),
}

/// The files below `folder` that match, relative to it, sorted by bytes. Names that are not UTF-8 are passed over.
///
/// # Errors
/// If the pattern is wrong or the folder cannot be read.
pub fn glob(folder: &Utf8Path, pattern: &str) -> Result<Vec<RelPath>, GlobError> {
    let matcher = GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher();
    // Only the folders before the first wildcard need to be walked.
    let plain = pattern.split('/').take_while(|part| !part.contains(['*', '?', '[', '{']));
    let fixed: Vec<&str> = plain.collect();
    let depth = pattern.split('/').count();
    let start = match fixed.len() == depth {
        true => folder.join(fixed[..depth - 1].join("/")),
        false => folder.join(fixed.join("/")),
    };
    if !start.is_dir() {
        return Ok(Vec::new());
    }
    let limit = (!pattern.contains("**")).then(|| depth - fixed.len().min(depth - 1));
    let walk = ignore::WalkBuilder::new(&start)
        .standard_filters(false)
        .follow_links(true)
        .max_depth(limit)
        .filter_entry(|entry| !LEFT_OUT.iter().any(|name| entry.file_name() == *name))
        .build();
    let mut found = Vec::new();
    for entry in walk {
        let entry = entry?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).ok().and_then(|path| path.to_str());
        if let Some(path) = relative.filter(|path| matcher.is_match(path)) {
            found.extend(RelPath::new(path).ok());
        }
    }
    found.sort();
    Ok(found)
}
