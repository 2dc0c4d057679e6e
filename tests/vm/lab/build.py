"""Builds what is tested: the package, and the programs for this machine's side."""

import json
import os
import subprocess

from .host import CannotRun, REPO, quiet, tail
from .shop import Product


def build(lab, say):
    """The package, and the same under an older version, in a profile that is quick
    to build; CI says `release`, which it has built before."""
    profile = os.environ.get("TILLD_LAB_PROFILE", "lab")
    out = lab.at("packages")
    os.makedirs(out, exist_ok=True)
    for old in os.listdir(out):
        os.unlink(os.path.join(out, old))
    debs = []
    for more in [], ["--version", "0.0.9-1"]:
        made = subprocess.run(
            [REPO + "/packaging/deb.sh", "--profile", profile, *more, out],
            cwd=REPO, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if made.returncode != 0:
            raise CannotRun("the package cannot be built: " + tail(made.stderr, 8))
        debs.append(made.stdout.strip().splitlines()[-1])
        say("package " + os.path.basename(debs[-1]))
    meta = json.loads(quiet("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1", cwd=REPO))
    programs = meta["target_directory"] + "/" + profile
    return Product(lab, debs, programs + "/till", programs + "/tilld")
