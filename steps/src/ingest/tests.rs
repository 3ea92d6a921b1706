//! What `ingest` does with the files that people have.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use tempfile::TempDir;
use tidemill_engine::interface::Order;

use crate::table::{Column, Frame, TableReader};
use crate::{StepError, Task, perform};

struct World {
    folder: TempDir,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    fn ingest(&self, source: &str, with: serde_json::Value) -> Result<Utf8PathBuf, StepError> {
        let order = Order {
            uses: "ingest".to_owned(),
            step: "ingest".to_owned(),
            with,
            inputs: [("source".to_owned(), vec![source.to_owned()])].into(),
            outputs: [("table".to_owned(), "table.parquet".to_owned())].into(),
            effect: None,
        };
        perform(&Task::new(order, self.path()))?;
        Ok(self.path().join("table.parquet"))
    }
}

fn frame(table: &Utf8Path, names: &[&str]) -> Frame {
    Frame::read(table, &names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
}

fn texts(values: &[Option<&str>]) -> Column {
    Column::Texts(values.iter().map(|value| value.map(str::to_owned)).collect())
}

#[test]
fn quotes_line_ends_and_missing_values_are_understood() {
    let csv = "\u{feff}name,score\r\n\"Doe, \"\"Jo\"\"\",1\r\n\"two\nlines\",NA\r\n,2.5\r\n";
    let world = World::new(&[("a.csv", csv)]);
    let frame = frame(&world.ingest("a.csv", json!({})).unwrap(), &["name", "score"]);
    assert_eq!(*frame.column("name").unwrap(), texts(&[Some("Doe, \"Jo\""), Some("two\nlines"), None]));
    let Column::Numbers(scores) = frame.column("score").unwrap() else { panic!("numbers") };
    assert_eq!((scores[0], scores[1].is_nan(), scores[2]), (1.0, true, 2.5));
}

#[test]
fn a_ragged_row_is_an_error_that_names_file_and_line() {
    let world = World::new(&[("a.csv", "x,y\n1,2\n3\n")]);
    let error = world.ingest("a.csv", json!({})).unwrap_err().to_string();
    assert!(error.contains("a.csv") && error.contains("line 3"), "{error}");
}

#[test]
fn a_value_that_is_not_of_the_declared_type_is_named() {
    let world = World::new(&[("a.csv", "x,y\n1,2\n3,four\n")]);
    let error = world.ingest("a.csv", json!({ "types": { "y": "integer" } })).unwrap_err().to_string();
    assert!(error.contains("column `y`") && error.contains("row 2") && error.contains("four"), "{error}");
    let with = json!({ "header": false, "types": { "column_2": "integer" } });
    let error = world.ingest("a.csv", with).unwrap_err().to_string();
    assert!(error.contains("column `column_2`") && error.contains("row 1:"), "{error}");
}

#[test]
fn an_empty_file_and_two_equal_names_are_errors() {
    let world = World::new(&[("empty.csv", ""), ("twice.csv", "x,x\n1,2\n")]);
    assert!(world.ingest("empty.csv", json!({})).unwrap_err().to_string().contains("it is empty"));
    assert!(world.ingest("twice.csv", json!({})).unwrap_err().to_string().contains("two columns"));
}

#[test]
fn the_type_comes_from_the_last_row_too() {
    let mut csv = "x\n".to_owned() + &"1\n".repeat(20_000);
    csv += "not a number\n";
    let world = World::new(&[("a.csv", &csv)]);
    let table = world.ingest("a.csv", json!({})).unwrap();
    let reader = TableReader::open(&table).unwrap();
    assert_eq!(
        (reader.rows(), reader.schema().field(0).data_type().to_string()),
        (20_001, "Utf8".to_owned())
    );
}

#[test]
fn the_files_of_a_folder_become_one_table() {
    let files = [("in/b.csv", "y,x\nt,2.5\n"), ("in/a.csv", "x,y\n1,s\n"), ("in/c.csv", "x,y\n,u\n")];
    let world = World::new(&files);
    let frame = frame(&world.ingest("in", json!({})).unwrap(), &["x", "y"]);
    assert_eq!(*frame.column("y").unwrap(), texts(&[Some("s"), Some("t"), Some("u")]));
    let Column::Numbers(numbers) = frame.column("x").unwrap() else { panic!("numbers") };
    assert_eq!((numbers[0], numbers[1], numbers[2].is_nan()), (1.0, 2.5, true));
}

#[test]
fn files_with_other_columns_are_refused() {
    let world = World::new(&[("in/a.csv", "x,y\n1,2\n"), ("in/b.csv", "x\n1\n")]);
    let error = world.ingest("in", json!({})).unwrap_err().to_string();
    assert!(error.contains("`y`") && error.contains("b.csv"), "{error}");
    let world = World::new(&[("in/a.dat", "x\n1\n")]);
    assert!(world.ingest("in", json!({})).unwrap_err().to_string().contains("format"));
    world.ingest("in", json!({ "format": "csv" })).unwrap();
}

#[test]
fn columns_are_renamed_and_chosen() {
    let world = World::new(&[("a.csv", "a;b;c\n1;2;3\n")]);
    let with = json!({ "delimiter": ";", "rename": { "c": "z" }, "columns": ["z", "a"] });
    let table = world.ingest("a.csv", with).unwrap();
    let names: Vec<String> =
        TableReader::open(&table).unwrap().schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["z", "a"]);
    let error =
        world.ingest("a.csv", json!({ "delimiter": ";", "columns": ["aa"] })).unwrap_err().to_string();
    assert!(error.contains("is `a` meant?"), "{error}");
}

#[test]
fn parquet_in_is_parquet_out_and_the_bytes_are_steady() {
    let world = World::new(&[("a.csv", "x,y\n1,s\n2,t\n")]);
    let table = world.ingest("a.csv", json!({})).unwrap();
    let bytes = std::fs::read(&table).unwrap();
    std::fs::rename(&table, world.path().join("b.parquet")).unwrap();
    let again = world.ingest("b.parquet", json!({})).unwrap();
    assert_eq!(std::fs::read(again).unwrap(), bytes);
}
