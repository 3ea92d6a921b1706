//! A map of few members that is made once and then shared: one allocation, sorted, cheap to clone. A step has half a dozen of
//! them, and a graph up to a million steps.

use std::collections::BTreeMap;
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to this size it is searched from the beginning.
const FEW: usize = 8;

/// A sorted map of few members.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Few<K, V>(Arc<[(K, V)]>);

impl<K: Ord, V> Few<K, V> {
    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// Whether there is a value under a key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The key as it is kept, and its value.
    #[must_use]
    pub fn get_key_value(&self, key: &K) -> Option<(&K, &V)> {
        let place = match self.0.len() > FEW {
            true => self.0.binary_search_by(|(known, _)| known.cmp(key)).ok()?,
            false => self.0.iter().position(|(known, _)| known == key)?,
        };
        self.0.get(place).map(|(key, value)| (key, value))
    }
}

impl<K, V> Few<K, V> {
    /// All members, sorted by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

/// Of two values under one key the later one counts.
impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut members: Vec<(K, V)> = members.into_iter().collect();
        if members.is_sorted_by(|(left, _), (right, _)| left < right) {
            return Self(members.into());
        }
        members.reverse();
        members.sort_by(|(left, _), (right, _)| left.cmp(right));
        members.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Self(members.into())
    }
}

impl<K: Ord, V> From<BTreeMap<K, V>> for Few<K, V> {
    fn from(map: BTreeMap<K, V>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl<K: Ord, V> Index<&K> for Few<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("there is a value under the key")
    }
}

impl<'a, K, V> IntoIterator for &'a Few<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Serialize, V: Serialize> Serialize for Few<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Few<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is the map that the standard library makes of the same members.
        #[test]
        fn it_is_a_map(members in prop::collection::vec((0u8..30, any::<u8>()), 0..40)) {
            let map: BTreeMap<u8, u8> = members.iter().copied().collect();
            let few: Few<u8, u8> = members.iter().copied().collect();
            prop_assert_eq!(few.iter().collect::<Vec<_>>(), map.iter().collect::<Vec<_>>());
            prop_assert_eq!(&few, &Few::from(map.clone()));
            for key in 0..30 {
                prop_assert_eq!(few.get(&key), map.get(&key));
            }
            let read: Few<u8, u8> = postcard::from_bytes(&postcard::to_stdvec(&few).unwrap()).unwrap();
            prop_assert_eq!(&read, &few);
        }
    }
}
