#!/usr/bin/env python3
"""Runs the code of one engine in docs/src/beyond-one-machine.md, and compares its output with that of the page.

    .venv/bin/python tests/readers/snippets.py polars FOLDER

The engine has to be installed. FOLDER contains the folder demo-lake, a lake with the sample users. Exit status 0 if the output is that of the page, 1 otherwise.
"""

import contextlib
import io
import os
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/src/beyond-one-machine.md"
SNIPPET = re.compile(r"<!-- snippet: ([\w-]+) -->\n```python\n(.*?)```\n\n```text\n(.*?)```\n", re.DOTALL)


def main():
    engine, folder = sys.argv[1:]
    snippets = {name: (code, output) for name, code, output in SNIPPET.findall(PAGE.read_text(encoding="utf-8"))}
    code, expected = snippets[engine]
    os.chdir(folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, PAGE.name, "exec"), {"__name__": "__main__"})
    if printed.getvalue() != expected:
        print(f"{engine}: the page has\n{expected}the code prints\n{printed.getvalue()}", file=sys.stderr)
        return 1
    print(f"the code of {PAGE.name} for {engine}: 1 results, equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
