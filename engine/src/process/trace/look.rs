//! Which file a waiting call is about, and what it will do with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::calls::{Call, call};
use super::keeper::Keeper;
use super::listener::{Listener, Question, memory};

/// The longest path that the kernel takes, with the zero byte at its end.
const LONGEST: usize = 4096;
/// How much of the first line of a script is read, as the kernel does.
const FIRST_LINE: u64 = 256;
/// How many scripts can be the interpreters of each other.
const SCRIPTS: usize = 4;

/// Notes what this call is about.
pub(super) fn note(question: &Question, listener: &Listener, keeper: &mut Keeper) {
    let Some(call) = call(question.convention, question.number) else { return };
    let look = Look { question, listener, keeper };
    match look.note(call) {
        Ok(()) => {}
        // The call itself fails for the same reason, or who made it is gone.
        Err(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::ACCESS
            | Errno::NAMETOOLONG
            | Errno::FAULT
            | Errno::SRCH,
        ) => {}
        Err(_) => keeper.missed(),
    }
}

struct Look<'a> {
    question: &'a Question,
    listener: &'a Listener,
    keeper: &'a mut Keeper,
}

/// What a call does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    reads: bool,
    /// What was in it before is gone.
    empties: bool,
    /// It is made if it is not there.
    makes: bool,
    /// A link at the end of its path is not followed.
    stays: bool,
}

impl Use {
    /// That of a call with these flags; none if it is of no interest.
    fn of(flags: OFlags) -> Option<Self> {
        let writes_only = flags & OFlags::RWMODE == OFlags::WRONLY;
        let empties = flags.contains(OFlags::TRUNC);
        let this = Self {
            reads: !writes_only && !empties,
            empties,
            makes: flags.contains(OFlags::CREATE),
            stays: flags.contains(OFlags::NOFOLLOW),
        };
        let is_file = !flags.intersects(OFlags::PATH | OFlags::DIRECTORY);
        (is_file && (this.reads || this.empties || this.makes)).then_some(this)
    }
}

/// A path as a call names it: relative to a folder that the process has open, or to where it works.
struct Named {
    folder: Option<i32>,
    path: PathBuf,
}

