//! What `--help` shows beside the arguments: the commands grouped by what they are for, and examples.
//!
//! A command's examples stand in its own file, above its arguments: `#[command(after_long_help = examples![…])]`. A test here
//! walks all commands: each has examples, each example is understood, each command belongs to a group.

use clap::{Command, CommandFactory as _};

use crate::args::Cli;
use crate::exit;

/// The examples of a command: lines to type, each with what it does.
macro_rules! examples {
    ($($line:literal => $what:literal),+ $(,)?) => {
        concat!("Examples:", $("\n  ", $line, "\n      ", $what),+)
    };
}
pub(crate) use examples;

/// The first minutes.
const START: &str = examples![
    "tidemill init" => "make a small pipeline here that runs at once",
    "tidemill run" => "run it; the second time there is nothing to do",
    "tidemill plan" => "say what a run would do, and why",
    "tidemill help run" => "tell more of a command",
];

/// The commands by what they are for, as `--help` lists them.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Make and run pipelines",
        &[
            "init", "check", "plan", "run", "watch", "daemon", "tick", "status", "attach", "cancel", "debug",
            "verify", "serve",
        ],
    ),
    (
        "See what happened, and why",
        &[
            "explain",
            "explain-error",
            "graph",
            "runs",
            "show",
            "log",
            "get",
            "metrics",
            "params",
            "plots",
            "report",
        ],
    ),
    (
        "Manage",
        &[
            "models",
            "triggers",
            "outbox",
            "cache",
            "push",
            "pull",
            "store",
            "executors",
            "doctor",
            "schema",
            "completions",
            "man",
            "help",
        ],
    ),
];

/// Where a command is listed that no group names.
const OTHERS: &str = "Others";

/// The whole command line, its help included.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{}\n{{options}}{{after-help}}",
        groups(&command),
        heading(&command, "Options")
    );
    command
        .help_template(template)
        .after_help("`tidemill help COMMAND` tells more of a command, with examples.")
        .after_long_help(format!("{START}\n\n{}", exit::help()))
}

fn heading(command: &Command, title: &str) -> String {
    let style = command.get_styles().get_header();
    format!("{}{title}:{}", style.render(), style.render_reset())
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (title, names) in GROUPS {
        text.push_str(&group(command, title, |name| names.contains(&name)));
    }
    text + &group(command, OTHERS, |name| !GROUPS.iter().any(|(_, names)| names.contains(&name)))
}

/// One group, its commands in the order of the definition; nothing if none belongs to it.
fn group(command: &Command, title: &str, belongs: impl Fn(&str) -> bool) -> String {
    let style = command.get_styles().get_literal();
    let mut text = String::new();
    for command in command.get_subcommands().filter(|command| belongs(command.get_name())) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        // What follows the colon is for the command's own help.
        let about = about.split(": ").next().unwrap_or_default();
        let name = command.get_name();
        text.push_str(&format!("  {}{name:<14}{}{about}\n", style.render(), style.render_reset()));
    }
    if belongs("help") {
        let name = "help";
        let about = "Print the help of a command";
        text.push_str(&format!("  {}{name:<14}{}{about}\n", style.render(), style.render_reset()));
    }
    match text.is_empty() {
        true => text,
        false => format!("{}\n{text}\n", heading(command, title)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command below this one, with the words that lead to it.
    fn walk(command: &Command, path: &str, visit: &mut impl FnMut(&str, &Command)) {
        for command in command.get_subcommands() {
            let path = format!("{path} {}", command.get_name());
            visit(&path, command);
            walk(command, &path, visit);
        }
    }

    fn lines(command: &Command) -> Vec<String> {
        let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.split_once("Examples:\n").map_or("", |(_, examples)| examples).to_owned();
        let lines = examples.lines().take_while(|line| line.starts_with("  "));
        lines.filter(|line| !line.starts_with("   ")).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn every_command_has_examples_and_each_is_understood() {
        let mut wrong = Vec::new();
        for line in lines(&super::command()) {
            let words = shlex::split(&line).unwrap_or_default();
            let answer = super::command().try_get_matches_from(&words);
            assert!(answer.is_ok() || line.contains(" help "), "{line}");
        }
        let mut check = |path: &str, command: &Command| {
            let lines = lines(command);
            if lines.is_empty() {
                wrong.push(format!("{path}: no examples; add `#[command(after_long_help = examples![…])]`"));
            }
            for line in lines {
                let words = shlex::split(&line).unwrap_or_default();
                if !line.starts_with(path) {
                    wrong.push(format!("{path}: {line:?} is an example of something else"));
                }
                if let Err(error) = super::command().try_get_matches_from(&words) {
                    wrong.push(format!("{line}: {error}"));
                }
            }
        };
        walk(&Cli::command(), "tidemill", &mut check);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_command_has_its_place_in_the_help() {
        let help = command().render_long_help().to_string();
        assert!(!help.contains(OTHERS), "name these in GROUPS:\n{help}");
        for command in Cli::command().get_subcommands() {
            assert!(help.contains(&format!("\n  {} ", command.get_name())), "{}", command.get_name());
        }
    }

    #[test]
    fn a_short_help_has_no_examples_and_a_long_one_has() {
        let mut whole = Cli::command();
        // What is global reaches the commands only then.
        whole.build();
        walk(&whole, "tidemill", &mut |path, command| {
            if path.split(' ').any(|word| word == "help") {
                return;
            }
            let short = command.clone().render_help().to_string();
            let long = command.clone().render_long_help().to_string();
            assert!(!short.contains("Examples:") && long.contains("Examples:"), "{path}\n{long}");
        });
    }
}
