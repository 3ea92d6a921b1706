//! How a state folder and its place are: whether it can be written, what its file system can do, how much room there is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::cache::absolute;
use crate::layout::FORMAT;
use crate::stamp::is_network;
use crate::survey::children;
use crate::{Cache, CacheError};

/// How a state folder and its place are.
#[derive(Debug)]
pub struct Health {
    /// The number of its format.
    pub format: u64,
    /// Whether files can be made in it, and what stands in the way.
    pub written: Result<(), CacheError>,
    /// Whether its file system gives clones of files, which cost nothing.
    pub clones: bool,
    /// Whether its file system gives a file several names.
    pub links: bool,
    /// Whether it lies on a network file system.
    pub is_network: bool,
    /// How many bytes are free for this user.
    pub free: Option<u64>,
    /// Whether the index answers. If not, it is done without.
    pub index: bool,
    /// How many things lie in `tmp/`: what is being written, what a running process keeps for later, and what dead ones left.
    pub temporary: usize,
}

impl Cache {
    /// Looks how it is. Makes small files and removes them.
    #[must_use]
    pub fn health(&self) -> Health {
        let folder = self.inner.layout.temporary();
        let temporary = children(&folder).map_or(0, |children| children.len());
        let (written, [clones, links]) = match probe(&folder) {
            Ok(able) => (Ok(()), able),
            Err(source) => (Err(CacheError::io("write", &folder)(source)), [false; 2]),
        };
        let index = self.inner.index.database.with(|connection| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        });
        Health {
            format: FORMAT,
            written,
            clones,
            links,
            is_network: is_network(self.state()),
            free: free(self.state()),
            index: index.is_some(),
            temporary,
        }
    }

    /// Whether a folder lies on the file system of the state folder, so that files go from one to the other without being copied.
    /// None: it cannot be told.
    #[must_use]
    pub fn shares_file_system(&self, folder: &Utf8Path) -> Option<bool> {
        let device = |path: &Utf8Path| fs::metadata(path).ok().map(|data| data.dev());
        let folder = absolute(folder).ok()?;
        Some(device(self.state())? == device(&folder)?)
    }
}

/// Makes a file in this folder; whether it can be cloned, and linked.
fn probe(folder: &Utf8Path) -> io::Result<[bool; 2]> {
    let probe = tempfile::Builder::new().prefix("probe-").tempdir_in(folder)?;
    let at = |name: &str| probe.path().join(name);
    fs::write(at("file"), "probe")?;
    let able = [reflink_copy::reflink(at("file"), at("clone")), fs::hard_link(at("file"), at("link"))];
    Ok(able.map(|done| done.is_ok()))
}

fn free(folder: &Utf8Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(folder.as_std_path()).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    #[test]
    fn a_healthy_folder_is_left_as_it_was() {
        let scene = Scene::new();
        let health = scene.cache.health();
        assert!(health.written.is_ok() && health.index && health.links);
        assert_eq!((health.format, health.temporary), (FORMAT, 0));
        assert!(health.free.is_some_and(|free| free > 0));
        assert_eq!(scene.cache.shares_file_system(scene.cache.state()), Some(true));
        assert_eq!(children(&scene.cache.inner.layout.temporary()).unwrap().len(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_says_so() {
        let scene = Scene::new();
        fs::remove_dir(scene.cache.inner.layout.temporary()).unwrap();
        assert!(scene.cache.health().written.is_err());
    }
}
