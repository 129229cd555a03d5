"""Tests of the language check: python3 -m unittest discover tests/language"""

import textwrap
import unittest

import check
import prose

RULES = """
excluded = ["generated/*"]
[phrases]
"whoever|somebody" = "the client"
"no retry helps" = "retrying will not help"
[[exceptions]]
path = "quote.md"
phrase = "somebody else"
reason = "a quotation"
"""


def visible(text: str) -> list[str]:
    """The pieces of prose of a file, each with single spaces."""
    return [piece for part in text.split(prose.MASK) if (piece := " ".join(part.split()))]


class Rust(unittest.TestCase):
    def check(self, source: str, expected: list[str]) -> None:
        text = prose.of_rust(source)
        self.assertEqual(visible(text), expected)
        self.assertEqual(len(text), len(source))
        self.assertEqual([n for n, letter in enumerate(text) if letter == "\n"], [n for n, letter in enumerate(source) if letter == "\n"])

    def test_code_is_masked(self) -> None:
        self.check("let whoever = somebody(1);", [])

    def test_comments(self) -> None:
        self.check("/// One\n/// two.\nfn f() {} // three\nx();\n//! four", ["One two.", "three", "four"])

    def test_blank_line_separates_comments(self) -> None:
        self.check("// one\n\n// two", ["one", "two"])

    def test_block_comments_nest(self) -> None:
        self.check("/* one /* two */ three */ code /** four\n * five */", ["one two three", "four five"])

    def test_unterminated_block_comment(self) -> None:
        self.check("/* one /* two */", ["one two"])

    def test_strings(self) -> None:
        self.check(r'f("one \"two\" // three", b"four", c"five")', ["one two // three", "four", "five"])

    def test_line_continuation_in_string(self) -> None:
        self.check('"no retry \\\n    helps"', ["no retry helps"])

    def test_raw_strings(self) -> None:
        self.check('r#"one "two" \\"# r"three" br##"four"# five"## r#type', ['one "two" \\', "three", 'four"# five'])

    def test_placeholders_are_code(self) -> None:
        self.check('"one {whoever} two {somebody:>8} {}"', ["one", "two"])

    def test_braces_of_documents_are_text(self) -> None:
        self.check('r#"{"one": 2}"#', ['{"one": 2}'])

    def test_char_literals_and_lifetimes(self) -> None:
        self.check("""fn f<'a>(x: &'a str) { ['"', '\\'', '\\u{22}', b'"', '/']; } // one""", ["one"])

    def test_no_comment_in_string_and_no_string_in_comment(self) -> None:
        self.check('"http://one" // it\'s "two', ["http://one", 'it\'s "two'])

    def test_names_of_tests(self) -> None:
        source = """
            #[tokio::test(flavor = "multi_thread")]
            // one
            #[should_panic]
            async fn whoever_asks() {}
            fn somebody() {}
            #[rstest]
            #[case::two_three(1)]
            fn four_five(#[case] x: u8) {}
        """
        self.check(textwrap.dedent(source), ["multi_thread", "one", "whoever asks", "two three", "four five"])


class Python(unittest.TestCase):
    def test_comments_and_strings(self) -> None:
        source = 'whoever = "one"  # two\n# three\n# four\nx = f"five {whoever}"\n'
        text = prose.of_python(source)
        self.assertEqual(len(text), len(source))
        self.assertEqual(visible(text.replace('"', prose.MASK)), ["one", "two three four", "f", "five"])


class Text(unittest.TestCase):
    def test_selectors_of_css_are_not_comments(self) -> None:
        self.assertEqual(prose.of_file("a.css", "#one { }"), "#one { }")
        self.assertEqual(prose.of_file("a.sh", "#one"), " one")


class Findings(unittest.TestCase):
    def check(self, path: str, source: str, expected: list[tuple[int, str]]) -> None:
        found = check.findings(check.Rules(RULES), path, source)
        self.assertEqual([(line, words) for line, words, _ in found], expected)

    def test_line_and_phrase(self) -> None:
        self.check("a.md", "Fine.\nWhoever: somebody.\n", [(2, "somebody"), (2, "whoever")])

    def test_phrase_over_two_comment_lines(self) -> None:
        self.check("a.rs", "// no retry\n// helps\n", [(1, "no retry helps")])
        self.check("a.yaml", "  # no\n  # retry helps\n", [(1, "no retry helps")])

    def test_phrase_does_not_reach_into_the_next_string(self) -> None:
        self.check("a.rs", 'f("no retry", "helps")', [])

    def test_only_whole_words(self) -> None:
        self.check("a.md", "somebody's whoeverx _somebody somebody_", [(1, "somebody")])

    def test_capitals_and_letters_that_grow(self) -> None:
        self.check("a.md", "İİ SOMEBODY", [(1, "somebody")])

    def test_file_name(self) -> None:
        self.check("tests/whoever_asks.rs", "", [(0, "whoever")])

    def test_exception_covers_only_its_words(self) -> None:
        self.check("quote.md", "somebody else, somebody", [(1, "somebody")])
        self.check("other.md", "somebody else", [(1, "somebody")])

    def test_excluded_files(self) -> None:
        rules = check.Rules(RULES)
        self.assertFalse(rules.checks("generated/a.md"))
        self.assertTrue(rules.checks("a.md"))


if __name__ == "__main__":
    unittest.main()
