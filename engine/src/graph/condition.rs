//! `when` and `gate` of one combination: parsed, parameters and matrix values filled in.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Value;
use crate::name::AxisName;
use crate::spec::{self, Code, Diagnostic, Placed, Problems, Span};

use super::{EvaluateError, Expression, GateCondition};

/// What conditions can be asked about before anything runs.
pub(super) struct Known<'a> {
    /// The text of the file.
    pub(super) source: &'a str,
    pub(super) params: &'a BTreeMap<String, Value>,
    pub(super) axes: &'a BTreeMap<AxisName, Value>,
}

impl Known<'_> {
    /// The text of a condition that does not hold; none if it holds, or is wrong, which is told.
    pub(super) fn left_out(&self, when: &Placed<String>, problems: &mut Problems) -> Option<String> {
        let expression = self.parse(when, problems)?;
        let mut sound = true;
        for name in expression.names() {
            if self.value(name).is_none() {
                for place in expression.places(name) {
                    problems.add(self.unknown(name, &self.span(when, &place)));
                }
                sound = false;
            }
        }
        if !sound {
            return None;
        }
        match expression.holds(&|name| self.value(name)) {
            Ok(true) => None,
            Ok(false) => Some(when.value.clone()),
            Err(error) => {
                problems.add(wrong(&error.to_string(), &when.span));
                None
            }
        }
    }

    /// A condition on metrics.
    pub(super) fn gate(&self, gate: &Placed<String>, problems: &mut Problems) -> Option<GateCondition> {
        let expression = self.parse(gate, problems)?;
        for name in expression.names() {
            if is_early(name) && self.value(name).is_none() {
                for place in expression.places(name) {
                    problems.add(self.unknown(name, &self.span(gate, &place)));
                }
            }
        }
        let (expression, text) = expression.fill(&gate.value, &|name| self.value(name));
        // Numbers in the place of metrics show whether the types fit.
        if let Err(EvaluateError::Type { message }) = expression.holds(&|_| Some(Value::Float(1.0))) {
            problems.add(wrong(&message, &gate.span));
        }
        Some(GateCondition { text, expression })
    }

    fn parse(&self, placed: &Placed<String>, problems: &mut Problems) -> Option<Expression> {
        match Expression::parse(&placed.value) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let diagnostic = Diagnostic::new(Code::Expression, error.message);
                let help = "conditions look like `rmse < 60 and r2 > 0.4`, or `params.deploy`";
                problems.add(diagnostic.at(&self.span(placed, &error.span), "").help(help));
                None
            }
        }
    }

    fn span(&self, placed: &Placed<String>, part: &Range<usize>) -> Span {
        spec::inside(self.source, &placed.span, &placed.value, part)
    }

    fn value(&self, name: &str) -> Option<Value> {
        if let Some(axis) = name.strip_prefix("matrix.") {
            return self.axes.iter().find(|(name, _)| name.as_str() == axis).map(|(_, value)| value.clone());
        }
        self.params.get(name.strip_prefix("params.")?).cloned()
    }

    fn unknown(&self, name: &str, span: &Span) -> Diagnostic {
        let params = self.params.keys().map(|name| format!("params.{name}"));
        let known: Vec<String> =
            params.chain(self.axes.keys().map(|axis| format!("matrix.{axis}"))).collect();
        let known = known.iter().map(String::as_str);
        let bare = format!("params.{name}");
        let help = match known.clone().find(|known| *known == bare).or_else(|| spec::nearest(name, known)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "`when` is asked before anything runs and knows `params.…` and `matrix.…`; numbers that a step \
                 writes are asked by the `gate` of that step"
                    .to_owned()
            }
        };
        Diagnostic::new(Code::UnknownInCondition, format!("`{name}` is not known here"))
            .at(span, "unknown")
            .help(help)
    }
}

fn is_early(name: &str) -> bool {
    name.starts_with("params.") || name.starts_with("matrix.")
}

fn wrong(message: &str, span: &Span) -> Diagnostic {
    Diagnostic::new(Code::Condition, format!("this condition cannot be decided: {message}")).at(span, "")
}
