//! What the compiler would say of code that has not been compiled: the types of a cell's new variables,
//! what could stand at a place, what a name means. The only room that says ra_ap_ide and ra_ap_hir.
//!
//! The engine has an analyzer of its own, which takes every file for one that may change, and so looks
//! through all of the prelude again after every change of a cell. Here the prelude and the standard
//! library are libraries: after a change only the cells are looked at. The engine's own one is given
//! nothing to read ([`crate::toolchain::graph`]).
//!
//! What is analysed is the text that the engine makes of a cell; see `session/analysis.rs`.

mod asking;
mod crates;
mod markdown;
mod types;

pub use asking::{Meaning, Suggestion};
pub use crates::standard_crates;
pub use types::Variable;

use crate::toolchain::graph::Answer;
use crate::toolchain::workspace;
use crates::Sources;
use ra_ap_ide::AnalysisHost;
use ra_ap_vfs::FileId;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// How many of the files that it has parsed are kept.
const PARSED: u16 = 1024;

/// Read before a user asks: what most cells need of the standard library and the prelude.
const WARM_UP: &str = "use ferrolens::prelude::*;\nfn warm() -> Result<(), Box<dyn std::error::Error>> {\n\
                       let model = HookedTransformer::from_pretrained(\"\")?;\n\
                       let (logits, cache) = model.run_with_cache(\"\", All)?;\n\
                       let mean = logits.mean_all()?.to_scalar::<f32>()?;\n\
                       let words: Vec<String> = vec![1].iter().map(|n| format!(\"{n}\")).collect();\n\
                       let table = df!(\"a\" => [1, 2])?;\nlogits.dim";

/// An analyzer of one notebook's cells.
pub struct Analyzer {
    host: AnalysisHost,
    sources: Sources,
    cells: FileId,
    /// The text of the cells, as it was read last.
    text: String,
    manifest: PathBuf,
    /// What the manifest said when the crates were read.
    dependencies: Option<String>,
}

impl Analyzer {
    /// Reads the crates of the prelude, and those that the manifest of the cells names.
    fn new(manifest: &Path) -> Self {
        let mut analyzer = Self {
            host: AnalysisHost::new(Some(PARSED)),
            sources: Sources::default(),
            cells: FileId::from_raw(0),
            text: String::new(),
            manifest: manifest.to_owned(),
            dependencies: None,
        };
        analyzer.read_crates();
        analyzer
    }

    /// Reads what the engine made of a cell.
    pub fn read(&mut self, text: String) {
        if workspace::dependencies(&self.manifest) != self.dependencies {
            self.read_crates();
        }
        self.put(text);
    }

    fn put(&mut self, text: String) {
        if text != self.text {
            self.host.apply_change(crates::change(self.cells, &text));
            self.text = text;
        }
    }

    fn read_crates(&mut self) {
        self.dependencies = workspace::dependencies(&self.manifest);
        let answer = Answer::of(&self.manifest).unwrap_or_default();
        let (cells, change) = self.sources.read(&self.manifest, &answer, &self.text);
        self.cells = cells;
        self.host.apply_change(change);
    }

    fn warm_up(&mut self) {
        self.put(WARM_UP.to_owned());
        let _ = self.variables("warm");
        let _ = self.suggestions(WARM_UP.len());
        self.put(String::new());
    }
}

/// An analyzer that may still be reading the prelude, on a thread of its own.
pub struct Reading(State);

enum State {
    Reads(JoinHandle<Analyzer>),
    Done(Box<Analyzer>),
    /// The thread failed.
    Failed,
}

impl Reading {
    /// Starts to read what the crate of cells with this manifest can name.
    pub fn start(manifest: &Path) -> Self {
        let manifest = manifest.to_owned();
        let read = move || {
            let mut analyzer = Analyzer::new(&manifest);
            analyzer.warm_up();
            analyzer
        };
        // It recurses deeply.
        let thread = std::thread::Builder::new()
            .name("analyzer".to_owned())
            .stack_size(64 << 20)
            .spawn(read);
        Self(thread.map_or(State::Failed, State::Reads))
    }

    /// The analyzer, for which the first caller waits. `None` where there is none.
    pub fn get(&mut self) -> Option<&mut Analyzer> {
        if let State::Reads(_) = self.0
            && let State::Reads(thread) = std::mem::replace(&mut self.0, State::Failed)
            && let Ok(analyzer) = thread.join()
        {
            self.0 = State::Done(Box::new(analyzer));
        }
        match &mut self.0 {
            State::Done(analyzer) => Some(analyzer),
            _ => None,
        }
    }
}
