//! Opening a step's folder: that of its newest failed attempt, if there is one, or one made with its inputs as they are now.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8PathBuf;
use tidemill_cache::CacheError;

use super::folder::{DebugFolder, Present};
use super::script;
use crate::error::EngineError;
use crate::execute::{
    Card, Fences, Invocation, Kept, Origin, Prepared, StepFolder, describe, newest_failed, shown, work_in,
    write_card,
};
use crate::failure::{Failure, InfraFailure};
use crate::gpus::usable_gpus;
use crate::graph::{Graph, Step, StepIndex};
use crate::name::{AttemptId, RunId};
use crate::plan::{
    Decider, Decision, Execution, Foreseen, Memo, RunFacts, Scope, Selection, describe_foreseen, foresee,
    observe, target, unknown,
};
use crate::process::LazyWarden;
use crate::project::Project;

/// Which folder is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That of the step's newest failed attempt; a fresh one if there is none.
    FailedIfAny,
    /// One that is made now.
    Fresh,
}

/// How many bytes of what a folder shares with the cache or the project are copied for it, where nothing can be cloned.
const BUDGET: u64 = 1 << 30;

/// Opens a folder of a step.
///
/// # Errors
/// If there is no such step, a secret is not set, or a fresh folder needs what has not been made yet.
pub async fn open(
    project: &Project,
    graph: &Graph,
    step: &str,
    which: Which,
) -> Result<DebugFolder, EngineError> {
    let index = graph.find(step).ok_or_else(|| unknown(graph, step))?;
    let failed = match which {
        Which::FailedIfAny => newest_failed(project, &graph.pipeline, &graph.step(index).id),
        Which::Fresh => None,
    };
    match failed {
        Some(kept) => {
            let present = present(project, graph, index, &kept).await;
            of_failed(project, graph, index, kept, present)
        }
        None => {
            let force = vec![graph.step(index).id.to_string()];
            let foreseen = foreseen(project, graph, index, force).await?;
            fresh(project, graph, index, needed(graph, index, &foreseen)?)
        }
    }
}

async fn foreseen(
    project: &Project,
    graph: &Graph,
    index: StepIndex,
    force: Vec<String>,
) -> Result<Vec<Foreseen>, EngineError> {
    let until = vec![graph.step(index).id.to_string()];
    let scope = Scope::of(graph, &Selection { until, force, ..Selection::default() })?;
    let warden = LazyWarden::new(project.program(), project.state());
    let observations = observe(project, graph, &warden).await?;
    let decider = Decider::new(project, graph, &observations, &warden);
    let foreseen = foresee(&decider, &scope, &Memo::default()).await.map(|foresight| foresight.foreseen);
    warden.shutdown().await;
    foreseen
}

/// How the step as it is now stands to an attempt that failed.
async fn present(project: &Project, graph: &Graph, index: StepIndex, kept: &Kept) -> Present {
    let key = kept.card.key;
    let foreseen = match foreseen(project, graph, index, Vec::new()).await {
        Ok(foreseen) => foreseen,
        Err(error) => return Present::Unknown { reason: describe(&error) },
    };
    match &foreseen[index.get()] {
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution)
            if execution.resolved.key == key =>
        {
            Present::Same
        }
        Foreseen::Decided(Decision::Satisfied(satisfied)) if satisfied.key == key => Present::Same,
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
            Present::Differs { reason: execution.reason.to_string() }
        }
        Foreseen::Decided(Decision::Satisfied(_)) => {
            Present::Differs { reason: "its result is known".to_owned() }
        }
        other => Present::Unknown { reason: describe_foreseen(graph, other) },
    }
}

/// What a fresh folder is made of.
fn needed<'a>(
    graph: &Graph,
    index: StepIndex,
    foreseen: &'a [Foreseen],
) -> Result<&'a Execution, EngineError> {
    let step = graph.step(index).id.to_string();
    // A producer whose bytes are gone is to run again, although its outputs are known.
    for producer in graph.upstream(index) {
        if let Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) =
            &foreseen[producer.get()]
        {
            let (needed, reason) = (graph.step(producer).id.to_string(), execution.reason.to_string());
            return Err(EngineError::NotReady { step, needed, reason });
        }
    }
    match &foreseen[index.get()] {
        Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => Ok(execution),
        Foreseen::Maybe(by) => {
            let reason = describe_foreseen(graph, &foreseen[by.get()]);
            Err(EngineError::NotReady { step, needed: graph.step(*by).id.to_string(), reason })
        }
        other => Err(EngineError::NotStarting { step, reason: describe_foreseen(graph, other) }),
    }
}

