//! The verb `render`: notebooks as pages that can be read without a kernel, with figures that are alive.
//!
//! `nbconvert` makes the page. What it cannot do is draw plotly's figures: a notebook holds each of them as JSON and
//! as a picture, and a page gets the picture. Here the JSON goes into the page too, and the plotting library once,
//! with which the page draws them itself, without a network. Formulas come from a server (MathJax), as nbconvert
//! has it. A widget needs a kernel to be moved: a page shows it as it was last, with what it showed.

mod figures;
mod widgets;

use crate::install::on_path;
use figures::Figures;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Renders notebooks, and prints how large the pages are.
///
/// `words` are the notebooks, and `--to DIR` where the pages are not to lie beside them.
///
/// # Errors
///
/// A sentence for a notebook that cannot be read or converted, and where there is no Jupyter. Pages before it are
/// there.
pub fn render(words: &[&str]) -> Result<(), String> {
    let (notebooks, folder) = options(words)?;
    let jupyter = jupyter().ok_or(
        "There is no `jupyter` on PATH, which makes the pages. Install it: pip install nbconvert",
    )?;
    let mut rows = vec![["page", "figures", "notebook, KB", "page, KB"].map(str::to_owned)];
    for notebook in notebooks {
        let folder = folder
            .as_deref()
            .or(notebook.parent())
            .unwrap_or(Path::new("."));
        let page = Page::of(&notebook, &jupyter)?;
        let name = notebook.file_stem().unwrap_or_default();
        let path = folder.join(name).with_extension("html");
        write(&path, &page.html)?;
        rows.push([
            path.display().to_string(),
            page.figures.to_string(),
            kilobytes(page.notebook_bytes),
            kilobytes(page.html.len()),
        ]);
        if page.unexecuted {
            eprintln!(
                "{} holds no output: it was saved before it was executed. Execute it first, e.g. `./install.sh --run {0}`.",
                notebook.display()
            );
        }
    }
    print_table(&rows);
    Ok(())
}

fn options(words: &[&str]) -> Result<(Vec<PathBuf>, Option<PathBuf>), String> {
    let (mut notebooks, mut folder) = (Vec::new(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--to" => {
                let given = words.next().ok_or("--to needs a folder: --to DIR")?;
                folder = Some(PathBuf::from(given));
            }
            option if option.starts_with('-') => {
                return Err(format!("`render` has no option {option}; it has --to DIR."));
            }
            notebook => notebooks.push(PathBuf::from(notebook)),
        }
    }
    if notebooks.is_empty() {
        return Err(
            "`render` needs notebooks: ferrolens-kernel render notebooks/*.ipynb".to_owned(),
        );
    }
    Ok((notebooks, folder))
}

/// A notebook's page.
struct Page {
    html: String,
    figures: usize,
    notebook_bytes: usize,
    /// Whether it has code, and nothing that code gave.
    unexecuted: bool,
}

impl Page {
    fn of(path: &Path, jupyter: &Path) -> Result<Self, String> {
        let text = std::fs::read(path)
            .map_err(|error| format!("{} cannot be read: {error}.", path.display()))?;
        let mut notebook: Value = serde_json::from_slice(&text)
            .map_err(|error| format!("{} is not a notebook: {error}.", path.display()))?;
        let figures = Figures::prepare(&mut notebook).ok_or_else(|| {
            format!(
                "{} is not a notebook of format 4: it has no list of cells. Open and save it in JupyterLab.",
                path.display()
            )
        })?;
        let html = convert(&notebook, path, jupyter)?;
        Ok(Self {
            html: figures.finish(html),
            figures: figures.count,
            notebook_bytes: text.len(),
            unexecuted: figures.unexecuted,
        })
    }
}

fn convert(notebook: &Value, path: &Path, jupyter: &Path) -> Result<String, String> {
    let scratch =
        tempfile::tempdir().map_err(|error| format!("No scratch folder can be made: {error}."))?;
    // The page's title is the file's name.
    let name = path.file_stem().unwrap_or_default();
    let prepared = scratch.path().join(name).with_extension("ipynb");
    write(&prepared, &notebook.to_string())?;
    let output = Command::new(jupyter)
        .args(["nbconvert", "--log-level=ERROR", "--to", "html"])
        .arg("--CoalesceStreamsPreprocessor.enabled=True")
        .arg("--output-dir")
        .arg(scratch.path())
        .arg(&prepared)
        .output()
        .map_err(|error| format!("{} cannot be run: {error}.", jupyter.display()))?;
    let html = std::fs::read_to_string(prepared.with_extension("html"));
    match html {
        Ok(html) if output.status.success() => Ok(html),
        _ => Err(format!(
            "nbconvert could not convert {}:\n{}",
            path.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// The one on PATH, or the one that `install.sh` made beside this installation.
fn jupyter() -> Option<PathBuf> {
    on_path("jupyter").or_else(|| {
        let program = std::env::current_exe().ok()?;
        let data = program.ancestors().nth(3)?;
        Some(data.join("ferrolens-python/bin/jupyter")).filter(|path| path.is_file())
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{} cannot be made: {error}.", folder.display()))?;
    }
    std::fs::write(path, text)
        .map_err(|error| format!("{} cannot be written: {error}.", path.display()))
}

fn kilobytes(bytes: usize) -> String {
    bytes.div_ceil(1_000).to_string()
}

fn print_table(rows: &[[String; 4]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (page, figures, notebook, html) = (width(0), width(1), width(2), width(3));
    for [a, b, c, d] in rows {
        println!("{a:<page$}  {b:>figures$}  {c:>notebook$}  {d:>html$}");
    }
}
