//! The identity of a Python: implementation, exact version and installed distributions. No path and no time enters it.
//!
//! Asking an interpreter costs tens of milliseconds, so its answer (version and site folders) is remembered under the
//! program's own digest; the installed distributions are read from the site folders each time. A program that is a script,
//! such as a version manager's shim, may lead elsewhere tomorrow and is asked each time.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use tidemill_cache::Document;

use super::tool;
use crate::error::EngineError;
use crate::process::{Command, LazyWarden, Status, run_quick};
use crate::project::Project;

const SPACE: &str = "python";
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints the implementation, the exact version and the folders where distributions lie, as JSON.
const QUESTION: &str = "import json,sys,platform,os
print(json.dumps({'implementation':platform.python_implementation(),'version':sys.version.split()[0],\
'sites':[p for p in sys.path if os.path.isdir(p) and os.path.basename(p) in ('site-packages','dist-packages')]}))";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    implementation: String,
    version: String,
    sites: Vec<Utf8PathBuf>,
}

/// The identity of the Python that `program` starts.
///
/// # Errors
/// If there is none, or it does not answer.
pub(crate) async fn identity(
    project: &Project,
    folder: &Utf8Path,
    program: &str,
    warden: &LazyWarden,
) -> Result<Document, EngineError> {
    let wrong = |reason: String| EngineError::KeyPart {
        step: "of this pipeline".to_owned(),
        what: format!("the Python {program:?}"),
        reason,
    };
    let path = tool::find_on(project.variable("PATH").unwrap_or_default(), folder, program)
        .ok_or_else(|| wrong("it is not on PATH".to_owned()))?;
    let memory_key = memory_key(project, &path)?;
    let remembered = memory_key.as_ref().and_then(|key| project.cache().recall(SPACE, key));
    let answer = match remembered.and_then(|bytes| serde_json::from_slice::<Answer>(&bytes).ok()) {
        Some(answer) => answer,
        None => {
            let answer = ask(project, folder, &path, warden).await.map_err(wrong)?;
            if let (Some(key), Ok(bytes)) = (memory_key, serde_json::to_vec(&answer)) {
                project.cache().remember(SPACE, &key, &bytes);
            }
            answer
        }
    };
    let mut distributions = BTreeSet::new();
    for site in &answer.sites {
        distributions.extend(installed(site).map_err(|error| wrong(format!("{site}: {error}")))?);
    }
    Ok(Document::map([
        ("implementation", Document::text(answer.implementation)),
        ("version", Document::text(answer.version)),
        ("distributions", Document::List(distributions.into_iter().map(Document::Text).collect())),
    ]))
}

/// Under what an interpreter's answer may be remembered; none for a script.
fn memory_key(project: &Project, path: &Utf8Path) -> Result<Option<Vec<u8>>, EngineError> {
    let io = |source| EngineError::Io { path: path.to_owned(), source };
    let real = path.canonicalize_utf8().map_err(io)?;
    let mut start = [0; 2];
    let script = std::fs::File::open(&real)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start))
        .is_ok_and(|()| &start == b"#!");
    let Some(seen) = project.cache().look(&real, project.rules())?.filter(|_| !script) else {
        return Ok(None);
    };
    // The path as written counts too: a virtual environment's link leads to the same program as the system's.
    Ok(Some(format!("{path}\0{real}\0{}", seen.artifact.digest).into_bytes()))
}

async fn ask(
    project: &Project,
    folder: &Utf8Path,
    path: &Utf8Path,
    warden: &LazyWarden,
) -> Result<Answer, String> {
    let warden = warden.get().await.map_err(|error| error.to_string())?;
    let command = Command {
        id: "python-identity".to_owned(),
        argv: [path.as_str(), "-c", QUESTION].map(String::from).to_vec(),
        env: project.plain_environment(),
        folder: folder.to_owned(),
        log: "/dev/null".into(),
        redact: Vec::new(),
        kind: None,
        fence: None,
        trace: None,
    };
    let (exit, output) = run_quick(&warden, command, PATIENCE).await.map_err(|error| error.to_string())?;
    if exit.status != Status::Code(0) {
        return Err("it does not answer when it is asked for its version".to_owned());
    }
    serde_json::from_slice(&output).map_err(|error| format!("its answer makes no sense: {error}"))
}

/// The distributions in a site folder, as `name-version`.
fn installed(site: &Utf8Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in site.read_dir_utf8()? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(name) = name.strip_suffix(".dist-info").or_else(|| name.strip_suffix(".egg-info")) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
