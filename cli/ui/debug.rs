//! What is said about a step's folder that is open for a person.

use camino::Utf8Path;
use tidemill_engine::debug::{DebugFolder, Present};
use tidemill_engine::execute::{Kept, Origin};

use super::failure::{describe, quoted};
use super::style::{Paint, Tone};
use super::table::{Column, Table};
use super::text::{clean, clip, time};

/// The longest command that is shown whole.
const LONGEST: usize = 160;
/// How many lines of a script are shown.
const SCRIPT_LINES: usize = 6;
/// How many large files are named.
const NAMED: usize = 4;

/// What to know before looking around.
pub(crate) fn welcome(open: &DebugFolder, is_fenced: bool, paint: Paint, here: &Utf8Path) -> String {
    let mut text = head(open, paint);
    let mut line = |word: &str, rest: &str| {
        text.push_str(&format!("  {} {}\n", paint.text(Tone::Faint, &format!("{word:<8}")), clean(rest)));
    };
    line("folder", shown(&open.folder, here).as_str());
    for (place, part) in command(&open.argv, SCRIPT_LINES).iter().enumerate() {
        line(if place == 0 { "command" } else { "" }, part);
    }
    for (place, (input, paths)) in open.inputs().iter().enumerate() {
        let paths = if paths.is_empty() { "(not there)".to_owned() } else { paths.join(" ") };
        line(if place == 0 { "inputs" } else { "" }, &clip(&format!("{input}: {paths}"), LONGEST));
    }
    for (place, (output, path)) in open.outputs.iter().enumerate() {
        line(if place == 0 { "outputs" } else { "" }, &format!("{output}: {path}"));
    }
    if is_fenced {
        let level = open.sandbox.word();
        line(
            "fence",
            &format!("what is started here reaches what the step does ({level}); not with --no-fence"),
        );
    }
    text.push_str(&notes(open, paint));
    text.push_str(&format!(
        "{} starts the command as a run does; nothing that is done here enters the cache or the history\n",
        paint.text(Tone::Strong, "../run.sh"),
    ));
    let done = match open.origin {
        Origin::Failed => "`exit` when done; the folder stays until the step succeeds",
        Origin::Fresh => "`exit` when done; the folder is removed then, unless it was opened with --keep",
    };
    text.push_str(&format!("{done}\n\n"));
    text
}

fn head(open: &DebugFolder, paint: Paint) -> String {
    let step = paint.text(Tone::Strong, &clean(open.card.step.as_str()));
    match &open.card.failure {
        Some(failure) => {
            let what = paint.text(Tone::Bad, &clean(&describe(failure)));
            format!("{step} as its attempt in run {} left it: {what}\n", clean(&open.card.run.id))
        }
        None => format!("{step} with its inputs as they are now\n"),
    }
}

/// What is not as one might think.
pub(crate) fn notes(open: &DebugFolder, paint: Paint) -> String {
    let mut text = String::new();
    let mut say = |tone: Tone, word: &str, rest: &str| {
        text.push_str(&format!("{}: {}\n", paint.text(tone, word), clean(rest)));
    };
    match &open.present {
        Present::Same => {}
        Present::Differs { reason } => say(
            Tone::Warn,
            "note",
            &format!(
                "the step is not what it was then ({reason}); `--fresh` makes a folder of it as it is now"
            ),
        ),
        Present::Unknown { reason } => {
            say(
                Tone::Warn,
                "note",
                &format!("whether the step is what it was then cannot be told: {reason}"),
            );
        }
    }
    if let Some(target) = &open.target {
        say(Tone::Warn, "warning", &format!("its command changes {target}, also when it is started here"));
    }
    if !open.shared.is_empty() {
        let folder = &open.folder;
        let name = |path: &camino::Utf8PathBuf| path.strip_prefix(folder).unwrap_or(path).to_string();
        let mut names: Vec<String> = open.shared.iter().take(NAMED).map(name).collect();
        if open.shared.len() > NAMED {
            names.push(format!("{} more", open.shared.len() - NAMED));
        }
        let what = "too large to be copied, so not this folder's own; do not write to it";
        say(Tone::Warn, "warning", &format!("{what}: {}", names.join(", ")));
    }
    text
}

/// The folder, the command and the names of the variables, for whoever starts it in another way.
pub(crate) fn facts(open: &DebugFolder) -> String {
    let mut text = format!("folder   {}\nscript   {}\n", open.folder, open.script);
    for (place, part) in command(&open.argv, usize::MAX).iter().enumerate() {
        text.push_str(&format!("{:<8} {part}\n", if place == 0 { "command" } else { "" }));
    }
    let names: Vec<&str> = open.env.keys().map(String::as_str).collect();
    text.push_str(&format!("env      {}\n", names.join(" ")));
    text
}

/// The folders that are kept.
pub(crate) fn list(kept: &[Kept], here: &Utf8Path) -> String {
    if kept.is_empty() {
        return "no step folder is kept\n".to_owned();
    }
    let columns = [
        Column::Text("STEP"),
        Column::Text("PIPELINE"),
        Column::Text("WHEN"),
        Column::Text("WHY"),
        Column::Text("FOLDER"),
    ];
    let mut table = Table::new(&columns);
    for kept in kept {
        let why = kept.card.failure.as_ref().map_or_else(|| "made by debug".to_owned(), describe);
        table.row([
            kept.card.step.to_string(),
            kept.card.pipeline.to_string(),
            time(kept.card.at),
            clip(&why, 40),
            shown(&kept.folder, here).to_string(),
        ]);
    }
    table.render(0)
}

/// The command as a person wrote it, line by line: a shell's script itself, else its words.
fn command(argv: &[String], most: usize) -> Vec<String> {
    let whole = match argv {
        [shell, flags, script] if shell == "sh" && flags == "-euc" => script.trim().to_owned(),
        [_, step, uses] if step == "step" => format!("tidemill step {uses}"),
        argv => words(argv),
    };
    let mut lines: Vec<String> = whole.lines().take(most).map(|line| clip(&clean(line), LONGEST)).collect();
    if whole.lines().count() > most {
        lines.push("…".to_owned());
    }
    lines
}

fn words(argv: &[String]) -> String {
    argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn shown<'a>(path: &'a Utf8Path, here: &Utf8Path) -> &'a Utf8Path {
    path.strip_prefix(here).unwrap_or(path)
}
