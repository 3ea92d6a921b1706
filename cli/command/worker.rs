//! `tidemill worker ORDER`: carries out what a run elsewhere has ordered. An executor starts it; nobody types it.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;

use camino::Utf8PathBuf;
use clap::Parser;
use tidemill_cache::Digest;
use tidemill_engine::Cancellation;
use tidemill_engine::remote::{MOST_KEPT, Worked, Working, work};

use crate::args::{Global, When};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::ui::sink::tell;
use crate::ui::style::Paint;
use crate::{runtime, trace};

/// Carries out what a run elsewhere has ordered. An executor starts it; nobody types it.
#[derive(Debug, Parser)]
#[command(name = "tidemill worker")]
struct Args {
    /// The digest of the order, which lies in the store.
    #[arg(value_name = "ORDER")]
    order: Digest,
    /// Where workers of this machine keep what they have fetched.
    #[arg(long, value_name = "DIR")]
    cache: Option<Utf8PathBuf>,
    /// How many bytes may lie there: what was not used for longest goes.
    #[arg(long, value_name = "BYTES", default_value_t = MOST_KEPT)]
    cache_size: u64,
    /// Take GPUs that nobody else on this machine uses, instead of all that can be seen.
    #[arg(long)]
    lease_gpus: bool,
}

/// Carries out the order that the arguments name. What goes wrong with the worker itself is the end of its job's log.
pub(crate) fn main() -> Exit {
    let args = match Args::try_parse_from(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(answer) => {
            answer.print().ok();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let global = Global { folder: None, color: When::Never, json: false, verbose: 0, quiet: true };
    let context = match Context::new(&global) {
        Ok(context) => context,
        Err(error) => {
            tell(&error.text(Paint::Plain, 0));
            return error.exit();
        }
    };
    let done = trace::start(&context, 0).and_then(|()| run(&context, &args));
    done.unwrap_or_else(|error| {
        error.tell(&context.ui, context.width);
        error.exit()
    })
}

/// Does what is ordered.
fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let folder = match &args.cache {
        Some(folder) => context.folder.join(folder),
        None => default_folder(context),
    };
    let made = DirBuilder::new().mode(0o700).recursive(true).create(&folder);
    made.map_err(|source| CliError::Setup { action: "make the folder of workers", source })?;
    let project = context.project_at(folder)?;
    let working = Working {
        lease_gpus: args.lease_gpus,
        most_kept: args.cache_size,
        printed: Box::new(|bytes| {
            // Nobody may read it any more: what it is, is in the report.
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush()).ok();
        }),
    };
    let worked = runtime::with_signals(context.ui, |cancel: Cancellation| async move {
        work(&project, args.order, working, &cancel).await
    })?;
    Ok(match worked? {
        Worked::Succeeded => Exit::Done,
        Worked::Failed => Exit::StepFailed,
        Worked::Cancelled => Exit::Interrupted,
    })
}

/// A folder in the user's cache folder that no other host uses, for that may be shared.
fn default_folder(context: &Context) -> Utf8PathBuf {
    let cache = match (context.variable("XDG_CACHE_HOME"), context.variable("HOME")) {
        (Some(cache), _) if !cache.is_empty() => Utf8PathBuf::from(cache),
        (_, Some(home)) => Utf8PathBuf::from(home).join(".cache"),
        _ => Utf8PathBuf::from("/tmp"),
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // Two machines of a step may be one.
    let rank = context.variable("TIDEMILL_NODE_RANK").filter(|rank| *rank != "0");
    cache.join("tidemill/workers").join(rank.map_or_else(|| host.clone(), |rank| format!("{host}.{rank}")))
}
