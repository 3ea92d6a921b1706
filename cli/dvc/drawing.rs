//! Curves that DVC draws from rows in a JSON file: as Vega-Lite specifications that hold those rows.

use serde_json::{Value, json};

use super::text::quoted;
use super::yaml::{Kind, Node};

/// A picture of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawing {
    pub(super) line: u64,
    pub(super) title: String,
    /// The file with the rows, in the project.
    pub(super) place: String,
    pub(super) x: Option<String>,
    pub(super) y: Vec<String>,
    pub(super) template: Option<String>,
}

impl Drawing {
    /// The options of a plot as DVC writes them; `y` is given, for it may stand elsewhere.
    pub(super) fn new(title: &str, line: u64, place: String, options: &Node, y: Vec<String>) -> Self {
        let text = |name: &str| options.get(name).and_then(Node::text);
        let x = options.get("x").and_then(|x| match &x.kind {
            // `{file: column}`: the column of another file cannot be joined.
            Kind::Table(members) => members.first().and_then(|(_, column)| column.text()),
            _ => x.text(),
        });
        Self {
            line,
            title: text("title").unwrap_or_else(|| title.to_owned()),
            place,
            x,
            y,
            template: text("template"),
        }
    }

    /// A command that writes the specification, from the rows in a file; both as the pipeline names them.
    pub(super) fn command(&self, rows: &str, output: &str) -> String {
        let specification = self.specification().to_string();
        // The rows go to the end, so that they are copied as they are.
        let head = specification.strip_suffix('}').unwrap_or(&specification);
        format!(
            "{{ printf '%s' {}; cat {rows}; printf '}}}}'; }} > {output}",
            quoted(&format!("{head},\"data\":{{\"values\":"))
        )
    }

    /// The specification without its rows.
    fn specification(&self) -> Value {
        let field = |name: &str, kind: &str| json!({ "field": name, "type": kind });
        let x = self.x.as_deref().unwrap_or("step");
        let mut specification = json!({
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "title": self.title,
        });
        let first = self.y.first().map_or("value", String::as_str);
        let (mark, encoding) = match self.template.as_deref() {
            Some("confusion" | "confusion_normalized") => (
                "rect",
                json!({ "x": field(x, "nominal"), "y": field(first, "nominal"), "color": { "aggregate": "count" } }),
            ),
            Some("scatter" | "scatter_jitter") => {
                ("point", json!({ "x": field(x, "quantitative"), "y": field(first, "quantitative") }))
            }
            Some("bar_horizontal" | "bar_horizontal_sorted") => {
                ("bar", json!({ "x": field(x, "quantitative"), "y": field(first, "nominal") }))
            }
            _ => (
                "line",
                json!({ "x": field(x, "quantitative"), "y": field(first, "quantitative"), "order": null }),
            ),
        };
        let mut transforms = Vec::new();
        if self.x.is_none() {
            transforms.push(json!({ "window": [{ "op": "row_number", "as": "step" }] }));
        }
        let mut encoding = encoding;
        if self.y.len() > 1 {
            transforms.push(json!({ "fold": self.y, "as": ["column", "value"] }));
            encoding["y"] = field("value", "quantitative");
            encoding["color"] = field("column", "nominal");
        }
        if !transforms.is_empty() {
            specification["transform"] = transforms.into();
        }
        specification["mark"] = mark.into();
        specification["encoding"] = encoding;
        specification
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_writes_a_specification_with_the_rows() {
        let drawing = Drawing {
            line: 1,
            title: "it's".to_owned(),
            place: "roc.json".to_owned(),
            x: Some("fpr".to_owned()),
            y: vec!["tpr".to_owned(), "other".to_owned()],
            template: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("roc.json");
        std::fs::write(&rows, "[{\"fpr\": 0, \"tpr\": 0.5}]").unwrap();
        let output = folder.path().join("roc.vl.json");
        let command = drawing.command(rows.to_str().unwrap(), output.to_str().unwrap());
        assert!(std::process::Command::new("sh").arg("-euc").arg(command).status().unwrap().success());
        let written: Value = serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap();
        assert_eq!(written["data"]["values"][0]["tpr"], 0.5);
        assert_eq!((written["title"].as_str(), written["mark"].as_str()), (Some("it's"), Some("line")));
        assert_eq!(written["transform"][0]["fold"][1], "other");
        assert_eq!(written["encoding"]["x"]["field"], "fpr");
    }
}
