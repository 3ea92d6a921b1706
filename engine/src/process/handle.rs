//! The engine's side: a handle on the warden, and one on each command.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::MARKS;
use super::command::{Command, Exit, Rank};
use super::error::ProcessError;
use super::load::{Load, loads};
use super::trace::Reads;
use super::wire::{CAPTURE_LIMIT, End, Order, Report, Request};

/// A handle on the process that starts and watches commands. When the last handle on it and on its commands is gone, or
/// the engine dies, the warden kills all that is left and ends.
#[derive(Clone)]
pub struct Warden {
    office: Arc<Office>,
}

/// What all handles share.
struct Office {
    requests: mpsc::UnboundedSender<String>,
    desk: Arc<Desk>,
    next: AtomicU64,
    state: Utf8PathBuf,
    pid: u32,
    mark: String,
    gone: watch::Receiver<bool>,
}

/// Who waits for which answer.
#[derive(Default)]
struct Desk {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    closed: bool,
    commands: HashMap<u64, Callbacks>,
}

struct Callbacks {
    /// The command's own id.
    name: String,
    /// Its leader, once it runs.
    leader: Option<u32>,
    started: Option<oneshot::Sender<Result<u32, ProcessError>>>,
    ended: oneshot::Sender<End>,
}

impl fmt::Debug for Warden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warden").field("mark", &self.office.mark).finish_non_exhaustive()
    }
}

impl Warden {
    /// Starts `<program> warden`, which has to call [`super::warden_main`], for a project's state folder.
    ///
    /// # Errors
    /// [`ProcessError::Warden`] if it cannot be started or is no warden.
    pub async fn start(program: &Utf8Path, state: &Utf8Path) -> Result<Self, ProcessError> {
        Self::start_with(program, state, &["warden"], &[]).await
    }

    /// Starts the warden with other arguments and additional variables.
    ///
    /// # Errors
    /// [`ProcessError::Warden`] if it cannot be started or is no warden.
    pub async fn start_with(
        program: &Utf8Path,
        state: &Utf8Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Warden { program: program.to_string(), source };
        // Pipes, of which the runtime hears only what it waits for: a socket wakes it also after each request, when there is room
        // again for the next.
        let (their_requests, our_requests) = std::io::pipe().map_err(failed)?;
        let (our_reports, their_reports) = std::io::pipe().map_err(failed)?;
        // Its own process group: a Ctrl-C at the terminal reaches the engine only, which decides.
        let mut process = std::process::Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(their_requests)
            .stdout(Stdio::null())
            // Nothing else writes there; to the output a program may write before it becomes a warden.
            .stderr(their_reports)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid = process.id();
        let writing = pipe::Sender::from_owned_fd(our_requests.into()).map_err(failed)?;
        let reading = pipe::Receiver::from_owned_fd(our_reports.into()).map_err(failed)?;
        let mut reading = BufReader::new(reading);
        let Some(Report::Ready(mark)) = next_report(&mut reading).await else {
            drop(writing);
            let _ = process.kill();
            let _ = process.wait();
            return Err(failed(std::io::Error::other("it ended without becoming a warden")));
        };
        let desk = Arc::new(Desk::default());
        let (requests, queue) = mpsc::unbounded_channel();
        let (leaving, gone) = watch::channel(false);
        tokio::spawn(write(writing, queue));
        tokio::spawn(read(reading, Arc::clone(&desk), process, leaving));
        let state = state.to_owned();
        let office = Office { requests, desk, next: AtomicU64::new(1), state, pid, mark, gone };
        Ok(Self { office: Arc::new(office) })
    }

    /// Starts a command.
    ///
    /// # Errors
    /// [`ProcessError::NotStarted`] if it cannot be executed, [`ProcessError::Machine`] if this machine is to blame,
    /// [`ProcessError::WardenLost`].
    pub async fn spawn(&self, command: Command) -> Result<Child, ProcessError> {
        self.begin(command, Capture::Nothing).await
    }

    /// Hands a command to the warden before it is its turn. It starts when it is told to, or, until [`Self::recall`], when one
    /// of its kind has ended with 0: [`Child::follower`] tells that of the other one.
    pub fn hold(&self, mut command: Command, rank: Rank) -> HeldCommand {
        let (child, starting) = self.register(&mut command);
        let office = Arc::clone(&self.office);
        self.office.send(&Request::Hold { order: Box::new(Order::new(child.id, command, false)), rank });
        HeldCommand { child: Some(child), starting, office }
    }

    /// None of the commands that are held now takes the place of another by itself.
    pub fn recall(&self) {
        self.office.send(&Request::Recall);
    }

