//! Which host a job goes to.

use std::cmp::Reverse;

use super::SshHost;
use super::parse::Survey;
use crate::{ExecutorError, Resources};

/// What a host has to do already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// The GPUs that nobody of us asked for; fewer than none if jobs wait for them there.
    free: i64,
    jobs: u32,
}

impl Load {
    pub(super) fn new(host: &SshHost, survey: &Survey) -> Self {
        Self { free: i64::from(host.gpus) - i64::from(survey.gpus), jobs: survey.unfinished }
    }
}

/// The place of the host that a job goes to: of those that have the GPUs, the one with the most free ones, then the one with the fewest
/// jobs. It is counted among them from now on.
pub(super) fn choose(
    hosts: &[SshHost],
    loads: &mut [Load],
    needs: &Resources,
) -> Result<usize, ExecutorError> {
    let fits = |host: &SshHost| {
        let kind = needs.gpu_type.is_none() || needs.gpu_type == host.gpu_type;
        needs.gpus == 0 || host.gpus >= needs.gpus && kind
    };
    let busy = |place: &usize| {
        let Load { free, jobs } = loads[*place];
        (Reverse(if needs.gpus > 0 { free } else { 0 }), jobs)
    };
    let fit = (0..hosts.len()).filter(|place| fits(&hosts[*place]));
    let place = fit.min_by_key(busy).ok_or_else(|| none(hosts, needs))?;
    loads[place].free -= i64::from(needs.gpus);
    loads[place].jobs += 1;
    Ok(place)
}

fn none(hosts: &[SshHost], needs: &Resources) -> ExecutorError {
    let reason = match (hosts, &needs.gpu_type) {
        ([], _) => "it has no hosts".to_owned(),
        (_, None) => format!("none of its hosts has {} GPUs", needs.gpus),
        (_, Some(kind)) => format!("none of its hosts has {} GPUs of the type {kind}", needs.gpus),
    };
    ExecutorError::Refused { engine: "ssh".to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Shell;

    fn host(gpus: u32, kind: &str) -> SshHost {
        let shell = Shell::Here { variables: BTreeMap::new() };
        SshHost { gpus, gpu_type: Some(kind.to_owned()), ..SshHost::new(shell) }
    }

    fn gpus(gpus: u32, kind: Option<&str>) -> Resources {
        Resources { gpus, gpu_type: kind.map(str::to_owned), ..Resources::default() }
    }

    #[test]
    fn jobs_go_where_gpus_are_free() {
        let hosts = [host(1, "T4"), host(4, "A100"), host(4, "A100"), host(0, "")];
        let mut loads = [(1, 0), (3, 2), (3, 1), (0, 0)].map(|(free, jobs)| Load { free, jobs });
        let mut choose = |needs: &Resources| choose(&hosts, &mut loads, needs);
        assert_eq!(choose(&gpus(1, Some("T4"))), Ok(0));
        // Of two that have three each, the one with fewer jobs; then the other one has more.
        assert_eq!(choose(&gpus(2, None)), Ok(2));
        assert_eq!(choose(&gpus(2, None)), Ok(1));
        // Nobody has four free ones: it waits where the most are.
        assert_eq!(choose(&gpus(4, Some("A100"))), Ok(2));
        assert_eq!(choose(&gpus(0, None)), Ok(3));
        // Its GPUs are no hindrance to what needs none.
        assert_eq!(choose(&gpus(0, None)), Ok(0));
    }

    #[test]
    fn what_no_host_has_is_refused() {
        let hosts = [host(1, "T4"), host(4, "A100")];
        let mut loads = [Load { free: 1, jobs: 0 }, Load { free: 4, jobs: 0 }];
        for (needs, why) in [(gpus(5, None), "5 GPUs"), (gpus(2, Some("T4")), "the type T4")] {
            let asked = choose(&hosts, &mut loads, &needs);
            let Err(ExecutorError::Refused { reason, .. }) = &asked else { panic!("{asked:?}") };
            assert!(reason.contains(why), "{reason}");
        }
        assert!(choose(&[], &mut [], &gpus(0, None)).is_err());
    }
}
