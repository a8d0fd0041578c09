//! What makes the process that runs cells fast, where its user has not set it otherwise.

use std::fs::DirEntry;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

/// Settings of the C library.
const TUNABLES_ENV: &str = "GLIBC_TUNABLES";
/// How many threads calculate, for rayon and for candle.
const THREADS_ENV: &str = "RAYON_NUM_THREADS";
/// A folder for each core, with what it can do where that is known.
const CORES: &str = "/sys/devices/system/cpu";

pub(super) fn give(command: &mut Command) {
    let set = |name| std::env::var(name).ok().filter(|set| !set.is_empty());
    command.env(TUNABLES_ENV, tunables(set(TUNABLES_ENV)));
    if set(THREADS_ENV).is_none() && are_alike(&capacities(Path::new(CORES))) {
        command.env(THREADS_ENV, threads().to_string());
    }
}

/// Large tensors in large pages: most of what it costs to make a tensor is that its memory is mapped, page
/// by page. What the user has set stays.
fn tunables(set: Option<String>) -> String {
    const LARGE_PAGES: &str = "glibc.malloc.hugetlb";
    match set {
        Some(set) if set.contains(LARGE_PAGES) => set,
        Some(set) => format!("{set}:{LARGE_PAGES}=1"),
        None => format!("{LARGE_PAGES}=1"),
    }
}

/// As many as candle takes, one a core, but no more than the process may use: where nobody says it, candle 0.11
/// reads it from /proc/cpuinfo at every product of matrices.
fn threads() -> usize {
    let allowed = available_parallelism().map_or(usize::MAX, Into::into);
    num_cpus::get_physical().min(allowed).max(1)
}

fn capacities(cores: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(cores).into_iter().flatten().flatten();
    let capacity = |entry: DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("cpu_capacity")).ok()?;
        text.trim().parse().ok()
    };
    entries.filter_map(capacity).collect()
}

/// Where they are not (large and small cores), candle counts the large ones, once.
fn are_alike(capacities: &[u32]) -> bool {
    let (least, most) = (capacities.iter().min(), capacities.iter().max());
    least
        .zip(most)
        .is_none_or(|(least, most)| least * 10 >= most * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_cores_are_candle_s_to_count() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(are_alike(&capacities(folder.path())));
        for (core, capacity) in [("cpu0", "1024\n"), ("cpu1", "1000\n")] {
            std::fs::create_dir(folder.path().join(core)).expect("a folder");
            std::fs::write(folder.path().join(core).join("cpu_capacity"), capacity)
                .expect("a file");
        }
        assert!(are_alike(&capacities(folder.path())));
        std::fs::write(folder.path().join("cpu1/cpu_capacity"), "446\n").expect("a file");
        assert!(!are_alike(&capacities(folder.path())));
    }

    #[test]
    fn settings_of_the_c_library_are_added_to() {
        assert_eq!(tunables(None), "glibc.malloc.hugetlb=1");
        let other = "glibc.malloc.check=1".to_owned();
        assert_eq!(
            tunables(Some(other)),
            "glibc.malloc.check=1:glibc.malloc.hugetlb=1"
        );
        let off = "glibc.malloc.hugetlb=0".to_owned();
        assert_eq!(tunables(Some(off.clone())), off);
    }

    #[test]
    fn as_many_threads_calculate_as_there_are_cores() {
        let threads = threads();
        assert!(threads >= 1 && threads <= num_cpus::get(), "{threads}");
    }
}
