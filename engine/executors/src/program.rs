//! The program that jobs start with: what it is, and for which machines it is made.

use std::fmt;
use std::io::{self, Read as _};

use camino::Utf8PathBuf;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::ExecutorError;

/// A program that has to be where jobs run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it lies on this machine.
    pub path: Utf8PathBuf,
    /// The digest of its content, in letters and digits: its name where it is copied to.
    pub digest: String,
    /// What it says when it is asked for its `--version`, or the last word of that.
    pub version: String,
}

/// What a program is made for: a system and a processor, in the words of `uname`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) system: &'static str,
    pub(crate) processors: &'static [&'static str],
}

impl Program {
    /// Its name where it is copied to: no part of a path, and nothing to a shell.
    pub(crate) fn name(&self) -> Result<&str, ExecutorError> {
        let fits = !self.digest.is_empty() && self.digest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match fits {
            true => Ok(&self.digest),
            false => Err(self.refused(format!("{:?} is no digest", self.digest))),
        }
    }

    /// What it is made for, if its first bytes say so. A script runs anywhere.
    pub(crate) async fn made(&self) -> Result<Option<Made>, ExecutorError> {
        self.reading(|file| {
            let mut head = Vec::new();
            file.take(20).read_to_end(&mut head)?;
            Ok(made(&head))
        })
        .await
    }

    /// Its bytes, as gzip packs them.
    pub(crate) async fn packed(&self) -> Result<Vec<u8>, ExecutorError> {
        self.reading(|mut file| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            io::copy(&mut file, &mut packed)?;
            packed.finish()
        })
        .await
    }

    /// Does something with its bytes, which may take seconds.
    pub(crate) async fn reading<T: Send + 'static>(
        &self,
        act: impl FnOnce(std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ExecutorError> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || act(std::fs::File::open(path)?))
            .await
            .map_err(io::Error::other)
            .and_then(|read| read)
            .map_err(|error| self.refused(format!("{} cannot be read: {error}", self.path)))
    }

    /// Whether an answer to `--version` is that of this program.
    pub(crate) fn is_named_in(&self, said: &str) -> bool {
        let said = said.trim();
        said == self.version || said.split_whitespace().next_back() == Some(self.version.as_str())
    }

    fn refused(&self, reason: String) -> ExecutorError {
        ExecutorError::Refused { engine: "this machine".to_owned(), reason }
    }
}

impl Made {
    /// Whether it runs on a machine that says this of itself.
    pub(crate) fn fits(self, system: &str, processor: &str) -> bool {
        self.system == system && self.processors.contains(&processor)
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.system, self.processors[0])
    }
}

fn made(head: &[u8]) -> Option<Made> {
    match head {
        // The processor is a number of two bytes, the lower one first where that is the order of the processor.
        [0x7f, b'E', b'L', b'F', .., low, high] if head.len() == 20 => {
            let processors: &[&str] = match u16::from_le_bytes([*low, *high]) {
                62 => &["x86_64", "amd64"],
                183 => &["aarch64", "arm64"],
                243 => &["riscv64"],
                _ => return None,
            };
            Some(Made { system: "Linux", processors })
        }
        [0xcf, 0xfa, 0xed, 0xfe, 7, ..] => Some(Made { system: "Darwin", processors: &["x86_64"] }),
        [0xcf, 0xfa, 0xed, 0xfe, 12, ..] => Some(Made { system: "Darwin", processors: &["arm64"] }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_what_it_is_made_for() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let uname = |what| {
            let said = std::process::Command::new("uname").arg(what).output().unwrap().stdout;
            String::from_utf8(said).unwrap().trim().to_owned()
        };
        let made = made(&own[..20]).unwrap();
        assert!(made.fits(&uname("-s"), &uname("-m")), "{made:?}");
        assert!(!made.fits("Linux", "sparc64"));
        assert_eq!(super::made(b"#!/bin/sh\necho 0.1.0\n"), None);
    }

    #[test]
    fn names_and_versions_are_looked_at() {
        let program = |digest: &str| Program {
            path: Utf8PathBuf::new(),
            digest: digest.to_owned(),
            version: "0.1.0".to_owned(),
        };
        assert_eq!(program("1f").name(), Ok("1f"));
        assert!(program("../x").name().is_err() && program("").name().is_err());
        assert!(program("1f").is_named_in("tidemill 0.1.0\n") && program("1f").is_named_in("0.1.0"));
        assert!(!program("1f").is_named_in("tidemill 0.1.0-rc"));
    }
}
