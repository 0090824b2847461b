//! The machine as the face describes it: threads, instruction set, memory allowed.
//!
//! *Not here:* reading the environment or container limits; the face does that.

use crate::buffers::Buffers;
use crate::faults::Faults;
use crate::instructions::InstructionSet;
use crate::parallel::Workers;

/// What a call may use.
#[derive(Debug)]
pub struct Machine {
    /// The threads.
    pub workers: Workers,
    /// Arrays that are used again and again.
    pub buffers: Buffers,
    /// The vector instructions of this processor.
    pub instruction_set: InstructionSet,
    /// Bytes that the process may occupy at its peak; none when the user named no budget.
    pub budget_bytes: Option<u64>,
    /// Whether the system's allocator gives arrays of some megabytes back when they are freed.
    pub gives_back: bool,
    /// Whether products are verified, and what was found.
    pub faults: Faults,
}

impl Machine {
    /// A machine with these threads and this budget, and the processor's best instructions.
    pub fn new(n_threads: usize, budget_bytes: Option<u64>) -> Self {
        let instruction_set = InstructionSet::detect();
        let (workers, buffers) = (Workers::new(n_threads), Buffers::default());
        let (gives_back, faults) = (false, Faults::default());
        Self { workers, buffers, instruction_set, budget_bytes, gives_back, faults }
    }
}
