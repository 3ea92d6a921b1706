//! The order of an attempt: all that a worker has to know, without the pipeline. It lies in the store with everything that it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng as _;
use serde::{Deserialize, Serialize};
use tidemill_cache::{ActionResult, Artifact, CacheError, Digest, Document, Key, NewResult, RelPath, Usage};

use crate::graph::{Graph, Step, StepIndex};
use crate::name::{AttemptId, InputName, PipelineName};
use crate::plan::{Content, Paths, Resolved, RunFacts};
use crate::project::Project;

/// The layout of an order. Steps are in it as the program has them, so only the same program reads it.
const TITLE: &str = concat!("tidemill order 1 ", env!("CARGO_PKG_VERSION"), "\n");
/// The output under which the order itself lies.
const ORDER: &str = "order";

/// All that a worker has to know of an attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The attempt.
    pub attempt: AttemptId,
    /// The run in which it is made.
    pub run: RunFacts,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The step, with all values filled in.
    pub step: Step,
    /// The canonical bytes of its recipe.
    pub recipe: Vec<u8>,
    /// What is placed in its folder: the input, the path, the content.
    pub materials: Vec<(InputName, RelPath, Artifact)>,
    /// What the command sees of its inputs.
    pub paths: Paths,
    /// A number that no other order has: each attempt has an order of its own.
    pub nonce: u128,
}

/// Why there is no order to carry out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The store has none with this digest, or cannot be reached.
    #[error("the order {digest} is not in the store")]
    Missing {
        /// The digest.
        digest: Digest,
    },
    /// It was written by another version.
    #[error("the order was written by another version of tidemill; this one is {}", env!("CARGO_PKG_VERSION"))]
    OtherVersion,
    /// It cannot be understood, although it is what was ordered.
    #[error("the order {digest} cannot be read")]
    Unreadable {
        /// The digest.
        digest: Digest,
    },
    /// The cache said no.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Order {
    /// The order for an attempt of a step. Files of the project that it reads are copied into the cache.
    ///
    /// # Errors
    /// If one of them is not what it was when the key was computed, or cannot be copied.
    pub fn new(
        project: &Project,
        graph: &Graph,
        step: StepIndex,
        resolved: &Resolved,
        attempt: AttemptId,
        run: RunFacts,
    ) -> Result<Self, CacheError> {
        let mut step = graph.step(step).clone();
        // The worker's project says nothing of its own.
        let sandbox = step.sandbox.unwrap_or(project.sandbox());
        Arc::make_mut(&mut step.common).sandbox = Some(sandbox);
        // It was asked, and the answer is in the recipe.
        step.fingerprint = None;
        let mut materials = Vec::with_capacity(resolved.materials.len());
        for material in &resolved.materials {
            if let Content::Project { source, seen, .. } = &material.content {
                let copied = project.cache().capture_copy(source, project.rules())?;
                if copied.as_ref() != Some(&seen.artifact) {
                    return Err(CacheError::Changed { path: source.clone() });
                }
            }
            materials.push((
                material.input.clone(),
                material.at.clone(),
                material.content.artifact().clone(),
            ));
        }
        Ok(Self {
            attempt,
            run,
            pipeline: graph.pipeline.clone(),
            step,
            recipe: resolved.recipe.to_vec(),
            materials,
            paths: resolved.paths.clone(),
            nonce: rand::rng().random(),
        })
    }

    /// Puts the order into the cache of this machine, as a result that the store takes like any other: what it reads goes with it. Its
    /// digest is what a worker has to be told.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub fn put(&self, project: &Project) -> Result<(Digest, ActionResult), CacheError> {
        let cache = project.cache();
        let mut bytes = TITLE.as_bytes().to_vec();
        bytes.extend(postcard::to_stdvec(self).expect("an order has a form"));
        let order = cache.put(&bytes)?;
        let digest = order.digest;
        let mut outputs = BTreeMap::from([(ORDER.to_owned(), Some(order))]);
        for (place, (_, _, artifact)) in self.materials.iter().enumerate() {
            outputs.insert(format!("material-{place}"), Some(artifact.clone()));
        }
        let carried = cache.publish(&carrier(ORDER, digest), carried(project, ORDER, self, outputs))?;
        Ok((digest, carried))
    }

    /// Finds the order with this digest in the store.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn find(project: &Project, digest: Digest) -> Result<Self, OrderError> {
        let cache = project.cache();
        let missing = || OrderError::Missing { digest };
        let found = look_up(project, &carrier(ORDER, digest))?.ok_or_else(missing)?;
        // Its digest was told by whoever started the worker, and all that it reads is named in it: nothing else is believed.
        let order = found.outputs.get(ORDER).and_then(Option::as_ref).filter(|order| order.digest == digest);
        let order = order.ok_or_else(missing)?;
        if !cache.available(order)? {
            return Err(missing());
        }
        let bytes = match cache.read(order, ORDER_MOST) {
            // It was thought to be in the store.
            Err(CacheError::Missing { .. }) => return Err(missing()),
            read => read?,
        };
        let body = bytes.strip_prefix(TITLE.as_bytes()).ok_or(OrderError::OtherVersion)?;
        match postcard::take_from_bytes(body) {
            Ok((order, [])) => Ok(order),
            _ => Err(OrderError::Unreadable { digest }),
        }
    }
}

/// The document under whose key something lies in the store that belongs to an order.
pub(super) fn carrier(what: &str, order: Digest) -> Vec<u8> {
    let parts =
        [("order", Document::Bytes(order.as_bytes().to_vec())), ("what", Document::Text(what.to_owned()))];
    Document::map([("remote", Document::map(parts))]).encode().expect("it holds no number")
}

/// What lies under the key of a document, here or in the store.
pub(super) fn look_up(project: &Project, carrier: &[u8]) -> Result<Option<ActionResult>, CacheError> {
    let (cache, key) = (project.cache(), Key::of_recipe(carrier));
    if let Some(found) = cache.result(&key)? {
        return Ok(Some(found));
    }
    if let Some(remote) = cache.remote() {
        remote.look_up_again(cache, &[key]);
    }
    cache.result(&key)
}

/// The longest order, in bytes.
const ORDER_MOST: u64 = 64 << 20;

/// What travels between the two, as a result that was made just now.
pub(super) fn carried(
    project: &Project,
    what: &str,
    order: &Order,
    outputs: BTreeMap<String, Option<Artifact>>,
) -> NewResult {
    NewResult {
        after: 0,
        outputs,
        log: None,
        usage: Usage::default(),
        finished: jiff::Timestamp::now(),
        run: order.run.id.clone(),
        // It is no result of the step, and is not to be compared with one.
        step: format!("{} ({what})", order.step.id),
        pipeline: order.pipeline.to_string(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        user: project.user().to_owned(),
        project: project.root().to_string(),
        sandbox: String::new(),
    }
}
