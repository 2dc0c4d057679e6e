"""What happens to the box."""

import os
import re
import time

from lab.books import ENDINGS, differences
from lab.disk import mounted, verify
from lab.host import REPO, content, until
from lab.shop import PATIENT, Codes, begin, install
from lab.story import test
from stories.network import put
from stories.power import settle

DATA = "/var/lib/tilld"


def agree(stage, guest, timeout=120):
    """Everything ended, as the ledger has it; all payments by number."""
    payments = settle(guest, timeout)
    wrong = differences(payments, stage.gateway.ledger())
    assert not wrong, "\n".join(wrong)
    return {p["out_trade_no"]: p for p in payments}


def waiting(guest, codes, name, amount):
    """A payment whose buyer is asked to confirm."""
    status, payment = put(guest, name, amount, codes.pay())
    assert status == 201, payment
    guest("wait_payment", name, ["awaiting_buyer"])


def refused(guest, codes, name):
    """Asks until a new payment is refused; the problem."""

    def ask():
        ask.n += 1
        status, body = put(guest, f"{name}{ask.n}", "1.00", codes.pay())
        return body if status == 503 else None

    ask.n = 0
    return until("a payment to be refused", ask, timeout=60, every=0.2)


def taken(guest, codes, name):
    """Asks until a new payment is taken again, and paid."""

    def ask():
        ask.n += 1
        number = f"{name}{ask.n}"
        status, body = put(guest, number, "1.00", codes.pay())
        return number if status == 201 else None

    ask.n = 0
    number = until("payments to be taken again", ask, timeout=120, every=0.3)
    guest("wait_payment", number, ["paid"])


def main_pid(guest):
    return int(guest.sh("systemctl show -p MainPID --value tilld").strip())


@test("system", "disk full: no new payments, open ones end, and it goes on when there is room")
def disk_full(stage):
    guest, codes = stage.shop(payment=PATIENT), Codes(f"full {stage.seed}")
    begin(guest)
    waiting(guest, codes, "PAYS", "77.03")
    waiting(guest, codes, "NEVER", "77.04")
    guest.try_sh(f"dd if=/dev/zero of={DATA}/filler bs=1M 2>/dev/null; dd if=/dev/zero of={DATA}/filler2 bs=512 2>/dev/null; sync")
    problem = refused(guest, codes, "FULL")
    assert problem["code"] == "journal_unavailable", problem
    assert guest("wait_payment", "PAYS", ["final"])["state"] == "paid"
    assert guest("wait_payment", "NEVER", ["final"])["state"] == "cancelled"
    guest.sh(f"rm {DATA}/filler*")
    taken(guest, codes, "ROOM")
    agree(stage, guest)


@test("system", "the disk turns read-only: no new payments, nothing lost, and it goes on when it is writable")
def read_only(stage):
    guest, codes = stage.shop(payment=PATIENT), Codes(f"ro {stage.seed}")
    begin(guest)
    waiting(guest, codes, "PAYS", "77.03")
    waiting(guest, codes, "NEVER", "77.04")
    # As the kernel does it by itself when a disk fails: whoever is writing.
    guest.sh("echo u > /proc/sysrq-trigger")
    until("the disk to be read-only", lambda: re.search(rf" {DATA} ext4 ro", guest.sh("cat /proc/mounts")), every=0.1)
    problem = refused(guest, codes, "RO")
    assert problem["code"] == "journal_unavailable", problem
    guest.sh(f"mount -o remount,rw {DATA}")
    guest("wait_ready")
    taken(guest, codes, "RW")
    agree(stage, guest)


@test("system", "the daemon hangs: the watchdog ends it, the next one settles what was open")
def watchdog(stage):
    guest, codes = stage.shop(payment=PATIENT), Codes(f"dog {stage.seed}")
    own = re.search(r"^WatchdogSec=(\d+)s$", guest.sh("systemctl cat tilld.service"), re.M)
    assert own and int(own.group(1)) > 0, "the unit has no watchdog"
    # The same, in less time.
    guest.sh("mkdir -p /run/systemd/system/tilld.service.d && printf '[Service]\\nWatchdogSec=6s\\n' > "
             "/run/systemd/system/tilld.service.d/dog.conf && systemctl daemon-reload")
    begin(guest)
    waiting(guest, codes, "PAYS", "77.03")
    waiting(guest, codes, "NEVER", "77.04")
    pid = main_pid(guest)
    guest.sh(f"kill -STOP {pid}")
    until("another daemon", lambda: main_pid(guest) not in (0, pid), timeout=90, every=0.5)
    guest("wait_ready")
    said = guest.sh("journalctl -u tilld -o cat --no-pager")
    assert "watchdog" in said.lower(), said[-800:]
    taken(guest, codes, "NEW")
    done = agree(stage, guest)
    assert done["PAYS"]["state"] == "paid" and done["NEVER"]["state"] == "cancelled", done
    stage.note(f"played with 6 s; the unit has {own.group(1)} s")


