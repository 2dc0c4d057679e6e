#!/usr/bin/env python3
"""Installs, upgrades, removes and purges the package in a small Debian.

    tests/package/run.py PACKAGE.deb [STORY ...]

Each story has a fresh copy of a chroot (chroot.sh) in which no service manager
runs. Where a story is about one, `systemctl` and its like are stand-ins that
write down what they were asked for, in order: that is what is compared. With a
real systemd the package is tried in the guest (tests/vm).

Exit codes: 0 all held, 1 something did not, 77 nothing could be tried here.
"""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDER, CURRENT = "0.0.1-1", None
SHOPS = "/var/lib/tilld/journal.db"

# What the stand-ins are: one script under many names. It writes down how it was
# called; how it answers is in files beside it.
STAND_IN = r"""#!/bin/sh
name=${0##*/}
echo "$name $*" >>/stand-in/log
# udev looks up groups when it reads rules.
[ "$name" != udevadm ] || grep -q ^tilld: /etc/group || echo "udevadm before the group" >>/stand-in/log
case "$name $*" in
"systemctl is-active"*) [ -e /stand-in/active ]; exit ;;
"systemctl is-enabled"*) [ -e /stand-in/enabled ]; exit ;;
"till status"*)
  # One line of the file an answer; the last one is kept.
  [ -s /stand-in/open ] || exit 3
  echo "{\"version\":\"0\",\"open_payments\":$(head -n 1 /stand-in/open),\"x\":1}"
  [ "$(wc -l </stand-in/open)" -le 1 ] || sed -i 1d /stand-in/open
  exit 0 ;;
"policy-rc.d "*) exit "$(cat /stand-in/policy)" ;;
esac
exit 0
"""


class Fault(Exception):
    """What did not hold."""


def check(good, text):
    if not good:
        raise Fault(text)


class Box:
    """A copy of the chroot."""

    def __init__(self, base, work):
        self.place = Path(tempfile.mkdtemp(prefix="box-", dir=work))
        self.root = self.place / "root"
        for name in ["root", "upper", "work"]:
            (self.place / name).mkdir()
        layers = f"lowerdir={base},upperdir={self.place}/upper,workdir={self.place}/work"
        mount = ["mount", "-t", "overlay", "overlay", "-o", layers, self.root]
        self.is_mounted = subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0
        if not self.is_mounted:
            subprocess.run(["cp", "-a", "--reflink=auto", f"{base}/.", self.root], check=True)

    def close(self):
        if self.is_mounted:
            subprocess.run(["umount", self.root], check=True)
        shutil.rmtree(self.place)

    def path(self, name):
        return self.root / name.lstrip("/")

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def run(self, *command, good=True, errors=subprocess.STDOUT):
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        done = subprocess.run(["chroot", self.root, *command], env=env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=errors, timeout=300)
        check(good is None or (done.returncode == 0) == good, f"{command}: {done.returncode}\n{done.stdout}")
        return done.stdout

    def dpkg(self, *arguments, good=True):
        return self.run("dpkg", *arguments, good=good)

    def install(self, package, good=True):
        shutil.copy(package, self.path("/tmp/package.deb"))
        return self.dpkg("-i", "/tmp/package.deb", good=good)

    def stand_in(self, active, open_payments=(), policy=None, enabled=True):
        """A service manager that only writes down; payments as told."""
        for name in ["systemctl", "deb-systemd-invoke", "till", "udevadm", "sleep"]:
            self.write(f"/usr/local/sbin/{name}", STAND_IN, 0o755)
        self.write("/stand-in/log", "")
        self.write("/stand-in/open", "".join(f"{n}\n" for n in open_payments))
        for name, there in [("active", active), ("enabled", enabled)]:
            if there:
                self.write(f"/stand-in/{name}", "")
        if policy is not None:
            self.write("/usr/sbin/policy-rc.d", STAND_IN, 0o755)
            self.write("/stand-in/policy", f"{policy}\n")
        self.path("/run/systemd/system").mkdir(parents=True, exist_ok=True)

    def udev_listens(self):
        """The socket by which the script knows that there is a udevd."""
        path = self.path("/run/udev/control")
        path.parent.mkdir(parents=True, exist_ok=True)
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(path))
        return made

    def log(self):
        return self.path("/stand-in/log").read_text().splitlines()

    def mode(self, name):
        found = self.path(name).stat()
        return stat.filemode(found.st_mode), found.st_uid, found.st_gid

    def users(self, kind):
        return {line.split(":")[0] for line in self.path(f"/etc/{kind}").read_text().splitlines()}

    def files(self):
        """Every file and folder, without what only counts or caches."""
        passing = re.compile(r"^(tmp|proc|sys|dev|run|stand-in|var/(log|cache|lib/dpkg|lib/systemd))(/|$)|/\.?(passwd|group|shadow|gshadow)-?$"
                             r"|\.pyc$|^etc/ld\.so\.cache$")
        found = set()
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                below = os.path.relpath(os.path.join(folder, name), self.root)
                if not passing.search(below):
                    found.add(below)
        return found


