#!/usr/bin/env bash
# Makes sure that the named tools are there, in the versions below, and prints
# the folder they are in. They are built without optimisation: they run for a
# second, and building them is what takes time.
#
#   packaging/tools.sh cargo-deb ...
set -euo pipefail
root=${TILLD_TOOLS:-$HOME/.cache/tilld-ci/tools}
mkdir -p "$root"
for tool in "$@"; do
  case $tool in
    cargo-deb) version=3.8.0 ;;
    cargo-deny) version=0.20.2 ;;
    cargo-cyclonedx) version=0.5.9 ;;
    *) echo "tools.sh: unknown tool $tool" >&2; exit 2 ;;
  esac
  # What cargo notes down about what it has installed.
  grep -qs "\"$tool $version " "$root/.crates.toml" && [ -x "$root/bin/$tool" ] && continue
  # One target folder for all of them: they share many libraries.
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$root/target" \
    cargo install --locked --debug --root "$root" "$tool@$version" >&2
done
echo "$root/bin"
