//! How the system's allocator gives memory back.
//!
//! glibc gives an array pages of its own from a size on, and its heap's pages back only from the
//! heap's end. That size follows arrays that were freed, up to 32 MiB: then arrays of some megabytes
//! stand in the heap, and what was freed between them stays with the process. A budget counts what
//! stays; so the program fixes both sizes, which glibc reads from the environment when a process
//! begins, and begins once more.

/// The environment's variable.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Begins the program once more with fixed sizes, unless it has them; returns whether what is freed
/// goes back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn gives_back() -> bool {
    use std::os::unix::process::CommandExt;
    /// Smaller arrays are made and freed in every step.
    const OWN_PAGES: &str = "glibc.malloc.mmap_threshold=2097152";
    const HEAP_END: &str = "glibc.malloc.trim_threshold=8388608";
    let tunables = std::env::var(TUNABLES).unwrap_or_default();
    if tunables.contains("glibc.malloc.mmap_threshold") {
        return true;
    }
    let Ok(program) = std::env::current_exe() else { return false };
    let mut words = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    let first = if tunables.is_empty() { tunables } else { tunables + ":" };
    again.args(words).env(TUNABLES, format!("{first}{OWN_PAGES}:{HEAP_END}"));
    // It comes back only if it could not begin; then this process goes on as it is.
    drop(again.exec());
    false
}

/// Other systems' allocators were not measured.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn gives_back() -> bool {
    false
}
