//! The mistakes of a pipeline file, drawn: each with its line, the marked place and the advice.

use miette::{GraphicalReportHandler, GraphicalTheme};
use tidemill_engine::spec::Diagnostics;

use super::style::{Paint, Tone};
use super::text::{count, harmless};

/// The narrowest drawing.
const NARROWEST: usize = 60;

/// All mistakes, drawn one below the other, and how many there are.
pub(crate) fn draw(diagnostics: &Diagnostics, paint: Paint, width: usize) -> String {
    let theme = match paint {
        Paint::Coloured => GraphicalTheme::unicode(),
        Paint::Plain => GraphicalTheme::unicode_nocolor(),
    };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(width.max(NARROWEST)).with_links(false);
    let mut text = String::new();
    for report in made_harmless(diagnostics).reports() {
        // Writing to a text cannot fail.
        handler.render_report(&mut text, &report).ok();
        text.push('\n');
    }
    let mistakes = count(diagnostics.items.len(), "mistake");
    let name = harmless(&diagnostics.source_name);
    text.push_str(&format!("{}: {mistakes} in {name}\n", paint.text(Tone::Bad, "error")));
    if let Some(first) = diagnostics.items.first() {
        let hint = paint.text(Tone::Strong, "hint");
        text.push_str(&format!("{hint}: `tidemill explain-error {}` says more about a code\n", first.code));
    }
    text
}

/// The same mistakes, with nothing in them that would steer a terminal, all places as they were.
fn made_harmless(diagnostics: &Diagnostics) -> Diagnostics {
    let mut diagnostics = diagnostics.clone();
    diagnostics.source_name = harmless(&diagnostics.source_name);
    diagnostics.source_text = harmless(&diagnostics.source_text);
    for item in &mut diagnostics.items {
        item.message = harmless(&item.message);
        item.help = item.help.as_deref().map(harmless);
        for label in &mut item.labels {
            label.text = harmless(&label.text);
        }
    }
    diagnostics
}

#[cfg(test)]
mod tests {
    use tidemill_engine::spec::{Code, Diagnostic, Label};

    use super::*;

    fn mistakes() -> Diagnostics {
        let text = "[steps.train]\nrun = \"python train.py\"\ninpust = {}\n# \u{1b}[2J\n";
        let span = text.find("inpust").map(|at| at..at + 6).unwrap();
        let unknown = Diagnostic {
            code: Code::UnknownField,
            message: "unknown field `inpust`".to_owned(),
            labels: vec![Label { span, text: "not a field of a step".to_owned() }],
            help: Some("did you mean `inputs`?".to_owned()),
        };
        let cycle = Diagnostic {
            code: Code::Cycle,
            message: "the steps go round in a circle".to_owned(),
            labels: Vec::new(),
            help: None,
        };
        Diagnostics {
            source_name: "pipeline.toml".to_owned(),
            source_text: text.to_owned(),
            items: vec![unknown, cycle],
        }
    }

    #[test]
    fn every_mistake_is_drawn() {
        insta::assert_snapshot!(draw(&mistakes(), Paint::Plain, 100), @r###"
        unknown-field

          × unknown field `inpust`
           ╭─[pipeline.toml:3:1]
         2 │ run = "python train.py"
         3 │ inpust = {}
           · ───┬──
           ·    ╰── not a field of a step
         4 │ # ?[2J
           ╰────
          help: did you mean `inputs`?

        cycle

          × the steps go round in a circle

        error: 2 mistakes in pipeline.toml
        hint: `tidemill explain-error unknown-field` says more about a code
        "###);
    }

    #[test]
    fn plain_drawings_hold_no_control_character() {
        let text = draw(&mistakes(), Paint::Plain, 100);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(draw(&mistakes(), Paint::Coloured, 100).contains('\u{1b}'));
    }
}
