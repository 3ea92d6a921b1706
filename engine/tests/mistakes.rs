//! Malformed pipelines and what a user is told: `tests/mistakes/*.toml`, each with its drawn answer beside it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use camino::Utf8Path;
use miette::{GraphicalReportHandler, GraphicalTheme};
use tidemill_cache::Document;
use tidemill_engine::executors::Executors;
use tidemill_engine::graph::load;
use tidemill_engine::interface::{
    Catalog, Field, InputPort, Interface, OutputKind, OutputPort, Standing, WithProblem,
};
use tidemill_engine::spec::{Diagnostics, LoadRequest};

/// A small catalog with the look of the real one.
struct Builtins(Vec<Interface>);

fn builtins() -> Builtins {
    let input = |name, many| InputPort { name, required: true, many, doc: "a table of rows" };
    let output = |name, path, kind| OutputPort { name, path, kind, optional: false, doc: "" };
    let field = |name, required, kind| Field { name, required, kind, doc: "see the manual" };
    let interface = |name, inputs, outputs, with, effect| Interface {
        name,
        version: 1,
        summary: "",
        inputs,
        outputs,
        with,
        effect,
    };
    let table = || vec![output("table", "table.parquet", OutputKind::File)];
    let trained = vec![
        output("model", "model.onnx", OutputKind::Model),
        output("metrics", "metrics.json", OutputKind::Metrics),
    ];
    let options = vec![
        field("target", true, "text"),
        field("algorithm", false, "text"),
        field("alpha", false, "number"),
    ];
    Builtins(vec![
        interface("ingest", vec![input("source", false)], table(), vec![], false),
        interface("train", vec![input("data", false)], trained, options, false),
        interface("register", vec![input("models", true)], vec![], vec![], true),
    ])
}

impl Catalog for Builtins {
    fn interfaces(&self) -> &[Interface] {
        &self.0
    }

    fn check(&self, _: &str, with: &Document) -> Vec<WithProblem> {
        let mut problems = Vec::new();
        if let Some(Document::Int(..0)) = with.get("alpha") {
            let message = "must not be negative".to_owned();
            problems.push(WithProblem { path: vec!["alpha".into()], message, help: None });
        }
        if with.get("algorithm").and_then(Document::as_text).is_some_and(|name| name != "ridge") {
            problems.push(WithProblem {
                path: vec!["algorithm".into()],
                message: "there is no such algorithm".to_owned(),
                help: Some("did you mean `ridge`?".to_owned()),
            });
        }
        problems
    }

    fn probe(&self, _: &str, _: &Utf8Path, _: &Document, _: &serde_json::Value) -> Result<Standing, String> {
        Ok(Standing::Same)
    }

    fn target(&self, step: &str, _: &Document) -> String {
        step.to_owned()
    }
}

fn drawn(diagnostics: &Diagnostics) -> String {
    let theme = GraphicalTheme::unicode_nocolor();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
    let mut answer = String::new();
    for report in diagnostics.reports() {
        handler.render_report(&mut answer, &report).expect("a text takes every drawing");
        answer.push('\n');
    }
    let _ = writeln!(answer, "{diagnostics}");
    answer
}

#[test]
fn every_mistake_is_told_as_it_is_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mistakes");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 40, "the mistakes are there");
    let mut different = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let request = LoadRequest {
            file: Utf8Path::new("/project/pipeline.toml"),
            text: &text,
            set: &[],
            params_files: &[],
            catalog: &builtins(),
            executors: Executors::none(),
        };
        let answer = match load(&request) {
            Ok(_) => panic!("{name} is no mistake"),
            Err(diagnostics) => drawn(&diagnostics),
        };
        let check = || settings.bind(|| insta::assert_snapshot!(name.as_str(), answer));
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err() {
            different.push(name);
        }
    }
    assert!(different.is_empty(), "other answers than written down: {different:?}");
}
