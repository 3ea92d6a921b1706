//! Asking for what was made: an output, a log, the runs of the project, one run, the plan, the graph.

use crate::support::Project;

fn project() -> Project {
    let project = Project::with(
        r#"
        [params]
        word = "hello"

        [steps.say]
        run = "echo said ${params.word}; echo ${params.word} > ${outputs.text}; echo '{\"length\": 5}' > ${outputs.size}"
        outputs.text = "text.txt"
        outputs.size = { path = "size.json", kind = "metrics" }

        [steps.shout]
        run = "mkdir ${outputs.folder}; tr a-z A-Z < ${inputs.text} > ${outputs.folder}/loud"
        inputs.text = "${say.text}"
        outputs.folder = { path = "folder", kind = "dir" }
        "#,
    );
    project.run_executes(2);
    project
}

#[test]
fn get_gives_an_output() {
    let project = project();
    project.tidemill(&["get", "say.text", "--output", "copy.txt"]).ok();
    assert_eq!(project.read("copy.txt"), "hello\n");
    project.tidemill(&["get", "shout.folder", "--output", "copy"]).ok();
    assert_eq!(project.read("copy/loud"), "HELLO\n");
    // The copy is the user's own.
    project.file("copy.txt", "mine");
    project.run_executes(0);
    project.tidemill(&["get", "say.text", "--output", "again.txt"]).ok();
    assert_eq!(project.read("again.txt"), "hello\n");
}

#[test]
fn get_knows_what_is_not_there() {
    let project = project();
    project.tidemill(&["get", "say.txt"]).exits(2).says("txt").says("text");
    project.tidemill(&["get", "sey.text"]).exits(2).says("say");
    project.edit("pipeline.toml", "hello", "goodbye");
    project.tidemill(&["get", "say.text"]).exits(2).says("tidemill run");
}

#[test]
fn the_log_of_a_step_is_found_after_a_cached_run_too() {
    let project = project();
    assert_eq!(project.tidemill(&["log", "say"]).ok().stdout, "said hello\n");
    project.run_executes(0);
    assert_eq!(project.tidemill(&["log", "say"]).ok().stdout, "said hello\n");
    project.tidemill(&["log", "sing"]).exits(2).says("sing");
}

#[test]
fn the_history_tells_what_happened() {
    let project = project();
    project.edit("pipeline.toml", "hello", "goodbye");
    project.run_executes(2);
    project.run_executes(0);
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    let runs = runs["runs"].as_array().unwrap();
    let executed: Vec<_> = runs.iter().map(|run| run["counts"]["executed"].as_u64().unwrap()).collect();
    assert_eq!(executed, [0, 2, 2], "the newest first");
    let middle = project.tidemill(&["show", runs[1]["run"].as_str().unwrap(), "--json"]).ok().json();
    assert_eq!(middle["outcome"], "succeeded");
    assert_eq!(middle["params"]["word"], "goodbye");
    assert_eq!(middle["steps"][0]["metrics"]["length"], 5.0);
    let reason = middle["steps"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("word"), "the reason names the parameter: {reason}");
    project.tidemill(&["show"]).ok().says("say").says("shout");
    project.tidemill(&["runs"]).ok().says(runs[0]["run"].as_str().unwrap());
}

#[test]
fn the_plan_says_what_a_run_would_do() {
    let project = project();
    project.tidemill(&["plan", "--detailed-exitcode"]).exits(0);
    project.edit("pipeline.toml", "hello", "goodbye");
    let plan = project.tidemill(&["plan", "--json", "--detailed-exitcode"]).exits(2).json();
    let verdicts: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| &step["verdict"]).collect();
    assert_eq!(verdicts, ["run", "maybe"]);
    project.tidemill(&["plan"]).exits(0).says("say").says("word");
    project.edit("pipeline.toml", "outputs.text", "outptus.text");
    project.tidemill(&["plan", "--detailed-exitcode"]).exits(1);
}

#[test]
fn the_graph_is_drawn() {
    let project = project();
    project.tidemill(&["graph"]).ok().says("say").says("shout");
    project.tidemill(&["graph", "--format", "mermaid"]).ok().says("-->");
    project.tidemill(&["graph", "--format", "dot"]).ok().says("digraph").says("->");
}

#[test]
fn the_schema_is_a_json_schema() {
    let schema = Project::new().tidemill(&["schema"]).ok().json();
    assert!(schema["properties"]["steps"].is_object());
}
