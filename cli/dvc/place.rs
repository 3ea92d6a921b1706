//! Where the paths of a `dvc.yaml` are, seen from the folder of the pipeline.

/// A place that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Below the pipeline's folder.
    Inside(String),
    /// Beside or above it, beginning with `..`, or absolute.
    Outside(String),
    /// On another machine: an address.
    Remote(String),
}

/// The place of a path that is relative to a folder, which is relative to the pipeline's.
pub(super) fn place(folder: &str, path: &str) -> Place {
    if path.contains("://") {
        return Place::Remote(path.to_owned());
    }
    if path.starts_with('/') {
        return Place::Outside(path.to_owned());
    }
    let joined = normal(&format!("{folder}/{path}"));
    match joined.starts_with("..") {
        true => Place::Outside(joined),
        false => Place::Inside(joined),
    }
}

/// A relative path without `.` and detours; the folder itself is the empty text.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The path of a place as it is written in a folder.
pub(super) fn seen_from(folder: &str, place: &str) -> String {
    let from: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = place.split('/').collect();
    let same = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    let up = vec![".."; from.len() - same];
    [&up[..], &to[same..]].concat().join("/")
}

/// How many folders a path goes down, as the way back up.
pub(super) fn way_up(folder: &str) -> String {
    "../".repeat(folder.split('/').filter(|part| !part.is_empty()).count())
}

/// What a place has below a folder, beginning with `/`; empty if they are the same, none if it is elsewhere.
pub(super) fn rest_below<'a>(folder: &str, place: &'a str) -> Option<&'a str> {
    place.strip_prefix(folder).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_folder_of_the_pipeline() {
        assert_eq!(place("", "./data//raw/"), Place::Inside("data/raw".into()));
        assert_eq!(place("src", "../data/a.csv"), Place::Inside("data/a.csv".into()));
        assert_eq!(place("src", "../../shared"), Place::Outside("../shared".into()));
        assert_eq!(place("src", "/data"), Place::Outside("/data".into()));
        assert_eq!(place("", "s3://bucket/x"), Place::Remote("s3://bucket/x".into()));
        assert_eq!(seen_from("src/a", "data/x"), "../../data/x");
        assert_eq!(seen_from("src", "src/a.py"), "a.py");
        assert_eq!(seen_from("", "data/x"), "data/x");
        assert_eq!(way_up("src/a"), "../../");
        assert_eq!(rest_below("data/a", "data/a/b.csv"), Some("/b.csv"));
        assert_eq!(rest_below("data/a", "data/ab"), None);
    }
}
