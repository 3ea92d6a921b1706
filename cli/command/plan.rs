//! `tidemill plan`.

use tidemill_engine::graph::Graph;
use tidemill_engine::{Plan, PlannedStep, Project, Selection, Verdict};

use crate::args::{PipelineArgs, SelectionArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::runtime;
use crate::ui::style::{Paint, Tone};
use crate::ui::text::{clean, count};

/// Show what a run would do, step by step, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Exit with 0 if there is nothing to do, 1 on an error, 2 if a run would execute something.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
}

/// Shows the plan.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let (project, graph) = context.load(&args.pipeline)?;
    let plan = show(context, &project, &graph, &args.selection.selection())?;
    match args.detailed_exitcode && plan.would_run() {
        true => Ok(Exit::WouldRun),
        false => Ok(Exit::Done),
    }
}

/// Plans, and prints the plan.
pub(super) fn show(
    context: &Context,
    project: &Project,
    graph: &Graph,
    selection: &Selection,
) -> Result<Plan, CliError> {
    let plan = runtime::block_on(tidemill_engine::plan(project, graph, selection))??;
    context.ui.result(&plan, || draw(&plan, context.ui.out.paint))?;
    Ok(plan)
}

fn draw(plan: &Plan, paint: Paint) -> String {
    let width = plan.steps.iter().map(|step| step.step.as_str().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for PlannedStep { step, verdict, reason, .. } in &plan.steps {
        let (tone, word) = word(*verdict);
        let word = paint.text(tone, &format!("{word:<8}"));
        let line = format!("  {word} {:<width$}  {}", clean(step.as_str()), clean(reason));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let number =
        |verdicts: &[Verdict]| plan.steps.iter().filter(|step| verdicts.contains(&step.verdict)).count();
    let would = match (number(&[Verdict::Run]), number(&[Verdict::Maybe])) {
        (0, 0) => "nothing to do".to_owned(),
        (run, 0) => format!("{} would run", count(run, "step")),
        (run, maybe) => format!("{} would run, {maybe} more may have to", count(run, "step")),
    };
    text.push_str(&format!("\n{would}, {} cached\n", number(&[Verdict::Cached, Verdict::Done])));
    text
}

fn word(verdict: Verdict) -> (Tone, &'static str) {
    match verdict {
        Verdict::Cached => (Tone::Faint, "cached"),
        Verdict::Done => (Tone::Faint, "current"),
        Verdict::Run => (Tone::Busy, "run"),
        Verdict::Maybe => (Tone::Busy, "maybe"),
        Verdict::Blocked => (Tone::Warn, "blocked"),
        Verdict::Skipped => (Tone::Faint, "skipped"),
        Verdict::Held => (Tone::Warn, "held"),
    }
}

#[cfg(test)]
mod tests {
    use tidemill_engine::name::{StepId, StepName};

    use super::*;

    #[test]
    fn a_plan_says_what_and_why() {
        let step = |name: &str, verdict, reason: &str| PlannedStep {
            step: StepId::new(&StepName::new(name).unwrap(), &[]),
            verdict,
            reason: reason.to_owned(),
            key: None,
        };
        let plan = Plan {
            steps: vec![
                step("ingest", Verdict::Cached, ""),
                step("train", Verdict::Run, "parameter train.alpha changed: 0.5 → 1.0"),
                step("evaluate", Verdict::Maybe, "waits for train"),
            ],
        };
        insta::assert_snapshot!(draw(&plan, Paint::Plain), @r###"
          cached   ingest
          run      train     parameter train.alpha changed: 0.5 → 1.0
          maybe    evaluate  waits for train

        1 step would run, 1 more may have to, 1 cached
        "###);
    }
}
