//! What a run shows while it goes on: at a terminal, in a log, to a program.

use std::fs::File;

use regex::Regex;
use rustix::process::Signal;

use crate::support::Project;

/// Two steps that go on until there is a file `go`; one says something first.
const PIPELINE: &str = r#"
[steps.load]
run = "echo loaded > ${outputs.out}"
outputs.out = "out"

[steps.train]
run = "printf 'epoch 1\\nepoch 2\\n'; until [ -e OUTSIDE/go ]; do sleep 0.02; done"
inputs.in = "${load.out}"

[steps.score]
run = "until [ -e OUTSIDE/go ]; do sleep 0.02; done"
inputs.in = "${load.out}"

[steps.last]
run = "true"
needs = ["train", "score"]
"#;

/// What of the terminal's text is the run's progress: one line per step that ended, with words in the place of durations.
fn progress(text: &str, lines: usize) -> Vec<String> {
    let run = Regex::new(r"\b\d{8}-\d{6}-[0-9a-z]{6,}\b").unwrap();
    let duration = Regex::new(r"\b\d+(\.\d+)? (ms|s)\b +").unwrap();
    let normal = |line: &str| duration.replace_all(&run.replace_all(line, "[run]"), "[time] ").into_owned();
    text.lines().take(lines).map(normal).collect()
}

