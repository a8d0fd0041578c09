"""Tests that drive the installed kernel through Jupyter's own clients."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

PROJECT = Path(__file__).resolve().parents[2]
KERNEL = "ferrolens"
# Tests leave the user's own history alone.
os.environ.setdefault("FERROLENS_HISTORY", ":memory:")
# What is tested is compiled.
os.environ.setdefault("FERROLENS_KEPT_CELLS", "off")
QUICKSTART = PROJECT / "notebooks" / "00_quickstart.ipynb"


# Waits for the notebook in front, and for its kernel.
READY = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
}"""
SAVE = """() => window.jupyterapp.commands.execute("docmanager:save")"""


def notebook(*cells):
    """A notebook of this kernel with these cells of code."""
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"name": KERNEL, "display_name": "Rust (ferrolens)", "language": "rust"}
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return book


def jupyter(*arguments, **options):
    """Runs a Jupyter program of this Python environment."""
    program = Path(sys.executable).with_name("jupyter")
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, timeout=600, **options
    )


def execute(path, folder):
    """Executes a notebook headlessly into `executed.ipynb` in this folder, and reads that."""
    run = jupyter(
        "nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=600",
        "--output", "executed.ipynb", "--output-dir", folder, path,
    )
    assert run.returncode == 0, run.stderr
    return nbformat.read(folder / "executed.ipynb", as_version=4)


@contextlib.contextmanager
def jupyterlab(folder):
    """A JupyterLab on loopback in this folder: its address and token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    notices = folder / "settings" / "@jupyterlab" / "apputils-extension"
    notices.mkdir(parents=True)
    (notices / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    log = (folder / "lab.log").open("wb")
    server = subprocess.Popen(
        [str(Path(sys.executable).with_name("jupyter")), "lab", "--no-browser", "--allow-root", f"--port={port}",
         "--ip=127.0.0.1", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
         "--LabApp.expose_app_in_browser=True", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        stdout=log, stderr=log,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(folder / "config"),
                          "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/api/status?token={token}", timeout=2)
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()
                time.sleep(0.2)
        yield url, token
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            # Its kernels have ended; a page that was loaded again keeps the server itself waiting.
            server.kill()
            server.wait(timeout=30)


@pytest.fixture(scope="session")
def executed_quickstart(tmp_path_factory):
    """The quickstart, executed headlessly and exported."""
    folder = tmp_path_factory.mktemp("quickstart")
    execute(QUICKSTART, folder)
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