    /// The warden's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.office.pid
    }

    /// What its processes carry as `TIDEMILL_WARDEN`.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.office.mark
    }

    /// What the processes of each running command use, by the command's id. Nothing on systems that have no table of
    /// processes to read. Reads files: not to be called where others wait for the thread.
    #[must_use]
    pub fn loads(&self) -> BTreeMap<String, Load> {
        loads(self.office.pid, &self.office.desk.leaders())
    }

    /// Kills what still runs and waits until the warden is gone.
    pub async fn shutdown(self) {
        self.office.send(&Request::Shutdown);
        let mut gone = self.office.gone.clone();
        // An error says that the reader is gone, and so is the warden.
        let _ = gone.wait_for(|gone| *gone).await;
    }

    async fn begin(&self, mut command: Command, capture: Capture) -> Result<Child, ProcessError> {
        if capture == Capture::Stdout {
            let number = self.office.next.fetch_add(1, Ordering::Relaxed);
            command.id = format!("{}#{number}", command.id);
        }
        let (child, starting) = self.register(&mut command);
        self.office.send(&Request::Spawn(Box::new(Order::new(
            child.id,
            command,
            capture == Capture::Stdout,
        ))));
        begun(child, starting).await
    }

    /// Makes the handle of a command before anything is known of it: if nobody waits for the answer any more, its drop kills
    /// the command. If the warden is gone, nothing will ever answer.
    fn register(&self, command: &mut Command) -> (Child, Starting) {
        command.env.insert(MARKS[2].to_owned(), self.office.state.to_string());
        let id = self.office.next.fetch_add(1, Ordering::Relaxed);
        let (started, starting) = oneshot::channel();
        let (ended, ending) = oneshot::channel();
        let callbacks = Callbacks { name: command.id.clone(), leader: None, started: Some(started), ended };
        self.office.desk.register(id, callbacks);
        let child =
            Child { id, pid: 0, office: Arc::clone(&self.office), ending, state: ChildState::Running };
        (child, starting)
    }
}

/// Tells once whether a command was started.
type Starting = oneshot::Receiver<Result<u32, ProcessError>>;

/// Waits until it is known whether a command was started.
async fn begun(child: Child, starting: Starting) -> Result<Child, ProcessError> {
    settled(child, starting.await.ok())
}

/// The command, once it is known whether it was started; no answer: the warden is gone.
fn settled(mut child: Child, answer: Option<Result<u32, ProcessError>>) -> Result<Child, ProcessError> {
    match answer {
        Some(Ok(pid)) => {
            child.pid = pid;
            Ok(child)
        }
        Some(Err(refused)) => {
            child.state = ChildState::Lost;
            Err(refused)
        }
        None => {
            child.state = ChildState::Lost;
            Err(ProcessError::WardenLost)
        }
    }
}

/// A command that the warden has and that may not run yet. Dropped, it is withdrawn.
pub struct HeldCommand {
    child: Option<Child>,
    starting: Starting,
    office: Arc<Office>,
}

impl HeldCommand {
    /// Starts the command, if it does not run already.
    ///
    /// # Errors
    /// As [`Warden::spawn`].
    pub async fn start(mut self) -> Result<Child, ProcessError> {
        let child = self.child.take().expect("it is taken only by the end of the handle");
        let mut starting = std::mem::replace(&mut self.starting, oneshot::channel().1);
        match starting.try_recv() {
            Err(TryRecvError::Empty) => {
                self.office.send(&Request::Go(child.id));
                begun(child, starting).await
            }
            // It has taken the place of another one: the warden need not be woken for it.
            answer => settled(child, answer.ok()),
        }
    }

    /// Takes the command back; whether it ran. If it did, it is gone now with all that it left behind.
    pub async fn withdraw(mut self) -> bool {
        let child = self.child.take().expect("it is taken only by the end of the handle");
        self.office.send(&Request::Withdraw(child.id));
        match begun(child, std::mem::replace(&mut self.starting, oneshot::channel().1)).await {
            Ok(mut child) => {
                // An error says that the warden is gone, and with it all that it started.
                let _ = child.wait().await;
                true
            }
            Err(ProcessError::WardenLost) => true,
            Err(_) => false,
        }
    }
}

impl Drop for HeldCommand {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.state = ChildState::Lost;
            self.office.send(&Request::Withdraw(child.id));
        }
    }
}

/// Runs a short command and gives its exit and its stdout, of which it may write a mebibyte. Its stderr goes to the log.
/// The command's id is made unique, so that many may share one.
///
/// # Errors
/// As [`Warden::spawn`]; [`ProcessError::TimedOut`], [`ProcessError::TooMuchOutput`].
pub async fn run_quick(
    warden: &Warden,
    command: Command,
    timeout: Duration,
) -> Result<(Exit, Vec<u8>), ProcessError> {
    let program = command.program().to_owned();
    let mut child = warden.begin(command, Capture::Stdout).await?;
    let Ok(end) = tokio::time::timeout(timeout, child.end()).await else {
        child.kill();
        child.end().await?;
        return Err(ProcessError::TimedOut { program, limit: timeout });
    };
    let end = end?;
    let exit = end.exit();
    match end.output.take() {
        Some(output) => Ok((exit, output)),
        None => Err(ProcessError::TooMuchOutput { program, limit: CAPTURE_LIMIT as u64 }),
    }
}

