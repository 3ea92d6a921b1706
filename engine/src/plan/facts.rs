//! What a kept recipe says, for who reads it later: a report, the plots of a run. The other half of `recipe.rs`: nobody
//! else needs to know the layout.
//!
//! A recipe that an older or newer version kept is read as far as it is understood; what is not there is empty.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_cache::{Digest, Document};

/// What a recipe says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What runs: the command, or the name of a built-in.
    pub action: String,
    /// What is read, one entry per place.
    pub inputs: Vec<InputFact>,
    /// The declared outputs by name.
    pub outputs: BTreeMap<String, OutputFact>,
    /// The names of the variables that the process sees; their values are nobody's business.
    pub variables: BTreeSet<String>,
    /// The declared tools, each with the digest of its program.
    pub tools: BTreeMap<String, Option<Digest>>,
    /// The Python that the command starts with.
    pub python: Option<PythonFact>,
    /// Operating system, architecture and C library.
    pub platform: String,
}

/// Something that a step read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFact {
    /// The input's name.
    pub input: String,
    /// Where it lay in the step's folder.
    pub at: String,
    /// Its digest.
    pub digest: Digest,
    /// Whether it was a folder.
    pub folder: bool,
}

/// A declared output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFact {
    /// Where the step wrote it.
    pub path: String,
    /// `file`, `plot`, `metrics` and so on.
    pub kind: String,
}

/// A Python.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PythonFact {
    /// The implementation.
    pub implementation: String,
    /// The exact version.
    pub version: String,
    /// The installed distributions, as `name-version`.
    pub distributions: Vec<String>,
}

impl Facts {
    /// Reads a recipe.
    #[must_use]
    pub fn of(recipe: &Document) -> Self {
        let names = |part: &str| map(recipe.get(part)).map(|(name, _)| name.clone()).collect();
        Self {
            action: action(recipe.get("command")),
            inputs: map(recipe.get("inputs")).flat_map(|(name, places)| inputs(name, places)).collect(),
            outputs: map(recipe.get("outputs"))
                .map(|(name, output)| (name.clone(), declared(output)))
                .collect(),
            variables: names("env"),
            tools: map(recipe.get("tools")).map(|(name, tool)| (name.clone(), digest(tool))).collect(),
            python: recipe.get("python").and_then(python),
            platform: platform(recipe.get("platform")),
        }
    }
}

fn map(document: Option<&Document>) -> impl Iterator<Item = (&String, &Document)> {
    let members = match document {
        Some(Document::Map(members)) => Some(members),
        _ => None,
    };
    members.into_iter().flatten()
}

fn list(document: Option<&Document>) -> &[Document] {
    match document {
        Some(Document::List(items)) => items,
        _ => &[],
    }
}

fn text(document: &Document, name: &str) -> String {
    document.get(name).and_then(Document::as_text).unwrap_or_default().to_owned()
}

fn action(command: Option<&Document>) -> String {
    let Some(command) = command else { return String::new() };
    let words = list(command.get("exec")).iter().filter_map(Document::as_text).collect::<Vec<_>>().join(" ");
    let uses = || command.get("uses").and_then(Document::as_text);
    match command.get("shell").and_then(Document::as_text).or_else(uses) {
        Some(text) => text.to_owned(),
        None => words,
    }
}

fn inputs(name: &str, places: &Document) -> Vec<InputFact> {
    let fact = |place: &Document| {
        let content = place.get("content")?;
        Some(InputFact {
            input: name.to_owned(),
            at: text(place, "at"),
            digest: digest(content)?,
            folder: content.get("form").and_then(Document::as_text) == Some("folder"),
        })
    };
    list(Some(places)).iter().filter_map(fact).collect()
}

fn declared(output: &Document) -> OutputFact {
    OutputFact { path: text(output, "path"), kind: text(output, "kind") }
}

/// The digest in an artifact's identity.
fn digest(identity: &Document) -> Option<Digest> {
    match identity.get("digest")? {
        Document::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Digest::from_bytes),
        _ => None,
    }
}

fn python(python: &Document) -> Option<PythonFact> {
    let distributions = list(python.get("distributions")).iter().filter_map(Document::as_text);
    matches!(python, Document::Map(_)).then(|| PythonFact {
        implementation: text(python, "implementation"),
        version: text(python, "version"),
        distributions: distributions.map(str::to_owned).collect(),
    })
}

fn platform(platform: Option<&Document>) -> String {
    let Some(platform) = platform else { return String::new() };
    let words = ["os", "architecture", "libc"].map(|part| text(platform, part));
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use tidemill_cache::{Artifact, Form};

    use super::*;

    #[test]
    fn a_recipe_tells_what_it_was_made_of() {
        let data = Artifact { form: Form::File, digest: Digest::of(b"data"), size: 4, files: 1 };
        let place = Document::map([("at", Document::text("data.csv")), ("content", data.identity())]);
        let output = [("path", "p.svg"), ("kind", "plot")].map(|(name, value)| (name, Document::text(value)));
        let recipe = Document::map([
            ("command", Document::map([("shell", Document::text("python plot.py"))])),
            ("inputs", Document::map([("data", Document::List(vec![place]))])),
            ("outputs", Document::map([("curve", Document::map(output))])),
            ("env", Document::map([("TOKEN", Document::text("nobody's business"))])),
            ("python", Document::Null),
            ("platform", Document::map([("os", Document::text("linux")), ("libc", Document::text("gnu"))])),
        ]);
        let facts = Facts::of(&recipe);
        assert_eq!(facts.action, "python plot.py");
        assert_eq!(facts.inputs[0].digest, data.digest);
        assert_eq!((facts.inputs[0].at.as_str(), facts.inputs[0].folder), ("data.csv", false));
        assert_eq!(facts.outputs["curve"], OutputFact { path: "p.svg".to_owned(), kind: "plot".to_owned() });
        assert_eq!(facts.variables, BTreeSet::from(["TOKEN".to_owned()]));
        assert_eq!((facts.python, facts.platform.as_str()), (None, "linux gnu"));
    }

    #[test]
    fn what_is_not_understood_is_empty() {
        assert_eq!(Facts::of(&Document::Null), Facts::default());
        let odd = Document::map([("inputs", Document::Int(1)), ("python", Document::text("3.12"))]);
        assert_eq!(Facts::of(&odd), Facts::default());
    }
}
