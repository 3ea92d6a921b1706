//! The law of explanations, and what they say of each part of a recipe.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidemill_cache::{Artifact, Document, Form, Key};

use super::compare::{Comparison, compare};
use super::phrase::summary;

fn all(old: &Document, new: &Document) -> Comparison {
    compare(old, new, &BTreeSet::new())
}

fn said(old: &Document, new: &Document) -> Vec<String> {
    all(old, new).changes.iter().map(ToString::to_string).collect()
}

/// A recipe with one part in place of the usual one.
fn with(part: &str, value: Document) -> Document {
    let Document::Map(mut recipe) = recipe("0.5", 1) else { unreachable!() };
    recipe.insert(part.to_owned(), value);
    Document::Map(recipe)
}

fn content(number: u8, form: Form) -> Document {
    Artifact { form, digest: tidemill_cache::Digest::of(&[number]), size: 1, files: 1 }.identity()
}

fn place(at: &str, content: Document) -> Document {
    Document::map([("at", Document::text(at)), ("content", content)])
}

fn python(version: &str, packages: &[&str]) -> Document {
    Document::map([
        ("implementation", Document::text("CPython")),
        ("version", Document::text(version)),
        ("distributions", Document::List(packages.iter().copied().map(Document::text).collect())),
    ])
}

fn recipe(alpha: &str, data: u8) -> Document {
    let output = Document::map([
        ("path", Document::text("model.bin")),
        ("kind", Document::text("file")),
        ("optional", Document::Bool(false)),
    ]);
    let places = Document::List(vec![place("data.csv", content(data, Form::File))]);
    Document::map([
        ("layout", Document::Int(1)),
        (
            "command",
            Document::map([("shell", Document::text(format!("train --alpha {alpha} --out model.bin")))]),
        ),
        ("inputs", Document::map([("data", places)])),
        ("params", Document::map([("alpha", Document::text(alpha))])),
        ("env", Document::map([("ALPHA", Document::text(alpha)), ("MODE", Document::Null)])),
        ("outputs", Document::map([("model", output)])),
        ("tools", Document::map([("trainer", content(7, Form::Executable))])),
        ("python", Document::Null),
        ("fingerprint", Document::Null),
        ("platform", Document::map([("os", Document::text("linux"))])),
    ])
}

#[test]
fn a_parameter_is_the_cause_and_the_command_follows() {
    let found = all(&recipe("0.5", 1), &recipe("0.7", 1));
    assert_eq!(summary(&found.changes).as_deref(), Some("parameter alpha changed: 0.5 → 0.7"));
    let consequences: Vec<String> = found.consequences.iter().map(ToString::to_string).collect();
    assert_eq!(consequences, ["command changed: --alpha 0.5 → 0.7", "variable ALPHA changed: 0.5 → 0.7"]);
    let both = all(&recipe("0.5", 1), &recipe("0.7", 2)).changes;
    assert_eq!(summary(&both).as_deref(), Some("parameter alpha changed: 0.5 → 0.7, and 1 more"));
}

#[test]
fn an_edit_of_the_command_is_no_consequence() {
    let command = |text: &str| Document::map([("shell", Document::text(text))]);
    let new = with("command", command("train --beta 0.5 --out model.bin"));
    assert_eq!(said(&recipe("0.5", 1), &new), ["command changed: --alpha → --beta"]);
    let new = with("command", command("train  --alpha '0.5' --out model.bin"));
    assert_eq!(said(&recipe("0.5", 1), &new), ["command changed only in its spacing, quoting or comments"]);
    let new = with("command", Document::map([("exec", Document::List(vec![Document::text("train")]))]));
    assert_eq!(said(&recipe("0.5", 1), &new), ["what it does changed: a shell command → a program"]);
}

#[test]
fn every_part_has_its_words() {
    let old = recipe("0.5", 1);
    let map = |name: &str, value: Document| Document::map([(name, value)]);
    let output = |path: &str, optional: bool| {
        map(
            "model",
            Document::map([
                ("path", Document::text(path)),
                ("kind", Document::text("file")),
                ("optional", Document::Bool(optional)),
            ]),
        )
    };
    let cases = [
        (
            "env",
            map("MODE", Document::text("fast")),
            vec!["variable MODE changed: not set → fast", "variable ALPHA is gone"],
        ),
        (
            "outputs",
            output("m.bin", true),
            vec![
                "output model.optional changed: false → true",
                "output model.path changed: model.bin → m.bin",
            ],
        ),
        ("outputs", Document::map::<String>([]), vec!["output model is gone"]),
        ("fingerprint", Document::text("42"), vec!["fingerprint is new"]),
        ("tools", map("trainer", content(8, Form::Executable)), vec!["tool trainer changed"]),
        ("python", python("3.12.1", &[]), vec!["Python is new"]),
        ("platform", map("os", Document::text("macos")), vec!["platform: os changed: linux → macos"]),
        ("layout", Document::Int(2), vec!["layout of recipes changed: 1 → 2"]),
        ("future", Document::Int(2), vec!["recipe: future is new"]),
        (
            "inputs",
            map("data", Document::List(vec![place("data.csv", content(1, Form::Executable))])),
            vec!["input data: data.csv changed"],
        ),
        (
            "inputs",
            map("data", Document::List(vec![place("d.csv", content(1, Form::File))])),
            vec!["input data: d.csv was data.csv before"],
        ),
        ("inputs", map("data", Document::List(Vec::new())), vec!["input data: data.csv is gone"]),
        ("inputs", map("data", Document::text("?")), vec!["input data changed"]),
        ("inputs", Document::map::<String>([]), vec!["input data is gone"]),
    ];
    for (part, value, words) in cases {
        assert_eq!(said(&old, &with(part, value)), words);
    }
}