@test("system", "the clock is set, hours forward and back: deadlines keep their length")
def clock_steps(stage):
    guest, codes = stage.shop(payment=PATIENT), Codes(f"clock {stage.seed}")
    begin(guest)
    now = int(guest.sh("date +%s"))
    # Forward: who went by the wall clock would give this one up at once.
    waiting(guest, codes, "FORTH", "77.03")
    guest.sh(f"date -s @{now + 3 * 3600}")
    assert guest("wait_payment", "FORTH", ["final"])["state"] == "paid"
    # Back: who went by it would wait for hours.
    waiting(guest, codes, "BACK", "77.04")
    guest.sh(f"date -s @{now - 5 * 3600}")
    assert guest("wait_payment", "BACK", ["final"])["state"] == "cancelled"
    # Dates in requests come from the gateway's clock: it refuses 15 minutes.
    taken(guest, codes, "AFTER")
    # A restart with the wrong time is a restart like any other.
    waiting(guest, codes, "AGAIN", "77.04")
    guest.sh("systemctl restart tilld")
    guest("wait_ready")
    taken(guest, codes, "RESTART")
    done = agree(stage, guest)
    assert done["AGAIN"]["state"] == "cancelled", done["AGAIN"]


@test("system", "started without network: it runs, says so, and takes payments once the cable is in")
def without_network(stage):
    guest, codes = stage.shop(), Codes(f"dark {stage.seed}")
    guest.link(False)
    begin(guest)
    status, payment = put(guest, "DARK", "1.00", codes.pay())
    assert status in (201, 503), (status, payment)
    until("the terminal to notice", lambda: guest("api", "GET", "/v1/status")[1]["gateway"]["state"] == "down", every=0.3)
    rc, said = guest.try_sh("till --lang en doctor")
    assert rc == 1 and "cannot be reached" in said, said
    guest.link(True)
    taken(guest, codes, "LIGHT")
    done = agree(stage, guest)
    assert done.get("DARK", {"state": "cancelled"})["state"] in ("cancelled", "paid"), done


@test("system", "started in 1970, 2000 and 2100: no payment that would be refused; with the right time, payments")
def wrong_clock(stage):
    guest, codes = stage.shop(), Codes(f"wrong {stage.seed}")
    for year, seconds in (1970, 86400), (2000, 946684800 + 86400), (2100, 4102444800 + 86400):
        now = time.time()
        guest("clock", seconds)
        begin(guest)
        status, payment = put(guest, f"YEAR{year}", "1.00", codes.pay())
        if status == 201:
            # Its clock came from the gateway: then it must work all the same.
            final = guest("wait_payment", f"YEAR{year}", ["final"])
            assert final["state"] == "paid", final
        else:
            assert status == 503 and payment["code"] == "clock_wrong", (status, payment)
        stage.note(f"{year}: {'paid by the gateway clock' if status == 201 else payment['code']}")
        guest("clock", time.time())
        taken(guest, codes, f"RIGHT{year}N")
        guest.sh("systemctl stop tilld.service")
        assert time.time() > now
    begin(guest)
    agree(stage, guest)


@test("system", "suspended and woken: what fell due is done at once")
def suspend(stage):
    guest, codes = stage.shop(), Codes(f"sleep {stage.seed}")
    guest.sh("modprobe button; udevadm settle")
    begin(guest)
    waiting(guest, codes, "PAYS", "77.03")
    waiting(guest, codes, "NEVER", "77.04")
    guest("feel_pauses")
    # All programs are frozen and devices sleep. qemu has no way out of the
    # deeper sleep without a boot loader; so the guest's clocks run on.
    box = guest.agent.begin("run", "echo freeze > /sys/power/state", timeout=600)
    time.sleep(15)
    # The power button wakes it.
    guest.qmp("system_powerdown")
    guest.agent.finish(box)
    slept = until("the pause to be felt", lambda: (s := guest("longest_pause")) > 10 and s, timeout=20)
    done = agree(stage, guest)
    # The window of 8 s passed in its sleep.
    assert done["NEVER"]["state"] == "cancelled", done
    taken(guest, codes, "AFTER")
    stage.note(f"slept {slept:.0f} s")


