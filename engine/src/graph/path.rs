//! Paths of the pipeline file: what an input's text names, and which places clash.

use camino::Utf8PathBuf;
use globset::GlobBuilder;
use tidemill_cache::{InvalidPath, RelPath};

use crate::spec::{Code, Diagnostic, Span};

use super::Source;

/// What the text of an input names.
pub(super) fn source(text: &str, may_be_glob: bool, span: &Span) -> Result<Source, Diagnostic> {
    let wrong =
        |message: String, help: &str| Err(Diagnostic::new(Code::Path, message).at(span, "").help(help));
    if text.starts_with('~') {
        return wrong(
            "`~` is not expanded: the home folder differs between machines".to_owned(),
            "write the whole path, or copy the file into the project",
        );
    }
    if text.contains('\0') {
        return wrong("the path contains a NUL byte".to_owned(), "leave it away");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let climbs = parts.iter().take_while(|part| **part == "..").count();
    if parts[climbs..].contains(&"..") {
        return wrong(
            format!("`{text}` climbs with `..` in its middle"),
            "write the path without the detour; `..` may only stand at the beginning",
        );
    }
    let glob = may_be_glob && text.contains(['*', '?', '[']);
    if text.starts_with('/') || climbs > 0 {
        if glob {
            return wrong(
                "a glob cannot leave the pipeline's folder".to_owned(),
                "name the folder as the input, or copy the files into the project",
            );
        }
        return Ok(Source::Outside(Utf8PathBuf::from(text)));
    }
    if parts.is_empty() {
        return wrong(
            format!("`{text}` is the whole folder of the pipeline"),
            "name the files and folders that the step reads",
        );
    }
    if parts.contains(&".tidemill") {
        return wrong(
            "`.tidemill` is Tidemill's own folder".to_owned(),
            "refer to another step's output as `${step.output}`",
        );
    }
    if glob {
        let pattern = parts.join("/");
        return match GlobBuilder::new(&pattern).literal_separator(true).build() {
            Ok(_) => Ok(Source::Glob(pattern)),
            Err(error) => wrong(
                format!("`{text}` is no glob: {}", error.kind()),
                "`*` stands for any text without `/`, `**` for any folders, `[ab]` for one of these letters",
            ),
        };
    }
    RelPath::new(text)
        .map(Source::Project)
        .or_else(|error| wrong(error.to_string(), "paths look like `data/train.csv`"))
}

/// A path that a step writes, in its own folder or in the project.
pub(super) fn written(text: &str, whose: &str, span: &Span) -> Result<RelPath, Diagnostic> {
    let wrong =
        |message: String, help: &str| Err(Diagnostic::new(Code::Path, message).at(span, "").help(help));
    match RelPath::new(text) {
        Ok(_) if text == "~" || text.starts_with("~/") => wrong(
            "`~` is not expanded: the home folder differs between machines".to_owned(),
            "write a path inside the folder, without `~`",
        ),
        Ok(path) if path.as_str().split('/').any(|part| part.eq_ignore_ascii_case(".tidemill")) => {
            wrong("`.tidemill` is Tidemill's own folder".to_owned(), "choose another place")
        }
        Ok(path) => Ok(path),
        Err(InvalidPath::Empty) => {
            wrong("the path is empty".to_owned(), "paths look like `models/model.onnx`")
        }
        Err(InvalidPath::Absolute(_) | InvalidPath::Escapes(_)) => {
            wrong(format!("`{text}` leaves {whose}"), "write a path inside it, without `..`")
        }
        Err(error @ InvalidPath::Nul(_)) => wrong(error.to_string(), "leave the NUL byte away"),
    }
}

/// A path as a file system without case sees it.
pub(super) fn folded(path: &RelPath) -> String {
    path.as_str().to_lowercase()
}

/// Whether two places are one, or one lies in the other, case folded.
pub(super) fn clash(left: &str, right: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    inside(left, right) || inside(right, left)
}

/// Whether a folded path matches a glob, or holds everything that could.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let fixed: Vec<&str> =
        pattern.split('/').take_while(|part| !part.contains(['*', '?', '[', '{'])).collect();
    let fixed = fixed.join("/").to_lowercase();
    let holds = !fixed.is_empty() && (fixed == path || fixed.starts_with(&format!("{path}/")));
    let glob = GlobBuilder::new(pattern).literal_separator(true).case_insensitive(true).build();
    holds || glob.is_ok_and(|glob| glob.compile_matcher().is_match(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<String, String> {
        source(text, true, &(0..0)).map(|source| format!("{source:?}")).map_err(|wrong| wrong.message)
    }

    #[test]
    fn a_text_names_a_file_a_glob_or_something_outside() {
        assert!(named("./data//a.csv").unwrap().contains("Project(RelPath(\"data/a.csv\"))"));
        assert_eq!(named("data/**/*.csv").unwrap(), "Glob(\"data/**/*.csv\")");
        assert_eq!(named("../shared/x").unwrap(), "Outside(\"../shared/x\")");
        assert_eq!(named("/data/x").unwrap(), "Outside(\"/data/x\")");
        for wrong in
            ["~/x", "a/../b", "../a/../b", "", ".", ".tidemill/x", "a/.tidemill", "/data/*.csv", "a[", "a\0"]
        {
            assert!(named(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn places_clash_by_whole_parts() {
        assert!(clash("models", "models/a"));
        assert!(!clash("models", "models2"));
        assert!(matches("Data/*.csv", "data/a.csv") && matches("data/raw/*.csv", "data"));
        assert!(!matches("data/*.csv", "data/raw/a.csv"));
    }
}
