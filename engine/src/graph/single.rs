//! A graph of one step, as a worker has it: what the step reads is known already, so it refers to no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use tidemill_cache::Digest;

use super::{Graph, Origins, Skeleton, Step, StepIndex, Steps};
use crate::few::Few;
use crate::name::PipelineName;

impl Graph {
    /// A step by itself, of a pipeline that lies elsewhere; `folder` stands for its folder.
    #[must_use]
    pub fn single(pipeline: PipelineName, folder: Utf8PathBuf, mut step: Step) -> Self {
        step.inputs = Few::default();
        step.needs = Vec::new();
        let skeleton = Arc::new(Skeleton::of([&step].into_iter(), &folder));
        let mut steps = Steps::with_capacity(1);
        steps.push(Box::new(step));
        Self {
            pipeline,
            description: None,
            file: folder.join("pipeline.toml"),
            text: Digest::of(b""),
            name: None,
            definitions: Vec::new(),
            folder,
            params: BTreeMap::new(),
            overrides: BTreeMap::new(),
            globs: Vec::new(),
            steps,
            origins: Origins::default(),
            skeleton,
            order: vec![StepIndex::new(0)],
            edit: None,
        }
    }
}
