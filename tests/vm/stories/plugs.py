"""Scanners come and go, are not alone, and are not what they seem."""

import json
import time

from lab.books import differences
from lab.host import until
from lab.shop import Codes, begin, configure, scanner
from lab.story import test
from stories.sale import charged

TYPING = ("0c2e", "0b81")
# An emulated machine may stand still in the middle of a code, and be as slow as
# a person: hence the gap, and no guard where a story is not about it.
ONE = scanner("typing", "evdev", "0c2e", "0b81", typed_guard=False)


def plugged(guest, scanners):
    """How often the events say that a scanner came and went."""
    events = [e for e in guest("heard") if e["event"] == "scanner" and e["scanner"] == scanners]
    return [e["news"] for e in events if e["news"] != "scan_lost"]


def ask(guest, number, scanner, amount="12.34"):
    status, payment = guest("api", "PUT", "/v1/payments/" + number, {"amount": amount, "subject": "茶", "scanner": scanner})
    assert status == 201 and payment["state"] == "awaiting_code", (status, payment)


def goods_come(guest, scanner, act, text):
    """That a scan of goods comes out as it is."""
    since = len(guest("heard"))
    act(text)
    heard = [e for e in guest("wait_heard", 1, since=since) if e["event"] == "scan"]
    assert [(e["scanner"], e["text"]) for e in heard] == [(scanner, text)], heard


@test("plugs", "unplugged and plugged in again in every state of a payment", alone=True)
def every_state(stage):
    guest = stage.shop(ONE)
    guest.teach("till", "gadget")
    guest("buses", 2)
    guest("make", "typing", *TYPING, ["keyboard", "consumer"], serial="16201B0C7A", maker="Honeywell", model="Voyager 1400g")
    guest("plug", "typing")
    begin(guest)
    guest("wait_scanner", "typing")
    guest("listen")
    codes, bus = Codes("plugs"), 0

    def scan(text):
        guest("send_keys", "typing", text + "\n")

    def away():
        guest("pull", "typing")
        guest("wait_scanner", "typing", present=False)

    def back():
        # Not always into the same socket.
        nonlocal bus
        bus = 1 - bus
        guest("plug", "typing", bus)
        guest("wait_scanner", "typing")

    # While nobody pays.
    away()
    back()
    goods_come(guest, "typing", scan, codes.goods(13))

    # While the code is waited for: what was typed before is not half of it,
    # and the code can be given by hand.
    ask(guest, "HAND", "typing")
    guest("send_keys", "typing", codes.pay()[:9])
    away()
    assert guest("api", "GET", "/v1/payments/HAND")[1]["state"] == "awaiting_code"
    code = codes.pay()
    status, payment = guest("api", "POST", "/v1/payments/HAND/code", {"auth_code": code})
    assert status in (200, 202), (status, payment)
    assert guest("wait_payment", "HAND", ["final"])["state"] == "paid"
    charged(guest, "HAND", code)
    back()
    ask(guest, "BACK", "typing")
    away()
    back()
    code = codes.pay()
    scan(code)
    assert guest("wait_payment", "BACK", ["final"])["state"] == "paid"
    charged(guest, "BACK", code)

    # While the gateway is asked, and while the buyer is.
    for number, amount, state, ends in (
        ("ASKED", "77.20", "processing", "paid"), ("BUYER", "77.03", "awaiting_buyer", "paid"), ("NEVER", "77.04", "awaiting_buyer", "cancelled"),
    ):
        ask(guest, number, "typing", amount)
        scan(codes.pay())
        guest("wait_payment", number, [state, "final"])
        away()
        back()
        payment = guest("wait_payment", number, ["final"])
        assert payment["state"] == ends, payment
        goods_come(guest, "typing", scan, codes.goods(13))

    # The first may have been told before anybody listened; and while it comes
    # back slowly it is told why it cannot be read yet.
    told = plugged(guest, "typing")
    told = [news for n, news in enumerate(told) if n == 0 or news != told[n - 1]]
    assert told[told.index("unplugged") :] == ["unplugged", "plugged"] * 6, told
    wrong = differences(guest("all_payments"), stage.gateway.ledger())
    assert not wrong, wrong


TWINS = (
    scanner("left", "evdev", "0c2e", "0b81", typed_guard=False, serial="LEFT01")
    + scanner("right", "evdev", "0c2e", "0b81", typed_guard=False, serial="RIGHT2")
    + scanner("near", "serial", "1eab", "0c06", phys="usb-dummy_hcd.2-1")
    + scanner("far", "serial", "1eab", "0c06", by_path="platform-dummy_hcd.3-usb-0:1:1.0")
    + scanner("either", "evdev", "05f9", "2204", typed_guard=False)
)


