//! The outbox: what is written there for sinks and people, and what becomes of what cannot be told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use tidemill_cache::{Artifact, Digest, Form};
use tidemill_engine::event::Cause;
use tidemill_engine::load;
use tidemill_engine::name::{AliasName, ModelName, PipelineName};
use tidemill_engine::outbox::{self, Entry, Failed, Outbox, Told, What};
use tidemill_engine::registry::{Deed, NewVersion, Registry};
use tidemill_engine::{Project, Settings};

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new(file: &str, pipeline: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        world.write("tidemill.toml", file);
        world.write("pipeline.toml", &format!("[pipeline]\nname = \"flights\"\n{pipeline}"));
        world
    }

    fn root(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.folder.path().canonicalize().unwrap()).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root().join(path), text).unwrap();
    }

    fn project(&self) -> Project {
        let settings = Settings {
            root: self.root(),
            program: "/nowhere/tidemill".into(),
            state: None,
            environment: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
            user: "anna".to_owned(),
            catalog: Arc::new(support::Nothing),
            many_steps: 256,
        };
        Project::open(settings).unwrap()
    }

    /// Has written that no run could begin, for all that the pipeline tells.
    fn fail(&self, project: &Project, key: &str) -> usize {
        let notify = load::notify(&self.root().join("pipeline.toml")).unwrap().unwrap().notify;
        let failed = Failed {
            file: "pipeline.toml",
            pipeline: &PipelineName::new("flights").unwrap(),
            cause: Cause::Schedule,
            trigger: Some("nightly"),
            run: None,
            why: Some("there is no parameter `mnth`"),
            key,
        };
        outbox::failed(project, &notify, failed).unwrap().len()
    }
}

async fn deliver(project: &Project) -> outbox::Pass {
    let listener: outbox::Listener = Arc::new(|_: &Told<'_>| {});
    outbox::deliver(project, None, &listener).await.unwrap()
}

fn kinds(entries: &[Entry]) -> Vec<String> {
    let kind = |entry: &Entry| match &entry.what {
        What::Event(event) => format!("{} {} {}", event.kind(), event.source(), event.id()),
        What::Message(message) => message.subject.clone(),
    };
    entries.iter().map(kind).collect()
}

#[test]
fn what_happens_in_the_registry_is_found_once() {
    let world = World::new(
        "[[sinks]]\nname = \"all\"\nurl = \"http://localhost:1\"\n\
         [[sinks]]\nname = \"moves\"\nurl = \"http://localhost:1\"\ntypes = [\"*.moved\"]\n",
        "",
    );
    let project = world.project();
    let registry = Registry::at(project.state());
    let (model, champion) = (ModelName::new("m").unwrap(), AliasName::new("champion").unwrap());
    let register = |bytes: &[u8]| {
        let path = world.root().join("model.onnx");
        std::fs::write(&path, bytes).unwrap();
        let size = bytes.len() as u64;
        let about = NewVersion {
            model: Artifact { form: Form::File, digest: Digest::of(bytes), size, files: 1 },
            metrics: serde_json::Value::Null,
            report: None,
            rival: Default::default(),
            by: "anna".to_owned(),
            run: "20261120-235501-k3f9qa".to_owned(),
            pipeline: "flights".to_owned(),
            commit: None,
            key: None,
            description: None,
            tags: BTreeMap::new(),
        };
        registry.register(&model, &about, Utf8Path::new(path.as_str())).unwrap();
    };
    // What was there before is no news.
    register(b"one");
    outbox::look(&project).unwrap();
    let outbox = Outbox::below(project.state());
    assert!(outbox.waiting().unwrap().is_empty());
    register(b"two");
    let deed = Deed { by: "anna", why: "better" };
    registry.alias_set(&model, &champion, 2, deed).unwrap();
    for _ in 0..2 {
        outbox::look(&project).unwrap();
        let mut told = kinds(&outbox.waiting().unwrap());
        told.sort();
        let source = format!("/projects/{}/models/m", world.root().file_name().unwrap().replace(' ', "%20"));
        let moved = format!("tidemill.model.moved {source} m@champion/1");
        assert_eq!(told, [moved.clone(), moved, format!("tidemill.model.registered {source} m/2")]);
    }
}

#[tokio::test]
async fn what_is_gone_is_dead_and_what_may_come_back_waits() {
    let notify = "[[notify]]\nname = \"ops\"\nslack = { url = \"SLACK_URL\" }\n";
    let world = World::new("", notify);
    let project = world.project();
    assert_eq!(world.fail(&project, "1"), 1);
    assert_eq!(world.fail(&project, "1"), 0, "it is told once");
    let outbox = Outbox::below(project.state());
    assert_eq!(kinds(&outbox.waiting().unwrap()), ["flights: no run could begin"]);
    // A secret may be there another time, in another process.
    let pass = deliver(&project).await;
    let entry = outbox.waiting().unwrap().remove(0);
    assert_eq!((pass.delivered, pass.dead, pass.next), (0, 0, Some(entry.next)));
    assert_eq!(entry.attempts, 1);
    let why = entry.last_error.clone().unwrap();
    assert!(why.ends_with("a secret is not there: the variable SLACK_URL is not set"), "{why}");
    assert!(entry.next > Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(10)).unwrap());
    // It is not tried before its time, and another one is.
    outbox.forget(entry.id).unwrap();
    assert_eq!(world.fail(&project, "2"), 1);
    world.write("pipeline.toml", "[[notify]]\nname = ");
    deliver(&project).await;
    let entry = outbox.waiting().unwrap().remove(0);
    assert!(entry.last_error.unwrap().contains("it has mistakes"));
    // Somebody has taken it away.
    outbox.forget(entry.id).unwrap();
    world.write("pipeline.toml", &format!("[pipeline]\nname = \"flights\"\n{notify}"));
    assert_eq!(world.fail(&project, "3"), 1);
    world.write("pipeline.toml", &format!("[pipeline]\nname = \"flights\"\n{notify}enabled = false\n"));
    let pass = deliver(&project).await;
    assert_eq!((pass.dead, pass.next), (1, None));
    let dead = outbox.dead().unwrap().remove(0);
    assert!(dead.last_error.unwrap().contains("has no `notify` ops"));
    assert!(outbox.waiting().unwrap().is_empty());
}

#[tokio::test]
async fn a_place_that_nobody_reaches_is_left_for_this_time() {
    let world = World::new(
        "",
        "[[notify]]\nname = \"ops\"\nmail = { host = \"localhost\", port = 1, encryption = \"none\", from = \"a@b.c\", to = \"d@e.f\" }\n",
    );
    let project = world.project();
    assert_eq!(world.fail(&project, "1") + world.fail(&project, "2"), 2);
    let pass = deliver(&project).await;
    let tried: Vec<u32> =
        Outbox::below(project.state()).waiting().unwrap().iter().map(|entry| entry.attempts).collect();
    assert_eq!(tried, [1, 0]);
    assert!(pass.next.is_some());
}
