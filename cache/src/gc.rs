//! Garbage collection: what nothing refers to any more goes, and nothing that a process which lives may need.
//!
//! It is never waited for a run, nor does a run wait:
//!
//! 1. It is noted who lives. Then it is found out what is reachable, and what is not is the plan.
//! 2. Results that go are *condemned*, then blobs are taken out into a generation of the [trash](crate::trash). From now on they are
//!    only found by those who miss them, who put them back.
//! 3. It is written down who lives now. All who looked at something before it was taken out are among them, or have ended.
//! 4. If nobody lived at the beginning, nobody lives now, and nobody came in between, it is removed. Otherwise a later collection
//!    removes it, if all of these had ended when that one began to find out what is reachable; so it knows all that they left.
//!
//! Whatever interrupts it, nothing is lost: what was taken out is found in the trash, by whoever misses it, and by the next
//! collection. Results go before blobs, so that no result is left behind whose blobs went.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, TryLockError};

use serde::Serialize;

use crate::claim::Claim;
use crate::discard::remove;
use crate::gc_plan::{Condemned, GcPlan};
use crate::layout::Blob;
use crate::lease::{has_no_locks, open};
use crate::live::Own;
use crate::survey::children;
use crate::trash::{Generation, Standing};
use crate::{Cache, CacheError, Key};

/// What a garbage collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// How many keys lost their results.
    pub results: u64,
    /// How many recipes.
    pub recipes: u64,
    /// How many blobs.
    pub objects: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// How many blobs were taken out and are removed by a later collection, when those have ended who use the cache now.
    pub waiting: u64,
    /// Bytes in them.
    pub waiting_bytes: u64,
}

/// What the claim is called that only one process collects.
const COLLECTING: &str = "collecting";

/// The right to collect garbage.
enum Collecting {
    Lock { _file: File },
    Claim(Claim),
}

impl Collecting {
    /// Who collects: nobody waits for himself.
    fn own(&self) -> Own {
        Own::with_token(match self {
            Self::Lock { .. } => None,
            Self::Claim(claim) => Some(claim.token().to_owned()),
        })
    }
}

impl Cache {
    /// Removes what a plan says.
    ///
    /// # Errors
    /// [`CacheError::Busy`] if another process does that just now.
    pub fn gc(&self, plan: &GcPlan) -> Result<GcReport, CacheError> {
        let collecting = self.collecting()?;
        let own = &collecting.own();
        let (mut report, orders) = (GcReport::default(), &plan.orders);
        self.close_abandoned(own)?;
        self.forget_changes()?;
        for (generation, blob) in &orders.put_back {
            self.put_back_from(*blob, generation)?;
        }
        for Condemned { key, number, generation } in &orders.spare {
            self.spare_result(key, *number, generation)?;
        }
        self.remove_for_good(&orders.end, &orders.remove, &mut report)?;
        self.take_out_planned(plan, own, &mut report)?;
        for (generation, standing) in &orders.moment.trash {
            if *standing == Standing::Ripe {
                generation.remove_if_empty()?;
            }
        }
        self.remove_free_leases()?;
        Ok(report)
    }

    /// Takes out what has its place still, and removes it if nobody can need it.
    fn take_out_planned(&self, plan: &GcPlan, own: &Own, report: &mut GcReport) -> Result<(), CacheError> {
        let generation = self.new_generation(None)?;
        let (mut results, mut blobs) = (Vec::new(), Vec::new());
        for key in plan.results.iter().map(|result| result.key) {
            for number in self.numbers(&key)?.results {
                self.condemn_result(&key, number, generation.name())?;
                results.push(Condemned { key, number, generation: generation.name().to_owned() });
            }
        }
        for (blob, size) in &plan.orders.take_out {
            if self.take_out(*blob, &generation)? {
                blobs.push((generation.clone(), *blob, *size));
            }
        }
        let now = self.close(&generation, Some(own))?;
        let before = &plan.orders.moment.alive;
        let nobody = before.lives.is_empty() && now.lives.is_empty() && before.starts == now.starts;
        if nobody {
            // Who came since may remember what was not condemned yet when he looked.
            self.forget_changes()?;
            self.remove_for_good(&results, &blobs, report)?;
            self.remove_small(plan, report)?;
        } else {
            report.waiting += blobs.len() as u64;
            report.waiting_bytes += blobs.iter().map(|(_, _, size)| size).sum::<u64>();
        }
        match nobody || (blobs.is_empty() && results.is_empty()) {
            true => generation.remove_if_empty(),
            false => Ok(()),
        }
    }