/// What comes back of a command's output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Capture {
    Nothing,
    Stdout,
}

/// A command that was started. Dropped before its end is known, it is killed.
pub struct Child {
    id: u64,
    pid: u32,
    office: Arc<Office>,
    ending: oneshot::Receiver<End>,
    state: ChildState,
}

enum ChildState {
    Running,
    Ended(Box<End>),
    Lost,
}

impl Child {
    /// The process id of its leader.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the command and all that it left behind are gone. May be dropped and called again.
    ///
    /// # Errors
    /// [`ProcessError::WardenLost`].
    pub async fn wait(&mut self) -> Result<Exit, ProcessError> {
        self.end().await.map(|end| end.exit())
    }

    /// Sends SIGTERM to the whole tree. From then on the end of the leader does not kill the others: they get the time
    /// to end by themselves that the caller grants before [`Self::kill`].
    pub fn terminate(&self) {
        self.office.send(&Request::Terminate(self.id));
    }

    /// Sends SIGKILL to the whole tree.
    pub fn kill(&self) {
        self.office.send(&Request::Kill(self.id));
    }

    /// The command that took its place when it had ended, by its id. None before that.
    #[must_use]
    pub fn follower(&self) -> Option<&str> {
        match &self.state {
            ChildState::Ended(end) => end.follower.as_deref(),
            ChildState::Running | ChildState::Lost => None,
        }
    }

    /// What it read, once it has ended, if that was to be told.
    #[must_use]
    pub fn reads(&self) -> Option<&Reads> {
        match &self.state {
            ChildState::Ended(end) => end.reads.as_ref(),
            ChildState::Running | ChildState::Lost => None,
        }
    }

    async fn end(&mut self) -> Result<&mut End, ProcessError> {
        if matches!(self.state, ChildState::Running) {
            self.state = match (&mut self.ending).await {
                Ok(end) => ChildState::Ended(Box::new(end)),
                Err(_) => ChildState::Lost,
            };
        }
        match &mut self.state {
            ChildState::Ended(end) => Ok(end),
            ChildState::Running | ChildState::Lost => Err(ProcessError::WardenLost),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.state, ChildState::Running) {
            self.kill();
        }
    }
}

impl Office {
    /// Puts a request into the writer's queue; if the warden is gone, whoever waits hears of it from the reader.
    fn send(&self, request: &Request) {
        let line = serde_json::to_string(request).expect("a request has text keys and no foreign types");
        let _ = self.requests.send(line + "\n");
    }
}

impl Desk {
    /// Notes who waits for a command, unless no answer will ever come.
    fn register(&self, id: u64, callbacks: Callbacks) {
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.commands.insert(id, callbacks);
        }
    }

    fn deliver(&self, report: Report) {
        let mut waiting = self.lock();
        match report {
            Report::Ready(_) => {}
            Report::Started { id, pid } => {
                let Some(them) = waiting.commands.get_mut(&id) else { return };
                them.leader = Some(pid);
                if let Some(started) = them.started.take() {
                    let _ = started.send(Ok(pid));
                }
            }
            Report::Refused { id, refusal } => {
                if let Some(started) = waiting.commands.remove(&id).and_then(|them| them.started) {
                    let _ = started.send(Err(refusal.into()));
                }
            }
            Report::Exited { id, mut end, follower } => {
                let follower = follower.and_then(|id| waiting.commands.get(&id));
                end.follower = follower.map(|follower| follower.name.clone());
                if let Some(them) = waiting.commands.remove(&id) {
                    let _ = them.ended.send(end);
                }
            }
        }
    }

    /// The commands that run, by their leader.
    fn leaders(&self) -> HashMap<u32, String> {
        let waiting = self.lock();
        waiting.commands.values().filter_map(|them| Some((them.leader?, them.name.clone()))).collect()
    }

    /// The warden is gone: whoever waits learns it from the end of its channel.
    fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.commands.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends requests until the last handle is gone, then closes the pipe, which ends the warden.
async fn write(mut pipe: pipe::Sender, mut queue: mpsc::UnboundedReceiver<String>) {
    while let Some(mut lines) = queue.recv().await {
        while let Ok(line) = queue.try_recv() {
            lines.push_str(&line);
        }
        if pipe.write_all(lines.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Delivers reports until the warden is gone, then takes its exit.
async fn read(
    mut reports: BufReader<pipe::Receiver>,
    desk: Arc<Desk>,
    mut warden: std::process::Child,
    leaving: watch::Sender<bool>,
) {
    while let Some(report) = next_report(&mut reports).await {
        desk.deliver(report);
    }
    desk.close();
    drop(reports);
    let _ = tokio::task::spawn_blocking(move || warden.wait()).await;
    let _ = leaving.send(true);
}

/// The next report; none at the end or if what comes is no report.
async fn next_report(reports: &mut BufReader<pipe::Receiver>) -> Option<Report> {
    let mut line = Vec::new();
    reports.read_until(b'\n', &mut line).await.ok()?;
    serde_json::from_slice(&line).ok()
}
