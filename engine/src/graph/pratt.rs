//! Text to expression: a scanner and one Pratt parser. Never panics, whatever the text.

use std::ops::Range;

use crate::Value;

use super::expression::{ExpressionError, Function, Kind, Node, Operator};

/// Longer texts are refused, so that a deep tree cannot overflow the stack.
const LONGEST: usize = 4096;
/// So are deeper parentheses.
const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Value(Value),
    Name(String),
    Operator(Operator),
    Not,
    Open,
    Close,
    Comma,
    End,
}

type Result<T> = std::result::Result<T, ExpressionError>;

fn error<T>(message: impl Into<String>, span: Range<usize>) -> Result<T> {
    Err(ExpressionError { message: message.into(), span })
}

/// The tree of an expression.
pub(super) fn parse(text: &str) -> Result<Node> {
    if text.len() > LONGEST {
        return error(format!("the expression is longer than {LONGEST} bytes"), 0..text.len());
    }
    let mut parser = Parser { tokens: scan(text)?, at: 0, depth: 0 };
    let root = parser.expression(0)?;
    match parser.next() {
        (Token::End, _) => Ok(root),
        (Token::Close, span) => error("this `)` closes nothing", span),
        (_, span) => error("an operator such as `<`, `+` or `and` is expected here", span),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &(Token, Range<usize>) {
        // The last token is `End`, and nothing moves past it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> (Token, Range<usize>) {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn expression(&mut self, weakest: u8) -> Result<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return error("the expression is nested too deeply", self.peek().1.clone());
        }
        let mut left = self.operand()?;
        while let (Token::Operator(operator), span) = self.peek().clone() {
            let power = power(operator);
            if power < weakest {
                break;
            }
            if power == COMPARISON
                && matches!(&left.kind, Kind::Binary(before, ..) if self::power(*before) == COMPARISON)
                && !self.closed_before()
            {
                return error("comparisons do not chain: write `a < b and b < c`", span);
            }
            self.next();
            let right = self.expression(power + 1)?;
            let span = left.span.start..right.span.end;
            left = Node { span, kind: Kind::Binary(operator, Box::new(left), Box::new(right)) };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Whether the token before this one closes a parenthesis.
    fn closed_before(&self) -> bool {
        self.at.checked_sub(1).is_some_and(|before| self.tokens[before].0 == Token::Close)
    }

    fn operand(&mut self) -> Result<Node> {
        let (token, span) = self.next();
        match token {
            Token::Value(value) => Ok(Node { span, kind: Kind::Literal(value) }),
            Token::Name(name) if self.peek().0 == Token::Open => self.call(&name, span),
            Token::Name(name) => Ok(Node { span, kind: Kind::Name(name) }),
            Token::Not => {
                let inner = self.expression(NOT)?;
                Ok(Node { span: span.start..inner.span.end, kind: Kind::Not(Box::new(inner)) })
            }
            Token::Operator(Operator::Subtract) => {
                let inner = self.expression(NEGATIVE)?;
                Ok(Node { span: span.start..inner.span.end, kind: Kind::Negative(Box::new(inner)) })
            }
            Token::Open => {
                let mut inner = self.expression(0)?;
                let end = self.close(&span)?;
                inner.span = span.start..end;
                Ok(inner)
            }
            Token::Operator(operator) => {
                error(format!("`{}` has nothing on its left side", operator.word()), span)
            }
            Token::End => error("something is missing at the end", span),
            Token::Close | Token::Comma => error("a number, a text or a name is expected here", span),
        }
    }

    fn call(&mut self, name: &str, span: Range<usize>) -> Result<Node> {
        let Some(function) = Function::named(name) else {
            return error(format!("there is no function `{name}`; there are `abs`, `min` and `max`"), span);
        };
        let (_, open) = self.next();
        let mut arguments = vec![self.expression(0)?];
        while self.peek().0 == Token::Comma {
            self.next();
            arguments.push(self.expression(0)?);
        }
        let end = self.close(&open)?;
        let span = span.start..end;
        match (function, arguments.len()) {
            (Function::Abs, 1) => {}
            (Function::Abs, _) => return error("`abs` takes one number", span),
            (_, 1) => return error(format!("`{name}` takes two numbers or more"), span),
            _ => {}
        }
        Ok(Node { span, kind: Kind::Call(function, arguments) })
    }

    fn close(&mut self, open: &Range<usize>) -> Result<usize> {
        match self.next() {
            (Token::Close, span) => Ok(span.end),
            (Token::End, _) => error("this `(` is never closed", open.clone()),
            (_, span) => error("an operator or `)` is expected here", span),
        }
    }
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const NEGATIVE: u8 = 7;

/// How strongly an operator binds.
fn power(operator: Operator) -> u8 {
    match operator {
        Operator::Or => 1,
        Operator::And => 2,
        Operator::Equal
        | Operator::Unequal
        | Operator::Less
        | Operator::AtMost
        | Operator::Greater
        | Operator::AtLeast => COMPARISON,
        Operator::Add | Operator::Subtract => 5,
        Operator::Multiply | Operator::Divide => 6,
    }
}

fn scan(text: &str) -> Result<Vec<(Token, Range<usize>)>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = token(text, at, first)?;
        tokens.push((token, at..at + length));
        at += length;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

fn token(text: &str, at: usize, first: char) -> Result<(Token, usize)> {
    let rest = &text[at..];
    for (written, token) in symbols() {
        if rest.starts_with(written) {
            return Ok((token, written.len()));
        }
    }
    if first.is_ascii_digit() {
        return number(rest, at);
    }
    if first == '\'' || first == '"' {
        let Some(end) = rest[1..].find(first) else {
            return error("this text is never closed", at..text.len());
        };
        return Ok((Token::Value(Value::text(&rest[1..=end])), end + 2));
    }
    if let Some(inner) = rest.strip_prefix("${") {
        let Some(end) = inner.find('}') else {
            return error("`${` is never closed", at..text.len());
        };
        let name = inner[..end].trim();
        return if name.is_empty() {
            error("`${}` names nothing", at..at + end + 3)
        } else {
            Ok((Token::Name(name.to_owned()), end + 3))
        };
    }
    if first.is_alphabetic() || first == '_' {
        return Ok(word(rest));
    }
    let help = match first {
        '=' => ": `==` compares",
        '&' => ": write `and`",
        '|' => ": write `or`",
        _ => "",
    };
    error(format!("`{first}` has no meaning here{help}"), at..at + first.len_utf8())
}

fn symbols() -> [(&'static str, Token); 16] {
    [
        ("==", Token::Operator(Operator::Equal)),
        ("!=", Token::Operator(Operator::Unequal)),
        ("<=", Token::Operator(Operator::AtMost)),
        (">=", Token::Operator(Operator::AtLeast)),
        ("&&", Token::Operator(Operator::And)),
        ("||", Token::Operator(Operator::Or)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::Greater)),
        ("+", Token::Operator(Operator::Add)),
        ("-", Token::Operator(Operator::Subtract)),
        ("*", Token::Operator(Operator::Multiply)),
        ("/", Token::Operator(Operator::Divide)),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
    ]
}

fn number(rest: &str, at: usize) -> Result<(Token, usize)> {
    let mut end = 0;
    let bytes = rest.as_bytes();
    while end < bytes.len() {
        let exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E') && matches!(bytes[end], b'+' | b'-');
        if !(bytes[end].is_ascii_alphanumeric() || matches!(bytes[end], b'.' | b'_') || exponent) {
            break;
        }
        end += 1;
    }
    let written = rest[..end].replace('_', "");
    if let Ok(whole) = written.parse::<i64>() {
        return Ok((Token::Value(Value::Int(whole)), end));
    }
    match written.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Token::Value(Value::Float(number)), end)),
        _ => error(format!("`{}` is no number", &rest[..end]), at..at + end),
    }
}

