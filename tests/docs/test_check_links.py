"""Tests of the link check: cd tests/docs && python3 -m unittest"""

import tempfile
import unittest
from pathlib import Path

import check_links


class Links(unittest.TestCase):
    def check(self, text: str, expected: list[tuple[int, str]]) -> None:
        self.assertEqual(list(check_links.links(text)), expected)

    def test_inline_links_and_images_are_found(self) -> None:
        self.check("[a](b.md) and ![c](d.png)", [(1, "b.md"), (1, "d.png")])
        self.check('x\n[a](b.md "title")', [(2, "b.md")])
        self.check("[a](<b.md>)", [(1, "b.md")])
        self.check("[a](b_(c).md)", [(1, "b_(c).md")])
        self.check("[`code`](b.md#x)", [(1, "b.md#x")])

    def test_image_within_a_link_is_found(self) -> None:
        self.check("[![a](b.png)](c.md)", [(1, "c.md"), (1, "b.png")])

    def test_definitions_are_found(self) -> None:
        self.check("[a]: b.md", [(1, "b.md")])

    def test_html_is_found(self) -> None:
        self.check('<source srcset="a.png"> <img alt="x" src="b.png">', [(1, "a.png"), (1, "b.png")])
        self.check('<source srcset="a.png 1x, b.png 2x">', [(1, "a.png"), (1, "b.png")])

    def test_code_is_skipped(self) -> None:
        self.check("`[a](b.md)`", [])
        self.check("``[a](b.md) ` ``", [])
        self.check("```sh\n[a](b.md)\n```\n[c](d.md)", [(4, "d.md")])
        self.check("~~~\n```\n[a](b.md)\n~~~\n[c](d.md)", [(5, "d.md")])


class Anchors(unittest.TestCase):
    def check(self, text: str, expected: set[str]) -> None:
        self.assertEqual(check_links.anchors(text), expected)

    def test_anchors_are_those_of_github(self) -> None:
        self.check("# A lake of your own", {"a-lake-of-your-own"})
        self.check("## `missing_column`", {"missing_column"})
        self.check("## What is stored, and for how long", {"what-is-stored-and-for-how-long"})
        self.check("## API (v1): [a](b.md)", {"api-v1-a"})
        self.check("## Closed ##", {"closed"})

    def test_repeated_headings_are_numbered(self) -> None:
        self.check("# A\n# A\n# A", {"a", "a-1", "a-2"})

    def test_code_has_no_headings(self) -> None:
        self.check("```sh\n# comment\n```", set())

    def test_html_anchors_are_found(self) -> None:
        self.check('<a id="x"></a>', {"x"})


class Findings(unittest.TestCase):
    def check(self, files: dict[str, str], expected: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            repository = check_links.Repository(root, list(files))
            found = [f"{path}:{number}: {message}" for path, number, message in repository.findings()]
            self.assertEqual(found, expected)

    def test_existing_targets_are_accepted(self) -> None:
        self.check({"a.md": "# X\n[x](#x) [b](d/b.md#y) [d](d/) [o](https://example.com) [m](mailto:a@b)", "d/b.md": "# Y\n[a](../a.md)"}, [])

    def test_missing_file_is_found(self) -> None:
        self.check({"d/a.md": "\n[x](b.md)"}, ["d/a.md:2: b.md: there is no d/b.md"])
        self.check({"a.md": "![x](../b.png)"}, ["a.md:1: ../b.png: there is no ../b.png"])

    def test_missing_heading_is_found(self) -> None:
        self.check({"a.md": "[x](#x)"}, ["a.md:1: #x: a.md has no heading #x"])
        self.check({"a.md": "[x](b.md#x)", "b.md": "# y"}, ["a.md:1: b.md#x: b.md has no heading #x"])

    def test_absolute_and_empty_targets_are_found(self) -> None:
        self.check({"a.md": "[x](/a.md)"}, ["a.md:1: /a.md is absolute; links are relative to the file"])
        self.check({"a.md": "[x]()"}, ["a.md:1: the link has no target"])

    def test_page_that_a_comment_names_must_exist(self) -> None:
        self.check({"a.rs": "// see docs/src/b.md", "docs/src/c.md": ""}, ["a.rs:1: there is no docs/src/b.md"])

    def test_pages_are_listed_once(self) -> None:
        pages = {"docs/src/a.md": "", "docs/src/b.md": "", "docs/src/SUMMARY.md": "- [a](a.md)\n- [a](a.md)"}
        self.check(
            pages,
            [
                "docs/src/SUMMARY.md:0: docs/src/a.md is listed 2 times, expected once",
                "docs/src/SUMMARY.md:0: docs/src/b.md is listed 0 times, expected once",
            ],
        )


if __name__ == "__main__":
    unittest.main()
