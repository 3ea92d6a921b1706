//! Which runs a comparison means, where the user named none or one.

use super::error::RecordError;
use super::fold::RunRecord;
use super::history::History;

/// What runs are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// By their metrics: a run that has none is passed over in the search for the one before.
    Metrics,
    /// By their parameters.
    Params,
}

/// The runs to compare, in order: those that are named; of one name, that run and the last of its pipeline; without a name, the
/// last run and the one before it of the same pipeline.
///
/// # Errors
/// If a name means no run or several, or there is nothing to compare with.
pub fn opponents(
    history: &History,
    names: &[String],
    measure: Measure,
) -> Result<Vec<RunRecord>, RecordError> {
    match names {
        [] => with_previous(history, history.find("last")?, measure),
        [name] => {
            let run = history.find(name)?;
            match history.last_of(&run.pipeline)? {
                Some(last) if last.run > run.run => Ok(vec![run, last]),
                _ => with_previous(history, run, measure),
            }
        }
        several => several.iter().map(|name| history.find(name)).collect(),
    }
}

fn with_previous(history: &History, run: RunRecord, measure: Measure) -> Result<Vec<RunRecord>, RecordError> {
    let previous = match measure {
        Measure::Metrics => history.previous_with_metrics(&run.pipeline, &run.run)?,
        Measure::Params => history.previous(&run.pipeline, &run.run)?,
    };
    match previous {
        Some(previous) => Ok(vec![previous, run]),
        None => Err(RecordError::NoEarlier { run: run.run, pipeline: run.pipeline }),
    }
}
