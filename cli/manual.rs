//! The manual pages, made from the definition of the command line: what `--help` says, and exit codes, variables and files.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::exit;

/// A page.
pub(crate) struct Page {
    /// The name of its file, such as `tidemill-run.1`.
    pub(crate) name: String,
    /// In the language of `troff`.
    pub(crate) text: String,
}

/// Variables of the environment that people set, and what they do.
pub(crate) const ENVIRONMENT: [(&str, &str); 8] = [
    (
        "TIDEMILL_LOG",
        "What to tell of the inside, such as \"debug\" or \"tidemill_engine=trace\"; stronger than -v.",
    ),
    ("TIDEMILL_SERVE_TOKEN", "The token for \"tidemill serve\", in place of a file."),
    ("NO_COLOR", "No colours, if it is set and not empty."),
    ("CLICOLOR_FORCE", "Colours even where there is no terminal."),
    ("TERM", "If it is \"dumb\": no control characters at all."),
    ("CI", "Runs are recorded as started by CI, and progress is plain lines."),
    (
        "COMPLETE",
        "Set by the scripts of \"tidemill completions\": the program then completes a command line and does nothing else.",
    ),
    ("USER, LOGNAME", "Who acts, for records."),
];

/// Files that people meet.
pub(crate) const FILES: [(&str, &str); 5] = [
    ("pipeline.toml", "A pipeline: parameters and steps."),
    (
        "tidemill.toml",
        "Marks the root of a project, and may say where its pipelines are. All of it is optional.",
    ),
    (".tidemill/", "The state of a project: cache, runs, registered models. It ignores itself for git."),
    (".tidemillignore", "What is left out of folders that are inputs, in the syntax of .gitignore."),
    (
        "pipeline.schema.json",
        "The JSON Schema of pipeline files, for editors; \"tidemill schema --output\" writes it.",
    ),
];

/// All pages: that of the command itself, then one per command and subcommand.
///
/// # Errors
/// Never in practice: they are written to memory.
pub(crate) fn pages(mut command: Command) -> io::Result<Vec<Page>> {
    command.build();
    let mut pages = Vec::new();
    add(&command, "", &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, above: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = match above {
        "" => command.get_name().to_owned(),
        above => format!("{above}-{}", command.get_name()),
    };
    pages.push(Page { name: format!("{name}.1"), text: page(command, &name, above)? });
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        add(command, &name, pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str, above: &str) -> io::Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let own = command.clone().display_name(name);
    let man = Man::new(own)
        .title(name)
        .section("1")
        // A page without a date; left away, the source would stand in its place.
        .date(" ")
        .source(format!("Tidemill {version}"))
        .manual("Tidemill Manual");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    examples(&mut rest, command);
    exit_codes(&mut rest);
    section(&mut rest, "ENVIRONMENT", &ENVIRONMENT);
    section(&mut rest, "FILES", &FILES);
    see_also(&mut rest, command, name, above);
    rest.to_writer(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// The examples of `--help`, each line in bold above what it does.
fn examples(roff: &mut Roff, command: &Command) {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let Some((_, examples)) = help.split_once("Examples:\n") else { return };
    roff.control("SH", ["EXAMPLES"]);
    for line in examples.lines() {
        match line.strip_prefix("      ") {
            Some(what) => roff.text([roman(what)]),
            None => roff.control("TP", []).text([bold(line.trim())]),
        };
    }
}

fn exit_codes(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit::table() {
        roff.control("TP", []).text([bold(code.to_string())]).text([roman(meaning)]);
    }
}

fn section(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, meaning) in entries {
        roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
    }
}

fn see_also(roff: &mut Roff, command: &Command, name: &str, above: &str) {
    let below = command.get_subcommands().map(clap::Command::get_name).filter(|below| *below != "help");
    let mut pages: Vec<String> = below.map(|below| format!("{name}-{below}")).collect();
    if !above.is_empty() {
        pages.insert(0, above.to_owned());
    }
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (place, page) in pages.iter().enumerate() {
        let end = if place + 1 == pages.len() { "(1)" } else { "(1), " };
        line.extend([bold(page), roman(end)]);
    }
    roff.text(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help;

    #[test]
    fn every_command_has_a_page_with_all_sections() {
        let pages = pages(help::command()).unwrap();
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        for name in ["tidemill.1", "tidemill-run.1", "tidemill-models-rollback.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        for page in &pages {
            for section in
                ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "ENVIRONMENT", "FILES"]
            {
                assert!(
                    page.text.contains(&format!(".SH {section}\n")),
                    "{}: {section}\n{}",
                    page.name,
                    page.text
                );
            }
            assert!(page.name == "tidemill.1" || page.text.contains(".SH EXAMPLES\n"), "{}", page.name);
        }
    }
}
