//! A manifest: the sorted entries of a folder, whose canonical bytes give the folder its digest.
//!
//! It is a [`Document`]: `{ entries = { path = [kind, …] }, tree = 1 }`. Only files, symbolic links and *empty* folders are
//! entries; the other folders follow from the paths. The canonical bytes lie in the store as a blob like any other.

use std::collections::{BTreeMap, HashMap};

use camino::Utf8PathBuf;
use unicode_normalization::UnicodeNormalization as _;

use crate::{Artifact, CacheError, Digest, Document, Form, RelPath};

/// The entries of a folder, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies below the folder.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Whether it has the executable bit.
        executable: bool,
        /// Its bytes.
        size: u64,
        /// Their digest.
        digest: Digest,
    },
    /// An empty folder.
    Folder,
    /// A relative symbolic link that stays inside.
    Link {
        /// Where it points, as it was written.
        target: String,
    },
}

/// How the canonical bytes of every manifest begin: a map of two, whose first name is `entries`.
const OPENING: &[u8] = b"m\x02\0\0\0\0\0\0\0t\x07\0\0\0\0\0\0\0entriesm";

impl Manifest {
    /// A manifest of these entries, in whatever order they come.
    ///
    /// # Errors
    /// If two paths collide (also in case or Unicode form), one lies below a file or link, or a link leads outside.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, CacheError> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        refuse_collisions(&entries)?;
        let manifest = Self { entries };
        for entry in &manifest.entries {
            if let Kind::Link { target } = &entry.kind
                && !manifest.stays_inside(&entry.path, target)
            {
                let path = Utf8PathBuf::from(entry.path.as_str());
                return Err(CacheError::Escapes { path, target: target.clone() });
            }
        }
        Ok(manifest)
    }

    /// The entries, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at this path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.find(path).map(|index| &self.entries[index])
    }

    /// The artifact of the folder: its digest, and what its files add up to.
    #[must_use]
    pub fn artifact(&self) -> Artifact {
        self.artifact_of(&self.encode())
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|entry| (entry.path.as_str(), entry.kind.document()));
        Document::map([("entries", Document::map(entries)), ("tree", Document::Int(1))])
            .encode()
            .expect("a manifest holds no float")
    }

    /// The manifest of these canonical bytes, if they are one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let Document::Map(mut document) = Document::decode(bytes).ok()? else { return None };
        let Some(Document::Map(entries)) = document.remove("entries") else { return None };
        if document.remove("tree") != Some(Document::Int(1)) || !document.is_empty() {
            return None;
        }
        let entries =
            entries.into_iter().map(|(path, kind)| Entry::decode(&path, kind)).collect::<Option<_>>()?;
        Self::new(entries).ok()
    }

    /// Whether bytes that begin so may be a manifest.
    pub(crate) fn may_begin(bytes: &[u8]) -> bool {
        bytes.starts_with(OPENING)
    }

    /// How many bytes [`Self::may_begin`] wants to see.
    pub(crate) const OPENING_LENGTH: usize = OPENING.len();

    /// The artifact, when the canonical bytes are known already.
    pub(crate) fn artifact_of(&self, canonical: &[u8]) -> Artifact {
        let (mut size, mut files) = (0_u64, 0);
        for entry in &self.entries {
            if let Kind::File { size: bytes, .. } = entry.kind {
                size = size.saturating_add(bytes);
                files += 1;
            }
        }
        Artifact { form: Form::Folder, digest: Digest::of(canonical), size, files }
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()
    }

    /// Whether following this link cannot leave the folder. `..` after another link of the folder is refused, since what
    /// it means depends on where that one leads.
    fn stays_inside(&self, link: &RelPath, target: &str) -> bool {
        if target.is_empty() || target.starts_with('/') || target.contains('\0') {
            return false;
        }
        let parent = link.parent();
        let mut at: Vec<&str> = parent.iter().flat_map(|parent| parent.as_str().split('/')).collect();
        let mut through_link = false;
        for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                if through_link || at.pop().is_none() {
                    return false;
                }
            } else {
                at.push(part);
                through_link |=
                    self.get(&at.join("/")).is_some_and(|entry| matches!(entry.kind, Kind::Link { .. }));
            }
        }
        true
    }
}

