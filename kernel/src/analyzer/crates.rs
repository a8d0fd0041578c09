//! The crates that a cell can name, and their files.

use crate::toolchain::graph::Answer;
use ra_ap_base_db::target::{Arch, TargetData};
use ra_ap_base_db::{
    AbsPathBuf, CrateBuilderId, CrateDisplayName, CrateGraphBuilder, CrateName, CrateOrigin,
    CrateWorkspaceData, DependencyBuilder, Env, FileChange, FileSet, LangCrateOrigin, SourceRoot,
    VfsPath,
};
use ra_ap_cfg::{CfgAtom, CfgOptions};
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_ide::Edition;
use ra_ap_intern::Symbol;
use ra_ap_vfs::FileId;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use triomphe::Arc;

/// The crates of the standard library, each after those that it depends on, and whether their names
/// are in force in every crate.
const STANDARD: &[(&str, &[&str], bool)] = &[
    ("core", &[], true),
    ("alloc", &["core"], false),
    ("unwind", &["core"], false),
    ("panic_unwind", &["core", "alloc", "unwind"], false),
    ("std", &["core", "alloc", "unwind", "panic_unwind"], true),
    ("proc_macro", &["core", "std"], false),
];

/// The names of the standard library's crates that a cell's types come from.
pub fn standard_crates() -> impl Iterator<Item = &'static str> {
    STANDARD.iter().map(|(name, _, _)| *name)
}

/// The standard library's crates that every crate may name.
const NAMED: &[&str] = &["core", "alloc", "std", "proc_macro"];

/// The files that have been read, by the numbers that the analyzer knows them by.
#[derive(Default)]
pub(super) struct Sources {
    files: HashMap<PathBuf, FileId>,
}

/// Another text in one file.
pub(super) fn change(file: FileId, text: &str) -> ChangeWithProcMacros {
    let mut change = FileChange::default();
    change.change_file(file, Some(text.to_owned()));
    ChangeWithProcMacros {
        source_change: change,
        proc_macros: None,
    }
}

/// A graph that grows.
struct Graph<'a> {
    crates: CrateGraphBuilder,
    by_name: HashMap<String, CrateBuilderId>,
    settings: &'a CfgOptions,
    shared: Arc<CrateWorkspaceData>,
}

impl Sources {
    /// Reads all crates of the answer, and those of the standard library; the number of the cells' own
    /// file, and what is to be told the analyzer.
    pub(super) fn read(
        &mut self,
        manifest: &Path,
        answer: &Answer,
        text: &str,
    ) -> (FileId, ChangeWithProcMacros) {
        let mut change = FileChange::default();
        let settings = settings(&answer.settings);
        let mut graph = Graph {
            crates: CrateGraphBuilder::default(),
            by_name: HashMap::new(),
            settings: &settings,
            shared: Arc::new(CrateWorkspaceData {
                target: Ok(TargetData {
                    data_layout: answer.layout.as_str().into(),
                    arch: Arch::Other,
                }),
                toolchain: None,
            }),
        };
        let mut library = FileSet::default();
        if let Some(folder) = &answer.standard {
            for (name, needs, _) in STANDARD {
                let root = folder.join(name).join("src/lib.rs");
                self.add_folder(root.parent(), &mut library, &mut change);
                graph.add_standard(name, self.files.get(&root).copied(), needs);
            }
        }
        let cells = manifest.with_file_name("src").join("lib.rs");
        let own = self.number(&cells);
        change.change_file(own, Some(text.to_owned()));
        let packages = answer.metadata["packages"].as_array();
        for package in packages.into_iter().flatten() {
            let Some(root) = root_of(package) else {
                continue;
            };
            if root != cells {
                self.add_folder(root.parent(), &mut library, &mut change);
            }
            graph.add_package(package, self.files.get(&root).copied(), &answer.metadata);
        }
        graph.connect(&answer.metadata);
        let mut local = FileSet::default();
        if let Some(path) = path(&cells) {
            local.insert(own, path);
        }
        change.set_roots(vec![
            SourceRoot::new_local(local),
            SourceRoot::new_library(library),
        ]);
        change.set_crate_graph(graph.crates);
        let change = ChangeWithProcMacros {
            source_change: change,
            proc_macros: None,
        };
        (own, change)
    }

    fn number(&mut self, path: &Path) -> FileId {
        let next = FileId::from_raw(u32::try_from(self.files.len()).unwrap_or(u32::MAX >> 1));
        *self.files.entry(path.to_owned()).or_insert(next)
    }

    /// Reads the Rust files below a folder; those that were read before have not changed.
    fn add_folder(&mut self, folder: Option<&Path>, set: &mut FileSet, change: &mut FileChange) {
        let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let file = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_folder(Some(&file), set, change);
            } else if file.extension().is_some_and(|ending| ending == "rs")
                && let Some(name) = path(&file)
            {
                let is_new = !self.files.contains_key(&file);
                let number = self.number(&file);
                set.insert(number, name);
                if is_new && let Ok(text) = std::fs::read_to_string(&file) {
                    change.change_file(number, Some(text));
                }
            }
        }
    }
}