impl Look<'_> {
    fn note(self, call: Call) -> Result<(), Errno> {
        let [first, second, third, ..] = self.question.arguments;
        match call {
            Call::Ring => {
                self.keeper.missed();
                Ok(())
            }
            Call::Open => {
                let named = self.named(None, first)?;
                self.open(&named, low(second))
            }
            Call::OpenAt => {
                let named = self.named(Some(first), second)?;
                self.open(&named, low(third))
            }
            Call::OpenHow => {
                let mut flags = [0; 8];
                memory(self.question.thread, third, &mut flags)?;
                let named = self.named(Some(first), second)?;
                self.open(&named, low(u64::from_le_bytes(flags)))
            }
            Call::Execute => {
                let named = self.named(None, first)?;
                self.execute(&named)
            }
            Call::ExecuteAt => {
                let named = self.named(Some(first), second)?;
                match named.folder {
                    // What the process has open is itself the program.
                    Some(open) if named.path.as_os_str().is_empty() => {
                        let path = self.of_thread(&format!("fd/{open}"));
                        let (file, path) = self.found(&Named { folder: None, path }, false)?;
                        self.executed(&file, &path)
                    }
                    _ => self.execute(&named),
                }
            }
        }
    }

    fn open(self, named: &Named, flags: u32) -> Result<(), Errno> {
        let Some(wanted) = Use::of(OFlags::from_bits_retain(flags)) else { return Ok(()) };
        if self.is_system(named) {
            return Ok(());
        }
        match self.found(named, wanted.stays) {
            Ok((file, path)) if wanted.empties || wanted.reads => {
                // A file that it may not read is not read.
                let may_read = || rustix::fs::access(through(&file), Access::READ_OK).is_ok();
                if wanted.reads && self.keeper.is_told(&path) && !may_read() {
                    return Ok(());
                }
                if self.listener.waits(self.question) {
                    match wanted.empties {
                        true => self.keeper.made(&path),
                        false => self.keeper.read(&path),
                    }
                }
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(Errno::NOENT) if wanted.makes => {
                let path = self.to_be(named)?;
                if self.listener.waits(self.question) {
                    self.keeper.made(&path);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn execute(self, named: &Named) -> Result<(), Errno> {
        if self.is_system(named) {
            return Ok(());
        }
        let (file, path) = self.found(named, false)?;
        if let Ok(link) = self.to_be(named) {
            // A program of a Python environment is a link to another place.
            if link != path && self.listener.waits(self.question) {
                self.keeper.executed_by_link(&link);
            }
        }
        self.executed(&file, &path)
    }

    /// A program, and the interpreters that it names.
    fn executed(self, file: &OwnedFd, path: &Path) -> Result<(), Errno> {
        if !self.listener.waits(self.question) {
            return Ok(());
        }
        self.keeper.executed(path);
        let mut next = interpreter(file);
        for _ in 0..SCRIPTS {
            let Some(program) = next.take() else { break };
            let named = Named { folder: None, path: program };
            if self.is_system(&named) {
                break;
            }
            let (file, path) = self.found(&named, false)?;
            if let Ok(link) = self.to_be(&named)
                && link != path
            {
                self.keeper.executed_by_link(&link);
            }
            self.keeper.executed(&path);
            next = interpreter(&file);
        }
        Ok(())
    }

    /// The path at this address of the process.
    fn named(&self, folder: Option<u64>, address: u64) -> Result<Named, Errno> {
        let mut bytes = [0; LONGEST];
        let length = memory(self.question.thread, address, &mut bytes)?;
        // A path without an end is no path for the kernel either.
        let end = bytes[..length].iter().position(|byte| *byte == 0).ok_or(Errno::FAULT)?;
        let folder =
            folder.map(|folder| low(folder).cast_signed()).filter(|folder| *folder != libc::AT_FDCWD);
        Ok(Named { folder, path: PathBuf::from(OsStr::from_bytes(&bytes[..end])) })
    }

    /// Whether it is clear without a look that it is a file of the system.
    fn is_system(&self, named: &Named) -> bool {
        let turns_back = || named.path.components().any(|part| part == Component::ParentDir);
        named.path.is_absolute() && self.keeper.is_system(&named.path) && !turns_back()
    }

    fn of_thread(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.question.thread))
    }

    /// The file that is there now, and where it lies in truth.
    fn found(&self, named: &Named, stays: bool) -> Result<(OwnedFd, PathBuf), Errno> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, stays);
        let file = self.at(named, &named.path, flags)?;
        let about = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile || about.st_nlink == 0 {
            return Err(Errno::NOENT);
        }
        let path = place(&file)?;
        Ok((file, path))
    }

    /// Where it will lie once it is made.
    fn to_be(&self, named: &Named) -> Result<PathBuf, Errno> {
        let name = named.path.file_name().ok_or(Errno::NOENT)?;
        let above = named.path.parent().unwrap_or(Path::new(""));
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let folder = self.at(named, above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        Ok(place(&folder)?.join(name))
    }

    /// Opens a path from where the process names it.
    fn at(&self, named: &Named, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.is_absolute() {
            return rustix::fs::openat(CWD, path, flags, Mode::empty());
        }
        if path.as_os_str().is_empty() {
            return Err(Errno::NOENT);
        }
        let base = match named.folder {
            Some(folder) => self.of_thread(&format!("fd/{folder}")),
            None => self.of_thread("cwd"),
        };
        let base = rustix::fs::openat(CWD, base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        rustix::fs::openat(base, path, flags, Mode::empty())
    }
}

/// A path that leads to what is open here.
fn through(file: &OwnedFd) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Where what is open here lies.
fn place(file: &OwnedFd) -> Result<PathBuf, Errno> {
    // It is there, and too deep to have a path.
    let path = rustix::fs::readlinkat(CWD, through(file), Vec::new()).map_err(|_| Errno::OVERFLOW)?;
    Ok(PathBuf::from(OsStr::from_bytes(path.as_bytes())))
}

/// The interpreter that the first line of a script names.
fn interpreter(file: &OwnedFd) -> Option<PathBuf> {
    let mut line = Vec::new();
    let read = |line: &mut Vec<u8>| -> io::Result<usize> {
        File::open(through(file))?.take(FIRST_LINE).read_to_end(line)
    };
    read(&mut line).ok()?;
    named_by(&line)
}

fn named_by(text: &[u8]) -> Option<PathBuf> {
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let program = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    let program = Path::new(OsStr::from_bytes(program));
    program.is_absolute().then(|| program.to_owned())
}

/// What the kernel looks at of an argument that is no address.
fn low(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_with_a_file_is_read_from_the_flags() {
        let reads = |flags| Use::of(flags).is_some_and(|wanted| wanted.reads);
        assert!(reads(OFlags::RDONLY) && reads(OFlags::RDWR) && reads(OFlags::RDWR | OFlags::CREATE));
        assert!(!reads(OFlags::WRONLY | OFlags::CREATE) && !reads(OFlags::RDWR | OFlags::TRUNC));
        for flags in [OFlags::WRONLY, OFlags::WRONLY | OFlags::APPEND, OFlags::PATH, OFlags::DIRECTORY] {
            assert_eq!(Use::of(flags), None, "{flags:?}");
        }
    }

    #[test]
    fn the_interpreter_of_a_script_is_found() {
        let named = |text: &str| named_by(text.as_bytes()).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(named("#! /usr/bin/env python\nimport x").as_deref(), Some("/usr/bin/env"));
        assert_eq!(named("#!/a/b").as_deref(), Some("/a/b"));
        for text in ["", "#!", "#!\n/a", "#!sh\n", "\u{7f}ELF"] {
            assert_eq!(named(text), None, "{text:?}");
        }
    }
}
