//! All that the cache knows of its results: what each one read, by its recipe, and what it gave.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use rayon::prelude::*;
use tidemill_cache::{ActionResult, Artifact, Cache, Digest, Form, Kind, Withdrawal};

use super::derived::{Listings, Node, Read};
use crate::error::EngineError;
use crate::plan::Facts;

/// A result, and why it does not count if it was withdrawn.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) result: ActionResult,
    pub(super) withdrawal: Option<Withdrawal>,
    reads: Vec<(Read, bool)>,
}

/// All results, in the order of their keys and numbers.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) known: Vec<Known>,
    pub(super) nodes: Vec<Node>,
    pub(super) listings: Listings,
}

impl Evidence {
    /// Reads every result and its recipe.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub(super) fn gather(cache: &Cache) -> Result<Self, EngineError> {
        let keys = cache.keys_with_results()?;
        let known: Vec<Vec<Known>> =
            keys.par_iter().map(|key| of_key(cache, key)).collect::<Result<_, EngineError>>()?;
        let known: Vec<Known> = known.into_iter().flatten().collect();
        let folders: BTreeSet<Digest> = (known.iter())
            .flat_map(|known| {
                let read =
                    known.reads.iter().filter(|(_, is_folder)| *is_folder).map(|(read, _)| read.digest);
                let given = outputs(&known.result).filter(|output| output.form == Form::Folder);
                read.chain(given.map(|output| output.digest)).collect::<Vec<_>>()
            })
            .collect();
        let folders: Vec<Digest> = folders.into_iter().collect();
        let listings: Listings =
            folders.par_iter().filter_map(|folder| Some((*folder, files(cache, folder)?))).collect();
        let nodes = known.iter().map(|known| known.node(&listings)).collect();
        Ok(Self { known, nodes, listings })
    }

    /// The contents that a result read, those of the files of folders included.
    pub(super) fn contents_read(&self, place: usize) -> impl Iterator<Item = Digest> {
        self.nodes[place].reads.iter().flat_map(|read| {
            let files = self.listings.get(&read.digest).map_or(&[][..], |files| files);
            std::iter::once(read.digest).chain(files.iter().copied())
        })
    }

    /// All contents that a result has as an output or has read.
    pub(super) fn all_contents(&self) -> HashSet<Digest> {
        let outputs = self.nodes.iter().flat_map(|node| node.outputs.iter().copied());
        outputs.chain((0..self.nodes.len()).flat_map(|place| self.contents_read(place))).collect()
    }
}

impl Known {
    fn node(&self, listings: &Listings) -> Node {
        let mut contents: Vec<Digest> = Vec::new();
        for output in outputs(&self.result) {
            contents.push(output.digest);
            contents.extend(listings.get(&output.digest).into_iter().flat_map(|files| files.iter()));
        }
        Node {
            outputs: contents,
            reads: self.reads.iter().map(|(read, _)| *read).collect(),
            finished: self.result.finished,
            stands: self.withdrawal.is_none(),
        }
    }
}

/// The outputs of a result that are there. Its log is read by nobody.
pub(super) fn outputs(result: &ActionResult) -> impl Iterator<Item = &Artifact> {
    result.outputs.values().flatten()
}

fn of_key(cache: &Cache, key: &tidemill_cache::Key) -> Result<Vec<Known>, EngineError> {
    let results = cache.every_result(key)?;
    let recipe = match results.is_empty() {
        true => None,
        false => cache.recipe(key)?,
    };
    let inputs = recipe.map(|recipe| Facts::of(&recipe).inputs).unwrap_or_default();
    let reads: Vec<(Read, bool)> = (inputs.into_iter())
        .map(|input| {
            // An artifact lies at `inputs/<input>/<its name>`, a collection of them at `inputs/<input>`.
            let place = format!("inputs/{}", input.input);
            let is_artifact = input.at.strip_prefix(&place);
            let is_artifact = is_artifact.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            (Read { digest: input.digest, is_of_project: !is_artifact }, input.folder)
        })
        .collect();
    let known = |(result, withdrawal)| Known { result, withdrawal, reads: reads.clone() };
    Ok(results.into_iter().rev().map(known).collect())
}

/// The contents of the files in a folder, if its listing is kept. An empty file in a folder says nothing: half of all folders of
/// code have one.
fn files(cache: &Cache, folder: &Digest) -> Option<Arc<[Digest]>> {
    let listing = cache.listing(folder)?;
    let file = |kind: &Kind| match kind {
        Kind::File { digest, size, .. } if *size > 0 => Some(*digest),
        _ => None,
    };
    let files: BTreeSet<Digest> = listing.entries().iter().filter_map(|entry| file(&entry.kind)).collect();
    Some(files.into_iter().collect())
}
