"""Runs the lab's tests; see README.md."""

import argparse
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.build import build  # noqa: E402
from lab.company import Company  # noqa: E402
from lab.host import CannotRun, Clock, Lab  # noqa: E402
from lab.image import Image  # noqa: E402
from lab.story import TESTS, Stage  # noqa: E402

# The most important first.
ORDER = ["sale", "scans", "power", "network", "plugs", "system"]
HERE = os.path.dirname(os.path.abspath(__file__))


def number(name, otherwise):
    return int(os.environ.get(name) or otherwise)


def main():
    parser = argparse.ArgumentParser(description="The lab: tilld on a real kernel, with real devices, and the plug pulled.")
    parser.add_argument("words", nargs="*", help="a group, or a part of `group: name`; all tests if there are none")
    parser.add_argument("--list", action="store_true", help="name the tests")
    parser.add_argument("--seed", default=os.environ.get("TILLD_LAB_SEED", "1"), help="chance begins here")
    parser.add_argument("--again", type=int, default=number("TILLD_LAB_AGAIN", 0), help="play a test that failed so often again")
    parser.add_argument("--guests", type=int, default=number("TILLD_LAB_GUESTS", 1), help="so many guests side by side")
    args = parser.parse_args()
    for group in ORDER:
        if os.path.exists(f"{HERE}/stories/{group}.py"):
            __import__("stories." + group)
    wanted = lambda t: any(w == t.group or (w not in ORDER and w in str(t)) for w in args.words)
    chosen = [t for t in TESTS if not args.words or wanted(t)]
    if args.list:
        for one in chosen:
            print(f"{one}{' (alone)' if one.alone else ''}")
        return 0

    def ended(*_):
        raise KeyboardInterrupt

    # Whoever ends this ends the guests as well.
    signal.signal(signal.SIGTERM, ended)
    clock = Clock()

    def say(text):
        print(f"[{clock():6.1f} s] {text}", flush=True)

    try:
        lab = Lab()
        say(lab.have_tools())
        image = Image(lab)
        image.build(say)
        product = build(lab, say)
    except CannotRun as why:
        print(f"\n!!! NOT RUN: the lab (tests/vm): {why}\n")
        # Nobody takes it for a success.
        return 77
    stages = [Stage(lab, image, product, args.seed, say, n) for n in range(max(1, args.guests))]
    say(f"seed {args.seed}, {'KVM' if lab.kvm else 'no KVM: emulated'}, {len(stages)} guest(s) side by side, cache {lab.dir}")
    company = Company(stages, args.again)
    try:
        company.play(chosen)
    except KeyboardInterrupt:
        company.end()
        raise
    say("all through")
    for one in company.unsteady:
        print(f"!!! UNSTEADY: failed at first, see above: {one}")
    print(f"\n{company.passed} passed, {len(company.failed)} failed")
    for one in company.failed:
        print(f"FAILED {one}")
    return 1 if company.failed else 0


if __name__ == "__main__":
    sys.exit(main())
