//! Installed Python distributions, from a recipe's list of `name-version`, compared by name.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Part};
use crate::Value;

/// The distributions that are new, gone, or of another version, those of another version first.
pub(super) fn compare(old: &[Value], new: &[Value]) -> Vec<Change> {
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let version = |of: &BTreeMap<&str, BTreeSet<&str>>, name: &str| {
        let versions: Vec<&str> = of.get(name)?.iter().copied().collect();
        Some(Value::text(versions.join(", ")))
    };
    let differs = |name: &&str| old.get(name) != new.get(name);
    names
        .into_iter()
        .filter(differs)
        .map(|name| Change::value(Part::Package, name, version(&old, name), version(&new, name)))
        .collect()
}

fn by_name(distributions: &[Value]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in distributions.iter().filter_map(Value::as_text).map(split) {
        packages.entry(name).or_default().insert(version);
    }
    packages
}

/// `numpy-2.1.0` as name and version. A version begins with a digit, and a name may hold a hyphen in old kinds of metadata.
fn split(distribution: &str) -> (&str, &str) {
    let is_version = |(place, _): &(usize, &str)| {
        distribution[place + 1..].starts_with(|first: char| first.is_ascii_digit())
    };
    match distribution.match_indices('-').find(is_version) {
        Some((place, _)) => (&distribution[..place], &distribution[place + 1..]),
        None => (distribution, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_told_apart() {
        assert_eq!(split("numpy-2.1.0"), ("numpy", "2.1.0"));
        assert_eq!(split("scikit_learn-1.7.0rc1"), ("scikit_learn", "1.7.0rc1"));
        assert_eq!(split("old-style-0.1-py3.12"), ("old-style", "0.1-py3.12"));
        assert_eq!(split("nameless"), ("nameless", ""));
    }
}
