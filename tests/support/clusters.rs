//! Real engines that run steps elsewhere. One Slurm serves all stories; a host over SSH belongs to one.

use std::sync::{Mutex, OnceLock};

use super::Project;
use super::engines::Engine;

/// A Slurm on this machine: where its configuration is. It goes away with the stories.
pub(crate) fn slurm() -> String {
    static SLURM: OnceLock<Mutex<Engine>> = OnceLock::new();
    let engine = SLURM.get_or_init(|| Mutex::new(Engine::start("slurm")));
    engine.lock().unwrap().folder().join("slurm.conf").into_string()
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

impl Project {
    /// The table of an executor on the Slurm of the stories, and the store through which its data goes.
    pub(crate) fn on_slurm(&mut self, settings: &str) {
        self.variable("SLURM_CONF", &slurm());
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
}
