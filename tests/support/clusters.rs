//! Real engines that run steps elsewhere. One Slurm serves all stories that do not mind each other's jobs; a host over SSH and a Ray belong to one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, OnceLock};

use super::engines::Engine;
use super::{ObjectStore, Project};

/// A Slurm on this machine: where its configuration is. It goes away with the stories.
fn slurm() -> String {
    static SLURM: OnceLock<Mutex<SlurmCluster>> = OnceLock::new();
    let cluster = SLURM.get_or_init(|| Mutex::new(SlurmCluster::start()));
    cluster.lock().unwrap().configuration()
}

/// A Slurm of one's own.
pub(crate) struct SlurmCluster {
    engine: Engine,
}

impl SlurmCluster {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self { engine: Engine::start("slurm") }
    }

    /// The file of settings for its commands.
    pub(crate) fn configuration(&self) -> String {
        self.engine.folder().join("slurm.conf").into_string()
    }
}

/// Another user's account, reached over SSH: another machine, as far as one can tell.
pub(crate) struct Remote {
    engine: Engine,
}

impl Remote {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self { engine: Engine::start("ssh") }
    }

    /// The file of settings for `ssh`.
    pub(crate) fn config(&self) -> String {
        self.engine.text("config")
    }

    /// A folder there that belongs to the account, and goes with it.
    pub(crate) fn folder(&self) -> String {
        self.engine.text("remote_folder")
    }

    /// Has something done to it.
    pub(crate) fn order(&mut self, order: &str) {
        self.engine.order(order);
    }
}

/// A Ray of a head and another node on this machine.
pub(crate) struct RayCluster {
    engine: Engine,
}

impl RayCluster {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self { engine: Engine::start("ray") }
    }

    /// Where its dashboard is.
    fn address(&self) -> String {
        self.engine.text("address")
    }
}

/// A control plane of Kubernetes, with two played nodes that run commands of pods as processes of this machine.
pub(crate) struct Cluster {
    engine: Engine,
}

impl Cluster {
    /// Starts it; the first time it takes long.
    pub(crate) fn start() -> Self {
        Self { engine: Engine::start("kubernetes") }
    }
}

impl Project {
    /// The table of an executor on the Slurm of the stories, and the store through which its data goes.
    pub(crate) fn on_slurm(&mut self, settings: &str) {
        self.on_this_slurm(&slurm(), settings);
    }

    /// The same, on the Slurm of this configuration.
    pub(crate) fn on_this_slurm(&mut self, configuration: &str, settings: &str) {
        self.variable("SLURM_CONF", configuration);
        let store = self.outside("store");
        self.file(
            "tidemill.toml",
            format!(
                "[store]\nurl = \"file://{}\"\n\n[executors.cluster]\nkind = \"slurm\"\nprogram = \"{}\"\npoll = \"500 ms\"\n{settings}",
                store.display(),
                env!("CARGO_BIN_EXE_tidemill"),
            ),
        );
    }

    /// The table of an executor `cluster` that is another user's account, and the store between the two.
    pub(crate) fn over_ssh(&mut self, remote: &Remote) -> ObjectStore {
        let store = ObjectStore::s3(&self.outside("s3"));
        for (name, value) in &store.variables {
            self.variable(name, value);
        }
        // What both users have: another Python would be another key.
        self.variable("PATH", "/usr/bin:/bin");
        let (url, config, folder) = (&store.url, remote.config(), remote.folder());
        self.file(
            "tidemill.toml",
            format!(
                "[store]\nurl = \"{url}\"\n\n[executors.cluster]\nkind = \"ssh\"\nhosts = [\"remote\"]\nssh_config = \"{config}\"\n\
                 folder = \"{folder}\"\ncache = \"{folder}/cache\"\npoll = \"500 ms\"\n",
            ),
        );
        // Whoever works there leaves traces here.
        for traces in [self.outside(""), self.root().join("../counts")] {
            fs::set_permissions(&traces, fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::set_permissions(self.root().join(".."), fs::Permissions::from_mode(0o755)).unwrap();
        store
    }

    /// The table of an executor `cluster` that is a Kubernetes, and the store through which its data goes.
    pub(crate) fn on_kubernetes(&mut self, cluster: &Cluster) {
        let path = self.path_variable();
        let settings = [
            ("env.PATH", path),
            ("kubeconfig", cluster.engine.text("kubeconfig")),
            ("context", "user".to_owned()),
            ("image", "story".to_owned()),
        ];
        self.on_shared("kubernetes", &settings);
    }

    /// The table of an executor `cluster` whose nodes are this machine.
    fn on_shared(&mut self, kind: &str, settings: &[(&str, String)]) {
        let (store, worker) = (self.outside("store"), self.outside("worker"));
        let mut text = format!(
            "[store]\nurl = \"file://{}\"\n\n[executors.cluster]\nkind = \"{kind}\"\nprogram = \"{}\"\ncache = \"{}\"\npoll = \"500 ms\"\n",
            store.display(),
            env!("CARGO_BIN_EXE_tidemill"),
            worker.display(),
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = \"{value}\"\n"));
        }
        self.file("tidemill.toml", text);
    }

    /// The table of an executor `cluster` that is a Ray, and the store through which its data goes.
    pub(crate) fn on_ray(&mut self, ray: &RayCluster) {
        // It starts jobs with a Python of its own in front.
        let path = self.path_variable();
        self.on_shared("ray", &[("env.PATH", path), ("address", ray.address())]);
    }
}
