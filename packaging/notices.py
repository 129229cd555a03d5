#!/usr/bin/env python3
"""Writes THIRD-PARTY-NOTICES: the licenses of everything in the executable and the images.

    packaging/notices.py              write the file again, after each change of Cargo.lock
    packaging/notices.py --check      fail if the file, or the license label of Dockerfile, is out of date
    packaging/notices.py --refresh    first write packaging/notices/ again, after an update of Swagger UI or Rust (needs npm)

The crates are those that cargo compiles for the platforms of the images. Their sources are part of cargo's cache, so the first two forms
need no network once the dependencies are fetched. The output depends on Cargo.lock and packaging/notices/ only.
"""

import argparse
import difflib
import html
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).parents[1]
OUTPUT = ROOT / "THIRD-PARTY-NOTICES"
PARTS = ROOT / "packaging/notices"
SWAGGER_UI = PARTS / "swagger-ui.txt"
RUST = PARTS / "rust.txt"
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
# Of alternatives, the first one of this list is chosen.
PREFERRED = ["MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Zlib"]
# A build dependency whose content is in the executable.
EMBEDDED = "utoipa-swagger-ui-vendored"
# The Debian packages of the base image, gcr.io/distroless/cc-debian12. The base image has their licenses in /usr/share/doc/*/copyright.
BASE_IMAGE = {
    "base-files": ["GPL-2.0-or-later"],
    "ca-certificates": ["MPL-2.0", "GPL-2.0-or-later"],
    "libc6": ["LGPL-2.1-or-later"],
    "libgcc-s1, libgomp1, libstdc++6": ["GPL-3.0-or-later WITH GCC-exception-3.1"],
    "libssl3": ["Apache-2.0"],
    "netbase": ["GPL-2.0-only"],
    "tzdata": [],
}
LICENSE_FILE = re.compile(r"(licen[cs]es?|copying|copyright|notice|unlicense)([-._].*)?", re.IGNORECASE)
# Folders whose content is not compiled.
NOT_COMPILED = {"benches", "build", "contrib", "debian", "examples", "programs", "test", "tests"}
# Alternatives that are not chosen, where the name of the file does not show it.
NOT_CHOSEN = {("zstd-sys", "zstd/COPYING")}
FILE_HINTS = {
    "apache": "Apache-2.0",
    "boost": "BSL-1.0",
    "mit": "MIT",
    "unlicense": "Unlicense",
    "zlib": "Zlib",
    "0bsd": "0BSD",
}
MIT = """\
MIT License

Copyright (c) {holders}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def run(*command, cwd=ROOT):
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def chosen(expression):
    """The licenses of an SPDX expression that apply: all of an AND, the preferred one of an OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def rank(licenses):
        return sum(PREFERRED.index(one) if one in PREFERRED else len(PREFERRED) for one in licenses)

    def alternatives():
        found = [conjunction()]
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            found.append(conjunction())
        return min(found, key=rank)

    def conjunction():
        found = operand()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            found = found | operand()
        return found

    def operand():
        token = tokens.pop(0)
        if token == "(":
            found = alternatives()
            tokens.pop(0)
            return found
        if tokens[:1] == ["WITH"]:
            tokens.pop(0)
            token += f" WITH {tokens.pop(0)}"
        return frozenset([token])

    found = alternatives()
    if tokens:
        sys.exit(f"cannot parse the license {expression!r}")
    return found


