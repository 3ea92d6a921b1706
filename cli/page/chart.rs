//! Tables into charts: a Vega-Lite specification for a CSV file, or for the same file of several runs in one picture.

use serde_json::{Value as Json, json};

use super::table::{Column, Table, Values};

/// More series than this are no picture.
const MOST_SERIES: usize = 12;
/// More bars than this are no picture.
const MOST_BARS: usize = 60;
/// With fewer points each is marked on its line.
const MARKED: usize = 60;

/// A chart, and what a reader should know about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    /// The specification.
    pub(super) spec: Json,
    /// Sentences.
    pub(super) notes: Vec<String>,
}

/// A run's table, with the name of the run.
pub(super) type Named<'a> = (&'a str, &'a Table);

/// The chart of one table, or of the same table of several runs; an error says why there is none.
pub(super) fn chart(tables: &[Named<'_>]) -> Result<Chart, String> {
    let Some((_, first)) = tables.first() else { return Err("there is no table".to_owned()) };
    let numeric: Vec<usize> =
        (0..first.columns.len()).filter(|place| first.columns[*place].values.numbers().is_some()).collect();
    let axis = if numeric == [0] { Axis::Row } else { Axis::First };
    let mut series: Vec<usize> =
        numeric.into_iter().filter(|place| *place > 0 || axis == Axis::Row).collect();
    if series.is_empty() {
        return Err("it has no column of numbers".to_owned());
    }
    let mut notes = thinned(tables);
    if series.len() > MOST_SERIES {
        notes.push(format!("The first {MOST_SERIES} of {} columns of numbers are drawn.", series.len()));
        series.truncate(MOST_SERIES);
    }
    let is_text = matches!(first.columns[0].values, Values::Texts(_));
    let most = if is_text { MOST_BARS } else { usize::MAX };
    if first.kept() > most {
        notes.push(format!("The first {MOST_BARS} of {} rows are drawn.", first.rows));
    }
    let picture = Picture { tables, axis, series, most };
    let spec = if is_text { picture.bars() } else { picture.lines() };
    Ok(Chart { spec, notes })
}

/// Whether tables can be drawn into one chart: they have the same columns, and not both bars and series to tell apart.
pub(super) fn agree(tables: &[&Table]) -> bool {
    let is_plain = |table: &&Table| {
        let numeric = table.columns.iter().filter(|column| column.values.numbers().is_some()).count();
        numeric <= 1 || !matches!(table.columns[0].values, Values::Texts(_))
    };
    tables.iter().all(is_plain) && tables.windows(2).all(|pair| pair[0].names() == pair[1].names())
}

fn thinned(tables: &[Named<'_>]) -> Vec<String> {
    let thinned = tables.iter().filter(|(_, table)| table.every > 1);
    let note = |(_, table): &Named<'_>| {
        format!("{} of {} rows are drawn, one in {}.", table.kept(), table.rows, table.every)
    };
    let mut notes: Vec<String> = thinned.map(note).collect();
    notes.dedup();
    notes
}

/// What the horizontal axis shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// The number of the row.
    Row,
    /// The first column.
    First,
}

struct Picture<'a> {
    tables: &'a [Named<'a>],
    axis: Axis,
    series: Vec<usize>,
    most: usize,
}

impl Picture<'_> {
    fn first(&self) -> &Table {
        self.tables[0].1
    }

    /// One datum for each number: `x`, `y`, the series `s`, the run `r`.
    fn values(&self) -> Vec<Json> {
        let mut values = Vec::new();
        for (run, table) in self.tables {
            for place in &self.series {
                let Some(column) = table.columns.get(*place) else { continue };
                let numbers = column.values.numbers().unwrap_or_default();
                for (row, y) in numbers.iter().enumerate().take(self.most) {
                    if let (Some(x), Some(y)) = (self.x(table, row), y) {
                        values.push(json!({ "x": x, "y": y, "s": column.name, "r": run }));
                    }
                }
            }
        }
        values
    }

    fn x(&self, table: &Table, row: usize) -> Option<Json> {
        match (self.axis, &table.columns[0].values) {
            (Axis::Row, _) => Some(json!(row * table.every + 1)),
            (Axis::First, Values::Numbers(values)) => values[row].map(|value| json!(value)),
            (Axis::First, Values::Moments(values)) => values[row].map(|value| json!(value)),
            (Axis::First, Values::Texts(values)) => Some(json!(values[row])),
        }
    }

    /// What tells series and runs apart.
    fn colours(&self) -> Vec<(&'static str, Json)> {
        let channel = |field: &str, title: Option<&str>| json!({ "field": field, "type": "nominal", "sort": null, "title": title });
        match (self.series.len() > 1, self.tables.len() > 1) {
            (false, false) => Vec::new(),
            (true, false) => vec![("color", channel("s", None))],
            (false, true) => vec![("color", channel("r", Some("run")))],
            (true, true) => vec![("color", channel("s", None)), ("strokeDash", channel("r", Some("run")))],
        }
    }

    fn title(&self) -> Option<&str> {
        match self.series.as_slice() {
            [only] => Some(&self.first().columns[*only].name),
            _ => None,
        }
    }

    /// A line over an axis that only goes forward, else points.
    fn lines(&self) -> Json {
        let first = self.first();
        let forward =
            self.axis == Axis::Row || self.tables.iter().all(|(_, table)| goes_forward(&table.columns[0]));
        let kind = match (&first.columns[0].values, self.axis) {
            (Values::Moments(_), Axis::First) => "temporal",
            _ => "quantitative",
        };
        let name = match self.axis {
            Axis::Row => "row",
            Axis::First => first.columns[0].name.as_str(),
        };
        let mut mark = json!({ "type": "point", "tooltip": true });
        if forward {
            // Points would hide the dashes.
            let marked = first.kept() <= MARKED && (self.series.len() == 1 || self.tables.len() == 1);
            mark = json!({ "type": "line", "tooltip": true, "point": marked });
        }
        let mut encoding = json!({
            "x": { "field": "x", "type": kind, "title": name, "scale": { "zero": false, "nice": !forward } },
            "y": { "field": "y", "type": "quantitative", "title": self.title(), "scale": { "zero": false } },
        });
        for (channel, definition) in self.colours() {
            encoding[channel] = definition;
        }
        if !forward && encoding.get("strokeDash").is_some() {
            // Points have no dashes.
            let dash = encoding["strokeDash"].take();
            encoding["shape"] = dash;
            encoding.as_object_mut().map(|encoding| encoding.remove("strokeDash"));
        }
        self.spec(&mark, &encoding)
    }

    /// A bar for each text, lying, so that long texts can be read.
    fn bars(&self) -> Json {
        let mut encoding = json!({
            "y": { "field": "x", "type": "nominal", "sort": null, "title": self.first().columns[0].name },
            "x": { "field": "y", "type": "quantitative", "title": self.title() },
        });
        // Runs with several series of bars are never drawn into one chart: see `agree`.
        if let Some((channel, definition)) = self.colours().into_iter().next() {
            encoding["yOffset"] = json!({ "field": definition["field"], "type": "nominal", "sort": null });
            encoding[channel] = definition;
        }
        self.spec(&json!({ "type": "bar", "tooltip": true }), &encoding)
    }

    fn spec(&self, mark: &Json, encoding: &Json) -> Json {
        json!({
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "data": { "values": self.values() },
            "mark": mark,
            "encoding": encoding,
        })
    }
}

