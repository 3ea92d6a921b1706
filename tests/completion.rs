//! The Tab key, in a real bash that loaded the script of `tidemill completions`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Project;

/// What bash would offer for a line in the project; the last word is the one that is being typed.
fn offered(project: &Project, line: &str) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_tidemill"));
    // Words as readline splits them.
    let script = r#"
        source <(tidemill completions bash)
        COMP_LINE="$1"
        COMP_POINT=${#COMP_LINE}
        COMP_TYPE=9
        read -r -a typed <<< "$COMP_LINE"
        [[ $COMP_LINE == *" " ]] && typed+=("")
        COMP_WORDS=()
        for word in "${typed[@]}"; do
            rest="$word"
            while [[ $rest == *[=:]* && $rest != [=:] ]]; do
                before="${rest%%[=:]*}"
                [[ -n $before ]] && COMP_WORDS+=("$before")
                rest="${rest#"$before"}"
                COMP_WORDS+=("${rest:0:1}")
                rest="${rest:1}"
                [[ -z $rest ]] && break
            done
            [[ -n $rest || -z $word ]] && COMP_WORDS+=("$rest")
        done
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        current="${COMP_WORDS[COMP_CWORD]}"
        [[ $current == [=:] ]] && current=""
        _clap_complete_tidemill tidemill "$current" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash", line])
        .current_dir(project.root())
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "completion must be silent: {line}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The same without options, which are offered everywhere.
fn names(project: &Project, line: &str) -> Vec<String> {
    offered(project, line).into_iter().filter(|word| !word.starts_with('-')).collect()
}

const PIPELINE: &str = r#"
[params]
seed = 7
train.alpha = 0.5

[steps.clean]
run = "echo > ${outputs.rows}"
outputs.rows = "rows.csv"

[steps.train]
matrix = { alpha = [0.1, 1.0], fold = [1, 2] }
run = "echo ${matrix.alpha} ${matrix.fold} ${inputs.rows} > ${outputs.model}"
inputs.rows = "${clean.rows}"
outputs.model = "model.txt"
"#;

#[test]
fn names_of_the_project_are_offered() {
    let project = Project::with(PIPELINE);
    assert_eq!(names(&project, "tidemill lo"), ["log"]);
    assert_eq!(names(&project, "tidemill log c"), ["clean"]);
    assert_eq!(names(&project, "tidemill run --only tr")[..2], ["train", "train[alpha=0.1,fold=1]"]);
    assert_eq!(names(&project, "tidemill get c"), ["clean.rows"]);
    assert_eq!(
        names(&project, "tidemill get train[alpha=0.1,fold=2].m"),
        ["0.1,fold=2].model"].map(|_| "2].model")
    );
    assert_eq!(names(&project, "tidemill run --set "), ["seed=", "train.alpha="]);
    assert_eq!(names(&project, "tidemill plan st"), ["story"]);
    assert_eq!(names(&project, "tidemill check pipe"), ["pipeline.toml"]);
    assert_eq!(names(&project, "tidemill explain-error unknown-f"), ["unknown-field"]);
    // Where the shell splits a word at `=`, the answer is the part behind it.
    assert_eq!(names(&project, "tidemill log train[alpha=1.0,fold="), ["1]", "2]"]);
    assert_eq!(names(&project, "tidemill log train[alpha=1"), ["1.0,fold=1]", "1.0,fold=2]"]);
    assert_eq!(names(&project, "tidemill completions z"), ["zsh"]);
    // Nothing is made by looking.
    assert!(!project.state().exists());
}

#[test]
fn runs_and_models_are_offered() {
    let project = Project::in_folder("flats");
    project.tidemill(&["init"]).ok();
    assert!(names(&project, "tidemill show ").is_empty());
    let run = project.run(&[]).ok().json()["run"].as_str().unwrap().to_owned();
    assert_eq!(names(&project, "tidemill show "), ["last".to_owned(), run.clone()]);
    assert_eq!(names(&project, &format!("tidemill log train --run {}", &run[..6])), [run]);
    assert_eq!(names(&project, "tidemill models show "), ["flats"]);
    assert_eq!(names(&project, "tidemill models show flats "), ["1"]);
    assert_eq!(names(&project, "tidemill models rollback flats --alias "), ["champion"]);
    assert_eq!(names(&project, "tidemill log evaluate --run la"), ["last"]);
}

#[test]
fn what_is_wrong_gives_no_candidates_and_no_words() {
    let project = Project::with("[steps.a]\nrun = \n[steps.b\n[steps.c]\nrun = 'x'\n");
    assert_eq!(names(&project, "tidemill log "), ["a", "c"]);
    project.file("tidemill.toml", "[project\n");
    assert_eq!(names(&project, "tidemill log "), ["a", "c"]);
    assert_eq!(names(&project, "tidemill models show "), Vec::<String>::new());
    assert_eq!(names(&project, "tidemill -C nowhere log "), Vec::<String>::new());
    project.pipeline_file("pipeline.toml", "\u{0}\u{1}");
    assert_eq!(names(&project, "tidemill log "), Vec::<String>::new());
    let elsewhere = Project::in_folder("other");
    elsewhere.pipeline_file("deep/pipeline.toml", "[steps.far]\nrun = 'x'\n");
    assert_eq!(names(&elsewhere, "tidemill -C deep log f"), ["far"]);
    assert_eq!(names(&elsewhere, "tidemill run deep --only f"), ["far"]);
}
