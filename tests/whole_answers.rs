//! What each command answers, whole: the exit code, the result, the talk. Other stories show more of some; this one leaves none out.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;

use crate::diabetes;
use crate::support::{Project, signal, with_narrow_columns};

fn project() -> Project {
    let project = Project::with(
        r#"
        [params]
        word = "hello"

        [steps.say]
        description = "write a word, and its length"
        run = "echo said ${params.word}; echo ${params.word} > ${outputs.text}; echo '{\"length\": 5}' > ${outputs.size}"
        outputs.text = "text.txt"
        outputs.size = { path = "size.json", kind = "metrics" }

        [steps.shout]
        run = "tr a-z A-Z < ${inputs.text} > ${outputs.loud}"
        inputs.text = "${say.text}"
        outputs.loud = { path = "loud.txt", publish = "out/loud.txt" }
        "#,
    );
    project.run_executes(2);
    project
}

macro_rules! answers {
    ($project:expr, $command:expr, @$snapshot:literal) => {
        let arguments: Vec<&str> = $command.split_whitespace().collect();
        let answer = with_narrow_columns(&$project.tidemill(&arguments).snapshot());
        insta::assert_snapshot!(answer, @$snapshot);
    };
}

#[test]
fn looking_at_a_pipeline() {
    let project = project();
    answers!(project, "check", @r#"
    $ tidemill check
    pipeline.toml: ok, 2 steps
    -- exit code 0
    "#);
    // The schema itself is checked by a language server, elsewhere.
    answers!(project, "schema --help", @r#"
    $ tidemill schema --help
    Print the JSON Schema of pipeline files, for editors.

    An editor with a TOML language server (Even Better TOML, taplo, Tombi) completes, explains and
    checks a pipeline file whose first line names the schema: `#:schema pipeline.schema.json`. The path
    is relative to the pipeline file.

    Usage: tidemill schema [OPTIONS]

    Options:
      -o, --output <FILE>
              Write it to this file

      -h, --help
              Print help (see a summary with '-h')

    Global options:
      -C <DIR>
              Run as if started in this folder

          --color <WHEN>
              When to use colours: auto, always or never. `NO_COLOR` and `CLICOLOR_FORCE` are heeded too

          --json
              Print the result as JSON

      -v, --verbose...
              Say more; twice and thrice for what goes on inside

      -q, --quiet
              Say nothing but results and failures

    Examples:
      tidemill schema --output pipeline.schema.json
          write it beside a pipeline file, in place of an older one
      tidemill schema
          print it
    -- exit code 0
    "#);
}

#[test]
fn looking_at_what_happened() {
    let project = project();
    answers!(project, "runs", @r#"
    $ tidemill runs
    RUN  STARTED  PIPELINE  OUTCOME  EXECUTED  CACHED  FAILED  TIME
    [run]  [time]  story  done  2  0  0  [duration]
    -- exit code 0
    "#);
    answers!(project, "show", @r#"
    $ tidemill show
    [run] of story
      file  pipeline.toml
      cause  command
      started  [time]
      outcome  done
      time  [duration]

      STEP  STATE  TIME  KEY  REASON
      say  executed  [duration]  [digest]  has not run yet
      shout  executed  [duration]  [digest]  has not run yet

      metrics  say: length 5
      published out/loud.txt  (shout.loud)

    done: 2 steps executed, 0 cached, [duration]  [run]
    -- exit code 0
    "#);
    answers!(project, "log say", @r#"
    $ tidemill log say
    said hello
    -- exit code 0
    "#);
    answers!(project, "get say.text --output -", @r#"
    $ tidemill get say.text --output -
    hello
    -- exit code 0
    "#);
    answers!(project, "get shout.loud", @r#"
    $ tidemill get shout.loud
    loud.txt
    -- exit code 0
    "#);
}

#[test]
fn looking_after_the_cache() {
    let project = project();
    answers!(project, "cache verify", @r#"
    $ tidemill cache verify
    read 6 contents (948 B), 2 recipes, 2 results: all as they should be
    -- exit code 0
    "#);
    answers!(project, "cache gc --dry-run", @r#"
    $ tidemill cache gc --dry-run
    would remove 0 contents (0 B), 0 results, 0 recipes; 6 contents stay
    -- exit code 0
    "#);
    answers!(project, "cache gc", @r#"
    $ tidemill cache gc
    removed 0 contents (0 B), 0 results, 0 recipes; 6 contents stay
    -- exit code 0
    "#);
    answers!(project, "cache pin paper say", @r#"
    $ tidemill cache pin paper say
    paper keeps say of story, key [digest]
    -- exit code 0
    "#);
    answers!(project, "cache pins", @r#"
    $ tidemill cache pins
    paper: say of story, key [digest] (by [user], [time])
    -- exit code 0
    "#);
    answers!(project, "cache unpin paper", @r#"
    $ tidemill cache unpin paper
    paper keeps say of story, key [digest] no more
    -- exit code 0
    "#);
}

#[test]
fn what_goes_on() {
    let project = project();
    project.file("tidemill.toml", "[executors.gpu]\nkind = \"slurm\"\n");
    answers!(project, "status", @r#"
    $ tidemill status
    nothing goes on
    -- exit code 0
    "#);
    answers!(project, "attach", @r#"
    $ tidemill attach

      ran  say  [duration]  has not run yet
                shout  [duration]  has not run yet
      metrics  say: length 5
      published out/loud.txt  (shout.loud)

    done: 2 steps executed, 0 cached, [duration]  [run]
    -- stderr
    run [run] of story, 2 steps
      run  say  has not run yet
      done  say  [duration]
      run  shout  has not run yet
      done  shout  [duration]
      publish  shout  loud to out/loud.txt
    -- exit code 0
    "#);
    answers!(project, "cancel last", @r#"
    $ tidemill cancel last
    run [run] has ended, and left nothing on executors
    -- exit code 0
    "#);
    answers!(project, "executors list", @r#"
    $ tidemill executors list
    local  this machine
    gpu  slurm
    -- exit code 0
    "#);
    answers!(project, "executors test gpu", @r#"
    $ tidemill executors test gpu
    ok  settings  [duration]  slurm
    no  store  [duration]  there is none that takes what steps read
    help: name one in tidemill.toml, for both sides to reach: `[store]` with `url = "s3://bucket/prefix"`, or a folder that they share, `url = "file:///shared/store"`; it must be writable
    -- exit code 4
    "#);
}

#[test]
fn settling_in() {
    let project = Project::new();
    answers!(project, "completions fish", @r#"
    $ tidemill completions fish
    complete --keep-order --exclusive --command tidemill --arguments "(COMPLETE=fish [program] -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
    -- exit code 0
    "#);
    answers!(project, "man pages", @r#"
    $ tidemill man pages
    pages: 67 pages
    -- exit code 0
    "#);
    answers!(project, "schema -o pipeline.schema.json", @r#"
    $ tidemill schema -o pipeline.schema.json
    pipeline.schema.json
    -- exit code 0
    "#);
}

#[test]
fn what_starts_runs_by_itself() {
    let project = Project::with(
        r#"
        [params]
        month = 0

        [steps.count]
        run = "echo ${params.month} > ${outputs.month}"
        outputs.month = "month"

        [[triggers]]
        name = "weekly"
        cron = "0 3 * * mon"

        [[triggers]]
        name = "arrived"
        event = "com.example.month"
        params = { month = "${event.data.month}" }

        [[triggers]]
        name = "off"
        watch = true
        enabled = false
        "#,
    );
    answers!(project, "triggers list", @r#"
    $ tidemill triggers list
    PIPELINE  TRIGGER  WAITS FOR  NEXT  LAST RUN
    story  weekly  0 3 * * mon (UTC)  [time]
    story  arrived  com.example.month
    story  off  a change of what it reads  not enabled
    -- exit code 0
    "#);
    answers!(project, "triggers next weekly --count 1", @r#"
    $ tidemill triggers next weekly --count 1
    0 3 * * mon (UTC)
    Mon [time]  03:00 UTC
    -- exit code 0
    "#);
    answers!(project, "triggers fire arrived --data {\"month\":3} --id march", @r#"
    $ tidemill triggers fire arrived --data {"month":3} --id march
    story#arrived is fired: the daemon takes it, or the next `tidemill tick`
    -- exit code 0
    "#);
    answers!(project, "tick", @r#"
    $ tidemill tick
    -- stderr
    [time]  answers 2 triggers of 1 pipeline
    [time]  story#arrived: tidemill.trigger.fired march
    [time]  story#arrived: run [run] begins
    [time]  story#arrived: run [run] succeeded
    -- exit code 0
    "#);
    answers!(project, "triggers log", @r#"
    $ tidemill triggers log
    ARRIVED  TRIGGER  WHAT  RUN  RESULT
    [time]  story#arrived  tidemill.trigger.fired march  [run]  succeeded
    -- exit code 0
    "#);
}

#[test]
fn who_may_ask_the_daemon() {
    let project = Project::with("[steps.a]\nrun = \"true\"");
    answers!(project, "daemon token add ci --scope read --scope run", @r#"
    $ tidemill daemon token add ci --scope read --scope run
    [token]
    -- exit code 0
    "#);
    answers!(project, "daemon token list", @r#"
    $ tidemill daemon token list
    NAME  SCOPES  PROJECTS  UNTIL
    ci  read, run  all  for ever
    -- exit code 0
    "#);
    answers!(project, "daemon token remove ci", @r#"
    $ tidemill daemon token remove ci
    ci is known no longer
    -- exit code 0
    "#);
}

#[test]
fn the_cache_in_numbers() {
    let project = project();
    // How large the index is, differs.
    let answer = project.tidemill(&["cache", "stats"]).snapshot();
    let lines: Vec<&str> = answer.lines().filter(|line| !line.contains("index")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    $ tidemill cache stats
    .tidemill
      contents 6 (948 B)
      recipes  2
      results  2
    -- exit code 0
    "#);
}

#[test]
fn the_life_of_models() {
    let project = diabetes::project();
    // Two versions, the second one better.
    project.run(&[&["diabetes"], &diabetes::A_LITTLE_WORSE[..]].concat()).ok();
    project.run(&["diabetes"]).ok();
    answers!(project, "models list", @r#"
    $ tidemill models list
    MODEL  VERSIONS  ALIASES
    diabetes  2  champion 2
    -- exit code 0
    "#);
    answers!(project, "models show diabetes", @r#"
    $ tidemill models show diabetes
    VERSION  REGISTERED  MODEL  ALIASES  RUN
          2  [time]  [digest]  champion  [run]
          1  [time]  [digest]  [run]
    -- exit code 0
    "#);
    answers!(project, "models history diabetes", @r#"
    $ tidemill models history diabetes
    WHEN  WHAT  WHO
    [time]  version 1 registered ([digest], pipeline diabetes)  [user]
    [time]  champion set to version 1  [user]
    [time]  version 1 deployed to endpoint diabetes  [user]
    [time]  version 2 registered ([digest], pipeline diabetes)  [user]
    [time]  champion moved from version 1 to version 2  [user]
    [time]  version 2 deployed to endpoint diabetes  [user]
    -- exit code 0
    "#);
    answers!(project, "models rollback diabetes --why complaints", @r#"
    $ tidemill models rollback diabetes --why complaints
    champion of diabetes is back at version 1
    version 2 is on hold until `tidemill models unhold diabetes 2`
    endpoint diabetes serves version 1 of diabetes again
    -- exit code 0
    "#);
    answers!(project, "models history diabetes", @r#"
    $ tidemill models history diabetes
    WHEN  WHAT  WHO
    [time]  version 1 registered ([digest], pipeline diabetes)  [user]
    [time]  champion set to version 1  [user]
    [time]  version 1 deployed to endpoint diabetes  [user]
    [time]  version 2 registered ([digest], pipeline diabetes)  [user]
    [time]  champion moved from version 1 to version 2  [user]
    [time]  version 2 deployed to endpoint diabetes  [user]
    [time]  version 2 put on hold: complaints  [user]
    [time]  endpoint diabetes taken back to version 1: complaints  [user]
    [time]  champion rolled back from version 2 to version 1: complaints  [user]
    -- exit code 0
    "#);
    answers!(project, "models unhold diabetes 2", @r#"
    $ tidemill models unhold diabetes 2
    version 2 of diabetes is no longer on hold; the next run may promote it
    -- exit code 0
    "#);
    answers!(project, "models alias diabetes champion 2", @r#"
    $ tidemill models alias diabetes champion 2
    champion of diabetes points to version 2
    -- exit code 0
    "#);
}

#[test]
fn serving() {
    let project = diabetes::project();
    project.run(&["diabetes"]).ok();
    let ready = project.outside("ready");
    let mut server = project.start(&["serve", "--port", "0", "--ready-file", ready.to_str().unwrap()]);
    server.until("the server is ready", || {
        fs::read_to_string(&ready).ok().filter(|text| !text.trim().is_empty())
    });
    signal(server.pid(), Signal::TERM);
    let answer = project.answer_of(server);
    insta::assert_snapshot!(answer.snapshot(), @r#"
    $ tidemill serve --port 0 --ready-file [outside]/ready
    -- stderr
    listening on http://127.0.0.1:[port]
    the token is in .tidemill/serve/token
    diabetes: serving version 1 of diabetes
      try: curl http://127.0.0.1:[port]/v2/models/diabetes/infer -H "Authorization: Bearer $(cat .tidemill/serve/token)" -d '{"inputs":[{"name":"age","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"sex","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"bmi","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"bp","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"total_cholesterol","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"ldl","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"hdl","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"cholesterol_ratio","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"log_triglycerides","shape":[1,1],"datatype":"FP64","data":[0.5]},{"name":"glucose","shape":[1,1],"datatype":"FP64","data":[0.5]}]}'
    stopping; requests that are being answered end first
    -- exit code 0
    "#);
}

/// The commands below this one, as its help lists them, with all that are below them.
fn commands(project: &Project, path: &[&str], into: &mut BTreeSet<String>) {
    let help = project.tidemill(&[path, &["-h"]].concat()).ok().stdout;
    // Before its options, a help lists nothing but commands.
    let lists = help.split("\nOptions:").next().unwrap().split("\nArguments:").next().unwrap();
    let named = |line: &str| line.strip_prefix("  ")?.split_once("  ").map(|(name, _)| name.to_owned());
    let names: Vec<String> = lists
        .lines()
        .filter_map(named)
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect();
    // `metrics` does something by itself, and has commands below it.
    if names.is_empty() || !help.contains("<COMMAND>") {
        into.insert(path.join(" "));
    }
    for name in names.iter().filter(|name| *name != "help") {
        commands(project, &[path, &[name.as_str()]].concat(), into);
    }
}

/// Every command has its whole answer in a story: a snapshot that begins with the command as it is typed.
#[test]
fn no_command_is_left_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let stories: String = files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut all = BTreeSet::new();
    commands(&Project::new(), &[], &mut all);
    assert!(all.len() > 15, "{all:?}");
    let told = |command: &&String| {
        let typed = format!("$ tidemill {command}");
        stories.lines().any(|line| {
            line.trim().strip_prefix(&typed).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    let untold: Vec<&String> = all.iter().filter(|command| !told(command)).collect();
    assert!(untold.is_empty(), "no story shows the whole answer of: {untold:?}");
}
