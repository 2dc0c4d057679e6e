#!/usr/bin/env bash
# Writes what the programs are made of, as a CycloneDX document.
#
#   packaging/sbom.sh OUTFILE
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "$1")
tools=$(packaging/tools.sh cargo-cyclonedx)
host=$(rustc -vV | sed -n 's/^host: //p')
# It can only write beside Cargo.toml. SOURCE_DATE_EPOCH, where it is set, makes
# two runs the same.
name=sbom.$$
trap 'rm -f "$name.json"' EXIT
"$tools/cargo-cyclonedx" cyclonedx -qq --format json --spec-version 1.5 --target "$host" --override-filename "$name"
mkdir -p "$(dirname "$out")"
# It cannot tell which optional parts are switched on and lists some that are not
# built. Cargo can; and where it was built is nobody's business.
cargo tree --locked --target "$host" -e normal,build --prefix none --format '{p}' |
  python3 -c '
import json, sys
document, out, here = sys.argv[1:]
used = {(line.split()[0], line.split()[1].lstrip("v")) for line in sys.stdin if line.strip()}
sbom = json.loads(open(document).read().replace(f"path+file://{here}", "path+file:///tilld"))
gone = {part["bom-ref"] for part in sbom["components"] if (part["name"], part["version"]) not in used}
sbom["components"] = [part for part in sbom["components"] if part["bom-ref"] not in gone]
sbom["dependencies"] = [entry for entry in sbom["dependencies"] if entry["ref"] not in gone]
for entry in sbom["dependencies"]:
    if "dependsOn" in entry:
        entry["dependsOn"] = [ref for ref in entry["dependsOn"] if ref not in gone]
with open(out, "w") as file:
    json.dump(sbom, file, indent=1, ensure_ascii=False)
' "$name.json" "$out" "$PWD"
