//! The expressions of `when` and `gate`: numbers, texts, names, arithmetic, comparison, `and`, `or`, `not`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Value;

use super::pratt;

/// An expression, such as `rmse < rival.rmse * 1.02 and r2 > 0.3`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expression {
    pub(super) root: Node,
}

/// A part of an expression with its place in the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Kind {
    Literal(Value),
    Name(String),
    Not(Box<Node>),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Function {
    Abs,
    Min,
    Max,
}

/// Text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong, without a full stop.
    pub message: String,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
}

/// An expression that has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// Nothing is known under this name.
    #[error("`{name}` is not known")]
    UnknownName {
        /// The dotted name.
        name: String,
    },
    /// An operator cannot work on such values.
    #[error("{message}")]
    Type {
        /// What was expected and what was found.
        message: String,
    },
    /// The result is no number, such as `0 / 0`.
    #[error("the result of `{operation}` is not a number")]
    NotANumber {
        /// The operator or function.
        operation: &'static str,
    },
}

impl Expression {
    /// The expression that a text says.
    ///
    /// # Errors
    /// If the text is no expression.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        pratt::parse(text).map(|root| Self { root })
    }

    /// All names in it, in the order of the text, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        self.root.visit(&mut |node| {
            if let Kind::Name(name) = &node.kind
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        });
        names
    }

    /// The places of a name in the text.
    #[must_use]
    pub fn places(&self, name: &str) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        self.root.visit(&mut |node| {
            if matches!(&node.kind, Kind::Name(here) if here == name) {
                places.push(node.span.clone());
            }
        });
        places
    }

    /// Its value, with names looked up by dotted name.
    ///
    /// # Errors
    /// If a name is unknown, or values do not fit their operator.
    pub fn evaluate(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<Value, EvaluateError> {
        self.root.evaluate(lookup)
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Like [`Expression::evaluate`], and if the value is neither true nor false.
    pub fn holds(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<bool, EvaluateError> {
        self.evaluate(lookup).and_then(|value| truth(&value, "a condition"))
    }

    /// This expression and its text with the names filled in that the lookup knows; others stay.
    #[must_use]
    pub fn fill(&self, text: &str, lookup: &dyn Fn(&str) -> Option<Value>) -> (Self, String) {
        let mut filled = self.clone();
        let mut written = text.to_owned();
        let mut places = Vec::new();
        filled.root.visit_mut(&mut |node| {
            if let Kind::Name(name) = &node.kind
                && let Some(value) = lookup(name)
            {
                places.push((node.span.clone(), value.clone()));
                node.kind = Kind::Literal(value);
            }
        });
        places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        for (span, value) in places {
            written.replace_range(span, &literal(&value));
        }
        (filled, written)
    }
}

/// A value as the language of expressions writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) if text.contains('\'') => format!("\"{text}\""),
        Value::Text(text) => format!("'{text}'"),
        Value::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

impl Node {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Self)) {
        see(self);
        match &self.kind {
            Kind::Literal(_) | Kind::Name(_) => {}
            Kind::Not(inner) | Kind::Negative(inner) => inner.visit(see),
            Kind::Binary(_, left, right) => {
                left.visit(see);
                right.visit(see);
            }
            Kind::Call(_, arguments) => arguments.iter().for_each(|argument| argument.visit(see)),
        }
    }

    fn visit_mut(&mut self, change: &mut dyn FnMut(&mut Self)) {
        change(self);
        match &mut self.kind {
            Kind::Literal(_) | Kind::Name(_) => {}
            Kind::Not(inner) | Kind::Negative(inner) => inner.visit_mut(change),
            Kind::Binary(_, left, right) => {
                left.visit_mut(change);
                right.visit_mut(change);
            }
            Kind::Call(_, arguments) => {
                arguments.iter_mut().for_each(|argument| argument.visit_mut(change));
            }
        }
    }

    fn evaluate(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<Value, EvaluateError> {
        match &self.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Name(name) => lookup(name).ok_or_else(|| EvaluateError::UnknownName { name: name.clone() }),
            Kind::Not(inner) => truth(&inner.evaluate(lookup)?, "`not`").map(|truth| Value::Bool(!truth)),
            Kind::Negative(inner) => match inner.evaluate(lookup)? {
                Value::Int(number) if number != i64::MIN => Ok(Value::Int(-number)),
                other => finish(-number(&other, "-")?, "-"),
            },
            Kind::Binary(Operator::And, left, right) => {
                let holds =
                    truth(&left.evaluate(lookup)?, "`and`")? && truth(&right.evaluate(lookup)?, "`and`")?;
                Ok(Value::Bool(holds))
            }
            Kind::Binary(Operator::Or, left, right) => {
                let holds =
                    truth(&left.evaluate(lookup)?, "`or`")? || truth(&right.evaluate(lookup)?, "`or`")?;
                Ok(Value::Bool(holds))
            }
            Kind::Binary(operator, left, right) => {
                operator.apply(&left.evaluate(lookup)?, &right.evaluate(lookup)?)
            }
            Kind::Call(function, arguments) => {
                let values: Result<Vec<Value>, _> =
                    arguments.iter().map(|argument| argument.evaluate(lookup)).collect();
                function.apply(&values?)
            }
        }
    }
}

