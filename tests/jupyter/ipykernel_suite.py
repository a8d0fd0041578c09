"""jupyter_kernel_test's suite, set up for ipykernel: what ours is compared with."""

import jupyter_kernel_test


class IPythonTests(jupyter_kernel_test.KernelTests):
    kernel_name = "python3"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('to stderr', file=sys.stderr)"
    completion_samples = [{"text": "zi", "matches": {"zip"}}]
    complete_code_samples = ["1", "print('a')", "def f():\n    return 1\n\n"]
    incomplete_code_samples = ["def f():", "x = [1,", "print('''a"]
    invalid_code_samples = ["import = 7q", "x = )"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('no')"
    code_execute_result = [{"code": "6 * 7", "result": "42"}, {"code": "[1, 2]", "result": "[1, 2]"}]
    code_display_data = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>x</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Markdown, display; display(Markdown('*x*'))", "mime": "text/markdown"},
        {
            "code": "from IPython.display import SVG, display; display(SVG(\"<svg xmlns='http://www.w3.org/2000/svg'/>\"))",
            "mime": "image/svg+xml",
        },
    ]
    code_history_pattern = "6 ?*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    support_iopub_welcome = True