#[test]
fn what_runs_stands_below_what_ended() {
    let project = Project::with(PIPELINE);
    let mut terminal = project.terminal(&["run", "--jobs", "4"], 80, 24);
    let measured = Regex::new(r"^  train  +\d+ s  +\d\.\d cores  +\d+(\.\d+)? [KM]iB  epoch 2$").unwrap();
    let silent =
        Regex::new(r"^  score  +\d+ s  +\d\.\d cores  +\d+(\.\d+)? [KM]iB  has not run yet$").unwrap();
    let rows = terminal.until("both steps are measured", |rows| {
        rows.iter().any(|row| measured.is_match(row)) && rows.iter().any(|row| silent.is_match(row))
    });
    let status = Regex::new(r"^  1 done, 2 running, 1 waiting  \d+ s$").unwrap();
    assert_eq!(rows.iter().filter(|row| status.is_match(row)).count(), 1, "{rows:#?}");
    assert!(rows[0].starts_with("run ") && rows[1].starts_with("  done     load "), "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| !row.is_empty()).count(), 5, "{rows:#?}");

    project.outside_file("go", "");
    assert_eq!(terminal.end(), 0);
    terminal.is_clean();
    let text = terminal.text();
    let mut lines = progress(&text, 5);
    lines[2..4].sort();
    assert_eq!(
        lines,
        [
            "run [run] of story, 4 steps",
            "  done     load   [time] has not run yet",
            "  done     score  [time] has not run yet",
            "  done     train  [time] has not run yet",
            "  done     last   [time] has not run yet",
        ]
    );
    assert!(text.contains("done: 4 steps executed") && !text.contains("cores"), "{text}");
}

#[test]
fn the_time_that_is_left_is_told_from_history() {
    let project = Project::with(
        r#"
        [steps.slow]
        run = "sleep 1.2; until [ ! -e OUTSIDE/wait ]; do sleep 0.02; done"
        "#,
    );
    project.run_executes(1);
    project.outside_file("wait", "");
    let mut terminal = project.terminal(&["run", "--force", "slow"], 80, 24);
    terminal.until("the time left", |rows| {
        rows.iter().any(|row| row.starts_with("  1 running") && row.ends_with("about 5 s left"))
    });
    std::fs::remove_file(project.outside("wait")).unwrap();
    assert_eq!(terminal.end(), 0);
}

#[test]
fn hundreds_of_steps_take_half_of_the_window() {
    let folds: Vec<String> = (1..=300).map(|fold| fold.to_string()).collect();
    let project = Project::with(&format!(
        r#"
        [steps.fit]
        matrix.fold = [{}]
        run = "echo fold ${{matrix.fold}}; : < OUTSIDE/gate"
        "#,
        folds.join(", ")
    ));
    let gate = project.outside("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let mut terminal = project.terminal(&["run", "--jobs", "300"], 80, 24);
    let rows = terminal.until("all run", |rows| rows.iter().any(|row| row.starts_with("  300 running")));
    assert!(rows[0].starts_with("run "), "nothing scrolled away: {rows:#?}");
    let block: Vec<&String> = rows[1..].iter().filter(|row| !row.is_empty()).collect();
    assert_eq!(block.len(), 12, "{rows:#?}");
    assert!(block[..10].iter().all(|row| row.starts_with("  fit[fold=")), "{block:#?}");
    assert_eq!(block[10], "  … and 290 more running");

    // Whoever opens it for writing lets all readers go on, those who come later too.
    let _open = File::options().read(true).write(true).open(&gate).unwrap();
    assert_eq!(terminal.end(), 0);
    terminal.is_clean();
    let text = terminal.text();
    let line = Regex::new(r"(?m)^  done     fit\[fold=(\d+)\] +[\d.]+ m?s").unwrap();
    let mut ended: Vec<u32> = line.captures_iter(&text).map(|found| found[1].parse().unwrap()).collect();
    ended.sort_unstable();
    assert_eq!(ended, (1..=300).collect::<Vec<u32>>(), "every finished line is there once");
    assert!(text.lines().count() < 335 && !text.contains("running"), "{text}");
}

/// A step that does to its output all that a program can do to a terminal, and draws a bar as tqdm does.
const LOUD: &str = r#"
[steps.loud]
run = ["python3", "-c", "import sys,time,os\nw=sys.stdout.write\nw('\\x1b[2J\\x1b[H\\x1b]0;title\\x07\\x1b[?25l\\x1b[?1049h\\x07\\x9b3A\\x0e\\x1b[31mred\\n')\nfor i in range(0,56,5): w('\\r%d%%|%s| 数字 🚀 \\u202e%s' % (i, '#'*i, 'x'*300))\nw('\\x1b[A\\x1b[2K')\nsys.stdout.flush()\nwhile not os.path.exists('OUTSIDE/go'): time.sleep(0.02)\nw('\\r\\x1b[2J100%\\n')"]
"#;

#[test]
fn a_step_cannot_draw_on_the_screen() {
    let project = Project::with(LOUD);
    let mut terminal = project.terminal(&["run"], 60, 12);
    let rows = terminal.until("the bar", |rows| rows.iter().any(|row| row.contains("55%|###")));
    assert!(rows[0].starts_with("run "), "{rows:#?}");
    assert!(rows[1].starts_with("  loud  ") && rows[1].ends_with('…'), "{rows:#?}");
    assert!(rows[2].starts_with("  1 running  ") && rows[3..].iter().all(String::is_empty), "{rows:#?}");
    project.outside_file("go", "");
    assert_eq!(terminal.end(), 0);
    terminal.is_clean();
    assert_eq!(
        progress(&terminal.text(), 2),
        ["run [run] of story, 1 step", "  done     loud  [time] has not run yet"]
    );
}

#[test]
fn twenty_columns_are_enough() {
    let project = Project::with(&PIPELINE.replace("train", "a_step_with_a_long_name"));
    let mut terminal = project.terminal(&["run", "--jobs", "4"], 20, 16);
    let step = Regex::new(r"^  a_s\w+…  +\d+ s").unwrap();
    let rows = terminal.until("the steps", |rows| rows.iter().any(|row| step.is_match(row)));
    assert!(rows.iter().any(|row| row.starts_with("  2 running")), "{rows:#?}");
    project.outside_file("go", "");
    assert_eq!(terminal.end(), 0);
    terminal.is_clean();
    let joined: String = terminal.text().lines().map(|row| format!("{row:<20}")).collect();
    for step in ["load", "a_step_with_a_long_name", "score", "last"] {
        assert_eq!(joined.matches(&format!("  done     {step} ")).count(), 1, "{joined}");
    }
}

#[test]
fn a_window_may_change_its_size() {
    let project = Project::with(&PIPELINE.replace("echo loaded", "echo loaded; echo loaded"));
    let mut terminal = project.terminal(&["run", "--jobs", "4"], 100, 30);
    let shows = |rows: &[String], columns: usize| {
        let of = |step: &str| rows.iter().filter(|row| row.starts_with(step)).collect::<Vec<_>>();
        let block =
            [of("  train  "), of("  score  "), rows.iter().filter(|row| row.contains("2 running")).collect()];
        block.iter().all(|rows| rows.len() == 1)
            && block.concat().iter().all(|row| row.chars().count() < columns)
    };
    terminal.until("the block", |rows| shows(rows, 100) && rows.iter().any(|row| row.ends_with("epoch 2")));
    for (columns, rows) in [(40, 8), (120, 40), (24, 7), (80, 24)] {
        terminal.resize(columns, rows);
        terminal.until("the block in its new size", |rows| shows(rows, columns.into()));
    }
    terminal.until("the block in full", |rows| rows.iter().any(|row| row.ends_with("epoch 2")));
    project.outside_file("go", "");
    assert_eq!(terminal.end(), 0);
    terminal.is_clean();
    let text = terminal.text();
    for step in ["load", "train", "score", "last"] {
        assert_eq!(text.matches(&format!("  done     {step} ")).count(), 1, "{text}");
    }
    assert!(!text.contains("cores") && !text.contains("running"), "{text}");
}

#[test]
fn ctrl_c_leaves_the_terminal_clean() {
    let project = Project::with(PIPELINE);
    let mut terminal = project.terminal(&["run", "--jobs", "4"], 80, 24);
    terminal.until("the steps", |rows| rows.iter().any(|row| row.contains("2 running")));
    terminal.signal(Signal::INT);
    assert_eq!(terminal.end(), 130);
    terminal.is_clean();
    let text = terminal.text();
    assert!(text.contains("stopping what runs") && text.contains("  stopped  train"), "{text}");
    assert!(text.contains("interrupted") && !text.contains("2 running"), "{text}");
}

#[test]
fn ctrl_z_gives_the_terminal_back() {
    let project = Project::with(PIPELINE);
    let mut terminal = project.terminal(&["run", "--jobs", "4"], 80, 24);
    terminal.until("the steps", |rows| rows.iter().any(|row| row.contains("2 running")));
    terminal.signal(Signal::TSTP);
    let rows = terminal.until("no step", |rows| !rows.iter().any(|row| row.contains("running")));
    assert_eq!(rows.iter().filter(|row| !row.is_empty()).count(), 2, "what ended stays: {rows:#?}");
    terminal.is_clean();
    terminal.until_stopped();
    terminal.signal(Signal::CONT);
    terminal.until("the steps again", |rows| rows.iter().any(|row| row.contains("2 running")));
    project.outside_file("go", "");
    assert_eq!(terminal.end(), 0);
    terminal.is_clean();
}

#[test]
fn in_ci_a_terminal_gets_lines_with_times() {
    let mut project = Project::with("[steps.one]\nrun = \"true\"\n");
    project.variable("CI", "true");
    project.variable("NO_COLOR", "1");
    let mut terminal = project.terminal(&["run"], 80, 24);
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.written().contains('\u{1b}'), "{:?}", terminal.written());
    let line = Regex::new(r"(?m)^\d\d:\d\d:\d\d done     one +\d+ ms$").unwrap();
    assert!(line.is_match(&terminal.text()), "{}", terminal.text());
    // Who wants it live gets it live.
    let mut terminal = project.terminal(&["run", "--force", "one", "--output", "live"], 80, 24);
    assert_eq!(terminal.end(), 0);
    assert!(terminal.text().contains("\n  done     one "), "{}", terminal.text());
}

#[test]
fn a_log_has_the_time_of_every_line() {
    let project = Project::with("[params]\nx = 1\n[steps.one]\nrun = \"echo ${params.x}\"\n");
    let answer = project.tidemill(&["run", "--set", "x=2"]).ok();
    let line = Regex::new(r"^\d\d:\d\d:\d\d (run|set|done) ").unwrap();
    assert!(answer.stderr.lines().all(|text| line.is_match(text)), "{}", answer.stderr);
    assert_eq!(answer.stderr.lines().count(), 4);
}

#[test]
fn a_program_reads_events() {
    let project = Project::with("[steps.one]\nrun = \"true\"\n");
    let answer = project.tidemill(&["run", "--output", "json"]).ok();
    assert_eq!(answer.stderr, "");
    let lines: Vec<serde_json::Value> =
        answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["version"] == 1), "{}", answer.stdout);
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"]["event"].as_str()).collect();
    assert_eq!(events, ["run-started", "step-queued", "step-started", "step-succeeded", "run-finished"]);
    assert!(lines[0]["at"].as_str().unwrap().ends_with('Z'));
    let last = lines.last().unwrap();
    assert_eq!((lines.len(), &last["outcome"]), (6, &"succeeded".into()));
    assert_eq!(last["counts"]["executed"], 1);
    // An error is a line as well.
    let answer = project.tidemill(&["run", "nowhere", "--output", "json"]).exits(2);
    assert_eq!((answer.stdout.lines().count(), answer.stderr.as_str()), (1, ""));
    assert_eq!(answer.json()["error"]["exit"], 2);
}

