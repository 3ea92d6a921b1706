//! The smoke test: the very server that will serve, on a port of its own, asked over HTTP, compared with the evaluation.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rand::Rng as _;
use serde_json::{Value as Json, json};
use tidemill_engine::name::EndpointName;
use tidemill_engine::registry::Smoke;

use super::client::{Client, Metadata, Output};
use super::rows::Rows;
use crate::StepError;

/// The longest that the server may take to get ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of our own; it ends when this is dropped.
struct Trial {
    process: Child,
    folder: Utf8PathBuf,
    token: String,
}

/// Serves the model, asks it for these rows and compares the answers.
pub(super) fn test(
    model: &Utf8Path,
    endpoint: &EndpointName,
    version: u64,
    rows: &Rows,
    tolerance: f64,
) -> Result<Smoke, StepError> {
    let mut trial = Trial::start(model, endpoint, version)?;
    let address = trial.address()?;
    let client = Client::new(address, &trial.token);
    let answered = ask(&client, endpoint, version, rows);
    let answers = answered.map_err(|reason| StepError::Smoke(format!("{reason}{}", trial.last_words())))?;
    let mut smoke = Smoke { rows: rows.count() as u64, max_difference: 0.0 };
    for answer in &answers {
        let difference = compare(answer, rows, tolerance).map_err(StepError::Smoke)?;
        smoke.max_difference = smoke.max_difference.max(difference);
    }
    Ok(smoke)
}

/// The answers that the evaluation predicted too: the outputs that have a column of their name.
fn ask(client: &Client, endpoint: &EndpointName, version: u64, rows: &Rows) -> Result<Vec<Output>, String> {
    client.ready()?;
    let metadata = client.metadata(endpoint.as_str())?;
    if !metadata.versions.contains(&version.to_string()) {
        return Err(format!("the server serves version {}, not {version}", metadata.versions.join(", ")));
    }
    let names: Vec<&str> = metadata.outputs.iter().map(|output| output.name.as_str()).collect();
    let predicted: Vec<&str> = names.iter().copied().filter(|name| rows.has(name)).collect();
    if predicted.is_empty() {
        let names = names.join("`, `");
        return Err(format!("the predictions have no column for any output of the model (`{names}`)"));
    }
    let inputs = inputs(&metadata, rows)?;
    let answers = client.infer(endpoint.as_str(), &inputs, &predicted)?;
    match answers.len() == predicted.len() {
        true => Ok(answers),
        false => Err(format!("{} outputs were asked for, {} came", predicted.len(), answers.len())),
    }
}

/// One input per column of the model, in the protocol's form.
fn inputs(metadata: &Metadata, rows: &Rows) -> Result<Vec<Json>, String> {
    let input = |input: &super::client::TensorMetadata| {
        let shape = match input.shape.as_slice() {
            [-1] => json!([rows.count()]),
            [-1, 1] => json!([rows.count(), 1]),
            other => return Err(format!("input `{}` has the shape {other:?}, not one column", input.name)),
        };
        let data = rows.values(&input.name, &input.datatype)?;
        Ok(json!({ "name": input.name, "datatype": input.datatype, "shape": shape, "data": data }))
    };
    metadata.inputs.iter().map(input).collect()
}

/// The largest relative difference, if it is within the tolerance; texts must be equal.
fn compare(answer: &Output, rows: &Rows, tolerance: f64) -> Result<f64, String> {
    let expected = rows.raw(&answer.name)?;
    if answer.data.len() != expected.len() {
        return Err(format!("{} answers came to {} rows", answer.data.len(), expected.len()));
    }
    let mut max_difference = 0.0_f64;
    for (row, (given, expected)) in answer.data.iter().zip(&expected).enumerate() {
        let difference = match (given.as_f64(), expected.as_f64()) {
            (Some(given), Some(expected)) => (given - expected).abs() / expected.abs().max(1e-6),
            _ if given == expected => 0.0,
            _ => f64::INFINITY,
        };
        if difference.is_nan() || difference > tolerance {
            return Err(format!(
                "row {}: the server's {} is {given}, the evaluation predicted {expected} (tolerance {tolerance:e})",
                row + 1,
                answer.name
            ));
        }
        max_difference = max_difference.max(difference);
    }
    Ok(max_difference)
}

