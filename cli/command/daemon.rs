//! `tidemill daemon`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::Project;
use tidemill_engine::record::History;
use tidemill_engine::trigger::{self, DispatchError, Dispatcher, Options};
use tidemill_server::api::{self, Api, ApiError, Scope, Served, Tokens, TokensError};
use tidemill_server::{Models, Router, ServeEvent, Token};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::daemon_token;
use super::serve::{self, Teller};
use super::tick::RUNS;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::sink::Ui;
use crate::ui::{telling, triggering};

/// Answer the triggers of projects, and requests over HTTP, until a signal.
///
/// What was acknowledged is kept on the disk before: it is not lost when the daemon is killed, and leads to one run. Runs are processes of
/// their own: they go on while the daemon is stopped or replaced, and the next one follows them. It listens on this machine only unless
/// `--host` says otherwise; it speaks plain HTTP, so let a proxy with TLS stand before it then.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
#[command(after_long_help = examples![
    "tidemill daemon" => "answer the triggers of this project, on http://127.0.0.1:8787",
    "tidemill daemon --project ~/flights --project ~/diabetes" => "those of several projects",
    "tidemill daemon --on-stop wait" => "when it is told to stop, wait until its runs have ended",
    "tidemill daemon token add ci --scope read --scope run" => "a token for the CI system",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// A project, by its folder, and the name that it has over HTTP: `DIR`, or `NAME=DIR`. Without it, the one here.
    #[arg(long = "project", value_name = "DIR")]
    pub(crate) projects: Vec<String>,
    /// The address or host name to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 8787)]
    pub(crate) port: u16,
    /// How many runs of a project may go on at once.
    #[arg(long, value_name = "N", default_value_t = RUNS)]
    pub(crate) runs: NonZero<usize>,
    /// What becomes of runs when the daemon is told to stop.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnStop::Leave)]
    pub(crate) on_stop: OnStop,
    /// Serve what is deployed too, as `serve` does: below `/v2`, or, of several projects, below `/projects/NAME/v2`.
    #[arg(long)]
    pub(crate) serve: bool,
    /// The file with the tokens. By default it lies in the state folder of the first project.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<Utf8PathBuf>,
    /// Write the address to this file once requests are taken.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<Utf8PathBuf>,
}

/// What can be done beside answering.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Look after the tokens that requests bring.
    Token(daemon_token::Args),
}

/// What becomes of runs when the daemon is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnStop {
    /// They go on, and the next daemon follows them.
    Leave,
    /// They are waited for.
    Wait,
    /// They are cancelled, and waited for.
    Cancel,
}

/// Below the state folder: the tokens, and the text of the first one.
pub(crate) const TOKENS: &str = "daemon/tokens.toml";
const FIRST_TOKEN: &str = "daemon/token";
/// So many questions wait for a dispatcher.
const QUESTIONS: usize = 256;
/// How often it is looked whether the runs have ended.
const OFTEN: Duration = Duration::from_millis(200);

/// Answers until a signal.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    if let Some(Command::Token(args)) = &args.command {
        return daemon_token::run(context, args);
    }
    trigger::take_small_pages();
    let (projects, state) = projects(context, args)?;
    let path = args.tokens.as_ref().map_or_else(|| state.join(TOKENS), |path| context.folder.join(path));
    let first = if args.tokens.is_none() { first_token(&state, &path)? } else { None };
    let tokens = Tokens::open(path).map_err(refused)?;
    let ready_file = args.ready_file.as_ref().map(|path| context.folder.join(path));
    let daemon =
        Daemon { ui: context.ui, args, projects, tokens, first, folder: context.folder.clone(), ready_file };
    runtime::block_on(daemon.serve())?
}

fn refused(error: TokensError) -> CliError {
    CliError::Setup { action: "serve", source: io::Error::other(error) }
}

