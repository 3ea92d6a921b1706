//! Looking at a pipeline: its graph as text, as a picture, as a page, for other tools; as it is, as a run would leave it, as an
//! old run found it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::Project;

const PIPELINE: &str = r#"[pipeline]
name = "sweep"
description = "Two folds, one winner"

[steps.split]
run = "seq 4 > ${outputs.rows}"
stage = "data"
outputs.rows = "rows.txt"

[steps.train]
run = "test ${matrix.fold} -lt 3; cp ${inputs.rows} ${outputs.model}"
matrix = { fold = [1, 2] }
stage = "model"
inputs.rows = "${split.rows}"
outputs.model = "model.txt"

[steps.choose]
run = "echo '{\"rmse\": 1}' > ${outputs.metrics}"
stage = "model"
inputs.models = { collect = "${train.model}" }
outputs.metrics = { path = "metrics.json", kind = "metrics" }
gate = "rmse < 2"

[steps.notify]
run = "true"
effect = true
needs = ["choose"]
"#;

#[test]
fn lines_for_a_terminal() {
    let project = Project::with(PIPELINE);
    insta::assert_snapshot!(project.tidemill(&["graph"]).snapshot(), @r#"
    $ tidemill graph
    sweep: 5 steps, 4 with matrices folded
    Two folds, one winner

    ● split     data   seq 4
    ● train ×2  model  test · fold: 1, 2
    ● choose    model  echo · gate
    ● notify           true · effect · after choose
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["graph", "--all", "--from", "split", "--until", "train"]).snapshot(), @r#"
    $ tidemill graph --all --from split --until train
    sweep: 3 steps
    Two folds, one winner

    ● split            data   seq 4
    ├─╮
    │ ● train[fold=1]  model  test
    ● train[fold=2]    model  test
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["graph", "--state", "plan"]).snapshot(), @r#"
    $ tidemill graph --state plan
    sweep: 5 steps, 4 with matrices folded
    Two folds, one winner

    ▶ split     run    data   seq 4
    ? train ×2  maybe  model  test · fold: 1, 2
    ? choose    maybe  model  echo · gate
    ? notify    maybe         true · effect · after choose
    -- exit code 0
    "#);
    project.run(&[]).ok();
    insta::assert_snapshot!(project.tidemill(&["graph", "--state", "plan", "--until", "choose"]).snapshot(), @r#"
    $ tidemill graph --state plan --until choose
    sweep: 4 steps, 3 with matrices folded
    Two folds, one winner

    = split     cached  data   seq 4
    = train ×2  cached  model  test · fold: 1, 2
    = choose    cached  model  echo · gate
    -- exit code 0
    "#);
    // A fold that fails, after those that do not.
    project.edit("pipeline.toml", "[1, 2]", "[1, 2, 3]");
    project.tidemill(&["run", "--keep-going"]).exits(1);
    insta::assert_snapshot!(project.tidemill(&["graph", "--state", "last"]).snapshot(), @r#"
    $ tidemill graph --state last
    sweep: 6 steps, 4 with matrices folded
    Two folds, one winner

    = split     cached              data   seq 4
    ✗ train ×3  1 failed, 2 cached  model  test · fold: 1, 2, 3
    ⊘ choose    blocked             model  echo · gate
    ⊘ notify    blocked                    true · effect · after choose
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["graph", "--state", "last", "--all", "--only", "train"]).snapshot(), @r#"
    $ tidemill graph --state last --all --only train
    sweep: 3 steps
    Two folds, one winner

    = train[fold=1]  cached  model  test

    = train[fold=2]  cached  model  test

    ✗ train[fold=3]  failed  model  test
    -- exit code 0
    "#);
}