@test("system", "upgraded from the previous package with payments open: none is lost, registers wait and are answered")
def upgrade(stage):
    stage.open_gateway()
    guest, codes = stage.base(), Codes(f"upgrade {stage.seed}")
    new, old = stage.product.debs
    install(guest, stage.gateway, old)
    guest.sh("systemctl start tilld.socket tilld.service")
    guest.teach("till")
    guest("wait_ready")
    pid = main_pid(guest)
    many = [
        ("PUT", f"/v1/payments/OPEN{n:02d}", {"amount": amount, "subject": "茶", "auth_code": codes.pay()})
        for n, amount in enumerate(ENDINGS)
    ]
    for status, payment in guest("api_many", many):
        assert status == 201, payment
    for number in "BUYR", "NEVR":
        waiting(guest, codes, number, "77.03" if number == "BUYR" else "77.04")
    # A register that asks again and again, all through the upgrade.
    asking = guest.agent.begin("ask_through", "THRU", [codes.pay() for _ in range(200)])
    said = guest.sh(f"DEBIAN_FRONTEND=noninteractive dpkg -i /root/load/{os.path.basename(new)} 2>&1", timeout=300)
    guest("ask_no_more")
    answers = guest.agent.finish(asking)
    assert main_pid(guest) not in (0, pid), "the daemon was not restarted: " + said
    assert guest.sh("dpkg-query -W -f '${Version}' tilld") != "0.0.9-1"
    # Taken, or told to come again; never cut off.
    wrong = [a for a in answers if a[0] not in (200, 201) and not (a[0] == 503 and a[1] == "same_request")]
    assert answers and not wrong, wrong[:5]
    guest("wait_ready")
    taken(guest, codes, "NEW")
    done = agree(stage, guest)
    assert {f"OPEN{n:02d}" for n in range(len(ENDINGS))} <= set(done), "payments are missing"
    told = {a[2] for a in answers if a[0] in (200, 201)}
    assert told <= set(done), f"told and unheard of: {told - set(done)}"
    stage.note(f"{len(done)} payments, {len(answers)} asked for meanwhile")
    guest.sh("systemctl stop tilld.service tilld.socket; umount /var/lib/tilld; sync")
    guest.cut()
    with mounted(guest.disk("data")) as place:
        sound, said = verify(stage.product.tilld, place + "/journal.db")
    assert sound, said


LISTEN = '[api]\nlisten = "127.0.0.1:7580"\ntoken_file = "/etc/tilld/api.token"\n'
ASK = """python3 - <<'END'
import http.client
c = http.client.HTTPConnection("127.0.0.1", 7580, timeout=20)
c.request("GET", "/v1/status", headers={"Authorization": "Bearer %s"})
print(c.getresponse().status)
END"""


@test("system", "the port is systemd's; a stranger who has it first leaves the Unix socket alone")
def port(stage):
    guest, codes = stage.shop(), Codes(f"port {stage.seed}")
    token = "lab-token-0123456789abcdef"
    guest.sh("cat >> /etc/tilld/tilld.toml", stdin=LISTEN)
    guest.sh("umask 077; cat > /etc/tilld/api.token; chown tilld /etc/tilld/api.token", stdin=token)
    # What the package has among its examples; the guest's image leaves them out.
    guest.sh("cat > /etc/systemd/system/tilld-tcp.socket; systemctl daemon-reload", stdin=content(REPO + "/systemd/tilld-tcp.socket").decode())
    guest.sh("setpriv --reuid 60001 --clear-groups python3 -c 'import socket, time; s = socket.socket(); s.bind((\"127.0.0.1\", 7580)); "
             "s.listen(); time.sleep(600)' >/dev/null 2>&1 & echo $! > /run/stranger")
    until("the stranger", lambda: "7580" in guest.sh("ss -ltn"))
    assert guest.try_sh("systemctl start tilld-tcp.socket")[0] != 0, "two have one port"
    begin(guest)
    status, payment = put(guest, "STRANGER", "1.00", codes.pay())
    assert status == 201, payment
    # From here on it is systemd's, as after a boot.
    guest.sh("kill $(cat /run/stranger); systemctl stop tilld; systemctl start tilld-tcp.socket tilld.socket tilld")
    guest("wait_ready")
    assert guest.sh(ASK % token).strip() == "200"
    assert guest.sh(ASK % "somebody-elses-token").strip() == "401"
    guest.sh("systemctl restart tilld")
    assert guest.sh(ASK % token).strip() == "200", "a register that connects meanwhile waits"
    agree(stage, guest)
