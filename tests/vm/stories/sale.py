"""A technician installs the package, plugs scanners in, and the shop sells."""

import socket

from lab.host import until
from lab.shop import Codes, begin, scanner
from lab.story import test

# Each way in which scanners come. The gap is long because an emulated machine
# may stand still in the middle of a code.
SCANNERS = (
    scanner("typing", "evdev", "0c2e", "0b81", serial="16201B0C7A")
    + scanner("pos", "hidraw", "05f9", "4204")
    + scanner("acm", "serial", "05e0", "1701", serial="S/N:3E7F1A00")
    + scanner("ftdi", "serial", "0403", "6001", serial="FTLAB001")
)
# The chip's maker sells to everybody, so the shipped rules cannot know it: the
# line for serial scanners at the end of 70-tilld.rules, with the numbers of lsusb.
RULE = (
    'SUBSYSTEM=="tty", KERNEL=="ttyACM*|ttyUSB*", ENV{ID_VENDOR_ID}=="0403", ENV{ID_MODEL_ID}=="6001", GROUP="tilld", MODE="0660", '
    'ENV{ID_MM_DEVICE_IGNORE}="1", ENV{ID_MM_PORT_IGNORE}="1"\n'
)


def plug_all(guest):
    """A Voyager 1400g that types, a scanner in HID-POS mode, one with a serial
    port, one behind an FTDI chip, and the cashier's keyboard; where each is."""
    guest("buses", 4)
    guest("make", "cashier", "046d", "c31c", ["keyboard", "consumer"], maker="Logitech", model="USB Keyboard")
    guest("make", "typing", "0c2e", "0b81", ["keyboard"], serial="16201B0C7A", maker="Honeywell", model="Voyager 1400g")
    guest("make", "pos", "05f9", "4204", ["pos"], maker="Datalogic", model="Gryphon GD4400 HID-POS")
    guest("make", "acm", "05e0", "1701", ["serial"], serial="S/N:3E7F1A00", maker="Symbol Technologies", model="Bar Code Scanner (CDC)")
    at = {name: guest("plug", name, bus) for bus, name in enumerate(["cashier", "typing", "pos", "acm"])}
    at["ftdi"] = guest.plug_ftdi("ftdi", "FTLAB001")
    return at