/// The projects by name, and the state folder of the first that was named.
fn projects(context: &Context, args: &Args) -> Result<(BTreeMap<String, Project>, Utf8PathBuf), CliError> {
    let (mut projects, mut state) = (BTreeMap::new(), Utf8PathBuf::new());
    let mut add = |name: Option<&str>, project: Project| {
        if state == "" {
            state = project.state().to_owned();
        }
        let own = project.root().file_name().unwrap_or("project").to_owned();
        let name = name.map_or(own, str::to_owned);
        if name.is_empty() || name.contains('/') {
            return Err(CliError::usage(format!("{name:?} cannot name a project over HTTP: write NAME=DIR")));
        }
        match projects.insert(name.clone(), project) {
            None => Ok(()),
            Some(_) => Err(CliError::Usage {
                message: format!("two projects have the name {name:?}"),
                hint: Some("give one of them another name: `--project NAME=DIR`".to_owned()),
            }),
        }
    };
    if args.projects.is_empty() {
        add(None, context.project()?)?;
    }
    for project in &args.projects {
        let (name, folder) = match project.split_once('=') {
            Some((name, folder)) => (Some(name), folder),
            None => (None, project.as_str()),
        };
        let folder = context.folder.join(folder);
        let root = folder.canonicalize_utf8().map_err(CliError::file("find", &folder))?;
        add(name, context.project_at(root)?)?;
    }
    Ok((projects, state))
}

/// Makes a token with all scopes if there is none yet, and a file with its text that only its owner can read.
fn first_token(state: &Utf8Path, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, CliError> {
    let file = state.join(FIRST_TOKEN);
    if path.exists() {
        let is_known = fs::read_to_string(&file).is_ok_and(|text| Tokens::has(path, text.trim()));
        return Ok(is_known.then_some(file));
    }
    // Its text first: killed in between, the next start makes another one.
    let (text, all) = (Tokens::generate(), Scope::ALL.into_iter().collect());
    daemon_token::write_secret(&file, &text).map_err(CliError::file("write", &file))?;
    Tokens::add(path, ("first", &text), all, std::collections::BTreeSet::new(), None).map_err(refused)?;
    Ok(Some(file))
}

struct Daemon<'a> {
    ui: Ui,
    args: &'a Args,
    projects: BTreeMap<String, Project>,
    tokens: Tokens,
    first: Option<Utf8PathBuf>,
    /// The working folder.
    folder: Utf8PathBuf,
    ready_file: Option<Utf8PathBuf>,
}

