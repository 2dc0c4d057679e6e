"""Runs the lab's tests; see README.md."""

import argparse
import os
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.build import build  # noqa: E402
from lab.host import CannotRun, Clock, Lab  # noqa: E402
from lab.image import Image  # noqa: E402
from lab.story import TESTS, Stage  # noqa: E402

# The most important first.
ORDER = ["sale", "scans", "power", "network", "plugs", "system"]
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    parser = argparse.ArgumentParser(description="The lab: tilld on a real kernel, with real devices, and the plug pulled.")
    parser.add_argument("words", nargs="*", help="a group, or a part of `group: name`; all tests if there are none")
    parser.add_argument("--list", action="store_true", help="name the tests")
    parser.add_argument("--seed", default=os.environ.get("TILLD_LAB_SEED", "1"), help="chance begins here")
    parser.add_argument("--again", type=int, default=int(os.environ.get("TILLD_LAB_AGAIN", "0")), help="play a test that failed so often again")
    args = parser.parse_args()
    for group in ORDER:
        if os.path.exists(f"{HERE}/stories/{group}.py"):
            __import__("stories." + group)
    wanted = lambda group, name: any(w == group or (w not in ORDER and w in f"{group}: {name}") for w in args.words)
    chosen = [t for t in TESTS if not args.words or wanted(*t[:2])]
    if args.list:
        for group, name, _ in chosen:
            print(f"{group}: {name}")
        return 0

    def ended(*_):
        raise KeyboardInterrupt

    # Whoever ends this ends the guest as well.
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
    stage = Stage(lab, image, product, args.seed, say)
    say(f"seed {args.seed}, {'KVM' if lab.kvm else 'no KVM: emulated'}, cache {lab.dir}")
    passed = failed = 0
    unsteady = []
    for group, name, function in chosen:
        for more in reversed(range(args.again + 1)):
            start, stage.notes = time.monotonic(), []
            try:
                function(stage)
                word, why = "ok    ", None
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001
                word, why = "FAILED", traceback.format_exc() + stage.trouble()
            finally:
                stage.end()
                stage.close_gateway()
            notes = f" ({'; '.join(stage.notes)})" if stage.notes else ""
            print(f"{word} {time.monotonic() - start:6.1f} s  {group}: {name}{notes}", flush=True)
            if why is None:
                passed += 1
                break
            print("\n".join("       | " + line for line in why.splitlines()), flush=True)
            if more:
                unsteady.append(f"{group}: {name}")
            else:
                failed += 1
    say("all through")
    for name in unsteady:
        print(f"!!! UNSTEADY: failed at first, see above: {name}")
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
