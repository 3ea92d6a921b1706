//! What a fuzzer tries, and the tests try again on what it kept (`fuzz/corpus`): each function takes any bytes, and panics only where a law
//! is broken.

use camino::Utf8Path;

use crate::executors::Executors;
use crate::graph;
use crate::interface::Catalog;
use crate::spec::{Diagnostics, LoadRequest, split};

/// A pipeline file: a graph, or mistakes that can be shown where they are. It lies in a folder that is not there.
pub fn pipeline(bytes: &[u8], catalog: &dyn Catalog) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let file = Utf8Path::new("/nowhere/at/all/pipeline.toml");
    let read = || {
        graph::load(&LoadRequest {
            file,
            text,
            set: &[],
            params_files: &[],
            catalog,
            executors: Executors::none(),
        })
    };
    match (read(), read()) {
        (Ok(graph), Ok(again)) => {
            let keys = |graph: &graph::Graph| -> Vec<String> {
                graph.steps.iter().map(|step| format!("{step:?}")).collect()
            };
            assert_eq!(keys(&graph), keys(&again), "a file has one graph");
            assert_eq!(graph.order.len(), graph.steps.len(), "each step has its turn");
        }
        (Err(mistakes), Err(again)) => {
            assert_eq!(mistakes, again, "a mistake is told each time alike");
            can_be_shown(&mistakes, text);
        }
        _ => panic!("a file is wrong always or never"),
    }
    let _ = graph::names(text, catalog.interfaces());
}

fn can_be_shown(mistakes: &Diagnostics, text: &str) {
    assert!(!mistakes.items.is_empty(), "nothing is refused without a reason");
    for mistake in &mistakes.items {
        assert!(!mistake.message.is_empty());
        for label in &mistake.labels {
            assert!(mistakes.source_text.get(label.span.clone()).is_some(), "{mistake:?} in {text:?}");
        }
    }
}

/// A text with references.
pub fn template(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (pieces, wrong) = split(text);
    assert!(!pieces.is_empty() || !wrong.is_empty());
    for piece in pieces {
        if let crate::spec::Piece::Reference { words, place } = piece {
            let written = text.get(place).expect("a reference is somewhere in the text");
            assert!(written.starts_with("${") && written.ends_with('}'), "{written:?}");
            assert!(words.iter().all(|word| written.contains(word.as_str())), "{words:?} in {written:?}");
        }
    }
}

/// An expression of a `when` or a `gate`: it has a value, or a reason that can be shown.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match graph::Expression::parse(text) {
        Ok(expression) => {
            // Whether it has a value is its own affair.
            let _ = expression.evaluate(&|name| (name.len() % 2 == 0).then_some(crate::Value::Int(7)));
        }
        Err(error) => assert!(text.get(error.span.clone()).is_some(), "{error:?} in {text:?}"),
    }
}

/// A project file.
pub fn project_file(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    crate::project::try_project_file(text);
}

/// What a fuzzer begins with, by the name of the function; pipelines lie in the repository.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    vec![
        ("template", texts(&["a ${params.alpha} $${b} ${steps.train.outputs.model}", "${", "$$${x}$"])),
        (
            "expression",
            texts(&["${metrics.auc} >= 0.8 && !(${params.n} + 1 < 2 / 3)", "max(1, 2.5e3) == -x || true"]),
        ),
        (
            "project_file",
            texts(&[
                "[project]\npipelines = [\"*.toml\"]\nstate = \"~/x\"\npublish = \"link\"\nsandbox = \"strict\"\n",
                "[cache]\nkeep_runs = 3\nkeep_for = \"30d\"\nmax_size = \"2 GiB\"\n[store]\nurl = \"s3://b/p\"\n",
            ]),
        ),
    ]
}

#[cfg(test)]
#[path = "../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");

    #[test]
    fn the_laws_hold_for_what_was_kept() {
        let catalog = crate::graph::tests::catalog();
        kept::replay(KEPT, "pipeline", |bytes| pipeline(bytes, &catalog));
        kept::replay(KEPT, "template", template);
        kept::replay(KEPT, "expression", expression);
        kept::replay(KEPT, "project_file", project_file);
    }
}
