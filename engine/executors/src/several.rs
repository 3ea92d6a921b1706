//! Several machines for one job: what its command gets to know of the others.
//!
//! | variable | |
//! |---|---|
//! | `TIDEMILL_NODES`, `NNODES` | how many there are |
//! | `TIDEMILL_NODE_RANK`, `NODE_RANK` | which one this is, from 0 |
//! | `MASTER_ADDR`, `MASTER_PORT` | where the first one can be met |
//!
//! The names without a prefix are those of `torchrun`.

use crate::Ticket;

/// The ports that the first machines of jobs may listen on.
const PORTS: std::ops::Range<u32> = 20_000..30_000;

/// The port of a job: two of one machine have hardly ever the same.
pub(crate) fn port(ticket: &Ticket) -> u32 {
    let mixed = ticket
        .batch
        .as_str()
        .bytes()
        .fold(ticket.job, |sum, byte| sum.wrapping_mul(0x0100_0193) ^ u32::from(byte));
    PORTS.start + mixed % (PORTS.end - PORTS.start)
}

/// The variables that are the same on all machines, but for where the first one is.
pub(crate) fn variables(ticket: &Ticket, nodes: u32) -> [(&'static str, u32); 3] {
    [("TIDEMILL_NODES", nodes), ("NNODES", nodes), ("MASTER_PORT", port(ticket))]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::BatchId;

    #[test]
    fn ports_are_where_they_belong_and_differ() {
        let batch = BatchId::generate();
        let ports: BTreeSet<u32> = (0..100).map(|job| port(&Ticket { batch: batch.clone(), job })).collect();
        assert!(ports.len() > 90 && ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
    }
}
