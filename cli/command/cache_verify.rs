//! `tidemill cache verify`.

use tidemill_cache::SampleSize;
use tidemill_engine::repair;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::verified;

/// Read everything in the cache again, and remove what is damaged: it is made again when it is needed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill cache verify" => "read everything again; the exit code is 4 if something was damaged",
    "tidemill cache verify --sample 5%" => "read one content of twenty again, chosen by chance",
    "tidemill cache verify --repair" => "make good again what is damaged, where a sound copy is at hand",
])]
pub(crate) struct Args {
    /// Read a sample of the contents only: a share such as `5%`, or a number. Records are small: all of them are looked at.
    #[arg(long, value_name = "SIZE")]
    sample: Option<SampleSize>,
    /// Choose the sample that this number stands for; without it, it is chosen by chance, and told.
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,
    /// Make good again what is damaged: from its twin in the cache, or from a published copy in the project.
    #[arg(long)]
    repair: bool,
}

/// Damage is the machine's failure, also if it was removed or repaired: a script is to notice.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let sample = args.sample.map(|size| repair::sample(size, args.seed));
    let found = repair::verify(&project, sample, args.repair)?;
    context.ui.result(&found, || verified::draw(&found, args.repair, |path| context.relative(path)))?;
    Ok(if found.report.damaged.is_empty() { Exit::Done } else { Exit::Infrastructure })
}
