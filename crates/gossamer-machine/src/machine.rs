//! The machine as the face describes it: threads, instruction set, memory allowed.
//!
//! *Not here:* reading the environment or container limits; the face does that.

use crate::buffers::Buffers;
use crate::faults::Faults;
use crate::parallel::Workers;

/// Which vector instructions kernels may use. Chosen once, at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Whatever the compiler's baseline target offers.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, VL, BW and DQ.
    Avx512,
    /// The same with products of bf16 pairs.
    Avx512Bf16,
}

impl InstructionSet {
    /// The best one that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            if avx2 && avx512 && is_x86_feature_detected!("avx512bf16") {
                return Self::Avx512Bf16;
            }
            if avx2 && avx512 {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Those that this processor has, the best one last.
    pub fn all() -> impl Iterator<Item = Self> {
        let all = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16];
        all.into_iter().filter(|set| *set <= Self::detect())
    }

    /// The name a user sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }
}

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
