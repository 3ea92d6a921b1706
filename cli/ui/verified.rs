//! What a verification of the cache found, as people read it.

use camino::Utf8Path;
use tidemill_cache::{Damage, Damaged, Remedy, VerifyReport};
use tidemill_engine::repair::Verified;

use super::text::{clean, size};

/// How much was read, and what is damaged, each thing in a line.
pub(crate) fn draw<'a>(
    found: &'a Verified,
    repair: bool,
    relative: impl Fn(&'a Utf8Path) -> &'a Utf8Path,
) -> String {
    let VerifyReport { objects, of_objects, seed, bytes, recipes, results, damaged } = &found.report;
    let (of, seed) = match seed {
        Some(seed) => (format!(" of {of_objects}"), format!(", --seed {seed}")),
        None => (String::new(), String::new()),
    };
    let bytes = size(*bytes);
    let mut text =
        format!("read {objects}{of} contents ({bytes}{seed}), {recipes} recipes, {results} results: ");
    let repaired = damaged.iter().filter(|damage| damage.repaired.is_some()).count();
    text.push_str(&match (damaged.len(), repair) {
        (0, _) => "all as they should be\n".to_owned(),
        (number, false) => format!("{number} damaged and removed\n"),
        (number, true) => format!("{number} damaged, {repaired} of them repaired, the others removed\n"),
    });
    for damage in damaged {
        let path = clean(relative(&damage.path).as_str());
        text.push_str(&format!("  {path}{}\n", clean(&fate(found, damage, &relative))));
    }
    text
}

/// What became of something damaged.
fn fate<'a>(
    found: &'a Verified,
    damage: &'a Damage,
    relative: &impl Fn(&'a Utf8Path) -> &'a Utf8Path,
) -> String {
    match &damage.repaired {
        Some(Remedy::Twin) => "  repaired from its twin".to_owned(),
        Some(Remedy::Store) => "  repaired from the store".to_owned(),
        Some(Remedy::Copy { path }) => format!("  repaired from {}", relative(path)),
        None => match found.steps.get(&damage.path) {
            Some(steps) if !steps.is_empty() => {
                let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
                format!("  made again when it is needed, by {}", steps.join(", "))
            }
            _ if matches!(damage.what, Damaged::Object { .. }) => {
                "  no output of a step: a log, or what the history shows".to_owned()
            }
            _ => String::new(),
        },
    }
}