/// Whether the values of a column never fall.
fn goes_forward(column: &Column) -> bool {
    match &column.values {
        Values::Numbers(values) => values.iter().flatten().is_sorted(),
        Values::Moments(values) => values.iter().flatten().is_sorted(),
        Values::Texts(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_in_order_are_a_line() {
        let chart = chart(&[("r1", &table("step,loss\n1,0.9\n2,0.5\n3,\n"))]).unwrap();
        insta::assert_snapshot!(chart.spec, @r#"{"$schema":"https://vega.github.io/schema/vega-lite/v6.json","data":{"values":[{"x":1.0,"y":0.9,"s":"loss","r":"r1"},{"x":2.0,"y":0.5,"s":"loss","r":"r1"}]},"mark":{"type":"line","tooltip":true,"point":true},"encoding":{"x":{"field":"x","type":"quantitative","title":"step","scale":{"zero":false,"nice":false}},"y":{"field":"y","type":"quantitative","title":"loss","scale":{"zero":false}}}}"#);
        assert!(chart.notes.is_empty());
    }

    #[test]
    fn what_goes_back_and_forth_is_points_and_text_is_bars() {
        let mark = |text: &str| chart(&[("r", &table(text))]).unwrap().spec["mark"]["type"].clone();
        assert_eq!(mark("x,y\n3,1\n1,2\n2,3\n"), "point");
        assert_eq!(mark("name,y\nann,1\nbob,2\n"), "bar");
        assert_eq!(mark("day,y\n2026-01-01,1\n2026-01-02,2\n"), "line");
        assert_eq!(mark("y\n3\n1\n"), "line", "one column is drawn over the number of the row");
    }

    #[test]
    fn several_runs_are_told_apart_by_colour_or_dashes() {
        let (one, two) = (table("x,a,b\n1,1,2\n2,3,4\n"), table("x,a,b\n1,5,6\n2,7,8\n"));
        let both = chart(&[("r1", &one), ("r2", &two)]).unwrap().spec;
        assert_eq!(
            (&both["encoding"]["color"]["field"], &both["encoding"]["strokeDash"]["field"]),
            (&json!("s"), &json!("r"))
        );
        assert_eq!(both["data"]["values"].as_array().unwrap().len(), 8);
        let points = [table("x,a,b\n2,1,2\n1,3,4\n"), two];
        let both = chart(&[("r1", &points[0]), ("r2", &points[1])]).unwrap().spec;
        assert_eq!(
            (&both["encoding"]["shape"]["field"], both["encoding"].get("strokeDash")),
            (&json!("r"), None)
        );
        assert!(!agree(&[&one, &table("x,a\n1,1\n")]));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let header: Vec<String> = (0..20).map(|place| format!("c{place}")).collect();
        let row = vec!["1"; 20].join(",");
        let notes = chart(&[("r", &table(&format!("{}\n{row}\n", header.join(","))))]).unwrap().notes;
        assert_eq!(notes, ["The first 12 of 19 columns of numbers are drawn."]);
        let rows: String = (0..100).map(|row| format!("name {row},1\n")).collect();
        let notes = chart(&[("r", &table(&format!("name,y\n{rows}")))]).unwrap().notes;
        assert_eq!(notes, ["The first 60 of 100 rows are drawn."]);
        assert_eq!(chart(&[("r", &table("a,b\nx,y\n"))]).unwrap_err(), "it has no column of numbers");
    }
}