impl Operator {
    /// As it is written.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }

    fn apply(self, left: &Value, right: &Value) -> Result<Value, EvaluateError> {
        match self {
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide => self.calculate(left, right),
            _ => self.compare(left, right).map(Value::Bool),
        }
    }

    fn calculate(self, left: &Value, right: &Value) -> Result<Value, EvaluateError> {
        if let (Value::Int(left), Value::Int(right)) = (left, right) {
            let exact = match self {
                Self::Add => left.checked_add(*right),
                Self::Subtract => left.checked_sub(*right),
                Self::Multiply => left.checked_mul(*right),
                _ => None,
            };
            if let Some(exact) = exact {
                return Ok(Value::Int(exact));
            }
        }
        let (left, right) = (number(left, self.word())?, number(right, self.word())?);
        let result = match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            _ => left / right,
        };
        finish(result, self.word())
    }

    fn compare(self, left: &Value, right: &Value) -> Result<bool, EvaluateError> {
        use std::cmp::Ordering;
        let order = match (left, right) {
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::Int(left), Value::Int(right)) => left.cmp(right),
            (Value::Bool(left), Value::Bool(right)) if matches!(self, Self::Equal | Self::Unequal) => {
                left.cmp(right)
            }
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                number(left, self.word())?.total_cmp(&(number(right, self.word())? + 0.0))
            }
            _ => {
                let message =
                    format!("`{}` cannot compare {} with {}", self.word(), article(left), article(right));
                return Err(EvaluateError::Type { message });
            }
        };
        Ok(match self {
            Self::Equal => order == Ordering::Equal,
            Self::Unequal => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::AtMost => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        })
    }
}

impl Function {
    /// The function of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "abs" => Some(Self::Abs),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => None,
        }
    }

    /// As it is written.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    fn apply(self, values: &[Value]) -> Result<Value, EvaluateError> {
        let numbers: Result<Vec<f64>, _> = values.iter().map(|value| number(value, self.word())).collect();
        let chosen = match self {
            Self::Abs => numbers?.first().copied().unwrap_or(f64::NAN).abs(),
            Self::Min => numbers?.into_iter().fold(f64::INFINITY, f64::min),
            Self::Max => numbers?.into_iter().fold(f64::NEG_INFINITY, f64::max),
        };
        finish(chosen, self.word())
    }
}

fn truth(value: &Value, whose: &str) -> Result<bool, EvaluateError> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        other => Err(EvaluateError::Type {
            message: format!("{whose} needs true or false, not {}", article(other)),
        }),
    }
}

/// A number as the arithmetic sees it; negative zero is zero.
#[expect(
    clippy::cast_precision_loss,
    reason = "arithmetic of mixed numbers is floating, as in every language"
)]
fn number(value: &Value, operation: &str) -> Result<f64, EvaluateError> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number + 0.0),
        other => Err(EvaluateError::Type {
            message: format!("`{operation}` needs numbers, not {}", article(other)),
        }),
    }
}

fn finish(result: f64, operation: &'static str) -> Result<Value, EvaluateError> {
    if result.is_nan() { Err(EvaluateError::NotANumber { operation }) } else { Ok(Value::Float(result)) }
}

fn article(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("the text '{text}'"),
        Value::Bool(_) => "a truth value".to_owned(),
        Value::Int(_) | Value::Float(_) => "a number".to_owned(),
        Value::List(_) => "a list".to_owned(),
        _ => "such a value".to_owned(),
    }
}
