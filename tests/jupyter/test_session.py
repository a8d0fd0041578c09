"""A reader's hour in one JupyterLab: run all, hover, move, complete, inspect, interrupt, reload, restart."""

import os
from pathlib import Path

import nbformat
import pytest
from conftest import READY, SAVE, jupyterlab, notebook

CELLS = [
    'let model = HookedTransformer::from_pretrained("stories-2l")?;\nlet numbers = vec![1.0, 2.0, 4.0];',
    """let mut plot = plotly::Plot::new();
plot.add_trace(plotly::Scatter::new(vec![1, 2, 3], numbers.clone()).name("numbers"));
plot""",
    'interact(|times: usize| "la".repeat(times), int_slider(1..=4).description("times"));',
    "model.config().n_layers",
    "",
]
FIGURE, SLIDER, LAYERS, FREE = 1, 2, 3, 4

RUN_ALL = """async () => { await window.jupyterapp.commands.execute("notebook:run-all-cells"); }"""
INTERRUPT = """() => window.jupyterapp.commands.execute("notebook:interrupt-kernel")"""
RESTART = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"""
BUSY = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "busy" """
CODE = """at => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells[at].source"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    nbformat.write(notebook(*CELLS), folder / "session.ipynb")
    with jupyterlab(folder) as (url, token):
        yield f"{url}/lab/tree/session.ipynb?token={token}"


def cell(page, at):
    return page.locator(".jp-CodeCell").nth(at)


def write(page, at, code):
    """Replaces the code of a cell, key by key, so that what a key opens is opened."""
    cell(page, at).locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.type(code)


def run(page, at, code, expected):
    write(page, at, code)
    page.keyboard.press("Control+Enter")
    cell(page, at).locator(".jp-OutputArea-output pre", has_text=expected).first.wait_for()


def test_a_session_in_jupyterlab(lab, browser, tmp_path):
    shots = Path(os.environ.get("FERROLENS_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1200, "height": 1600})
    page.set_default_timeout(60_000)
    page.goto(lab)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.model")
    page.evaluate(READY)
    page.evaluate('() => window.jupyterapp.commands.execute("application:toggle-left-area")')
    page.evaluate(RUN_ALL)
    cell(page, LAYERS).locator(".jp-OutputArea-output pre", has_text="2").wait_for()

    # The pointer over the second point of the line.
    figure = cell(page, FIGURE).locator(".js-plotly-plot")
    point = figure.locator(".scatterlayer .points path").nth(1)
    point.wait_for(state="attached")
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 5, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    figure.locator(".hoverlayer .hovertext").first.wait_for()
    assert "2" in figure.locator(".hoverlayer .hovertext").first.text_content()

    # The slider.
    slider = cell(page, SLIDER)
    slider.locator("pre", has_text='"la"').wait_for()
    slider.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    slider.locator("pre", has_text='"lala"').wait_for()

    # Tab, with the type beside the name, and Shift-Tab.
    write(page, FREE, "model.run_with_ca")
    page.keyboard.press("Tab")
    found = page.locator(".jp-Completer-item", has_text="run_with_cache")
    found.first.wait_for()
    page.screenshot(path=shots / "session-complete.png")
    found.first.click()
    page.wait_for_function(f"({CODE})({FREE}).startsWith('model.run_with_cache')")
    page.keyboard.press("Shift+Tab")
    tooltip = page.locator(".jp-Tooltip")
    tooltip.locator("text=ActivationCache").first.wait_for()
    page.screenshot(path=shots / "session-inspect.png")
    page.keyboard.press("Escape")

    # A loop without an end, and every variable after it.
    write(page, FREE, "let numbers = { let mut n = numbers.len(); while n > 0 { n ^= 4; } n };")
    page.keyboard.press("Control+Enter")
    page.wait_for_function(f"({BUSY})()")
    page.wait_for_timeout(1500)
    page.evaluate(INTERRUPT)
    cell(page, FREE).locator("text=Interrupted").first.wait_for()
    page.screenshot(path=shots / "session-interrupted.png")
    run(page, FREE, "(numbers.len(), model.config().n_layers)", "(3, 2)")

    # The page again: what was shown is there, and the kernel has gone on.
    page.evaluate(SAVE)
    page.goto("about:blank")
    page.goto(lab)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.model")
    page.evaluate(READY)
    cell(page, SLIDER).locator("pre", has_text='"lala"').wait_for()
    run(page, FREE, "numbers[2]", "4.0")

    # A kernel that starts anew knows nothing, until all is run again.
    page.evaluate(RESTART)
    page.evaluate(READY)
    run(page, FREE, "numbers[1]", "cannot find value")
    write(page, FREE, "numbers[1]")
    page.evaluate(RUN_ALL)
    cell(page, FREE).locator(".jp-OutputArea-output pre", has_text="2.0").wait_for()
    page.screenshot(path=shots / "session-end.png")
    page.close()
