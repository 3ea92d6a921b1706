//! Twelve months of real flights come one by one to a folder that the daemon watches, in a copy of `pipelines/flights`: each leads to one
//! run, which reads that month only, learns from all, passes the gate and goes live.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Project, Started, http, until};

/// Of the flights every tenth is played here; `tests/campaigns/flights.py` plays all 336,776, as docs/flights.md tells.
const EVERY: usize = 10;
/// How long a month must stay as it is. A copy takes longer than that, and pauses for less.
const SETTLE: &str = "1 s";
/// In so many pieces a month is copied: one at each look of `until`, two seconds and more in all.
const PIECES: usize = 400;

/// The steps that come after those of the months.
const FOLLOWING: [&str; 9] =
    ["gather", "learn", "measure", "validate", "preprocess", "train", "evaluate", "register", "deploy"];

/// The names of the months and what is in their files, in order.
fn months() -> Vec<(String, String)> {
    // `tests/setup-flights` fetches them where they are missing, and prints the path of their folder.
    let setup =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup-flights")).output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    let folder = String::from_utf8(setup.stdout).unwrap();
    let mut paths: Vec<_> = fs::read_dir(folder.trim()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let month = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let mut sample = String::new();
        for line in text.split_inclusive('\n').step_by(EVERY) {
            sample.push_str(line);
        }
        (path.file_name().unwrap().to_str().unwrap().to_owned(), sample)
    };
    paths.iter().map(month).collect()
}

/// A project with a copy of the example, and no month.
fn example() -> Project {
    let project = Project::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/flights");
    for path in ["pipeline.toml", "month.py"] {
        project.file(&format!("pipelines/flights/{path}"), fs::read(folder.join(path)).unwrap());
    }
    project.edit("pipelines/flights/pipeline.toml", "settle = \"5 s\"", &format!("settle = \"{SETTLE}\""));
    project.file("tidemill.toml", "");
    project
}

/// How a month comes.
#[derive(Clone, Copy)]
enum Way {
    AtOnce,
    /// Under its own name from the beginning, and for longer than it takes to settle.
    InPieces,
    /// Under another name, and renamed when it is whole.
    Aside,
}

fn put(project: &Project, name: &str, text: &str, way: Way) {
    let path = format!("pipelines/flights/months/{name}");
    match way {
        Way::AtOnce => {
            project.file(&path, text);
        }
        Way::InPieces => {
            let mut pieces = text.as_bytes().chunks(text.len() / PIECES);
            project.file(&path, pieces.next().unwrap());
            let mut file = OpenOptions::new().append(true).open(project.path(&path)).unwrap();
            until("the month is copied", || match pieces.next() {
                Some(piece) => {
                    file.write_all(piece).unwrap();
                    None
                }
                None => Some(()),
            });
        }
        Way::Aside => {
            let aside = format!("{path}.part");
            project.file(&aside, text);
            fs::rename(project.path(&aside), project.path(&path)).unwrap();
        }
    }
}

struct Daemon {
    started: Started,
    address: String,
    token: String,
}

impl Daemon {
    /// Starts it, and waits until it has looked at what lies there: what comes from then on is news.
    fn start(project: &Project) -> Self {
        let mut started = project.start(&["daemon", "--port", "0", "--ready-file", "ready"]);
        let address = started.until("it listens", || {
            fs::read_to_string(project.path("ready")).ok().filter(|text| !text.trim().is_empty())
        });
        let queue = project.state().join("triggers/queue.jsonl");
        let mark = "\"watch pipelines/flights/pipeline.toml#month\"";
        started.until("it has looked for months", || {
            fs::read_to_string(&queue).is_ok_and(|text| text.contains(mark)).then_some(())
        });
        let token = fs::read_to_string(project.state().join("daemon/token")).unwrap().trim().to_owned();
        Self { started, address: address.trim().to_owned(), token }
    }

    /// Waits until so many arrivals were done with, and nothing waits or runs.
    fn until_done(&mut self, number: usize) {
        self.started.until(&format!("{number} runs have ended"), || {
            let path = "/api/v1/projects/project/queue";
            let queue = http::ask(&self.address, path, Some(&self.token), None).json();
            let count = |name: &str| queue[name].as_array().map_or(0, Vec::len);
            assert!(count("recent") + count("running") + count("waiting") <= number, "{queue}");
            (count("recent") == number && count("running") + count("waiting") == 0).then_some(())
        });
    }
}

/// What the last run did: its steps that were executed, and those that came from the cache.
fn steps(run: &Value) -> (Vec<&str>, Vec<&str>) {
    let of = |state: &str| {
        let steps = run["steps"].as_array().unwrap().iter().filter(|step| step["state"] == state);
        steps.map(|step| step["step"].as_str().unwrap()).collect()
    };
    (of("executed"), of("cached"))
}

fn runs(project: &Project) -> usize {
    project.tidemill(&["runs", "--json"]).ok().json()["runs"].as_array().unwrap().len()
}

