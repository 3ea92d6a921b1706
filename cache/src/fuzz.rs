//! What a fuzzer tries, and the tests try again on what it kept (`fuzz/corpus`): each function takes any bytes, and panics only where a law
//! is broken.

use crate::{ActionResult, Artifact, Digest, Document, Entry, Form, Key, Kind, Manifest, RelPath, Usage};

/// The manifest of a folder: what is read is canonical, and nothing in it leads out.
pub fn manifest(bytes: &[u8]) {
    let Some(manifest) = Manifest::decode(bytes) else { return };
    assert_eq!(manifest.encode(), bytes, "a folder has one manifest only");
    for entry in manifest.entries() {
        let path = entry.path.as_str();
        let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
        assert!(!leads_out && !path.contains('\0'), "{path:?}");
        if let Kind::Link { target } = &entry.kind {
            assert!(!target.starts_with('/'), "{target:?}");
        }
    }
}

/// A recipe: what is read is canonical.
pub fn recipe(bytes: &[u8]) {
    if let Some(document) = crate::records::decode_recipe(&Key::of_recipe(bytes), bytes) {
        assert_eq!(document.encode().ok().as_deref(), Some(bytes), "a key has one recipe only");
    }
}

/// A result: as it lies in a file, and as the file of its first line.
pub fn result(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        // The name of a file says which result it has to hold; here it is the one that it holds.
        let start = bytes.iter().position(|byte| *byte == b'\n')? + 1;
        let said =
            serde_json::Deserializer::from_slice(&bytes[start..]).into_iter::<ActionResult>().next()?.ok()?;
        let result = crate::records::decode_result(&said.key, said.number, bytes)?;
        assert!(crate::records::decode_result(&said.key, said.number.wrapping_add(1), bytes).is_none());
        Some(result)
    };
    read(bytes);
    let sealed = [format!("{}\n", Digest::of(bytes)).as_bytes(), bytes].concat();
    if let Some(result) = read(&sealed) {
        let again = serde_json::to_vec_pretty(&result).expect("what was read can be written");
        let sealed = [format!("{}\n", Digest::of(&again)).as_bytes(), &again].concat();
        assert_eq!(read(&sealed), Some(result));
    }
}

/// What a fuzzer begins with, by the name of the function.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let path = |text| RelPath::new(text).expect("it is relative");
    let file = |executable| Kind::File { executable, size: 3, digest: Digest::of(b"abc") };
    let entries = vec![
        Entry { path: path("empty"), kind: Kind::Folder },
        Entry { path: path("a/file"), kind: file(false) },
        Entry { path: path("b"), kind: Kind::Link { target: "a/file".to_owned() } },
        Entry { path: path("c"), kind: file(true) },
    ];
    let tree = Manifest::new(entries).expect("it is one").encode();
    let words =
        Document::List(vec![Document::Text("words".to_owned()), Document::Null, Document::Bool(true)]);
    let numbers = Document::List(vec![Document::Int(-7), Document::Float(0.5), Document::Bytes(vec![1, 2])]);
    let recipe = Document::map([("recipe", words), ("with", numbers)]).encode().expect("it holds no NaN");
    let artifact = Artifact { form: Form::Folder, digest: Digest::of(&tree), size: 6, files: 2 };
    let result = ActionResult {
        number: 1,
        key: Key::of_recipe(&recipe),
        outputs: [("model".to_owned(), Some(artifact.clone())), ("plot".to_owned(), None)].into(),
        log: Some(Artifact { form: Form::File, ..artifact }),
        usage: Usage::default(),
        finished: jiff::Timestamp::UNIX_EPOCH,
        run: "r".to_owned(),
        step: "train".to_owned(),
        pipeline: "p".to_owned(),
        host: "h".to_owned(),
        user: "u".to_owned(),
        project: "/p".to_owned(),
        sandbox: "default".to_owned(),
    };
    let result = serde_json::to_vec_pretty(&result).expect("it has a form");
    vec![("manifest", vec![tree]), ("recipe", vec![recipe]), ("result", vec![result])]
}

#[cfg(test)]
#[path = "../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");

    #[test]
    fn the_laws_hold_for_what_was_kept() {
        kept::replay(KEPT, "manifest", manifest);
        kept::replay(KEPT, "recipe", recipe);
        kept::replay(KEPT, "result", result);
    }

    #[test]
    fn a_fuzzer_begins_behind_the_first_check() {
        let seeds = seeds();
        assert!(Manifest::decode(&seeds[0].1[0]).is_some());
        assert!(Document::decode(&seeds[1].1[0]).is_ok());
        assert!(serde_json::from_slice::<ActionResult>(&seeds[2].1[0]).is_ok());
    }
}
