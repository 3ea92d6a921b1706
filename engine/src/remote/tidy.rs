//! What workers of a machine have fetched and made lies in a cache of theirs, which nobody looks after: now and then one that has done its work
//! makes room in it.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use tidemill_cache::{CacheError, GcReport, Roots};

use crate::project::Project;

/// How large the cache may be if nothing is said, in bytes.
pub const MOST_KEPT: u64 = 100 << 30;

/// How often it is looked at: that takes a moment for each file in it.
const OFTEN: Duration = Duration::from_secs(3600);
/// What was used within this time stays: other workers may be about to read it.
const RECENT: Duration = Duration::from_secs(24 * 3600);

/// Removes from the cache of this machine's workers what was not used for longest, if it is larger than that and nobody has looked for a while.
///
/// # Errors
/// If the cache cannot be read, or something in it not be removed.
pub fn tidy(project: &Project, most: u64, now: SystemTime) -> Result<GcReport, CacheError> {
    let stamp = project.state().join("worker/tidied");
    let io = |source| CacheError::Io { action: "write", path: stamp.clone(), source };
    let looked = fs::metadata(&stamp).and_then(|facts| facts.modified()).ok();
    if looked.is_some_and(|looked| now.duration_since(looked).is_ok_and(|ago| ago < OFTEN)) {
        return Ok(GcReport::default());
    }
    // Before it is looked: of several that end now, one looks.
    File::create(&stamp).and_then(|file| file.set_modified(now)).map_err(io)?;
    let cache = project.cache();
    let roots = Roots {
        keep_since: now.checked_sub(RECENT),
        max_size: Some(most),
        moment: Some(cache.moment()?),
        ..Roots::default()
    };
    let plan = cache.gc_plan(&roots)?;
    match cache.gc(&plan) {
        // Another worker does it.
        Err(CacheError::Busy) => Ok(GcReport::default()),
        removed => removed,
    }
}
