//! Which vector instructions this processor has, and the system lets a process use.
//!
//! *Not here:* the kernels that are made of them (`gossamer-tensor`).

use std::sync::OnceLock;

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
    /// The same with matrices of bf16 pairs in registers.
    Amx,
}

impl InstructionSet {
    /// The best one that this processor has.
    pub fn detect() -> Self {
        static FOUND: OnceLock<InstructionSet> = OnceLock::new();
        *FOUND.get_or_init(Self::found)
    }

    #[cfg(target_arch = "x86_64")]
    fn found() -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        match (avx2, avx512, is_x86_feature_detected!("avx512bf16")) {
            (true, true, true) if matrices::allowed() => Self::Amx,
            (true, true, true) => Self::Avx512Bf16,
            (true, true, false) => Self::Avx512,
            (true, false, _) => Self::Avx2,
            (false, ..) => Self::Portable,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn found() -> Self {
        Self::Portable
    }

    /// Those that this processor has, the best one last.
    pub fn all() -> impl Iterator<Item = Self> {
        let all = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];
        all.into_iter().filter(|set| *set <= Self::detect())
    }

    /// The name a user sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
            Self::Amx => "amx",
        }
    }
}

/// Registers that hold matrices: no process has them before it has asked.
#[cfg(target_arch = "x86_64")]
mod matrices {
    /// True if the processor has tiles and products of bf16 pairs in them, and the system lets this
    /// process use them from now on.
    #[cfg(target_os = "linux")]
    pub fn allowed() -> bool {
        /// Leaf 7, register D: products of bf16, and tiles.
        const HAS: u32 = 1 << 22 | 1 << 24;
        // Newer compilers have it as a safe function.
        // SAFETY: a processor with AVX-512 has the instruction and the leaf.
        #[allow(unsafe_code, unused_unsafe)]
        let leaf = unsafe { std::arch::x86_64::__cpuid_count(7, 0) };
        leaf.edx & HAS == HAS && asked()
    }

    /// Asks the kernel; it refuses where it knows no such registers, or where a thread's stack for
    /// signals is too small for them.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    fn asked() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let mut result = ARCH_PRCTL;
        // SAFETY: the call reads and writes no memory of the process; it overwrites the registers
        // that are named.
        unsafe {
            std::arch::asm!(
                "syscall",
                inout("rax") result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    /// Other systems: not tried.
    #[cfg(not(target_os = "linux"))]
    pub fn allowed() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_ordered_and_the_best_is_the_last() {
        let all: Vec<InstructionSet> = InstructionSet::all().collect();
        assert!(all.is_sorted());
        assert_eq!(all.first(), Some(&InstructionSet::Portable));
        assert_eq!(all.last(), Some(&InstructionSet::detect()));
    }
}
