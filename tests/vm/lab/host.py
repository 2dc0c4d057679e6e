"""This machine: where the lab keeps its things, and the tools it needs."""

import ctypes
import glob
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPO = os.path.dirname(os.path.dirname(HERE))

# command: Debian package
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "mount": "mount", "cpio": "cpio", "cc": "gcc"}


class CannotRun(Exception):
    """The lab cannot be had on this machine; says why."""


class Lab:
    """The cache, outside the clone: tools, kernel, images, saved guests."""

    def __init__(self):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.dir = os.path.abspath(os.environ.get("TILLD_LAB_DIR") or os.path.join(cache, "tilld-lab"))
        os.makedirs(self.dir, exist_ok=True)
        # /dev/kvm alone is no proof: on a hypervisor in software it opens, and
        # an ordinary kernel then crawls or dies.
        with open("/proc/cpuinfo") as f:
            flags = f.read()
        self.kvm = os.access("/dev/kvm", os.W_OK) and re.search(r"\b(vmx|svm)\b", flags) is not None

    def at(self, *parts):
        return os.path.join(self.dir, *parts)

    def cached(self, name, key):
        """Whether the thing of that name was made from this key."""
        try:
            with open(self.at(name + ".key")) as f:
                return f.read() == key
        except FileNotFoundError:
            return False

    def keep(self, name, key):
        with open(self.at(name + ".key"), "w") as f:
            f.write(key)

    def forget(self, name):
        try:
            os.unlink(self.at(name + ".key"))
        except FileNotFoundError:
            pass

    # --- qemu

    def qemu(self):
        """The command that starts qemu, and its environment."""
        own = self.at("qemu")
        if not os.path.exists(own + "/usr/bin/qemu-system-x86_64"):
            return ["qemu-system-x86_64"], dict(os.environ)
        arch = "x86_64-linux-gnu"
        env = dict(
            os.environ,
            LD_LIBRARY_PATH=f"{own}/usr/lib/{arch}:{own}/lib/{arch}",
            QEMU_MODULE_DIR=f"{own}/usr/lib/{arch}/qemu",
        )
        share = own + "/usr/share"
        return [own + "/usr/bin/qemu-system-x86_64", "-L", share + "/qemu", "-L", share + "/seabios"], env

    def have_tools(self):
        """Installs what is missing; qemu is unpacked in the cache instead."""
        if os.geteuid() != 0:
            raise CannotRun("root is needed, to build the guest's disk and to mount it")
        if os.uname().machine != "x86_64":
            raise CannotRun("the guest is x86_64, and this machine is not")
        missing = sorted({p for c, p in TOOLS.items() if not shutil.which(c)})
        no_qemu = not shutil.which("qemu-system-x86_64") and not os.path.exists(self.at("qemu/usr/bin/qemu-system-x86_64"))
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        try:
            if missing or no_qemu:
                quiet("apt-get", "update", "-qq", env=env)
            if missing:
                quiet("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=env)
            if no_qemu:
                # Not installed: a qemu-utils of another release on the machine
                # conflicts with the release's own qemu-system.
                os.makedirs(self.at("debs/partial"), exist_ok=True)
                quiet(
                    "apt-get", "install", "-y", "-qq", "--download-only", "--reinstall", "--no-install-recommends",
                    "-o", "Dir::Cache::archives=" + self.at("debs"), "qemu-system-x86", "qemu-utils-", env=env,
                )
                for deb in glob.glob(self.at("debs/*.deb")):
                    quiet("dpkg-deb", "-x", deb, self.at("qemu"))
                shutil.rmtree(self.at("debs"))
        except subprocess.CalledProcessError as error:
            raise CannotRun(f"{' '.join(error.cmd[:3])} … failed: {tail(error.stderr)}")
        except FileNotFoundError as error:
            raise CannotRun(f"this is no Debian: {error}")
        command, env = self.qemu()
        probe = subprocess.run([*command, "-version"], env=env, capture_output=True, text=True)
        if probe.returncode != 0:
            raise CannotRun("qemu does not start: " + tail(probe.stderr))
        return probe.stdout.splitlines()[0]


def end_with_us():
    """For Popen's preexec_fn: the kernel ends the child when we are gone, even
    by SIGKILL. Nobody is left with a guest that eats the processor."""
    PR_SET_PDEATHSIG = 1
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# Loaded here: between fork and exec as little as possible is done.
LIBC = ctypes.CDLL(None)


def quiet(*command, **options):
    """Runs it; what it says is only kept for the error."""
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def tail(text, lines=4):
    return "\n".join((text or "").strip().splitlines()[-lines:])


def digest(*parts):
    """One short hash over texts and files."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "big") + data)
    return h.hexdigest()[:16]


def content(path):
    with open(path, "rb") as f:
        return f.read()


def copy_sparse(source, target):
    """A copy that takes no room for what is empty."""
    quiet("cp", "--sparse=always", source, target)


class Clock:
    """Says how long things took."""

    def __init__(self):
        self.start = time.monotonic()

    def __call__(self):
        return time.monotonic() - self.start


def until(what, found, timeout=60, every=0.05):
    """Asks again and again; the answer, once there is one."""
    clock = Clock()
    while True:
        answer = found()
        if answer:
            return answer
        if clock() > timeout:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(every)


def connected(path, what):
    """A connection to a Unix socket that is about to be there."""

    def connect():
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            return s
        except OSError:
            s.close()
            return None

    return until(what, connect, timeout=20, every=0.02)
