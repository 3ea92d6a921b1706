//! Steps with equal keys: the first that has to run leads, the others follow, and find its result when it has ended.

use std::collections::BTreeMap;

use tidemill_cache::Key;

/// Who leads and who follows.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// By leading step: its key.
    leaders: BTreeMap<usize, Key>,
    /// By key: the leading step and those that follow it.
    followers: BTreeMap<Key, (usize, Vec<usize>)>,
}

/// What a step does about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs.
    Leads,
    /// It waits for the one that leads.
    Follows,
}

impl Sharing {
    /// A step has to run under this key, and leads no other.
    pub(super) fn join(&mut self, step: usize, key: Key) -> Role {
        let (leader, followers) = self.followers.entry(key).or_insert_with(|| (step, Vec::new()));
        if *leader != step {
            followers.push(step);
            return Role::Follows;
        }
        self.leaders.insert(step, key);
        Role::Leads
    }

    /// The key that a step leads.
    pub(super) fn led_by(&self, step: usize) -> Option<&Key> {
        self.leaders.get(&step)
    }

    /// A step leads no longer. Those that followed it, in the order in which they came.
    pub(super) fn release(&mut self, step: usize) -> Vec<usize> {
        let key = self.leaders.remove(&step);
        let followed = key.and_then(|key| self.followers.remove(&key));
        followed.map(|(_, followers)| followers).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_leads_and_the_others_follow_until_it_ends() {
        let (key, other) = (Key::of_recipe(b"a"), Key::of_recipe(b"b"));
        let mut sharing = Sharing::default();
        assert_eq!(sharing.join(3, key), Role::Leads);
        assert_eq!(sharing.join(1, key), Role::Follows);
        assert_eq!(sharing.join(2, other), Role::Leads);
        // It waits before a retry and comes again.
        assert_eq!(sharing.join(3, key), Role::Leads);
        assert_eq!(sharing.led_by(3), Some(&key));
        assert_eq!(sharing.release(1), [0; 0]);
        assert_eq!(sharing.release(3), [1]);
        assert_eq!(sharing.join(1, key), Role::Leads);
    }
}
