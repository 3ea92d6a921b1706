//! Quarantines as people read them: what is taken out and why, what rests on it, and what to do about that.

use tidemill_engine::quarantine::{Assessment, Done, GivenBack, Listed, Planned, Told, Why};
use tidemill_engine::withdrawn::{Because, Named, described};

use super::style::{Paint, Tone};
use super::table::{Column, Table};
use super::text::{clean, count, time};

/// So many results are listed.
const MOST: usize = 40;

/// What would be taken out, or was.
pub(crate) fn planned(assessment: &Assessment, done: Option<&Done>, paint: Paint) -> String {
    let mut text = head(assessment, done);
    if !assessment.results.is_empty() {
        text.push_str(&results(&assessment.results));
    }
    text.push_str(&resting(assessment, paint));
    match done.and_then(|done| done.store.as_ref()) {
        Some(Told::Withdrawn(0)) | None => {}
        Some(Told::Withdrawn(number)) => {
            text.push_str(&format!("\nwithdrawn in the store too: {}\n", count(*number, "result")));
        }
        Some(Told::Nothing(reason)) => {
            text.push_str(&format!(
                "\nthe store was not told: {}; the same once more tells it\n",
                clean(reason)
            ));
        }
    }
    match done {
        None if assessment.results.is_empty() => {}
        None => text.push_str("\nnothing was changed: without --dry-run it is done\n"),
        Some(Done { quarantine: Some(number), .. }) => text.push_str(&format!(
            "\nthe next run makes them again; `tidemill cache quarantine --undo {number}` gives them back\n"
        )),
        Some(Done { quarantine: None, .. }) => {}
    }
    text
}

fn head(assessment: &Assessment, done: Option<&Done>) -> String {
    let all = &assessment.results;
    let named = all.iter().filter(|planned| planned.why == Why::Named).count();
    let of = match &assessment.named {
        Named::Run(run) => format!("{named} that run {run} made"),
        Named::Key(key) => format!("{named} of key {}", key.short()),
        Named::Digest(digest) => format!("{named} with content {}", digest.short()),
    };
    let parts = format!("{of}, {} derived from that", all.len() - named);
    let before = all.iter().filter(|planned| planned.withdrawn.is_some()).count();
    let line = match done {
        _ if all.is_empty() => match &assessment.named {
            Named::Run(run) => {
                format!("the cache has no result that run {run} made: what it used was made by others")
            }
            Named::Key(_) | Named::Digest(_) => "no result has or read it".to_owned(),
        },
        None if before == all.len() => {
            format!("quarantined already: {} ({parts})", count(all.len(), "result"))
        }
        None => format!("would quarantine {}: {parts}", count(all.len() - before, "result")),
        Some(done) if done.new == 0 => {
            format!("quarantined already: {} ({parts})", count(all.len(), "result"))
        }
        Some(done) => format!("quarantined {}: {parts}", count(done.new, "result")),
    };
    format!("{}\n", clean(&line))
}

fn results(planned: &[Planned]) -> String {
    let columns = ["STEP", "PIPELINE", "KEY", "MADE", "RUN", "WHY"].map(Column::Text);
    let mut table = Table::new(&columns);
    for one in planned.iter().take(MOST) {
        let mut why = match &one.why {
            Why::Named => "named".to_owned(),
            Why::Derived { from, digest } => format!("read {} of {from}", digest.short()),
        };
        if let Some(before) = &one.withdrawn {
            why = format!("{why}; {}", described(before));
        }
        let (step, pipeline, run) = (one.step.clone(), one.pipeline.clone(), one.run.clone());
        table.row([step, pipeline, one.key.short(), time(one.finished), run, why]);
    }
    let mut text = table.render(2);
    if let Some(more) = planned.len().checked_sub(MOST).filter(|more| *more > 0) {
        text.push_str(&format!("  … and {more} more; --json has all of them\n"));
    }
    text
}

/// Models, endpoints and other effects.
fn resting(assessment: &Assessment, paint: Paint) -> String {
    let mut text = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("\n{}\n", paint.text(Tone::Warn, title)));
            lines.iter().for_each(|line| text.push_str(&format!("  {}\n", clean(line))));
        }
    };
    let model = |model: &tidemill_engine::quarantine::LiveModel| {
        let mut marks: Vec<String> = model.aliases.iter().map(ToString::to_string).collect();
        if model.held {
            marks.push("on hold".to_owned());
        }
        let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
        let what = match model.bad.because {
            Because::Model => "its model",
            Because::Report => "the evaluation that it was registered with",
        };
        format!("{} version {}{marks}: {what}", model.bad.model, model.bad.version)
    };
    section("registered models that rest on it", assessment.models.iter().map(model).collect());
    let endpoints = assessment.endpoints.iter().map(|one| {
        format!("{} serves version {} of {} since {}", one.endpoint, one.version, one.model, time(one.since))
    });
    section("endpoints that serve them now", endpoints.collect());
    let effects = assessment
        .effects
        .iter()
        .map(|one| format!("{} in target {}, by run {} on {}", one.step, one.target, one.run, time(one.at)));
    section("effects that were done with it", effects.collect());
    let aliased: Vec<_> = assessment.models.iter().filter(|model| !model.aliases.is_empty()).collect();
    if !aliased.is_empty() {
        text.push('\n');
    }
    for model in aliased {
        for alias in &model.aliases {
            let named =
                if alias.as_str() == "champion" { String::new() } else { format!(" --alias {alias}") };
            text.push_str(&format!(
                "`tidemill models rollback {}{named}` takes {alias} back, and what endpoints serve\n",
                model.bad.model
            ));
        }
    }
    text
}

/// What was given back.
pub(crate) fn given_back(undone: &GivenBack) -> String {
    let GivenBack { quarantine, results, kept, gone } = undone;
    let mut text = format!(
        "quarantine {quarantine} is undone: {} again",
        match results.len() {
            1 => "1 result counts".to_owned(),
            many => format!("{many} results count"),
        }
    );
    if *kept > 0 {
        text.push_str(&format!(", {kept} stay withdrawn because of another quarantine"));
    }
    if *gone > 0 {
        text.push_str(&format!(", {gone} were removed by `cache gc` meanwhile"));
    }
    text.push('\n');
    text
}

/// All quarantines.
pub(crate) fn list(all: &[Listed]) -> String {
    if all.is_empty() {
        return "nothing was ever quarantined\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::Number("NUMBER"),
        Column::Text("WHEN"),
        Column::Text("BY"),
        Column::Text("WHAT"),
        Column::Number("RESULTS"),
        Column::Number("MODELS"),
        Column::Text("REASON"),
    ]);
    for one in all {
        let what = match &one.named {
            Named::Run(run) => format!("run {run}"),
            Named::Key(key) => format!("key {}", key.short()),
            Named::Digest(digest) => format!("content {}", digest.short()),
        };
        let mut reason = one.withdrawal.reason.clone();
        if let Some(undone) = &one.given_back {
            reason.push_str(&format!(" (undone by {} on {})", undone.by, time(undone.at)));
        }
        table.row([
            one.quarantine.to_string(),
            time(one.withdrawal.at),
            one.withdrawal.by.clone(),
            what,
            one.results.to_string(),
            one.models.to_string(),
            reason.trim_start().to_owned(),
        ]);
    }
    table.render(0)
}
