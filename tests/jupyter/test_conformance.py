"""jupyter_kernel_test, the conformance suite of the Jupyter project."""

import jupyter_kernel_test
from conftest import KERNEL


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
    code_generate_error = "let x: i32 = \"a\";"
    code_execute_result = [{"code": "6 * 7", "result": "42"}, {"code": "vec![1, 2]", "result": "[1, 2]"}]
    code_display_data = [
        {"code": 'display(Html("<b>x</b>"));', "mime": "text/html"},
        {"code": 'display(Markdown("*x*"));', "mime": "text/markdown"},
        {"code": "display(Svg(\"<svg xmlns='http://www.w3.org/2000/svg'/>\"));", "mime": "image/svg+xml"},
    ]
    code_history_pattern = "6 ?*"
    supported_history_operations = ("tail", "range", "search")
    code_clear_output = "clear_output(false);"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The first cell waits for the interpreter, longer than the suite waits for a cell.
        cls.kc.execute_interactive("1", timeout=120, output_hook=lambda message: None)