#[test]
fn quiet_is_quiet() {
    let project = Project::with("[steps.one]\nrun = \"true\"\n[steps.two]\nrun = \"echo no; exit 1\"\n");
    let answer = project.tidemill(&["run", "--only", "one", "--output", "quiet"]).ok();
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", ""));
    project.tidemill(&["run", "--output", "quiet"]).exits(1).says("| no");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let project = Project::with("[steps.one]\nrun = \"true\"\n");
    for (arguments, words) in [
        (&["run", "--output", "json", "--json"][..], "'--output <FORM>' cannot be used with '--json'"),
        (&["run", "--output", "plain", "-q"], "'--output <FORM>' cannot be used with '--quiet'"),
        (&["run", "--output", "plain", "--dry-run"], "'--output <FORM>' cannot be used with '--dry-run'"),
        (&["run", "--output", "quiet", "-v"], "--output quiet and -v contradict each other"),
        (&["run", "--output", "xml"], "plain, live, json, quiet"),
    ] {
        project.tidemill(arguments).exits(2).says(words);
    }
    assert!(!project.has(".tidemill/runs"), "nothing ran");
    let answer = project.tidemill(&["run", "--output", "live"]).ok();
    assert!(answer.stderr.starts_with("note: standard error is no terminal"), "{}", answer.stderr);
    assert_eq!(answer.stderr.matches("no terminal").count(), 1);
}
