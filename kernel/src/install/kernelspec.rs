//! What Jupyter reads: `kernel.json` and the logos.

use serde_json::json;
use std::path::Path;

const LOGO: &[u8] = include_bytes!("logo-svg.svg");
const LOGO_32: &[u8] = include_bytes!("logo-32x32.png");
const LOGO_64: &[u8] = include_bytes!("logo-64x64.png");

/// Writes the kernelspec for the kernel at `kernel`.
pub(super) fn write(folder: &Path, kernel: &Path) -> Result<(), String> {
    let spec = json!({
        "argv": [kernel, "run", "{connection_file}"],
        "display_name": "Rust (ferrolens)",
        "language": "rust",
        "interrupt_mode": "message",
        "kernel_protocol_version": "5.4",
        "metadata": {"debugger": false},
    });
    let spec = serde_json::to_vec_pretty(&spec).map_err(|error| error.to_string())?;
    let cannot = |error: std::io::Error| {
        format!(
            "The kernelspec cannot be written to {}: {error}. Choose another place with --prefix \
             DIR.",
            folder.display()
        )
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    for (name, content) in [
        ("kernel.json", spec.as_slice()),
        ("logo-svg.svg", LOGO),
        ("logo-32x32.png", LOGO_32),
        ("logo-64x64.png", LOGO_64),
    ] {
        std::fs::write(folder.join(name), content).map_err(cannot)?;
    }
    Ok(())
}
