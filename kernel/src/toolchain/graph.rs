//! The crates that cells can name: a graph that was stored at install time, and what `:dep` added.
//!
//! The real graph behind the prelude has some 470 packages; the analyzer that reads it needs 12 s
//! and 1.2 GB for them, and a cell can name only a few. [`cut`] keeps those.

use super::front::{REAL_CARGO_ENV, real_command};
use super::prebuilt::Prebuilt;
use super::workspace;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The packages whose types a notebook's variables usually have: those that the prelude re-exports,
/// and those that define what they re-export in turn. Each costs the start of every kernel; the type
/// of a variable from another crate is written by hand.
const NAMED: &[&str] = &[
    "ferrolens",
    "ferrolens-frames",
    "candle-core",
    "candle-nn",
    "plotly",
    "polars",
    "polars-core",
    "polars-dtype",
    "polars-error",
    "polars-lazy",
    "polars-plan",
    "polars-schema",
    "polars-utils",
    "safetensors",
    "serde",
    "serde_json",
    "tokenizers",
];

/// Those of them whose types' members completion knows by heart.
pub const DESCRIBED: &[&str] = &[
    "ferrolens",
    "candle-core",
    "candle-nn",
    "plotly",
    "polars-core",
    "polars-lazy",
    "serde_json",
    "tokenizers",
];

/// Cuts the output of `cargo metadata` to the packages that a cell can name.
///
/// # Errors
/// A sentence when it is not what `cargo metadata --format-version 1` prints.
pub fn cut(metadata: &str) -> Result<Value, String> {
    let mut metadata: Value = serde_json::from_str(metadata).map_err(|error| error.to_string())?;
    let named: HashSet<&str> = NAMED.iter().copied().collect();
    let packages = metadata["packages"]
        .as_array_mut()
        .ok_or("the metadata has no packages")?;
    packages.retain(|package| {
        package["name"]
            .as_str()
            .is_some_and(|name| named.contains(name))
    });
    let kept: HashSet<String> = packages
        .iter()
        .filter_map(|package| package["id"].as_str())
        .map(str::to_owned)
        .collect();
    for package in packages {
        // Build scripts and examples are not for cells.
        if let Some(targets) = package["targets"].as_array_mut() {
            targets.retain(|target| {
                target["kind"].as_array().is_some_and(|kinds| {
                    kinds.iter().any(|kind| {
                        matches!(kind.as_str(), Some("lib" | "rlib" | "dylib" | "proc-macro"))
                    })
                })
            });
        }
    }
    let nodes = metadata["resolve"]["nodes"]
        .as_array_mut()
        .ok_or("the metadata has no graph")?;
    let is_kept = |id: &Value| id.as_str().is_some_and(|id| kept.contains(id));
    nodes.retain(|node| is_kept(&node["id"]));
    for node in nodes {
        if let Some(ids) = node["dependencies"].as_array_mut() {
            ids.retain(is_kept);
        }
        if let Some(dependencies) = node["deps"].as_array_mut() {
            dependencies.retain(|dependency| is_kept(&dependency["pkg"]));
        }
    }
    Ok(json!({"packages": metadata["packages"], "nodes": metadata["resolve"]["nodes"]}))
}

/// What the analyzer reads.
#[derive(Debug, Default)]
pub struct Answer {
    /// As `cargo metadata` says it: the cells, the prelude, and what `:dep` added.
    pub metadata: Value,
    /// The standard library's sources.
    pub standard: Option<PathBuf>,
    /// What cells are compiled for, one setting a line.
    pub settings: String,
    /// How large types are there, in the compiler's notation.
    pub layout: String,
}

impl Answer {
    /// What the crate of cells with this manifest can name.
    ///
    /// # Errors
    /// A sentence when the prelude is not installed as it should be, or cargo cannot say what the user's
    /// dependencies are.
    pub fn of(manifest: &Path) -> Result<Self, String> {
        let prebuilt = Prebuilt::find()?;
        let graph = std::fs::read_to_string(prebuilt.graph()).map_err(|error| error.to_string())?;
        let graph: Value = serde_json::from_str(&graph).map_err(|error| error.to_string())?;
        let mut metadata = match workspace::dependencies(manifest) {
            Some(_) => {
                let folder = manifest.parent().unwrap_or(manifest);
                let mut cargo = real_command(REAL_CARGO_ENV, "cargo");
                let cargo = cargo
                    .args(["metadata", "--format-version=1"])
                    .current_dir(folder);
                let output = cargo.output().map_err(|error| error.to_string())?;
                // What cannot be said of the user's dependencies can be said of the prelude.
                serde_json::from_slice(&output.stdout).or_else(|_| cells_alone(manifest))?
            }
            None => cells_alone(manifest)?,
        };
        add_prelude(&mut metadata, &graph);
        Ok(Self {
            metadata,
            standard: prebuilt.standard(),
            settings: std::fs::read_to_string(prebuilt.settings()).unwrap_or_default(),
            layout: std::fs::read_to_string(prebuilt.layout()).unwrap_or_default(),
        })
    }
}

/// How the engine's own analyzer asks. The session has another one, which sees more and waits less; this
/// one is told of the cells alone.
const ANALYZERS: &[&str] = &["--no-deps", "--filter-platform"];

