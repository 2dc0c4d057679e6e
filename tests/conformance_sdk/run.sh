#!/bin/sh
# Lets Alipay's own SDKs (Python and Node) pay, precreate, query, cancel and refund
# against `till sandbox`, and verify its answers.
#
#   tests/conformance_sdk/run.sh target/debug/till
#
# The SDKs are installed by install.sh. Whatever is missing is a failure: a check
# that did not run proves nothing.
set -eu

fail() {
    echo "conformance_sdk: $*" >&2
    exit 1
}

till=${1:?"usage: $0 PATH/TO/till"}
[ -x "$till" ] || fail "$till is no program: build it first (cargo build --bin till)"
command -v curl >/dev/null || fail "curl is missing"
here=$(cd "$(dirname "$0")" && pwd)
cache=$("$here/install.sh")

work=$(mktemp -d)
sandbox=
stop() {
    [ -z "$sandbox" ] || kill "$sandbox" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$till" sandbox --listen "127.0.0.1:$port" --dir "$work" --speed 100 >"$work/out" 2>"$work/err" &
sandbox=$!
tries=0
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/sandbox/endings"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$sandbox" 2>/dev/null; then
        cat "$work/err" >&2
        fail "the sandbox did not start"
    fi
    sleep 0.1
done

# Both SDKs write the timestamp in the zone of the machine; Alipay wants Beijing's.
export TZ=CST-8
gateway="http://127.0.0.1:$port/gateway.do"
"$cache/venv/bin/python" "$here/pay.py" "$gateway" "$work" || fail "the Python SDK disagrees"
NODE_PATH="$cache/node/node_modules" node "$here/pay.cjs" "$gateway" "$work" ||
    fail "the Node SDK disagrees"
echo "conformance_sdk: both SDKs agree"
