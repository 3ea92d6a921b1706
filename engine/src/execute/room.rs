//! Whether the disk is full. A step that cannot write often cannot say so either: its log lies on the same disk as its folder.

use camino::Utf8Path;
use rustix::fs::{StatVfs, statvfs};

/// With less room than this, in bytes, what a step wanted to write may not have fitted.
const LITTLE: u64 = 1 << 20;

/// What to do, if the disk of this folder takes nothing more.
#[must_use]
pub(crate) fn hint(folder: &Utf8Path) -> Option<String> {
    let lack = lack(&statvfs(folder.as_std_path()).ok()?)?;
    Some(format!(
        "the disk of {folder} {lack}, so that the step may have been unable to write, and to say so in its log; \
         make room (`tidemill cache gc`), then run again"
    ))
}

/// What there is too little of. A file system that does not count something gives zero as the whole.
fn lack(disk: &StatVfs) -> Option<String> {
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    if disk.f_blocks > 0 && room < LITTLE {
        return Some(format!("is full ({} KiB are left)", room / 1024));
    }
    (disk.f_files > 0 && disk.f_favail == 0).then(|| "has no room for another file".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of 1,000 blocks and 100 files, with so many left.
    fn disk(blocks: u64, files: u64) -> StatVfs {
        let mut disk = statvfs("/").unwrap();
        (disk.f_frsize, disk.f_blocks, disk.f_files) = (4096, 1000, 100);
        (disk.f_bavail, disk.f_favail) = (blocks, files);
        disk
    }

    #[test]
    fn room_and_files_run_out() {
        assert_eq!(lack(&disk(900, 50)), None);
        assert_eq!(lack(&disk(3, 50)).as_deref(), Some("is full (12 KiB are left)"));
        assert_eq!(lack(&disk(900, 0)).as_deref(), Some("has no room for another file"));
    }

    #[test]
    fn what_is_not_counted_does_not_run_out() {
        let mut disk = disk(0, 0);
        (disk.f_blocks, disk.f_files) = (0, 0);
        assert_eq!(lack(&disk), None);
    }
}
