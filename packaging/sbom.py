#!/usr/bin/env python3
"""Writes a CycloneDX SBOM of the executable, with cargo-cyclonedx (cargo install --locked cargo-cyclonedx@0.5.9):

    packaging/sbom.py datalake.cdx.json

cargo-cyclonedx also lists optional dependencies that no enabled feature needs, and does not know Swagger UI. The SBOM contains the crates that
cargo compiles for the platforms of the images, and Swagger UI. SOURCE_DATE_EPOCH sets its time.
"""

import json
import pathlib
import sys

from notices import ROOT, TARGETS, crates, run, swagger_ui_archive


def main():
    (output,) = sys.argv[1:] or sys.exit("usage: packaging/sbom.py FILE")
    name = "sbom-of-cargo"
    command = ["cargo", "cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--override-filename", name, "--target"]
    boms = []
    try:
        for target in TARGETS:
            run(*command, target)
            boms.append(json.loads((ROOT / f"crates/datalake/{name}.json").read_text()))
    finally:
        # It writes one for each crate of the workspace.
        for path in ROOT.glob(f"crates/*/{name}.json"):
            path.unlink()
    packages = crates()
    compiled = {(package["name"], package["version"]) for package in packages}
    compiled |= {(path.parent.name, boms[0]["metadata"]["component"]["version"]) for path in ROOT.glob("crates/*/Cargo.toml")}
    components, dependencies = {}, {}
    for bom in boms:
        components |= {one["bom-ref"]: one for one in bom["components"] if (one["name"], one["version"]) in compiled}
        for one in bom["dependencies"]:
            dependencies.setdefault(one["ref"], set()).update(one.get("dependsOn", []))
    missing = compiled - {(one["name"], one["version"]) for one in components.values()}
    missing = {name for name, _ in missing} - {"datalake", "datalake-e2e", "datalake-sim"}
    if missing:
        sys.exit(f"cargo-cyclonedx does not list {', '.join(sorted(missing))}")
    bom = boms[0]
    version = swagger_ui_archive(packages)[1]
    swagger_ui = {
        "type": "library",
        "bom-ref": f"pkg:npm/swagger-ui-dist@{version}",
        "name": "swagger-ui-dist",
        "version": version,
        "licenses": [{"expression": "Apache-2.0"}],
        "purl": f"pkg:npm/swagger-ui-dist@{version}",
    }
    components[swagger_ui["bom-ref"]] = swagger_ui
    kept = components.keys() | {bom["metadata"]["component"]["bom-ref"]}
    dependencies[swagger_ui["bom-ref"]] = set()
    for ref in kept:
        if "datalake-api" in ref:
            dependencies[ref].add(swagger_ui["bom-ref"])
    bom["components"] = [components[ref] for ref in sorted(components)]
    bom["dependencies"] = [{"ref": ref, "dependsOn": sorted(dependencies[ref] & kept)} for ref in sorted(dependencies.keys() & kept)]
    pathlib.Path(output).write_text(json.dumps(bom, indent=2) + "\n")
    print(f"{len(bom['components'])} components")


if __name__ == "__main__":
    main()