impl Entry {
    fn decode(path: &str, kind: Document) -> Option<Self> {
        let relative = RelPath::new(path).ok()?;
        let Document::List(parts) = kind else { return None };
        let kind = match parts.as_slice() {
            [Document::Text(word), Document::Int(size), Document::Bytes(digest)] => Kind::File {
                executable: match word.as_str() {
                    "file" => false,
                    "executable" => true,
                    _ => return None,
                },
                size: u64::try_from(*size).ok()?,
                digest: Digest::from_bytes(digest.as_slice().try_into().ok()?),
            },
            [Document::Text(word)] if word == "folder" => Kind::Folder,
            [Document::Text(word), Document::Text(target)] if word == "link" => {
                Kind::Link { target: target.clone() }
            }
            _ => return None,
        };
        (relative.as_str() == path).then_some(Self { path: relative, kind })
    }
}

impl Kind {
    fn document(&self) -> Document {
        Document::List(match self {
            Self::File { executable, size, digest } => vec![
                Document::text(if *executable { "executable" } else { "file" }),
                Document::Int(i64::try_from(*size).unwrap_or(i64::MAX)),
                Document::Bytes(digest.as_bytes().to_vec()),
            ],
            Self::Folder => vec![Document::text("folder")],
            Self::Link { target } => vec![Document::text("link"), Document::text(target.clone())],
        })
    }
}

/// Refuses names that are one on a file system that folds case or Unicode form, and entries below something that is no
/// folder. Every path and every folder on the way to it is looked at once.
fn refuse_collisions(entries: &[Entry]) -> Result<(), CacheError> {
    let collision = |first: &str, second: &str| {
        Err(CacheError::Collision { first: Utf8PathBuf::from(first), second: Utf8PathBuf::from(second) })
    };
    let mut seen: HashMap<String, (&str, bool)> = HashMap::with_capacity(entries.len());
    let mut previous = "";
    for entry in entries {
        let path = entry.path.as_str();
        let shared = shared_folders(previous, path);
        let ends = path[shared..].match_indices('/').map(|(index, _)| shared + index).chain([path.len()]);
        for end in ends {
            let (prefix, is_folder) = (&path[..end], end < path.len());
            match seen.insert(fold(prefix), (prefix, is_folder)) {
                Some((other, was_folder)) if other != prefix || !is_folder || !was_folder => {
                    return collision(other, prefix);
                }
                _ => {}
            }
        }
        previous = path;
    }
    Ok(())
}

/// How many bytes of `path` are folders that `previous` lies in as well, the slash included.
fn shared_folders(previous: &str, path: &str) -> usize {
    let same = previous.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    path.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)
}

fn fold(path: &str) -> String {
    if path.is_ascii() {
        path.to_ascii_lowercase()
    } else {
        path.nfd().flat_map(char::to_lowercase).collect::<String>().nfc().collect()
    }
}

/// The entries of a folder made of artifacts, before it is sorted.
pub(crate) fn nested(name: &RelPath, artifact: &Artifact, inner: Option<&Manifest>) -> Vec<Entry> {
    let file = |executable| Kind::File { executable, size: artifact.size, digest: artifact.digest };
    match (artifact.form, inner) {
        (Form::File, _) => vec![Entry { path: name.clone(), kind: file(false) }],
        (Form::Executable, _) => vec![Entry { path: name.clone(), kind: file(true) }],
        (Form::Folder, Some(inner)) if !inner.entries.is_empty() => inner
            .entries
            .iter()
            .map(|entry| Entry { path: name.join(&entry.path), kind: entry.kind.clone() })
            .collect(),
        (Form::Folder, _) => vec![Entry { path: name.clone(), kind: Kind::Folder }],
    }
}

