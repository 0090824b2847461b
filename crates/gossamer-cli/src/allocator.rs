//! How the system's allocator gives memory back.
//!
//! glibc gives an array pages of its own from a size on, and its heap's pages back only from the
//! heap's end. That size follows arrays that were freed, up to 32 MiB: then arrays of some megabytes
//! stand in the heap, and what was freed between them stays with the process; and each thread has a
//! heap of its own. A budget counts what stays; so the program fixes both sizes and has one heap,
//! which glibc reads from the environment when a process begins, and begins once more.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use glibc::gives_back;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use gossamer_machine::ledger::OWN_PAGES;

    /// The environment's variable.
    const TUNABLES: &str = "GLIBC_TUNABLES";
    /// With a larger size what a few hundred steps leave in the heap grew to some megabytes.
    const FROM: &str = "glibc.malloc.mmap_threshold=";
    const HEAP_END: &str = "glibc.malloc.trim_threshold=8388608";
    /// One heap for all threads: what one has freed serves the others.
    const ONE_HEAP: &str = "glibc.malloc.arena_max=1";

    /// Begins the program once more with fixed sizes and one heap, unless it has sizes; returns
    /// whether what is freed goes back to the system.
    pub fn gives_back() -> bool {
        let tunables = std::env::var(TUNABLES).unwrap_or_default();
        // Of several the last counts.
        let fixed = tunables.split(':').filter_map(|one| one.strip_prefix(FROM)).next_back();
        if let Some(size) = fixed {
            let one_heap = tunables.split(':').any(|one| one == ONE_HEAP);
            return one_heap && size.parse::<u64>().is_ok_and(|size| size <= OWN_PAGES);
        }
        let Ok(program) = std::env::current_exe() else { return false };
        let (mut words, mut again) = (std::env::args_os(), Command::new(program));
        if let Some(name) = words.next() {
            again.arg0(name);
        }
        let first = if tunables.is_empty() { tunables } else { tunables + ":" };
        again.args(words).env(TUNABLES, format!("{first}{FROM}{OWN_PAGES}:{HEAP_END}:{ONE_HEAP}"));
        // It comes back only if it could not begin; then this process goes on as it is.
        drop(again.exec());
        false
    }
}

/// Other systems' allocators were not measured.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn gives_back() -> bool {
    false
}
