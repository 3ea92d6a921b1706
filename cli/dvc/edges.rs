//! What of a stage is made by which other, and which stages can be steps with a matrix.

use std::collections::BTreeMap;

use super::place::{Place, rest_below};
use super::stage::{Located, Member, Stage};

/// Who makes something: a stage, one of its members, one of its outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maker {
    pub(super) stage: usize,
    pub(super) member: usize,
    pub(super) out: usize,
}

/// All that stages make, by place.
#[derive(Debug, Default)]
pub(super) struct Made(BTreeMap<String, Maker>);

/// Where what a stage reads comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Another stage makes it, or the folder that it is in.
    Made(Maker),
    /// A folder in which stages make something.
    Around(Vec<Maker>),
    /// Nobody here makes it.
    Given,
}

impl Made {
    /// What the stages make that are no frozen ones.
    pub(super) fn by(stages: &[Stage]) -> Self {
        let mut made = BTreeMap::new();
        for (stage, about) in stages.iter().enumerate().filter(|(_, stage)| !stage.frozen) {
            for (member, about) in about.members.iter().enumerate() {
                for (out, about) in about.outs.iter().enumerate() {
                    if let Place::Inside(place) = &about.at.place {
                        made.insert(place.clone(), Maker { stage, member, out });
                    }
                }
            }
        }
        Self(made)
    }

    /// The place and the maker of everything.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Maker)> {
        self.0.iter().map(|(place, maker)| (place.as_str(), *maker))
    }

    /// Where something that a member of a stage reads comes from.
    pub(super) fn origin(&self, place: &Place) -> Origin {
        let Place::Inside(place) = place else { return Origin::Given };
        if let Some((_, maker)) = self.all().find(|(made, _)| rest_below(made, place).is_some()) {
            return Origin::Made(maker);
        }
        let inside: Vec<Maker> = self
            .all()
            .filter(|(made, _)| rest_below(place, made).is_some())
            .map(|(_, maker)| maker)
            .collect();
        if inside.is_empty() { Origin::Given } else { Origin::Around(inside) }
    }
}

/// Which stages can be one step with a matrix: they have axes, what they read is the same for all members or made by the
/// members of the same values, and nobody else reads what they make. `stuck` are those whose commands cannot name the axes.
pub(super) fn with_matrix(stages: &[Stage], made: &Made, stuck: &[bool]) -> Vec<bool> {
    let mut with: Vec<bool> =
        stages.iter().zip(stuck).map(|(stage, stuck)| !stage.axes.is_empty() && !stuck).collect();
    loop {
        let before = with.clone();
        for (index, stage) in stages.iter().enumerate() {
            if with[index] && !is_even(stages, stage, made, &with) {
                with[index] = false;
            }
            if with[index] {
                continue;
            }
            // Who reads single members of another stage needs them as steps of their own.
            for maker in
                stage.members.iter().flat_map(|member| &member.deps).flat_map(|dep| makers(made, dep))
            {
                with[maker.stage] = false;
            }
        }
        if before == with {
            return with;
        }
    }
}

fn makers(made: &Made, dep: &Located) -> Vec<Maker> {
    match made.origin(&dep.place) {
        Origin::Made(maker) => vec![maker],
        Origin::Around(makers) => makers,
        Origin::Given => Vec::new(),
    }
}

/// Whether all members of a stage read the same things, or things of their own values.
fn is_even(stages: &[Stage], stage: &Stage, made: &Made, with: &[bool]) -> bool {
    let Some(first) = stage.members.first() else { return false };
    let same_folder = stage.members.iter().all(|member| member.folder == first.folder);
    same_folder
        && (0..first.deps.len()).all(|dep| {
            let origin = |member: &Member| made.origin(&member.deps[dep].place);
            let first = origin(first);
            stage.members.iter().all(|member| match (&first, origin(member)) {
                (Origin::Given, Origin::Given) => true,
                (Origin::Made(first), Origin::Made(maker)) if with[maker.stage] => {
                    let of = &stages[maker.stage];
                    (first.stage, first.out) == (maker.stage, maker.out)
                        && of.axes == stage.axes
                        && of.members[maker.member].axes == member.axes
                }
                (Origin::Made(first), Origin::Made(maker)) => *first == maker,
                _ => false,
            })
        })
}
