"""papermill puts its own values behind the cell tagged `parameters`."""

import subprocess
import sys

import nbformat
from conftest import PROJECT, notebook

CELL = """let layer = 0_usize;
let prompt = "Once";
let (share, many, loud) = (0.5, vec![1.0], false);"""
USED = 'format!("{} {prompt:?} {} {:?} {loud}", layer + 1, share + 1.0, many.iter().sum::<f64>())'


def test_parameters_replace_those_of_the_notebook(tmp_path):
    book = notebook(CELL, USED)
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, tmp_path / "in.ipynb")
    (tmp_path / "values.yaml").write_text('layer: 3\nprompt: "a \\"b\\" é\\n"\nmany: [1.5, 2.0]\nloud: true\n')
    run = subprocess.run(
        [sys.executable, PROJECT / "notebooks" / "with_parameters.py", tmp_path / "in.ipynb", tmp_path / "out.ipynb",
         "-f", tmp_path / "values.yaml", "--no-progress-bar"],
        capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert executed.cells[1].metadata["tags"] == ["injected-parameters"]
    shown = executed.cells[-1].outputs[0]["data"]["text/plain"]
    assert shown == r'"4 \"a \\\"b\\\" é\\n\" 1.5 3.5 true"'
