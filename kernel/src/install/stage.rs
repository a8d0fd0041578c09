//! Puts what cargo built into an installation.

use super::outline::outline;
use crate::analyzer::standard_crates;
use crate::assist;
use crate::toolchain::graph;
use crate::toolchain::prebuilt::Prebuilt;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies kernel and prelude, and what cells need to compile, from what `cargo build
/// --message-format=json` listed in `artifacts`. Returns the installed kernel's path.
pub(super) fn stage(artifacts: &Path, installation: &Path) -> Result<PathBuf, String> {
    let fresh = installation.with_extension("new");
    let _ = std::fs::remove_dir_all(&fresh);
    let (bin, prelude) = (fresh.join("bin"), fresh.join("prelude"));
    let crates = prelude.join("crates");
    for folder in [&bin, &crates] {
        std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    }
    let kernel = bin.join("ferrolens-kernel");
    copy(
        &std::env::current_exe().map_err(|error| error.to_string())?,
        &kernel,
    )?;

    let metadata = run(Command::new("cargo").args(["metadata", "--format-version=1", "--locked"]))?;
    let behind = behind_prelude(&metadata)?;
    let listed = std::fs::read_to_string(artifacts)
        .map_err(|error| format!("{} cannot be read: {error}.", artifacts.display()))?;
    let mut library = None;
    for line in listed.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if message["reason"] != "compiler-artifact"
            || !message["package_id"]
                .as_str()
                .is_some_and(|id| behind.contains(id))
        {
            continue;
        }
        for file in message["filenames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let file = Path::new(file);
            let name = file.file_name().unwrap_or_default();
            if name == "libferrolens.so" {
                library = Some(file.to_owned());
            } else if file
                .extension()
                .is_some_and(|ending| ending == "rmeta" || ending == "so")
            {
                copy(file, &crates.join(name))?;
            }
        }
    }
    let library =
        library.ok_or("cargo's list names no libferrolens.so: build the prelude first.")?;
    copy(&library, &prelude.join("libferrolens.so"))?;
    copy_std(&prelude)?;
    let graph = graph::cut(&metadata)?;
    let described: Vec<PathBuf> = (graph::DESCRIBED.iter())
        .filter_map(|name| sources(&graph, name))
        .collect();
    let graph = own_sources(graph, &prelude, installation)?;
    write(&prelude.join("graph.json"), &graph.to_string())?;
    let standard = crate::toolchain::workspace::std_source(Path::new("rustc"));
    let catalogue = assist::read_catalogue(&described, standard.as_deref());
    let catalogue = serde_json::to_string(&catalogue).map_err(|error| error.to_string())?;
    write(&prelude.join("catalogue.json"), &catalogue)?;
    if let Some(standard) = standard {
        own_standard(&standard, &Prebuilt::standard_in(&prelude))?;
    }
    write(
        &prelude.join("settings"),
        &run(Command::new("rustc").args(["--print", "cfg"]))?,
    )?;
    write(&prelude.join("layout"), &layout()?)?;
    write(
        &prelude.join("rustc"),
        &run(Command::new("rustc").arg("-vV"))?,
    )?;

    // A kernel that runs keeps the files that it has open.
    let old = installation.with_extension("old");
    let _ = std::fs::remove_dir_all(&old);
    if installation.exists() {
        std::fs::rename(installation, &old).map_err(|error| cannot(installation, &error))?;
    }
    std::fs::rename(&fresh, installation).map_err(|error| cannot(installation, &error))?;
    let _ = std::fs::remove_dir_all(&old);
    Ok(installation.join("bin/ferrolens-kernel"))
}

