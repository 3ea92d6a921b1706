//! The stages of a `dvc.yaml`, each as its members: one, or one per item of `foreach` and combination of `matrix`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::drawing::Drawing;
use super::fan::{Fan, Item};
use super::note::Notes;
use super::place::{Place, normal, place};
use super::text::{References, Scope};
use super::vars;
use super::yaml::{Kind, Node};

/// A stage.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) line: u64,
    pub(super) description: Option<String>,
    pub(super) frozen: bool,
    pub(super) always_changed: bool,
    /// The axes of its matrix in the pipeline with their values; none if it can have no matrix.
    pub(super) axes: Vec<(String, Vec<Value>)>,
    pub(super) members: Vec<Member>,
}

/// One member of a stage. Texts hold letters for references; see [`super::text`].
#[derive(Debug)]
pub(super) struct Member {
    /// What DVC puts behind the `@`.
    pub(super) suffix: Option<String>,
    /// The values of the axes, as text.
    pub(super) axes: BTreeMap<String, String>,
    pub(super) commands: Vec<String>,
    /// The folder that they run in, relative to the pipeline's.
    pub(super) folder: String,
    pub(super) deps: Vec<Located>,
    /// Files of parameters, and the names that the stage lists of each.
    pub(super) params: Vec<(Located, Vec<String>)>,
    pub(super) outs: Vec<Out>,
    pub(super) drawings: Vec<Drawing>,
    /// What `${…}` of its commands names.
    handed: Vec<String>,
}

/// A place, with letters for axes and as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located {
    pub(super) line: u64,
    pub(super) shape: Place,
    pub(super) place: Place,
}

/// What a stage writes.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) at: Located,
    pub(super) role: Role,
}

/// What DVC takes an out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Out,
    Metrics,
    Plot,
    /// Rows of a plot that is drawn from them.
    Rows,
}

/// What is known around the stages.
pub(super) struct Reader<'a, 'r> {
    /// The folder of the `dvc.yaml`.
    pub(super) folder: &'a Utf8Path,
    /// The same, relative to the pipeline's.
    pub(super) below: &'a str,
    pub(super) vars: &'a Map<String, Value>,
    pub(super) references: &'r mut References,
    pub(super) notes: &'r mut Notes,
}

/// Fields of a stage that are translated, or that say nothing that a step needs.
const FIELDS: [&str; 15] = [
    "cmd",
    "wdir",
    "deps",
    "params",
    "outs",
    "metrics",
    "plots",
    "vars",
    "frozen",
    "always_changed",
    "foreach",
    "do",
    "matrix",
    "desc",
    "meta",
];

/// Why a member was not read: its line, and what is wrong.
type Refused = (u64, String);

