"""What is sold with: the simulated gateway here, the product there."""

import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import urllib.request

from .host import content, digest, end_with_us, until
from .image import LOAD_MB

# Lengths of time, as short as an emulated machine bears.
PAYMENT = 'poll_interval = "1s"\ntimeout = "8s"\nexpire_after = "10s"\nlate_margin = "2s"\ncode_timeout = "60s"\n'

# The same for tests in which a payment is to be paid although much goes on.
PATIENT = PAYMENT.replace('"8s"', '"25s"').replace('"10s"', '"40s"')


class Gateway:
    """`till sandbox` on this machine; in the guest it is 10.0.3.2."""

    def __init__(self, lab, till, name):
        self.lab, self.dir = lab, lab.at("run", name)
        keys = lab.at("gateway-keys")
        shutil.rmtree(self.dir, ignore_errors=True)
        if os.path.exists(keys + "/tls_names"):
            # The keys are in the saved guest; the ledger begins anew.
            shutil.copytree(keys, self.dir)
        self.port = self.same_port(f"{keys}/port-{name}")
        os.makedirs(self.dir, exist_ok=True)
        with open(self.dir + "/log", "w") as log:
            self.process = subprocess.Popen(
                [till, "sandbox", "--listen", f"127.0.0.1:{self.port}", "--dir", self.dir, "--speed", "10",
                 "--name", "10.0.3.2", "--name", "gateway.test"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=end_with_us,
            )
        until("the gateway", lambda: self.answers() or self.ended(), timeout=60)
        if not os.path.exists(keys + "/tls_names"):
            os.makedirs(keys, exist_ok=True)
            for path in glob.glob(self.dir + "/*.pem") + [self.dir + "/app_id", self.dir + "/tls_names"]:
                shutil.copy(path, keys)

    @staticmethod
    def same_port(path):
        """The same port as last time, which saved guests have in their
        configuration; another one if somebody has taken it."""
        for port in (int(content(path)) if os.path.exists(path) else 0), 0:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
                port = s.getsockname()[1]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(str(port))
            return port
        raise AssertionError("no port is free")

    def answers(self):
        try:
            return self.get("/sandbox/requests")
        except OSError:
            return None

    def ended(self):
        if self.process.poll() is not None:
            raise AssertionError("the gateway ended: " + content(self.dir + "/log").decode()[-800:])

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as reply:
            return json.load(reply)

    def post(self, path, body=None):
        data = json.dumps(body if body is not None else {}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read()

    def ledger(self):
        """By number: what really happened."""
        return {n["out_trade_no"]: n for n in self.get("/sandbox/ledger")["trades"]}

    def held(self, number):
        return self.ledger().get(number)

    def file(self, name):
        return content(f"{self.dir}/{name}").decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


def config(gateway, scanners="", payment=PAYMENT):
    """The guest's tilld.toml."""
    app_id = gateway.file("app_id").strip()
    return f"""[terminal]
id = "LAB_1"
[alipay]
gateway = "https://10.0.3.2:{gateway.port}/gateway.do"
app_id = "{app_id}"
private_key_file = "/etc/tilld/app_private_key.pem"
alipay_public_key_file = "/etc/tilld/alipay_public_key.pem"
ca_file = "/etc/tilld/ca.pem"
request_timeout = "3s"
[payment]
{payment}[journal]
path = "/var/lib/tilld/journal.db"
{scanners}"""


class Codes:
    """Payment codes, none of them twice; those of one seed are always the same."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.used = set()

    def digits(self, many):
        return "".join(self.random.choice("0123456789") for _ in range(many))

    def pay(self):
        while True:
            # 2899: picks no ending by itself.
            code = "2899" + self.digits(14)
            if code not in self.used:
                self.used.add(code)
                return code

    def goods(self, length=13):
        """No payment code: it begins with 69, like a Chinese article number, and ends as one does."""
        number = "69" + self.digits(length - 3)
        weighted = sum(int(digit) * (1, 3)[place % 2 == 0] for place, digit in enumerate(reversed(number)))
        return number + str(-weighted % 10)


class Product:
    """The packages under test, and the disk on which the guest gets them."""

    def __init__(self, lab, debs, till, tilld):
        self.lab, self.debs, self.till, self.tilld = lab, debs, till, tilld
        self.key = digest(*[content(path) for path in debs])

    def load(self, path, *more):
        """Writes a disk from which a guest takes files (a tar of them)."""
        with open(path + ".new", "wb") as f:
            f.truncate(LOAD_MB << 20)
        files = [*self.debs, *more]
        args = [x for p in files for x in ("-C", os.path.dirname(p), os.path.basename(p))]
        tar = subprocess.run(["tar", "cf", "-", "--owner=0", "--group=0", *args], check=True, capture_output=True).stdout
        assert len(tar) <= LOAD_MB << 20, "the packages do not fit on the guest's disk"
        with open(path + ".new", "r+b") as f:
            f.write(tar)
        os.rename(path + ".new", path)


def install(guest, gateway, deb, scanners=""):
    """What a technician does: dpkg, keys, configuration."""
    guest.sh("mkdir -p /root/load && tar xf /dev/disk/by-id/virtio-labload -C /root/load")
    guest.sh(f"DEBIAN_FRONTEND=noninteractive dpkg -i /root/load/{os.path.basename(deb)}", timeout=300)
    write_keys(guest, gateway)
    configure(guest, gateway, scanners)


def write_keys(guest, gateway):
    guest.sh("install -d -m 755 /etc/tilld")
    for name, mode in ("app_private_key.pem", 600), ("alipay_public_key.pem", 644), ("ca.pem", 644):
        guest.sh(f"umask 077; cat > /etc/tilld/{name} && chmod {mode} /etc/tilld/{name}", stdin=gateway.file(name))


def scanner(id, kind, vendor, product, gap="600ms", **more):
    """A [[scanner]] of tilld.toml. The usual gap is long, because an emulated
    machine may stand still in the middle of a code."""
    members = {"id": id, "kind": kind, "vendor": vendor, "product": product, "gap": gap, **more}
    # What JSON writes for texts and truth, TOML reads.
    return "[[scanner]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in members.items() if value is not None)


def configure(guest, gateway, scanners="", payment=PAYMENT):
    guest.sh("cat > /etc/tilld/tilld.toml && chmod 644 /etc/tilld/tilld.toml", stdin=config(gateway, scanners, payment))


def begin(guest, timeout=120):
    """Starts the daemon; its status."""
    guest.teach("till")
    guest.sh("systemctl start tilld.socket tilld.service", timeout=timeout)
    return guest("wait_ready")


def log(guest):
    return guest.sh("journalctl -u tilld -o cat --no-pager", check=False)