/// The blobs that a manifest refers to, each once, with its size.
pub(crate) fn blobs(manifest: &Manifest) -> BTreeMap<crate::layout::Blob, u64> {
    let blob = |entry: &Entry| match entry.kind {
        Kind::File { executable, size, digest } => Some((crate::layout::Blob { digest, executable }, size)),
        Kind::Folder | Kind::Link { .. } => None,
    };
    manifest.entries.iter().filter_map(blob).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str) -> Entry {
        let kind = Kind::File { executable: false, size: 1, digest: Digest::of(path.as_bytes()) };
        Entry { path: RelPath::new(path).unwrap(), kind }
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry { path: RelPath::new(path).unwrap(), kind: Kind::Link { target: target.to_owned() } }
    }

    #[test]
    fn a_link_that_may_leave_is_refused() {
        let refused = |entries: Vec<Entry>| matches!(Manifest::new(entries), Err(CacheError::Escapes { .. }));
        assert!(refused(vec![link("a", "/etc/passwd")]));
        assert!(refused(vec![link("a", "..")]));
        assert!(refused(vec![link("a/b", "../../c")]));
        assert!(refused(vec![link("a/b", "")]));
        // `up` leads to the root, so `a/up/..` is outside, although its text stays inside.
        assert!(refused(vec![link("a/b/up", "../.."), link("a/b/out", "up/../x")]));
        assert!(!refused(vec![file("a/x"), link("a/b", "../a/x"), link("c", "."), link("d", "a/../a/x")]));
    }

    #[test]
    fn names_that_collide_are_refused() {
        let collides = |paths: &[&str]| Manifest::new(paths.iter().map(|path| file(path)).collect()).is_err();
        assert!(collides(&["a", "A"]));
        assert!(collides(&["a/x", "A/y"]));
        assert!(collides(&["a", "a/x"]));
        assert!(collides(&["a", "a"]));
        assert!(collides(&["\u{c9}/x", "e\u{301}/y"]));
        assert!(!collides(&["a/x", "a-b/x", "a/y", "b/a"]));
    }

    #[test]
    fn bytes_that_are_no_manifest_are_none() {
        assert_eq!(Manifest::decode(b""), None);
        let foreign = Document::map([(
            "entries",
            Document::map([("../a", Document::List(vec![Document::text("folder")]))]),
        )]);
        assert_eq!(Manifest::decode(&foreign.encode().unwrap()), None);
        let empty = Manifest::new(Vec::new()).unwrap();
        assert!(Manifest::may_begin(&empty.encode()));
        assert_eq!(Manifest::decode(&empty.encode()), Some(empty));
    }

    proptest! {
        #[test]
        fn the_order_of_the_entries_does_not_matter(
            (sorted, shuffled) in prop::collection::btree_set("[a-c]{1,2}(/[a-c]{1,2}){0,2}", 0..12)
                .prop_map(|paths| paths.iter().map(|path| file(path)).collect::<Vec<_>>())
                .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle()))
        ) {
            match (Manifest::new(sorted), Manifest::new(shuffled)) {
                (Ok(sorted), Ok(shuffled)) => {
                    prop_assert_eq!(&sorted, &shuffled);
                    prop_assert_eq!(sorted.artifact(), shuffled.artifact());
                    prop_assert_eq!(Manifest::decode(&sorted.encode()), Some(shuffled));
                }
                (sorted, shuffled) => prop_assert!(sorted.is_err() && shuffled.is_err()),
            }
        }

        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut opened = OPENING.to_vec();
            opened.extend(&bytes);
            prop_assert!(Manifest::decode(&bytes).is_none_or(|manifest| manifest.encode() == bytes));
            prop_assert!(Manifest::decode(&opened).is_none_or(|manifest| manifest.encode() == opened));
        }
    }
}
