//! What a variable is, as text.

use super::describing::Description;
use ferrolens_frames::VariableSummary;

/// A variable with its type and, where the child has said it, its look.
pub(super) fn describe(
    name: &str,
    kind: &str,
    summary: Option<&VariableSummary>,
    about_type: Option<&Description>,
) -> Description {
    let empty = VariableSummary::default();
    let summary = summary.unwrap_or(&empty);
    let mut facts = Vec::new();
    facts.extend(
        summary
            .shape
            .as_ref()
            .map(|shape| format!("shape {shape:?}")),
    );
    facts.extend(summary.dtype.clone());
    facts.extend(summary.device.clone());
    facts.extend(summary.bytes.map(size));
    let facts = facts.join(", ");
    let mut plain = format!("{name}: {kind}\n");
    let mut markdown = format!("```rust\nlet {name}: {kind}\n```\n");
    if !facts.is_empty() {
        plain.push_str(&format!("{facts}\n"));
        markdown.push_str(&format!("\n{facts}\n"));
    }
    if !summary.value.is_empty() {
        plain.push_str(&format!("{}\n", summary.value));
        let value = summary.value.replace("```", "'''");
        markdown.push_str(&format!("\n```text\n{value}\n```\n"));
    }
    if let Some(about) = about_type {
        plain.push_str(&format!("\n{}", about.plain));
        markdown.push_str(&format!("\n---\n\n{}", about.markdown));
    }
    Description { plain, markdown }
}

/// Bytes as a reader counts them.
fn size(bytes: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (step, unit) in STEPS {
        if bytes >= step {
            return format!("{:.1} {unit}", bytes as f64 / step as f64);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_shows_type_shape_and_value() {
        let summary = VariableSummary {
            value: "[1, 2]".to_owned(),
            shape: Some(vec![2]),
            dtype: Some("f32".to_owned()),
            device: Some("cpu".to_owned()),
            bytes: Some(1536),
            ..VariableSummary::default()
        };
        let found = describe("x", "Tensor", Some(&summary), None);
        assert_eq!(
            found.plain,
            "x: Tensor\nshape [2], f32, cpu, 1.5 KiB\n[1, 2]\n"
        );
        assert!(found.markdown.starts_with("```rust\nlet x: Tensor\n```\n"));
        assert_eq!(describe("y", "i32", None, None).plain, "y: i32\n");
    }
}
