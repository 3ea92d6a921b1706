//! A first session at a terminal, as `docs/session.md` shows it: recorded from real commands, and held to them from then on.
//!
//! `TIDEMILL_RECORD=1 cargo test --test stories -- session` records it anew.

use std::fs::File;

use regex::Regex;

use crate::support::Project;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.md");
const WIDTH: u16 = 160;

/// The document as it is made.
struct Recording {
    project: Project,
    page: String,
}

impl Recording {
    fn say(&mut self, text: &str) {
        self.page.push_str(&format!("\n{text}\n"));
    }

    fn show(&mut self, typed: &str, text: &str) {
        let text = text.replace(self.project.root().to_str().unwrap(), "~/flats");
        self.page.push_str(&format!("\n```console\n$ tidemill {typed}\n{text}\n```\n"));
    }

    /// Types a command at a terminal, and shows what stands there when it has ended.
    fn type_in(&mut self, typed: &str) {
        let arguments: Vec<&str> = typed.split_whitespace().collect();
        let mut terminal = self.project.terminal(&arguments, WIDTH, 60);
        terminal.end();
        terminal.is_clean();
        self.show(typed, &terminal.text());
    }
}

fn record() -> String {
    let mut page = Recording { project: Project::in_folder("flats"), page: String::new() };
    page.project.variable("USER", "ada");
    page.page.push_str(
        "# A first session\n\nRecorded at a terminal by a story of the test suite (`tests/session.rs`), which also checks \
         that it stays true.\n",
    );
    page.say("A working pipeline from an empty folder:");
    page.type_in("init");
    page.say("The first run executes all of it:");
    page.type_in("run");
    page.say("The second has nothing to do:");
    page.type_in("run");
    page.say("What would another value of a parameter cost, and why?");
    page.type_in("plan --set ridge.alpha=20.0");
    page.type_in("explain train[algorithm=ridge] --set ridge.alpha=20.0");
    page.say("The worse model does not get through the gate:");
    page.type_in("run --set ridge.alpha=500.0");
    page.type_in("metrics diff");
    page.say("How it all hangs together:");
    page.type_in("graph --state last");
    page.say("A step that fails says where to look:");
    page.project.file("count.py", "import sys\nprint('reading', sys.argv[1])\nopen('no-such-table.csv')\n");
    page.project.file(
        "broken.toml",
        "[pipeline]\nname = \"broken\"\n\n[steps.count]\nrun = \"python3 count.py ${inputs.table} > ${outputs.numbers}\"\n\
         inputs = { code = \"count.py\", table = \"data/flats.csv\" }\noutputs.numbers = \"numbers.csv\"\n\n\
         [steps.report]\nrun = \"cat ${inputs.numbers}\"\ninputs.numbers = \"${count.numbers}\"\n",
    );
    page.type_in("run broken.toml");
    page.say("And a mistake in the file what to write instead:");
    page.project.edit("broken.toml", "inputs.numbers", "input.numbers");
    page.type_in("check broken.toml");
    page.say("While steps run, each has a line with its time, its cores, its memory and what it said last:");
    watch(&mut page);
    page.page
}

/// A run that is looked at in its middle.
fn watch(page: &mut Recording) {
    let gate = page.project.outside("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    page.project.pipeline_file(
        "folds.toml",
        "[pipeline]\nname = \"folds\"\n\n[steps.fit]\nmatrix.fold = [1, 2, 3]\n\
         run = \"echo epoch 1 of 20, loss 0.${matrix.fold}7; : < OUTSIDE/gate\"\n",
    );
    let mut terminal = page.project.terminal(&["run", "folds.toml", "--jobs", "2"], WIDTH, 24);
    let shows = |row: &String| row.contains("loss") && row.contains("MiB");
    let rows = terminal
        .until("both show what they said last", |rows| rows.iter().filter(|row| shows(row)).count() == 2);
    let shown: Vec<String> = rows.into_iter().filter(|row| !row.is_empty()).collect();
    page.show("run folds.toml --jobs 2", &shown.join("\n"));
    let _open = File::options().read(true).write(true).open(&gate).unwrap();
    assert_eq!(terminal.end(), 0);
}

/// What must be the same in every session: not times, sizes in memory, ids, the machine, nor the width that they need.
fn essence(page: &str) -> Vec<String> {
    let differs = [
        (r"\b\d{8}-\d{6}-[0-9a-z]{6,}\b", "[run]"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "[time]"),
        (r"\b[0-9a-f]{12}\b", "[digest]"),
        (r"on host \S+", "on host [host]"),
        (r"\d+ min( \d+ s)?|\d+(\.\d+)? m?s\b", "[duration]"),
        (r"\d+(\.\d+)? cores?", "[cores]"),
        (r"\d+(\.\d+)? [KMG]iB", "[size]"),
        (r"about \[duration\].*|under a second", "[forecast]"),
        (r"─+", "─"),
        // How much of a reason fits into its line hangs on the width of the time before it.
        (r"\[duration\](,?) .*", "[duration]$1 …"),
        (r"^(.*Python|  \| ).*", "$1"),
        // It stands before the step that ended first.
        (r"^\s*ran\s+", ""),
    ];
    let differs: Vec<(Regex, &str)> =
        differs.iter().map(|(pattern, word)| (Regex::new(pattern).unwrap(), *word)).collect();
    let spaces = Regex::new(r"\s+").unwrap();
    let line = |line: &str| {
        let line = differs
            .iter()
            .fold(line.to_owned(), |line, (pattern, word)| pattern.replace_all(&line, *word).into_owned());
        spaces.replace_all(line.trim(), " ").into_owned()
    };
    // Steps that run side by side end in either order.
    let mut lines: Vec<String> = page.lines().map(line).filter(|line| !line.is_empty()).collect();
    lines.sort();
    lines
}

#[test]
fn the_document_shows_what_happens() {
    let now = record();
    if std::env::var_os("TIDEMILL_RECORD").is_some() {
        std::fs::write(PAGE, &now).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap();
    let (now, written) = (essence(&now), essence(&written));
    let new: Vec<&String> = now.iter().filter(|line| !written.contains(line)).collect();
    let gone: Vec<&String> = written.iter().filter(|line| !now.contains(line)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "docs/session.md is not what happens\nnew: {new:#?}\ngone: {gone:#?}"
    );
}
