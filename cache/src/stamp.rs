//! A stamp: what the file system says of a file without reading it, and whether that can be relied upon.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::Utf8Path;

/// Identity, size and times of a file. While it stays the same, and is old enough, so does the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    /// Nanoseconds since 1970.
    pub(crate) changed: i64,
}

/// The modification time of every blob. A write sets another one, even within one tick of the clock.
pub(crate) const BLOB_TIME: Duration = Duration::from_secs(946_684_800);

/// No clock of a local file system that counts in fractions of a second ticks more slowly.
const FINE_TICK: i64 = 20_000_000;
/// The slowest clock (FAT), and a wide margin for a network file system.
const COARSE_TICK: i64 = 2_000_000_000;

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it has the time that only blobs have.
    pub(crate) fn has_blob_time(&self) -> bool {
        u128::try_from(self.modified) == Ok(BLOB_TIME.as_nanos())
    }

    /// Whether only the time of the last change of the inode differs, as after a link or unlink.
    pub(crate) fn is_same_content_as(&self, other: &Self) -> bool {
        Self { changed: other.changed, ..*self } == *other
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// What time a file system says it is, asked by touching a file there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    device: Option<u64>,
    now: i64,
}

impl Clock {
    /// The clock of the file system that this folder lies on; `local` if it is no network file system.
    pub(crate) fn probe(folder: &Utf8Path, local: bool) -> Self {
        let probe = tempfile::tempfile_in(folder).and_then(|file| file.metadata());
        match probe {
            Ok(metadata) if local => {
                let stamp = Stamp::of(&metadata);
                Self { device: Some(stamp.device), now: stamp.changed }
            }
            // Of two clocks that may disagree, the one that is behind trusts less.
            Ok(metadata) => Self { device: None, now: Stamp::of(&metadata).changed.min(system_now()) },
            Err(_) => Self { device: None, now: system_now() },
        }
    }

    /// The clock of a local file system, which is the system's.
    pub(crate) fn of_system(device: u64) -> Self {
        Self { device: Some(device), now: system_now() }
    }

    /// Whether a file with this stamp, read after this time, cannot change any more without its stamp changing too.
    pub(crate) fn has_passed(&self, stamp: &Stamp) -> bool {
        let newest = stamp.modified.max(stamp.changed);
        let is_fine = self.device == Some(stamp.device) && stamp.changed % 1_000_000_000 != 0;
        newest.saturating_add(if is_fine { FINE_TICK } else { COARSE_TICK }) < self.now
    }
}

fn system_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether a folder lies on a network file system, where neither locks nor shared memory can be relied upon.
#[must_use]
pub fn is_network(folder: &Utf8Path) -> bool {
    rustix::fs::statfs(folder.as_std_path()).is_ok_and(|facts| tells_network(&facts))
}

#[cfg(target_os = "linux")]
fn tells_network(facts: &rustix::fs::StatFs) -> bool {
    // NFS, SMB, CIFS, SMB2, Lustre, GPFS, FUSE, Ceph, AFS, BeeGFS, 9P, OCFS2, GFS2.
    const MAGIC: [u32; 13] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0bd0_0bd0,
        0x4750_4653,
        0x6573_5546,
        0x00c3_6400,
        0x5346_414f,
        0x1983_0326,
        0x0102_1997,
        0x7461_636f,
        0x0116_1970,
    ];
    // The kernel's magic numbers are 32 bits wide; the field is wider on some machines and signed on others.
    MAGIC.contains(&(facts.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn tells_network(facts: &rustix::fs::StatFs) -> bool {
    // `MNT_LOCAL`: the file system is stored on this machine.
    const LOCAL: u32 = 0x1000;
    facts.f_flags & LOCAL == 0
}
