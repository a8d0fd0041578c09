//! Whether the system ended a process because memory ran out.

/// How often the system has done that, in all and in this process's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kills {
    system: Option<u64>,
    group: Option<u64>,
}

impl Kills {
    pub(super) fn now() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let group = read("/proc/self/cgroup").and_then(|text| {
            let folder = text.lines().find_map(|line| line.strip_prefix("0::"))?;
            read(&format!("/sys/fs/cgroup{folder}/memory.events"))
                // In a container its own group is the root.
                .or_else(|| read("/sys/fs/cgroup/memory.events"))
        });
        Self {
            system: read("/proc/vmstat").as_deref().and_then(count),
            group: group.as_deref().and_then(count),
        }
    }

    /// Whether one more has been counted since `before`.
    pub(super) fn grew_since(self, before: Self) -> bool {
        let grew = |now: Option<u64>, before: Option<u64>| {
            now.zip(before).is_some_and(|(now, before)| now > before)
        };
        grew(self.group, before.group) || grew(self.system, before.system)
    }
}

/// The counter in a text with a name and a number on each line.
fn count(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|number| number.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_from_both_files() {
        assert_eq!(
            count("low 0\nhigh 3\noom 2\noom_kill 1\noom_group_kill 0\n"),
            Some(1)
        );
        assert_eq!(count("nr_free_pages 1\noom_kill 12\nnumastat 3"), Some(12));
        assert_eq!(count("oom 2\n"), None);
    }

    #[test]
    fn only_a_counter_that_grew_says_so() {
        let kills = |system, group| Kills { system, group };
        assert!(kills(Some(3), None).grew_since(kills(Some(2), None)));
        assert!(kills(Some(3), Some(1)).grew_since(kills(Some(3), Some(0))));
        assert!(!kills(Some(3), Some(1)).grew_since(kills(Some(3), Some(1))));
        assert!(
            !kills(Some(3), None).grew_since(kills(None, None)),
            "nothing to compare with"
        );
    }
}
