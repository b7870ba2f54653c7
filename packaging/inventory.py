#!/usr/bin/env python3
"""Writes what the package is made of, offline, from Cargo's own metadata.

    inventory.py OUT_DIR

`sbom.cdx.json` is a CycloneDX 1.5 bill of materials of the three programs; `NOTICES` has the licence texts of every crate that
is linked into them. Needs the crates' sources in Cargo's registry, as a build leaves them.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tomllib

PROGRAMS = ("mains-daemon", "mains-worker", "mains-cli")
TARGET = "x86_64-unknown-linux-gnu"
TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT")


def linked(metadata):
    """Packages that are linked into a program: what it needs at run time, not build scripts, tests or macros' own needs."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    todo = [node for node in nodes if packages[node]["name"] in PROGRAMS]
    seen = set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for dependency in nodes[node]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return sorted((packages[node] for node in seen), key=lambda package: (package["name"], package["version"]))


def component(package, checksums):
    own = package["source"] is None
    entry = {"type": "application" if package["name"] in PROGRAMS else "library", "name": package["name"],
             "version": package["version"], "bom-ref": f"{package['name']}@{package['version']}"}
    if package.get("license"):
        entry["licenses"] = [{"expression": re.sub(r"\s*(/| OR )\s*", " OR ", package["license"])}]
    if not own:
        entry["purl"] = f"pkg:cargo/{package['name']}@{package['version']}"
        checksum = checksums.get((package["name"], package["version"]))
        if checksum:
            entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.upper().startswith(TEXTS)]
    return [file.read_text(errors="replace").strip() for file in files]


def notices(packages):
    by_text, without = {}, []
    for package in packages:
        found = texts(package)
        if not found:
            without.append(package)
        for text in found:
            by_text.setdefault(text, []).append(package)
    yield "mains is made with the crates below. Each text stands once, above it the crates that it belongs to.\n"
    for text, users in by_text.items():
        yield "=" * 80 + "\n" + ", ".join(f"{user['name']} {user['version']}" for user in users) + "\n\n" + text + "\n"
    for package in without:
        authors = ", ".join(package.get("authors") or ["its authors"])
        yield "=" * 80 + f"\n{package['name']} {package['version']}: {package.get('license')}, by {authors}\n"


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    top = pathlib.Path(__file__).resolve().parents[1]
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", TARGET]
    packages = linked(json.loads(subprocess.run(command, cwd=top, check=True, capture_output=True).stdout))
    lock = tomllib.loads((top / "Cargo.lock").read_text())
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "metadata": {"component": {"type": "application", "name": "mains", "version": next(
                package["version"] for package in packages if package["name"] == "mains-daemon")}},
            "components": [component(package, checksums) for package in packages]}
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).hexdigest()
    bill["serialNumber"] = f"urn:uuid:{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    (out / "sbom.cdx.json").write_text(json.dumps(bill, indent=1) + "\n")
    (out / "NOTICES").write_text("\n".join(notices(packages)))
    print(f"{len(packages)} crates are linked in")


if __name__ == "__main__":
    main()