class Line:
    """The scanner's end of the FTDI adapter, on this machine."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def scan(self, text):
        self.socket.sendall((text + "\r\n").encode())


def sell(guest, number, scanner, scan, code, amount="12.34"):
    """One payment by that scanner; how it ended."""
    status, payment = guest("api", "PUT", "/v1/payments/" + number, {"amount": amount, "subject": "茶", "scanner": scanner})
    assert status == 201 and payment["state"] == "awaiting_code", (status, payment)
    scan(code)
    return guest("wait_payment", number, ["final"])


def charged(guest, number, code):
    """That this very code was charged and no other: it cannot be used again."""
    status, payment = guest("api", "PUT", f"/v1/payments/{number}_AGAIN?wait=30", {"amount": "1.00", "subject": "茶", "auth_code": code})
    assert payment["money"] == "none" or payment.get("out_trade_no") == number, f"{number} was paid by another code: {payment}"


@test("sale", "four kinds of scanners beside an ordinary keyboard: sales, goods, nothing leaks", alone=True)
def four_scanners(stage):
    guest = stage.shop(SCANNERS)
    guest.teach("till", "gadget")
    guest.sh("cat > /etc/udev/rules.d/71-tilld-local.rules && udevadm control -R", stdin=RULE)
    at = plug_all(guest)
    cashier = at["cashier"]["event"][0]
    guest("watch_opens", cashier)
    begin(guest)
    for scanner in "typing", "pos", "acm", "ftdi":
        guest("wait_scanner", scanner)
    assert guest("opens", cashier) == 0, "somebody opened the cashier's keyboard"
    guest("console")
    guest("look", "window", cashier)
    guest("look", "thief", at["typing"]["event"][0])
    guest("listen")
    line = Line(at["ftdi"])
    scan = {
        "typing": lambda code: guest("send_keys", "typing", code + "\n"), "pos": lambda code: guest("scan_pos", "pos", code),
        "acm": lambda code: guest("scan_serial", "acm", code), "ftdi": line.scan,
    }
    codes, sold, goods, before = Codes("sale"), [], [], []
    for n, (scanner, act) in enumerate(scan.items()):
        # Article numbers, a member's card, a code that nobody asked for.
        mine = [codes.goods(13), codes.goods(18), "M" + codes.digits(9)]
        early = codes.pay()
        for text in [*mine, early]:
            act(text)
        heard = guest("wait_heard", 4 * (n + 1))
        assert sum(e["event"] == "scan" for e in heard) == 4 * (n + 1), heard
        goods += [(scanner, text) for text in mine]
        before.append((scanner, early))
        # The cashier types while the sale goes on.
        code = codes.pay()
        guest("send_keys", "cashier", f"tea {n}\n")
        payment = sell(guest, f"SALE{n}", scanner, act, code)
        assert payment["state"] == "paid" and payment["money"] == "taken", payment
        charged(guest, f"SALE{n}", code)
        sold.append(code)
    scans = [e for e in guest("heard") if e["event"] == "scan"]
    masked = [f"{text[:2]}**************{text[-2:]}" for _, text in before]
    assert [(e["scanner"], e["text"]) for e in scans if e["kind"] == "goods"] == goods, scans
    assert [e["text"] for e in scans if e["kind"] == "alipay"] == masked, scans

    # Whose keys went where.
    typed = "".join(f"tea {n}\n" for n in range(4))
    assert guest("wait_seen", "window", typed) == {"text": typed, "down": []}
    on_screen = guest("wait_console", typed.replace("\n", "\r"))
    assert on_screen.replace("\r", "\n") == typed, f"at the console: {on_screen!r}"
    assert guest("seen", "thief")["text"] == "", "the scanner's keys reached a window"
    files = guest("daemon_has")["files"]
    mine = {at["typing"]["event"][0], at["pos"]["hidraw"][0], at["acm"]["tty"][0]}
    assert mine <= set(files), files
    assert not [f for f in files if f.startswith("/dev/input") and f not in mine], files
    assert guest("opens", cashier) == 1, "not only the window opened the cashier's keyboard"

    ledger = stage.gateway.ledger()
    assert [ledger[f"SALE{n}"]["trade"]["charged_fen"] for n in range(4)] == [1234] * 4, ledger
    guarded(stage, guest, sold + [code for _, code in before])
    doctor = guest.try_sh("till --lang en doctor")
    assert doctor[0] == 0, doctor[1]


def bounds(stage, guest, pid):
    """That the kernel was really told how much of the box the daemon may take."""
    asked = dict(line.split("=", 1) for line in guest.sh("systemctl cat tilld.service").splitlines() if "=" in line and line[0] not in "#[")
    group = guest.sh(f"cat /proc/{pid}/cgroup").strip().split("::")[1]
    for key, file in ("MemoryHigh", "memory.high"), ("MemoryMax", "memory.max"):
        held = guest.sh(f"cat /sys/fs/cgroup{group}/{file}").strip()
        assert held == str(int(asked[key].rstrip("M")) << 20), f"{key}={asked[key]}, and the kernel has {held}"
    assert guest.sh(f"cat /proc/{pid}/oom_score_adj").strip() == asked["OOMScoreAdjust"]
    files = guest.sh(f"grep 'Max open files' /proc/{pid}/limits").split()[3:5]
    assert files == [asked["LimitNOFILE"]] * 2, files
    took = int(guest.sh(f"cat /sys/fs/cgroup{group}/memory.peak 2>/dev/null || cat /sys/fs/cgroup{group}/memory.current"))
    stage.note(f"{took >> 20} MiB of {asked['MemoryHigh']}")
    # Built into systemd, or not: then the unit's line is only for others.
    works = "+BPF_FRAMEWORK" in guest.sh("systemctl --version")
    stage.note("SocketBindDeny is enforced" if works else "this systemd cannot enforce SocketBindDeny")
    said = guest.sh("journalctl -b -o cat --no-pager | grep -i 'SocketBind' || true")
    assert not said, f"systemd complains: {said}"


def guarded(stage, guest, codes):
    """What the unit may, and what others may see of it."""
    score = guest.sh("systemd-analyze security --no-pager tilld.service | tail -n 1")
    exposure = float(score.split(":")[1].split()[0])
    stage.note(f"exposure {exposure}")
    assert exposure <= 1.3, score
    pid = guest("daemon_has")["pid"]
    bounds(stage, guest, pid)
    as_other = "setpriv --reuid 60001 --regid 60001 --clear-groups "
    as_daemon = "setpriv --reuid tilld --regid tilld --clear-groups "
    key = "/etc/tilld/app_private_key.pem"
    for who, path in [
        (as_other, key), (as_daemon, key), (as_other, "/run/credentials/tilld.service/alipay-app-key"),
        (as_other, "/var/lib/tilld/journal.db"), (as_other, "/var/lib/tilld/journal.db-wal"), (as_other, f"/proc/{pid}/mem"),
        (as_other, f"/proc/{pid}/environ"),
    ]:
        assert guest.try_sh(f"test -e {path} || test -d {path.rsplit('/', 1)[0]}")[0] == 0, path
        status, said = guest.try_sh(f"{who} cat {path}")
        assert status != 0 and "Permission denied" in said, f"{who} {path}: {said[:200]}"
    status, said = guest.try_sh(as_other + "till --lang en status")
    assert status == 3, said
    # A code of 18 digits is shown as its first and last two.
    found = guest("leaks", [code[4:-2] for code in codes])
    assert not found, found
    assert guest("leaks", ["SALE0"]), "the search finds nothing at all"
