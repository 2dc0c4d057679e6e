#!/bin/sh
# Installs Alipay's own SDKs (Python and Node), once and outside the clone, and
# prints the folder that they are in: $TILLD_SDK_CACHE, usually ~/.cache/tilld-sdk.
# In it are `venv` and `node/node_modules`.
set -eu

fail() {
    echo "conformance_sdk: $*" >&2
    exit 1
}

for tool in python3 node npm; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done
cache=${TILLD_SDK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tilld-sdk}
mkdir -p "$cache/node"

if [ ! -e "$cache/python-3.7.1411" ]; then
    python3 -m venv "$cache/venv" || fail "cannot make a Python environment"
    # The SDK asks for a build of pycryptodome that needs setuptools.
    "$cache/venv/bin/pip" install --quiet setuptools alipay-sdk-python==3.7.1411 >&2 ||
        fail "cannot install alipay-sdk-python"
    touch "$cache/python-3.7.1411"
fi
if [ ! -e "$cache/node-4.14.0" ]; then
    (cd "$cache/node" && npm install --silent --no-audit --no-fund --prefix . alipay-sdk@4.14.0) >&2 ||
        fail "cannot install alipay-sdk of npm"
    touch "$cache/node-4.14.0"
fi
echo "$cache"