#[test]
fn a_python_is_told_by_its_packages() {
    let old = with("python", python("3.12.1", &["numpy-2.1.0", "old-1", "torch-2.9.0"]));
    let new = with("python", python("3.12.1", &["new-1", "numpy-2.2.0", "torch-2.9.0"]));
    let words =
        ["Python package numpy 2.1.0 → 2.2.0", "Python package new is new", "Python package old is gone"];
    assert_eq!(said(&old, &new), words);
    let newer = with("python", python("3.13.0", &["numpy-2.1.0", "old-1", "torch-2.9.0"]));
    assert_eq!(said(&old, &newer), ["Python 3.12.1 → 3.13.0"]);
}

#[test]
fn a_built_in_step_is_told_by_its_options() {
    let with_table = |version: i64, alpha: f64| {
        let table = Document::map([("ridge", Document::map([("alpha", Document::Float(alpha))]))]);
        let command =
            [("uses", Document::text("train")), ("version", Document::Int(version)), ("with", table)];
        with("command", Document::map(command))
    };
    assert_eq!(said(&with_table(1, 0.5), &with_table(1, 0.7)), ["with.ridge.alpha changed: 0.5 → 0.7"]);
    assert_eq!(said(&with_table(1, 0.5), &with_table(2, 0.5)), ["interface version changed: 1 → 2"]);
}

#[test]
fn an_input_that_is_not_known_is_not_compared() {
    let unknown = BTreeSet::from(["data".to_owned()]);
    assert_eq!(compare(&recipe("0.5", 1), &recipe("0.5", 2), &unknown), Comparison::default());
}

/// Documents as a recipe holds them, from few values, so that parts of two are often equal.
fn value() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::Bool),
        (0..3_i64).prop_map(Document::Int),
        "[ab \r\n'\"#-]{0,3}".prop_map(Document::Text),
        (0..3_u8).prop_map(|number| content(number, Form::File)),
        (0..3_u8).prop_map(|number| place("a", content(number, Form::Folder))),
        Just(Document::text("numpy-1.0")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Document::List),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(Document::Map),
        ]
    })
}

/// Recipes whose parts are now as they should be, now anything.
fn recipes() -> impl Strategy<Value = Document> {
    const PARTS: [&str; 10] = [
        "command",
        "inputs",
        "params",
        "env",
        "outputs",
        "fingerprint",
        "tools",
        "python",
        "platform",
        "layout",
    ];
    let usual =
        (prop::sample::select(vec!["0.5", "0.7", ""]), 0..2_u8).prop_map(|(alpha, data)| recipe(alpha, data));
    let command = prop_oneof![
        "[ab '-]{0,5}".prop_map(|text| Document::map([("shell", Document::Text(text))])),
        prop::collection::vec(value(), 0..3)
            .prop_map(|words| Document::map([("exec", Document::List(words))])),
        (value(), value()).prop_map(|(uses, with)| Document::map([("uses", uses), ("with", with)])),
    ];
    let pythons = prop::collection::vec("[ab]-[01]", 0..3).prop_map(|packages| {
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        python("3.12.1", &packages)
    });
    let part = prop_oneof![
        (prop::sample::select(PARTS.to_vec()), value()),
        (Just("command"), command),
        (Just("python"), pythons)
    ];
    (usual, prop::collection::vec(part, 0..3)).prop_map(|(usual, parts)| {
        let Document::Map(mut recipe) = usual else { unreachable!() };
        recipe.extend(parts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Document::Map(recipe)
    })
}

fn key(recipe: &Document) -> Key {
    Key::of_recipe(&recipe.encode().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn nothing_is_explained_if_and_only_if_the_keys_are_equal(old in recipes(), new in recipes()) {
        let found = all(&old, &new);
        prop_assert_eq!(found.changes.is_empty(), key(&old) == key(&new));
        prop_assert!(!found.changes.is_empty() || found.consequences.is_empty());
        prop_assert!(all(&old, &old).changes.is_empty());
    }

    #[test]
    fn anything_can_be_explained(old in value(), new in value()) {
        prop_assert_eq!(all(&old, &new).changes.is_empty(), key(&old) == key(&new));
    }
}
