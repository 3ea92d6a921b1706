//! `tidemill man`.

use std::fs;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::text::count;
use crate::{help, manual};

/// Write the manual pages: one for `tidemill`, and one for each command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill man ~/.local/share/man/man1" => "write the pages to where `man tidemill-run` finds them",
    "tidemill man" => "print the page of `tidemill` itself; `tidemill man | man -l -` shows it",
])]
pub(crate) struct Args {
    /// The folder to write the pages to; without it, the first page is printed.
    #[arg(value_name = "DIR")]
    pub(crate) pages: Option<Utf8PathBuf>,
}

#[derive(Serialize)]
struct Written {
    pages: Vec<Utf8PathBuf>,
}

/// Writes the pages.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let pages = manual::pages(help::command())?;
    let Some(folder) = &args.pages else {
        for page in pages.iter().take(1) {
            context.ui.print(&page.text)?;
        }
        return Ok(Exit::Done);
    };
    let folder = context.folder.join(folder);
    fs::create_dir_all(&folder).map_err(CliError::file("create", &folder))?;
    let mut written = Written { pages: Vec::new() };
    for page in pages {
        let path = folder.join(&page.name);
        fs::write(&path, &page.text).map_err(CliError::file("write", &path))?;
        written.pages.push(context.relative(&path).to_owned());
    }
    let folder = context.relative(&folder).to_owned();
    context.ui.result(&written, || format!("{folder}: {}\n", count(written.pages.len(), "page")))?;
    Ok(Exit::Done)
}
