//! `tidemill explain-error`.

use serde::Serialize;
use tidemill_engine::spec::{Code, Example, Explained, code_named, explained};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::style::{Paint, Tone};
use crate::ui::text::filled;

/// The widest text that is read with ease.
const WIDEST: usize = 100;

/// Say what the code of a mistake means, with an example and the fix.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill explain-error cycle" => "say what this code means, with an example and the fix",
    "tidemill explain-error" => "list all codes",
])]
pub(crate) struct Args {
    /// The code, as it stands above a mistake; without one, all codes are listed.
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

#[derive(Serialize)]
struct Codes {
    codes: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    code: Code,
    title: &'static str,
}

/// Explains a code, or lists all of them.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let paint = context.ui.out.paint;
    match &args.code {
        Some(name) => {
            let explained = explained(code_named(name).map_err(|near| unknown(name, near))?);
            context.ui.result(&explained, || page(&explained, paint, context.width.min(WIDEST)))?;
        }
        None => {
            let listed = |&code| Listed { code, title: explained(code).title };
            let codes = Codes { codes: Code::ALL.iter().map(listed).collect() };
            context.ui.result(&codes, || list(&codes.codes, paint))?;
        }
    }
    Ok(Exit::Done)
}

fn unknown(name: &str, near: Option<Code>) -> CliError {
    CliError::Usage {
        message: format!("there is no code {name:?}"),
        hint: Some(match near {
            Some(near) => format!("did you mean {near}?"),
            None => "`tidemill explain-error` lists all codes".to_owned(),
        }),
    }
}

fn page(explained: &Explained, paint: Paint, width: usize) -> String {
    let Explained { code, title, text, wrong, right } = explained;
    let mut page = format!("{}: {title}\n", paint.text(Tone::Strong, code.as_str()));
    if !text.is_empty() {
        page.push_str(&format!("\n{}\n", filled(text, width)));
    }
    let examples = [(wrong, Tone::Bad, "wrong"), (right, Tone::Good, "right")];
    for (example, tone, word) in examples {
        let Some(Example { text, .. }) = example else { continue };
        page.push_str(&format!("\n{}\n", paint.text(tone, word)));
        for line in text.lines() {
            page.push_str(format!("    {line}").trim_end());
            page.push('\n');
        }
    }
    page
}

fn list(codes: &[Listed], paint: Paint) -> String {
    let width = codes.iter().map(|listed| listed.code.as_str().len()).max().unwrap_or(0);
    let line = |Listed { code, title }: &Listed| {
        let code = paint.text(Tone::Strong, &format!("{:<width$}", code.as_str()));
        format!("{code}  {title}\n")
    };
    codes.iter().map(line).collect()
}
