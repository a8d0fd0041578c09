"""The quickstart: executed headlessly, exported with no network, and in a real JupyterLab."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from conftest import QUICKSTART, jupyterlab

PLOTLY = "application/vnd.plotly.v1+json"


def outputs(book):
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def figures(book):
    return [output for output in outputs(book) if PLOTLY in output.get("data", {})]


def test_it_is_saved_without_outputs():
    book = nbformat.read(QUICKSTART, as_version=4)
    assert book.metadata.kernelspec.name == "ferrolens"
    assert not outputs(book)
    # A sentence of Markdown before each cell.
    kinds = [cell.cell_type for cell in book.cells]
    for at, kind in enumerate(kinds):
        assert kind == "markdown" or kinds[at - 1] == "markdown", book.cells[at].source


def test_it_runs(executed_quickstart):
    book = nbformat.read(executed_quickstart / "executed.ipynb", as_version=4)
    nbformat.validate(book)
    assert not [output for output in outputs(book) if output.output_type == "error"]
    assert len(figures(book)) >= 3
    for figure in figures(book):
        # Where no script can run, a picture still shows.
        assert figure.data["image/svg+xml"].lstrip().startswith("<svg")
        assert "text/plain" in figure.data
    tables = [output for output in outputs(book) if "<table" in output.get("data", {}).get("text/html", "")]
    assert tables


def test_the_exported_page_draws_every_figure_with_no_network(executed_quickstart, browser, tmp_path):
    figure_count = len(figures(nbformat.read(executed_quickstart / "executed.ipynb", as_version=4)))
    page = browser.new_page(viewport={"width": 1100, "height": 1400})
    page.route(re.compile("^https?://"), lambda route: route.abort())
    page.goto((executed_quickstart / "executed.html").as_uri())
    page.wait_for_function(
        "count => document.querySelectorAll('.js-plotly-plot .main-svg').length >= count", arg=figure_count,
        timeout=60_000,
    )
    drawn = page.locator(".js-plotly-plot").count()
    page.screenshot(path=tmp_path / "export.png", full_page=True)
    assert drawn == figure_count
    assert (tmp_path / "export.png").stat().st_size > 50_000
    page.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab on loopback with a copy of the quickstart."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(QUICKSTART, folder / "quickstart.ipynb")
    with jupyterlab(folder) as (url, token):
        yield folder, url, token


# Waits for the notebook in front, runs all its cells as the menu does, and answers with what it then holds.
RUN_ALL = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await app.commands.execute("application:toggle-left-area");
    await app.commands.execute("notebook:run-all-cells");
    return panel.content.model.sharedModel.toJSON();
}"""


def test_it_runs_in_jupyterlab(lab, browser, tmp_path):
    folder, url, token = lab
    # So high that JupyterLab, which draws the cells in view only, draws all of them.
    page = browser.new_page(viewport={"width": 1200, "height": 5000})
    page.set_default_timeout(120_000)
    page.goto(f"{url}/lab/tree/quickstart.ipynb?token={token}")
    page.wait_for_selector(".jp-NotebookPanel")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.model")
    book = nbformat.from_dict(page.evaluate(RUN_ALL))
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not [output for output in outputs(book) if output.output_type == "error"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    # The renderer of the Python package `plotly` draws every figure, and no cell shows raw text instead.
    page.wait_for_function(
        "count => document.querySelectorAll('.js-plotly-plot .main-svg').length >= count", arg=len(figures(book))
    )
    plots = page.locator(".js-plotly-plot")
    assert plots.count() == len(figures(book))
    for at in range(plots.count()):
        box = plots.nth(at).bounding_box()
        assert box["width"] > 300 and box["height"] > 150, (at, box)
    assert page.locator(".jp-OutputArea table.dataframe").count() >= 1
    shots = Path(os.environ.get("FERROLENS_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shots / "quickstart-lab.png")
    assert (shots / "quickstart-lab.png").stat().st_size > 100_000
    # The picture in the README: the first cells that draw.
    cells = page.locator(".jp-CodeCell:has(.js-plotly-plot)")
    first, second = cells.nth(0).bounding_box(), cells.nth(1).bounding_box()
    page.screenshot(path=shots / "quickstart.png",
                    clip=first | {"height": second["y"] + second["height"] - first["y"]})
    page.close()
