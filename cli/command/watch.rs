//! `tidemill watch`.

use std::time::Duration;

use camino::Utf8Path;
use tidemill_engine::event::{Cause, Outcome};
use tidemill_engine::execute::Urgency;
use tidemill_engine::graph::Graph;
use tidemill_engine::outbox;
use tidemill_engine::trigger::{Hints, Means, OFTEN, Present, Reads};
use tidemill_engine::{Cancellation, Project, RunSummary};

use super::{run, tell_run};
use crate::args::{Output, PaceArgs, PipelineArgs, SelectionArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::runtime::{self, Idle};
use crate::ui::sink::Loudness;
use crate::ui::text::{clean, duration};

/// Run a pipeline, and again whenever something that it reads has changed, until Ctrl-C.
///
/// What counts is the content of its file and of the declared inputs of its steps: a file that was only touched, or an output
/// that was placed beside the inputs, starts nothing. What changes while a run goes on leads to one more run after it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill watch" => "run the pipeline of this folder, and again whenever one of its inputs changes",
    "tidemill watch --until evaluate --restart" => "what is running is given up when its inputs change",
    "tidemill watch --poll 10s" => "look every ten seconds, where nobody tells of changes",
])]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    /// Cancel the run that goes on when something changes, and begin again.
    #[arg(long)]
    pub(crate) restart: bool,
    /// Look this often, such as `5s`, instead of being told of changes. Where the file system does not tell, this is done every two seconds.
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub(crate) poll: Option<Duration>,
    /// How to show the runs while they go on. On a terminal live, else plain.
    #[arg(long, value_name = "FORM", value_enum, conflicts_with_all = ["quiet", "json"])]
    pub(crate) output: Option<Output>,
}

/// Shorter times would keep a machine busy with looking.
const SHORTEST: Duration = Duration::from_millis(100);
/// So many changes are named.
const NAMED: usize = 3;

fn interval(text: &str) -> Result<Duration, String> {
    let time = tidemill_engine::policy::parse_duration(text)?;
    if time < SHORTEST { Err("100ms is the shortest time".to_owned()) } else { Ok(time) }
}

/// Runs the pipeline, and again.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let output = run::output(context, args.output)?;
    let context = match output {
        Output::Quiet | Output::Json => &context.with_loudness(Loudness::Quiet),
        Output::Plain | Output::Live => context,
    };
    let idle = Idle::default();
    let watching = Watching { context, args, output, idle: &idle };
    runtime::with_signals_while(context.ui, &idle, |cancel| watching.follow(cancel))?
}

struct Watching<'a> {
    context: &'a Context,
    args: &'a Args,
    output: Output,
    /// Whether nothing runs.
    idle: &'a Idle,
}

/// The pipeline as it is now.
struct Loaded {
    project: Project,
    reads: Reads,
    graph: Result<Graph, CliError>,
}