impl Trial {
    fn start(model: &Utf8Path, endpoint: &EndpointName, version: u64) -> Result<Self, StepError> {
        let folder = Utf8PathBuf::from("smoke");
        let refused = |path: &Utf8Path, source| StepError::Write { path: path.to_string(), source };
        fs::create_dir_all(&folder).map_err(|source| refused(&folder, source))?;
        let log = folder.join("serve.log");
        let log = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = log.map_err(|source| refused(&folder, source))?;
        let program = program()?;
        let token = token();
        let process = Command::new(&program)
            .args(["serve", "--model-file", model.as_str(), "--model-name", endpoint.as_str()])
            .args(["--model-version", &version.to_string(), "--host", "127.0.0.1", "--port", "0"])
            .args(["--ready-file", folder.join("ready").as_str()])
            .env("TIDEMILL_SERVE_TOKEN", &token)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| StepError::Smoke(format!("cannot start {program}: {error}")))?;
        Ok(Self { process, folder, token })
    }

    /// Waits until the server takes requests.
    fn address(&mut self) -> Result<SocketAddr, StepError> {
        let begun = Instant::now();
        loop {
            if let Ok(text) = fs::read_to_string(self.folder.join("ready"))
                && let Ok(address) = text.trim().parse()
            {
                return Ok(address);
            }
            let trouble = match self.process.try_wait() {
                Ok(None) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
                Ok(None) => format!("the server was not ready after {} s", PATIENCE.as_secs()),
                Ok(Some(status)) => format!("the server ended ({status})"),
                Err(error) => format!("the server cannot be waited for: {error}"),
            };
            return Err(StepError::Smoke(format!("{trouble}{}", self.last_words())));
        }
    }

    /// The end of the server's log, for a message.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("serve.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        if lines.is_empty() {
            return String::new();
        }
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        format!("; the server said:\n  {}", lines.join("\n  "))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // It holds nothing that could be lost. If it has ended already, there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program that serves: the one that the engine runs as.
fn program() -> Result<Utf8PathBuf, StepError> {
    if let Some(program) = std::env::var("TIDEMILL_PROGRAM").ok().filter(|program| !program.is_empty()) {
        return Ok(program.into());
    }
    let own = std::env::current_exe().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    own.ok_or_else(|| StepError::Smoke("TIDEMILL_PROGRAM names no program to serve with".to_owned()))
}

fn token() -> String {
    let bits: [u8; 32] = rand::rng().random();
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};

    use super::*;

    fn rows(column: ArrayRef) -> Rows {
        Rows::of(RecordBatch::try_from_iter([("prediction", column)]).unwrap())
    }

    fn answer(data: &Json) -> Output {
        serde_json::from_value(json!({ "name": "prediction", "data": data })).unwrap()
    }

    #[test]
    fn answers_are_compared_relative_to_their_size() {
        let rows = rows(Arc::new(Float64Array::from(vec![100.0, -2.0])));
        assert_eq!(compare(&answer(&json!([100.0, -2.0])), &rows, 0.0), Ok(0.0));
        let near = answer(&json!([100.000_000_01, -2.0]));
        assert!(compare(&near, &rows, 1e-9).unwrap() > 0.0);
        let reason = compare(&near, &rows, 1e-11).unwrap_err();
        assert!(reason.starts_with("row 1: the server's prediction is 100.00000001,"), "{reason}");
        assert!(compare(&answer(&json!([100.0])), &rows, 1.0).is_err());
        assert!(compare(&answer(&json!([100.0, null])), &rows, 1.0).is_err());
        assert!(compare(&answer(&json!([100.0, "b"])), &rows, 1.0).is_err());
    }

    #[test]
    fn classes_are_equal_or_not() {
        let rows = rows(Arc::new(StringArray::from(vec!["a", "b"])));
        assert!(compare(&answer(&json!(["a", "b"])), &rows, 0.0).is_ok());
        assert!(compare(&answer(&json!(["a", "c"])), &rows, 1.0).is_err());
    }
}
