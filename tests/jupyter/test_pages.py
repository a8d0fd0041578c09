"""`ferrolens-kernel render`: saved notebooks as pages whose figures are alive, with no kernel and no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import PROJECT

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
SAVED = sorted(
    path for path in (PROJECT / "notebooks").glob("*.ipynb")
    if any(cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)
)


def kernel():
    """The installed kernel's own program."""
    named = os.environ.get("FERROLENS_KERNEL")
    return Path(named) if named else Path.home() / ".local/share/ferrolens/bin/ferrolens-kernel"


def render(*words):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run([kernel(), "render", *map(str, words)], capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PATH": path})


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every saved notebook's page."""
    folder = tmp_path_factory.mktemp("pages")
    run = render(*SAVED, "--to", folder)
    assert run.returncode == 0, run.stderr
    for notebook in SAVED:
        row = next(row for row in run.stdout.splitlines() if notebook.stem in row)
        size = (folder / notebook.stem).with_suffix(".html").stat().st_size
        assert row.split()[-1] == str(-(-size // 1000)), "the table says how large the page is"
    return folder


@pytest.mark.parametrize("notebook", SAVED, ids=lambda path: path.stem[:2])
def test_every_figure_is_drawn_without_a_network(notebook, pages, browser):
    cells = nbformat.read(notebook, as_version=4).cells
    figures = sum(PLOTLY in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
    assert figures
    page = browser.new_page(viewport={"width": 1100, "height": 1400})
    page.route(re.compile("^https?://"), lambda route: route.abort())
    page.goto((pages / notebook.stem).with_suffix(".html").as_uri())
    page.wait_for_function("count => document.querySelectorAll('.js-plotly-plot').length >= count", arg=figures,
                           timeout=60_000)
    assert page.locator(".js-plotly-plot").count() == figures
    assert page.locator(".ferrolens-figure").count() == 0, "a picture stands beside its figure"
    folder = os.environ.get("FERROLENS_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"page-{notebook.stem}.png", full_page=True)
    page.close()


def test_widgets_stand_as_they_were_last_without_a_network(pages, browser):
    notebook = PROJECT / "notebooks/02_circuits_in_tiny_stories.ipynb"
    saved = nbformat.read(notebook, as_version=4)
    views = sum(WIDGET in output.get("data", {}) for cell in saved.cells for output in cell.get("outputs", []))
    assert views
    asked = []
    page = browser.new_page(viewport={"width": 1100, "height": 1400})
    page.route(re.compile("^https?://"), lambda route: (asked.append(route.request.url), route.abort()))
    page.goto((pages / notebook.stem).with_suffix(".html").as_uri())
    places = page.locator(".ferrolens-widget")
    assert places.count() == views
    slider = places.first.locator("input[type=range]")
    states = saved.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    state = next(model["state"] for model in states if model["model_name"] == "IntSliderModel")
    assert slider.input_value() == str(state["value"]) and slider.is_disabled()
    assert "latent" in places.first.inner_text() and places.first.bounding_box()["height"] > 100
    assert not any("html-manager" in url for url in asked), asked
    page.close()


def test_what_is_no_notebook_is_said(tmp_path):
    wrong = tmp_path / "wrong.ipynb"
    wrong.write_text("{}")
    run = render(wrong)
    assert run.returncode == 1 and "not a notebook of format 4" in run.stderr, run.stderr
    run = render(tmp_path / "missing.ipynb")
    assert run.returncode == 1 and "cannot be read" in run.stderr, run.stderr
    run = render()
    assert run.returncode == 1 and "render` needs notebooks" in run.stderr, run.stderr
