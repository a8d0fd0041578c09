"""jupyter_kernel_test, the conformance suite of the Jupyter project, beside ipykernel's results."""

import unittest
from pathlib import Path

import jupyter_kernel_test
from conftest import KERNEL
import ipykernel_suite

TABLE = Path(__file__).with_name("conformance.md")


class FerrolensTests(jupyter_kernel_test.KernelTests):
    kernel_name = KERNEL
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("to stderr");'
    completion_samples = [{"text": "std::collections::HashM", "matches": {"HashMap"}}]
    complete_code_samples = ["1", 'println!("a");', "fn f() -> i32 {\n    1\n}"]
    incomplete_code_samples = ["fn f() {", "let x = vec![1,", 'println!("a']
    invalid_code_samples = ["}", "fn f() { )"]
    code_page_something = "Vec?"
    code_generate_error = "let x: i32 = \"a\";"
    code_execute_result = [{"code": "6 * 7", "result": "42"}, {"code": "vec![1, 2]", "result": "[1, 2]"}]
    code_display_data = [
        {"code": 'display(Html("<b>x</b>"));', "mime": "text/html"},
        {"code": 'display(Markdown("*x*"));', "mime": "text/markdown"},
        {"code": "display(Svg(\"<svg xmlns='http://www.w3.org/2000/svg'/>\"));", "mime": "image/svg+xml"},
    ]
    code_history_pattern = "6 ?*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Vec"
    code_clear_output = "clear_output(false);"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The first cell waits for the interpreter, longer than the suite waits for a cell.
        cls.kc.execute_interactive("1", timeout=120, output_hook=lambda message: None)
        # So does the first completion of a path for the analyzer, which has still to read the library.
        for _ in range(5):
            cls.kc.complete("std::collections::HashM", reply=True, timeout=60)


class _Results(unittest.TestResult):
    """What became of each test, by its name."""

    def __init__(self):
        super().__init__()
        self.of = {}

    def addSuccess(self, test):
        self.of.setdefault(test._testMethodName, "passed")

    def addFailure(self, test, error):
        self.of[test._testMethodName] = "failed"

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.of[test._testMethodName] = "failed"

    def addSkip(self, test, reason):
        self.of[test._testMethodName] = "skipped"


def _results(suite):
    results = _Results()
    unittest.defaultTestLoader.loadTestsFromTestCase(suite).run(results)
    return results.of


def test_what_ipykernel_passes_passes_here():
    reference, ours = _results(ipykernel_suite.IPythonTests), _results(FerrolensTests)
    worse = {name for name, result in reference.items() if result == "passed" and ours[name] != "passed"}
    assert not worse
    rows = [f"| `{name}` | {ours[name]} | {reference.get(name, '-')} |" for name in sorted(ours)]
    recorded = TABLE.read_text()
    missing = [row for row in rows if row not in recorded]
    assert not missing, "conformance.md does not say:\n" + "\n".join(rows)