@test("plugs", "equal scanners are told apart by serial number or by socket, and none is guessed")
def twins(stage):
    guest = stage.shop(TWINS)
    guest.teach("till", "gadget")
    guest("buses", 6)
    for name, serial in ("left", "LEFT01"), ("right", "RIGHT2"):
        guest("make", name, *TYPING, ["keyboard"], serial=serial, maker="Honeywell", model="Voyager 1400g")
    for name in "near", "far":
        guest("make", name, "1eab", "0c06", ["serial"], maker="Newland Auto-ID", model="FM430 CDC")
    for name in "this", "that":
        guest("make", name, "05f9", "2204", ["keyboard"], maker="Datalogic", model="Gryphon GD4400")
    names = ["left", "right", "near", "far"]
    for bus, name in enumerate(names + ["this", "that"]):
        guest("plug", name, bus)
    begin(guest)
    for name in names:
        guest("wait_scanner", name)
    guest("listen")
    codes = Codes("twins")

    def each(lanes):
        for name, lane in lanes.items():
            act = "scan_keys" if name in ("left", "right") else "scan_serial"
            goods_come(guest, lane, lambda text: guest(act, name, text), codes.goods(13))

    each({name: name for name in names})
    # While they came one by one, one of them was the only one.
    until(
        "two equal scanners to be told of",
        lambda: (guest("wait_scanner", "either", present=False)["last_news"] or "").startswith("2 devices"),
    )
    files = guest("daemon_has")["files"]
    assert len([f for f in files if f.startswith("/dev/input/event")]) == 2, files
    # All are pulled out, and come back in each other's sockets.
    for name in names:
        guest("pull", name)
    for name in names:
        guest("wait_scanner", name, present=False)
    for bus, name in enumerate(["right", "left", "far", "near"]):
        guest("plug", name, bus)
    for name in names:
        guest("wait_scanner", name)
    # A serial number goes with the scanner; a socket stays.
    each({"left": "left", "right": "right", "near": "far", "far": "near"})
    # A payment is paid by its own lane's scanner only.
    ask(guest, "LEFT", "left")
    guest("send_keys", "right", codes.pay() + "\n")
    code = codes.pay()
    guest("wait_quiet", rest=0.5)
    assert guest("api", "GET", "/v1/payments/LEFT")[1]["state"] == "awaiting_code"
    guest("send_keys", "left", code + "\n")
    assert guest("wait_payment", "LEFT", ["final"])["state"] == "paid"
    charged(guest, "LEFT", code)


ODD = (
    scanner("typing", "evdev", "0c2e", "0b81")
    + scanner("armed", "evdev", "05e0", "1200", mode="armed")
    + scanner("told", "serial", "05f9", "4204", trigger="honeywell")
)


def reasons(guest, since=0):
    return [e["reason"] for e in guest("heard", since=since) if e["event"] == "scanner" and e["reason"]]


