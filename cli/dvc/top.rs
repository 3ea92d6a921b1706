//! What stands beside the stages: the lists of metrics and plots at the top of a `dvc.yaml`, and what `dvc.lock` knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::Utf8Path;

use super::drawing::Drawing;
use super::note::Notes;
use super::place::{Place, place};
use super::stage::Role;
use super::yaml::{self, Kind, Node};

/// What is translated at the top of the file, or says nothing that a pipeline needs.
const FIELDS: [&str; 7] = ["stages", "vars", "metrics", "plots", "params", "artifacts", "schema"];

/// What the lists at the top say.
#[derive(Debug, Default)]
pub(super) struct Top {
    /// The places that they name, with what they are for and their lines.
    pub(super) listed: BTreeMap<String, (Role, u64)>,
    pub(super) drawings: Vec<Drawing>,
}

/// The lists at the top of the file, whose folder lies so below the pipeline's.
pub(super) fn read(tree: &Node, below: &str, notes: &mut Notes) -> Top {
    let mut top = Top::default();
    for metrics in tree.get("metrics").map_or(&[][..], Node::items) {
        if let Some(path) = metrics.text() {
            top.add(below, &path, metrics.line, Role::Metrics);
        }
    }
    if let Some(plots) = tree.get("plots") {
        for plot in plots.items() {
            plot.text().iter().for_each(|path| top.add(below, path, plot.line, Role::Plot));
        }
        for (key, options) in plots.items().iter().chain([plots]).flat_map(Node::members) {
            top.plot(below, &key.text, key.line, options);
        }
    }
    for (key, _) in tree.get("artifacts").map_or(&[][..], Node::members) {
        let what = format!("the artifact {} is not translated", key.text);
        notes.file(key.line, what, "a step with `uses = \"register\"` gives a model versions and aliases");
    }
    for (key, _) in tree.members().iter().filter(|(key, _)| !FIELDS.contains(&key.text.as_str())) {
        notes.file(key.line, format!("`{}` has no counterpart and is left out", key.text), "");
    }
    top
}

impl Top {
    fn add(&mut self, below: &str, path: &str, line: u64, role: Role) {
        if let Place::Inside(place) = place(below, path) {
            self.listed.entry(place).or_insert((role, line));
        }
    }

    /// `{title: {x: column, y: {file: column}}}`, or `{file: {x: column, y: column}}`.
    fn plot(&mut self, below: &str, title: &str, line: u64, options: &Node) {
        let y = options.get("y");
        let sources: Vec<(String, u64, Vec<String>)> = match y.map(|y| &y.kind) {
            Some(Kind::Table(members)) => {
                members.iter().map(|(key, columns)| (key.text.clone(), key.line, texts(columns))).collect()
            }
            _ => vec![(title.to_owned(), line, y.map(texts).unwrap_or_default())],
        };
        let several = sources.len() > 1;
        for (path, line, columns) in sources {
            let Place::Inside(place) = place(below, &path) else { continue };
            if !path.ends_with(".json") || columns.is_empty() {
                self.add(below, &path, line, Role::Plot);
                continue;
            }
            let title = if several { format!("{title}: {path}") } else { title.to_owned() };
            self.drawings.push(Drawing::new(&title, line, place, options, columns));
            self.add(below, &path, line, Role::Rows);
        }
    }
}

/// A text, or the texts of a list.
fn texts(node: &Node) -> Vec<String> {
    node.text().into_iter().chain(node.items().iter().filter_map(Node::text)).collect()
}

/// The places that `dvc.lock` knows as folders; none if there is no such file, or it cannot be read.
pub(super) fn folders(dvc: &Node, folder: &Utf8Path, below: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join("dvc.lock")).unwrap_or_default();
    let tree = yaml::parse(&text).ok();
    let stages = tree.as_ref().and_then(|tree| tree.get("stages")).map_or(&[][..], Node::members);
    let mut folders = BTreeSet::new();
    for (key, stage) in stages {
        let name = key.text.split('@').next().unwrap_or_default();
        let body = dvc.get("stages").and_then(|stages| stages.get(name));
        let body = body.and_then(|body| body.get("do")).or(body);
        let wdir = body.and_then(|body| body.get("wdir")).and_then(Node::text).unwrap_or_default();
        for out in stage.get("outs").map_or(&[][..], Node::items) {
            let is_folder = out.get("md5").and_then(Node::text).is_some_and(|md5| md5.ends_with(".dir"));
            let path = out.get("path").and_then(Node::text).filter(|_| is_folder);
            if let Some(Place::Inside(place)) = path.map(|path| place(&format!("{below}/{wdir}"), &path)) {
                folders.insert(place);
            }
        }
    }
    folders
}