/// How large types are, without which the analyzer does not know the lengths of arrays. The compiler
/// tells it with what else only its next versions promise.
fn layout() -> Result<String, String> {
    let mut rustc = Command::new("rustc");
    let rustc = rustc.env("RUSTC_BOOTSTRAP", "1");
    let printed = run(rustc.args(["-Zunstable-options", "--print", "target-spec-json"]))?;
    let target: Value = serde_json::from_str(&printed).map_err(|error| error.to_string())?;
    Ok(target["data-layout"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// The packages inside the prelude.
fn behind_prelude(metadata: &str) -> Result<HashSet<String>, String> {
    let metadata: Value = serde_json::from_str(metadata).map_err(|error| error.to_string())?;
    let nodes: HashMap<&str, Vec<&str>> = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| {
            let dependencies = node["dependencies"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str);
            Some((node["id"].as_str()?, dependencies.collect()))
        })
        .collect();
    let prelude = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "ferrolens")
        .and_then(|package| package["id"].as_str())
        .ok_or(
            "This folder has no package `ferrolens`: run install.sh in the project's own folder.",
        )?;
    let mut found = HashSet::new();
    let mut open = vec![prelude];
    while let Some(id) = open.pop() {
        if found.insert(id.to_owned()) {
            open.extend(nodes.get(id).into_iter().flatten());
        }
    }
    Ok(found)
}

/// The standard library that prelude and cells share.
fn copy_std(prelude: &Path) -> Result<(), String> {
    let libdir = run(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let libdir = Path::new(libdir.trim());
    let entries = std::fs::read_dir(libdir).map_err(|error| cannot(libdir, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("libstd-") && name.ends_with(".so") {
            copy(&entry.path(), &prelude.join(name.as_ref()))?;
        }
    }
    Ok(())
}

/// The folder with the sources of a package.
fn sources(graph: &Value, name: &str) -> Option<PathBuf> {
    let packages = graph["packages"].as_array()?;
    let package = packages.iter().find(|package| package["name"] == name)?;
    let manifest = Path::new(package["manifest_path"].as_str()?);
    Some(manifest.parent()?.join("src"))
}

/// Copies the sources that the analyzer reads, so that the installation stands alone, and points the
/// graph to them.
fn own_sources(mut graph: Value, prelude: &Path, installation: &Path) -> Result<Value, String> {
    let mut moved = HashMap::new();
    for package in graph["packages"].as_array().into_iter().flatten() {
        let (Some(name), Some(version), Some(manifest)) = (
            package["name"].as_str(),
            package["version"].as_str(),
            package["manifest_path"].as_str(),
        ) else {
            continue;
        };
        let Some(from) = Path::new(manifest).parent() else {
            continue;
        };
        let folder = format!("{name}-{version}");
        let to = prelude.join("source").join(&folder);
        copy_rust(&from.join("src"), &to.join("src"))?;
        copy(Path::new(manifest), &to.join("Cargo.toml"))?;
        moved.insert(
            from.to_owned(),
            installation.join("prelude/source").join(folder),
        );
    }
    for package in graph["packages"].as_array_mut().into_iter().flatten() {
        point(&mut package["manifest_path"], &moved);
        for target in package["targets"].as_array_mut().into_iter().flatten() {
            point(&mut target["src_path"], &moved);
        }
    }
    Ok(graph)
}

/// Replaces the deepest moved folder at the front of a path.
fn point(path: &mut Value, moved: &HashMap<PathBuf, PathBuf>) {
    let Some(text) = path.as_str().map(PathBuf::from) else {
        return;
    };
    for ancestor in text.ancestors() {
        if let (Some(to), Ok(rest)) = (moved.get(ancestor), text.strip_prefix(ancestor)) {
            *path = Value::String(to.join(rest).to_string_lossy().into_owned());
            return;
        }
    }
}

/// Outlines of the standard library. Without a manifest beside them nobody asks cargo about it.
fn own_standard(from: &Path, to: &Path) -> Result<(), String> {
    for name in standard_crates() {
        let (from, to) = (from.join(name).join("src"), to.join(name).join("src"));
        if from.is_dir() {
            copy_rust(&from, &to)?;
        }
    }
    Ok(())
}

/// Outlines of the Rust files below `from`.
fn copy_rust(from: &Path, to: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(from).map_err(|error| cannot(from, &error))?;
    std::fs::create_dir_all(to).map_err(|error| cannot(to, &error))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            copy_rust(&path, &to.join(entry.file_name()))?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).map_err(|error| cannot(&path, &error))?;
            write(&to.join(entry.file_name()), &outline(&text))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(drop).map_err(|error| {
        format!(
            "{} cannot be copied to {}: {error}.",
            from.display(),
            to.display()
        )
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!(
        "{} cannot be used: {error}. Free some space, or choose another --prefix DIR.",
        path.display()
    )
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| {
        format!(
            "{} could not be started: {error}.",
            command.get_program().display()
        )
    })?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_move_with_their_package() {
        let moved = HashMap::from([(PathBuf::from("/a/b"), PathBuf::from("/x"))]);
        let mut path = json!("/a/b/src/lib.rs");
        point(&mut path, &moved);
        assert_eq!(path, json!("/x/src/lib.rs"));
        let mut other = json!("/a/c.rs");
        point(&mut other, &moved);
        assert_eq!(other, json!("/a/c.rs"));
    }

    #[test]
    fn only_what_is_behind_the_prelude_is_taken() {
        let metadata = json!({
            "packages": [{"name": "ferrolens", "id": "f"}, {"name": "kernel", "id": "k"}],
            "resolve": {"nodes": [
                {"id": "f", "dependencies": ["c"]}, {"id": "c", "dependencies": []},
                {"id": "k", "dependencies": ["z"]},
            ]},
        });
        let found = behind_prelude(&metadata.to_string()).expect("the shape of cargo metadata");
        assert_eq!(found, HashSet::from(["f".to_owned(), "c".to_owned()]));
    }
}
