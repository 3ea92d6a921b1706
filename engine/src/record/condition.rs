//! A condition on runs, `COLUMN OPERATOR VALUE`: what the value means depends on the column.
//!
//! A time may be as coarse as a day: `=` then means within it, `<` before it began and `>` after it ended. Commits and run ids
//! are compared by their beginning. What a run does not have fulfils no condition.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::column::{Cell, Column, Field};
use super::error::RecordError;
use super::line::{meant, standings};
use crate::suggest;

/// A condition as it was written. What its column is, is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    text: String,
    pub(super) column: String,
    operator: Operator,
    value: String,
    quoted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// The operators as they are written, the longer ones first.
const OPERATORS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Condition {
    /// The condition that a text says.
    ///
    /// # Errors
    /// If it has not the form `COLUMN OPERATOR VALUE`.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let wrong =
            |reason: &str| RecordError::Condition { text: text.to_owned(), reason: reason.to_owned() };
        let (place, written, operator) = find_operator(text)
            .ok_or_else(|| wrong("write COLUMN OPERATOR VALUE, such as `evaluate.rmse < 56`"))?;
        let column = text[..place].trim();
        if column.is_empty() {
            return Err(wrong("there is no column on its left side"));
        }
        let right = text[place + written.len()..].trim();
        let inside = ['\'', '"'].into_iter().find_map(|quote| {
            right.strip_prefix(quote)?.strip_suffix(quote).filter(|inside| !inside.contains(quote))
        });
        if right.is_empty() {
            return Err(wrong("there is no value on its right side"));
        }
        if inside.is_none() && [" and ", " or ", "&&", "||"].iter().any(|word| right.contains(word)) {
            return Err(wrong(
                "one condition at a time: of several `--where` all must hold; a text with `and` or `or` goes in quotes",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            column: column.to_owned(),
            operator,
            value: inside.unwrap_or(right).to_owned(),
            quoted: inside.is_some(),
        })
    }

    /// The test of this condition on the cells of a column.
    ///
    /// # Errors
    /// If the value or the operator does not fit the column.
    pub(super) fn test(&self, column: &Column) -> Result<Test, RecordError> {
        let operand = match column {
            Column::Field(field) => self.operand(*field)?,
            Column::Metric { .. } => Operand::Number(self.number()?),
            Column::Param(_) => Operand::Any {
                number: (!self.quoted).then(|| self.value.parse().ok()).flatten(),
                whole: (!self.quoted).then(|| self.value.parse().ok()).flatten(),
                truth: (!self.quoted).then(|| self.value.parse().ok()).flatten(),
                text: self.value.clone(),
            },
        };
        let in_order = !matches!(self.operator, Operator::Equal | Operator::Unequal);
        if in_order && matches!(operand, Operand::Word(_) | Operand::Beginning(_)) {
            return Err(self.wrong(format!("{column} is a text, so only `=` and `!=` fit it")));
        }
        Ok(Test { operator: self.operator, operand })
    }

    fn operand(&self, field: Field) -> Result<Operand, RecordError> {
        Ok(match field {
            Field::Run | Field::Commit => Operand::Beginning(self.value.trim_end_matches('…').to_owned()),
            Field::Pipeline | Field::File | Field::Cause => Operand::Word(self.value.clone()),
            Field::Outcome => Operand::Word(self.standing()?.to_owned()),
            Field::Started | Field::Finished => self.moment()?,
            Field::Time => Operand::Number(self.duration()?),
            Field::Executed | Field::Cached | Field::Skipped | Field::Failed | Field::Blocked => {
                Operand::Number(self.number()?)
            }
        })
    }

    fn number(&self) -> Result<f64, RecordError> {
        let number = self.value.parse::<f64>().ok().filter(|number| !number.is_nan());
        number.ok_or_else(|| self.wrong(format!("{:?} is no number", self.value)))
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody tells times of 285,000 years to the millisecond")]
    fn duration(&self) -> Result<f64, RecordError> {
        let duration = humantime::parse_duration(&self.value);
        let milliseconds = duration.as_ref().map(Duration::as_millis);
        milliseconds.map(|milliseconds| milliseconds as f64).map_err(|_| {
            self.wrong(format!("{:?} is no duration: write it like `20s` or `2h 30min`", self.value))
        })
    }

    fn standing(&self) -> Result<&'static str, RecordError> {
        meant(&self.value).ok_or_else(|| {
            let help = match suggest::nearest(&self.value, standings()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("an outcome is one of {}", suggest::list(standings())),
            };
            self.wrong(format!("there is no outcome {:?}; {help}", self.value))
        })
    }

    fn moment(&self) -> Result<Operand, RecordError> {
        interval(&self.value).map(|(from, to)| Operand::Moment { from, to }).ok_or_else(|| {
            let forms = "write it like `2026-11-20` or `2026-11-20 23:55`, in UTC";
            self.wrong(format!("{:?} is no time: {forms}", self.value))
        })
    }

    fn wrong(&self, reason: String) -> RecordError {
        RecordError::Condition { text: self.text.clone(), reason }
    }
}

