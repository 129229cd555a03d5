"""The prose of a source file: a copy of the same length in which everything that is not prose is masked.

Offsets and line numbers of the copy are those of the file. `MASK` separates pieces of prose, so that no phrase reaches from one string into the
next; comment markers and line continuations become spaces, so that a phrase is found across the lines of a comment.
"""

import io
import re
import tokenize

MASK = "\0"

RUST_STRING = re.compile(r'(?:b|c)?"(?:\\.|[^"\\])*"', re.DOTALL)
RUST_RAW_STRING = re.compile(r'(?:b|c)?r(#*)"(.*?)"\1', re.DOTALL)
RUST_CHAR = re.compile(r"b?'(?:\\(?:x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f_]+\}|.)|[^'\\\n])'")
RUST_LIFETIME = re.compile(r"'[A-Za-z_][A-Za-z0-9_]*")
RUST_LINE_COMMENT = re.compile(r"//[/!]?")
RUST_WORD = re.compile(r"(?:r#)?[A-Za-z_][A-Za-z0-9_]*")
RUST_TEST = re.compile(r"#\[\s*(?:[a-z_]+::)*(?:test|rstest|test_case)\b")
RUST_NAMED_CASE = re.compile(r"#\[\s*case::([a-z0-9_]+)")
RUST_FUNCTION = re.compile(r"\bfn\s+([a-z0-9_]+)")

ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f_]*\}|.)", re.DOTALL)
# `{count}` and `{count:>8}` in a format string are code. `{"key": 1}` is not a placeholder.
PLACEHOLDER = re.compile(r"\{[A-Za-z0-9_.!]*(?::[^{}\"\s]*)?\}")
LINE_COMMENT = re.compile(r"^[ \t]*(?:#+|//+[/!]?|\*|--|<!--|/\*+|>)", re.MULTILINE)


def blank(text: str, fill: str = MASK) -> str:
    """The same number of characters and lines, without the text."""
    return re.sub(r"[^\n]", fill, text)


def literal(text: str) -> str:
    """The contents of a string literal, without its escapes and placeholders."""
    text = ESCAPE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    return PLACEHOLDER.sub(lambda match: blank(match.group()), text)


def of_rust(source: str) -> str:
    """Comments, string literals, and the names of tests with spaces for underscores."""
    prose: list[str] = []
    code: list[str] = []  # The code without comments and strings, in which attributes and names of tests are searched.
    position, in_comment = 0, False

    def emit(text: str, is_prose: bool) -> None:
        nonlocal position
        prose.append(text)
        code.append(blank(text) if is_prose else source[position : position + len(text)])
        position += len(text)

    while position < len(source):
        character = source[position]
        if source.startswith("//", position):
            end = source.find("\n", position)
            end = len(source) if end < 0 else end
            marker = RUST_LINE_COMMENT.match(source, position).end()
            fill = " " if in_comment else MASK
            emit(fill * (marker - position) + source[marker:end], True)
            in_comment = True
        elif source.startswith("/*", position):
            end = end_of_block_comment(source, position)
            body = re.sub(r"/\*[*!]?|\*/|(?m:^[ \t]*\*)", lambda match: re.sub(r"[^\n]", " ", match.group()), source[position:end])
            emit(body, True)
            in_comment = False
        elif match := RUST_RAW_STRING.match(source, position):
            emit(blank(source[position : match.start(2)]), False)
            emit(literal_raw(match.group(2)), True)
            emit(blank(source[match.end(2) : match.end()]), False)
            in_comment = False
        elif match := RUST_STRING.match(source, position):
            start = source.index('"', position) + 1
            emit(blank(source[position:start]), False)
            emit(literal(source[start : match.end() - 1]), True)
            emit(MASK, False)
            in_comment = False
        elif match := RUST_CHAR.match(source, position) or RUST_LIFETIME.match(source, position) or RUST_WORD.match(source, position):
            emit(blank(match.group()), False)
            in_comment = False
        elif character.isspace():
            # Only spaces and one line end between two comments keep them together.
            if character == "\n" and source[position - 1 : position] == "\n":
                in_comment = False
            emit(character if character == "\n" else (" " if in_comment else MASK), False)
        else:
            emit(MASK, False)
            in_comment = False

    names = list("".join(prose))
    masked = "".join(code)
    for match in RUST_TEST.finditer(masked):
        # Other attributes may follow; the function is the next one.
        if function := RUST_FUNCTION.search(masked, match.end()):
            names[function.start(1) : function.end(1)] = function.group(1).replace("_", " ")
    for match in RUST_NAMED_CASE.finditer(masked):
        names[match.start(1) : match.end(1)] = match.group(1).replace("_", " ")
    return "".join(names)


def literal_raw(text: str) -> str:
    """The contents of a raw string, in which a backslash is a character."""
    return PLACEHOLDER.sub(lambda match: blank(match.group()), text)


def end_of_block_comment(source: str, start: int) -> int:
    """Where a block comment ends, which may contain others."""
    depth, position = 0, start
    for match in re.compile(r"/\*|\*/").finditer(source, start):
        depth += 1 if match.group() == "/*" else -1
        position = match.end()
        if depth == 0:
            return position
    return len(source)


def of_python(source: str) -> str:
    """Comments and strings."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    masked = list(blank(source))
    last_comment_line = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.COMMENT:
            masked[start:end] = " " + source[start + 1 : end]
            if last_comment_line == token.start[0] - 1:
                indent = starts[token.start[0] - 1]
                masked[indent:start] = " " * (start - indent)
            last_comment_line = token.start[0]
        elif token.type == tokenize.STRING:
            masked[start:end] = literal(source[start:end])
    return "".join(masked)


def of_text(source: str) -> str:
    """Everything except the comment markers at the beginning of lines."""
    return LINE_COMMENT.sub(lambda match: " " * len(match.group()), source)


def of_file(name: str, source: str) -> str:
    """The prose of a file, by its name."""
    if name.endswith(".rs"):
        return of_rust(source)
    if name.endswith(".py"):
        return of_python(source)
    if name.endswith(".css"):
        return source  # A line that begins with `#` is a selector.
    return of_text(source)
