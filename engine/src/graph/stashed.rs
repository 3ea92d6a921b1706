//! A graph that was expanded once, put away and taken out again while all that it was made of is the same, or nearly.
//!
//! Layout: the length of the head (u64, little endian), the head (postcard), then the steps (postcard), one behind the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tidemill_cache::{Cache, Digest, Stashed};

use super::axes::digest_of_glob;
use super::steps::{Shelf, Steps};
use super::{Definition, Graph, Origins, Skeleton, StepIndex, patch};
use crate::Value;
use crate::name::PipelineName;
use crate::spec::LoadRequest;

/// Where graphs are put away.
const KIND: &str = "graph";
/// Where the texts are put away that they were made of.
const TEXT: &str = "text";
/// The version of the layout.
const VERSION: u32 = 4;
/// Graphs of more steps are not put away: what would be read is more than what it saves.
const MOST: usize = 1 << 18;

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    pipeline: PipelineName,
    description: Option<String>,
    file: Utf8PathBuf,
    text: [u8; 32],
    folder: Utf8PathBuf,
    params: BTreeMap<String, Value>,
    overrides: BTreeMap<String, Value>,
    globs: Vec<(String, [u8; 32])>,
    origins: Origins,
    skeleton: Skeleton,
    order: Vec<StepIndex>,
    definitions: Vec<Definition>,
    /// By step: where it ends.
    ends: Vec<u64>,
}

/// Puts a graph away under a name that stands for all that it was made of, but for its text and the files that globs found. From
/// then on the graph knows its name and the digests of its steps. The text is put away beside it.
pub fn stash(cache: &Cache, name: &Digest, graph: &mut Graph, text: &str) {
    if graph.steps.len() > MOST {
        return;
    }
    match encode(graph) {
        Ok(bytes) => {
            cache.stash(KIND, name, &bytes);
            cache.stash(TEXT, name, text.as_bytes());
            graph.name = Some(*name);
        }
        Err(error) => tracing::debug!(%error, "a graph cannot be put away"),
    }
}

fn encode(graph: &mut Graph) -> postcard::Result<Vec<u8>> {
    let mut steps = Vec::with_capacity(256 * graph.steps.len());
    let mut ends = Vec::with_capacity(graph.steps.len());
    let mut definitions = Vec::with_capacity(graph.steps.len());
    for place in 0..graph.steps.len() {
        match (graph.steps.kept(place), graph.definitions.get(place)) {
            (Some(bytes), Some(definition)) => {
                steps.extend_from_slice(bytes);
                definitions.push(*definition);
            }
            _ => {
                let begin = steps.len();
                steps = postcard::to_extend(&graph.steps[place], steps)?;
                let mut definition = Definition::default();
                definition
                    .copy_from_slice(&Digest::of(&steps[begin..]).as_bytes()[..size_of::<Definition>()]);
                definitions.push(definition);
            }
        }
        ends.push(steps.len() as u64);
    }
    graph.definitions = definitions;
    let head = postcard::to_stdvec(&Head {
        version: VERSION,
        pipeline: graph.pipeline.clone(),
        description: graph.description.clone(),
        file: graph.file.clone(),
        text: *graph.text.as_bytes(),
        folder: graph.folder.clone(),
        params: graph.params.clone(),
        overrides: graph.overrides.clone(),
        globs: graph.globs.iter().map(|(glob, found)| (glob.clone(), *found.as_bytes())).collect(),
        origins: graph.origins.clone(),
        skeleton: Skeleton::clone(&graph.skeleton),
        order: graph.order.clone(),
        definitions: graph.definitions.clone(),
        ends,
    })?;
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head);
    bytes.extend(steps);
    Ok(bytes)
}

/// The graph that was put away under this name, if its globs still find the same files, and it was made of this text, or of one
/// that differs from it in few steps: those are read and expanded anew.
#[must_use]
pub fn stashed(cache: &Cache, name: &Digest, request: &LoadRequest<'_>) -> Option<Graph> {
    let graph = kept(cache, name).filter(|graph| graph.file == request.file)?;
    let finds_the_same =
        |(glob, found): &(String, Digest)| digest_of_glob(&graph.folder, glob) == Some(*found);
    if !graph.globs.iter().all(finds_the_same) {
        return None;
    }
    let text = Digest::of_large(request.text.as_bytes());
    if graph.text == text {
        return Some(graph);
    }
    let before = cache.stashed(TEXT, name)?;
    let before = std::str::from_utf8(before.content()).ok()?;
    if Digest::of_large(before.as_bytes()) != graph.text {
        return None;
    }
    let mut graph = patch::patched(graph, before, request)?;
    graph.text = text;
    stash(cache, name, &mut graph, request.text);
    Some(graph)
}

/// The graph that was put away under this name.
fn kept(cache: &Cache, name: &Digest) -> Option<Graph> {
    let stashed = cache.stashed(KIND, name)?;
    let content = stashed.content();
    let (length, rest) = content.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let head: Head = postcard::from_bytes(rest.get(..length)?).ok()?;
    if head.version != VERSION {
        return None;
    }
    let begin = 8 + length;
    let count = head.ends.len();
    Some(Graph {
        pipeline: head.pipeline,
        description: head.description,
        file: head.file,
        text: Digest::from_bytes(head.text),
        folder: head.folder,
        params: head.params,
        overrides: head.overrides,
        globs: head.globs.into_iter().map(|(glob, found)| (glob, Digest::from_bytes(found))).collect(),
        origins: head.origins,
        skeleton: Arc::new(head.skeleton),
        order: head.order,
        name: Some(*name),
        definitions: head.definitions,
        edit: None,
        steps: Steps::on(Arc::new(Kept { stashed, begin, ends: head.ends }), count),
    })
}

/// The steps of a graph as they were put away.
#[derive(Debug)]
struct Kept {
    stashed: Stashed,
    /// Where the first step begins in the content.
    begin: usize,
    /// By step: where it ends, counted from there.
    ends: Vec<u64>,
}

impl Shelf for Kept {
    fn bytes(&self, index: usize) -> &[u8] {
        let place = |end: u64| self.begin + usize::try_from(end).expect("it is in memory");
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.stashed.content()[place(begin)..place(self.ends[index])]
    }
}