impl Watching<'_> {
    async fn follow(&self, cancel: Cancellation) -> Result<Exit, CliError> {
        let (mut project, file) = self.context.place(&self.args.pipeline)?;
        let mut reads = self.loaded(&file, None)?.reads;
        let (mut before, mut told): (Option<Present>, Option<Means>) = (None, None);
        loop {
            // From here on nothing is missed: who listens first sees what comes after it was looked.
            let mut hints = Hints::new(&reads, self.args.poll);
            let present = reads.look(&project);
            let loaded = match self.loaded(&file, Some(&reads)) {
                Ok(loaded) => loaded,
                // Its project file has a mistake, or its folder is about to be replaced.
                Err(error) => Loaded { project, reads: reads.clone(), graph: Err(error) },
            };
            project = loaded.project;
            if loaded.reads != reads {
                reads = loaded.reads;
                continue;
            }
            if told.as_ref() != Some(hints.means()) {
                self.tell_means(&reads, hints.means());
                told = Some(hints.means().clone());
            }
            if before.as_ref() != Some(&present) {
                if let Some(before) = &before {
                    self.tell_changed(&present.changed_since(before));
                }
                let ended = match loaded.graph {
                    Ok(graph) => {
                        let changes = Changes { hints: &mut hints, reads: &reads, present: &present };
                        self.one_run(&project, graph, changes, &cancel).await
                    }
                    Err(error) => Err(error),
                };
                match ended {
                    Ok(Some(summary)) if cancel.urgency() > Urgency::None => {
                        return Ok(summary.outcome.into());
                    }
                    Ok(Some(_)) => {}
                    Ok(None) if cancel.urgency() > Urgency::None => return Ok(Exit::Interrupted),
                    // What changed has been seen already: nobody tells of it again.
                    Ok(None) => {
                        before = Some(present);
                        continue;
                    }
                    // Nobody reads the results any more.
                    Err(error @ CliError::Output(_)) => return Err(error),
                    Err(error) => self.tell_error(&error),
                }
                before = Some(present);
            }
            tokio::select! {
                () = hints.next() => {}
                () = cancel.at_least(Urgency::Terminate) => return Ok(Exit::Done),
            }
        }
    }

    /// Reads the pipeline. While it has mistakes, what it read before is what counts.
    fn loaded(&self, file: &Utf8Path, before: Option<&Reads>) -> Result<Loaded, CliError> {
        let (project, _) = self.context.place(&self.args.pipeline)?;
        let overrides = self.args.pipeline.params.overrides(self.context);
        let graph = self.context.load_at(&project, file, &self.args.pipeline);
        let reads = match &graph {
            Ok(graph) => Reads::of_graph(&project, graph, &overrides),
            Err(_) => match before {
                Some(reads) => reads.clone(),
                None => Reads::of_file(&project, file, &overrides),
            },
        };
        Ok(Loaded { project, reads, graph })
    }

    /// A run to its end; none if it was given up because something changed.
    async fn one_run(
        &self,
        project: &Project,
        graph: Graph,
        changes: Changes<'_>,
        cancel: &Cancellation,
    ) -> Result<Option<RunSummary>, CliError> {
        let options = self.args.pace.options(Cause::Watch, &self.args.selection);
        let progress = run::progress(self.context, &graph, self.output);
        let subscribers = progress.into_iter().chain(outbox::subscriber(project)).collect();
        let own = Cancellation::new();
        let mut is_given_up = false;
        let summary = {
            let _busy = self.idle.busy();
            let running = tidemill_engine::run(project, graph, options, subscribers, own.clone());
            let changed = changes.come(project, self.args.restart);
            tokio::pin!(running, changed);
            loop {
                tokio::select! {
                    ended = &mut running => break ended?,
                    () = &mut changed, if !is_given_up => {
                        is_given_up = true;
                        own.terminate();
                    }
                    () = cancel.at_least(Urgency::Terminate), if own.urgency() < Urgency::Terminate => own.terminate(),
                    () = cancel.at_least(Urgency::Kill), if own.urgency() < Urgency::Kill => own.kill(),
                }
            }
        };
        let told = async {
            tokio::select! {
                () = tell_run::watched(self.context, project) => {}
                () = cancel.at_least(Urgency::Terminate) => {}
            }
        };
        if is_given_up && summary.outcome == Outcome::Interrupted {
            told.await;
            self.context.ui.tell("given up, for something changed\n");
            return Ok(None);
        }
        let shown = run::tell(self.context, &self.args.pipeline, self.output, &summary);
        told.await;
        shown.map(|()| Some(summary))
    }

    fn tell_means(&self, reads: &Reads, means: &Means) {
        let what = format!("{} files, folders and globs", reads.count());
        let every = self.args.poll.unwrap_or(OFTEN);
        self.context.ui.tell(&match means {
            Means::Events => format!("watching {what}; Ctrl-C ends it\n"),
            Means::Polling { reason } => format!(
                "looking at {what} every {}, for {}; Ctrl-C ends it\n",
                duration(u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
                clean(reason)
            ),
        });
    }

    fn tell_changed(&self, changed: &[&Utf8Path]) {
        let named = changed.iter().take(NAMED).map(|path| clean(self.context.relative(path).as_str()));
        let mut text = named.collect::<Vec<_>>().join(", ");
        if changed.len() > NAMED {
            text.push_str(&format!(" and {} more", changed.len() - NAMED));
        }
        self.context.ui.tell(&format!("\nchanged: {text}\n"));
    }

    /// What kept a run from beginning is no reason to end: somebody mends it.
    fn tell_error(&self, error: &CliError) {
        error.tell(&self.context.ui, self.context.width);
        self.context.ui.tell("waiting until something changes\n");
    }
}

/// How a change of what is read shows.
struct Changes<'a> {
    hints: &'a mut Hints,
    reads: &'a Reads,
    present: &'a Present,
}

impl Changes<'_> {
    /// Waits until something else lies there than when the run began; for ever if nobody wants to know.
    async fn come(self, project: &Project, wanted: bool) {
        if !wanted {
            std::future::pending::<()>().await;
        }
        loop {
            self.hints.next().await;
            let (project, reads) = (project.clone(), self.reads.clone());
            let looked = tokio::task::spawn_blocking(move || reads.look(&project)).await;
            if looked.is_ok_and(|present| present != *self.present) {
                return;
            }
        }
    }
}
