//! What a drawing shows of an outline: cards with arrows between them. A card is a step of the file with its matrix folded, one
//! combination of it, or, where that would be too much to look at, a whole stage.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::outline::{Join, Node, Outline};
use super::state::{State, States};
use crate::name::StepId;

/// More cards than this are no picture any more.
const MOST_CARDS: usize = 400;
/// More arrows than this are no picture any more.
const MOST_ARROWS: usize = 3000;

/// Whether the combinations of a matrix are one card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Matrices {
    /// One card for all.
    #[default]
    Folded,
    /// A card for each.
    Unfolded,
}

/// Cards with arrows between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture<'a> {
    pub(super) cards: Vec<Card<'a>>,
    pub(super) arrows: Vec<Arrow>,
    /// What the reader should know about it: that it shows less than was asked for.
    pub(super) note: Option<String>,
}

/// A box of a drawing.
#[derive(Debug, Clone)]
pub(super) struct Card<'a> {
    /// The name of the step, the id of the combination, or the stage.
    pub(super) name: String,
    /// The step; none for a stage.
    pub(super) node: Option<&'a Node>,
    /// The steps of the expanded graph that it stands for.
    pub(super) steps: Vec<&'a StepId>,
    /// How many of them stand how, what matters most first.
    pub(super) tally: Vec<(State, usize)>,
    /// How many of them `when` leaves out.
    pub(super) left_out: usize,
}

/// An arrow between two cards, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What goes along it, `output → input`; nothing if it only orders.
    pub(super) data: Vec<String>,
}

impl<'a> Picture<'a> {
    /// The picture that was asked for, whatever its size.
    pub(super) fn of(outline: &'a Outline, states: &States, matrices: Matrices) -> Self {
        match matrices {
            Matrices::Folded => folded(outline, states),
            Matrices::Unfolded => unfolded(outline, states),
        }
    }

    /// The picture that was asked for, or the nearest one that can be looked at.
    pub(super) fn to_look_at(outline: &'a Outline, states: &States, matrices: Matrices) -> Self {
        let too_many = |count: usize, what: &str| Some(format!("{count} {what} are too many to draw"));
        let asked = Self::of(outline, states, matrices);
        if asked.can_be_looked_at() {
            return asked;
        }
        let count = asked.cards.len();
        if matrices == Matrices::Unfolded {
            let folded = folded(outline, states);
            if folded.can_be_looked_at() {
                let note = too_many(count, "steps").map(|note| format!("{note}: matrices are folded"));
                return Self { note, ..folded };
            }
        }
        let stages = stages(outline, states);
        if stages.cards.len() > 1 && stages.can_be_looked_at() {
            let note = too_many(count, "steps").map(|note| format!("{note}: each box is a stage"));
            return Self { note, ..stages };
        }
        let note = too_many(count, "steps").map(|note| {
            format!("{note}: select some with --from and --until, or give the steps a `stage` each")
        });
        Self { note, ..Self::default() }
    }

    /// The cards that each depends on.
    pub(super) fn upstream(&self) -> Vec<Vec<usize>> {
        self.before(|_| true)
    }

    /// The cards that each comes after, by some of the arrows.
    pub(super) fn before(&self, counts: impl Fn(&Arrow) -> bool) -> Vec<Vec<usize>> {
        let mut before = vec![Vec::new(); self.cards.len()];
        for arrow in self.arrows.iter().filter(|arrow| counts(arrow)) {
            before[arrow.to].push(arrow.from);
        }
        before
    }

    fn can_be_looked_at(&self) -> bool {
        self.cards.len() <= MOST_CARDS && self.arrows.len() <= MOST_ARROWS
    }
}

impl<'a> Card<'a> {
    fn new(name: String, node: Option<&'a Node>, steps: Vec<&'a StepId>, states: &States) -> Self {
        let mut tally: BTreeMap<State, usize> = BTreeMap::new();
        for state in steps.iter().filter_map(|step| states.get(*step)) {
            *tally.entry(*state).or_default() += 1;
        }
        let left_out = |step: &&&StepId| node.is_some_and(|node| node.left_out.contains_key(**step));
        let left_out = steps.iter().filter(left_out).count();
        Self { name, node, steps, tally: tally.into_iter().collect(), left_out }
    }

    /// The state that matters most.
    pub(super) fn state(&self) -> Option<State> {
        self.tally.first().map(|(state, _)| *state)
    }

    /// Its states in words, what matters most first; with numbers if it stands for several steps that differ.
    pub(super) fn told(&self) -> Vec<String> {
        let all = self.steps.len();
        let word = |(state, count): &(State, usize)| match *count == all {
            true => state.word().to_owned(),
            false => format!("{count} {}", state.word()),
        };
        self.tally.iter().map(word).collect()
    }

    /// Whether it stands for several steps.
    pub(super) fn is_stack(&self) -> bool {
        self.steps.len() > 1
    }

    /// What it does, in a few words.
    pub(super) fn action(&self) -> &str {
        self.node.map_or("", |node| node.action.as_str())
    }

