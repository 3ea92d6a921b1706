//! The manual of mistakes: the sections of `docs/mistakes.md`, so that the page and `tidemill explain-error` cannot disagree.

use serde::Serialize;

use super::code::Code;

/// The page.
const PAGE: &str = include_str!("../../../docs/mistakes.md");

/// What is to be known about a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The code.
    pub code: Code,
    /// What it means, in a sentence.
    pub title: &'static str,
    /// What is behind it; may be empty.
    pub text: &'static str,
    /// An example that is wrong.
    pub wrong: Option<Example>,
    /// The same, put right.
    pub right: Option<Example>,
}

/// An example of the manual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// `toml` for a part of a pipeline file, `sh` for what is typed.
    pub language: &'static str,
    /// Its lines.
    pub text: &'static str,
}

/// What the manual says about a code.
///
/// # Panics
/// Never: a test holds that every code has its section.
#[must_use]
pub fn explained(code: Code) -> Explained {
    let heading = format!("\n## {code}\n");
    let start = PAGE.find(&heading).expect("every code has its section") + heading.len();
    let section = PAGE[start..].split("\n## ").next().unwrap_or_default().trim();
    let mut parts = section.split("```");
    let (title, text) = prose(parts.next().unwrap_or_default());
    // Between two fences is an example, then what is between two examples.
    let mut examples = parts.step_by(2).map(example);
    Explained { code, title, text, wrong: examples.next(), right: examples.next() }
}

fn prose(text: &'static str) -> (&'static str, &'static str) {
    let (title, rest) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
    (title, rest.trim())
}

fn example(fenced: &'static str) -> Example {
    let (language, text) = fenced.split_once('\n').unwrap_or(("", fenced));
    Example { language, text: text.trim_end() }
}

/// The code with this name, else the names that are near it.
///
/// # Errors
/// The nearest names, at most one if a typo is likely.
pub fn code_named(name: &str) -> Result<Code, Option<Code>> {
    let known = Code::ALL.iter().copied();
    match known.clone().find(|code| code.as_str() == name) {
        Some(code) => Ok(code),
        None => {
            let near = super::nearest(name, known.clone().map(Code::as_str));
            Err(known.into_iter().find(|code| Some(code.as_str()) == near))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_section_and_every_section_its_code() {
        let sections: Vec<&str> =
            PAGE.split("\n## ").skip(1).filter_map(|section| section.lines().next()).collect();
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(sections, codes, "sorted, each once");
        for &code in Code::ALL {
            let explained = explained(code);
            assert!(explained.title.ends_with('.') && !explained.title.contains("\n\n"), "{code}");
            assert!(explained.wrong.is_some(), "{code} has an example");
        }
    }

    #[test]
    fn a_section_is_taken_apart() {
        let explained = explained(Code::EmptyCommand);
        assert_eq!(explained.title, "A command is empty.");
        assert_eq!(
            explained.text,
            "`run` is a command line for the shell, or a list of a program and its arguments."
        );
        assert_eq!(explained.wrong.unwrap().text, "[steps.train]\nrun = \"\"");
        assert_eq!(explained.right.unwrap().language, "toml");
    }

    #[test]
    fn a_typo_finds_its_code() {
        assert_eq!(code_named("cycle"), Ok(Code::Cycle));
        assert_eq!(code_named("unknown-filed"), Err(Some(Code::UnknownField)));
        assert_eq!(code_named("weather"), Err(None));
    }
}
