"""The lessons: as they are given out, everything is open; with the solutions, everything is right."""

import re
from pathlib import Path

import nbformat
import pytest
from conftest import PROJECT, execute

LESSONS = ["10_lesson_first_hooks", "11_lesson_saes"]


def verdicts(book):
    """What the checks said, in order."""
    texts = [output.data["text/plain"] for cell in book.cells if cell.cell_type == "code"
             for output in cell.outputs if "text/plain" in output.get("data", {})]
    return [text for text in texts if text.startswith("Exercise ")]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_with_everything_open(lesson, tmp_path):
    said = verdicts(execute(PROJECT / "notebooks" / f"{lesson}.ipynb", tmp_path))
    assert [re.match(r"Exercise (\d+), open", text) is not None for text in said] == [True] * 8, said


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_solutions_are_right(lesson, tmp_path):
    said = verdicts(execute(PROJECT / "notebooks" / "solutions" / f"{lesson}.ipynb", tmp_path))
    assert [re.match(r"Exercise (\d+), right", text) is not None for text in said] == [True] * 8, said


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_and_its_solutions_ask_the_same(lesson):
    books = [nbformat.read(PROJECT / "notebooks" / folder / f"{lesson}.ipynb", as_version=4)
             for folder in (Path(), Path("solutions"))]
    texts = [[cell.source for cell in book.cells if cell.cell_type == "markdown"] for book in books]
    # The first says which of the two it is, the last links to other notebooks.
    assert texts[0][1:-1] == texts[1][1:-1]
    checks = [[cell.source.splitlines()[-1] for cell in book.cells if cell.cell_type == "code"] for book in books]
    assert checks[0] == checks[1]
    for cell in books[0].cells:
        if cell.cell_type == "code" and cell.source.splitlines()[-1].startswith("check."):
            assert cell.source.splitlines()[0].endswith("= None;"), cell.source
    assert sum(cell.source.count("<details>") for cell in books[0].cells) == 8