fn word(rest: &str) -> (Token, usize) {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
    let token = match &rest[..end] {
        "and" => Token::Operator(Operator::And),
        "or" => Token::Operator(Operator::Or),
        "not" => Token::Not,
        "true" => Token::Value(Value::Bool(true)),
        "false" => Token::Value(Value::Bool(false)),
        name => Token::Name(name.to_owned()),
    };
    (token, end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::Value;
    use crate::graph::{EvaluateError, Expression};

    fn value(text: &str) -> Result<Value, EvaluateError> {
        Expression::parse(text).unwrap().evaluate(&|name| match name {
            "rmse" => Some(Value::Float(53.5)),
            "rival.rmse" => Some(Value::Int(55)),
            "params.learning-rate" => Some(Value::Float(0.5)),
            "params.stage" => Some(Value::text("qa")),
            _ => None,
        })
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        assert_eq!(value("1 + 2 * 3 - -4"), Ok(Value::Int(11)));
        assert_eq!(value("(1 + 2) * 3 == 9 and not 1 > 2"), Ok(Value::Bool(true)));
        assert_eq!(value("not true or true"), Ok(Value::Bool(true)));
        assert_eq!(value("-2 * 3"), Ok(Value::Int(-6)));
        assert_eq!(value("7 / 2"), Ok(Value::Float(3.5)));
        assert_eq!(value("9223372036854775807 + 1"), Ok(Value::Float(9_223_372_036_854_775_807.0)));
    }

    #[test]
    fn names_functions_and_texts() {
        assert_eq!(value("rmse < rival.rmse * 1.02"), Ok(Value::Bool(true)));
        assert_eq!(value("${params.learning-rate} <= 0.5 && params.stage == 'qa'"), Ok(Value::Bool(true)));
        assert_eq!(value("max(1, min(5, 3), abs(-2))"), Ok(Value::Float(3.0)));
        assert_eq!(value("-0.0 == 0"), Ok(Value::Bool(true)));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(value("r2 > 0"), Err(EvaluateError::UnknownName { name: "r2".into() }));
        assert!(matches!(value("rmse and true"), Err(EvaluateError::Type { .. })));
        assert!(matches!(value("'a' < 1"), Err(EvaluateError::Type { .. })));
        assert!(matches!(value("0 / 0 == 0"), Err(EvaluateError::NotANumber { .. })));
        for wrong in
            ["", "1 <", "1 < 2 < 3", "a = 1", "(1", "1)", "f(1)", "abs(1, 2)", "'a", "${a", "1 2", "1e999"]
        {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Expression::parse("(1 < 2) == true").is_ok());
    }

    #[test]
    fn filling_in_leaves_other_names() {
        let text = "rmse < ${params.limit} and rmse > params.low";
        let (filled, written) = Expression::parse(text).unwrap().fill(text, &|name| match name {
            "params.limit" => Some(Value::Float(2.0)),
            "params.low" => Some(Value::Int(-1)),
            _ => None,
        });
        assert_eq!(written, "rmse < 2.0 and rmse > -1");
        assert_eq!(filled.names(), ["rmse"]);
        assert_eq!(filled.holds(&|_| Some(Value::Int(1))), Ok(true));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9.()<>=!&|+*/'\" ${},-]{0,60}|\\PC{0,60}") {
            if let Ok(expression) = Expression::parse(&text) {
                drop(expression.evaluate(&|_| Some(Value::Int(2))));
                drop(expression.fill(&text, &|_| Some(Value::Int(2))));
            }
        }
    }
}
