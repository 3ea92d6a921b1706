//! Canonical documents written part by part, without the tree: what is encoded a million times has no time for it.

use crate::document::{write_bytes, write_length};
use crate::{Document, DocumentError};

/// Writes one canonical document.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

/// Writes the members of a map.
#[derive(Debug)]
pub struct MapEncoder<'a> {
    out: &'a mut Vec<u8>,
    /// How many members are to come.
    left: usize,
    /// Where the name of the last one stands.
    last: std::ops::Range<usize>,
}

impl<'a> Encoder<'a> {
    /// Appends a document to these bytes.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A text.
    ///
    /// # Errors
    /// None: all that writes a document says whether it could.
    pub fn text(self, text: &str) -> Result<(), DocumentError> {
        write_bytes(b't', text.as_bytes(), self.out);
        Ok(())
    }

    /// A document that is there.
    ///
    /// # Errors
    /// If a number is NaN.
    pub fn document(self, document: &Document) -> Result<(), DocumentError> {
        document.write(self.out)
    }

    /// A list of these items.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn list<T>(
        self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(T, Encoder<'_>) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        write_length(b'l', items.len(), self.out);
        for item in items {
            write(item, Encoder { out: self.out })?;
        }
        Ok(())
    }

    /// A map of so many members.
    ///
    /// # Errors
    /// Those of `write`.
    ///
    /// # Panics
    /// If `write` writes another number of members.
    pub fn map(
        self,
        members: usize,
        write: impl FnOnce(&mut MapEncoder<'_>) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        write_length(b'm', members, self.out);
        let mut map = MapEncoder { out: self.out, left: members, last: 0..0 };
        write(&mut map)?;
        assert_eq!(map.left, 0, "a map has as many members as were announced");
        Ok(())
    }

    /// A map of these members, sorted by name.
    ///
    /// # Errors
    /// Those of `write`.
    ///
    /// # Panics
    /// If they are not sorted.
    pub fn members<'n, T>(
        self,
        members: impl ExactSizeIterator<Item = (&'n str, T)>,
        mut write: impl FnMut(T, Encoder<'_>) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        self.map(members.len(), |map| {
            members.into_iter().try_for_each(|(name, member)| map.member(name, |value| write(member, value)))
        })
    }
}

impl MapEncoder<'_> {
    /// The next member.
    ///
    /// # Errors
    /// Those of `write`.
    ///
    /// # Panics
    /// If its name does not sort after the one before: the document would not be canonical.
    pub fn member(
        &mut self,
        name: &str,
        write: impl FnOnce(Encoder<'_>) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        assert!(self.last.is_empty() || self.out[self.last.clone()] < *name.as_bytes(), "names come sorted");
        self.left = self.left.checked_sub(1).expect("a map has as many members as were announced");
        write_bytes(b't', name.as_bytes(), self.out);
        self.last = self.out.len() - name.len()..self.out.len();
        write(Encoder { out: self.out })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(document: &Document, to: Encoder<'_>) -> Result<(), DocumentError> {
        match document {
            Document::Text(text) => to.text(text),
            Document::List(items) => to.list(items.iter(), write),
            Document::Map(members) => {
                to.members(members.iter().map(|(name, member)| (name.as_str(), member)), write)
            }
            other => to.document(other),
        }
    }

    fn document() -> impl Strategy<Value = Document> {
        let leaf = prop_oneof![
            Just(Document::Null),
            any::<i64>().prop_map(Document::Int),
            any::<f64>().prop_map(Document::Float),
            ".{0,4}".prop_map(Document::Text),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Document::List),
                prop::collection::btree_map("[a-cé]{0,3}", inner, 0..4).prop_map(Document::Map),
            ]
        })
    }

    proptest! {
        /// What is written part by part is what the tree encodes to, and what cannot be encoded is refused in both ways.
        #[test]
        fn both_ways_write_the_same(document in document()) {
            let mut bytes = vec![7];
            let written = write(&document, Encoder::new(&mut bytes));
            match (document.encode(), written) {
                (Ok(encoded), Ok(())) => prop_assert_eq!(&bytes[1..], &encoded[..]),
                (encoded, written) => prop_assert_eq!(encoded.err(), written.err()),
            }
        }
    }

    fn map_of(members: usize, names: &[&str]) {
        let mut bytes = Vec::new();
        let written = Encoder::new(&mut bytes).map(members, |map| {
            names.iter().try_for_each(|name| map.member(name, |to| to.document(&Document::Null)))
        });
        written.unwrap();
    }

    #[test]
    #[should_panic(expected = "names come sorted")]
    fn unsorted_names_are_a_bug() {
        map_of(3, &["a", "c", "b"]);
    }

    #[test]
    #[should_panic(expected = "names come sorted")]
    fn one_name_twice_is_a_bug() {
        map_of(2, &["a", "a"]);
    }

    #[test]
    #[should_panic(expected = "as many members as were announced")]
    fn a_member_that_is_missing_is_a_bug() {
        map_of(2, &["a"]);
    }

    #[test]
    #[should_panic(expected = "as many members as were announced")]
    fn a_member_too_many_is_a_bug() {
        map_of(1, &["a", "b"]);
    }
}
