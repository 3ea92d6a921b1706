//! A terminal: a command that runs at one, what it shows, what scrolled out of it, and a window that changes its size.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::processes::stat;
use super::wait::until;

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait for more to be written before the condition is looked at again.
const PAUSE: Duration = Duration::from_millis(20);
/// How many lines can be scrolled back to.
const HISTORY: usize = 5000;

/// A command at a terminal of its own; it is killed if the story ends before it does.
pub(crate) struct Terminal {
    child: Child,
    /// The other side of the terminal.
    master: File,
    written: Receiver<Vec<u8>>,
    /// All that was written.
    bytes: Vec<u8>,
    parser: vt100::Parser<Asked>,
}

/// What a terminal was asked to do beside showing text.
#[derive(Default)]
struct Asked {
    title: Option<String>,
    bells: usize,
}

impl vt100::Callbacks for Asked {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = Some(String::from_utf8_lossy(title).into_owned());
    }
}

impl Terminal {
    /// Starts a command at a terminal of this many columns and rows.
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        use std::os::unix::process::CommandExt as _;
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave: OwnedFd = File::options().read(true).write(true).open(name).unwrap().into();
        let master = File::from(master);
        resize(&master, columns, rows);
        command.stdin(Stdio::null()).stdout(Stdio::from(slave.try_clone().unwrap()));
        let child = command.stderr(Stdio::from(slave)).process_group(0).spawn().unwrap();
        // The command keeps copies of the slave; without ours, the end of the last one is the end of what is written.
        drop(command);
        let written = reader(master.try_clone().unwrap());
        let parser = vt100::Parser::new_with_callbacks(
            rows.try_into().unwrap(),
            columns.try_into().unwrap(),
            HISTORY,
            Asked::default(),
        );
        Self { child, master, written, bytes: Vec::new(), parser }
    }

    /// Makes the window larger or smaller, as somebody does who drags its corner.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.parser.set_size(rows.try_into().unwrap(), columns.try_into().unwrap());
        resize(&self.master, columns, rows);
        self.signal(Signal::WINCH);
    }

    /// Sends a signal to the command's process group, as a terminal does with Ctrl-C.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process_group(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until the command was stopped: it clears the window before that, and what goes on is only what stands.
    pub(crate) fn until_stopped(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        until("the command is stopped", || stat(pid).filter(|(state, _)| *state == 'T'));
    }

    /// Waits until what the window shows is as it should be, and gives its rows.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut(&[String]) -> bool) -> Vec<String> {
        let began = Instant::now();
        loop {
            let rows = self.rows();
            if condition(&rows) {
                return rows;
            }
            assert!(began.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}\n{}", rows.join("\n"));
            if let Ok(bytes) = self.written.recv_timeout(PAUSE) {
                self.take(&bytes);
            }
        }
    }

    /// Waits until the command ended, and gives its exit code.
    pub(crate) fn end(&mut self) -> i32 {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.written.recv_timeout(PATIENCE) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => break,
            }
        }
        self.child.wait().unwrap().code().expect("the command ends by itself")
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.parser.process(bytes);
    }

    /// The rows of the window, without the spaces at their ends.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.parser.screen().rows(0, u16::MAX).map(|row| row.trim_end().to_owned()).collect()
    }

    /// All that can be scrolled back to and all that the window shows, without the spaces at the ends of rows and empty rows at
    /// the end.
    pub(crate) fn text(&self) -> String {
        let mut screen = self.parser.screen().clone();
        screen.set_scrollback(usize::MAX);
        let mut rows = Vec::new();
        for back in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(back);
            rows.extend(screen.rows(0, u16::MAX).next());
        }
        screen.set_scrollback(0);
        rows.extend(screen.rows(0, u16::MAX));
        let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// The bytes that were written, as text.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Fails the story if the command left anything behind but text: a hidden cursor, a title, another screen, a sound, a
    /// cursor that is not at the beginning of a line.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let screen = self.parser.screen();
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.alternate_screen(), "another screen is shown");
        assert_eq!(screen.cursor_position().1, 0, "the cursor is within a line:\n{}", self.text());
        assert_eq!(screen.scrollback(), 0);
        let Asked { title, bells } = self.parser.callbacks();
        assert_eq!((title.as_deref(), *bells), (None, 0));
        let wrap = |mode| self.bytes.windows(5).rposition(|bytes| bytes == mode);
        assert!(wrap(b"\x1b[?7l") <= wrap(b"\x1b[?7h"), "lines no longer wrap");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn resize(master: &File, columns: u16, rows: u16) {
    tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

/// Reads until nobody can write any more.
fn reader(mut master: File) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        // The end of a terminal is told as an error.
        while let Ok(count) = master.read(&mut chunk)
            && count > 0
            && send.send(chunk[..count].to_vec()).is_ok()
        {}
    });
    receive
}
