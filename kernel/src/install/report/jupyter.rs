//! Jupyter: does it see the kernel, and can it show what the kernel sends?

use super::finding::Finding;
use super::program::{on_path, output};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Prints what of Jupyter's packages is there, as JSON.
const VERSIONS: &str = "
import importlib.metadata as m, json
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
print(json.dumps({n: version(n) for n in ['jupyterlab', 'plotly', 'ipywidgets', 'notebook']}))
";

pub(super) fn look() -> Vec<Finding> {
    let Some(jupyter) = on_path("jupyter") else {
        return vec![Finding::missing(
            "Jupyter",
            "there is no `jupyter` on PATH",
            "pip install jupyterlab plotly ipywidgets",
        )];
    };
    let list = output(&jupyter, &["kernelspec", "list", "--json"]);
    let mut findings = vec![kernelspec(list.as_deref())];
    let python = interpreter(&jupyter).unwrap_or_else(|| PathBuf::from("python3"));
    let versions = output(&python, &["-c", VERSIONS])
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(Value::Null);
    findings.extend(packages(&versions, &python));
    findings
}

/// The kernels of ours that Jupyter sees.
fn kernelspec(list: Option<&str>) -> Finding {
    const WHAT: &str = "kernelspec";
    const MEND: &str = "ferrolens-kernel install";
    let list: Value = list
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    let (mut whole, mut broken) = (Vec::new(), Vec::new());
    for entry in list["kernelspecs"].as_object().into_iter().flatten() {
        let (_, entry) = entry;
        let Some(program) = entry["spec"]["argv"][0].as_str() else {
            continue;
        };
        if !program.contains("ferrolens-kernel") {
            continue;
        }
        let folder = entry["resource_dir"].as_str().unwrap_or("?").to_owned();
        if Path::new(program).is_file() || on_path(program).is_some() {
            whole.push(folder);
        } else {
            broken.push(format!("{folder} names {program}, which is not there"));
        }
    }
    if let Some(broken) = broken.first() {
        return Finding::missing(WHAT, broken.clone(), MEND);
    }
    if whole.is_empty() {
        return Finding::missing(WHAT, "Jupyter sees no kernel of this name", MEND);
    }
    Finding::fine(WHAT, whole.join(", "))
}

fn packages(versions: &Value, python: &Path) -> Vec<Finding> {
    let of = |name: &str| versions[name].as_str();
    let pip = |name: &str| format!("{} -m pip install {name}", python.display());
    let mut findings = Vec::new();
    findings.push(match (of("jupyterlab"), of("notebook")) {
        (Some(version), _) => Finding::fine("JupyterLab", version),
        (None, Some(version)) => Finding::fine("JupyterLab", format!("none; notebook {version}")),
        (None, None) => Finding::advice("JupyterLab", "none beside `jupyter`", pip("jupyterlab")),
    });
    findings.push(match of("plotly") {
        Some(version) => Finding::fine("figures", format!("plotly {version}")),
        None => Finding::advice(
            "figures",
            "pictures only: the Python package plotly draws figures that can be hovered",
            pip("plotly"),
        ),
    });
    findings.push(match of("ipywidgets") {
        Some(version) => Finding::fine("widgets", format!("ipywidgets {version}")),
        None => Finding::advice(
            "widgets",
            "as text only: sliders and progress bars are drawn by ipywidgets",
            pip("ipywidgets"),
        ),
    });
    findings
}

/// The Python that runs a script.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let text = std::fs::read(script).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next()?.strip_prefix("#!")?.trim();
    let mut words = line.split_whitespace();
    let program = words.next()?;
    let program = if program.ends_with("/env") {
        words.next()?
    } else {
        program
    };
    program.contains("python").then(|| PathBuf::from(program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::report::finding::State;
    use serde_json::json;

    #[test]
    fn a_kernelspec_counts_when_its_program_is_there() {
        let own = std::env::current_exe().expect("this test has a file");
        let link = tempfile::tempdir().expect("a folder");
        let kernel = link.path().join("ferrolens-kernel");
        std::os::unix::fs::symlink(own, &kernel).expect("a link");
        let list = |program: &str| {
            json!({"kernelspecs": {
                "python3": {"resource_dir": "p", "spec": {"argv": ["python"]}},
                "ferrolens": {"resource_dir": "f", "spec": {"argv": [program, "run"]}},
            }})
            .to_string()
        };
        for (text, state, says) in [
            (Some(list(&kernel.to_string_lossy())), State::Fine, "f"),
            (
                Some(list("gone/ferrolens-kernel")),
                State::Missing,
                "not there",
            ),
            (Some(list("python")), State::Missing, "sees no"),
            (None, State::Missing, "sees no"),
        ] {
            let found = kernelspec(text.as_deref());
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.found.contains(says), "{found:?}");
        }
    }

    #[test]
    fn packages_that_are_not_there_are_advice() {
        let found = packages(&json!({"jupyterlab": "4.5.0"}), Path::new("py"));
        let states: Vec<State> = found.iter().map(|finding| finding.state).collect();
        assert_eq!(states, [State::Fine, State::Advice, State::Advice]);
        assert_eq!(found[1].mend, "py -m pip install plotly");
    }
}