/// The folder of an attempt that failed, as it left it, with copies in place of what it shares.
fn of_failed(
    project: &Project,
    graph: &Graph,
    index: StepIndex,
    kept: Kept,
    present: Present,
) -> Result<DebugFolder, EngineError> {
    let step = graph.step(index);
    let place = kept.step_folder();
    let invocation = of_card(project, step, &kept.card, &place);
    let prepared = invocation
        .prepare_again(kept.card.command.clone(), &kept.card.declared)
        .map_err(|failure| not(step, failure))?;
    let folder = Folder { origin: kept.origin, card: kept.card, place, present };
    finish(project, graph, index, folder, prepared)
}

/// A folder with the step's inputs, as an attempt would find it.
fn fresh(
    project: &Project,
    graph: &Graph,
    index: StepIndex,
    execution: &Execution,
) -> Result<DebugFolder, EngineError> {
    let step = graph.step(index);
    let now = jiff::Timestamp::now();
    let run = RunId::generate(now);
    let gpus = if step.resources.gpus > 0 { usable_gpus(project) } else { Vec::new() };
    let gpus = gpus.into_iter().map(|gpu| gpu.id).take(step.resources.gpus as usize).collect();
    let mut card = Card {
        attempt: AttemptId::new(&run, 1),
        pipeline: graph.pipeline.clone(),
        step: step.id.clone(),
        key: execution.resolved.key,
        run: RunFacts { id: run.to_string(), commit: String::new(), time: now.to_string() },
        at: now,
        failure: None,
        command: None,
        declared: BTreeMap::new(),
        paths: execution.resolved.paths.clone(),
        gpus,
    };
    let mut place = StepFolder::at(Origin::Fresh.base(project, &card));
    // While this is held, no collection of garbage removes what is placed.
    let running = project.cache().running()?;
    let made = place.fill(project, step, &execution.resolved).map_err(EngineError::from).and_then(|()| {
        let invocation = of_card(project, step, &card, &place);
        let prepared = invocation.prepare().map_err(|failure| not(step, failure))?;
        (card.command, card.declared) = (invocation.command(), invocation.declared());
        write_card(&place, &card).map_err(io(&place.beside("attempt.json")))?;
        let folder = Folder { origin: Origin::Fresh, card, place: place.clone(), present: Present::Same };
        finish(project, graph, index, folder, prepared)
    });
    drop(running);
    if made.is_err() {
        place.discard(project);
    }
    made
}

/// What is known of a folder before its process is prepared.
struct Folder {
    origin: Origin,
    card: Card,
    place: StepFolder,
    present: Present,
}

fn of_card<'a>(
    project: &'a Project,
    step: &'a Step,
    card: &'a Card,
    folder: &'a StepFolder,
) -> Invocation<'a> {
    Invocation {
        project,
        pipeline: &card.pipeline,
        step,
        run: &card.run,
        attempt: &card.attempt,
        gpus: &card.gpus,
        paths: &card.paths,
        folder,
    }
}

/// Makes its files its own, writes the script, and says that someone works in it.
fn finish(
    project: &Project,
    graph: &Graph,
    index: StepIndex,
    folder: Folder,
    prepared: Prepared,
) -> Result<DebugFolder, EngineError> {
    let step = graph.step(index);
    let Folder { origin, card, place, present } = folder;
    let gone = || EngineError::NotStarting {
        step: step.id.to_string(),
        reason: format!("{} is being removed", place.base()),
    };
    let in_use = work_in(&place).map_err(io(place.base()))?.ok_or_else(gone)?;
    let root = place.root();
    let inputs: Vec<Utf8PathBuf> = card.paths.values().flatten().map(|path| root.join(path)).collect();
    let shared = project.cache().unshare(&root, &inputs, BUDGET)?;
    // A step is free to remove its TMPDIR, and the next one needs it.
    fs::create_dir_all(place.temporary()).map_err(io(&place.temporary()))?;
    let env = shown(&prepared.env, step);
    let script = script::write(place.base(), &root, &step.id, &prepared.argv, &env);
    let fences = Fences::of(project, graph);
    Ok(DebugFolder {
        origin,
        sandbox: fences.level(step),
        fence: fences.around_kept(step, &place, &graph.folder, &shared),
        present,
        folder: root,
        script: script.map_err(io(place.base()))?,
        argv: prepared.argv,
        env,
        outputs: step
            .outputs
            .iter()
            .map(|(name, output)| (name.to_string(), output.path.to_string()))
            .collect(),
        shared,
        target: step.effect.as_ref().map(|effect| target(project, step, effect)),
        variables: prepared.env,
        card,
        place,
        in_use,
    })
}

fn not(step: &Step, failure: Failure) -> EngineError {
    let reason = match failure {
        Failure::Step(crate::failure::StepFailure::NotStarted { reason }) => reason,
        Failure::Infrastructure(InfraFailure::Storage { message }) => message,
        other => format!("{other:?}"),
    };
    EngineError::NotStarting { step: step.id.to_string(), reason }
}

fn io(path: &camino::Utf8Path) -> impl FnOnce(std::io::Error) -> EngineError {
    let path = path.to_owned();
    move |source| EngineError::Cache(CacheError::Io { action: "write", path, source })
}