    /// The axes of the matrix that it folds: `algorithm: boosting, ridge`.
    pub(super) fn axes(&self) -> Vec<String> {
        let Some(node) = self.node.filter(|_| self.is_stack()) else { return Vec::new() };
        node.axes.iter().map(|axis| format!("{}: {}", axis.name, axis.values.join(", "))).collect()
    }

    /// Words for what is special about it.
    pub(super) fn marks(&self) -> Vec<String> {
        let mut marks = Vec::new();
        if let Some(node) = self.node {
            let known = [
                (!node.gate.is_empty(), "gate"),
                (node.effect.is_some(), "effect"),
                (!node.cache && node.effect.is_none(), "not cached"),
            ];
            marks.extend(known.iter().filter(|(holds, _)| *holds).map(|(_, word)| (*word).to_owned()));
        }
        // A state says the same.
        match self.left_out {
            0 => {}
            _ if !self.tally.is_empty() => {}
            all if all == self.steps.len() => marks.push("left out".to_owned()),
            some => marks.push(format!("{some} left out")),
        }
        marks
    }
}

fn flows(outline: &Outline) -> impl Iterator<Item = (usize, usize, Vec<String>, &Join)> {
    let places: BTreeMap<_, _> =
        outline.nodes.iter().enumerate().map(|(place, node)| (&node.step, place)).collect();
    outline.edges.iter().filter_map(move |edge| {
        let data = edge.data.iter().map(|flow| match flow.output.as_str() == flow.input.as_str() {
            true => flow.output.to_string(),
            false => format!("{} → {}", flow.output, flow.input),
        });
        Some((*places.get(&edge.from)?, *places.get(&edge.to)?, data.collect(), &edge.join))
    })
}

fn folded<'a>(outline: &'a Outline, states: &States) -> Picture<'a> {
    let card = |node: &'a Node| {
        Card::new(node.step.to_string(), Some(node), node.instances.iter().collect(), states)
    };
    let arrows = flows(outline).map(|(from, to, data, _)| Arrow { from, to, data });
    Picture { cards: outline.nodes.iter().map(card).collect(), arrows: arrows.collect(), note: None }
}

fn unfolded<'a>(outline: &'a Outline, states: &States) -> Picture<'a> {
    let mut first = Vec::with_capacity(outline.nodes.len());
    let mut cards = Vec::new();
    for node in &outline.nodes {
        first.push(cards.len());
        let card = |id: &'a StepId| Card::new(id.to_string(), Some(node), vec![id], states);
        cards.extend(node.instances.iter().map(card));
    }
    let mut arrows = Vec::new();
    for (from, to, data, join) in flows(outline) {
        let (before, after) = (outline.nodes[from].instances.len(), outline.nodes[to].instances.len());
        let mut add = |a: usize, b: usize| {
            arrows.push(Arrow { from: first[from] + a, to: first[to] + b, data: data.clone() });
        };
        match join {
            Join::All => (0..after).for_each(|b| (0..before).for_each(|a| add(a, b))),
            Join::Same => (0..after).for_each(|b| add(b, b)),
            Join::Pairs(pairs) => pairs.iter().for_each(|(a, b)| add(*a, *b)),
        }
    }
    Picture { cards, arrows, note: None }
}

/// A card per stage; steps without one are a stage of their own name, stages that depend on each other are one.
fn stages<'a>(outline: &'a Outline, states: &States) -> Picture<'a> {
    let stage = |node: &'a Node| node.stage.as_deref().unwrap_or(node.step.as_str());
    let mut graph: DiGraph<&str, ()> = DiGraph::new();
    let mut places = BTreeMap::new();
    let of: Vec<_> = outline
        .nodes
        .iter()
        .map(|node| *places.entry(stage(node)).or_insert_with(|| graph.add_node(stage(node))))
        .collect();
    let edges: BTreeSet<_> = flows(outline).map(|(from, to, ..)| (of[from], of[to])).collect();
    edges.iter().for_each(|(from, to)| {
        graph.add_edge(*from, *to, ());
    });
    let groups = tarjan_scc(&graph);
    let mut group_of = vec![0; graph.node_count()];
    for (group, members) in groups.iter().enumerate() {
        members.iter().for_each(|member| group_of[member.index()] = group);
    }
    let cards = groups.iter().enumerate().map(|(group, members)| {
        let mut names: Vec<&str> = members.iter().map(|member| graph[*member]).collect();
        names.sort_unstable();
        let nodes = outline.nodes.iter().zip(&of).filter(|(_, stage)| group_of[stage.index()] == group);
        let steps = nodes.flat_map(|(node, _)| &node.instances).collect();
        Card::new(names.join(", "), None, steps, states)
    });
    let arrows: BTreeSet<(usize, usize)> = edges
        .iter()
        .map(|(from, to)| (group_of[from.index()], group_of[to.index()]))
        .filter(|(from, to)| from != to)
        .collect();
    let arrows = arrows.into_iter().map(|(from, to)| Arrow { from, to, data: Vec::new() }).collect();
    Picture { cards: cards.collect(), arrows, note: None }
}
