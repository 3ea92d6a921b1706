//! Leases where hosts share a store: `claims/<name>/00000001` holds the token of the process that has it.
//!
//! The highest number counts. It is taken over when its process is taken for dead, by exclusively making the next number, so that only
//! one of those who saw it gets it. Whoever comes back after that finds out when he publishes: the winner's result is newer.

use std::fs;
use std::io;
use std::sync::Arc;

use camino::Utf8PathBuf;

use crate::presence::{Presence, Presences, is_token};
use crate::survey::children;
use crate::{CacheError, record};

/// The right to something, until it is dropped or this process is taken for dead.
#[derive(Debug)]
pub(crate) struct Claim {
    path: Utf8PathBuf,
    presence: Arc<Presence>,
}

impl Claim {
    /// By what other hosts know this process.
    pub(crate) fn token(&self) -> &str {
        &self.presence.token
    }

    /// The claim of this folder; none if someone else who may live has it.
    pub(crate) fn try_at(
        folder: &Utf8PathBuf,
        presences: &Presences,
        presence: &Arc<Presence>,
    ) -> Result<Option<Self>, CacheError> {
        let mut before = Vec::new();
        let mut highest = 0;
        for path in children(folder)? {
            let Some(number) = path.file_name().and_then(|name| name.parse::<u64>().ok()) else { continue };
            if number > highest {
                highest = number;
            }
            before.push(path);
        }
        if highest > 0 {
            let holder = fs::read_to_string(folder.join(name(highest))).unwrap_or_default();
            let holder = holder.trim_end();
            // One that is gone was given back just now: it is asked for again.
            if holder.is_empty() || (is_token(holder) && presences.may_live(holder)) {
                return Ok(None);
            }
        }
        let path = folder.join(name(highest + 1));
        let make = || {
            fs::create_dir_all(folder)?;
            record::create(&path, format!("{}\n", presence.token).as_bytes())
        };
        match make() {
            Ok(true) => {
                before.iter().for_each(|path| drop(fs::remove_file(path)));
                Ok(Some(Self { path, presence: Arc::clone(presence) }))
            }
            Ok(false) => Ok(None),
            // The folder was removed just now by whoever gave it back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("write", &path)(error)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
        // It stays if somebody else has taken it over.
        drop(self.path.parent().map(fs::remove_dir));
    }
}

fn name(number: u64) -> String {
    format!("{number:08}")
}