def units(log):
    """What was asked of the service manager about tilld, without questions."""
    asked = [line for line in log if re.match(r"systemctl (--\S+ )*(kill|stop|start|restart|try-restart|enable)", line)
             or line.startswith("deb-systemd-invoke")]
    return asked


# --- the stories ---------------------------------------------------------------

def installs_without_starting(box, older, current):
    said = box.install(current)
    check("installed and not started" in said and "systemctl enable --now" in said, said)
    check("tilld" in box.users("passwd") and "tilld-clients" in box.users("group"), "the user and the groups")
    check(box.mode("/etc/tilld/credentials") == ("drwx------", 0, 0), box.mode("/etc/tilld/credentials"))
    check(box.mode("/usr/bin/tilld") == ("-rwxr-xr-x", 0, 0), box.mode("/usr/bin/tilld"))
    wants = list(box.path("/etc/systemd/system").rglob("tilld*"))
    check(not wants, f"enabled: {wants}")
    for name in ["usr/lib/systemd/system/tilld.service", "usr/lib/systemd/system/tilld.socket",
                 "usr/lib/udev/rules.d/70-tilld.rules", "usr/lib/sysusers.d/tilld.conf", "etc/tilld/tilld.toml",
                 "usr/share/man/man1/till.1.gz", "usr/share/man/man8/tilld.8.gz", "usr/share/man/man5/tilld.toml.5.gz",
                 "usr/share/bash-completion/completions/till", "usr/share/zsh/vendor-completions/_till",
                 "usr/share/fish/vendor_completions.d/till.fish", "usr/share/doc/tilld/changelog.Debian.gz",
                 "usr/share/doc/tilld/copyright", "usr/share/doc/tilld/tilld.cdx.json.gz",
                 "usr/share/doc/tilld/examples/register/pay.py"]:
        # The chroot may leave documents out (path-exclude); the package has them.
        listed = box.run("dpkg", "-L", "tilld").splitlines()
        check(f"/{name}" in listed, f"{name} is not in the package")
    for example in "encrypted-key.conf", "tilld-tcp.socket":
        check(f"/usr/share/doc/tilld/examples/{example}" in listed, example)
    conffiles = box.run("dpkg-query", "-W", "-f", "${Conffiles}", "tilld")
    check("/etc/tilld/tilld.toml" in conffiles, conffiles)


def a_first_installation_tells_systemd_and_udev_and_starts_nothing(box, older, current):
    box.stand_in(active=False)
    listening = box.udev_listens()
    box.install(current)
    listening.close()
    log = box.log()
    check(units(log) == [], "\n".join(log))
    check("systemctl --system daemon-reload" in log, "systemd does not know the units yet:\n" + "\n".join(log))
    asked = [line for line in log if line.startswith("udevadm")]
    check(asked == ["udevadm control --reload", "udevadm trigger --action=change --subsystem-match=input "
                    "--subsystem-match=hidraw --subsystem-match=tty"], "\n".join(asked))


def the_sample_is_refused(box, older, current):
    box.install(current)
    said = box.run("tilld", "check", "--config", "/etc/tilld/tilld.toml", good=False)
    for key in ["alipay.app_id", "alipay.private_key_file", "alipay.alipay_public_key_file"]:
        check(key in said, f"{key} is not named:\n{said}")
    check("/etc/tilld/credentials/alipay-app-key.pem" in said, said)


