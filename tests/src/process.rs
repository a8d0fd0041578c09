//! What the system says of a process.

use std::process;

/// The processes that a process has started.
pub fn children(of: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{of}/task")).into_iter();
    let of_threads = threads.flatten().flatten().map(|thread| {
        let list = std::fs::read_to_string(thread.path().join("children"));
        list.unwrap_or_default()
    });
    of_threads
        .flat_map(|list| {
            let ids = list.split_whitespace().flat_map(str::parse);
            ids.collect::<Vec<u32>>()
        })
        .collect()
}

/// The resident size of a process, in MB (10⁶ bytes); NaN where there is none.
pub fn resident_mb(process: u32) -> f64 {
    megabytes(process, "VmRSS:")
}

/// The largest resident size that a process has had, in MB.
pub fn peak_mb(process: u32) -> f64 {
    megabytes(process, "VmHWM:")
}

/// The largest resident size that this process has had, in MB.
pub fn own_peak_mb() -> f64 {
    peak_mb(process::id())
}

fn megabytes(process: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1.024e-3)
}