impl Daemon<'_> {
    async fn serve(self) -> Result<Exit, CliError> {
        // Nothing begins if the address is taken.
        let (listener, address) = api::listen(&self.args.host, self.args.port).await.map_err(unserved)?;
        let (stop, stopping) = watch::channel(false);
        let mut dispatchers = tokio::task::JoinSet::new();
        let mut served = BTreeMap::new();
        for (name, project) in &self.projects {
            let (asks, questions) = mpsc::channel(QUESTIONS);
            let ui = self.ui;
            let shown = if self.projects.len() > 1 { name.clone() } else { String::new() };
            let tell: trigger::Listener = Arc::new(move |told| triggering::tell(ui, &shown, told));
            let dispatcher =
                Dispatcher::open(project.clone(), Options { limit: self.args.runs.get() }, tell)?;
            dispatchers.spawn(dispatch(dispatcher, questions, stopping.clone()));
            let shown = if self.projects.len() > 1 { name.as_str() } else { "" };
            let mut stopping = stopping.clone();
            dispatchers.spawn(trigger::tell(
                project.clone(),
                telling::listener(self.ui, shown, true),
                // Who could give the order has gone: that is one too.
                async move { drop(stopping.wait_for(|stop| *stop).await) },
            ));
            served.insert(name.clone(), Served::new(project.clone(), asks));
        }
        self.tell_place(address);
        let (models, _followed) = self.models()?;
        if let Some(path) = &self.ready_file {
            write_aside(path, &address.to_string()).map_err(CliError::file("write", path))?;
        }
        let router = Arc::new(Api::new(served, self.tokens, stopping.clone())).router().merge(models);
        let serving = tokio::spawn(api::serve(listener, router, stopping));
        let listen =
            |kind| signal(kind).map_err(|source| CliError::Setup { action: "listen to signals", source });
        let (mut interrupt, mut terminate) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let mut outcome = Ok(());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            // One that cannot keep its queue ends all: what is acknowledged must be kept.
            Some(ended) = dispatchers.join_next() => outcome = ended.map_err(DispatchError::Task).and_then(|ended| ended),
        }
        self.ui.tell("stopping\n");
        // Whoever listened has ended by itself.
        let _ = stop.send(true);
        while let Some(ended) = dispatchers.join_next().await {
            outcome = outcome.and(ended.map_err(DispatchError::Task).and_then(|ended| ended));
        }
        serving.await.map_err(DispatchError::Task)?;
        outcome?;
        tokio::select! {
            () = end_runs(self.ui, &self.projects, self.args.on_stop) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(Exit::Done)
    }

    /// The paths of deployed models, if they are to be served.
    fn models(&self) -> Result<(Router, Vec<Models>), CliError> {
        let (mut router, mut followed) = (Router::new(), Vec::new());
        for (name, project) in self.projects.iter().filter(|_| self.args.serve) {
            let token = Token::of_project(project.state()).map_err(|error| serve::refused(error.into()))?;
            if let Some(file) = token.file() {
                self.ui.tell(&format!("models of {name} are served; their token is in {file}\n"));
            }
            let teller = Teller::new(self.ui, self.folder.clone());
            let tell: Arc<dyn Fn(&ServeEvent) + Send + Sync> = Arc::new(move |event| teller.tell(event));
            let (models, follows) =
                Models::of_project(project.state(), token, &tell).map_err(serve::refused)?;
            router = match self.projects.len() {
                // What is under no path is answered by the interface of the daemon.
                1 => router.merge(models.reset_fallback()),
                _ => router.nest(&format!("/projects/{name}"), models),
            };
            followed.push(follows);
        }
        Ok((router, followed))
    }

    fn tell_place(&self, address: SocketAddr) {
        self.ui.tell(&format!("listening on http://{address}\n"));
        if self.tokens.is_empty() {
            self.ui.tell("nobody has a token: `tidemill daemon token add` makes one\n");
        }
        for (name, project) in &self.projects {
            for told in trigger::without_secret(project) {
                self.ui.tell(&format!("{name}: {told}\n"));
            }
        }
        if let Some(file) = &self.first {
            self.ui.tell(&format!("a token with all scopes is in {file}\n"));
        }
    }
}

fn unserved(error: ApiError) -> CliError {
    CliError::Setup { action: "serve", source: io::Error::other(error) }
}

/// Written aside and renamed: whoever waits for the file reads all of it.
fn write_aside(path: &Utf8Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension("new");
    fs::write(&aside, text)?;
    fs::rename(aside, path)
}

/// Runs a dispatcher on a thread of its own: it writes to the disk before it answers, and nobody else is to wait for that.
async fn dispatch(
    dispatcher: Dispatcher,
    questions: mpsc::Receiver<trigger::Ask>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), DispatchError> {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(DispatchError::Spool)?.block_on(dispatcher.serve(questions, async move {
            // Who could give the order has gone: that is one too.
            drop(stopping.wait_for(|stop| *stop).await);
        }))
    };
    tokio::task::spawn_blocking(work).await?
}

/// Does with the runs that go on what is to be done when the daemon stops.
async fn end_runs(ui: Ui, projects: &BTreeMap<String, Project>, on_stop: OnStop) {
    if on_stop == OnStop::Leave {
        return;
    }
    let mut told = false;
    loop {
        let mut going = 0;
        for project in projects.values() {
            let history = History::below(project.state());
            let Ok(state) = trigger::peek(project.state()) else { continue };
            for running in state.running().filter(|running| history.is_alive(&running.run)) {
                going += 1;
                if on_stop == OnStop::Cancel
                    && !told
                    && let Err(error) = history.stop(&running.run)
                {
                    ui.tell(&format!("run {} cannot be stopped: {error}\n", running.run));
                }
            }
        }
        if going == 0 {
            return;
        }
        if !std::mem::replace(&mut told, true) {
            let runs = if going == 1 { "a run".to_owned() } else { format!("{going} runs") };
            ui.tell(&format!("waiting for {runs}; once more to leave what runs to itself\n"));
        }
        tokio::time::sleep(OFTEN).await;
    }
}
