//! `evaluate`: chooses the best of several models on validation rows, and judges it, and a rival, on test rows.

mod candidate;
mod interface;
mod plot;
mod predictions;

pub(crate) use interface::With;

use camino::Utf8Path;
use serde_json::{Map, Value as Json, json};
use tidemill_cache::Digest;

use crate::catalog::Entry;
use crate::predict::Predictor;
use crate::say::say;
use crate::scores::Scores;
use crate::{StepError, Task, with};
use candidate::{Choice, comparable};

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry =
    Entry { interface: interface::interface, check: with::check::<With>, run, effect: None };

/// Chooses, judges, and writes the chosen model with all that is known of it.
fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let (validation, test) = (task.optional_input("validation")?, task.input("test")?);
    let choice = Choice::make(&task.inputs("models"), validation.as_deref(), &with)?;
    let best = choice.best();
    for candidate in &choice.candidates {
        if let Some(score) = candidate.scores.as_ref().and_then(|scores| scores.get(&choice.metric)) {
            say(format_args!("{}: validation {} {score}", candidate.name, choice.metric));
        }
    }
    say(format_args!("chosen: {}", best.name));
    let frame = best.predictor.frame(&test)?;
    let predicted = best.predictor.predict(&frame)?;
    let scores = best.predictor.score(&frame, &predicted)?;
    require_finite(&best.name, &scores)?;
    let rival = task.optional_input("rival")?;
    let rival = rival.map(|path| Rival::judge(&path, &with, &best.predictor, &test)).transpose()?;
    tell(&scores, rival.as_ref());
    task.write("best", best.predictor.bytes())?;
    predictions::write(&test, &task.output("predictions")?, &predicted, best.predictor.classes())?;
    task.write_json("plot", &plot::plot(&best.predictor, &frame, &predicted)?)?;
    task.write_json("metrics", &metrics(&choice, &scores, rival.as_ref()))?;
    task.write_json("report", &report(&choice, &scores, rival.as_ref()))
}

/// A model that the chosen one has to beat, judged on the same test rows.
struct Rival {
    /// Of the file, in hexadecimal digits.
    digest: String,
    scores: Scores,
}

impl Rival {
    fn judge(path: &Utf8Path, with: &With, best: &Predictor, test: &Utf8Path) -> Result<Self, StepError> {
        let rival = Predictor::open(path, with.target.as_deref())?;
        comparable(best, &rival, "the rival")?;
        let frame = rival.frame(test)?;
        let scores = rival.score(&frame, &rival.predict(&frame)?)?;
        require_finite("the rival", &scores)?;
        Ok(Self { digest: digest(&rival), scores })
    }
}

fn digest(predictor: &Predictor) -> String {
    Digest::of(predictor.bytes()).to_string()
}

/// What a gate reads must be numbers.
fn require_finite(name: &str, scores: &Scores) -> Result<(), StepError> {
    match scores.values().all(|score| score.is_finite()) {
        true => Ok(()),
        false => Err(StepError::Comparison(format!("{name} does not predict a finite number for every row"))),
    }
}

fn tell(scores: &Scores, rival: Option<&Rival>) {
    for (name, score) in scores {
        match rival.and_then(|rival| rival.scores.get(name)) {
            Some(other) => say(format_args!("  test {name} {score} (rival {other})")),
            None => say(format_args!("  test {name} {score}")),
        }
    }
}

fn metrics(choice: &Choice, scores: &Scores, rival: Option<&Rival>) -> Json {
    let mut metrics: Map<String, Json> =
        scores.iter().map(|(name, score)| (name.clone(), json!(score))).collect();
    if let Some(rival) = rival {
        metrics.insert("rival".to_owned(), json!(rival.scores));
    }
    // What the candidates were chosen by is in the report: here stands what a gate or a table of runs can use.
    if let Some(scores) = &choice.best().scores {
        metrics.insert("validation".to_owned(), json!({ &choice.metric: scores.get(&choice.metric) }));
    }
    Json::Object(metrics)
}

fn report(choice: &Choice, scores: &Scores, rival: Option<&Rival>) -> Json {
    let best = choice.best();
    let candidate = |candidate: &candidate::Candidate| {
        json!({
            "name": candidate.name,
            "algorithm": candidate.predictor.algorithm(),
            "digest": digest(&candidate.predictor),
            "validation": candidate.scores,
        })
    };
    json!({
        "target": best.predictor.target(),
        "metric": choice.metric,
        "candidates": choice.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "chosen": best.name,
        "algorithm": best.predictor.algorithm(),
        "test": scores,
        "rows": {
            "validation": best.scores.as_ref().and_then(|scores| scores.get("rows")),
            "test": scores.get("rows"),
        },
        "rival": rival.map(|rival| &rival.digest),
        "rival_test": rival.map(|rival| &rival.scores),
    })
}

#[cfg(test)]
mod tests;