impl<'a> Reader<'a, '_> {
    /// The stage; none if it could not be read, which is told.
    pub(super) fn stage(&mut self, name: &str, line: u64, node: &Node) -> Option<Stage> {
        let body = node.get("do").filter(|_| node.get("foreach").is_some()).unwrap_or(node);
        self.tell_unknown(name, node);
        if !std::ptr::eq(body, node) {
            self.tell_unknown(name, body);
        }
        let scope = self.scope(name, body);
        // A member's key is no value of an axis.
        let names_key = ["${key", "${ key"].iter().any(|key| body.value().to_string().contains(key));
        let read = Fan::read(node, &scope).map_err(|why| (line, why)).and_then(|fan| {
            let letters = if names_key { BTreeMap::new() } else { fan.letters };
            let scope = Scope { axes: letters, ..scope };
            let members = fan.items.into_iter().map(|item| self.member(name, body, &scope, item));
            let axes = if names_key { Vec::new() } else { fan.axes };
            Ok((axes, members.collect::<Result<Vec<_>, Refused>>()?))
        });
        match read {
            Ok((axes, members)) => Some(Stage {
                name: name.to_owned(),
                line,
                description: body.get("desc").and_then(Node::text).filter(|text| !text.contains("${")),
                frozen: body.get("frozen").is_some_and(Node::is_true),
                always_changed: body.get("always_changed").is_some_and(Node::is_true),
                axes,
                members,
            }),
            Err((line, why)) => {
                self.notes.stage(line, name, format!("not translated: {why}"), "write its step by hand");
                None
            }
        }
    }

    fn tell_unknown(&mut self, name: &str, node: &Node) {
        for (key, _) in node.members().iter().filter(|(key, _)| !FIELDS.contains(&key.text.as_str())) {
            self.notes.stage(
                key.line,
                name,
                format!("`{}` has no counterpart and is left out", key.text),
                "",
            );
        }
    }

    fn scope(&mut self, name: &str, body: &Node) -> Scope<'a> {
        let mut own = Map::new();
        if let Some(vars) = body.get("vars") {
            let notes = &mut *self.notes;
            vars::add(vars, self.folder, &mut own, &mut |line, what| notes.stage(line, name, what, ""));
        }
        Scope { vars: self.vars, own, item: None, key: None, axes: BTreeMap::new() }
    }

    fn member(&mut self, name: &str, body: &Node, scope: &Scope<'_>, item: Item) -> Result<Member, Refused> {
        let scope = Scope { item: item.value, key: item.key, ..scope.clone() };
        let folder = match body.get("wdir") {
            Some(wdir) => match self.locate(self.below, wdir, &scope, &item.axes)?.place {
                Place::Inside(folder) => folder,
                Place::Outside(_) | Place::Remote(_) => {
                    return Err((wdir.line, "its `wdir` is outside of the pipeline's folder".to_owned()));
                }
            },
            None => normal(self.below),
        };
        let cmd = body.get("cmd").ok_or((body.line, "it has no `cmd`".to_owned()))?;
        let lines = match &cmd.kind {
            Kind::List(items) => items.iter().collect(),
            _ => vec![cmd],
        };
        let handed = lines.iter().filter_map(|line| line.text()).flat_map(|text| names_in(&text)).collect();
        let mut commands = Vec::new();
        for line in lines {
            let raw = line.text().ok_or_else(|| (line.line, "a command is no text".to_owned()))?;
            // DVC gives each line of a text a shell of its own, as it does to each command of a list.
            for raw in raw.lines().filter(|raw| !raw.trim().is_empty()) {
                let command = scope.command(raw.trim_end(), self.references);
                commands.push(command.map_err(|why| (line.line, why))?);
            }
        }
        let mut member = Member {
            suffix: item.suffix,
            axes: item.axes,
            commands,
            folder,
            deps: Vec::new(),
            params: Vec::new(),
            outs: Vec::new(),
            drawings: Vec::new(),
            handed,
        };
        for dep in body.get("deps").map_or(&[][..], Node::items) {
            member.deps.push(self.locate(&member.folder, dep, &scope, &member.axes)?);
        }
        for params in body.get("params").map_or(&[][..], Node::items) {
            self.params(params, &scope, &mut member)?;
        }
        for (field, role) in [("outs", Role::Out), ("metrics", Role::Metrics), ("plots", Role::Plot)] {
            for out in body.get(field).map_or(&[][..], Node::items) {
                self.out(name, out, role, &scope, &mut member)?;
            }
        }
        Ok(member)
    }

    /// A path of a stage, relative to its folder.
    fn locate(
        &mut self,
        folder: &str,
        node: &Node,
        scope: &Scope<'_>,
        axes: &BTreeMap<String, String>,
    ) -> Result<Located, Refused> {
        let raw = node.text().ok_or_else(|| (node.line, "a path is no text".to_owned()))?;
        self.locate_text(folder, &raw, node.line, scope, axes)
    }

    fn locate_text(
        &mut self,
        folder: &str,
        raw: &str,
        line: u64,
        scope: &Scope<'_>,
        axes: &BTreeMap<String, String>,
    ) -> Result<Located, Refused> {
        let shape = scope.path(raw, self.references).map_err(|why| (line, why))?;
        let plain = self.references.plain(&shape, axes);
        Ok(Located { line, shape: place(folder, &shape), place: place(folder, &plain) })
    }

    /// `train.lr` of the file that nothing names, or `{file: [names]}`.
    fn params(&mut self, node: &Node, scope: &Scope<'_>, member: &mut Member) -> Result<(), Refused> {
        let files: Vec<(&str, u64, Vec<String>)> = match node.members() {
            [] => vec![(vars::PARAMS, node.line, node.text().into_iter().collect())],
            members => members
                .iter()
                .map(|(key, names)| {
                    (key.text.as_str(), key.line, names.items().iter().filter_map(Node::text).collect())
                })
                .collect(),
        };
        for (file, line, mut names) in files {
            // What the command itself hands over is no reason for the script to read the file.
            let count = names.len();
            names.retain(|name| !is_handed_over(name, &member.handed));
            if count > 0 && names.is_empty() {
                continue;
            }
            let located = self.locate_text(&member.folder, file, line, scope, &member.axes)?;
            match member.params.iter_mut().find(|(known, _)| known.place == located.place) {
                Some((_, known)) => known.extend(names),
                None => member.params.push((located, names)),
            }
        }
        Ok(())
    }

    /// A path, or `{path: {flag: value}}`.
    fn out(
        &mut self,
        name: &str,
        node: &Node,
        role: Role,
        scope: &Scope<'_>,
        member: &mut Member,
    ) -> Result<(), Refused> {
        let (raw, line, flags) = match node.members() {
            [(key, flags)] => (key.text.clone(), key.line, Some(flags)),
            [] => (node.text().unwrap_or_default(), node.line, None),
            _ => return Err((node.line, "an out names several paths at once".to_owned())),
        };
        let at = self.locate_text(&member.folder, &raw, line, scope, &member.axes)?;
        if flags.and_then(|flags| flags.get("persist")).is_some_and(Node::is_true) {
            let what = format!("`persist` of {raw} has no counterpart: every step begins in an empty folder");
            let advice = "declare what it goes on from as an input, under another path";
            self.notes.stage(line, name, what, advice);
        }
        let mut role = role;
        if let (Role::Plot, Some(options), Place::Inside(place), true) =
            (role, flags, &at.place, raw.ends_with(".json"))
        {
            let y: Vec<String> = options.get("y").and_then(Node::text).into_iter().collect();
            if !y.is_empty() {
                member.drawings.push(Drawing::new(&raw, line, place.clone(), options, y));
                role = Role::Rows;
            }
        }
        member.outs.push(Out { at, role });
        Ok(())
    }
}

/// The names in the `${…}` of a text.
fn names_in(text: &str) -> Vec<String> {
    let inner = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    inner.map(|name| name.trim().to_owned()).collect()
}

/// Whether one of these is a parameter, or the table that it is in.
fn is_handed_over(name: &str, handed: &[String]) -> bool {
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    handed.iter().any(|handed| below(name, handed))
}
