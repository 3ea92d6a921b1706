//! Names for the pipeline: plain, short, and each once.

use std::collections::BTreeSet;

use tidemill_engine::name::StepName;

/// Words that references use; no step can have them as its name.
const RESERVED: [&str; 9] =
    ["params", "inputs", "outputs", "matrix", "run", "secrets", "steps", "pipeline", "environments"];
/// Names may be this long, with room for a number.
const LONGEST: usize = 58;

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeSet<String>);

impl Taken {
    /// The first of these words that makes a free name, else the last one with a number.
    pub(super) fn name<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> String {
        let mut last = "x".to_owned();
        for word in words {
            last = plain(word);
            if self.0.insert(last.clone()) {
                return last;
            }
        }
        let mut numbers = 2_u32..;
        let free = numbers.find_map(|number| {
            let name = format!("{last}-{number}");
            self.0.insert(name.clone()).then_some(name)
        });
        free.unwrap_or(last)
    }

    /// A name for a file or folder: its own name without the end, with its folder if that is taken.
    pub(super) fn of_path(&mut self, path: &str) -> String {
        let mut parts = path.trim_end_matches('/').rsplit('/').filter(|part| !part.is_empty());
        let own = parts.next().unwrap_or("x");
        let stem = own.split('.').find(|part| !part.is_empty()).unwrap_or(own).to_owned();
        let with_folder = parts.next().map(|folder| format!("{folder}-{stem}"));
        let is_word = stem.starts_with(|c: char| c.is_ascii_alphabetic());
        match with_folder {
            Some(with_folder) if is_word => self.name([stem.as_str(), own, &with_folder]),
            Some(with_folder) => self.name([with_folder.as_str()]),
            None => self.name([stem.as_str(), own]),
        }
    }

    /// A name for a step.
    pub(super) fn step(&mut self, name: &str) -> String {
        let plain = plain(name);
        match RESERVED.contains(&plain.as_str()) {
            true => self.name([format!("{plain}-step").as_str()]),
            false => self.name([name]),
        }
    }
}

/// Lower-case letters, digits, `-` and `_`, beginning with a letter.
fn plain(word: &str) -> String {
    let fitting = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let fitted: String = word.chars().map(fitting).collect();
    let mut plain = String::new();
    for part in fitted.split('-').filter(|part| !part.is_empty()) {
        if !plain.is_empty() {
            plain.push('-');
        }
        plain.push_str(part);
    }
    plain.truncate(LONGEST);
    match StepName::new(&plain) {
        Ok(_) => plain,
        Err(_) if plain.is_empty() => "x".to_owned(),
        Err(_) => format!("x-{plain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_each_is_given_once() {
        let mut taken = Taken::default();
        assert_eq!(taken.of_path("src/train.py"), "train");
        assert_eq!(taken.of_path("data/train"), "data-train");
        assert_eq!(taken.of_path("data/train"), "data-train-2");
        assert_eq!(taken.of_path("models/2020.pkl"), "models-2020");
        assert_eq!(taken.of_path("2020.pkl"), "x-2020");
        assert_eq!(taken.of_path(".config/Ünï.yaml"), "config-n");
        assert_eq!(taken.step("Build_Features"), "build_features");
        assert_eq!(taken.step("run"), "run-step");
        assert_eq!(taken.step("fit-0.1"), "fit-0-1");
    }
}