/// The first operator that stands neither in brackets, as the matrix values of a step do, nor in `${…}`.
fn find_operator(text: &str) -> Option<(usize, &'static str, Operator)> {
    let mut depth = 0_usize;
    for (place, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => {
                let rest = &text[place..];
                if let Some((written, operator)) =
                    OPERATORS.iter().find(|(written, _)| rest.starts_with(written))
                {
                    return Some((place, written, *operator));
                }
            }
        }
    }
    None
}

/// The time that a text tells, as nanoseconds since 1970: from when until before when.
fn interval(text: &str) -> Option<(i64, i64)> {
    let text = text.trim().trim_end_matches("UTC").trim_end();
    let nanoseconds = |at: Timestamp| i64::try_from(at.as_nanosecond()).ok();
    let spanning = |from: DateTime, length: Span| {
        let utc = |at: DateTime| nanoseconds(at.to_zoned(TimeZone::UTC).ok()?.timestamp());
        Some((utc(from)?, utc(from.checked_add(length).ok()?)?))
    };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some((nanoseconds(at)?, nanoseconds(at)?.checked_add(1)?));
    }
    if text.contains(':') {
        let length = match text.matches(':').count() {
            1 => Span::new().minutes(1),
            _ if text.contains('.') => Span::new().nanoseconds(1),
            _ => Span::new().seconds(1),
        };
        return spanning(text.parse().ok()?, length);
    }
    spanning(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()), Span::new().days(1))
}

/// What a cell is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    operator: Operator,
    operand: Operand,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Number(f64),
    Moment { from: i64, to: i64 },
    Word(String),
    Beginning(String),
    Any { text: String, number: Option<f64>, whole: Option<i64>, truth: Option<bool> },
}

impl Test {
    /// Whether a cell passes.
    pub(super) fn holds(&self, cell: &Cell) -> bool {
        match (self.compare(cell), self.operator) {
            (None, operator) => operator == Operator::Unequal,
            (Some(order), Operator::Equal) => order.is_eq(),
            (Some(order), Operator::Unequal) => order.is_ne(),
            (Some(order), Operator::Less) => order.is_lt(),
            (Some(order), Operator::AtMost) => order.is_le(),
            (Some(order), Operator::Greater) => order.is_gt(),
            (Some(order), Operator::AtLeast) => order.is_ge(),
        }
    }