def the_encrypted_key_is_made_as_the_drop_in_says(box, older, current):
    box.install(current)
    drop_in = (HERE.parent.parent / "systemd/encrypted-key.conf").read_text()
    said = re.search(r"(?m)^#   systemd-creds encrypt (.*) (\S+) (/\S+)$", drop_in)
    check(said, "the drop-in does not say how")
    options, cred = said[1].split(), said[3]
    check(f"LoadCredentialEncrypted=alipay-app-key:{cred}\n" in drop_in, "the drop-in names another file")
    box.write("/tmp/key.pem", "a key\n", 0o600)
    # As in every container there is no TPM, and the host's key is made first.
    box.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    box.run("systemd-creds", "setup")
    box.run("systemd-creds", "encrypt", "--with-key=host", *options, "/tmp/key.pem", cred)
    check("a key" not in box.path(cred).read_text(), "the key is plain")
    plain = box.run("systemd-creds", "decrypt", *options, cred, "-", errors=None)
    check(plain == "a key\n", plain)
    box.run("systemd-creds", "decrypt", "--name=another", cred, "-", good=False)


def one_sale_with_what_was_installed(box, older, current):
    box.install(current)
    sandbox = daemon = None
    chroot = ["chroot", box.root, "env", "-i", "PATH=/usr/bin:/bin", "HOME=/root"]
    try:
        sandbox = subprocess.Popen([*chroot, "till", "sandbox", "--listen", "127.0.0.1:0", "--dir", "/tmp/sandbox"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: box.path("/tmp/sandbox/tilld.toml").exists(), "the sandbox's configuration")
        daemon = subprocess.Popen([*chroot, "tilld", "--config", "/tmp/sandbox/tilld.toml"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: box.path("/tmp/sandbox/tilld.sock").exists(), "the daemon's socket")
        paid = box.run("till", "--socket", "/tmp/sandbox/tilld.sock", "--json", "pay", "12.50", "--subject", "coffee",
                       "--code", "2800000000001002", errors=None)
        check(json.loads(paid)["state"] == "paid", paid)
    finally:
        for process in [daemon, sandbox]:
            if process:
                process.kill()
                process.wait()


def wait_for(true, what):
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise Fault(f"{what} did not come")


def an_upgrade_drains_and_then_restarts(box, older, current):
    box.install(older)
    box.stand_in(active=True, open_payments=[2, 2, 1, 0])
    said = box.install(current)
    check("2 open payment(s)" in said, said)
    log = box.log()
    check(units(log) == ["systemctl kill -s USR1 --kill-who=main tilld.service",
                         "deb-systemd-invoke restart tilld.service"], "\n".join(log))
    after = log[log.index("systemctl kill -s USR1 --kill-who=main tilld.service"):]
    asked = [line for line in after[:after.index("deb-systemd-invoke restart tilld.service")] if line.startswith("till ")]
    check(len(asked) == 4, f"asked {len(asked)} times until nothing was open")
    check(log.index("systemctl --system daemon-reload") < log.index("deb-systemd-invoke restart tilld.service"),
          "the new unit is known before the restart")


def an_upgrade_waits_a_minute_at_most(box, older, current):
    box.install(older)
    box.stand_in(active=True, open_payments=[3])
    box.install(current)
    log = box.log()
    check(log.count("sleep 1") == 60, f"waited {log.count('sleep 1')} times")
    check(units(log)[-1] == "deb-systemd-invoke restart tilld.service", "\n".join(log))


def an_upgrade_does_not_wait_for_a_daemon_that_does_not_answer(box, older, current):
    box.install(older)
    box.stand_in(active=True)
    box.install(current)
    log = box.log()
    check(log.count("sleep 1") < 5 and units(log)[-1] == "deb-systemd-invoke restart tilld.service", "\n".join(log))


def an_upgrade_where_nothing_may_restart_drains_nothing(box, older, current):
    box.install(older)
    box.stand_in(active=True, open_payments=[0], policy=101)
    said = box.install(current)
    check(units(box.log()) == [], "\n".join(box.log()))
    check("systemctl restart tilld" in said, said)


def an_upgrade_of_a_stopped_terminal_starts_nothing(box, older, current):
    box.install(older)
    box.stand_in(active=False, open_payments=[0])
    box.install(current)
    check(units(box.log()) == [], "\n".join(box.log()))


def an_upgrade_that_breaks_off_leaves_the_old_one_running(box, older, current):
    box.install(older)
    box.stand_in(active=True, open_payments=[1])
    broken = repacked(current, box.root / "tmp", script=("preinst", "#!/bin/sh\necho no; exit 1\n"))
    box.install(broken, good=False)
    check(units(box.log()) == [], "\n".join(box.log()))
    check(version_of(box) == OLDER, "the older one is still there")


def a_downgrade_installs_as_an_upgrade_does(box, older, current):
    box.install(current)
    box.stand_in(active=True, open_payments=[0])
    box.install(older)
    check(units(box.log())[-1] == "deb-systemd-invoke restart tilld.service", "\n".join(box.log()))
    check(version_of(box) == OLDER, "the older one")


def a_configuration_of_ones_own_survives_an_upgrade(box, older, current):
    box.install(older)
    box.write("/etc/tilld/tilld.toml", "# mine\n")
    box.write("/etc/tilld/credentials/alipay-app-key.pem", "secret", 0o600)
    box.install(current)
    check(box.path("/etc/tilld/tilld.toml").read_text() == "# mine\n", "tilld.toml was changed")
    check(box.path("/etc/tilld/credentials/alipay-app-key.pem").read_text() == "secret", "the key was changed")


def a_removal_stops_it_and_keeps_the_journal(box, older, current):
    box.install(current)
    box.stand_in(active=True, open_payments=[1])
    box.write(SHOPS, "money")
    box.write("/etc/tilld/credentials/alipay-app-key.pem", "secret", 0o600)
    said = box.dpkg("-r", "tilld")
    check("1 payment(s) are not settled" in said, said)
    stops = [line for line in units(box.log()) if " stop " in line]
    check(len(stops) == 1 and "tilld.service" in stops[0] and "tilld.socket" in stops[0], "\n".join(box.log()))
    check(not any(" restart " in line or " start " in line for line in units(box.log())), "\n".join(box.log()))
    check(box.path(SHOPS).read_text() == "money", "the journal")
    check(box.path("/etc/tilld/tilld.toml").exists(), "the configuration")
    check(box.path("/etc/tilld/credentials/alipay-app-key.pem").exists(), "the key")


def a_purge_keeps_the_journal_and_says_where_it_is(box, older, current):
    before = box.files()
    box.install(current)
    box.write(SHOPS, "money")
    box.write("/etc/tilld/credentials/alipay-app-key.pem", "secret", 0o600)
    said = box.dpkg("-P", "tilld")
    check("/var/lib/tilld" in said and "journal" in said, said)
    check(box.path(SHOPS).read_text() == "money", "the journal")
    check(not box.path("/etc/tilld").exists(), "keys stayed behind")
    check("tilld" in box.users("passwd"), "the journal's owner")
    left = box.files() - before
    check(left <= {"var/lib/tilld", "var/lib/tilld/journal.db"}, f"left behind: {sorted(left)}")


STORIES = [value for name, value in list(globals().items())
           if callable(value) and getattr(value, "__code__", None) and value.__code__.co_varnames[:3] == ("box", "older", "current")]


# --- the packages ----------------------------------------------------------------

def repacked(package, work, version=None, script=None):
    """The same package with another version or another script."""
    folder = Path(tempfile.mkdtemp(prefix="repack-", dir=work))
    subprocess.run(["dpkg-deb", "-R", package, folder / "tree"], check=True)
    control = folder / "tree/DEBIAN/control"
    if version:
        control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    if script:
        (folder / "tree/DEBIAN" / script[0]).write_text(script[1])
        (folder / "tree/DEBIAN" / script[0]).chmod(0o755)
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", folder / "tree", folder / "package.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(folder / "tree")
    return folder / "package.deb"


def version_of(box):
    return box.run("dpkg-query", "-W", "-f", "${Version}", "tilld")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        print("!!! NOT RUN: the package's tests need root and mmdebstrap")
        sys.exit(77)
    current, wanted = Path(sys.argv[1]).resolve(), sys.argv[2:]
    made = subprocess.run([HERE / "chroot.sh"], stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        print("!!! NOT RUN: the chroot for the package's tests could not be made")
        sys.exit(77)
    base = made.stdout.strip()
    failed = 0
    stories = [story for story in STORIES if not wanted or story.__name__ in wanted]
    with tempfile.TemporaryDirectory(prefix="tilld-package-") as work:
        # The older package is the same one under a lower version.
        older = repacked(current, work, version=OLDER)
        for story in stories:
            box = Box(base, work)
            name = story.__name__.replace("_", " ")
            try:
                story(box, older, current)
                print(f"ok   {name}", flush=True)
            except (Fault, subprocess.SubprocessError, OSError, ValueError) as why:
                failed += 1
                print(f"FAIL {name}\n     {str(why).strip()}".replace("\n", "\n     "), flush=True)
            finally:
                box.close()
    print(f"{len(stories) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not stories else 0)


if __name__ == "__main__":
    main()
