"""Tests that drive the installed kernel through Jupyter's own clients."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
KERNEL = "ferrolens"
# Tests leave the user's own history alone.
os.environ.setdefault("FERROLENS_HISTORY", ":memory:")
QUICKSTART = PROJECT / "notebooks" / "00_quickstart.ipynb"


def jupyter(*arguments, **options):
    """Runs a Jupyter program of this Python environment."""
    program = Path(sys.executable).with_name("jupyter")
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, timeout=600, **options
    )


@pytest.fixture(scope="session")
def executed_quickstart(tmp_path_factory):
    """The quickstart, executed headlessly and exported."""
    folder = tmp_path_factory.mktemp("quickstart")
    run = jupyter(
        "nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=600",
        "--output", "executed.ipynb", "--output-dir", folder, QUICKSTART,
    )
    assert run.returncode == 0, run.stderr
    export = jupyter("nbconvert", "--to", "html", "--output", "executed.html", "--output-dir", folder,
                     folder / "executed.ipynb")
    assert export.returncode == 0, export.stderr
    return folder


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skips where there is none."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium on PATH: on Debian, apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync", "--no-first-run"],
        )
        yield chromium
        chromium.close()