    /// How the cell stands to the operand; none if the two are of different kinds.
    fn compare(&self, cell: &Cell) -> Option<Ordering> {
        match (&self.operand, cell) {
            (Operand::Number(operand), cell) => cell.number()?.partial_cmp(operand),
            (Operand::Moment { from, to }, Cell::Int(at)) => Some(match at {
                at if at < from => Ordering::Less,
                at if at >= to => Ordering::Greater,
                _ => Ordering::Equal,
            }),
            (Operand::Word(word), Cell::Text(text)) => Some(text.as_str().cmp(word)),
            (Operand::Beginning(beginning), Cell::Text(text)) => {
                Some(if text.starts_with(beginning) { Ordering::Equal } else { text.as_str().cmp(beginning) })
            }
            (Operand::Any { whole: Some(operand), .. }, Cell::Int(number)) => Some(number.cmp(operand)),
            (Operand::Any { number: Some(operand), .. }, Cell::Int(_) | Cell::Float(_)) => {
                cell.number()?.partial_cmp(operand)
            }
            (Operand::Any { truth: Some(operand), .. }, Cell::Bool(truth)) => Some(truth.cmp(operand)),
            (Operand::Any { text: operand, .. }, Cell::Text(text) | Cell::Json(text)) => {
                Some(text.as_str().cmp(operand))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> Column {
        Column::Metric { step: "evaluate".to_owned(), name: "rmse".to_owned() }
    }

    fn holds(text: &str, column: &Column, cell: impl std::borrow::Borrow<Cell>) -> bool {
        Condition::parse(text).unwrap().test(column).unwrap().holds(cell.borrow())
    }

    fn wrong(text: &str, column: &Column) -> String {
        Condition::parse(text).and_then(|condition| condition.test(column)).unwrap_err().to_string()
    }

    #[test]
    fn numbers_are_compared() {
        for (text, truth) in [("m < 56", true), ("m<=55.5", true), ("m > 55.5", false), ("m != 55.5", false)]
        {
            assert_eq!(holds(text, &metric(), Cell::Float(55.5)), truth, "{text}");
        }
        assert_eq!(Condition::parse("train[a<=1].m >= 2").unwrap().column, "train[a<=1].m");
        assert_eq!(Condition::parse("${a = b} >= 2").unwrap().column, "${a = b}");
    }

    #[test]
    fn times_may_be_coarse() {
        let started = Column::Field(Field::Started);
        let at = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            Cell::Int(i64::try_from(at.as_nanosecond()).unwrap())
        };
        for (text, truth) in [
            ("started = 2026-11-20", true),
            ("started > 2026-11-20", false),
            ("started >= 2026-11-20", true),
            ("started > 2026-11-19", true),
            ("started < 2026-11-20 23:55", false),
            ("started = 2026-11-20 23:55 UTC", true),
            ("started <= 2026-11-20T23:55:01Z", true),
            ("started < 2026-11-20T23:55:01Z", false),
        ] {
            assert_eq!(holds(text, &started, at("2026-11-20T23:55:01Z")), truth, "{text}");
        }
        let time = Column::Field(Field::Time);
        assert!(holds("time > 2min 5s", &time, Cell::Int(125_001)));
        assert!(!holds("time > 3 min 20 s", &time, Cell::Int(125_001)));
    }

    #[test]
    fn words_and_beginnings() {
        let text = |text: &str| Cell::Text(text.to_owned());
        assert!(holds("commit = 5c2", &Column::Field(Field::Commit), text("5c2f00")));
        assert!(!holds("commit != 5c2…", &Column::Field(Field::Commit), text("5c2f00")));
        assert!(holds("outcome = gate-closed", &Column::Field(Field::Outcome), text("gate closed")));
        assert!(holds("pipeline='a b'", &Column::Field(Field::Pipeline), text("a b")));
    }

    #[test]
    fn a_parameter_is_compared_as_what_it_is() {
        let param = Column::Param("p".to_owned());
        assert!(holds("p >= 0.5", &param, Cell::Int(1)));
        assert!(holds("p = 9007199254740993", &param, Cell::Int(9_007_199_254_740_993)));
        assert!(!holds("p = 9007199254740993", &param, Cell::Int(9_007_199_254_740_992)));
        assert!(holds("p = ridge", &param, Cell::Text("ridge".to_owned())));
        assert!(holds("p = 007", &param, Cell::Text("007".to_owned())));
        assert!(!holds("p = '1'", &param, Cell::Int(1)), "a quoted number is a text");
        assert!(holds("p = true", &param, Cell::Bool(true)));
        assert!(holds("p != 1", &param, Cell::Text("a".to_owned())));
        assert!(!holds("p < 1", &param, Cell::Text("a".to_owned())));
        assert!(holds("p = [1,2]", &param, Cell::Json("[1,2]".to_owned())));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let field = Column::Field;
        assert_eq!(
            wrong("rmse", &metric()),
            "the condition `rmse` cannot be used: write COLUMN OPERATOR VALUE, such as `evaluate.rmse < 56`"
        );
        assert!(wrong("< 5", &metric()).ends_with("no column on its left side"));
        assert!(wrong("rmse <", &metric()).ends_with("no value on its right side"));
        assert!(wrong("rmse < low", &metric()).ends_with("\"low\" is no number"));
        assert!(wrong("rmse < 5 and r2 > 1", &metric()).contains("of several `--where` all must hold"));
        assert!(Condition::parse("kind = 'this and that'").is_ok());
        assert!(wrong("outcome = faild", &field(Field::Outcome)).ends_with("did you mean `failed`?"));
        assert!(wrong("outcome = x", &field(Field::Outcome)).contains("`machine failed`"));
        assert!(wrong("started > yesterday", &field(Field::Started)).contains("2026-11-20"));
        assert!(wrong("time > 5", &field(Field::Time)).contains("`20s`"));
        assert!(wrong("pipeline < x", &field(Field::Pipeline)).contains("only `=` and `!=`"));
    }
}