def crates():
    """The external crates in the executable, by name and version, as cargo describes them."""
    tree = ["cargo", "tree", "--locked", "--package", "datalake", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    metadata = ["cargo", "metadata", "--locked", "--format-version", "1"]
    for target in TARGETS:
        tree += ["--target", target]
        metadata += ["--filter-platform", target]
    compiled = {tuple(line.split(" ")[:2]) for line in run(*tree).splitlines() if line}
    packages = json.loads(run(*metadata))["packages"]
    external = [package for package in packages if package["source"]]
    found = [one for one in external if (one["name"], f"v{one['version']}") in compiled or one["name"] == EMBEDDED]
    missing = compiled - {(one["name"], f"v{one['version']}") for one in packages}
    if missing:
        sys.exit(f"cargo does not describe {sorted(missing)}")
    return sorted(found, key=lambda one: (one["name"], one["version"]))


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def license_texts(name, folder, expression):
    """The texts of a package's licenses and notices, without those of alternatives that are not chosen."""
    declared, applicable = set(re.findall(r"[^\s()/]+", expression)), chosen(expression)
    texts = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not LICENSE_FILE.fullmatch(path.name) or not path.is_file() or path.suffix in {".rs", ".js", ".ts", ".json"}:
            continue
        if NOT_COMPILED & set(inner.parts[:-1]) or (name, inner.as_posix()) in NOT_CHOSEN:
            continue
        hinted = next((license for hint, license in FILE_HINTS.items() if re.search(rf"\b{hint}\b", path.name.lower().replace("_", "-"))), None)
        if hinted in declared and not any(one.split(" ")[0] == hinted for one in applicable):
            continue
        text = read(path)
        if re.match(r"\s*GNU (LESSER |AFFERO )?GENERAL PUBLIC LICENSE", text, re.IGNORECASE):
            sys.exit(f"{name}: {inner} has the GPL; does it apply to what is compiled?")
        if text.strip():
            texts.append(text)
    return texts


def plain(text):
    lines = [line.rstrip() for line in text.expandtabs().replace("\r\n", "\n").replace("\f", "").splitlines()]
    return "\n".join(lines).strip("\n")


def grouped(texts_by_package):
    """Each text once, after the packages that it applies to."""
    groups = {}
    for package, texts in texts_by_package.items():
        for text in texts:
            packages, _ = groups.setdefault(" ".join(text.split()).lower(), ([], plain(text)))
            if package not in packages:
                packages.append(package)
    sections = []
    for packages, text in groups.values():
        heading = "\n".join(f"  {package}" for package in packages)
        sections.append(f"{'=' * 80}\nThe following text applies to:\n\n{heading}\n\n{'-' * 80}\n{text}\n")
    return "\n".join(sections)


def of_crates(packages):
    texts = {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        texts[name] = license_texts(package["name"], pathlib.Path(package["manifest_path"]).parent, package["license"])
    by_repository = {}
    for package in packages:
        by_repository.setdefault(package["repository"], []).extend(texts[f"{package['name']} {package['version']}"])
    apache = [text for found in texts.values() for text in found if re.match(r"\s*Apache License\s+Version 2.0", text)]
    standard = {"Apache-2.0": max(sorted(set(apache)), key=apache.count)}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if texts[name]:
            continue
        # A package without a text: that of its repository, or else the standard one.
        holders = ", ".join(package["authors"]) or f"the authors of {package['name']}"
        standard["MIT"] = MIT.format(holders=holders)
        licenses = sorted(chosen(package["license"]))
        if all(license in standard for license in licenses):
            texts[name] = [standard[license] for license in licenses]
        elif by_repository.get(package["repository"]):
            texts[name] = by_repository[package["repository"]]
        else:
            sys.exit(f"{name} has no text of its license, {package['license']}")
    return grouped(texts)


def part(path, version, refresh_for):
    """A part that --refresh has written, which begins with its version and the licenses in it."""
    text = read(path)
    head, licenses, body = text.split("\n", 2)
    if head != version:
        sys.exit(f"{path.relative_to(ROOT)} is of {head}, not of {version}; write it again for {refresh_for} with --refresh")
    return body.strip("\n"), set(licenses.split(": ", 1)[1].split(" AND "))


def swagger_ui_archive(packages):
    folder = next(pathlib.Path(one["manifest_path"]).parent for one in packages if one["name"] == EMBEDDED)
    (path,) = folder.glob("res/*.zip")
    return zipfile.ZipFile(path), path.stem.lstrip("v")


def rust_version():
    return re.search(r'channel = "(.*)"', read(ROOT / "rust-toolchain.toml")).group(1)


def expression(licenses):
    return " AND ".join(sorted(licenses, key=lambda one: (one != "MIT", one)))


def document():
    packages = crates()
    licenses = {"MIT"}
    for package in packages:
        if not package["license"]:
            sys.exit(f"{package['name']} {package['version']} declares no license")
        licenses |= chosen(package["license"])
    swagger_ui, more = part(SWAGGER_UI, f"Swagger UI {swagger_ui_archive(packages)[1]}", "Swagger UI")
    licenses |= more
    rust, more = part(RUST, f"Rust {rust_version()}", "the standard library")
    licenses |= more
    for more in BASE_IMAGE.values():
        licenses |= set(more)
    table = "\n".join(f"  {one['name']} {one['version']}: {one['license'].replace('/', ' OR ').replace('  ', ' ')}" for one in packages)
    base = "\n".join(f"  {names}: {' AND '.join(found) or 'public domain'}" for names, found in BASE_IMAGE.items())
    out = io.StringIO()
    out.write(f"""\
SPDX-License-Expression: {expression(licenses)}

THIRD-PARTY NOTICES

datalake is distributed under the MIT license (LICENSE). Its executable and its images contain the software below, under the licenses below.
Where a package offers alternatives, the first of {", ".join(PREFERRED)} is chosen.
packaging/notices.py writes this file.

1. Crates in the executable
2. Swagger UI, which the API serves at /docs
3. The standard library of Rust
4. The base image


1. CRATES IN THE EXECUTABLE

{table}

{of_crates(packages)}

2. SWAGGER UI

{swagger_ui}


3. THE STANDARD LIBRARY OF RUST

{rust}


4. THE BASE IMAGE

The images are based on gcr.io/distroless/cc-debian12, which consists of packages of Debian 12. Their copyright files, in
/usr/share/doc/*/copyright of the image, have the details; the sources are available from Debian. The main licenses are:

{base}
""")
    return out.getvalue()


def refresh_swagger_ui(packages):
    """The archive has no notices of the npm packages in its bundle: the same release on npm has the list of its sources, and npm has their texts."""
    archive, version = swagger_ui_archive(packages)
    top = archive.namelist()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run("npm", "pack", "--silent", f"swagger-ui-dist@{version}", cwd=folder)
        run("tar", "xf", f"swagger-ui-dist-{version}.tgz", cwd=folder)
        bundle = folder / "package/swagger-ui-bundle.js"
        if bundle.read_bytes() != archive.read(top + "dist/swagger-ui-bundle.js"):
            sys.exit("the bundle on npm is not that of the archive")
        locked = json.loads(archive.read(top + "package-lock.json"))["packages"]
        found = {
            re.match(r".*node_modules/(@[^/]+/)?[^/]+(?=/)", source).group().split("/", 1)[1]
            for source in json.loads(read(bundle.with_suffix(".js.map")))["sources"]
            if "/node_modules/" in source
        }
        installed = {}
        for place in found:
            name = place.rsplit("node_modules/", 1)[1]
            # The bundle may have been built with other versions than the lock file has: the notices name no version.
            entry = locked.get(place[place.index("node_modules/") :])
            installed[f"{name}@{entry['version']}" if entry else name] = None
        for spec, file in zip(sorted(installed), run("npm", "pack", "--silent", *sorted(installed), cwd=folder).split(), strict=True):
            installed[spec] = folder / file.removesuffix(".tgz")
            installed[spec].mkdir()
            run("tar", "xf", file, "-C", installed[spec], "--strip-components=1", cwd=folder)
        texts, table, licenses = {}, [], set()
        own = f"swagger-ui {version}"
        texts[own] = [archive.read(top + file).decode() for file in ["NOTICE", "LICENSE"]]
        table.append(f"  {own}: Apache-2.0")
        licenses.add("Apache-2.0")
        # From the readme of the only package that declares no license.
        undeclared = {"format": "MIT"}
        for _, path in sorted(installed.items()):
            package = json.loads(read(path / "package.json"))
            declared = package.get("license") or undeclared[package["name"]]
            known = package["name"]
            holders = package.get("author") or f"the authors of {package['name']}"
            holders = holders if isinstance(holders, str) else f"{holders['name']} <{holders.get('email', '')}>"
            found = license_texts(package["name"], path, declared)
            if not found and chosen(declared) == {"MIT"}:
                found = [MIT.format(holders=holders)]
            if not found and chosen(declared) == {"Apache-2.0"}:
                found = [texts[own][1]]
            if not found:
                sys.exit(f"{known} has no text of its license, {declared}")
            if known not in texts:
                texts[known] = found
                table.append(f"  {known}: {declared.strip('()')}")
                licenses |= chosen(declared)
        banners = read(folder / "package/swagger-ui-bundle.js.LICENSE.txt")
    SWAGGER_UI.write_text(
        f"Swagger UI {version}\nLicenses: {expression(licenses)}\n\nIts bundle contains parts of these npm packages:\n\n"
        + "\n".join(table)
        + f"\n\n{grouped(texts)}\n{'=' * 80}\nNotices in the bundle:\n\n{'-' * 80}\n{plain(banners)}\n"
    )


def refresh_rust():
    """rustc has the notices of its standard library as a page."""
    page = read(pathlib.Path(run("rustc", "--print", "sysroot").strip()) / "share/doc/rust/COPYRIGHT-library.html")
    in_tree, *dependencies = re.split(r"<h3>", page[page.index('<h2 id="in-tree-files">') :])
    texts, table, licenses = {}, [], {"MIT", "Unicode-3.0"}

    def text_of(markup):
        return plain(re.sub(r"\n\s*\n+", "\n", html.unescape(re.sub(r"<[^>]*>", "", markup))))

    for dependency in dependencies:
        name, version = re.match(r"\W*(\S+)-(\d\S*?)</h3>", dependency).groups()
        # Those of other platforms are not in the executable.
        if re.match(r"(windows|wasi|wit-|hermit|fortanix|moto|r-efi|vex|dlmalloc)", name):
            continue
        declared = re.search(r"<b>License:</b>(.*?)</p>", dependency, re.DOTALL).group(1).strip()
        licenses |= chosen(declared)
        files = re.findall(r"<summary><code>(.*?)</code></summary>\s*<pre>(.*?)</pre>", dependency, re.DOTALL)
        applicable = [
            html.unescape(text)
            for file, text in files
            if not (("MIT" in chosen(declared)) and re.search("apache|unlicense|zlib", file, re.IGNORECASE))
        ]
        if not applicable:
            sys.exit(f"{name} {version} has no text of its license")
        texts[f"{name} {version}"] = applicable
        table.append(f"  {name} {version}: {declared}")
    version = rust_version()
    rust = MIT.format(holders="The Rust Project Developers").replace("MIT License\n\n", "", 1)
    unicode = next(text for package in crates() if package["name"] == "unicode-ident" for text in license_texts(
        "unicode-ident", pathlib.Path(package["manifest_path"]).parent, package["license"]) if "UNICODE LICENSE" in text)
    texts = {f"the standard library of Rust {version}": [rust], "library/core/src/unicode": [unicode]} | texts
    RUST.write_text(
        f"Rust {version}\nLicenses: {expression(licenses)}\n\n{text_of(in_tree.split('<h2 id=')[1].split('>', 1)[1])}\n\n"
        f"It uses these crates:\n\n" + "\n".join(table) + f"\n\n{grouped(texts)}"
    )


def main():
    parser = argparse.ArgumentParser(description="Writes THIRD-PARTY-NOTICES.")
    parser.add_argument("--check", action="store_true", help="fail if something is out of date")
    parser.add_argument("--refresh", action="store_true", help="write packaging/notices/ again as well")
    arguments = parser.parse_args()
    if arguments.refresh:
        refresh_swagger_ui(crates())
        refresh_rust()
    new = document()
    if not arguments.check:
        OUTPUT.write_text(new)
    elif not OUTPUT.exists() or OUTPUT.read_text() != new:
        old = OUTPUT.read_text().splitlines() if OUTPUT.exists() else []
        print("\n".join(list(difflib.unified_diff(old, new.splitlines(), lineterm="", n=0))[:40]))
        sys.exit("THIRD-PARTY-NOTICES is out of date; run packaging/notices.py")
    label = re.search(r'org.opencontainers.image.licenses="(.*)"', read(ROOT / "Dockerfile")).group(1)
    wanted = new.splitlines()[0].split(": ", 1)[1]
    if label != wanted:
        sys.exit(f"the license label of Dockerfile is {label!r}; it must be {wanted!r}")


if __name__ == "__main__":
    main()
