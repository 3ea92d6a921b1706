//! `tidemill get`.

use std::fs::{self, File};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tidemill_cache::{Artifact, Cache, Form, Place};
use tidemill_engine::artifact::{self, Found};

use crate::args::PipelineArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime;

/// Get an output of a step, as the pipeline is now, out of the cache.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill get train.model" => "put the model into this folder, under its own name",
    "tidemill get evaluate.metrics --output -" => "write the metrics to standard output",
    "tidemill get 'train[fold=1].model' --output fold-1.onnx" => "one combination of a matrix",
])]
pub(crate) struct Args {
    /// The output: `train.model`, or with matrix values `train[fold=1].model`.
    #[arg(value_name = "STEP.OUTPUT")]
    pub(crate) output_of: String,
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Where to put it; `-` writes a file to standard output. Without this it goes into the working folder under its own
    /// name. Nothing is overwritten.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<Utf8PathBuf>,
}

#[derive(Serialize)]
struct Got<'a> {
    #[serde(flatten)]
    found: &'a Found,
    path: &'a Utf8Path,
}

/// Gets the artifact.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = context.load(&args.pipeline)?;
    // From looking until it is placed, no collection of garbage removes it.
    let _using = project.cache().running()?;
    let found = runtime::block_on(artifact::get(&project, &graph, &args.output_of));
    context.tell_store(&project);
    let found = found??;
    if args.output.as_deref() == Some(Utf8Path::new("-")) {
        write(context, project.cache(), &found.artifact)?;
        return Ok(Exit::Done);
    }
    let own_name = || {
        let step = graph.find(found.step.as_str()).map(|index| graph.step(index));
        let path = step.and_then(|step| step.outputs.get(&found.output)).map(|output| output.path.as_str());
        Utf8PathBuf::from(path.and_then(|path| path.rsplit('/').next()).unwrap_or(found.output.as_str()))
    };
    let path = context.folder.join(args.output.clone().unwrap_or_else(own_name));
    if path.symlink_metadata().is_ok() {
        return Err(CliError::Usage {
            message: format!("{} is there already", context.relative(&path)),
            hint: Some("name another place with `--output`, or `--output -` for standard output".to_owned()),
        });
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CliError::file("create", folder))?;
    }
    project.cache().place(&found.artifact, &path, Place::Writable)?;
    let got = Got { found: &found, path: context.relative(&path) };
    context.ui.result(&got, || format!("{}\n", got.path))?;
    Ok(Exit::Done)
}

/// Writes a file artifact to standard output, however large it is.
fn write(context: &Context, cache: &Cache, artifact: &Artifact) -> Result<(), CliError> {
    if artifact.form == Form::Folder {
        return Err(CliError::usage("this output is a folder: name a place for it with `--output`"));
    }
    let folder = cache.state().join("get").join(std::process::id().to_string());
    fs::create_dir_all(&folder).map_err(CliError::file("create", &folder))?;
    let path = folder.join("artifact");
    let written = cache.place(artifact, &path, Place::ReadOnly).map_err(CliError::from).and_then(|()| {
        let mut file = File::open(&path).map_err(CliError::file("read", &path))?;
        Ok(context.ui.copy(&mut file)?)
    });
    cache.discard(&folder)?;
    written
}
