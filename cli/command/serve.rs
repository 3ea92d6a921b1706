//! `tidemill serve`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use tidemill_server::{ServeError, ServeEvent, ServeOptions, Server, Source, Token};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;
use crate::ui::Ui;
use crate::ui::text::clean;

/// Serve what is deployed, over HTTP (Open Inference Protocol v2), and follow new deployments.
///
/// Every request but those for health needs the token: `Authorization: Bearer TOKEN`. It listens on this machine only
/// unless `--host` says otherwise; it speaks plain HTTP, so let a proxy with TLS stand before it then.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill serve" => "serve what is deployed, on http://127.0.0.1:8080",
    "tidemill serve --port 9000 --token-file token" => "on another port, with a token of your own",
    "tidemill serve --model-file model.onnx --model-name diabetes" => "serve one model file instead",
])]
pub(crate) struct Args {
    /// The address or host name to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// The file with the token. By default the project's own, which is made when it is needed.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<Utf8PathBuf>,
    /// Write the address to this file once requests are taken.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<Utf8PathBuf>,
    /// Serve this model file instead of what is deployed.
    #[arg(long, value_name = "FILE")]
    pub(crate) model_file: Option<Utf8PathBuf>,
    /// The name to serve the model file under.
    #[arg(long, value_name = "NAME", default_value = "model", requires = "model_file")]
    pub(crate) model_name: String,
    /// The version to give the model file.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "model_file")]
    pub(crate) model_version: u64,
}

/// The environment variable that may hold the token.
const TOKEN: &str = "TIDEMILL_SERVE_TOKEN";

/// Serves until a signal.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let at = |path: &Utf8PathBuf| context.folder.join(path);
    let (source, token) = match &args.model_file {
        Some(file) => {
            let (name, version) = (args.model_name.clone(), args.model_version);
            (
                Source::File { path: at(file), name, version },
                given_token(context, args)?.ok_or_else(no_token)?,
            )
        }
        None => {
            let state = context.project()?.state().to_owned();
            let token = match given_token(context, args)? {
                Some(token) => token,
                None => Token::of_project(&state).map_err(|error| refused(error.into()))?,
            };
            (Source::Project(state), token)
        }
    };
    let ready_file = args.ready_file.as_ref().map(at);
    let options = ServeOptions { host: args.host.clone(), port: args.port, token, source, ready_file };
    let teller = Teller::new(context.ui, context.folder.clone());
    runtime::block_on(serve(options, teller))??;
    Ok(Exit::Done)
}

async fn serve(options: ServeOptions, teller: Teller) -> Result<(), CliError> {
    let listen =
        |kind| signal(kind).map_err(|source| CliError::Setup { action: "listen to signals", source });
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let server = Server::open(options, Arc::new(move |event: &ServeEvent| teller.tell(event))).await;
    server.map_err(refused)?.run(stop).await.map_err(refused)
}

/// The token that was named by a flag or handed over in the environment.
fn given_token(context: &Context, args: &Args) -> Result<Option<Token>, CliError> {
    let token = match (&args.token_file, context.variable(TOKEN)) {
        (Some(file), _) => Token::from_file(&context.folder.join(file)),
        (None, Some(text)) => Token::handed_over(text),
        (None, None) => return Ok(None),
    };
    token.map(Some).map_err(|error| refused(error.into()))
}

fn no_token() -> CliError {
    let hint = Some(format!("name a file with --token-file, or set {TOKEN}"));
    CliError::Usage { message: "a model file is served only with a token".to_owned(), hint }
}

pub(super) fn refused(error: ServeError) -> CliError {
    CliError::Setup { action: "serve", source: io::Error::other(error) }
}

/// Tells people what the server does.
pub(super) struct Teller {
    ui: Ui,
    folder: Utf8PathBuf,
    /// Where it listens, and the file with the token; known before anything is served.
    place: OnceLock<(SocketAddr, Option<Utf8PathBuf>)>,
}

impl Teller {
    pub(super) fn new(ui: Ui, folder: Utf8PathBuf) -> Self {
        Self { ui, folder, place: OnceLock::new() }
    }

    pub(super) fn tell(&self, event: &ServeEvent) {
        let lines: Vec<String> = self.text(event).lines().map(clean).collect();
        self.ui.tell(&format!("{}\n", lines.join("\n")));
    }

    fn text(&self, event: &ServeEvent) -> String {
        match event {
            ServeEvent::Listening { address, token_file } => {
                // It is told once.
                let _ = self.place.set((*address, token_file.clone()));
                let token = token_file.as_ref().map(|file| format!("the token is in {}\n", self.near(file)));
                format!("listening on http://{address}\n{}", token.unwrap_or_default())
            }
            ServeEvent::Serving { endpoint, model, version, inputs, before } => {
                let before = before.map(|before| format!(" (before: version {before})"));
                let before_text = before.clone().unwrap_or_default();
                let example = if before.is_none() { self.example(endpoint, inputs) } else { String::new() };
                format!("{endpoint}: serving version {version} of {model}{before_text}\n{example}")
            }
            ServeEvent::Refused { endpoint, reason, still } => {
                let still = still.map_or_else(
                    || "nothing is served there".to_owned(),
                    |version| format!("version {version} goes on"),
                );
                format!("{endpoint}: {reason}; {still}\n")
            }
            ServeEvent::Withdrawn { endpoint } => format!("{endpoint}: no longer served\n"),
            ServeEvent::Blind { reason } => format!("cannot read what is deployed: {reason}\n"),
            ServeEvent::Stopping => "stopping; requests that are being answered end first\n".to_owned(),
        }
    }

    /// A request to try, ready to be pasted.
    fn example(&self, endpoint: &str, inputs: &[(String, String, Vec<i64>)]) -> String {
        let Some((address, token_file)) = self.place.get() else { return String::new() };
        let token = match token_file {
            Some(file) => format!("$(cat {})", self.near(file)),
            None => format!("${TOKEN}"),
        };
        let tensors: Vec<serde_json::Value> = inputs.iter().map(example_tensor).collect();
        // A quote within a quoted shell word.
        let body = json!({ "inputs": tensors }).to_string().replace('\'', r"'\''");
        format!(
            "  try: curl http://{address}/v2/models/{endpoint}/infer -H \"Authorization: Bearer {token}\" -d '{body}'\n"
        )
    }

    fn near<'a>(&self, path: &'a Utf8Path) -> &'a Utf8Path {
        path.strip_prefix(&self.folder).unwrap_or(path)
    }
}

/// One row of nothing in particular.
fn example_tensor((name, datatype, shape): &(String, String, Vec<i64>)) -> serde_json::Value {
    let shape: Vec<i64> = shape.iter().map(|size| if *size < 0 { 1 } else { *size }).collect();
    let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
    let value = match datatype.as_str() {
        "BOOL" => json!(false),
        "BYTES" => json!(""),
        "FP64" | "FP32" => json!(0.5),
        _ => json!(1),
    };
    json!({ "name": name, "shape": shape, "datatype": datatype, "data": vec![value; count] })
}
