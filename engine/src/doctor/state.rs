//! How the state folder is, and the file system that it lies on.

use bytesize::ByteSize;

use super::finding::{Fault, Finding};
use crate::execute::describe;
use crate::project::Project;

const SUBJECT: &str = "state";
/// With less room than this a run is likely to fail, and with less than this it is time to know.
const TOO_LITTLE: u64 = 100 << 20;
const LITTLE: u64 = 1 << 30;

/// Looks at it.
pub(super) fn check(project: &Project) -> Vec<Finding> {
    let (cache, state) = (project.cache(), project.state());
    let health = cache.health();
    let shown = project.relative(state);
    let mut findings = vec![match &health.written {
        Ok(()) => Finding::ok(SUBJECT, format!("{shown}, format {}, can be written", health.format)),
        Err(error) => Finding::problem(SUBJECT, Fault::Machine, describe(error))
            .help("give this user the right to write there, or put the state elsewhere with `state` in tidemill.toml"),
    }];
    if cache.shares_file_system(project.root()) == Some(false) {
        findings.push(Finding::note(
            SUBJECT,
            "it is on another file system than the project: what goes from one to the other is copied",
        ));
    }
    if health.is_network {
        findings.push(Finding::note(
            SUBJECT,
            "it is on a network file system: every start and every small step takes longer than on a disk of this machine",
        ));
    }
    if health.written.is_ok() {
        findings.push(match (health.clones, health.links) {
            (true, _) => Finding::ok(SUBJECT, "the file system has clones: large files cost no copies"),
            (false, true) => Finding::note(
                SUBJECT,
                "the file system has no clones: large artifacts are linked read-only, and published as copies unless \
                 `publish = \"link\"` is in tidemill.toml",
            ),
            (false, false) => Finding::note(
                SUBJECT,
                "the file system has neither clones nor links: every step copies the artifacts that it reads",
            ),
        });
    }
    findings.extend(health.free.map(room));
    findings
}

fn room(free: u64) -> Finding {
    let said = format!("{} are free", ByteSize(free));
    let help = "`tidemill cache gc --dry-run` says what can be removed";
    match free {
        ..TOO_LITTLE => Finding::problem(SUBJECT, Fault::Machine, said).help(help),
        TOO_LITTLE..LITTLE => Finding::note(SUBJECT, said).help(help),
        LITTLE.. => Finding::ok(SUBJECT, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Standing;

    #[test]
    fn little_room_is_told_in_time() {
        let standing = |free| room(free).standing;
        assert_eq!(standing(50 << 20), Standing::Problem { fault: Fault::Machine });
        assert_eq!((standing(500 << 20), standing(5 << 30)), (Standing::Note, Standing::Ok));
    }
}
