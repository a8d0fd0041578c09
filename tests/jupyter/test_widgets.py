"""Widgets and progress: what an executed notebook holds, and how they live in a real JupyterLab."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import KERNEL, READY, SAVE, jupyter, jupyterlab, notebook
from nbclient import NotebookClient

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"

CELLS = [
    """let names = vec!["zero", "one", "two", "three"];
interact(
    move |at: usize, loud: bool| {
        println!("at {at}");
        if loud { names[at].to_uppercase() } else { names[at].to_owned() }
    },
    (int_slider(0..=3).description("at"), checkbox(false).description("loud")),
);""",
    """let size = float_slider(0.0..=1.0).starting_at(0.5).description("how much of it");
let (letter, again, said) = (dropdown(["a", "b"]).description("letter"), button("click me"), output());
let (place, mut clicks) = (said.clone(), 0);
again.on_click(move || { clicks += 1; place.show(format!("clicks: {clicks}")); });
tab([
    ("controls", Widget::from(vbox([
        Widget::from(&size), Widget::from(&letter), toggle_buttons(["x", "y"]).into(), text_field("t").into(),
        hbox([Widget::from(&again), Widget::from(&said)]).into(),
    ]))),
    ("more", accordion([("area", Widget::from(textarea("t"))), ("bar", int_progress(4).into())]).into()),
])""",
    """use std::time::Duration;
for _ in progress(0..12, "outer") {
    for _ in progress(0..10, "inner") { std::thread::sleep(Duration::from_millis(40)); }
}""",
]


def models(book):
    return book.metadata.widgets[STATE]["state"]


def test_an_executed_notebook_holds_the_last_state():
    book = notebook(*CELLS)
    book.cells.insert(1, nbformat.v4.new_code_cell(
        "let moved = int_slider(0..=9); moved.set(2); moved.clone().set(7); moved"))
    NotebookClient(book, timeout=120, kernel_name=KERNEL).execute()
    nbformat.validate(book)
    views = [output.data for cell in book.cells for output in cell.outputs if VIEW in output.get("data", {})]
    assert len(views) >= 3
    for view in views:
        assert view[VIEW]["model_id"] in models(book)
        assert view["text/plain"] and view["text/html"]
    by_model = {state["model_name"]: state["state"] for state in models(book).values()}
    assert {"IntSliderModel", "CheckboxModel", "VBoxModel", "TabModel", "AccordionModel", "ButtonModel",
            "DropdownModel", "OutputModel"} <= set(by_model)
    outputs = [state["state"]["outputs"] for state in models(book).values() if state["model_name"] == "OutputModel"]
    shown = [output for output in outputs if output]
    assert shown[0][0]["text"] == "at 0\n"
    assert shown[0][1]["data"]["text/plain"] == '"zero"'
    slider = views[1][VIEW]["model_id"]
    assert models(book)[slider]["state"]["value"] == 7
    assert views[1]["text/plain"] == "IntSlider(value=7, min=0, max=9)"


def test_headless_progress_is_one_line_and_the_page_shows_the_value(tmp_path):
    path = tmp_path / "widgets.ipynb"
    nbformat.write(notebook(*CELLS), path)
    run = jupyter("nbconvert", "--to", "notebook", "--execute", "--output", "out.ipynb", path)
    assert run.returncode == 0, run.stderr
    book = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    lines = [output.data["text/plain"] for output in book.cells[2].outputs]
    assert len(lines) == 1 and re.fullmatch(r"outer: 100% \|█+\| 12/12 \[00:0\d, .*\]", lines[0]), lines
    assert models(book)
    page = jupyter("nbconvert", "--to", "html", "--output", "out.html", tmp_path / "out.ipynb")
    assert page.returncode == 0, page.stderr
    assert "widget-state+json" in (tmp_path / "out.html").read_text()


def test_a_console_writes_the_line_over():
    code = 'for _ in progress(0..3, "three") { std::thread::sleep(std::time::Duration::from_millis(150)); }\n'
    run = subprocess.run(
        [str(Path(sys.executable).with_name("jupyter")), "console", "--kernel", KERNEL, "--simple-prompt"],
        input=(code + "exit\n").encode(), capture_output=True, timeout=120,
    )
    text = (run.stdout + run.stderr).decode()
    assert text.count("\rthree:") >= 2, text
    assert "100% |" in text


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    nbformat.write(notebook(*CELLS), folder / "widgets.ipynb")
    with jupyterlab(folder) as (url, token):
        yield url, token


RUN_ALL = """() => {
    const app = window.jupyterapp;
    app.commands.execute("application:toggle-left-area");
    window.done = false;
    app.commands.execute("notebook:run-all-cells").then(() => { window.done = true; });
}"""


def test_widgets_live_in_jupyterlab(lab, browser, tmp_path):
    url, token = lab
    shots = Path(os.environ.get("FERROLENS_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1200, "height": 1800})
    page.set_default_timeout(240_000)
    address = f"{url}/lab/tree/widgets.ipynb?token={token}"
    page.goto(address)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.model")
    page.evaluate(READY)
    page.evaluate(RUN_ALL)

    # The loop's two bars, one inside the other, while it runs; one line when it has.
    loop = page.locator(".jp-CodeCell").nth(2)
    loop.locator(".progress").nth(1).wait_for()
    page.screenshot(path=shots / "widgets-running.png")
    page.wait_for_function("window.done")
    loop.locator("pre", has_text="outer: 100%").wait_for()
    assert loop.locator("pre").count() == 1 and loop.locator(".progress").count() == 0

    # A slider by its keys, and a box that is ticked.
    first = page.locator(".jp-CodeCell").nth(0)
    first.locator("pre", has_text='"zero"').wait_for()
    handle = first.locator(".noUi-handle")
    handle.focus()
    handle.press("ArrowRight")
    handle.press("ArrowRight")
    first.locator("pre", has_text='"two"').wait_for()
    first.locator("input[type=checkbox]").check()
    first.locator("pre", has_text='"TWO"').wait_for()
    assert first.locator(".widget-output pre").count() == 2, "replaced, and not added to"

    # A click.
    second = page.locator(".jp-CodeCell").nth(1)
    second.locator("button", has_text="click me").click()
    second.locator("pre", has_text="clicks: 1").wait_for()
    page.screenshot(path=shots / "widgets-moved.png")

    # A page that is loaded again has the widgets of the kernel that still runs.
    page.evaluate(SAVE)
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.model")
    page.evaluate(READY)
    first.locator("pre", has_text='"TWO"').wait_for()
    handle = first.locator(".noUi-handle")
    handle.focus()
    handle.press("ArrowLeft")
    first.locator("pre", has_text='"ONE"').wait_for()
    second.locator("button", has_text="click me").click()
    second.locator("pre", has_text="clicks: 2").wait_for()
    page.screenshot(path=shots / "widgets-reloaded.png")
    page.close()
