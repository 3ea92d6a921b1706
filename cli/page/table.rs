//! A table of text, as a CSV file has it: its separator and its header are found, its columns typed.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// The columns, all of one length.
    pub(super) columns: Vec<Column>,
    /// How many rows the file has.
    pub(super) rows: usize,
    /// Of how many rows one is kept.
    pub(super) every: usize,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its values.
    pub(super) values: Values,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Numbers; none where the field is empty or no finite number.
    Numbers(Vec<Option<f64>>),
    /// Moments, in milliseconds since 1970; none where the field is empty.
    Moments(Vec<Option<i64>>),
    /// Anything.
    Texts(Vec<String>),
}

/// More rows than this are thinned out evenly.
const MOST_ROWS: usize = 20_000;

impl Table {
    /// Reads a file; an error says why it is no table.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator(bytes))
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let records: Vec<csv::StringRecord> =
            reader.records().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let Some((first, rest)) = records.split_first() else { return Err("it is empty".to_owned()) };
        let named = first.iter().any(|field| !field.is_empty() && number(field).is_none());
        let (names, rows): (Vec<String>, _) = match named {
            true => (first.iter().map(str::to_owned).collect(), rest),
            false => ((1..=first.len()).map(|place| format!("column {place}")).collect(), &records[..]),
        };
        if rows.is_empty() {
            return Err("it has a header and no row".to_owned());
        }
        let every = rows.len().div_ceil(MOST_ROWS);
        let kept: Vec<&csv::StringRecord> = rows.iter().step_by(every).collect();
        let field = |row: &&csv::StringRecord, place| row.get(place).unwrap_or_default().to_owned();
        let columns = names.into_iter().enumerate().map(|(place, name)| Column {
            name,
            values: Values::of(kept.iter().map(|row| field(row, place)).collect()),
        });
        Ok(Self { columns: columns.collect(), rows: rows.len(), every })
    }

    /// How many rows are kept.
    pub(super) fn kept(&self) -> usize {
        self.rows.div_ceil(self.every)
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}

impl Values {
    fn of(fields: Vec<String>) -> Self {
        let all = |is: &dyn Fn(&str) -> bool| fields.iter().all(|field| field.is_empty() || is(field));
        if all(&|field| number(field).is_some()) {
            let finite = |field: &String| number(field).filter(|value| value.is_finite());
            return Self::Numbers(fields.iter().map(finite).collect());
        }
        match all(&|field| moment(field).is_some()) {
            true => Self::Moments(fields.iter().map(|field| moment(field)).collect()),
            false => Self::Texts(fields),
        }
    }

    /// The numbers, if it holds any.
    pub(super) fn numbers(&self) -> Option<&[Option<f64>]> {
        match self {
            Self::Numbers(values) if values.iter().any(Option::is_some) => Some(values),
            _ => None,
        }
    }
}

/// The separator that the first line has most of.
fn separator(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let found = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    // Of equals the last one counts, which is the rarest in names.
    [b',', b';', b'\t'].into_iter().max_by_key(|separator| found(*separator)).unwrap_or(b',')
}

fn number(field: &str) -> Option<f64> {
    field.parse().ok()
}

/// A date, a date with a time (taken as UTC), or a moment.
fn moment(field: &str) -> Option<i64> {
    let utc = |time: DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp());
    let date = || field.parse::<Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0)));
    let whole = field.parse::<Timestamp>().ok().or_else(|| utc(field.parse().ok()?));
    whole.or_else(date).map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Table {
        Table::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn columns_have_types() {
        let table = read("day,loss,note\n2026-01-01,0.5,a\n2026-01-02,,b\n2026-01-03,nan,c\n");
        assert_eq!(table.names(), ["day", "loss", "note"]);
        assert_eq!(table.columns[1].values, Values::Numbers(vec![Some(0.5), None, None]));
        let Values::Moments(days) = &table.columns[0].values else { panic!("{table:?}") };
        assert_eq!(days[0], Some(1_767_225_600_000));
        assert!(matches!(table.columns[2].values, Values::Texts(_)));
    }

    #[test]
    fn separators_and_missing_headers_are_found() {
        assert_eq!(read("a;b\n1;2\n").names(), ["a", "b"]);
        assert_eq!(read("a\tb, c\n1\t2\n").names(), ["a", "b, c"]);
        assert_eq!(read("1,2\n3,4\n").names(), ["column 1", "column 2"]);
        assert_eq!(read("\u{feff}x\n1\n").names(), ["x"]);
    }

    #[test]
    fn many_rows_are_thinned_out_evenly() {
        let rows: String = (0..50_000).map(|row| format!("{row}\n")).collect();
        let table = read(&format!("x\n{rows}"));
        assert_eq!((table.rows, table.every, table.kept()), (50_000, 3, 16_667));
        assert_eq!(table.columns[0].values.numbers().unwrap()[1], Some(3.0));
    }

    #[test]
    fn what_is_no_table_is_said() {
        assert_eq!(Table::read(b""), Err("it is empty".to_owned()));
        assert_eq!(Table::read(b"a,b\n"), Err("it has a header and no row".to_owned()));
        assert!(Table::read(b"a,b\n1,2,3\n").unwrap_err().contains("line"));
        assert!(Table::read(b"a\n\xff\xfe\n").unwrap_err().contains("UTF-8"));
    }
}
