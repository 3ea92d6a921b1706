//! A part of an outline: the steps that are named, what depends on them, what they depend on.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::ranks;
use super::outline::{Join, Node, Outline};
use crate::error::EngineError;
use crate::spec;

/// Which part of a graph is wanted, by step names (all combinations of a matrix) or ids. Nothing named is everything.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only these.
    pub only: Vec<String>,
    /// These and what depends on them.
    pub from: Vec<String>,
    /// These and what they depend on.
    pub until: Vec<String>,
}

/// By node and combination, whether it is in.
type Marks = Vec<Vec<bool>>;

impl Outline {
    /// The part of it that is wanted.
    ///
    /// # Errors
    /// If a step is named that it does not have.
    pub fn part(self, wanted: &Wanted) -> Result<Self, EngineError> {
        let Wanted { only, from, until } = wanted;
        let mut parts = Vec::new();
        if !only.is_empty() {
            parts.push(self.marked(only)?);
        }
        if !from.is_empty() {
            parts.push(self.spread(self.marked(from)?, Way::Down));
        }
        if !until.is_empty() {
            parts.push(self.spread(self.marked(until)?, Way::Up));
        }
        let Some(mut marks) = parts.pop() else { return Ok(self) };
        for part in parts {
            for (into, other) in marks.iter_mut().flatten().zip(part.iter().flatten()) {
                *into &= other;
            }
        }
        Ok(self.kept(&marks))
    }

    fn marked(&self, names: &[String]) -> Result<Marks, EngineError> {
        let mut marks: Marks = self.nodes.iter().map(|node| vec![false; node.instances.len()]).collect();
        for name in names {
            let mut found = false;
            for (node, marks) in self.nodes.iter().zip(&mut marks) {
                for (id, mark) in node.instances.iter().zip(marks) {
                    if node.step.as_str() == name || id.as_str() == name {
                        *mark = true;
                        found = true;
                    }
                }
            }
            if !found {
                let ids = self.nodes.iter().flat_map(|node| &node.instances).map(|id| id.as_str());
                let known = self.nodes.iter().map(|node| node.step.as_str()).chain(ids);
                let near = spec::nearest(name, known).map(str::to_owned);
                return Err(EngineError::UnknownStep { name: name.clone(), near });
            }
        }
        Ok(marks)
    }

    /// Marks also what depends on the marked ones, or what they depend on.
    fn spread(&self, mut marks: Marks, way: Way) -> Marks {
        let places: BTreeMap<_, _> =
            self.nodes.iter().enumerate().map(|(place, node)| (&node.step, place)).collect();
        let arrows: Vec<(usize, usize)> =
            self.edges.iter().map(|edge| (places[&edge.from], places[&edge.to])).collect();
        let ranks = ranks(self.nodes.len(), &arrows);
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        match way {
            Way::Down => order.sort_by_key(|edge| ranks[arrows[*edge].1]),
            Way::Up => order.sort_by_key(|edge| std::cmp::Reverse(ranks[arrows[*edge].0])),
        }
        for edge in order {
            let (from, to) = arrows[edge];
            let (source, target) = if way == Way::Down { (from, to) } else { (to, from) };
            match &self.edges[edge].join {
                Join::All => {
                    let any = marks[source].contains(&true);
                    marks[target].iter_mut().for_each(|mark| *mark |= any);
                }
                Join::Same => {
                    let source = marks[source].clone();
                    marks[target].iter_mut().zip(source).for_each(|(mark, other)| *mark |= other);
                }
                Join::Pairs(pairs) => {
                    for &(a, b) in pairs {
                        let (a, b) = if way == Way::Down { (a, b) } else { (b, a) };
                        let reached = marks[source][a];
                        marks[target][b] |= reached;
                    }
                }
            }
        }
        marks
    }

    fn kept(self, marks: &Marks) -> Self {
        let places: BTreeMap<_, _> =
            self.nodes.iter().enumerate().map(|(place, node)| (node.step.clone(), place)).collect();
        let edges = self.edges.into_iter().filter_map(|mut edge| {
            let (from, to) = (&marks[places[&edge.from]], &marks[places[&edge.to]]);
            if !from.contains(&true) || !to.contains(&true) {
                return None;
            }
            edge.join = joined(edge.join, from, to)?;
            Some(edge)
        });
        let nodes = self.nodes.into_iter().zip(marks).filter(|(_, marks)| marks.contains(&true));
        Self {
            edges: edges.collect(),
            nodes: nodes.map(|(node, marks)| node_kept(node, marks)).collect(),
            ..self
        }
    }
}

/// Which way marks spread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To what depends on it.
    Down,
    /// To what it depends on.
    Up,
}

/// The new places of what is kept.
fn new_places(marks: &[bool]) -> Vec<Option<usize>> {
    let mut next = 0;
    let place = |mark: &bool| {
        mark.then(|| {
            next += 1;
            next - 1
        })
    };
    marks.iter().map(place).collect()
}

/// The join of what is kept of two steps; none if nothing is.
fn joined(join: Join, from: &[bool], to: &[bool]) -> Option<Join> {
    let pairs = match join {
        Join::All => return Some(Join::All),
        Join::Same if from == to => return Some(Join::Same),
        Join::Same => (0..from.len()).map(|place| (place, place)).collect(),
        Join::Pairs(pairs) => pairs,
    };
    let (from, to) = (new_places(from), new_places(to));
    let pairs: Vec<(usize, usize)> =
        pairs.into_iter().filter_map(|(a, b)| Some((from[a]?, to[b]?))).collect();
    if pairs.is_empty() { None } else { Some(Join::Pairs(pairs)) }
}

/// What is kept of a step; the values of its axes are those that still occur.
fn node_kept(mut node: Node, marks: &[bool]) -> Node {
    let mut rest: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); node.axes.len()];
    for index in (0..marks.len()).filter(|index| marks[*index]) {
        // The last axis changes fastest.
        let mut index = index;
        for (axis, seen) in node.axes.iter().zip(&mut rest).rev() {
            seen.insert(index % axis.values.len().max(1));
            index /= axis.values.len().max(1);
        }
    }
    for (axis, seen) in node.axes.iter_mut().zip(rest) {
        let mut place = 0;
        axis.values.retain(|_| {
            place += 1;
            seen.contains(&(place - 1))
        });
    }
    let mut marks = marks.iter();
    node.instances.retain(|_| marks.next().copied().unwrap_or(false));
    let kept: BTreeSet<_> = node.instances.iter().collect();
    node.left_out.retain(|id, _| kept.contains(id));
    node
}