impl Graph<'_> {
    fn add_standard(&mut self, name: &str, root: Option<FileId>, needs: &[&str]) {
        let Some(root) = root else { return };
        let mut settings = self.settings.clone();
        // Without these it would have parts that no program sees.
        settings.extend(["debug_assertions", "miri"].map(|it| CfgAtom::Flag(Symbol::intern(it))));
        let origin = CrateOrigin::Lang(LangCrateOrigin::from(name));
        let id = self.add(root, Edition::Edition2024, name, settings, origin);
        for need in needs {
            self.depend(id, need, need, true);
        }
        self.by_name.insert(standard(name), id);
    }

    fn add_package(&mut self, package: &Value, root: Option<FileId>, metadata: &Value) {
        let (Some(root), Some(id)) = (root, package["id"].as_str()) else {
            return;
        };
        let name = package["name"].as_str().unwrap_or_default();
        let edition = package["edition"].as_str().unwrap_or_default();
        let edition = edition.parse().unwrap_or(Edition::Edition2021);
        let mut settings = self.settings.clone();
        let nodes = metadata["resolve"]["nodes"].as_array();
        let node = nodes.into_iter().flatten().find(|node| node["id"] == id);
        for feature in node
            .and_then(|node| node["features"].as_array())
            .into_iter()
            .flatten()
        {
            let feature = Symbol::intern(feature.as_str().unwrap_or_default());
            settings.insert_key_value(Symbol::intern("feature"), feature);
        }
        let origin = match package["source"].is_null() && name == "ctx" {
            true => CrateOrigin::Local {
                repo: None,
                name: Some(Symbol::intern(name)),
            },
            false => CrateOrigin::Library {
                repo: None,
                name: Symbol::intern(name),
            },
        };
        let built = self.add(root, edition, name, settings, origin);
        for (name, _, is_prelude) in STANDARD.iter().filter(|it| NAMED.contains(&it.0)) {
            self.depend(built, name, name, *is_prelude);
        }
        self.by_name.insert(id.to_owned(), built);
    }

    fn add(
        &mut self,
        root: FileId,
        edition: Edition,
        name: &str,
        settings: CfgOptions,
        origin: CrateOrigin,
    ) -> CrateBuilderId {
        let folder = AbsPathBuf::assert("/".into());
        self.crates.add_crate_root(
            root,
            edition,
            Some(CrateDisplayName::from_canonical_name(name)),
            None,
            settings,
            None,
            Env::default(),
            origin,
            Vec::new(),
            false,
            Arc::new(folder),
            self.shared.clone(),
        )
    }

    /// Lets a crate name one of the standard library.
    fn depend(&mut self, from: CrateBuilderId, name: &str, to: &str, is_prelude: bool) {
        if let (Some(to), Ok(name)) = (self.by_name.get(&standard(to)), CrateName::new(name)) {
            let dependency = DependencyBuilder::with_prelude(name, *to, is_prelude, true);
            // A circle is an edge too many, and not more.
            let _ = self.crates.add_dep(from, dependency);
        }
    }

    fn connect(&mut self, metadata: &Value) {
        let nodes = metadata["resolve"]["nodes"].as_array();
        for node in nodes.into_iter().flatten() {
            let of = |id: &Value| self.by_name.get(id.as_str()?).copied();
            let Some(from) = of(&node["id"]) else {
                continue;
            };
            let dependencies = node["deps"].as_array().into_iter().flatten();
            let edges: Vec<_> = dependencies
                .filter(|it| is_normal(&it["dep_kinds"]))
                .filter_map(|it| Some((it["name"].as_str()?, of(&it["pkg"])?)))
                .collect();
            for (name, to) in edges {
                if let Ok(name) = CrateName::new(name) {
                    let _ = self.crates.add_dep(from, DependencyBuilder::new(name, to));
                }
            }
        }
    }
}

fn standard(name: &str) -> String {
    format!("the standard library's {name}")
}

/// Whether a dependency is one of the code itself.
fn is_normal(kinds: &Value) -> bool {
    let kinds = kinds.as_array();
    kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

/// The file with which a package's library begins.
fn root_of(package: &Value) -> Option<PathBuf> {
    let targets = package["targets"].as_array()?;
    let is_library = |target: &&Value| {
        let kinds = target["kind"].as_array().into_iter().flatten();
        kinds.filter_map(Value::as_str).any(|kind| {
            matches!(
                kind,
                "lib" | "rlib" | "dylib" | "cdylib" | "staticlib" | "proc-macro"
            )
        })
    };
    let target = targets.iter().find(is_library)?;
    target["src_path"].as_str().map(PathBuf::from)
}

fn path(path: &Path) -> Option<VfsPath> {
    let path = AbsPathBuf::try_from(path.to_str()?).ok()?;
    Some(path.into())
}

/// What the compiler says it compiles for, one setting a line.
fn settings(printed: &str) -> CfgOptions {
    let atoms =
        printed
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once('=') {
                Some((key, value)) => CfgAtom::KeyValue {
                    key: Symbol::intern(key),
                    value: Symbol::intern(value.trim_matches('"')),
                },
                None => CfgAtom::Flag(Symbol::intern(line)),
            });
    atoms.collect()
}
