//! Bash, which splits a word at `=` and `:` before it asks: `train[fold=1]` and `--set seed=7` are put together again here, and
//! the answer is cut to the part that bash replaces.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine;
use clap_complete::env::EnvCompleter;

/// What bash splits words at, as far as it stands in our words.
const BREAKS: [&str; 2] = ["=", ":"];

/// Completion for bash.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let mut script = Vec::new();
        clap_complete::env::Bash.write_registration(var, name, bin, completer, &mut script)?;
        // Directly after a break the word is told to be empty; with the break it can be put together.
        let script = String::from_utf8_lossy(&script).replace(
            "words[COMP_CWORD]=\"$2\"",
            "[[ ${words[COMP_CWORD]} == [=:] ]] || words[COMP_CWORD]=\"$2\"",
        );
        buf.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let index =
            env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok()).unwrap_or_default();
        let separator = env::var("_CLAP_IFS").unwrap_or_else(|_| "\n".to_owned());
        let (words, index) = joined(args, index);
        let current = words.get(index).and_then(|word| word.to_str()).unwrap_or_default();
        let kept = current.rfind(['=', ':']).map_or(0, |place| place + 1);
        let kept = current[..kept].to_owned();
        let candidates = engine::complete(cmd, words, index, current_dir)?;
        let values = candidates.iter().map(|candidate| candidate.get_value().to_string_lossy());
        let values: Vec<String> =
            values.map(|value| value.strip_prefix(kept.as_str()).unwrap_or(&value).to_owned()).collect();
        buf.write_all(values.join(&separator).as_bytes())
    }
}

/// The words as they were typed, and which of them is being typed.
fn joined(split: Vec<OsString>, index: usize) -> (Vec<OsString>, usize) {
    let mut words: Vec<OsString> = Vec::with_capacity(split.len());
    let mut typed = index;
    let mut glued = false;
    for (place, word) in split.into_iter().enumerate() {
        let is_break = BREAKS.iter().any(|sign| word == *sign);
        match words.last_mut().filter(|_| place > 1 && (glued || is_break)) {
            Some(last) => last.push(&word),
            None => words.push(word),
        }
        if place == index {
            typed = words.len() - 1;
        }
        glued = is_break;
    }
    (words, typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(split: &[&str], index: usize) -> (Vec<String>, usize) {
        let (words, typed) = joined(split.iter().map(OsString::from).collect(), index);
        (words.into_iter().map(|word| word.into_string().unwrap()).collect(), typed)
    }

    #[test]
    fn words_are_put_together_as_they_were_typed() {
        let (words, typed) = join(&["tidemill", "log", "train[fold", "=", "1"], 4);
        assert_eq!((words, typed), (vec!["tidemill".into(), "log".into(), "train[fold=1".into()], 2));
        let (words, typed) = join(&["tidemill", "log", "train[a", "=", "0.1,fold", "="], 5);
        assert_eq!((words.last().map(String::as_str), typed), (Some("train[a=0.1,fold="), 2));
        let (words, typed) = join(&["tidemill", "run", "--set", "a", "=", "1", "--only", ""], 7);
        assert_eq!((words[3].as_str(), words.len(), typed), ("a=1", 6, 5));
    }
}
