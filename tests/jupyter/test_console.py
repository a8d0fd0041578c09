"""The kernel in a terminal, behind `jupyter console`."""

import sys

import pexpect
import pytest
from conftest import KERNEL

PATIENCE = 120


@pytest.fixture
def console():
    process = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", "--kernel", KERNEL, "--simple-prompt", "--ZMQTerminalInteractiveShell.kernel_timeout=60"],
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(40, 120),
    )
    process.expect(r"In \[1\]: ")
    yield process
    process.close(force=True)


def run(console, line, expected, count):
    console.sendline(line)
    console.expect(expected)
    console.expect(rf"In \[{count}\]: ")


def test_a_session_in_a_terminal(console):
    run(console, "let kept = vec![1, 2, 3];", "", 2)
    run(console, "kept.len() * 14", "42", 3)
    run(console, 'panic!("boom")', r"boom[\s\S]*cell \[3\]", 4)
    # A progress line that is written over.
    run(console, 'for _ in progress(0..3, "steps") {}', r"steps: 100%[^\n]*3/3", 5)
    # A question, with the answer typed below it.
    console.sendline('let name = input("who? ")?;')
    console.expect(r"who\? ")
    console.sendline("Ada")
    console.expect(r"In \[6\]: ")
    run(console, "name", "Ada", 7)
    # Ctrl-C keeps the variables.
    console.sendline('println!("begun"); loop {}')
    console.expect("begun\r?\n")
    console.sendintr()
    # The console takes the end of the interrupt's own message for the end of the cell, and then shows
    # what arrives on the other socket after the reply at the next line only; an empty one will do.
    if console.expect(["Interrupted", r"In \[8\]: "]) == 1:
        console.sendline("")
        console.expect("Interrupted")
    console.expect(r"In \[8\]: ")
    run(console, "kept.len() + 1", "4", 9)
