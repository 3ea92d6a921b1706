//! The plot outputs of a run, and how each is drawn: a chart, an image, or a sentence that says why not.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::Value as Json;
use tidemill_cache::{Artifact, CacheError, Form};
use tidemill_engine::Project;
use tidemill_engine::name::StepId;
use tidemill_engine::plan::Facts;
use tidemill_engine::record::{RunRecord, StepRecord};

use super::chart::{self, Chart};
use super::table::Table;
use super::template;
use crate::error::CliError;
use crate::ui::text::{clean, size};

/// The largest plot that is read, in bytes.
const LARGEST: u64 = 16 << 20;
/// How much one page carries, in bytes.
pub(super) const PAGE: u64 = 64 << 20;

/// A plot output of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The step.
    pub(super) step: StepId,
    /// The output's name.
    pub(super) output: String,
    /// Where the step wrote it.
    pub(super) path: String,
    /// What it wrote.
    pub(super) artifact: Artifact,
}

/// What a plot is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// A Vega-Lite or Vega specification.
    Spec(Json),
    /// A table.
    Table(Table),
    /// An image, as a `data:` address.
    Image(String),
    /// It cannot be drawn; why.
    Nothing(String),
}

/// A plot as the template shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Drawing {
    /// What a reader who cannot see it is told.
    pub(super) label: String,
    /// The specification, ready to stand in a `script` element.
    pub(super) spec: Option<String>,
    /// The image's `data:` address.
    pub(super) image: Option<String>,
    /// What is to be known about it.
    pub(super) notes: Vec<String>,
}

impl Drawing {
    /// Draws one plot, or the same table of several runs in one chart.
    pub(super) fn of(label: String, contents: &[(&str, &Content)]) -> Self {
        let mut drawing = Self { label, spec: None, image: None, notes: Vec::new() };
        let tables: Vec<chart::Named<'_>> =
            contents.iter().filter_map(|(run, content)| Some((*run, content.table()?))).collect();
        match contents.first() {
            Some((_, Content::Table(_))) => match chart::chart(&tables) {
                Ok(Chart { spec, notes }) => {
                    drawing.spec = Some(template::json(&spec));
                    drawing.notes = notes;
                }
                Err(why) => drawing.notes.push(format!("This table is not drawn: {why}.")),
            },
            Some((_, Content::Spec(spec))) => drawing.spec = Some(template::json(spec)),
            Some((_, Content::Image(address))) => drawing.image = Some(address.clone()),
            Some((_, Content::Nothing(why))) => drawing.notes.push(why.clone()),
            None => {}
        }
        drawing
    }
}

