#!/usr/bin/env bash
# A real decoder (zbar) reads what is drawn for customers: the SVG, rendered, and
# what a terminal shows, painted as a terminal paints it. 77 if the tools cannot
# be had.
set -euo pipefail
till=$(realpath "${1:?usage: tests/qr/run.sh PATH/TO/till}")
cd "$(dirname "$0")"
missing=()
for pair in zbarimg:zbar-tools rsvg-convert:librsvg2-bin; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}") >/dev/null 2>&1 ||
    { echo "could not install ${missing[*]}"; exit 77; }
fi
work=$(mktemp -d)
trap 'kill "$sandbox" "$daemon" 2>/dev/null || true; rm -rf "$work"' EXIT
sandbox='' daemon=''

"$till" sandbox --listen 127.0.0.1:0 --dir "$work/sandbox" >"$work/sandbox.log" 2>&1 &
sandbox=$!
for _ in $(seq 100); do [ -s "$work/sandbox/tilld.toml" ] && break; sleep 0.1; done
"$(dirname "$till")/tilld" --config "$work/sandbox/tilld.toml" >"$work/tilld.log" 2>&1 &
daemon=$!
socket=$(sed -n 's/^socket *= *"\(.*\)"/\1/p' "$work/sandbox/tilld.toml")
case $socket in /*) ;; *) socket=$work/sandbox/$socket ;; esac
ask() { curl -sS --unix-socket "$socket" "$@"; }
for _ in $(seq 200); do ask http://tilld/v1/ready 2>/dev/null | grep -q '"ready":true' && break; sleep 0.1; done

ask -X PUT 'http://tilld/v1/payments/QR1' -d '{"amount":"3.20","subject":"咖啡","method":"qr"}' >/dev/null
for _ in $(seq 100); do
  text=$(ask http://tilld/v1/payments/QR1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["qr_code"] or "")')
  [ -n "$text" ] && break; sleep 0.1
done
[ -n "$text" ] || { echo "no code was made"; cat "$work/tilld.log"; exit 1; }

ask http://tilld/v1/payments/QR1/qr.svg >"$work/qr.svg"
rsvg-convert --width 400 "$work/qr.svg" >"$work/svg.png"
read_svg=$(zbarimg --quiet --raw "$work/svg.png")
[ "$read_svg" = "$text" ] || { echo "the SVG reads $read_svg, not $text"; exit 1; }

# What a dark screen shows: each half block becomes four by four dots.
TILLD_SOCKET=$socket timeout 20 "$till" pay 3.20 --subject 咖啡 --qr --order QR2 --wait 3 >/dev/null 2>"$work/shown.txt" || true
python3 - "$work/shown.txt" "$work/shown.pgm" <<'PY'
import sys
lines = [l.rstrip("\n") for l in open(sys.argv[1], encoding="utf-8")]
drawn = [l for l in lines if l and set(l) <= set("█▀▄ ")]
width = max(map(len, drawn))
rows = []
for line in drawn:
    line = line.ljust(width)
    rows.append([255 if c in "█▀" else 0 for c in line])
    rows.append([255 if c in "█▄" else 0 for c in line])
scale = 4
with open(sys.argv[2], "w") as out:
    out.write(f"P2 {width * scale} {len(rows) * scale} 255\n")
    for row in rows:
        line = " ".join(str(v) for v in row for _ in range(scale))
        out.write((line + "\n") * scale)
PY
shown=$(zbarimg --quiet --raw "$work/shown.pgm")
want=$(ask http://tilld/v1/payments/QR2 | python3 -c 'import json,sys; print(json.load(sys.stdin)["qr_code"])')
[ "$shown" = "$want" ] || { echo "the terminal shows $shown, not $want"; exit 1; }
echo "zbar reads the SVG and the terminal's text"