@test("plugs", "wrong layouts, held keys, a person typing; armed only while a payment waits; the trigger is pulled", alone=True)
def odd_ones(stage):
    guest = stage.shop(ODD)
    guest.teach("till", "gadget")
    guest("buses", 3)
    guest("make", "typing", *TYPING, ["keyboard", "consumer"], serial="16201B0C7A", maker="Honeywell", model="Voyager 1400g")
    guest("make", "armed", "05e0", "1200", ["keyboard"], serial="S/N:5A", maker="Symbol Technologies", model="Bar Code Scanner")
    guest("make", "told", "05f9", "4204", ["serial"], maker="Datalogic", model="Gryphon")
    at = {name: guest("plug", name, bus) for bus, name in enumerate(["typing", "armed", "told"])}
    node = at["typing"]["event"][0]
    codes = Codes("odd")
    guest("look", "window", node)
    guest("look", "register", at["armed"]["event"][0])
    guest("look", "mute", at["typing"]["event"][1])

    # A key is down when the daemon starts: others have seen it, and must see
    # it come up before it is taken from them.
    guest("hold", "typing", "a")
    begin(guest)
    guest("wait_scanner", "armed")
    said = until("the held key to be told", lambda: "is down" in (guest("wait_scanner", "typing", present=False)["last_news"] or ""), timeout=60)
    assert said and not guest("grabbed", node)
    guest("hold", "typing", "")
    guest("wait_scanner", "typing")
    assert guest("seen", "window") == {"text": "a", "down": []}
    assert guest("grabbed", node) and guest("grabbed", at["typing"]["event"][1]), "a node of the scanner was left to others"
    guest("listen")

    def scan(name, text, **how):
        guest("send_keys", name, text + "\n", **how)

    for how, word in ("shifted", "keyboard country"), ("alt", "ALT"):
        scan("typing", codes.pay(), how=how)
        until("the scanner's setting to be told", lambda: any(word in r for r in reasons(guest)), timeout=30)
    guest("wait_quiet", rest=0.5)
    assert not [e for e in guest("heard") if e["event"] == "scan"], guest("heard")
    goods_come(guest, "typing", lambda text: scan("typing", text, how="keypad"), codes.goods(13))

    armed_mode(guest, at["armed"]["event"][0], codes)
    trigger(guest, codes)

    # A person types on what was taken for a scanner.
    guest("send_keys", "typing", "hello my dear friend", pause=0.06)
    gone = guest("wait_scanner", "typing", present=False)
    assert "person" in gone["last_news"], gone
    until("the keyboard to be let go of", lambda: not guest("grabbed", node), timeout=30)
    guest("send_keys", "typing", "mine again\n", pause=0.02)
    assert "mine again\n" in guest("wait_seen", "window", "mine again\n")["text"]
    assert guest("seen", "window")["down"] == [] and guest("seen", "mute")["text"] == ""
    # It is a scanner again when the person is done; no plug has to be pulled.
    guest("wait_scanner", "typing")
    until("the keyboard to be taken again", lambda: guest("grabbed", node), timeout=30)
    goods_come(guest, "typing", lambda text: scan("typing", text), codes.goods())


def has_typed(guest, text):
    """The register's window has got this text, and no key is down any more."""
    whole = {"text": text, "down": []}
    until(f"the register to have read {text!r}", lambda: guest("seen", "register") == whole, timeout=30)


def armed_mode(guest, node, codes):
    """The register's window gets all but what is scanned while a payment waits."""
    before, after = codes.goods(13), codes.goods(13)

    def scan(text):
        guest("send_keys", "armed", text + "\n")

    assert not guest("grabbed", node)
    scan(before)
    # The last key is let go of a moment after it was pressed.
    has_typed(guest, before + "\n")
    for n in range(2):
        number = f"ARMED{n}"
        ask(guest, number, "armed")
        until("the scanner to be taken", lambda: guest("grabbed", node), timeout=30)
        code = codes.pay()
        scan(code)
        assert guest("wait_payment", number, ["final"])["state"] == "paid"
        charged(guest, number, code)
        until("the scanner to be given back", lambda: not guest("grabbed", node), timeout=30)
    # One that nobody pays.
    ask(guest, "STOPPED", "armed")
    until("the scanner to be taken", lambda: guest("grabbed", node), timeout=30)
    guest("api", "POST", "/v1/payments/STOPPED/cancel?wait=20")
    until("the scanner to be given back", lambda: not guest("grabbed", node), timeout=30)
    scan(after)
    both = f"{before}\n{after}\n"
    has_typed(guest, both)
    heard = [e for e in guest("heard") if e["event"] == "scan" and e["scanner"] == "armed"]
    assert not heard, heard


def trigger(guest, codes):
    """A serial scanner is told when to read, and when no more."""
    guest("wait_scanner", "told")
    # From here on the scanner listens; before, its line is a terminal that echoes.
    guest("serial_came", "told", 0)
    ask(guest, "TOLD", "told")
    assert guest("serial_came", "told", 3).startswith("16 54 0d")
    guest("scan_serial", "told", codes.pay())
    assert guest("wait_payment", "TOLD", ["final"])["state"] == "paid"
    until("the scanner to be told to stop", lambda: (guest("serial_came", "told", 3) or "").endswith("16 55 0d"), timeout=20)


PLUGS = 25
MANY = (
    scanner("one", "evdev", "0c2e", "0b81", typed_guard=False)
    + scanner("two", "evdev", "05e0", "1200", typed_guard=False)
    + scanner("pos", "hidraw", "05f9", "4204", gap=None)
    + scanner("acm", "serial", "05e0", "1701", gap=None)
)


def kinds(has):
    """The files that are held, without the numbers that change with plugging."""
    return sorted(f.rstrip("0123456789") for f in has["files"] if not f.startswith("socket:"))


