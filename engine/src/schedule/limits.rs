//! What the machine has, what is taken, and whether one more step fits.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::devices::{Device, Devices, Others, Share};

/// What one step needs while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// GPUs.
    pub gpus: u32,
    /// Memory of each GPU in bytes, which it shares with others; without it, it has them alone.
    pub vram: Option<u64>,
    /// Machines, if it takes more than one.
    pub nodes: u32,
    /// Named tokens.
    pub tokens: BTreeMap<String, u32>,
    /// The executor that gives it all but the tokens; none for this machine.
    pub executor: Option<Arc<str>>,
}

/// What the machine has and what of it is free.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many steps may run at once.
    jobs: usize,
    cpus: u32,
    all_cpus: u32,
    memory: u64,
    gpus: Devices,
    /// How many of each named token there are; one of every name that is not listed.
    tokens: BTreeMap<String, u32>,
    /// How many more steps each executor may be handed.
    executors: BTreeMap<Arc<str>, usize>,
}

/// What a running step holds.
#[derive(Debug, Clone, Default)]
pub struct Held {
    need: Need,
    /// The need as it was asked for: of more cores than there are, all are taken.
    asked: Need,
    /// The ids of its GPUs.
    pub gpus: Vec<String>,
}

impl Need {
    /// A number that is the same for equal needs and, as good as surely, another one for others.
    #[must_use]
    pub fn kind(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl Held {
    /// Whether it is what a need takes of this machine.
    pub(super) fn is_for(&self, need: &Need) -> bool {
        self.asked == *need
    }
}

impl Limits {
    /// A machine with all free: how many steps may run at once, CPU cores, bytes of memory, its GPUs.
    #[must_use]
    pub fn new(jobs: usize, cpus: u32, memory: u64, gpus: Vec<Device>) -> Self {
        Self {
            jobs,
            cpus,
            all_cpus: cpus,
            memory,
            gpus: Devices::new(gpus),
            tokens: BTreeMap::new(),
            executors: BTreeMap::new(),
        }
    }

    /// The same, with an executor that may be handed so many steps at once.
    #[must_use]
    pub fn with_executor(mut self, name: &str, jobs: usize) -> Self {
        self.executors.insert(name.into(), jobs);
        self
    }

    /// How many more steps may run at once.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// Cores, bytes of memory: what is free; and the GPUs.
    pub(super) fn all(&self) -> (u32, u64, &Devices) {
        (self.cpus, self.memory, &self.gpus)
    }

    /// What of a need this machine could never give, in words: what is wanted and what there is.
    #[must_use]
    pub fn impossible(&self, need: &Need) -> Option<(String, String)> {
        let here = need.executor.is_none();
        if here && need.nodes > 1 {
            return Some((format!("{} machines", need.nodes), "one".to_owned()));
        }
        if here && let Some(lack) = self.gpus.impossible(need.gpus, need.vram) {
            return Some(lack);
        }
        if here && need.memory > self.memory {
            return Some((format!("{} bytes of memory", need.memory), format!("{}", self.memory)));
        }
        need.tokens
            .iter()
            .find(|(name, count)| **count > self.token(name))
            .map(|(name, count)| (format!("{count} of the token {name}"), format!("{}", self.token(name))))
    }

    /// Whether a step with this need can start now.
    #[must_use]
    pub fn fits(&self, need: &Need) -> bool {
        if let Some(executor) = &need.executor {
            return self.room(executor) > 0 && self.has_tokens(need);
        }
        self.fits_but_for_gpus(need) && self.gpus.fits(need.gpus, need.vram)
    }

    /// Whether a step with this need only waits for GPUs that somebody else uses.
    #[must_use]
    pub fn waits_for_others(&self, need: &Need) -> bool {
        need.executor.is_none()
            && !self.fits(need)
            && self.fits_but_for_gpus(need)
            && self.gpus.would_fit_alone(need.gpus, need.vram)
    }

    /// What the steps of this run take of GPUs.
    pub fn gpus_taken(&self) -> impl Iterator<Item = (&str, Share)> {
        self.gpus.taken()
    }

    /// What others take of GPUs now; none: that cannot be told, and no GPU is given meanwhile.
    pub fn note_others(&mut self, others: Option<&Others>) {
        self.gpus.note_others(others);
    }

    fn fits_but_for_gpus(&self, need: &Need) -> bool {
        self.jobs > 0
            && self.cpus >= need.cpus.min(self.all_cpus)
            && self.memory >= need.memory
            && self.has_tokens(need)
    }

    fn has_tokens(&self, need: &Need) -> bool {
        need.tokens.iter().all(|(name, count)| self.token(name) >= *count)
    }

    /// How many more steps an executor may be handed.
    fn room(&self, executor: &str) -> usize {
        self.executors.get(executor).copied().unwrap_or(0)
    }

    /// Takes what a step needs; none if it does not fit now. A step that wants more cores than the machine has gets all.
    pub fn take(&mut self, need: &Need) -> Option<Held> {
        if !self.fits(need) {
            return None;
        }
        for (name, count) in &need.tokens {
            let left = self.token(name) - count;
            self.tokens.insert(name.clone(), left);
        }
        let (asked, mut need) = (need.clone(), need.clone());
        if let Some(room) = need.executor.as_ref().and_then(|executor| self.executors.get_mut(executor)) {
            *room -= 1;
            return Some(Held { need, asked, gpus: Vec::new() });
        }
        need.cpus = need.cpus.min(self.all_cpus);
        self.jobs -= 1;
        self.cpus -= need.cpus;
        self.memory -= need.memory;
        let gpus = self.gpus.take(need.gpus, need.vram).expect("it was looked at whether they fit");
        Some(Held { need, asked, gpus })
    }

    /// Gives back what a step held.
    pub fn give_back(&mut self, held: Held) {
        match held.need.executor.as_ref().and_then(|executor| self.executors.get_mut(executor)) {
            Some(room) => *room += 1,
            None => {
                self.jobs += 1;
                self.cpus += held.need.cpus;
                self.memory += held.need.memory;
                self.gpus.give_back(&held.gpus, held.need.vram);
            }
        }
        for (name, count) in held.need.tokens {
            *self.tokens.entry(name).or_insert(0) += count;
        }
    }

    fn token(&self, name: &str) -> u32 {
        self.tokens.get(name).copied().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Limits {
        let gpus = ["GPU-a", "GPU-b"].map(|id| Device { id: id.to_owned(), memory: Some(1000) });
        Limits::new(4, 8, 100, gpus.to_vec())
    }

    fn token(name: &str, count: u32) -> Need {
        Need { tokens: BTreeMap::from([(name.to_owned(), count)]), ..Need::default() }
    }

    #[test]
    fn a_gpu_is_given_to_one_step_at_a_time() {
        let mut machine = machine();
        let one = Need { gpus: 1, ..Need::default() };
        let (first, second) = (machine.take(&one).unwrap(), machine.take(&one).unwrap());
        assert_ne!(first.gpus, second.gpus);
        assert!(machine.take(&one).is_none());
        let returned = first.gpus.clone();
        machine.give_back(first);
        assert_eq!(machine.take(&one).unwrap().gpus, returned);
    }

    #[test]
    fn what_runs_elsewhere_takes_nothing_of_this_machine() {
        let mut machine = machine().with_executor("gpu", 2);
        let need =
            Need { cpus: 64, memory: 1 << 40, gpus: 8, executor: Some("gpu".into()), ..Need::default() };
        assert!(machine.impossible(&need).is_none());
        let held = [machine.take(&need).unwrap(), machine.take(&need).unwrap()];
        assert!(!machine.fits(&need), "it has room for two");
        assert!(machine.fits(&Need { cpus: 8, memory: 100, gpus: 2, ..Need::default() }));
        held.into_iter().for_each(|held| machine.give_back(held));
        assert!(machine.fits(&need));
        let unknown = Need { executor: Some("other".into()), ..Need::default() };
        assert!(!machine.fits(&unknown));
    }

    #[test]
    fn a_gpu_that_somebody_else_uses_is_waited_for() {
        let mut machine = machine();
        let need = |gpus| Need { gpus, ..Need::default() };
        machine.note_others(Some(&Others::from([("GPU-a".to_owned(), vec![Share::Memory(600)])])));
        assert!(machine.impossible(&need(2)).is_none() && !machine.fits(&need(2)));
        assert!(machine.waits_for_others(&need(2)) && !machine.waits_for_others(&need(1)));
        let beside = Need { gpus: 1, vram: Some(400), ..Need::default() };
        let held = [machine.take(&need(1)).unwrap(), machine.take(&beside).unwrap()];
        assert_eq!(
            (held[0].gpus.as_slice(), held[1].gpus.as_slice()),
            (&["GPU-b".to_owned()][..], &["GPU-a".to_owned()][..])
        );
        let taken: Vec<_> = machine.gpus_taken().collect();
        assert_eq!(taken, [("GPU-a", Share::Memory(400)), ("GPU-b", Share::Whole)]);
        machine.give_back(held[1].clone());
        assert!(machine.waits_for_others(&need(1)));
        machine.give_back(held[0].clone());
        machine.note_others(Some(&Others::new()));
        assert_eq!(machine.take(&need(2)).unwrap().gpus.len(), 2);
    }

    #[test]
    fn of_a_token_that_nobody_counted_there_is_one() {
        let mut machine = machine();
        let held = machine.take(&token("licence", 1)).unwrap();
        assert!(machine.take(&token("licence", 1)).is_none());
        assert!(machine.take(&token("other", 1)).is_some());
        machine.give_back(held);
        assert!(machine.take(&token("licence", 1)).is_some());
    }

    #[test]
    fn what_can_never_be_is_told_and_more_cores_than_there_are_mean_all() {
        let machine = machine();
        for need in [
            Need { gpus: 3, ..Need::default() },
            Need { gpus: 1, vram: Some(1001), ..Need::default() },
            Need { nodes: 2, ..Need::default() },
            Need { memory: 101, ..Need::default() },
            token("licence", 2),
        ] {
            assert!(machine.impossible(&need).is_some(), "{need:?}");
        }
        let all = Need { cpus: 64, ..Need::default() };
        assert!(machine.impossible(&all).is_none());
        assert!(machine.clone().take(&all).is_some());
    }

    #[test]
    fn jobs_and_memory_run_out() {
        let mut machine = machine();
        let half = Need { memory: 50, ..Need::default() };
        let held: Vec<Held> = std::iter::from_fn(|| machine.take(&half)).collect();
        assert_eq!(held.len(), 2);
        held.into_iter().for_each(|held| machine.give_back(held));
        assert_eq!(std::iter::from_fn(|| machine.take(&Need::default())).count(), 4);
    }
}
