//! The record of a result in a store: the result, its recipe, and where its contents lie.

use serde::{Deserialize, Serialize};
use tidemill_cache::{ActionResult, Digest, Key};

use crate::chunks::{Kind, Name};
use crate::codec;
use crate::known::{Located, PackId};
use crate::level::Level;
use crate::limits::RECORD_CHUNKS;
use crate::pack::Place;

pub(crate) const TITLE: &str = "tidemill result 1";

/// What is known of a result in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) result: ActionResult,
    /// The canonical bytes of the recipe.
    pub(crate) recipe: Vec<u8>,
    /// The packs that hold all contents of its outputs and its log.
    pub(crate) packs: Vec<PackId>,
    /// Where their chunks lie; empty if they are too many.
    pub(crate) chunks: Vec<Located>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    result: Vec<u8>,
    recipe: Vec<u8>,
    packs: Vec<(u8, [u8; 32], u64)>,
    chunks: Vec<(Kind, [u8; 32], u32, Place)>,
}

impl Record {
    /// A record of a result whose contents lie there.
    pub(crate) fn new(result: ActionResult, recipe: Vec<u8>, mut chunks: Vec<Located>) -> Self {
        let mut packs: Vec<PackId> = chunks.iter().map(|(_, pack, _)| *pack).collect();
        packs.sort_unstable();
        packs.dedup();
        chunks.sort_unstable_by_key(|(_, pack, place)| (*pack, *place));
        chunks.dedup();
        if chunks.len() > RECORD_CHUNKS {
            chunks.clear();
        }
        Self { result, recipe, packs, chunks }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let number =
            |pack: &PackId| self.packs.binary_search(pack).expect("each chunk lies in one of the packs");
        let chunk = |(name, pack, place): &Located| {
            let number = u32::try_from(number(pack)).expect("packs are few");
            (name.kind, *name.digest.as_bytes(), number, *place)
        };
        let body = Body {
            result: serde_json::to_vec(&self.result).expect("a result has a form"),
            recipe: self.recipe.clone(),
            packs: self
                .packs
                .iter()
                .map(|pack| (pack.level.number(), *pack.digest.as_bytes(), pack.size))
                .collect(),
            chunks: self.chunks.iter().map(chunk).collect(),
        };
        codec::seal(TITLE, &codec::encode(&body))
    }

    /// The record that these bytes are, if it is one of this key and number and names only packs of levels that are trusted.
    pub(crate) fn decode(bytes: &[u8], key: &Key, number: u64, trusted: &[Level]) -> Option<Self> {
        let (body, result) = read(codec::open(TITLE, bytes)?)?;
        if result.key != *key || result.number != number || Key::of_recipe(&body.recipe) != *key {
            return None;
        }
        let pack = |(level, digest, size): (u8, [u8; 32], u64)| {
            let level = Level::of_number(level).filter(|level| trusted.contains(level))?;
            Some(PackId { level, digest: Digest::from_bytes(digest), size })
        };
        let packs: Vec<PackId> = body.packs.into_iter().map(pack).collect::<Option<_>>()?;
        let chunk = |(kind, digest, pack, place): (Kind, [u8; 32], u32, Place)| {
            let pack = *packs.get(pack as usize)?;
            let name = Name { kind, digest: Digest::from_bytes(digest) };
            place.is_possible().then_some((name, pack, place))
        };
        let chunks = body.chunks.into_iter().map(chunk).collect::<Option<_>>()?;
        Some(Self { result, recipe: body.recipe, packs, chunks })
    }

    /// Whether these bytes are as whoever wrote them left them, and yet no record that this version knows.
    pub(crate) fn is_strange(bytes: &[u8]) -> bool {
        codec::open(TITLE, bytes).is_some_and(|body| read(body).is_none())
    }
}

fn read(body: &[u8]) -> Option<(Body, ActionResult)> {
    let body: Body = codec::decode(body)?;
    let result = serde_json::from_slice(&body.result).ok()?;
    Some((body, result))
}

/// The body of a record as a sealed one, its result made one of the key of its recipe: what no fuzzer would come to by itself.
#[cfg(any(test, fuzzing))]
pub(crate) fn as_if_of_its_key(body: &[u8]) -> Option<(Vec<u8>, Key, u64)> {
    let (mut body, mut result) = read(body)?;
    result.key = Key::of_recipe(&body.recipe);
    let (key, number) = (result.key, result.number);
    body.result = serde_json::to_vec(&result).ok()?;
    Some((codec::seal(TITLE, &codec::encode(&body)), key, number))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tidemill_cache::{Artifact, Form, Usage};

    use super::*;

    pub(crate) fn result(recipe: &[u8], output: Artifact) -> ActionResult {
        ActionResult {
            number: 1,
            key: Key::of_recipe(recipe),
            outputs: BTreeMap::from([("out".to_owned(), Some(output))]),
            log: None,
            usage: Usage::default(),
            finished: jiff::Timestamp::UNIX_EPOCH,
            run: "r1".into(),
            step: "train".into(),
            pipeline: "story".into(),
            host: "here".into(),
            user: "ada".into(),
            project: "/project".into(),
            sandbox: "default".into(),
        }
    }

    fn record() -> Record {
        let artifact = Artifact { form: Form::File, digest: Digest::of(b"x"), size: 1, files: 1 };
        let pack = |text: &str, level| PackId { level, digest: Digest::of(text.as_bytes()), size: 50 };
        let place = Place { offset: 3, stored: 10, raw: 20, start: 1, length: 5 };
        let chunks = vec![
            (Name::data(Digest::of(b"x")), pack("two", Level::Dev), place),
            (Name::list(Digest::of(b"y")), pack("one", Level::Ci), place),
        ];
        Record::new(result(b"recipe", artifact), b"recipe".to_vec(), chunks)
    }

    #[test]
    fn a_record_is_read_back_by_who_trusts_its_levels() {
        let (record, key) = (record(), Key::of_recipe(b"recipe"));
        let bytes = record.encode();
        let read = |number, trusted: &[Level]| Record::decode(&bytes, &key, number, trusted);
        assert_eq!(read(1, &[Level::Ci, Level::Dev]), Some(record));
        assert_eq!(read(2, &[Level::Ci, Level::Dev]), None, "it is another result");
        assert_eq!(read(1, &[Level::Ci]), None, "one of its packs was written by who is not trusted");
        assert_eq!(Record::decode(&bytes, &Key::of_recipe(b"other"), 1, &Level::ALL), None);
    }

    #[test]
    fn of_many_chunks_only_the_packs_are_named() {
        let record = record();
        let (name, pack, place) = record.chunks[0];
        let many =
            (0..2000_u32).map(|start| (name, pack, Place { start: start % 15, offset: start, ..place }));
        let many = Record::new(record.result, record.recipe, many.collect());
        assert_eq!((many.chunks.len(), many.packs.len()), (0, 1));
        let read = Record::decode(&many.encode(), &many.result.key, 1, &Level::ALL);
        assert_eq!(read, Some(many));
    }

    proptest! {
        #[test]
        fn bytes_that_were_changed_are_no_record(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = record().encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Record::decode(&bytes, &Key::of_recipe(b"recipe"), 1, &Level::ALL), None);
        }

        #[test]
        fn any_body_is_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = codec::seal(TITLE, &body);
            prop_assert_eq!(Record::decode(&bytes, &Key::of_recipe(b"recipe"), 1, &Level::ALL), None);
        }
    }
}
