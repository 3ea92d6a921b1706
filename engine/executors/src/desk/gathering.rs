//! Jobs that are in no batch yet: they wait for others that need the same, then for their turn.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::Pace;
use super::command::Member;
use super::follower::{Follower, Number};
use crate::Resources;

/// Jobs that become one batch.
pub(super) struct Group {
    pub(super) kind: (String, Resources),
    pub(super) members: Vec<Member>,
}

/// All groups.
#[derive(Default)]
pub(super) struct Gathering {
    groups: BTreeMap<u64, Group>,
    /// The group of a kind that still takes members.
    open: HashMap<(String, Resources), u64>,
    /// When they stop to.
    closing: VecDeque<(Instant, u64)>,
    /// Those that wait for their turn only.
    ready: VecDeque<u64>,
    last: u64,
}

impl Gathering {
    /// Adds a job; the number of its group is given back.
    pub(super) fn add(
        &mut self,
        kind: (String, Resources),
        member: Member,
        pace: &Pace,
        now: Instant,
    ) -> u64 {
        let number = *self.open.entry(kind).or_insert_with_key(|kind| {
            self.last += 1;
            self.groups.insert(self.last, Group { kind: kind.clone(), members: Vec::new() });
            self.closing.push_back((now + pace.gather, self.last));
            self.last
        });
        if let Some(group) = self.groups.get_mut(&number) {
            group.members.push(member);
            if group.members.len() >= pace.most_in_batch {
                self.open.remove(&group.kind);
                self.ready.push_back(number);
            }
        }
        number
    }

    /// A job of a group.
    pub(super) fn member(&mut self, group: u64, number: Number) -> Option<&mut Member> {
        let members = &mut self.groups.get_mut(&group)?.members;
        members.iter_mut().find(|member| member.follower.number == number)
    }

    /// Takes a job out of its group.
    pub(super) fn take_out(&mut self, group: u64, number: Number) -> Option<Member> {
        let members = &mut self.groups.get_mut(&group)?.members;
        let place = members.iter().position(|member| member.follower.number == number)?;
        Some(members.remove(place))
    }

    /// The next group whose turn it is; those that all members have left are gone.
    pub(super) fn next(&mut self, now: Instant) -> Option<Group> {
        while self.closing.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, number)) = self.closing.pop_front() else { break };
            let Some(group) = self.groups.get(&number) else { continue };
            if self.open.get(&group.kind) == Some(&number) {
                self.open.remove(&group.kind);
                self.ready.push_back(number);
            }
        }
        while let Some(number) = self.ready.pop_front() {
            if let Some(group) = self.groups.remove(&number).filter(|group| !group.members.is_empty()) {
                return Some(group);
            }
        }
        None
    }

    /// When a group has its turn.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        match self.ready.is_empty() {
            true => self.closing.front().map(|(at, _)| *at),
            false => Some(now),
        }
    }

    /// Who waits here.
    pub(super) fn followers(&mut self) -> impl Iterator<Item = &mut Follower> {
        self.groups.values_mut().flat_map(|group| &mut group.members).map(|member| &mut member.follower)
    }
}