#[test]
fn each_month_leads_to_one_run_that_reads_only_this_month() {
    let (project, months) = (example(), months());
    assert_eq!(months.len(), 12);
    let mut daemon = Daemon::start(&project);
    let ways = [Way::AtOnce, Way::InPieces, Way::Aside, Way::Aside];
    let mut known = Vec::new();
    let mut ingested = 0;
    for (number, (name, text)) in (1..).zip(&months) {
        put(&project, name, text, ways[number % ways.len()]);
        daemon.until_done(number);
        assert_eq!(runs(&project), number);
        let run = project.tidemill(&["show", "last", "--json"]).ok().json();
        let told = [&run["outcome"], &run["cause"], &run["triggered"]["trigger"]];
        assert_eq!(told, ["succeeded", "watch", "month"], "{name}: {run}");
        let new = format!("ingest[file=months/{name}]");
        let (executed, cached) = steps(&run);
        assert_eq!(executed, [&[new.as_str()], &FOLLOWING[..]].concat());
        assert_eq!(cached, known, "{name}");
        ingested += executed.iter().filter(|step| step.starts_with("ingest[")).count();
        known.push(new);
        // The gate let it through: it is the champion, and live.
        let model = project.tidemill(&["models", "show", "flights", "--json"]).ok().json();
        assert_eq!(model["aliases"]["champion"], number, "{name}: {model}");
        assert_eq!(model["versions"].as_array().map(Vec::len), Some(number));
    }
    daemon.started.signal_group(Signal::TERM);
    project.answer_of(daemon.started).ok();
    // Nothing is left to do, for the daemon, for a run by hand.
    project.tidemill(&["tick"]).ok().says("nothing was due");
    assert_eq!((runs(&project), ingested), (12, 12));
    project.run(&["flights"]).ok().executed(0);
    let other = example();
    for (name, text) in &months {
        put(&other, name, text, Way::AtOnce);
    }
    other.run(&["flights"]).ok().executed(21);
    assert_eq!(model(&other), model(&project), "all months at once make the same model");
    an_answer_is_good(&project);
}

/// The digest of the model that the last run trained, or found.
fn model(project: &Project) -> Value {
    let run = project.tidemill(&["show", "last", "--json"]).ok().json();
    let train = run["steps"].as_array().unwrap().iter().find(|step| step["step"] == "train");
    train.unwrap()["outputs"]["model"]["digest"].clone()
}

#[test]
fn a_month_that_is_cut_off_leaves_the_champion_alone() {
    let (project, months) = (example(), months());
    let champion =
        || project.tidemill(&["models", "show", "flights", "--json"]).ok().json()["aliases"].clone();
    project.tidemill(&["check", "flights"]).exits(2).says("no-files");
    put(&project, &months[0].0, &months[0].1, Way::AtOnce);
    project.run(&["flights"]).ok().executed(10);
    let (name, whole) = &months[1];
    put(&project, name, &whole[..whole.len() / 2 + 1], Way::AtOnce);
    project.tidemill(&["run", "flights"]).exits(1).says("it ends in the middle of a line");
    assert_eq!(champion(), json!({ "champion": 1 }));
    put(&project, name, whole, Way::AtOnce);
    project.run(&["flights"]).ok().executed(10);
    assert_eq!(champion(), json!({ "champion": 2 }));
}

/// The endpoint predicts: a flight that left an hour late arrives about an hour late, and later than one that left in time.
fn an_answer_is_good(project: &Project) {
    let ready = project.outside("ready");
    let mut started = project.start(&["serve", "--port", "0", "--ready-file", ready.to_str().unwrap()]);
    let address = started.until("the server is ready", || {
        fs::read_to_string(&ready).ok().filter(|text| !text.trim().is_empty())
    });
    let token = project.read(".tidemill/serve/token").trim().to_owned();
    let number = |name: &str, value: f64| json!({ "name": name, "shape": [1, 1], "datatype": "FP64", "data": [value] });
    let text = |name: &str, value: &str| json!({ "name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value] });
    let predicted = |delay: f64| {
        // UA 1545 from Newark to Houston, 5:15 to 8:19 by the clocks there, on a Tuesday.
        let numbers = [("departs", 315.0), ("planned", 184.0), ("distance", 1400.0), ("weekday", 2.0)];
        let texts = [("carrier", "UA"), ("origin", "EWR"), ("dest", "IAH")];
        let mut inputs = vec![number("dep_delay", delay)];
        inputs.extend(numbers.map(|(name, value)| number(name, value)));
        inputs.extend(texts.map(|(name, value)| text(name, value)));
        let body = json!({ "inputs": inputs }).to_string();
        let reply = http::ask(address.trim(), "/v2/models/flights/infer", Some(&token), Some(&body));
        assert_eq!(reply.status, 200, "{}", reply.body);
        let answer = reply.json();
        assert_eq!(answer["model_version"], "12", "{answer}");
        answer["outputs"][0]["data"][0].as_f64().unwrap()
    };
    let (in_time, late) = (predicted(0.0), predicted(60.0));
    assert!((-30.0..30.0).contains(&in_time), "{in_time}");
    assert!((45.0..75.0).contains(&(late - in_time)), "{in_time} {late}");
    started.signal_group(Signal::TERM);
    project.answer_of(started);
}