impl Content {
    /// The table, if it is one.
    pub(super) fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Reads a plot from the cache, as long as the page has room for it.
    pub(super) fn read(project: &Project, found: &Found, room: &mut u64) -> Result<Self, CliError> {
        if found.artifact.form == Form::Folder {
            return Ok(Self::Nothing("It is a folder, and a plot is a file.".to_owned()));
        }
        let limit = LARGEST.min(*room);
        if found.artifact.size > limit {
            let why = match limit {
                LARGEST => format!("a plot of more than {} is not put into a page", size(LARGEST)),
                _ => format!("the page holds {} of plots already", size(PAGE)),
            };
            return Ok(Self::Nothing(format!("It is left out ({}): {why}.", size(found.artifact.size))));
        }
        *room -= found.artifact.size;
        match project.cache().read(&found.artifact, limit) {
            Ok(bytes) => Ok(Self::of(&found.path, &bytes)),
            Err(CacheError::Missing { .. }) => {
                Ok(Self::Nothing("Its bytes are no longer in the cache.".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What bytes under this name are.
    fn of(path: &str, bytes: &[u8]) -> Self {
        if let Some(mime) = image(bytes) {
            return Self::Image(format!("data:{mime};base64,{}", BASE64.encode(bytes)));
        }
        let name = path.to_lowercase();
        let is_table = [".csv", ".tsv"].iter().any(|end| name.ends_with(end));
        let wrong =
            |what: &str, why: &str| Self::Nothing(format!("It cannot be drawn as {what}: {}.", clean(why)));
        match is_table {
            true => Table::read(bytes).map_or_else(|why| wrong("a table", &why), Self::Table),
            false if name.ends_with(".json") || bytes.trim_ascii_start().starts_with(b"{") => {
                specification(bytes).map_or_else(|why| wrong("Vega-Lite", &why), Self::Spec)
            }
            false => Self::Nothing(
                "It is neither a Vega-Lite specification (JSON) nor a table (.csv, .tsv) nor an image (PNG, JPEG, GIF, WebP, SVG)."
                    .to_owned(),
            ),
        }
    }
}

/// The type of an image by how its bytes begin; an SVG image may begin with a prologue or comments.
fn image(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"<svg", "image/svg+xml"),
    ];
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let known = BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning)).map(|(_, mime)| *mime);
    let is_markup = [&b"<?xml"[..], b"<!--", b"<!DOCTYPE svg"].iter().any(|start| text.starts_with(start));
    let holds_svg = || text.windows(4).take(4096).any(|window| window == b"<svg");
    known.or_else(|| (is_markup && holds_svg()).then_some("image/svg+xml"))
}

/// A specification whose data are in it.
fn specification(bytes: &[u8]) -> Result<Json, String> {
    let spec: Json = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !spec.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    match loaded_data(&spec) {
        Some(address) => Err(format!(
            "its data would have to be loaded from {address}, and a page loads nothing; put them into the specification, as `data.values`"
        )),
        None => Ok(spec),
    }
}

/// The first address that a specification would load data from.
fn loaded_data(spec: &Json) -> Option<&str> {
    fn url(data: &Json) -> Option<&str> {
        data.get("url").and_then(Json::as_str)
    }
    match spec {
        Json::Array(items) => items.iter().find_map(loaded_data),
        Json::Object(members) => members.iter().find_map(|(name, value)| match (name.as_str(), value) {
            // What lies in here are rows.
            ("values" | "datasets", _) => None,
            ("data", Json::Object(_)) => url(value),
            ("data", Json::Array(sets)) => sets.iter().find_map(url),
            _ => loaded_data(value),
        }),
        _ => None,
    }
}

/// The plot outputs of a run, in the order of its steps; and how many steps there are whose recipes are gone, so that nobody
/// knows which of their outputs are plots.
pub(super) fn find(project: &Project, record: &RunRecord) -> Result<(Vec<Found>, usize), CliError> {
    let mut found = Vec::new();
    let mut unknown = 0;
    for step in &record.steps {
        let Some(key) = step.key.filter(|_| !step.outputs.is_empty()) else { continue };
        match project.cache().recipe(&key)? {
            Some(recipe) => found.extend(plots(step, &Facts::of(&recipe))),
            None => unknown += 1,
        }
    }
    Ok((found, unknown))
}

fn plots(step: &StepRecord, facts: &Facts) -> Vec<Found> {
    let declared: BTreeMap<&String, &String> = facts
        .outputs
        .iter()
        .filter(|(_, output)| output.kind == "plot")
        .map(|(name, output)| (name, &output.path))
        .collect();
    let outputs = step.outputs.iter();
    outputs
        .filter_map(|(name, artifact)| {
            let path = declared.get(name)?;
            Some(Found {
                step: step.step.clone(),
                output: name.clone(),
                path: (*path).clone(),
                artifact: artifact.clone(),
            })
        })
        .collect()
}

impl Found {
    /// `step.output`.
    pub(super) fn name(&self) -> String {
        clean(&format!("{}.{}", self.step, self.output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(path: &str, bytes: &[u8]) -> String {
        match Content::of(path, bytes) {
            Content::Nothing(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plot_is_what_its_bytes_say() {
        let png = Content::of("plot.csv", b"\x89PNG\r\n\x1a\n...");
        assert!(
            matches!(&png, Content::Image(address) if address.starts_with("data:image/png;base64,")),
            "{png:?}"
        );
        let svg = Content::of("plot.svg", b"<?xml version=\"1.0\"?>\n<!-- c --><svg/>");
        assert!(
            matches!(&svg, Content::Image(address) if address.starts_with("data:image/svg+xml;")),
            "{svg:?}"
        );
        assert!(matches!(Content::of("a.webp", b"RIFF....WEBPVP8 "), Content::Image(_)));
        assert!(matches!(Content::of("a.CSV", b"x,y\n1,2\n"), Content::Table(_)));
        assert!(matches!(Content::of("plot", b" {\"mark\": \"bar\"}"), Content::Spec(_)));
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        assert!(nothing("a.txt", b"text").contains("neither"));
        assert!(nothing("a.vl.json", b"{\"mark\": ").contains("EOF"));
        assert!(nothing("a.vl.json", b"[1]").contains("no JSON object"));
        assert!(nothing("a.csv", b"").contains("it is empty"));
    }

    #[test]
    fn data_from_elsewhere_are_refused_wherever_they_stand() {
        let loads = [
            r#"{"data": {"url": "http://x/a.csv"}, "mark": "bar"}"#,
            r#"{"layer": [{"data": {"url": "a.csv"}}]}"#,
            r#"{"transform": [{"lookup": "id", "from": {"data": {"url": "b.csv"}, "key": "id"}}]}"#,
            r#"{"data": [{"name": "a", "url": "c.csv"}], "marks": []}"#,
        ];
        for spec in loads {
            assert!(nothing("a.json", spec.as_bytes()).contains("a page loads nothing"), "{spec}");
        }
        let rows = r#"{"data": {"values": [{"data": {"url": "http://x"}}]}, "mark": "bar"}"#;
        assert!(
            matches!(Content::of("a.json", rows.as_bytes()), Content::Spec(_)),
            "a row is no data source"
        );
    }
}
