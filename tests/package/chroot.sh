#!/usr/bin/env bash
# Makes a small Debian to install packages in, once for each release and with
# this machine's own sources of packages. Prints its folder.
#
#   tests/package/chroot.sh
set -euo pipefail
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
root=${TILLD_CHROOTS:-$HOME/.cache/tilld-ci/chroot}/$release
if [ ! -e "$root.made" ]; then
  rm -rf "$root"
  mkdir -p "$(dirname "$root")"
  sources=$(mktemp)
  trap 'rm -f "$sources"' EXIT
  list() {
    apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
      sed -n 's/^Debian|//p' | sort -u >"$sources"
  }
  list
  # Nothing is known of the sources before the first update.
  [ -s "$sources" ] || { apt-get update -qq >&2; list; }
  # udev and systemd are what the package's scripts talk to; nothing of them
  # runs in here.
  mmdebstrap --quiet --variant=essential --include=systemd,udev "$release" "$root" "$sources" >&2
  touch "$root.made"
fi
echo "$root"
