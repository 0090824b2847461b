//! The memory that a container or control group leaves the process.
//!
//! Version 2 has a tree of groups, each with `memory.max`; version 1 has one for memory, with
//! `memory.limit_in_bytes`. A group's limit holds for all below it, so the least on the way to the
//! root counts.

use std::path::Path;

/// A part in so many is kept back for what the system takes on the process's behalf.
const KEPT_BACK: u64 = 32;

/// The budget of a command: what was named, or what a limit leaves where nothing was, or less. True
/// if more was named than the limit is.
pub fn budget(named: Option<u64>, limit: Option<u64>) -> (Option<u64>, bool) {
    let Some(limit) = limit else { return (named, false) };
    let left = limit - limit / KEPT_BACK;
    match named {
        Some(named) if named <= limit => (Some(named), false),
        named => (Some(left), named.is_some()),
    }
}

/// The limit that is below the machine's memory, where there is one.
pub fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limit = least_limit(&groups, Path::new("/sys/fs/cgroup"))?;
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = memory.trim().trim_end_matches("kB").trim().parse().ok()?;
    (limit < kibibytes * 1024).then_some(limit)
}

/// The least limit of the groups that a process is in; `groups` is what `/proc/self/cgroup` says,
/// `root` where groups are mounted.
fn least_limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (kinds, group) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (mount, file) = match kinds {
            "" => (root.to_path_buf(), "memory.max"),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // In a container its own group is the root of what it sees.
        let own = mount.join(group);
        let ways = own.ancestors().take_while(|way| way.starts_with(&mount));
        let said = ways.filter_map(|way| std::fs::read_to_string(way.join(file)).ok());
        said.filter_map(|text| text.trim().parse::<u64>().ok()).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn group(root: &Path, way: &str, file: &str, limit: &str) {
        fs::create_dir_all(root.join(way)).unwrap();
        fs::write(root.join(way).join(file), limit).unwrap();
    }

    #[test]
    fn a_limit_is_the_budget_that_nobody_named_and_the_most_that_is_taken() {
        assert_eq!(budget(None, None), (None, false));
        assert_eq!(budget(Some(50), None), (Some(50), false));
        assert_eq!(budget(None, Some(64)), (Some(62), false));
        assert_eq!(budget(Some(64), Some(64)), (Some(64), false));
        assert_eq!(budget(Some(65), Some(64)), (Some(62), true));
    }

    #[test]
    fn the_least_limit_on_the_way_to_the_root_counts() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), "a", "memory.max", "4096\n");
        group(root.path(), "a/b", "memory.max", "max\n");
        group(root.path(), "c", "memory.max", "100\n");
        assert_eq!(least_limit("0::/a/b\n", root.path()), Some(4096));
        assert_eq!(least_limit("0::/d\n", root.path()), None);
        assert_eq!(least_limit("nonsense\n", root.path()), None);
    }

    #[test]
    fn the_first_version_has_groups_for_memory_alone() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), "memory", "memory.limit_in_bytes", "9223372036854771712\n");
        group(root.path(), "memory/a", "memory.limit_in_bytes", "2048\n");
        let groups = "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n";
        assert_eq!(least_limit(groups, root.path()), Some(2048));
        // A container that sees only its own group.
        assert_eq!(least_limit("4:memory:/docker/x\n", root.path()), Some(9223372036854771712));
    }
}
