//! Texts with places to be filled in. They read no files and cannot run for ever, and what is not there is a mistake, not a gap.
//! Whoever writes a text is trusted with memory: what it builds on the way is bounded by its steps only.

use std::collections::BTreeSet;
use std::io;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

/// A subject, if nobody wrote another. It takes `pipeline` and `what`.
pub const SUBJECT: &str = "{{ pipeline }}: {{ what }}";

/// A text, if nobody wrote another. It takes `pipeline` and `what`, and `why` if that is known.
pub const TEXT: &str =
    "In the pipeline {{ pipeline }}, {{ what }}.{% if why is defined and why %}\n\n{{ why }}{% endif %}\n";

/// The longest text that is made, in bytes.
const LENGTH: usize = 64 * 1024;
/// How many steps a text may take.
const STEPS: u64 = 100_000;
/// How deep it may call itself.
const DEPTH: usize = 50;

/// A text that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Where, counted from one.
        line: usize,
        /// Why.
        reason: String,
    },
    /// It asks for something that is not there.
    #[error("line {line}: there is no `{name}`")]
    Undefined {
        /// Where, counted from one.
        line: usize,
        /// What it asks for.
        name: String,
    },
    /// It becomes too long.
    #[error("it becomes longer than {} KiB", LENGTH / 1024)]
    TooLong,
    /// It does not come to an end.
    #[error("line {line}: it takes more than {STEPS} steps")]
    Endless {
        /// Where it was, counted from one.
        line: usize,
    },
    /// It does something that does not work.
    #[error("line {line}: {reason}")]
    Failed {
        /// Where, counted from one.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// Whether a text can be read at all, before there is anything to fill in.
///
/// # Errors
/// If it cannot.
pub fn check(template: &str) -> Result<(), TemplateError> {
    environment().template_from_str(template).map(drop).map_err(|error| told(template, &error))
}

/// What a text asks for that it does not make itself, sorted; nothing if it cannot be read.
#[must_use]
pub fn names(template: &str) -> BTreeSet<String> {
    let environment = environment();
    let compiled = environment.template_from_str(template);
    compiled.map(|compiled| compiled.undeclared_variables(false).into_iter().collect()).unwrap_or_default()
}

/// A text, filled in.
///
/// # Errors
/// If it cannot be read, asks for something that is not there, or becomes too long.
pub fn render(template: &str, context: &serde_json::Value) -> Result<String, TemplateError> {
    let environment = environment();
    let compiled = environment.template_from_str(template).map_err(|error| told(template, &error))?;
    let mut text = Bounded(Vec::new());
    match compiled.render_captured_to(Value::from(Serde(context)), &mut text) {
        Ok(_) => Ok(String::from_utf8(text.0).expect("a template writes whole strings")),
        Err(error) => Err(told(template, &error)),
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(STEPS));
    environment.set_recursion_limit(DEPTH);
    environment.set_debug(true);
    environment
}

fn told(template: &str, error: &Error) -> TemplateError {
    let line = error.line().unwrap_or(1);
    let reason = || error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.kind() {
        ErrorKind::SyntaxError => TemplateError::Syntax { line, reason: reason() },
        ErrorKind::UndefinedError => {
            // The detail quotes what was looked for; the range is of the whole expression around it.
            let quoted = error.detail().and_then(|detail| detail.split('`').nth(1));
            let whole = || error.range().and_then(|range| template.get(range));
            let name = quoted.or_else(whole).unwrap_or("such value");
            TemplateError::Undefined { line, name: crate::text::one_line(name, 100) }
        }
        ErrorKind::WriteFailure => TemplateError::TooLong,
        ErrorKind::OutOfFuel => TemplateError::Endless { line },
        _ => TemplateError::Failed { line, reason: reason() },
    }
}

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LENGTH {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_texts() {
        let context = json!({"pipeline": "churn", "what": "the step evaluate failed", "why": "exit code 3"});
        assert_eq!(render(SUBJECT, &context).unwrap(), "churn: the step evaluate failed");
        let text = "In the pipeline churn, the step evaluate failed.\n\nexit code 3";
        assert_eq!(render(TEXT, &context).unwrap(), text);
        let short = render(TEXT, &json!({"pipeline": "churn", "what": "all is well"})).unwrap();
        assert_eq!(short, "In the pipeline churn, all is well.");
        check(SUBJECT).and(check(TEXT)).unwrap();
    }

    #[test]
    fn values_are_taken_as_they_are() {
        let context = json!({"a": "<b> & \"c\"", "list": [1, 2], "map": {"z": 1, "a": 2}});
        let text = render("{{ a }} {{ list | join(', ') }} {{ map | tojson }}", &context).unwrap();
        assert_eq!(text, "<b> & \"c\" 1, 2 {\"a\": 2, \"z\": 1}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let undefined = |template, line, name: &str| {
            let error = render(template, &json!({"run": {"id": 7}})).unwrap_err();
            assert_eq!(error, TemplateError::Undefined { line, name: name.to_owned() }, "{template}");
        };
        undefined("a\nb {{ pipelin }}", 2, "pipelin");
        undefined("{{ run.name.first }}", 1, "run.name");
        undefined("{{ run.name }}", 1, "run.name");
        undefined("\n\n{% for x in steps %}{% endfor %}", 3, "steps");
        undefined("{% if nothing %}{% endif %}", 1, "nothing");
    }

    #[test]
    fn mistakes_are_found_before_anything_is_known() {
        let Err(TemplateError::Syntax { line, .. }) = check("one\n{{ two") else { panic!("it was read") };
        assert_eq!(line, 2);
        assert!(check("{% if a %}").is_err());
        assert!(matches!(check("{{ a | no_such_filter }}"), Ok(()) | Err(_)));
        assert!(render("{{ 1 | no_such_filter }}", &json!({})).is_err());
    }

    #[test]
    fn what_a_text_asks_for_is_known_before() {
        let text =
            "{% for step in failed %}{{ step.name }}{% endfor %}{% set x = run %}{{ x }} {{ metrics.a.b }}";
        assert_eq!(names(text).into_iter().collect::<Vec<_>>(), ["failed", "metrics", "run"]);
        assert!(names("{{").is_empty());
    }

    #[test]
    fn no_files_are_read() {
        assert!(render("{% include '/etc/passwd' %}", &json!({})).is_err());
        assert!(render("{% extends 'a' %}", &json!({})).is_err());
    }

    #[test]
    fn a_text_ends() {
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(matches!(render(nested, &json!({})), Err(TemplateError::Endless { .. })));
        let long = "{{ text }}{{ text }}";
        assert_eq!(render(long, &json!({"text": "x".repeat(40_000)})), Err(TemplateError::TooLong));
        assert_eq!(render(long, &json!({"text": "x".repeat(32_768)})).unwrap().len(), LENGTH);
        let deep = "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}";
        assert!(render(deep, &json!({})).is_err());
    }
}
