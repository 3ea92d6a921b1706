//! Which results are derived from bad ones: a value in, a value out.
//!
//! A result *makes* the contents among its outputs that it did not read; what it read and passes on was made by someone else. A content is
//! *bad* if a bad result made it and no good one did. A result is bad if it was named, or if it read bad content. "Good" is
//! what can be shown to be good, from the ground up: two results that only have each other's word for a content do not make
//! it good.
//!
//! A file of the project has its content from the user, mostly, and perhaps from a step that published it. So it counts only if it is
//! not empty and the result that read it was made after a bad one with this content.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use tidemill_cache::Digest;

/// What is known of a result.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The contents of its outputs; of a folder its own, and those of its files.
    pub(super) outputs: Vec<Digest>,
    /// What it read.
    pub(super) reads: Vec<Read>,
    /// When it ended.
    pub(super) finished: Timestamp,
    /// Whether it counts.
    pub(super) stands: bool,
}

/// Something that a result read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// The content of a file, or of a folder.
    pub(super) digest: Digest,
    /// Whether it lay where a file of the project lies.
    pub(super) is_of_project: bool,
}

/// The files of each folder that was read: their contents, the empty one left out.
pub(super) type Listings = HashMap<Digest, Arc<[Digest]>>;

/// What is bad.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bad {
    /// The results that are derived from the named ones, each with a content that it read and the result that made it.
    pub(super) derived: BTreeMap<usize, (Digest, usize)>,
    /// The bad contents, each with the bad results that made it.
    pub(super) contents: BTreeMap<Digest, Vec<usize>>,
}

/// What is derived from the named results.
pub(super) fn derived(nodes: &[Node], listings: &Listings, named: &BTreeSet<usize>) -> Bad {
    let web = Web::of(nodes, listings);
    let reach = web.reach(named);
    let good = web.good(&reach, named);
    let mut bad = Bad::default();
    let is_bad = |node: &usize| reach.contains(node) && !good.nodes.contains(node);
    for node in reach.iter().copied().filter(is_bad) {
        for content in &web.makes[node] {
            if !good.contents.contains(content) {
                bad.contents.entry(*content).or_default().push(node);
            }
        }
    }
    for node in reach.iter().copied().filter(|node| is_bad(node) && !named.contains(node)) {
        let mut reads = web.contents_read(node);
        let read = reads.find_map(|(content, read)| {
            let counts = |maker: &usize| is_bad(maker) && web.counts(node, read, content, *maker);
            let maker = web.makers(content).find(counts)?;
            (!good.contents.contains(&content)).then_some((content, maker))
        });
        bad.derived.insert(node, read.expect("a result that is not good reads what is not good"));
    }
    bad
}

/// The results and how they hang together.
struct Web<'a> {
    nodes: &'a [Node],
    listings: &'a Listings,
    /// By result: what it makes.
    makes: Vec<Vec<Digest>>,
    makers: HashMap<Digest, Vec<usize>>,
    /// By content: the results that read it, as it is or in a folder.
    readers: HashMap<Digest, Vec<(usize, Read)>>,
    empty: Digest,
}

/// What can be shown to be good although it is within reach of what is bad.
#[derive(Default)]
struct Good {
    nodes: HashSet<usize>,
    contents: HashSet<Digest>,
}

impl<'a> Web<'a> {
    fn of(nodes: &'a [Node], listings: &'a Listings) -> Self {
        let (makes, makers, readers) = (Vec::with_capacity(nodes.len()), HashMap::new(), HashMap::new());
        let mut web = Self { nodes, listings, makes, makers, readers, empty: Digest::of(b"") };
        for (place, node) in nodes.iter().enumerate() {
            let read: HashSet<Digest> = web.contents_read(place).map(|(content, _)| content).collect();
            let made: BTreeSet<Digest> =
                node.outputs.iter().copied().filter(|content| !read.contains(content)).collect();
            for content in &made {
                web.makers.entry(*content).or_default().push(place);
            }
            web.makes.push(made.into_iter().collect());
        }
        // Only what a result made can be bad.
        for place in 0..nodes.len() {
            let of_interest: Vec<(Digest, Read)> =
                web.contents_read(place).filter(|(content, _)| web.makers.contains_key(content)).collect();
            for (content, read) in of_interest {
                web.readers.entry(content).or_default().push((place, read));
            }
        }
        web
    }

    /// All contents that a result read, those of the files of folders included, each with how it came to it.
    fn contents_read(&self, node: usize) -> impl Iterator<Item = (Digest, Read)> + use<'a> {
        let (nodes, listings) = (self.nodes, self.listings);
        nodes[node].reads.iter().flat_map(move |read| {
            let files = listings.get(&read.digest).map_or(&[][..], |files| files);
            std::iter::once(read.digest).chain(files.iter().copied()).map(move |content| (content, *read))
        })
    }

    fn makers(&self, content: Digest) -> impl Iterator<Item = usize> {
        self.makers.get(&content).into_iter().flatten().copied()
    }

    /// Whether a result may have read what this maker made.
    fn counts(&self, reader: usize, read: Read, content: Digest, maker: usize) -> bool {
        let may_be_the_users =
            content == self.empty || self.nodes[reader].finished < self.nodes[maker].finished;
        !(read.is_of_project && may_be_the_users)
    }

    /// The named results, and all that may be derived from them if nothing else made what they did.
    fn reach(&self, named: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut reach = named.clone();
        let mut queue: VecDeque<usize> = named.iter().copied().collect();
        while let Some(maker) = queue.pop_front() {
            for content in &self.makes[maker] {
                for (reader, read) in self.readers.get(content).into_iter().flatten() {
                    if self.counts(*reader, *read, *content, maker) && reach.insert(*reader) {
                        queue.push_back(*reader);
                    }
                }
            }
        }
        reach
    }

    /// What is good within reach, shown from the ground up: what a result outside made is; a result is, if all that it read is.
    fn good(&self, reach: &BTreeSet<usize>, named: &BTreeSet<usize>) -> Good {
        let mut good = Good::default();
        let within: BTreeSet<Digest> =
            reach.iter().flat_map(|node| self.makes[*node].iter().copied()).collect();
        let is_made_outside = |content: &Digest| {
            self.makers(*content).any(|maker| !reach.contains(&maker) && self.nodes[maker].stands)
        };
        good.contents.extend(within.into_iter().filter(is_made_outside));
        let mut queue: VecDeque<usize> = reach.difference(named).copied().collect();
        while let Some(node) = queue.pop_front() {
            if good.nodes.contains(&node) || !self.reads_good_only(node, reach, &good) {
                continue;
            }
            good.nodes.insert(node);
            for content in &self.makes[node] {
                if self.nodes[node].stands {
                    good.contents.insert(*content);
                }
                let readers = self.readers.get(content).into_iter().flatten().map(|(reader, _)| *reader);
                queue.extend(readers.filter(|reader| reach.contains(reader) && !named.contains(reader)));
            }
        }
        good
    }

    fn reads_good_only(&self, node: usize, reach: &BTreeSet<usize>, good: &Good) -> bool {
        self.contents_read(node).all(|(content, read)| {
            let is_doubtful = |maker: usize| {
                reach.contains(&maker)
                    && !good.nodes.contains(&maker)
                    && self.counts(node, read, content, maker)
            };
            good.contents.contains(&content) || !self.makers(content).any(is_doubtful)
        })
    }
}
