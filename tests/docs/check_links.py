#!/usr/bin/env python3
"""Finds broken links in the Markdown files of this repository.

    tests/docs/check_links.py [ROOT]

Checks the files that git tracks or would track: the files, folders and images that relative links name, and the headings that their anchors name. Every page
in docs/src is in SUMMARY.md once, and every `docs/src/….md` that another text names exists. Links to other hosts are not requested. Prints
`path:line: message` for each finding. Exits with 1 if there is one.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
INLINE_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+[\"'(][^)]*)?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[([^\]]+)\]:\s*<?([^\s>]+)>?")
HTML_LINK = re.compile(r"""<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=["']([^"']+)["']""", re.IGNORECASE)
HTML_ANCHOR = re.compile(r"""<[a-z0-9]+\b[^>]*?\b(?:id|name)=["']([^"']+)["']""", re.IGNORECASE)
SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*:")
PAGE_PATH = re.compile(r"\bdocs/src/[A-Za-z0-9_./-]+?\.md\b")

PAGES = "docs/src/"
SUMMARY = PAGES + "SUMMARY.md"


def prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """The numbers and texts of the lines outside fenced code blocks."""
    fence = None
    for number, line in enumerate(text.splitlines(), start=1):
        match = FENCE.match(line)
        if fence is None:
            if match and "`" not in match.group(2):
                fence = match.group(1)
            else:
                yield number, line
        elif match and match.group(1).startswith(fence) and not match.group(2).strip():
            fence = None


def without_code(line: str) -> str:
    """The line with its code spans blanked."""
    return CODE_SPAN.sub(lambda match: " " * len(match.group()), line)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and mdBook derive it."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    kept = re.sub(r"[^\w\- ]", "", text.strip().lower())
    return kept.replace(" ", "-")


def anchors(text: str) -> set[str]:
    """The anchors of a Markdown file."""
    found: set[str] = set()
    for _, line in prose_lines(text):
        if match := HEADING.match(line):
            base = anchor = slug(match.group(2))
            count = 0
            while anchor in found:
                count += 1
                anchor = f"{base}-{count}"
            found.add(anchor)
        found.update(HTML_ANCHOR.findall(without_code(line)))
    return found


def links(text: str) -> Iterator[tuple[int, str]]:
    """The line and the target of each link and image."""
    for number, line in prose_lines(text):
        plain = without_code(line)
        if match := DEFINITION.match(plain):
            yield number, match.group(2)
            continue
        yield from links_of_line(number, plain)


def links_of_line(number: int, line: str) -> Iterator[tuple[int, str]]:
    """The links of a line without code, also those of an image within a link."""
    for match in INLINE_LINK.finditer(line):
        yield number, match.group(3)
        yield from links_of_line(number, match.group(2))
    for match in HTML_LINK.finditer(line):
        for candidate in match.group(1).split(","):
            yield number, candidate.split()[0] if candidate.split() else ""


class Repository:
    """The files below a folder, by their paths relative to it."""

    def __init__(self, root: Path, files: list[str]) -> None:
        self.root = root
        self.files = set(files)
        self.folders = {str(parent) for file in files for parent in Path(file).parents}
        self.known_anchors: dict[str, set[str]] = {}

    def text(self, path: str) -> str | None:
        """The text of a file; none if it is not text."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None

    def anchors(self, path: str) -> set[str]:
        if path not in self.known_anchors:
            self.known_anchors[path] = anchors(self.text(path) or "")
        return self.known_anchors[path]

    def broken(self, source: str, target: str) -> str | None:
        """Why a link is broken; none if it is not."""
        if SCHEME.match(target) or target.startswith("//"):
            return None
        if target == "":
            return "the link has no target"
        if target.startswith("/"):
            return f"{target} is absolute; links are relative to the file"
        path, _, anchor = target.partition("#")
        path = unquote(path)
        file = os.path.normpath(os.path.join(os.path.dirname(source), path)) if path else source
        if file not in self.files and file not in self.folders:
            return f"{target}: there is no {file}"
        if anchor and file.endswith(".md") and unquote(anchor) not in self.anchors(file):
            return f"{target}: {file} has no heading #{anchor}"
        return None

    def findings(self) -> Iterator[tuple[str, int, str]]:
        """The file, the line and the message of each finding."""
        for path in sorted(self.files):
            text = self.text(path)
            if text is None:
                continue
            if path.endswith(".md"):
                for number, target in links(text):
                    if message := self.broken(path, target):
                        yield path, number, message
            for number, line in enumerate(text.splitlines(), start=1):
                for page in PAGE_PATH.findall(line):
                    if page not in self.files:
                        yield path, number, f"there is no {page}"
        yield from self.unlisted_pages()

    def unlisted_pages(self) -> Iterator[tuple[str, int, str]]:
        """The pages that SUMMARY.md does not name exactly once."""
        if SUMMARY not in self.files:
            return
        listed = [os.path.normpath(PAGES + target) for _, target in links(self.text(SUMMARY) or "")]
        for page in sorted(file for file in self.files if file.startswith(PAGES) and file.endswith(".md") and file != SUMMARY):
            if (count := listed.count(page)) != 1:
                yield SUMMARY, 0, f"{page} is listed {count} times, expected once"


def git_files(root: Path) -> list[str]:
    """Files that git tracks or would track, relative to the root. Tests of this check name files that do not exist."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    own = Path(__file__).resolve().parent
    names = {name for name in output.split("\0") if name and (root / name).is_file()}
    return sorted(name for name in names if (root / name).resolve().parent != own)


def main(arguments: list[str]) -> int:
    command = ["git", "rev-parse", "--show-toplevel"]
    top = arguments[0] if arguments else subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    root = Path(top)
    repository = Repository(root, git_files(root))
    count = 0
    for path, number, message in repository.findings():
        count += 1
        print(f"{path}:{number}: {message}")
    pages = sum(file.endswith(".md") for file in repository.files)
    print(f"{pages} files checked, {count} broken links")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