/// Prints the graph of the crate of cells, with what `:dep` added.
pub(super) fn answer(manifest: &Path, args: &[String]) -> Result<i32, String> {
    let is_analyzer = args.iter().any(|arg| ANALYZERS.contains(&arg.as_str()));
    if workspace::dependencies(manifest).is_some() && !is_analyzer {
        let output = real_command(REAL_CARGO_ENV, "cargo")
            .args(args)
            .output()
            .map_err(|error| format!("cargo could not be started: {error}"))?;
        let _ = std::io::stderr().write_all(&output.stderr);
        let _ = std::io::stdout().write_all(&output.stdout);
        return Ok(output.status.code().unwrap_or(101));
    }
    println!("{}", cells_alone(manifest)?);
    Ok(0)
}

fn cells_alone(manifest: &Path) -> Result<Value, String> {
    let folder = manifest
        .parent()
        .ok_or("the crate of cells has no folder")?;
    let id = format!("path+file://{}#ctx@1.0.0", folder.display());
    Ok(json!({
        "packages": [{
            "name": "ctx",
            "version": "1.0.0",
            "id": id,
            "license": null,
            "license_file": null,
            "description": null,
            "source": null,
            "dependencies": [],
            "targets": [{
                "kind": ["cdylib"],
                "crate_types": ["cdylib"],
                "name": "ctx",
                "src_path": folder.join("src/lib.rs"),
                "edition": "2024",
                "doc": true,
                "doctest": false,
                "test": true,
            }],
            "features": {},
            "manifest_path": manifest,
            "metadata": null,
            "publish": null,
            "authors": [],
            "categories": [],
            "keywords": [],
            "readme": null,
            "repository": null,
            "homepage": null,
            "documentation": null,
            "edition": "2024",
            "links": null,
            "default_run": null,
            "rust_version": null,
        }],
        "workspace_members": [id],
        "workspace_default_members": [id],
        "resolve": {
            "nodes": [{"id": id, "dependencies": [], "deps": [], "features": []}],
            "root": id,
        },
        "target_directory": folder.join("target"),
        "build_directory": folder.join("target"),
        "version": 1,
        "workspace_root": folder,
        "metadata": null,
    }))
}

/// Makes the prelude a dependency of the cells.
fn add_prelude(metadata: &mut Value, graph: &Value) {
    let packages = graph["packages"].as_array().cloned().unwrap_or_default();
    let Some(prelude) = packages
        .iter()
        .find(|package| package["name"] == "ferrolens")
        .cloned()
    else {
        return;
    };
    let root = metadata["workspace_members"][0].clone();
    let known: HashSet<String> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| package["id"].as_str().map(str::to_owned))
        .collect();
    let is_new = |id: &Value| id.as_str().is_some_and(|id| !known.contains(id));
    if let Some(all) = metadata["packages"].as_array_mut() {
        for package in all.iter_mut().filter(|package| package["id"] == root) {
            if let Some(dependencies) = package["dependencies"].as_array_mut() {
                dependencies.push(json!({
                    "name": "ferrolens", "source": null, "req": "*", "kind": null, "rename": null,
                    "optional": false, "uses_default_features": true, "features": [],
                    "target": null, "registry": null,
                }));
            }
        }
        all.extend(
            packages
                .into_iter()
                .filter(|package| is_new(&package["id"])),
        );
    }
    if let Some(nodes) = metadata["resolve"]["nodes"].as_array_mut() {
        for node in nodes.iter_mut().filter(|node| node["id"] == root) {
            if let Some(ids) = node["dependencies"].as_array_mut() {
                ids.push(prelude["id"].clone());
            }
            if let Some(dependencies) = node["deps"].as_array_mut() {
                dependencies.push(json!({
                    "name": "ferrolens", "pkg": prelude["id"],
                    "dep_kinds": [{"kind": null, "target": null}],
                }));
            }
        }
        let more = graph["nodes"].as_array().cloned().unwrap_or_default();
        nodes.extend(more.into_iter().filter(|node| is_new(&node["id"])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_keeps_what_a_cell_can_name_and_no_dangling_edge() {
        let package = |name: &str| {
            json!({"name": name, "id": name, "targets": [
            {"kind": ["lib"], "name": name}, {"kind": ["custom-build"], "name": "build"}]})
        };
        let metadata = json!({
            "packages": [package("ferrolens"), package("candle-core"), package("zip")],
            "resolve": {"nodes": [
                {"id": "ferrolens", "dependencies": ["candle-core", "zip"],
                 "deps": [{"name": "candle_core", "pkg": "candle-core"}, {"name": "zip", "pkg": "zip"}]},
                {"id": "zip", "dependencies": [], "deps": []},
            ]},
        });
        let cut = cut(&metadata.to_string()).expect("the shape of cargo metadata");
        assert_eq!(cut["packages"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            cut["packages"][0]["targets"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(
            cut["nodes"],
            json!([{"id": "ferrolens", "dependencies": ["candle-core"],
                    "deps": [{"name": "candle_core", "pkg": "candle-core"}]}])
        );
    }
}
