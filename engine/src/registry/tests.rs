//! The registry's rules, on real folders.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use tidemill_cache::{Artifact, Digest, Form};

use super::*;

const ANNA: Deed<'static> = Deed { by: "anna", why: "" };

struct World {
    folder: tempfile::TempDir,
    registry: Registry,
    model: ModelName,
    champion: AliasName,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let state = Utf8PathBuf::from_path_buf(folder.path().join("state")).unwrap();
    World {
        folder,
        registry: Registry::at(state),
        model: ModelName::new("diabetes").unwrap(),
        champion: AliasName::new("champion").unwrap(),
    }
}

fn about(bytes: &[u8], rival: Rival) -> NewVersion {
    NewVersion {
        model: Artifact { form: Form::File, digest: Digest::of(bytes), size: bytes.len() as u64, files: 1 },
        metrics: serde_json::json!({ "rmse": 54.0 }),
        report: None,
        rival,
        by: "anna".to_owned(),
        run: "20261120-235501-k3f9qa".to_owned(),
        pipeline: "diabetes".to_owned(),
        commit: None,
        key: None,
        description: None,
        tags: Default::default(),
    }
}

impl World {
    fn register(&self, bytes: &[u8], rival: Rival) -> Registered {
        // A file of its own for each call: two threads may register the same content.
        let mut file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        self.registry.register(&self.model, &about(bytes, rival), path).unwrap()
    }

    fn promote(&self, version: u64) {
        self.registry.alias_set(&self.model, &self.champion, version, ANNA).unwrap();
    }

    fn champion(&self) -> u64 {
        self.registry.alias(&self.model, &self.champion).unwrap().unwrap().1.version
    }

    fn deploy(&self, endpoint: &str, version: u64) -> Result<String, RegistryError> {
        let digest = self.registry.version(&self.model, version).unwrap().model.digest;
        self.registry.deploy(&Desired {
            endpoint: EndpointName::new(endpoint).unwrap(),
            model: self.model.clone(),
            version,
            digest,
            mode: "single".to_owned(),
            run: "r".to_owned(),
            by: "anna".to_owned(),
            why: String::new(),
            at: Timestamp::now(),
            smoke: Smoke { rows: 8, max_difference: 0.0 },
            rollback: false,
        })
    }

    fn serves(&self, endpoint: &str) -> u64 {
        let endpoint = EndpointName::new(endpoint).unwrap();
        self.registry.desired(&endpoint).unwrap().unwrap().1.version
    }
}

#[test]
fn the_same_model_keeps_its_version() {
    let world = world();
    assert!(world.registry.id().unwrap().is_none());
    let first = world.register(b"one", Rival::Nobody);
    assert!(first.new);
    let again = world.register(b"one", Rival::Nobody);
    assert_eq!((again.new, again.version.version), (false, 1));
    assert!(!world.register(b"one", Rival::Unknown).new);
    let digest = Digest::of(b"two");
    assert_eq!(world.register(b"one", Rival::Model { digest }).version.version, 2);
    assert_eq!(world.register(b"two", Rival::Nobody).version.version, 3);
    let id = world.registry.id().unwrap();
    assert!(id.is_some() && id == Some(world.registry.ensure_id().unwrap()));
    assert_eq!(world.registry.roots().unwrap(), BTreeSet::from([Digest::of(b"one"), digest]));
}

#[test]
fn a_version_is_read_as_it_was_written() {
    let world = world();
    let written = world.register(b"one", Rival::Model { digest: Digest::of(b"zero") }).version;
    assert_eq!(world.registry.version(&world.model, 1).unwrap(), written);
    let file = world.registry.model_file(&world.model, &Digest::of(b"one"));
    assert_eq!(std::fs::read(&file).unwrap(), b"one");
    // A copy that was tampered with is made again.
    std::fs::write(&file, b"oops").unwrap();
    world.register(b"one", Rival::Unknown);
    assert_eq!(std::fs::read(&file).unwrap(), b"one");
}

#[test]
fn a_file_that_is_not_what_was_announced_is_refused() {
    let world = world();
    let file = Utf8PathBuf::from_path_buf(world.folder.path().join("model")).unwrap();
    std::fs::write(&file, b"other").unwrap();
    let refused = world.registry.register(&world.model, &about(b"one", Rival::Unknown), &file);
    assert!(matches!(refused, Err(RegistryError::WrongContent { .. })));
    assert!(world.registry.versions(&world.model).unwrap().is_empty());
}

#[test]
fn a_rollback_holds_the_removed_version_and_restores_endpoints() {
    let world = world();
    for bytes in [b"one", b"two"] {
        let version = world.register(bytes, Rival::Unknown).version.version;
        world.promote(version);
        world.deploy("live", version).unwrap();
    }
    world.deploy("fresh", 2).unwrap();
    let rollback = world.registry.rollback(&world.model, &world.champion, ANNA).unwrap();
    assert_eq!((rollback.held, rollback.moved.version, world.champion()), (2, 1, 1));
    assert_eq!(world.serves("live"), 1);
    assert_eq!(world.serves("fresh"), 2);
    let fresh = rollback.endpoints.iter().find(|restored| restored.endpoint.as_str() == "fresh").unwrap();
    assert_eq!(fresh.now, None);
    let refused = world.registry.alias_set(&world.model, &world.champion, 2, ANNA);
    assert!(matches!(refused, Err(RegistryError::OnHold { version: 2, .. })));
    assert!(matches!(world.deploy("live", 2), Err(RegistryError::OnHold { .. })));
    let nothing = world.registry.rollback(&world.model, &world.champion, ANNA);
    assert!(matches!(nothing, Err(RegistryError::NothingEarlier { version: 1, .. })));

    world.registry.unhold(&world.model, 2, ANNA).unwrap();
    assert!(matches!(world.registry.unhold(&world.model, 2, ANNA), Err(RegistryError::NotOnHold { .. })));
    world.promote(2);
    world.deploy("live", 2).unwrap();
    assert_eq!((world.champion(), world.serves("live")), (2, 2));
}

