//! How often a failed attempt is made again: a number for whatever the reason, or a table that tells them apart.

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::tree::Node;
use crate::retries::{Retried, Retries};

/// What a step says of retries.
pub(super) fn retries(table: &Node, problems: &mut Problems) -> Retries {
    let Some(node) = table.get("retries") else { return Retries::default() };
    if let Some(times) = node.count() {
        return Retries::whatever_the_reason(times);
    }
    let default = Retries::default();
    let count = |name: &str| node.get(name).and_then(Node::count);
    let words = node.get("on").map_or(&[][..], Node::items).iter().filter_map(Node::text);
    let on: Vec<Retried> = words.filter_map(Retried::named).collect();
    let mut scale = |name: &str| {
        let factor = node.get("scale")?.get(name)?;
        let number = factor.count()?;
        if number == 0 {
            let message = format!("`{name}` cannot grow by 0");
            problems.add(
                Diagnostic::new(Code::Number, message).at(&factor.span, "").help("write 2 for twice as much"),
            );
        }
        Some(number)
    };
    let (scale_memory, scale_time) = (scale("memory").unwrap_or(1), scale("time").unwrap_or(1));
    Retries {
        infrastructure: count("infrastructure").unwrap_or(default.infrastructure),
        times: if on.is_empty() { 0 } else { count("times").unwrap_or(2) },
        on,
        scale_memory,
        scale_time,
    }
}