    fn remove_for_good(
        &self,
        results: &[Condemned],
        blobs: &[(Generation, Blob, u64)],
        report: &mut GcReport,
    ) -> Result<(), CacheError> {
        let mut lost: BTreeSet<Key> = BTreeSet::new();
        for Condemned { key, number, generation } in results {
            if self.remove_condemned(key, *number, generation)? {
                lost.insert(*key);
            }
        }
        report.results += lost.len() as u64;
        self.inner.index.forget_results(&lost.into_iter().collect::<Vec<_>>());
        for (generation, blob, size) in blobs {
            if remove(&generation.blob(*blob))? {
                report.objects += 1;
                report.bytes += size;
            }
        }
        Ok(())
    }

    /// Removes what serves explanations only, and what dead processes left: while nobody lives, for that is not put back.
    fn remove_small(&self, plan: &GcPlan, report: &mut GcReport) -> Result<(), CacheError> {
        let layout = &self.inner.layout;
        let with_results: HashSet<Key> = plan.results.iter().map(|result| result.key).collect();
        for key in &plan.recipes {
            let numbers = self.numbers(key)?;
            if !numbers.results.is_empty() {
                continue;
            }
            let went_with_its_result = with_results.contains(key);
            report.recipes += u64::from(remove(&layout.recipe(key))? || went_with_its_result);
        }
        for path in &plan.inputs {
            let size = std::fs::symlink_metadata(path).map_or(0, |facts| facts.len());
            if remove(path)? {
                report.bytes += size;
            }
        }
        plan.leftovers.iter().try_for_each(|leftover| remove(leftover).map(drop))
    }

    /// The right to collect garbage, until it is dropped.
    fn collecting(&self) -> Result<Collecting, CacheError> {
        if self.inner.shared.is_some() {
            return self.claim(COLLECTING)?.map(Collecting::Claim).ok_or(CacheError::Busy);
        }
        let path = self.inner.layout.collecting();
        let file = open(&path).map_err(CacheError::io("open", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(CacheError::Busy),
            // Two at once do no harm; it is only of no use.
            Err(TryLockError::Error(error)) if !has_no_locks(&error) => {
                Err(CacheError::io("lock", &path)(error))
            }
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Collecting::Lock { _file: file }),
        }
    }

    /// Closes the generations of those who died before they could.
    fn close_abandoned(&self, own: &Own) -> Result<(), CacheError> {
        for generation in self.generations()? {
            if !generation.is_closed() && self.standing(&generation)? != Standing::Owned {
                self.close(&generation, Some(own))?;
            }
        }
        Ok(())
    }

    /// Removes the files of leases whose holders died.
    fn remove_free_leases(&self) -> Result<(), CacheError> {
        for folder in children(&self.inner.layout.claim(""))? {
            if let Some(name) = folder.file_name().filter(|name| *name != COLLECTING) {
                // A claim that is dropped removes its file.
                drop(self.claim(name)?);
            }
        }
        let folder = self.inner.layout.leases();
        let Ok(listing) = folder.read_dir_utf8() else { return Ok(()) };
        for entry in listing {
            let entry = entry.map_err(CacheError::io("list", &folder))?;
            if let Ok(key) = entry.file_name().parse() {
                // A lease that is dropped removes its file.
                drop(self.try_lease(&key)?);
            }
        }
        Ok(())
    }
}
