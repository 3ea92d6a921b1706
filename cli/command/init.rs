//! `tidemill init`.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tidemill_engine::name::PipelineName;
use tidemill_engine::project::PIPELINE_FILE;

use crate::context::Context;
use crate::dvc;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::starter::{self, SCHEMA_FILE, Starter, Template};
use crate::ui::text::clean;

/// Make a pipeline that runs at once, or translate one from DVC.
///
/// Nothing is ever overwritten: if one of the files is there already, that is an error, and no file is written.
///
/// With `--from`, the stages of a `dvc.yaml` become steps, its outs are published where DVC left them, and what has no
/// counterpart is told, each with its line. The `dvc.yaml` stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill init" => "make a small project here: a CSV file, and a pipeline from it to a deployed model",
    "tidemill init flats --template python" => "make one of two Python scripts, in a new folder",
    "tidemill init --from dvc.yaml" => "translate a DVC pipeline, and say what could not be translated",
])]
pub(crate) struct Args {
    /// The folder of the project; with `--from`, that of the `dvc.yaml` if nothing is said. It is made if it is not there.
    #[arg(value_name = "DIR")]
    pub(crate) project: Option<Utf8PathBuf>,
    /// The pipeline's name; by default that of the folder.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<PipelineName>,
    /// What to begin with.
    #[arg(long, value_name = "TEMPLATE", value_enum, default_value_t, conflicts_with = "from")]
    pub(crate) template: Template,
    /// Translate this `dvc.yaml`.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<Utf8PathBuf>,
}

/// What was made.
#[derive(Serialize)]
struct Made {
    pipeline: PipelineName,
    folder: Utf8PathBuf,
    files: Vec<Utf8PathBuf>,
    notes: Vec<dvc::Note>,
    next: Vec<Next>,
}

/// Makes the project.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let folder = folder(context, args)?;
    let name = args.name.clone().unwrap_or_else(|| starter::name_for(&folder));
    let (files, notes) = match &args.from {
        None => (starter::files(args.template, &name), Vec::new()),
        Some(from) => translated(context, from, &folder, &name)?,
    };
    write(context, &folder, &files)?;
    let shown = context.relative(&folder);
    let shown = if shown == "" { Utf8Path::new(".") } else { shown };
    let files = files.iter().map(|file| context.relative(&folder.join(file.path)).to_owned()).collect();
    let next = next(shown, args.from.as_deref());
    let made = Made { pipeline: name, folder: shown.to_owned(), files, notes, next };
    for note in &made.notes {
        context.ui.tell(&told(note));
    }
    context.ui.result(&made, || draw(&made))?;
    Ok(Exit::Done)
}

fn folder(context: &Context, args: &Args) -> Result<Utf8PathBuf, CliError> {
    let folder = match (&args.project, &args.from) {
        (Some(folder), _) => context.folder.join(folder),
        (None, Some(from)) => {
            let from = context.folder.join(from);
            from.parent().unwrap_or(&context.folder).to_owned()
        }
        (None, None) => context.folder.clone(),
    };
    // So that `init ..` has a name; a folder that is not there yet has no links in it.
    Ok(folder.canonicalize_utf8().unwrap_or(folder))
}

fn translated(
    context: &Context,
    from: &Utf8Path,
    folder: &Utf8Path,
    name: &PipelineName,
) -> Result<(Vec<Starter>, Vec<dvc::Note>), CliError> {
    let order = dvc::Order { file: &context.folder.join(from), shown: from, folder, name };
    let translation = dvc::translate(&order).inspect_err(|error| {
        // Why nothing could be used.
        error.notes().iter().for_each(|note| context.ui.tell(&told(note)));
    })?;
    let files = vec![
        Starter { path: PIPELINE_FILE, text: translation.text },
        Starter { path: SCHEMA_FILE, text: starter::schema() },
    ];
    Ok((files, translation.notes))
}

/// Writes all files, or none.
fn write(context: &Context, folder: &Utf8Path, files: &[Starter]) -> Result<(), CliError> {
    let there =
        files.iter().map(|file| folder.join(file.path)).filter(|path| path.symlink_metadata().is_ok());
    let there: Vec<String> = there.map(|path| context.relative(&path).to_string()).collect();
    if !there.is_empty() {
        return Err(CliError::Usage {
            message: format!("nothing was written, for this is there already: {}", there.join(", ")),
            hint: Some("name another folder: `tidemill init DIR`".to_owned()),
        });
    }
    let mut written: Vec<Utf8PathBuf> = Vec::new();
    for file in files {
        let path = folder.join(file.path);
        if let Err(error) = create(&path, &file.text) {
            // What this call made goes again; folders may stay, for they hold nothing.
            written.iter().for_each(|path| fs::remove_file(path).unwrap_or_default());
            return Err(error);
        }
        written.push(path);
    }
    Ok(())
}

/// Writes a file that must not be there, even if it appeared just now.
fn create(path: &Utf8Path, text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(CliError::file("create", parent))?;
    let mut file = fs::File::create_new(path).map_err(CliError::file("create", path))?;
    if let Err(source) = file.write_all(text.as_bytes()) {
        fs::remove_file(path).ok();
        return Err(CliError::File { action: "write", path: path.to_owned(), source });
    }
    Ok(())
}

/// A command to type, and what it does.
#[derive(Serialize)]
struct Next {
    command: String,
    does: &'static str,
}

/// The next two commands.
fn next(folder: &Utf8Path, from: Option<&Utf8Path>) -> Vec<Next> {
    let next = |command: &str, does| Next { command: command.to_owned(), does };
    let run = next("tidemill run", "run it; a second time there is nothing to do");
    let plan = next("tidemill plan", "what a run would do, and why");
    match (folder.as_str(), from) {
        (".", None) => vec![run, plan],
        (".", Some(_)) => vec![plan, run],
        (folder, _) => vec![next(&format!("cd {}", quoted(folder)), "go there"), run],
    }
}

fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A note for the terminal: what to do about it stands below.
fn told(note: &dvc::Note) -> String {
    let advice = note.advice.as_deref().map(|advice| format!("    {}\n", clean(advice))).unwrap_or_default();
    format!("{}\n{advice}", clean(&dvc::Note { advice: None, ..note.clone() }.to_string()))
}

fn draw(made: &Made) -> String {
    let mut text = format!("made the pipeline {}:\n", made.pipeline);
    for file in &made.files {
        text.push_str(&format!("  {}\n", clean(file.as_str())));
    }
    text.push_str("\nnext:\n");
    let width = made.next.iter().map(|next| next.command.chars().count()).max().unwrap_or(0);
    for Next { command, does } in &made.next {
        text.push_str(&format!("  {command:<width$}  # {does}\n"));
    }
    text
}
