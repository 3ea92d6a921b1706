//! Where everything lies in a store.
//!
//! ```text
//! tidemill-store                     what store this is: its format and its id
//! <level>/results/ab/<key>.1         the first result of a key, with its recipe and the places of its contents
//! <level>/results/ab/<key>.2         a later one; only keys that <level>/marks names have one
//! <level>/marks/<key>.<n>.later      there is a result n of this key
//! <level>/marks/<key>.<n>.withdrawn  result n was withdrawn
//! <level>/marks/swept.<time>-<random>  garbage was collected
//! <level>/used/<digest>              keys of results that somebody has used
//! <level>/packs/ab/<digest>          chunks of contents
//! <level>/indexes/<time>-<random>    which chunks some packs hold, for those who push
//! <level>/tmp/                       what is being written where a store has no conditional put
//! ```

use object_store::path::Path;
use tidemill_cache::{Digest, Key};

use crate::level::Level;

/// Paths below the prefix of a store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    prefix: Path,
}

/// A mark about a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is there, and not the first of its key.
    Later,
    /// It was withdrawn.
    Withdrawn,
}

impl Mark {
    const fn word(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Layout {
    pub(crate) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    fn below<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Path {
        parts.into_iter().fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(crate) fn identity(&self) -> Path {
        self.below(["tidemill-store"])
    }

    pub(crate) fn result(&self, level: Level, key: &Key, number: u64) -> Path {
        let key = key.to_string();
        self.below([level.word(), "results", &key[..2], &format!("{key}.{number}")])
    }

    pub(crate) fn results(&self, level: Level) -> Path {
        self.below([level.word(), "results"])
    }

    pub(crate) fn marks(&self, level: Level) -> Path {
        self.below([level.word(), "marks"])
    }

    pub(crate) fn mark(&self, level: Level, key: &Key, number: u64, mark: Mark) -> Path {
        self.below([level.word(), "marks", &format!("{key}.{number}.{}", mark.word())])
    }

    pub(crate) fn pack(&self, level: Level, digest: &Digest) -> Path {
        let digest = digest.to_string();
        self.below([level.word(), "packs", &digest[..2], &digest])
    }

    pub(crate) fn packs(&self, level: Level) -> Path {
        self.below([level.word(), "packs"])
    }

    pub(crate) fn indexes(&self, level: Level) -> Path {
        self.below([level.word(), "indexes"])
    }

    pub(crate) fn index(&self, level: Level, name: &str) -> Path {
        self.below([level.word(), "indexes", name])
    }

    pub(crate) fn sweep(&self, level: Level, name: &str) -> Path {
        self.below([level.word(), "marks", name])
    }

    pub(crate) fn uses(&self, level: Level) -> Path {
        self.below([level.word(), "used"])
    }

    pub(crate) fn used(&self, level: Level, name: &str) -> Path {
        self.below([level.word(), "used", name])
    }

    pub(crate) fn temporary(&self, level: Level, name: &str) -> Path {
        self.below([level.word(), "tmp", name])
    }
}

/// What the names of the marks of a collection of garbage begin with.
pub(crate) const SWEPT: &str = "swept.";

/// The key, the number and the mark that a file name says.
pub(crate) fn parse_mark(name: &str) -> Option<(Key, u64, Mark)> {
    let (result, word) = name.rsplit_once('.')?;
    let mark = [Mark::Later, Mark::Withdrawn].into_iter().find(|mark| mark.word() == word)?;
    let (key, number) = parse_result(result)?;
    Some((key, number, mark))
}

/// The key and the number that the name of a result says.
pub(crate) fn parse_result(name: &str) -> Option<(Key, u64)> {
    let (key, number) = name.split_once('.')?;
    let (key, number): (Key, u64) = (key.parse().ok()?, number.parse().ok()?);
    // It has one form only.
    (number > 0 && format!("{key}.{number}") == name).then_some((key, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_nothing_else_is() {
        let layout = Layout::new(Path::from("team/store"));
        let key = Key::of_recipe(b"recipe");
        let path = layout.mark(Level::Dev, &key, 7, Mark::Withdrawn);
        assert!(path.as_ref().starts_with("team/store/dev/marks/"));
        assert_eq!(parse_mark(path.filename().unwrap()), Some((key, 7, Mark::Withdrawn)));
        for name in
            ["", "x.1.later", &format!("{key}.0.later"), &format!("{key}.1"), &format!("{key}.1.later.x")]
        {
            assert_eq!(parse_mark(name), None, "{name}");
        }
        let name = layout.result(Level::Dev, &key, 12);
        assert_eq!(parse_result(name.filename().unwrap()), Some((key, 12)));
        for name in [
            "",
            "x.1",
            &format!("{key}.0"),
            &format!("{key}.+1"),
            &format!("{key}.1.later"),
            &key.to_string(),
        ] {
            assert_eq!(parse_result(name), None, "{name}");
        }
    }
}