#[test]
fn rollbacks_go_back_step_by_step() {
    let world = world();
    for bytes in [b"one", b"two", b"six"] {
        let version = world.register(bytes, Rival::Unknown).version.version;
        world.promote(version);
    }
    world.registry.rollback(&world.model, &world.champion, ANNA).unwrap();
    assert_eq!(world.champion(), 2);
    world.registry.rollback(&world.model, &world.champion, ANNA).unwrap();
    assert_eq!(world.champion(), 1);
    // What was taken back is not "earlier", even when it is let go.
    world.registry.unhold(&world.model, 3, ANNA).unwrap();
    assert!(world.registry.rollback(&world.model, &world.champion, ANNA).is_err());
    let held = world.registry.summary(&world.model).unwrap().held;
    assert_eq!(held, BTreeSet::from([2]));
}

#[test]
fn an_interrupted_rollback_is_finished_by_the_same_rollback() {
    let world = world();
    for bytes in [b"one", b"two"] {
        world.promote(world.register(bytes, Rival::Unknown).version.version);
    }
    world.registry.write_hold(&world.model, 2, ANNA, true).unwrap();
    let rollback = world.registry.rollback(&world.model, &world.champion, ANNA).unwrap();
    assert_eq!((rollback.held, world.champion()), (2, 1));
    assert_eq!(world.registry.hold_log(&world.model).last_number().unwrap(), 1);
}

#[test]
fn setting_an_alias_where_it_stands_writes_nothing() {
    let world = world();
    world.register(b"one", Rival::Unknown);
    world.promote(1);
    let again = world.registry.alias_set(&world.model, &world.champion, 1, ANNA).unwrap();
    assert_eq!(again, None);
    assert_eq!(world.registry.alias_moves(&world.model, &world.champion).unwrap().len(), 1);
}

#[test]
fn what_is_not_there_is_named() {
    let world = world();
    world.register(b"one", Rival::Unknown);
    let near = world.registry.version(&ModelName::new("diabtes").unwrap(), 1).unwrap_err();
    assert_eq!(near.to_string(), "there is no registered model diabtes, did you mean diabetes?");
    let none = world.registry.version(&world.model, 2).unwrap_err();
    assert_eq!(none.to_string(), "model diabetes has no version 2; it has version 1 only");
    let alias = world.registry.rollback(&world.model, &world.champion, ANNA).unwrap_err();
    assert_eq!(alias.to_string(), "model diabetes has no alias champion");
}

#[test]
fn the_history_tells_everything_in_order() {
    let world = world();
    for bytes in [b"one", b"two"] {
        let version = world.register(bytes, Rival::Unknown).version.version;
        world.promote(version);
        world.deploy("live", version).unwrap();
    }
    let why = Deed { by: "bert", why: "it drifts" };
    world.registry.rollback(&world.model, &world.champion, why).unwrap();
    world.registry.unhold(&world.model, 2, why).unwrap();
    let history = world.registry.history(&world.model).unwrap();
    let told: Vec<String> = history.iter().map(HistoryEntry::describe).collect();
    let digest = |bytes: &[u8]| Digest::of(bytes).short();
    assert_eq!(
        told,
        [
            format!("version 1 registered ({}, pipeline diabetes)", digest(b"one")),
            "champion set to version 1".to_owned(),
            "version 1 deployed to endpoint live".to_owned(),
            format!("version 2 registered ({}, pipeline diabetes)", digest(b"two")),
            "champion moved from version 1 to version 2".to_owned(),
            "version 2 deployed to endpoint live".to_owned(),
            "version 2 put on hold: it drifts".to_owned(),
            "endpoint live taken back to version 1: it drifts".to_owned(),
            "champion rolled back from version 2 to version 1: it drifts".to_owned(),
            "version 2 let go: it drifts".to_owned(),
        ]
    );
}

#[test]
fn registering_at_once_gives_dense_unique_versions() {
    let world = world();
    let numbers: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u8)
            .map(|thread| {
                let world = &world;
                scope.spawn(move || {
                    // Every other model is registered by all threads at once.
                    let own = (0..10u8).map(|i| world.register(&[thread, i], Rival::Unknown));
                    let shared = (0..10u8).map(|i| world.register(&[99, i], Rival::Unknown));
                    own.zip(shared).flat_map(|(a, b)| [a, b]).map(|r| r.version.version).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let unique: BTreeSet<u64> = numbers.into_iter().collect();
    assert_eq!(unique, (1..=90).collect());
    let versions = world.registry.versions(&world.model).unwrap();
    let digests: BTreeSet<Digest> = versions.iter().map(|version| version.model.digest).collect();
    assert_eq!((versions.len(), digests.len()), (90, 90));
}

#[test]
fn a_registry_that_was_made_again_is_another_one() {
    let world = world();
    world.register(b"one", Rival::Unknown);
    let before = world.registry.id().unwrap().unwrap();
    std::fs::remove_dir_all(world.registry.state().join("registry")).unwrap();
    world.register(b"one", Rival::Unknown);
    assert_ne!(world.registry.id().unwrap().unwrap(), before);
}
