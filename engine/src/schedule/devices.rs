//! The GPUs of a machine: what of each is taken, and which ones a step is given.

use std::collections::BTreeMap;

use bytesize::ByteSize;

/// A GPU that steps may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it is called in `CUDA_VISIBLE_DEVICES`.
    pub id: String,
    /// Its memory in bytes, where that can be told.
    pub memory: Option<u64>,
}

/// What somebody takes of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All of it: nobody else uses it meanwhile.
    Whole,
    /// So many bytes of its memory, beside others who take some.
    Memory(u64),
}

/// What everybody else on the machine takes, by GPU.
pub type Others = BTreeMap<String, Vec<Share>>;

/// GPUs, and what is taken of them.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    device: Device,
    /// What steps of ours take.
    own: Vec<Share>,
    /// What others take.
    others: Vec<Share>,
}

impl Slot {
    /// What a step takes of it that asks for so much memory, or does not say: without knowing how much there is, nothing can be shared.
    fn share(&self, vram: Option<u64>) -> Share {
        vram.filter(|_| self.device.memory.is_some()).map_or(Share::Whole, Share::Memory)
    }

    /// Whether it is as large as is asked for.
    fn is_large_enough(&self, vram: Option<u64>) -> bool {
        vram.zip(self.device.memory).is_none_or(|(wanted, there_is)| wanted <= there_is)
    }

    /// The memory that would be left if this share were taken too, in bytes; none if it cannot be.
    fn left(&self, share: Share, others: &[Share]) -> Option<u64> {
        let memory = match share {
            Share::Whole => return (self.own.is_empty() && others.is_empty()).then_some(0),
            Share::Memory(bytes) => self.device.memory?.checked_sub(bytes)?,
        };
        self.own.iter().chain(others).try_fold(memory, |left, taken| match taken {
            Share::Whole => None,
            Share::Memory(bytes) => left.checked_sub(*bytes),
        })
    }
}

impl Devices {
    /// GPUs of which nothing is taken.
    pub(crate) fn new(devices: Vec<Device>) -> Self {
        let slot = |device| Slot { device, own: Vec::new(), others: Vec::new() };
        Self { slots: devices.into_iter().map(slot).collect() }
    }

    /// What of so many there never is, in words: what is wanted and what there is.
    pub(crate) fn impossible(&self, gpus: u32, vram: Option<u64>) -> Option<(String, String)> {
        let (there_are, fit) = (self.count(None), self.count(vram));
        if gpus as usize <= fit {
            return None;
        }
        let wanted = if gpus == 1 { "1 GPU".to_owned() } else { format!("{gpus} GPUs") };
        Some(match vram.filter(|_| there_are > fit) {
            Some(bytes) => (
                format!("{wanted} with {} of memory each", ByteSize::b(bytes)),
                format!("{fit} such among {there_are}"),
            ),
            None => (wanted, there_are.to_string()),
        })
    }

    /// How many there are that have so much memory.
    fn count(&self, vram: Option<u64>) -> usize {
        self.slots.iter().filter(|slot| slot.is_large_enough(vram)).count()
    }

    /// How much of all of them so many are, with so much memory of each, in percent.
    pub(super) fn percent(&self, gpus: u32, vram: Option<u64>) -> u64 {
        let all: Option<u64> = self.slots.iter().map(|slot| slot.device.memory).sum();
        let (wanted, there_is) = match vram.zip(all) {
            Some((vram, all)) => (vram.saturating_mul(u64::from(gpus)), all),
            None => (u64::from(gpus), self.slots.len() as u64),
        };
        100_u64.saturating_mul(wanted).checked_div(there_is).unwrap_or(0)
    }

    /// Whether a step could be given so many now.
    pub(super) fn fits(&self, gpus: u32, vram: Option<u64>) -> bool {
        let has_room = |slot: &&Slot| slot.left(slot.share(vram), &slot.others).is_some();
        gpus == 0 || self.slots.iter().filter(has_room).count() >= gpus as usize
    }

    /// Whether a step could be given so many if nobody else used any.
    pub(super) fn would_fit_alone(&self, gpus: u32, vram: Option<u64>) -> bool {
        let has_room = |slot: &&Slot| slot.left(slot.share(vram), &[]).is_some();
        self.slots.iter().filter(has_room).count() >= gpus as usize
    }

    /// Takes so many, and gives their ids; none if they are not to be had now. Who shares gets those that are the fullest afterwards, so that
    /// others stay whole.
    pub(crate) fn take(&mut self, gpus: u32, vram: Option<u64>) -> Option<Vec<String>> {
        let mut fit: Vec<(u64, usize)> = Vec::new();
        for (place, slot) in self.slots.iter().enumerate() {
            fit.extend(slot.left(slot.share(vram), &slot.others).map(|left| (left, place)));
        }
        fit.sort_unstable();
        let chosen = fit.get(..gpus as usize)?;
        let mut ids = Vec::with_capacity(chosen.len());
        for (_, place) in chosen {
            let slot = &mut self.slots[*place];
            slot.own.push(slot.share(vram));
            ids.push(slot.device.id.clone());
        }
        Some(ids)
    }

