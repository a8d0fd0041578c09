//! The machine: temporary folder, memory, graphics processor.

use super::finding::Finding;
use super::prelude;
use super::program::output;
use std::path::Path;

/// A session of some hundred cells takes about this much of the temporary folder.
const ENOUGH_SPACE: u64 = 500 << 20;

/// Below this a session cannot start.
const LEAST_SPACE: u64 = 100 << 20;

/// The kernel with its analyzer takes about half of this.
const ENOUGH_MEMORY: u64 = 1500 << 20;

pub(super) fn look() -> Vec<Finding> {
    vec![temporary(&std::env::temp_dir()), memory(), graphics()]
}

fn temporary(folder: &Path) -> Finding {
    const WHAT: &str = "temporary folder";
    const MEND: &str = "mkdir -p ~/tmp && export TMPDIR=~/tmp";
    let name = folder.display();
    if !prelude::is_writable(folder) {
        return Finding::missing(WHAT, format!("{name} cannot be written"), MEND);
    }
    let Some((space, is_noexec)) = file_system(folder) else {
        return Finding::missing(WHAT, format!("{name} cannot be looked at"), MEND);
    };
    if is_noexec {
        return Finding::missing(
            WHAT,
            format!("{name} is mounted noexec: cells cannot be loaded from it"),
            MEND,
        );
    }
    let found = format!("{name}, {} MB free", space >> 20);
    match space {
        space if space < LEAST_SPACE => Finding::missing(WHAT, found, MEND),
        space if space < ENOUGH_SPACE => Finding::advice(WHAT, found, MEND),
        _ => Finding::fine(WHAT, found),
    }
}

/// Free bytes, and whether programs may not be run from there.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn file_system(folder: &Path) -> Option<(u64, bool)> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: all zeros are a value of this plain structure.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the name ends in a zero, and the call fills `found`.
    if unsafe { libc::statvfs(name.as_ptr(), &raw mut found) } != 0 {
        return None;
    }
    let free = (found.f_bavail as u64).saturating_mul(found.f_frsize as u64);
    Some((free, found.f_flag & libc::ST_NOEXEC != 0))
}

fn memory() -> Finding {
    const WHAT: &str = "memory";
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match available(&text, limit) {
        None => Finding::advice(WHAT, "cannot be looked at", ""),
        Some(bytes) if bytes < ENOUGH_MEMORY => Finding::advice(
            WHAT,
            format!("{} MB available: the kernel alone takes 600", bytes >> 20),
            "end other programs, or ask for a larger machine",
        ),
        Some(bytes) => Finding::fine(WHAT, format!("{:.1} GB available", gigabytes(bytes))),
    }
}

#[allow(clippy::cast_precision_loss)]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// What is free of the machine, and not more than a container may take.
fn available(text: &str, limit: Option<u64>) -> Option<u64> {
    let free = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .saturating_mul(1024);
    Some(limit.map_or(free, |limit| free.min(limit)))
}

fn graphics() -> Finding {
    let listed = output("nvidia-smi", &["-L"]);
    // SAFETY: NVIDIA's own library; its initialisers talk to the driver.
    let has_driver =
        listed.is_some() || unsafe { libloading::Library::new("libcuda.so.1") }.is_ok();
    processor(listed.as_deref(), has_driver, prelude::has_cuda())
}

fn processor(listed: Option<&str>, has_driver: bool, has_cuda: bool) -> Finding {
    const WHAT: &str = "graphics processor";
    let name = listed
        .and_then(|text| text.lines().find(|line| line.starts_with("GPU ")))
        .and_then(|line| line.split_once(": "))
        .map_or("NVIDIA's driver", |(_, rest)| {
            rest.split(" (").next().unwrap_or(rest)
        });
    match (has_driver, has_cuda) {
        (true, true) => Finding::fine(WHAT, format!("{name}, used by `Device::new_cuda(0)`")),
        (true, false) => Finding::advice(
            WHAT,
            format!("{name}, but the prelude was built without cuda"),
            "./install.sh --features cuda",
        ),
        (false, true) => Finding::advice(
            WHAT,
            "none is seen, though the prelude was built with cuda: `Device::Cpu` works",
            "nvidia-smi says what is wrong with the driver",
        ),
        (false, false) => Finding::fine(WHAT, "none: models run on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::report::finding::State;

    #[test]
    fn a_container_may_take_less_than_is_free() {
        let text = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text, None), Some(2 << 20));
        assert_eq!(available(text, Some(5)), Some(5));
        assert_eq!(available("", None), None);
    }

    #[test]
    fn a_processor_that_is_not_used_is_advice() {
        let list = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)\n";
        for (listed, driver, cuda, state, says) in [
            (
                Some(list),
                true,
                true,
                State::Fine,
                "NVIDIA H100 80GB HBM3, used",
            ),
            (Some(list), true, false, State::Advice, "without cuda"),
            (None, true, false, State::Advice, "NVIDIA's driver"),
            (None, false, true, State::Advice, "none is seen"),
            (None, false, false, State::Fine, "CPU"),
        ] {
            let found = processor(listed, driver, cuda);
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.found.contains(says), "{found:?}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_missing() {
        let found = temporary(Path::new("/proc/no/such/folder"));
        assert_eq!(found.state, State::Missing);
        assert!(found.mend.contains("TMPDIR"));
        let here = tempfile::tempdir().expect("a folder");
        assert!(file_system(here.path()).is_some_and(|(free, _)| free > 0));
    }
}
