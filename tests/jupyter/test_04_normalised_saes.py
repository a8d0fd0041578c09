"""notebooks/04_normalised_saes.ipynb, executed at embedded scale: its key figures lie in bands from several seeds."""

import re

import nbformat
import pytest
from conftest import PROJECT, jupyter

NOTEBOOK = PROJECT / "notebooks" / "04_normalised_saes.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"

# A figure, and where it may lie: what seeds 1, 2 and 3 gave (behind it), and their range to either side.
BANDS = {
}


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def key_figures(book):
    """What the cell tagged `key-figures` printed: a name, a colon and a number on each line."""
    (cell,) = (cell for cell in code(book) if "key-figures" in cell.metadata.get("tags", []))
    printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    return {name: float(value) for name, value in (line.rsplit(": ", 1) for line in printed.splitlines())}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("normalised_saes")
    run = jupyter("nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=600",
                  "--output", "executed.ipynb", "--output-dir", folder, NOTEBOOK)
    assert run.returncode == 0, run.stderr
    return nbformat.read(folder / "executed.ipynb", as_version=4)


def test_key_figures_lie_in_their_bands(executed):
    found = key_figures(executed)
    assert found.keys() == BANDS.keys()
    outside = {name: (found[name], band) for name, band in BANDS.items() if not band[0] <= found[name] <= band[1]}
    assert not outside


def test_it_says_where_the_other_models_are(executed):
    """SmolLM2 is drawn where FERROLENS_SMOLLM2 names it; where not, a line says so, and the rest runs."""
    (cell,) = (cell for cell in code(executed) if "FERROLENS_SMOLLM2" in cell.source)
    said = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    drawn = [output for output in cell.outputs if PLOTLY in output.get("data", {})]
    assert bool(drawn) != ("SmolLM2-135M is not here" in said)


def test_it_is_saved_executed_and_small():
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert all(cell.execution_count for cell in code(book))
    assert "let scale = Scale::Embedded;" in "".join(cell.source for cell in code(book))
    assert key_figures(book).keys() == BANDS.keys()
    assert NOTEBOOK.stat().st_size < 2_000_000
    assert max(cell.source.count("\n") for cell in code(book)) < 30
    assert not re.search(r"/(tmp|root|home|work)/", NOTEBOOK.read_text()), "a path of this machine"
