#!/usr/bin/env python3
"""Attacks on a running daemon: a table of what each comes to.

    tests/attacks/run.py [--strict] [--markdown] FOLDER [WORDS ...]

FOLDER has the programs `tilld` and `till` of any build (target/release). Each attack
gets a daemon, a simulated gateway and a journal of its own. WORDS choose attacks.
`--strict` ends with 1 if one of them gets through. It needs nothing but Python.
"""

import argparse
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from attacks import ATTACKS  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--strict", action="store_true", help="end with 1 if an attack gets through")
    parser.add_argument("--markdown", action="store_true", help="a table for a note")
    args = parser.parse_args()
    programs = os.path.abspath(args.programs)
    chosen = [a for a in ATTACKS if not args.words or any(w in a[0] or w == a[2].__name__ for w in args.words)]
    through = 0
    if args.markdown:
        print("| attack | seen | |\n| --- | --- | --- |")
    for name, right, function in chosen:
        start = time.monotonic()
        try:
            seen, holds = function(programs)
        except Exception as error:  # noqa: BLE001
            seen, holds = f"{type(error).__name__}: {error}".replace("\n", " ")[:200], False
            if not args.markdown:
                traceback.print_exc()
        through += not holds
        verdict = "holds" if holds else "GETS THROUGH"
        if args.markdown:
            print(f"| {name} | {seen} | {verdict} |", flush=True)
        else:
            print(f"{verdict:12}  {name} ({time.monotonic() - start:.0f} s)\n              {seen}\n              right: {right}", flush=True)
    print(f"\n{len(chosen) - through} of {len(chosen)} hold; load {' '.join(open('/proc/loadavg').read().split()[:3])}")
    return 1 if through and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
