"""Notebooks without a front end: nbclient and nbconvert."""

import nbformat
import pytest
from conftest import KERNEL, jupyter, notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def run(*cells):
    book = notebook(*cells)
    NotebookClient(book, timeout=120, kernel_name=KERNEL).execute()
    return book


def test_outputs_are_saved():
    book = run('println!("text"); eprintln!("aside");', "2 + 2", 'display(Html("<b>x</b>"));')
    streams = {output.name: output.text for output in book.cells[0].outputs}
    assert streams == {"stdout": "text\n", "stderr": "aside\n"}
    assert book.cells[1].outputs[0].data["text/plain"] == "4"
    assert book.cells[1].execution_count == 2
    assert book.cells[2].outputs[0].data["text/html"] == "<b>x</b>"
    nbformat.validate(book)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ('panic!("boom")', "panic"),
        ('let n: i32 = "x".parse()?;', "ParseIntError"),
        ("let n: i32 = true;", "error[E0308]"),
        ("std::process::exit(1)", "crash"),
        ("std::process::abort()", "crash"),
    ],
)
def test_every_failure_stops_the_notebook(cell, name):
    with pytest.raises(CellExecutionError) as failure:
        run("let before = 1;", cell, "let after = 2;")
    assert failure.value.ename == name


def test_nbconvert_of_a_panicking_notebook_exits_with_an_error(tmp_path):
    book = notebook('println!("one");', 'panic!("boom")', 'println!("three");')
    path = tmp_path / "panics.ipynb"
    nbformat.write(book, path)
    result = jupyter("nbconvert", "--to", "notebook", "--execute", "--output", "out.ipynb", path)
    assert result.returncode != 0
    assert "boom" in result.stderr
    assert not (tmp_path / "out.ipynb").exists()


def test_the_kernelspec_is_complete():
    import jupyter_client.kernelspec

    spec = jupyter_client.kernelspec.get_kernel_spec(KERNEL)
    assert spec.display_name == "Rust (ferrolens)"
    assert spec.language == "rust"
    assert spec.interrupt_mode == "message"
    import pathlib

    names = {path.name for path in pathlib.Path(spec.resource_dir).iterdir()}
    assert {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"} <= names
