//! What the machine has, what is taken, and whether one more step fits.

use std::collections::BTreeMap;

/// What one step needs while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// CPU cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// GPUs.
    pub gpus: u32,
    /// Named tokens.
    pub tokens: BTreeMap<String, u32>,
}

/// What the machine has and what of it is free.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many steps may run at once.
    jobs: usize,
    cpus: u32,
    all_cpus: u32,
    memory: u64,
    /// The ids of the free GPUs.
    gpus: Vec<String>,
    /// How many of each named token there are; one of every name that is not listed.
    tokens: BTreeMap<String, u32>,
}

/// What a running step holds.
#[derive(Debug, Clone, Default)]
pub struct Held {
    need: Need,
    /// The ids of its GPUs.
    pub gpus: Vec<String>,
}

impl Limits {
    /// A machine with all free: how many steps may run at once, CPU cores, bytes of memory, the ids of its GPUs.
    #[must_use]
    pub fn new(jobs: usize, cpus: u32, memory: u64, gpus: Vec<String>) -> Self {
        Self { jobs, cpus, all_cpus: cpus, memory, gpus, tokens: BTreeMap::new() }
    }

    /// What of a need this machine could never give, in words: what is wanted and what there is.
    #[must_use]
    pub fn impossible(&self, need: &Need) -> Option<(String, String)> {
        if need.gpus as usize > self.gpus.len() {
            return Some((format!("{} GPUs", need.gpus), format!("{}", self.gpus.len())));
        }
        if need.memory > self.memory {
            return Some((format!("{} bytes of memory", need.memory), format!("{}", self.memory)));
        }
        need.tokens
            .iter()
            .find(|(name, count)| **count > self.token(name))
            .map(|(name, count)| (format!("{count} of the token {name}"), format!("{}", self.token(name))))
    }

    /// Takes what a step needs; none if it does not fit now. A step that wants more cores than the machine has gets all.
    pub fn take(&mut self, need: &Need) -> Option<Held> {
        let mut need = need.clone();
        need.cpus = need.cpus.min(self.all_cpus);
        let tokens_fit = need.tokens.iter().all(|(name, count)| self.token(name) >= *count);
        let fits = self.jobs > 0
            && self.cpus >= need.cpus
            && self.memory >= need.memory
            && self.gpus.len() >= need.gpus as usize
            && tokens_fit;
        if !fits {
            return None;
        }
        self.jobs -= 1;
        self.cpus -= need.cpus;
        self.memory -= need.memory;
        let gpus = self.gpus.split_off(self.gpus.len() - need.gpus as usize);
        for (name, count) in &need.tokens {
            let left = self.token(name) - count;
            self.tokens.insert(name.clone(), left);
        }
        Some(Held { need, gpus })
    }

    /// Gives back what a step held.
    pub fn give_back(&mut self, held: Held) {
        self.jobs += 1;
        self.cpus += held.need.cpus;
        self.memory += held.need.memory;
        self.gpus.extend(held.gpus);
        for (name, count) in held.need.tokens {
            *self.tokens.entry(name).or_insert(0) += count;
        }
    }

    fn token(&self, name: &str) -> u32 {
        self.tokens.get(name).copied().unwrap_or(1)
    }
}