@test("plugs", f"{PLUGS} times four scanners are plugged in and pulled out, and nothing is left behind", alone=True)
def many_plugs(stage):
    guest = stage.shop(MANY)
    guest.teach("till", "gadget")
    guest("buses", 4)
    guest("make", "one", *TYPING, ["keyboard", "consumer"], serial="16201B0C7A")
    guest("make", "two", "05e0", "1200", ["keyboard"])
    guest("make", "pos", "05f9", "4204", ["pos"])
    guest("make", "acm", "05e0", "1701", ["serial"])
    names = ["one", "two", "pos", "acm"]
    begin(guest)
    guest("listen")
    random, codes = stage.random("plugs"), Codes("plugs many")
    acts = {"one": "scan_keys", "two": "scan_keys", "pos": "scan_pos", "acm": "scan_serial"}

    def all_there():
        for bus, name in enumerate(names):
            guest("plug", name, bus, wait=False)
        for name in names:
            guest("wait_scanner", name)

    def works():
        for name in names:
            goods_come(guest, name, lambda text: guest(acts[name], name, text), codes.goods(13))

    all_there()
    works()
    before = guest("daemon_has")
    guest("pull_all", names)
    # Sometimes the daemon has it already, sometimes not even udev.
    guest("plug_and_pull", names, [round(random.uniform(0, 0.8), 2) for _ in range(PLUGS)])
    # udev has a hundred plugs to come to terms with, and only then gives nodes away.
    guest.sh("udevadm settle --timeout=160", timeout=170)
    all_there()
    works()
    after = guest("daemon_has")
    assert after["pid"] == before["pid"], "the daemon was started anew"
    assert after["threads"] == before["threads"], (before, after)
    # Connections come and go by themselves, but not one for every plug.
    assert kinds(after) == kinds(before), (before, after)
    assert len(after["files"]) < len(before["files"]) + PLUGS, (before, after)
    times = sum(e["event"] == "scanner" and e["news"] == "plugged" for e in guest("heard"))
    stage.note(f"{PLUGS * len(names)} times plugged in, seen {times - 2 * len(names)} times")
    assert times > 2 * len(names), "the daemon saw none of it"


@test("plugs", "`till scanners learn` finds each scanner by a scan, and what it prints makes it work")
def learn(stage):
    guest = stage.shop()
    guest.teach("till", "gadget")
    guest("buses", 3)
    # No maker that the shipped rules know.
    guest("make", "typing", "ac90", "3002", ["keyboard", "consumer"], maker="TMS", model="HIDKeyBoard")
    guest("make", "pos", "05f9", "4204", ["pos"], maker="Datalogic", model="Gryphon GD4400 HID-POS")
    guest("make", "acm", "152a", "880f", ["serial"], serial="LAB0001", maker="Barcode", model="Scanner CDC")
    acts = {"typing": "scan_keys", "pos": "scan_pos", "acm": "scan_serial"}
    for bus, name in enumerate(acts):
        guest("plug", name, bus)
    codes, tables, rules = Codes("learn"), [], []
    for name, act in acts.items():
        box = guest.agent.begin("run", "till --json --lang en scanners learn")
        code = codes.pay()

        def learned():
            if box.empty():
                guest(act, name, code)
                time.sleep(0.5)
            return not box.empty()

        until("the scanner to be found", learned, timeout=90)
        said = guest.agent.finish(box)["out"]
        found = json.loads(said.strip().splitlines()[-1])
        assert found["kind"] == {"typing": "evdev", "pos": "hidraw", "acm": "serial"}[name], found
        assert code not in said, said
        tables.append(found["toml"].replace("lane-1", name) + 'gap = "600ms"\n')
        if not found["udev_rule_shipped"]:
            rules.append(found["udev_rule"] + "\n")
    assert len(rules) == 2, rules
    guest.sh("cat > /etc/udev/rules.d/71-tilld-local.rules", stdin="".join(rules))
    guest.sh("udevadm control --reload && udevadm trigger && udevadm settle")
    configure(guest, stage.gateway, "".join(tables))
    begin(guest)
    for name in acts:
        guest("wait_scanner", name)
    guest("listen")
    for name, act in acts.items():
        goods_come(guest, name, lambda text: guest(act, name, text), codes.goods(13))
    listed = json.loads(guest.sh("till --json scanners"))["devices"]
    assert {d["scanner"]: d["present"] for d in listed if d["scanner"]} == {name: True for name in acts}, listed
