//! The whole answer of a command: its exit code, what it put on stdout, what it said on stderr.

use std::path::PathBuf;
use std::process::Output;

use regex::Regex;

/// What a command answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The command as a person would type it.
    command: String,
    /// The exit code; 128 and the signal's number if a signal ended it, as a shell shows it.
    pub(crate) status: i32,
    /// The result.
    pub(crate) stdout: String,
    /// The talk.
    pub(crate) stderr: String,
    /// The world that it was asked in, with the words that a snapshot shows in its place.
    places: Vec<(PathBuf, &'static str)>,
}

impl Answer {
    pub(crate) fn new(command: String, output: &Output, places: Vec<(PathBuf, &'static str)>) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let status = output.status.code().or_else(|| Some(128 + output.status.signal()?));
        Self {
            command,
            status: status.expect("a process ends with a code or a signal"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            places,
        }
    }

    /// Fails the story unless the command ended with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "the exit code of:\n{}", self.transcript());
        self
    }

    /// Fails the story unless the command succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Fails the story unless the talk or the result contains this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "{text:?} is not in:\n{}", self.transcript());
        self
    }

    /// Fails the story if the talk or the result contains this.
    #[track_caller]
    pub(crate) fn says_nothing_of(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(!said, "{text:?} is in:\n{}", self.transcript());
        self
    }

    /// The result as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("the result is no JSON ({error}):\n{}", self.transcript()),
        }
    }

    /// How many steps ended in this way, from the result of `run --json`.
    #[track_caller]
    pub(crate) fn counted(&self, manner: &str) -> u64 {
        match self.json()["counts"][manner].as_u64() {
            Some(count) => count,
            None => panic!("the result counts no steps that were {manner}:\n{}", self.transcript()),
        }
    }

    /// Fails the story unless a `run --json` executed this many steps.
    #[track_caller]
    pub(crate) fn executed(self, count: u64) -> Self {
        assert_eq!(self.counted("executed"), count, "executed steps of:\n{}", self.transcript());
        self
    }

    /// Everything as it was, for the message of a story that failed.
    pub(crate) fn transcript(&self) -> String {
        let Self { command, status, stdout, stderr, .. } = self;
        format!("$ {command}\n-- stdout\n{stdout}\n-- stderr\n{stderr}\n-- exit code {status}\n")
    }

    /// Everything with words in the place of what differs from run to run: paths, run ids, digests, times, durations.
    pub(crate) fn snapshot(&self) -> String {
        let mut text = format!("$ {}\n{}", self.command, self.stdout);
        if !self.stderr.is_empty() {
            text.push_str(&format!("-- stderr\n{}\n", self.stderr.trim_end_matches('\n')));
        }
        text.push_str(&format!("-- exit code {}", self.status));
        for (place, word) in &self.places {
            text = text.replace(place.to_str().expect("a path of a story is text"), word);
        }
        for (pattern, word) in WHAT_DIFFERS {
            let pattern = Regex::new(pattern).expect("a valid pattern");
            text = pattern.replace_all(&text, *word).into_owned();
        }
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

/// The same with two spaces between columns, however wide what differs from run to run makes them.
pub(crate) fn with_narrow_columns(text: &str) -> String {
    let gaps = Regex::new(r"(?<before>\S) {2,}").expect("a valid pattern");
    gaps.replace_all(text, "$before  ").into_owned()
}

/// What differs from run to run, the longest first.
const WHAT_DIFFERS: &[(&str, &str)] = &[
    (r"\b(take )?(under a second|(about|at least) [0-9.]+ (s|min)( \([^)]*\))?)(, \d+ s CPU)?", "[forecast]"),
    (r"\b\d{8}-\d{6}-[0-9a-z]{6,}\b", "[run]"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "[time]"),
    (r"\btidemill_[0-9a-f]{64}\b", "[token]"),
    (r"\b([0-9a-f]{64}|[0-9a-f]{12})\b", "[digest]"),
    // Between two columns, what stands before it differs too.
    (r" {2,}\d+(\.\d+)? (ms|s)  ", "  [duration]  "),
    (r"\b\d+(\.\d+)? ?(ms|s)\b", "[duration]"),
    (r"\bon host \S+?([,);:]|$)", "on host [host]$1"),
    (r#""host": "[^"]*""#, r#""host": "[host]""#),
    // The time that every line of progress begins with; the line about the run is not indented.
    (r"(?m)^\d\d:\d\d:\d\d run \[run\]", "run [run]"),
    (r"(?m)^\d\d:\d\d:\d\d ", "  "),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
    (r"\buid \d+\b", "[user]"),
];
