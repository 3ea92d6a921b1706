//! `tidemill daemon token`.

use std::fs;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::json;
use tidemill_server::api::{Scope, TokenEntry, Tokens, TokensError};

use super::daemon::TOKENS;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::table::{Column, Table};
use crate::ui::text::time;

/// Look after the tokens that requests bring. A running daemon sees each change at once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill daemon token add ci --scope read --scope run" => "make a token, and print it once",
    "tidemill daemon token list" => "who has which",
    "tidemill daemon token remove ci" => "from now on nobody knows it",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The file with the tokens. By default it lies in the state folder of the project.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) tokens: Option<Utf8PathBuf>,
}

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token, and print it: nobody can say it again.
    #[command(after_long_help = examples![
        "tidemill daemon token add ci --scope read --scope run" => "one that may look, and start and stop runs",
        "tidemill daemon token add feed --scope event --project flights --for 90d" => "one that may send events to one project, for 90 days",
    ])]
    Add(AddArgs),
    /// Who has which.
    #[command(after_long_help = examples!["tidemill daemon token list" => "the tokens, without their texts"])]
    List,
    /// Remove a token.
    #[command(after_long_help = examples!["tidemill daemon token remove ci" => "from now on nobody knows it"])]
    Remove(RemoveArgs),
}

/// The new token.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Who has it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it is for; may stand several times.
    #[arg(long = "scope", value_name = "SCOPE", value_enum, required = true)]
    pub(crate) scopes: Vec<ScopeArg>,
    /// Only for this project; may stand several times.
    #[arg(long = "project", value_name = "PROJECT")]
    pub(crate) projects: Vec<String>,
    /// For how long, such as `90d`; for ever if nothing is said.
    #[arg(long = "for", value_name = "TIME", value_parser = tidemill_engine::policy::parse_duration)]
    pub(crate) lasting: Option<std::time::Duration>,
}

/// The token that is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// Who has it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ScopeArg {
    /// Look at projects, runs, logs, metrics, triggers.
    Read,
    /// Start and cancel runs, fire triggers.
    Run,
    /// Send events.
    Event,
    /// Get outputs.
    Artifacts,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Read => Self::Read,
            ScopeArg::Run => Self::Run,
            ScopeArg::Event => Self::Event,
            ScopeArg::Artifacts => Self::Artifacts,
        }
    }
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let path = match &args.tokens {
        Some(path) => context.folder.join(path),
        None => context.project()?.state().join(TOKENS),
    };
    match &args.command {
        Command::Add(AddArgs { name, scopes, projects, lasting }) => {
            let scopes = scopes.iter().copied().map(Scope::from).collect();
            let expires = lasting.map(expires).transpose()?;
            let projects = projects.iter().cloned().collect();
            let text = Tokens::generate();
            Tokens::add(&path, (name, &text), scopes, projects, expires).map_err(failed)?;
            context.ui.result(&json!({ "name": name, "token": text }), || format!("{text}\n"))?;
        }
        Command::List => {
            let tokens = Tokens::list(&path).map_err(failed)?;
            let told: Vec<_> = tokens.iter().map(told).collect();
            context.ui.result(&told, || table(&tokens))?;
        }
        Command::Remove(RemoveArgs { name }) => {
            Tokens::remove(&path, name).map_err(failed)?;
            context.ui.result(&json!({ "name": name }), || format!("{name} is known no longer\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn expires(lasting: std::time::Duration) -> Result<Timestamp, CliError> {
    let lasting = jiff::SignedDuration::try_from(lasting).ok();
    let expires = lasting.and_then(|lasting| Timestamp::now().checked_add(lasting).ok());
    expires.ok_or_else(|| CliError::usage("--for is too long"))
}

fn failed(error: TokensError) -> CliError {
    match error {
        error @ (TokensError::Taken { .. } | TokensError::NotThere { .. } | TokensError::Wrong { .. }) => {
            CliError::usage(error.to_string())
        }
        error => CliError::Setup { action: "look after the tokens", source: io::Error::other(error) },
    }
}

fn told(token: &TokenEntry) -> serde_json::Value {
    json!({ "name": token.name, "scopes": token.scopes, "projects": token.projects, "expires": token.expires })
}

fn table(tokens: &[TokenEntry]) -> String {
    if tokens.is_empty() {
        return "there are no tokens yet: the daemon makes the first one\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "SCOPES", "PROJECTS", "UNTIL"].map(Column::Text));
    for token in tokens {
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        let projects: Vec<&str> = token.projects.iter().map(String::as_str).collect();
        let projects = if projects.is_empty() { "all".to_owned() } else { projects.join(", ") };
        let until = token.expires.map_or_else(|| "for ever".to_owned(), time);
        table.row([token.name.clone(), scopes.join(", "), projects, until]);
    }
    table.render(0)
}

/// Writes a secret to a file that only its owner can read, from its first moment on.
pub(crate) fn write_secret(path: &Utf8Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
