#!/usr/bin/env python3
"""Finds phrases that are never right in this project: see phrases.toml.

    tests/language/check.py [PATH...]

Checks the files of the git repository around the working folder, or the given files and folders, and prints `path:line: "phrase" -> replacement`
for each finding. Exits with 1 if there is one.
"""

import fnmatch
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import prose

PHRASES = Path(__file__).with_name("phrases.toml")


class Phrase:
    """An expression that is never right, and what to write instead."""

    def __init__(self, expression: str, use: str) -> None:
        spaced = expression.replace(" ", r"\s+")
        self.pattern = re.compile(rf"(?:{spaced})(?!\w)")
        self.use = use

    def matches(self, text: str) -> Iterator[re.Match[str]]:
        """Where a text in lower case has the phrase. `re` is much faster where an expression begins with letters, not with a border."""
        for match in self.pattern.finditer(text):
            if not re.match(r"\w", text[match.start() - 1 : match.start()]):
                yield match


class Rules:
    """phrases.toml."""

    def __init__(self, text: str) -> None:
        document = tomllib.loads(text)
        self.phrases = [Phrase(expression, use) for expression, use in document["phrases"].items()]
        self.excluded = list(document["excluded"])
        self.exceptions = [
            (entry["path"], re.compile(entry["phrase"], re.IGNORECASE), entry["reason"]) for entry in document.get("exceptions", [])
        ]
        self.used: set[int] = set()

    def checks(self, path: str) -> bool:
        """Whether a file is written in this project."""
        return not any(fnmatch.fnmatch(path, pattern) for pattern in self.excluded)

    def is_exception(self, path: str, line: str, start: int, end: int) -> bool:
        """Whether an exception covers these characters of a line."""
        for number, (pattern, phrase, _) in enumerate(self.exceptions):
            if fnmatch.fnmatch(path, pattern) and any(match.start() <= start and end <= match.end() for match in phrase.finditer(line)):
                self.used.add(number)
                return True
        return False


def findings(rules: Rules, path: str, source: str) -> list[tuple[int, str, str]]:
    """The line, the phrase and its replacement, in the order of the lines. The name of the file counts as line 0."""
    found = []
    stem = lowered(re.sub(r"[_\-./]", " ", path))
    for phrase in rules.phrases:
        for match in phrase.matches(stem):
            if not rules.is_exception(path, stem, match.start(), match.end()):
                found.append((0, match.group(), phrase.use))
    text = lowered(prose.of_file(path, source))
    for phrase in rules.phrases:
        for match in phrase.matches(text):
            begin = text.rfind("\n", 0, match.start()) + 1
            end = text.find("\n", match.end())
            line = text[begin : len(text) if end < 0 else end]
            if not rules.is_exception(path, line, match.start() - begin, match.end() - begin):
                words = " ".join(match.group().replace(prose.MASK, " ").split())
                found.append((text.count("\n", 0, match.start()) + 1, words, phrase.use))
    return sorted(found)


def lowered(text: str) -> str:
    """In lower case, with every character where it was: two letters have lower-case forms of several characters."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(letter if len(letter.lower()) != 1 else letter.lower() for letter in text)


def git(*arguments: str) -> str:
    """The output of a git command."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def files(root: Path, paths: list[str]) -> list[str]:
    """Files that git tracks or would track, below the given paths, relative to the root."""
    absolute = [str(Path(path).resolve()) for path in paths] or [str(root)]
    listed = git("-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *absolute)
    return sorted({name for name in listed.split("\0") if name and (root / name).is_file()})


def main(arguments: list[str]) -> int:
    rules = Rules(PHRASES.read_text())
    root = Path(git("rev-parse", "--show-toplevel").strip())
    checked = count = 0
    for path in files(root, arguments):
        if not rules.checks(path):
            continue
        try:
            source = (root / path).read_text()
        except UnicodeDecodeError:
            continue  # An image or a Parquet file.
        checked += 1
        for line, words, use in findings(rules, path, source):
            count += 1
            print(f'{path}:{line}: "{words}" -> {use}')
    unused = [] if arguments else [entry for number, entry in enumerate(rules.exceptions) if number not in rules.used]
    for path, phrase, _ in unused:
        print(f"phrases.toml: the exception for {phrase.pattern!r} in {path} is not needed")
    print(f"{checked} files checked, {count} findings")
    return 1 if count or unused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
