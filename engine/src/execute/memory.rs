//! Whether a step failed for want of memory, by what it printed: a GPU has no kernel that says so.

use crate::failure::Memory;

/// What frameworks print when a GPU's memory is not enough.
const OF_GPU: [&str; 7] = [
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "HIP out of memory",
    "torch.OutOfMemoryError",
    "RESOURCE_EXHAUSTED: Out of memory",
];

/// Whose memory was not enough, if the last lines of a log say so.
pub(super) fn ran_out(tail: &[String]) -> Option<Memory> {
    if tail.iter().any(|line| OF_GPU.iter().any(|sign| line.contains(sign))) {
        return Some(Memory::Gpu);
    }
    // The last line of a Python traceback begins with the class of the exception.
    let last = tail.iter().rev().find(|line| !line.trim().is_empty())?;
    let class = last.split(':').next()?.trim();
    matches!(class, "MemoryError" | "numpy._core._exceptions._ArrayMemoryError" | "std::bad_alloc")
        .then_some(Memory::System)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<Memory> {
        ran_out(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_frameworks_print_is_known() {
        let torch = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.";
        assert_eq!(of(&["Traceback (most recent call last):", torch, ""]), Some(Memory::Gpu));
        assert_eq!(
            of(&["jaxlib.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying"]),
            Some(Memory::Gpu)
        );
        assert_eq!(of(&["  File \"a.py\", line 1", "MemoryError", ""]), Some(Memory::System));
        assert_eq!(of(&["MemoryError is handled", "ValueError: no"]), None);
        assert_eq!(of(&[]), None);
    }
}
