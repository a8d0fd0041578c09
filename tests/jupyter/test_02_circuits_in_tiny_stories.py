"""The notebook on circuits in a two-layer model: it runs at embedded scale, and its key figures lie in bands."""

import nbformat
import pytest
from conftest import PROJECT, execute

NOTEBOOK = PROJECT / "notebooks" / "02_circuits_in_tiny_stories.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"

# The lowest and highest value that is right; behind them what the stories of seeds 1, 2, 3 and 4 gave.
BANDS = {
    "late latents ever active": (740, 768),  # 768, 768, 768, 768
    "largest cosine": (0.74, 0.76),  # 0.7501, 0.7501, 0.7501, 0.7501
    "activation kept without the partner": (0.62, 0.77),  # 0.7021, 0.6908, 0.6878, 0.695
    "mean cosine of pairs found by ablation": (0.16, 0.4),  # 0.2394, 0.3147, 0.2756, 0.3011
    "good latents": (185, 250),  # 223, 219, 213, 218
    "quotations": (170, 230),  # 203, 197, 195, 198
    "active latents": (35, 85),  # 49, 59, 63, 66
    "late MLP zeroed": (-0.55, -0.28),  # -0.4239, -0.4251, -0.4248, -0.3959
    "first increase": (1.3, 1.65),  # 1.495, 1.477, 1.492, 1.49
    "second increase": (0.36, 0.54),  # 0.4401, 0.4311, 0.448, 0.4557
    "third increase": (0.045, 0.12),  # 0.0714, 0.0754, 0.0804, 0.0883
    "attribution in the reconstruction": (0.82, 0.88),  # 0.8455, 0.8446, 0.8455, 0.8525
    "top three removed": (2.3, 2.85),  # 2.558, 2.547, 2.584, 2.567
    "loss recovered": (0.88, 0.945),  # 0.9079, 0.9104, 0.9145, 0.9202
    "loss recovered on all tokens": (0.965, 0.985),  # 0.9761, 0.9769, 0.9782, 0.9754
    "loss increase where active": (0.26, 0.42),  # 0.3261, 0.3202, 0.3506, 0.3476
    "loss increase where it closes": (2.3, 2.85),  # 2.564, 2.547, 2.59, 2.576
}


def outputs(book):
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def key_figures(book):
    """What the cell behind the heading `Key figures` prints: a name and a number a line."""
    printed = [cell for cell in book.cells if cell.cell_type == "code" and "let figures = [" in cell.source]
    text = "".join(output.get("text", "") for cell in printed for output in cell.outputs)
    return {name: float(value) for name, value in (line.split(" = ") for line in text.splitlines() if line)}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    return execute(NOTEBOOK, tmp_path_factory.mktemp("circuits"))


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
