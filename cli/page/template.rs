//! Views into HTML. Everything from outside is escaped; what is put in as it is stands in this file.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;
use tidemill_cache::Digest;

use crate::error::CliError;

const STYLE: &str = include_str!("style.css");
/// The libraries that draw plots, with their licences, in the order in which they need each other.
const VEGA: [(&str, &str); 3] = [
    (include_str!("vendor/LICENSE-vega"), include_str!("vendor/vega.min.js")),
    (include_str!("vendor/LICENSE-vega-lite"), include_str!("vendor/vega-lite.min.js")),
    (include_str!("vendor/LICENSE-vega-interpreter"), include_str!("vendor/vega-interpreter.js")),
];
/// Parts of it are inside `vega.min.js`.
const D3: &str = include_str!("vendor/LICENSE-d3");
const DRAW: &str = include_str!("draw.js");

const TEMPLATES: [(&str, &str); 4] = [
    ("base.html", include_str!("base.html")),
    ("parts.html", include_str!("parts.html")),
    ("plots.html", include_str!("plots.html")),
    ("report.html", include_str!("report.html")),
];

/// Whether a page needs the libraries that draw plots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    /// Nothing in it moves.
    None,
    /// It has a Vega-Lite plot.
    Vega,
}

/// A page from its template and its view.
pub(super) fn render<V: Serialize>(name: &str, view: &V, scripts: Scripts) -> Result<String, CliError> {
    // Content cannot know the hash of the page that it is part of, so it cannot name the nonce. The same run gives the
    // same page.
    let nonce = Digest::of(serde_json::to_string(view).unwrap_or_default().as_bytes()).short();
    let libraries = match scripts {
        Scripts::None => Vec::new(),
        Scripts::Vega => libraries(),
    };
    let page = context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        nonce => nonce,
        libraries => libraries,
        view => Value::from(Serde(view)),
    };
    let environment = environment()?;
    environment.get_template(name).and_then(|template| template.render(page)).map_err(CliError::Page)
}

fn environment() -> Result<Environment<'static>, CliError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(CliError::Page)?;
    }
    Ok(environment)
}

fn libraries() -> Vec<Value> {
    let library = |(licence, script): &(&str, &str)| format!("/*!\n{licence}*/\n{script}");
    let scripts = VEGA.iter().map(library).chain([format!("/*! Inside Vega: D3.\n{D3}*/\n{DRAW}")]);
    scripts.map(Value::from_safe_string).collect()
}

/// JSON that can stand inside a `script` element: nothing in it ends the element or begins a comment.
/// JSON escapes characters within texts only, and these occur nowhere else in it.
pub(super) fn json(value: &serde_json::Value) -> String {
    let escapes = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    escapes.into_iter().fold(value.to_string(), |text, (character, escape)| text.replace(character, escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_are_read_and_escape() {
        let environment = environment().unwrap();
        assert_eq!(environment.templates().count(), TEMPLATES.len());
        let shown =
            environment.render_named_str("page.html", "{{ text }}", context! { text => "<b>&\"'" }).unwrap();
        assert_eq!(shown, "&lt;b&gt;&amp;&quot;&#x27;");
        assert!(environment.render_named_str("page.html", "{{ nothing }}", context! {}).is_err());
    }

    #[test]
    fn json_cannot_leave_its_element() {
        let value = serde_json::json!({ "a": "</script><!-- \u{2028} &" });
        let text = json(&value);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn no_library_ends_the_element_that_it_stands_in() {
        for script in libraries() {
            assert!(!script.to_string().to_lowercase().contains("</script"));
        }
    }
}
