//! What a fuzzer tries, and the tests try again on what it kept (`fuzz/corpus`): each function takes any bytes, and panics only where a law
//! is broken.

use tidemill_cache::{ActionResult, Artifact, Digest, Form, Key, Usage};

use crate::chunks::{self, Kind, Name, Part};
use crate::codec;
use crate::known::PackId;
use crate::level::Level;
use crate::pack::{self, Builder, Chunk, Place};
use crate::record::{self, Record};
use crate::sync;

/// An index: as it comes, and as the body of a sealed one.
pub fn index(bytes: &[u8]) {
    let sealed = codec::seal(sync::TITLE, &codec::compress(bytes));
    for bytes in [bytes, &sealed] {
        for (pack, places) in sync::decode(bytes, Level::Dev).into_iter().flatten() {
            assert_eq!(pack.level, Level::Dev, "an index speaks of its own level only");
            assert!(places.iter().all(|(_, place)| place.is_possible()));
        }
    }
}

/// The table at the end of a pack: as it comes, and as the body of one.
pub fn pack_table(bytes: &[u8]) {
    pack::end_length(bytes);
    let mut sealed = codec::compress(bytes);
    for length in [sealed.len(), bytes.len()] {
        sealed.extend(u32::try_from(length).expect("a fuzzer tries small things").to_le_bytes());
    }
    sealed.extend_from_slice(pack::MAGIC);
    for bytes in [bytes, &sealed] {
        let Some(places) = pack::table(bytes).and_then(|table| table.places()) else { continue };
        for (name, place) in places {
            assert!(place.is_possible());
            if let Some(chunk) = pack::chunk(bytes, &name, &place) {
                assert!(name.kind == Kind::List || Digest::of(chunk) == name.digest);
            }
        }
    }
}

/// The list of the chunks of a content.
pub fn chunk_list(bytes: &[u8]) {
    let lengths =
        bytes.chunks_exact(36).map(|part| u32::from_le_bytes([part[32], part[33], part[34], part[35]]));
    let size = lengths.map(u64::from).sum();
    if let Some(parts) = chunks::decode_list(bytes, size) {
        assert_eq!(chunks::encode_list(&parts), bytes, "a list has one form only");
        assert!(chunks::decode_list(bytes, size + 1).is_none());
    }
}

/// The record of a result: as it comes, and as a record of the key of the recipe that is in it.
pub fn stored_record(bytes: &[u8]) {
    assert!(Record::decode(bytes, &Key::of_recipe(b"another"), 1, &Level::ALL).is_none());
    let Some((sealed, key, number)) = record::as_if_of_its_key(bytes) else { return };
    let Some(record) = Record::decode(&sealed, &key, number, &Level::ALL) else { return };
    assert_eq!(record.result.key, Key::of_recipe(&record.recipe), "a record is of the key of its recipe");
    for (_, pack, place) in &record.chunks {
        assert!(place.is_possible() && record.packs.contains(pack));
    }
    let trusted = record.packs.iter().all(|pack| pack.level == Level::Ci);
    assert_eq!(Record::decode(&sealed, &key, number, &[Level::Ci]).is_some(), trusted);
}

/// What a fuzzer begins with, by the name of the function.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let digest = Digest::of(b"chunk");
    let chunk = |kind, length| Chunk { kind, digest: *digest.as_bytes(), length };
    let mut builder = Builder::default();
    builder.add(b"compressed", vec![chunk(Kind::Data, 5), chunk(Kind::List, 36)]);
    builder.add(b"more", vec![chunk(Kind::Data, 9)]);
    let table = builder.finish().table;
    let list = chunks::encode_list(&[Part { digest, length: 300_000 }, Part { digest, length: 7 }]);
    let artifact = Artifact { form: Form::File, digest, size: 5, files: 1 };
    let result = ActionResult {
        number: 1,
        key: Key::of_recipe(b"recipe"),
        outputs: [("model".to_owned(), Some(artifact))].into(),
        log: None,
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
    let at = |level| PackId { level, digest, size: 500 };
    let place = Place { offset: 3, stored: 10, raw: 41, start: 5, length: 36 };
    let chunks =
        vec![(Name::data(digest), at(Level::Ci), place), (Name::list(digest), at(Level::Dev), place)];
    let record = Record::new(result, b"recipe".to_vec(), chunks).encode();
    let record = codec::open(record::TITLE, &record).expect("it was sealed").to_vec();
    vec![
        ("index", vec![sync::body(&[(at(Level::Dev), table.clone())])]),
        ("pack_table", vec![codec::encode(&table)]),
        ("chunk_list", vec![list]),
        ("stored_record", vec![record]),
    ]
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");

    #[test]
    fn the_laws_hold_for_what_was_kept() {
        kept::replay(KEPT, "index", index);
        kept::replay(KEPT, "pack_table", pack_table);
        kept::replay(KEPT, "chunk_list", chunk_list);
        kept::replay(KEPT, "stored_record", stored_record);
    }

    #[test]
    fn a_fuzzer_begins_behind_the_first_check() {
        let seeds: std::collections::BTreeMap<_, _> = seeds().into_iter().collect();
        let seed = |name: &str| seeds[name][0].clone();
        let index = codec::seal(sync::TITLE, &codec::compress(&seed("index")));
        assert_eq!(sync::decode(&index, Level::Dev).map(|packs| packs.len()), Some(1));
        assert!(chunks::decode_list(&seed("chunk_list"), 300_007).is_some());
        let (sealed, key, number) = record::as_if_of_its_key(&seed("stored_record")).unwrap();
        assert!(Record::decode(&sealed, &key, number, &Level::ALL).is_some());
    }
}
