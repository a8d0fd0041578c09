#!/usr/bin/env python3
"""Executes a notebook with other values in its cell tagged `parameters`, by papermill.

    python notebooks/with_parameters.py in.ipynb out.ipynb -p layer 3 -p prompt "The cat"

papermill writes a cell of `let` statements behind the tagged one. It knows no Rust; this program teaches it, and is
otherwise papermill's own command: `--help` lists what else it takes.
"""

import json
import re

from papermill.cli import papermill
from papermill.translators import Translator, papermill_translators


class Rust(Translator):
    """Values as Rust writes them: text is `&str`, numbers are what the cells make of them, lists are `Vec`."""

    @classmethod
    def translate_none(cls, val):
        return "None"

    @classmethod
    def translate_str(cls, val):
        # What JSON escapes otherwise than Rust.
        return re.sub(r"\\u(....)", r"\\u{\1}", json.dumps(val, ensure_ascii=False)).replace("\\b", "\\x08").replace(
            "\\f", "\\x0c")

    @classmethod
    def translate_float(cls, val):
        named = {"inf": "f64::INFINITY", "-inf": "f64::NEG_INFINITY", "nan": "f64::NAN"}
        return named.get(repr(val), repr(val))

    @classmethod
    def translate_list(cls, val):
        return f"vec![{', '.join(cls.translate(each) for each in val)}]"

    @classmethod
    def translate_dict(cls, val):
        pairs = (f"({cls.translate_str(str(key))}, {cls.translate(each)})" for key, each in val.items())
        return f"std::collections::BTreeMap::from([{', '.join(pairs)}])"

    @classmethod
    def comment(cls, text):
        return f"// {text}"

    @classmethod
    def assign(cls, name, value):
        return f"let {name} = {value};"


papermill_translators.register("rust", Rust)

if __name__ == "__main__":
    papermill()
