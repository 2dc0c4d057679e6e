#!/usr/bin/env python3
"""Compares the list of what the programs are made of with Cargo's own word.

    tests/package/sbom.py PACKAGE.deb

Everything that is linked into the programs or runs while they are built must be
in the document that the package ships, in the version and with the checksum of
Cargo.lock, and nothing else.
"""

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = "./usr/share/doc/tilld/tilld.cdx.json.gz"


def shipped(package):
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        return json.loads(gzip.decompress(files.extractfile(SHIPPED).read()))


def used():
    host = re.search(r"(?m)^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True))[1]
    tree = subprocess.check_output(["cargo", "tree", "--locked", "--target", host, "-e", "normal,build", "--prefix",
                                    "none", "--format", "{p}"], cwd=ROOT, text=True)
    crates = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
    return {(name, version.lstrip("v")) for name, version in crates if name != "tilld"}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    told = {}
    for part in shipped(sys.argv[1])["components"]:
        sums = [entry["content"] for entry in part.get("hashes", []) if entry["alg"] == "SHA-256"]
        told[part["name"], part["version"]] = (sums, part.get("licenses"))
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    locked = {(crate["name"], crate["version"]): crate.get("checksum") for crate in lock["package"]}
    faults = [f"{name} {version} is missing" for name, version in sorted(used() - told.keys())]
    faults += [f"{name} {version} is not used" for name, version in sorted(told.keys() - used())]
    for crate, (sums, licences) in sorted(told.items()):
        if sums != [locked.get(crate)]:
            faults.append(f"{crate[0]} {crate[1]} has another checksum than in Cargo.lock")
        if not licences:
            faults.append(f"{crate[0]} {crate[1]} names no licence")
    for fault in faults:
        print(f"FAIL {fault}")
    print(f"{len(told)} parts of the programs, {len(faults)} faults")
    sys.exit(1 if faults or len(told) < 100 else 0)


main()
