//! `:vars`: what the engine knows of the variables, and what they looked like when they were stored.

use super::table::Table;
use super::types::short;
use super::wrong;
use crate::session::engine::Engine;
use crate::session::{Cell, CellError};
use ferrolens_frames::Bundle;

pub(super) fn run(
    engine: &mut Engine,
    _: &Cell,
    arguments: &str,
) -> Result<Option<Bundle>, CellError> {
    if !arguments.is_empty() {
        return Err(wrong(format!(
            "`:vars` shows all variables; for the type of `{arguments}` write `:type {arguments}`."
        )));
    }
    let types = engine.held();
    if types.is_empty() {
        return Ok(Some(Bundle::from([(
            "text/plain".to_owned(),
            "There are no variables.".into(),
        )])));
    }
    let seen = engine.bridge.variables();
    let mut table = Table::new(&["name", "type", "shape", "device", "memory", "value"]);
    for (name, kind) in types {
        let summary = seen.get(&name).cloned().unwrap_or_default();
        let shape = summary.shape.map_or_else(String::new, |shape| {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            let numbers = summary.dtype.unwrap_or_default();
            format!("[{}] {numbers}", sizes.join(", "))
                .trim()
                .to_owned()
        });
        table.row([
            name,
            short(&kind),
            shape,
            summary.device.unwrap_or_default(),
            summary.bytes.map_or_else(String::new, memory),
            summary.value,
        ]);
    }
    Ok(Some(table.bundle()))
}

/// Bytes as a reader says them.
fn memory(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if bytes >= *size {
            let (whole, tenth) = (bytes / size, bytes % size / (size / 10));
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::memory;

    #[test]
    fn memory_has_a_unit() {
        for (bytes, words) in [
            (12, "12 B"),
            (4_000, "4.0 kB"),
            (1_250_000, "1.2 MB"),
            (5_300_000_000, "5.3 GB"),
        ] {
            assert_eq!(memory(bytes), words);
        }
    }
}
