//! `tidemill cache pin`, `unpin` and `pins`.

use serde::Serialize;
use tidemill_engine::Project;
use tidemill_engine::name::PinName;
use tidemill_engine::pin::{self, Pin};

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::runtime;
use crate::ui::text::{clean, time};

/// What is pinned.
#[derive(Debug, clap::Args)]
pub(crate) struct PinArgs {
    /// The name of the pin.
    #[arg(value_name = "NAME")]
    pub(crate) name: PinName,
    /// A step, an output as `train.model`, a run's id or the beginning of one, or `last` for the last run.
    #[arg(value_name = "STEP|STEP.OUTPUT|RUN")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// Which pin goes.
#[derive(Debug, clap::Args)]
pub(crate) struct UnpinArgs {
    /// The name of the pin.
    #[arg(value_name = "NAME")]
    pub(crate) name: PinName,
}

/// Pins something.
pub(crate) fn pin(context: &Context, project: &Project, args: &PinArgs) -> Result<(), CliError> {
    let (name, what) = (&args.name, args.what.as_str());
    let pin = match pin::run_of(project, what)? {
        Some(pinned) => pin::pin(project, name, pinned)?,
        None => {
            let (project, graph) = context.load(&args.pipeline)?;
            // From looking until it is pinned, no collection of garbage removes it.
            let _using = project.cache().running()?;
            let pinned = runtime::block_on(pin::step_of(&project, &graph, what))??;
            pin::pin(&project, name, pinned)?
        }
    };
    context.ui.result(&pin, || format!("{} keeps {}\n", pin.name, clean(&pin.pinned.to_string())))?;
    Ok(())
}

/// Takes a pin away.
pub(crate) fn unpin(context: &Context, project: &Project, args: &UnpinArgs) -> Result<(), CliError> {
    let pin = pin::unpin(project, &args.name)?;
    context.ui.result(&pin, || format!("{} keeps {} no more\n", pin.name, clean(&pin.pinned.to_string())))?;
    Ok(())
}

#[derive(Serialize)]
struct Pins {
    pins: Vec<Pin>,
}

/// Lists the pins.
pub(crate) fn list(context: &Context, project: &Project) -> Result<(), CliError> {
    let pins = Pins { pins: pin::pins(project.state())? };
    context.ui.result(&pins, || match pins.pins.is_empty() {
        true => "nothing is pinned\n".to_owned(),
        false => pins.pins.iter().map(line).collect(),
    })?;
    Ok(())
}

fn line(pin: &Pin) -> String {
    let Pin { name, pinned, by, at } = pin;
    format!("{name}: {} (by {}, {})\n", clean(&pinned.to_string()), clean(by), time(*at))
}
