"""The notebook on circuits in a two-layer model: it runs at embedded scale, and its key figures lie in bands."""

import nbformat
import pytest
from conftest import PROJECT, jupyter

NOTEBOOK = PROJECT / "notebooks" / "02_circuits_in_tiny_stories.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"

BANDS = {}


def outputs(book):
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def key_figures(book):
    """What the cell behind the heading `Key figures` prints: a name and a number a line."""
    printed = [cell for cell in book.cells if cell.cell_type == "code" and "let figures = [" in cell.source]
    text = "".join(output.get("text", "") for cell in printed for output in cell.outputs)
    return {name: float(value) for name, value in (line.split(" = ") for line in text.splitlines() if line)}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("circuits")
    run = jupyter("nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=600",
                  "--output", "executed.ipynb", "--output-dir", folder, NOTEBOOK)
    assert run.returncode == 0, run.stderr
    return nbformat.read(folder / "executed.ipynb", as_version=4)


def test_it_is_saved_executed_at_embedded_scale():
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert book.metadata.kernelspec.name == "ferrolens"
    assert "let scale = Scale::Embedded;" in "".join(cell.source for cell in book.cells)
    assert set(key_figures(book)) == set(BANDS)
    assert NOTEBOOK.stat().st_size < 2_500_000, "the plotting library is in it: execute with FERROLENS_OFFLINE_HTML=0"
    for cell in book.cells:
        assert cell.cell_type == "markdown" or len(cell.source.splitlines()) <= 32, cell.source
        assert cell.cell_type == "markdown" or cell.execution_count, cell.source


def test_it_runs(executed):
    assert not [output for output in outputs(executed) if output.output_type == "error"]
    assert len([output for output in outputs(executed) if PLOTLY in output.get("data", {})]) >= 12


@pytest.mark.parametrize("name", BANDS)
def test_key_figures_lie_in_their_bands(executed, name):
    low, high = BANDS[name]
    assert low <= key_figures(executed)[name] <= high