    /// Gives back what was taken of these by a step that asked for so much memory.
    pub(super) fn give_back(&mut self, ids: &[String], vram: Option<u64>) {
        for slot in self.slots.iter_mut().filter(|slot| ids.contains(&slot.device.id)) {
            let share = slot.share(vram);
            if let Some(place) = slot.own.iter().position(|taken| *taken == share) {
                slot.own.swap_remove(place);
            }
        }
    }

    /// What steps of ours take, each with its GPU.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&str, Share)> {
        self.slots.iter().flat_map(|slot| {
            let Slot { device, own, .. } = slot;
            own.iter().map(|share| (device.id.as_str(), *share))
        })
    }

    /// Notes what others take now; none: that cannot be told, and nothing is given meanwhile.
    pub(crate) fn note_others(&mut self, others: Option<&Others>) {
        for slot in &mut self.slots {
            slot.others = match others {
                Some(others) => others.get(&slot.device.id).cloned().unwrap_or_default(),
                None => vec![Share::Whole],
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn devices(memory: &[Option<u64>]) -> Devices {
        let device = |(place, memory): (usize, &Option<u64>)| Device {
            id: format!("GPU-{place}"),
            memory: memory.map(|gib| gib * GIB),
        };
        Devices::new(memory.iter().enumerate().map(device).collect())
    }

    fn gib(gib: u64) -> Option<u64> {
        Some(gib * GIB)
    }

    #[test]
    fn two_steps_share_a_gpu_within_its_memory() {
        let mut devices = devices(&[Some(80), Some(80)]);
        let shared = devices.take(1, gib(30)).unwrap();
        assert_eq!(
            devices.take(1, gib(50)).unwrap(),
            shared,
            "it fits beside the first, and the other stays whole"
        );
        assert_ne!(devices.take(1, None).unwrap(), shared);
        assert_eq!(devices.take(1, gib(1)), None, "one is full, the other belongs to one step");
        devices.give_back(&shared, gib(30));
        assert_eq!(devices.take(1, gib(40)), None);
        assert_eq!(devices.take(1, gib(30)).unwrap(), shared);
    }

    #[test]
    fn what_others_take_counts_and_whoever_says_nothing_takes_all() {
        let mut devices = devices(&[Some(80), None]);
        devices.note_others(Some(&Others::from([("GPU-0".to_owned(), vec![Share::Memory(70 * GIB)])])));
        assert!(devices.fits(1, gib(10)) && devices.fits(1, gib(11)), "the second may be large enough");
        assert!(!devices.fits(2, gib(11)) && devices.would_fit_alone(2, gib(11)));
        assert_eq!(devices.take(1, None).unwrap(), ["GPU-1"]);
        devices.note_others(None);
        assert!(!devices.fits(1, gib(1)) && devices.would_fit_alone(1, gib(1)));
        assert_eq!((devices.count(gib(80)), devices.count(gib(81)), devices.count(None)), (2, 1, 2));
    }

    #[test]
    fn of_memory_that_nobody_knows_nothing_is_shared() {
        let mut devices = devices(&[None]);
        assert!(devices.take(1, gib(1)).is_some());
        assert_eq!(devices.take(1, gib(1)), None);
        devices.give_back(&["GPU-0".to_owned()], gib(1));
        assert!(devices.take(1, gib(1)).is_some());
    }

    proptest! {
        /// However steps come and go: no GPU gives away more than it has, who takes a whole one is alone on it, and what came back can be had again.
        #[test]
        fn no_more_is_given_than_there_is(moves in prop::collection::vec((any::<bool>(), 1u32..4, prop::option::of(0u64..90)), 1..60)) {
            let mut devices = devices(&[Some(80), Some(80), Some(24), None]);
            let mut held: Vec<(Vec<String>, Option<u64>)> = Vec::new();
            for (takes, gpus, wanted) in moves {
                let vram = wanted.map(|gib| gib * GIB);
                if takes {
                    let fits = devices.fits(gpus, vram);
                    let given = devices.take(gpus, vram);
                    prop_assert_eq!(given.is_some(), fits);
                    held.extend(given.map(|ids| (ids, vram)));
                } else if let Some((ids, vram)) = held.pop() {
                    devices.give_back(&ids, vram);
                }
                let mut by_gpu: BTreeMap<&str, Vec<Share>> = BTreeMap::new();
                for (id, share) in devices.taken() {
                    by_gpu.entry(id).or_default().push(share);
                }
                for slot in &devices.slots {
                    let shares = by_gpu.remove(slot.device.id.as_str()).unwrap_or_default();
                    if shares.contains(&Share::Whole) {
                        prop_assert_eq!(shares.len(), 1);
                        continue;
                    }
                    let sum: u64 = shares.iter().map(|share| match share { Share::Memory(bytes) => *bytes, Share::Whole => 0 }).sum();
                    prop_assert!(sum <= slot.device.memory.unwrap_or(0));
                }
                let handed_out: usize = held.iter().map(|(ids, _)| ids.len()).sum();
                prop_assert_eq!(devices.taken().count(), handed_out);
            }
            for (ids, vram) in held {
                devices.give_back(&ids, vram);
            }
            prop_assert_eq!(devices.taken().count(), 0);
        }
    }
}