#[test]
fn an_old_run_is_drawn_as_it_was() {
    let project = Project::with(PIPELINE);
    project.run(&[]).ok();
    let first = project.tidemill(&["runs", "--json"]).ok().json()["runs"][0]["run"].clone();
    let first = first.as_str().unwrap();
    let text = PIPELINE.replace("steps.split", "steps.cut").replace("split.rows", "cut.rows");
    project.file("pipeline.toml", text);
    project.run(&[]).ok();
    project.tidemill(&["graph", "--state", first]).ok().says("split").says("executed");
    let last = project.tidemill(&["graph", "--state", "last"]).ok();
    assert!(last.stdout.contains("cut") && !last.stdout.contains("split"), "{}", last.stdout);
    // The same graph is kept once; the garbage goes with the run that it belongs to.
    project.run(&[]).ok();
    let graphs = |project: &Project| {
        let runs = project.tidemill(&["runs", "--json"]).ok().json();
        let runs = runs["runs"].as_array().unwrap().clone();
        let graph = |run: &serde_json::Value| {
            let run = project.tidemill(&["show", run["run"].as_str().unwrap(), "--json"]).ok().json();
            run["graph"]["digest"].as_str().unwrap().to_owned()
        };
        runs.iter().map(graph).collect::<Vec<_>>()
    };
    let kept = graphs(&project);
    assert!(kept[0] == kept[1] && kept[1] != kept[2], "{kept:?}");
    project.tidemill(&["cache", "gc", "--keep-runs", "2"]).ok();
    project.tidemill(&["graph", "--state", "last"]).ok().says("cut");
    let gone = project.tidemill(&["graph", "--state", first]).ok();
    insta::assert_snapshot!(gone.snapshot(), @r#"
    $ tidemill graph --state [run]
    sweep: 5 steps, 4 with matrices folded
    Two folds, one winner

    ● cut                 data   seq 4
    ✓ train ×2  executed  model  test · fold: 1, 2
    ✓ choose    executed  model  echo · gate
    ✓ notify    executed         true · effect · after choose
    -- stderr
    note: the graph of that run is not kept; this is the pipeline as it is now
    -- exit code 0
    "#);
}

#[test]
fn for_other_tools() {
    let project = Project::with(PIPELINE);
    insta::assert_snapshot!(project.tidemill(&["graph", "--format", "mermaid"]).snapshot(), @r#"
    $ tidemill graph --format mermaid
    flowchart LR
        s0["split"]
        s1[["train ×2<br/>fold: 1, 2"]]
        s2["choose<br/>gate"]
        s3(["notify<br/>effect"])
        s0 -->|"rows"| s1
        s1 -->|"model → models"| s2
        s2 -.-> s3
    -- exit code 0
    "#);
    insta::assert_snapshot!(project.tidemill(&["graph", "-f", "dot", "--direction", "down", "--state", "plan"]).snapshot(), @r##"
    $ tidemill graph -f dot --direction down --state plan
    digraph "sweep" {
        rankdir=TB;
        node [shape=box, style="rounded,filled", fillcolor="#f7f9fb", color="#8796a5", fontname="Helvetica,Arial,sans-serif"];
        edge [color="#8796a5", fontname="Helvetica,Arial,sans-serif", fontsize=10];
        "split" [label="split\nrun", fillcolor="#d9ebf7", color="#0072b2"];
        "train" [label="train ×2\nfold: 1, 2\nmaybe", peripheries=2, fillcolor="#eaf4fb", color="#2f7fb8", style="rounded,filled,dashed"];
        "choose" [label="choose\ngate\nmaybe", fillcolor="#eaf4fb", color="#2f7fb8", style="rounded,filled,dashed"];
        "notify" [label="notify\neffect\nmaybe", peripheries=2, fillcolor="#eaf4fb", color="#2f7fb8", style="rounded,filled,dashed"];
        "split" -> "train" [label="rows"];
        "train" -> "choose" [label="model → models"];
        "choose" -> "notify" [style=dashed];
    }
    -- exit code 0
    "##);
    let outline = project.tidemill(&["graph", "--json", "--state", "plan", "--until", "train"]).ok().json();
    assert_eq!(outline["nodes"][1]["instances"][1], "train[fold=2]");
    assert_eq!(outline["edges"][0]["data"][0]["output"], "rows");
    assert_eq!(outline["states"]["train[fold=2]"], "maybe");
    assert_eq!(outline["version"], 1);
}

#[test]
fn a_picture_in_a_file() {
    let project = Project::with(PIPELINE);
    project.run(&[]).ok();
    let answer = project.tidemill(&["graph", "--state", "last", "--output", "graph.svg"]).ok();
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", "wrote graph.svg\n"));
    let svg = project.read("graph.svg");
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tm-dag\" role=\"img\""));
    assert!(svg.contains("<title>The pipeline sweep: 5 steps</title>"));
    for word in ["train", "×2", "fold: 1, 2", "executed", "gate: can stop what follows", "order only"] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(!svg.contains("<script") && !svg.contains("href"));
    // The ending says the format, unless the format is given.
    assert_eq!(project.tidemill(&["graph", "-f", "svg", "--state", "last"]).ok().stdout, svg);
    project.tidemill(&["graph", "-o", "graph.mmd"]).ok();
    assert!(project.read("graph.mmd").starts_with("flowchart LR\n"));
    project.tidemill(&["graph", "-f", "dot", "-o", "graph.mmd"]).ok();
    assert!(project.read("graph.mmd").starts_with("digraph"));
    project.tidemill(&["graph", "-o", "nowhere/graph.svg"]).exits(2).says("nowhere/graph.svg");
}

#[test]
fn a_page_that_needs_nothing_else() {
    let project = Project::with(PIPELINE);
    project.run(&[]).ok();
    project.tidemill(&["graph", "--state", "last", "-o", "graph.html"]).ok();
    let html = project.read("graph.html");
    for word in ["Two folds, one winner", "The run ", "rmse &lt; 2", "has not run yet", "train[fold=2]"] {
        assert!(html.contains(word), "{word}");
    }
    assert_eq!(html.matches("://").count(), 1, "the name of the picture's language only");
    // The script is the one that the page allows.
    let script = html.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let allowed = html.split("script-src 'sha256-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(hex(&STANDARD.decode(allowed).unwrap()), sha256(script));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As `sha256sum` says it, which every system with GNU tools has.
fn sha256(text: &str) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn what_cannot_be_drawn() {
    let project = Project::with(PIPELINE);
    insta::assert_snapshot!(project.tidemill(&["graph", "--format", "png"]).snapshot(), @r#"
    $ tidemill graph --format png
    -- stderr
    error: invalid value 'png' for '--format <FORMAT>'
      [possible values: text, mermaid, dot, svg, html]

    For more information, try '--help'.
    -- exit code 2
    "#);
    insta::assert_snapshot!(project.tidemill(&["graph", "--from", "trian"]).snapshot(), @r#"
    $ tidemill graph --from trian
    -- stderr
    error: the pipeline has no step "trian"
    hint: did you mean "train"?
    -- exit code 2
    "#);
    insta::assert_snapshot!(project.tidemill(&["graph", "--state", "last"]).snapshot(), @r#"
    $ tidemill graph --state last
    -- stderr
    error: nothing has run in this project yet
    -- exit code 2
    "#);
    project.file("other/pipeline.toml", PIPELINE.replace("sweep", "other"));
    project.run(&[]).ok();
    insta::assert_snapshot!(project.tidemill(&["graph", "other", "--state", "last"]).snapshot(), @r#"
    $ tidemill graph other --state last
    -- stderr
    error: the pipeline other has not run yet
    -- exit code 2
    "#);
}
