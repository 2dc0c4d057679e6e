#!/usr/bin/env bash
# Builds the Debian package and prints its path, and nothing else on stdout.
#
#   packaging/deb.sh [--profile PROFILE] [--version VERSION] OUTDIR
#
# PROFILE is release, or lab for a quick build. VERSION is the package's, with
# its revision (usually that of Cargo.toml with -1): to test upgrades, the same
# code can be packaged with a lower one. The tools it takes are installed where
# they are missing, into $TILLD_TOOLS (usually ~/.cache/tilld-ci/tools).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
profile=release
version=
out=
while [ $# -gt 0 ]; do
  case $1 in
    --profile) profile=$2; shift 2 ;;
    --version) version=$2; shift 2 ;;
    -*) echo "deb.sh: unknown option $1" >&2; exit 2 ;;
    *) out=$1; shift ;;
  esac
done
[ -n "$out" ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"

tools=$(packaging/tools.sh cargo-deb cargo-cyclonedx)

# Cargo.toml has one version; Debian's has a revision as well.
crate=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
version=${version:-$crate-1}
# The same sources make the same package. Only the packager is told the date:
# libraries in C would be built anew for it.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
date=$(date -u -R -d "@$epoch")

cargo build --locked --profile "$profile" --bins >&2
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
beside=$target/$profile/package
rm -rf "$beside"
# The generator is quick to build as it is for development, and reads the same
# definitions.
cargo run --locked --quiet --example package-pages -- "$beside" "$version" "$date" >&2
SOURCE_DATE_EPOCH=$epoch packaging/sbom.sh "$beside/tilld.cdx.json"
gzip -9 -n "$beside/changelog.Debian" "$beside/tilld.cdx.json" "$beside"/man/*

umask 022
deb=$out/tilld_${version}_$(dpkg --print-architecture).deb
# cargo-deb itself is built without optimisation: the compressing is left to xz.
pack=(--quiet --no-build --compress-system)
[ "$profile" = release ] || pack+=(--fast)
SOURCE_DATE_EPOCH=$epoch "$tools/cargo-deb" deb "${pack[@]}" --profile "$profile" --deb-version "$version" --output "$deb" >&2
echo "$deb"
