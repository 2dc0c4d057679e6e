"""Scans as fast as they come, and scans that something went wrong with."""

import time

from lab.host import until
from lab.shop import Codes, begin, scanner
from lab.story import test
from stories.sale import charged

# An emulated machine may stand still in the middle of a code, and be as slow as
# a person.
SCANNERS = (
    scanner("typing", "evdev", "0c2e", "0b81", typed_guard=False)
    + scanner("pos", "hidraw", "05f9", "4204")
    + scanner("acm", "serial", "05e0", "1701")
)
FAST = 200
# More than five scans in a second are a flood.
GAP_MS = 220
# The emulated machine stood still for so long between two keys: no scanner did that.
STALL_MS = 60


def plug_in(stage):
    guest = stage.shop(SCANNERS)
    guest.teach("till", "gadget")
    guest("buses", 3)
    guest("make", "typing", "0c2e", "0b81", ["keyboard"], serial="16201B0C7A", maker="Honeywell", model="Voyager 1400g")
    guest("make", "pos", "05f9", "4204", ["pos"], maker="Datalogic", model="Gryphon GD4400 HID-POS")
    guest("make", "acm", "05e0", "1701", ["serial"], serial="S/N:3E7F1A00", maker="Symbol Technologies", model="Bar Code Scanner (CDC)")
    for bus, name in enumerate(["typing", "pos", "acm"]):
        guest("plug", name, bus)
    begin(guest)
    for name in "typing", "pos", "acm":
        guest("wait_scanner", name)
    guest("listen")
    return guest


class Heard:
    """What came of the scans that were made: in order, and nothing made up."""

    def __init__(self, guest, scanner, sent):
        guest("wait_quiet")
        self.events = [e for e in guest("heard") if e["event"] in ("scan", "scanner") and e["scanner"] == scanner]
        self.got = [e["text"] for e in self.events if e["event"] == "scan"]
        self.reports = [e["reason"] for e in self.events if e.get("news") == "scan_lost"]
        self.altered = [text for text in self.got if text not in set(sent)]
        self.missing = [code for code in sent if code not in set(self.got)]
        self.sent = sent

    def check(self):
        assert not self.altered, f"altered: {self.altered[:5]}"
        assert self.got == [code for code in self.sent if code in set(self.got)], "the order is another, or codes came twice"
        assert self.reports or not self.missing, f"lost without a word: {self.missing[:5]}"


@test("scans", f"{FAST} scans by keyboard at the bus's full rate, and by HID-POS and serial: none lost, none altered", alone=True)
def full_rate(stage):
    guest = plug_in(stage)
    codes = Codes("fast")
    left, took = [codes.goods(18) for _ in range(FAST)], []
    for _ in range(5):
        guest("listen")
        times = guest("many_keys", "typing", left, gap_ms=GAP_MS)
        heard = Heard(guest, "typing", left)
        heard.check()
        took += [whole for whole, worst in times if worst < STALL_MS]
        stalled = {code for code, (_, worst) in zip(left, times) if worst >= STALL_MS}
        # Lost though its keys came evenly: this side cannot see whether the
        # processor of the daemon stood still. It was told, and is rare.
        dropped = [code for code in heard.missing if code not in stalled]
        stage.note(f"{len(left)} scans, {len(stalled)} of them held up by the emulator; {len(heard.missing)} lost, {len(dropped)} of these not held up")
        assert len(dropped) <= len(left) / 50 + 2, f"{len(dropped)} of {len(left)} were lost: {heard.reports}"
        # What was told to be lost is scanned again.
        left = heard.missing
        if not left:
            break
    assert not left, f"{len(left)} of {FAST} did not get through"
    stage.note(f"{min(took)} to {sorted(took)[len(took) // 2]} ms a scan")

    for scanner, act in ("pos", "scan_pos"), ("acm", "scan_serial"):
        guest("listen")
        # Longer ones do not fit into one report.
        texts = [codes.goods(18 if n % 10 else 100) for n in range(100)]
        for n in range(0, len(texts), 20):
            guest("each", act, scanner, texts[n : n + 20], gap_ms=GAP_MS)
            guest("wait_heard", n + 20)
        heard = Heard(guest, scanner, texts)
        assert heard.got == texts and not heard.reports, (heard.missing[:3], heard.altered[:3], heard.reports)

    # A box that is too busy loses scans; it says so and never makes others of them.
    guest("listen")
    guest("busy", 6)
    texts = [codes.goods(18) for _ in range(60)]
    guest("many_keys", "typing", texts, gap_ms=GAP_MS)
    guest("busy", 0)
    heard = Heard(guest, "typing", texts)
    heard.check()
    stage.note(f"busy: {len(heard.missing)} of 60 lost, {len(heard.reports)} reports")


@test("scans", "scans that lost keys are refused, and never become other codes", alone=True)
def torn(stage):
    guest = plug_in(stage)
    codes = Codes("torn")
    sent = [codes.goods() for _ in range(3)]
    # It ends its codes with Enter: from here on the daemon knows.
    guest("each", "scan_keys", "typing", sent)
    status, payment = guest("api", "PUT", "/v1/payments/TORN", {"amount": "1.00", "subject": "茶", "scanner": "typing"})
    assert payment["state"] == "awaiting_code", payment

    # The daemon does not come round in the middle of a code, and the kernel's
    # queue overflows.
    for head in 1, 6, 9, 14, 18:
        before = calm(guest)
        guest("interrupted", "typing", head, [codes.pay() for _ in range(3)])
        until("the loss to be told", lambda: lost(guest) > before, timeout=30)
        refused(guest)

    # No Enter: two codes in one; and one that is left hanging before the next.
    guest("send_keys", "typing", codes.pay() + codes.pay() + "\n")
    guest("wait_quiet")
    refused(guest)
    before = calm(guest)
    guest("send_keys", "typing", codes.pay())
    until("the loss to be told", lambda: lost(guest) > before, timeout=30)
    guest("send_keys", "typing", codes.pay()[5:] + "\n")
    guest("wait_quiet")
    refused(guest)

    # Afterwards all is as ever.
    code = codes.pay()
    guest("send_keys", "typing", code + "\n")
    payment = guest("wait_payment", "TORN", ["final"])
    assert payment["state"] == "paid", payment
    charged(guest, "TORN", code)
    # What is left of a torn code may come out, long after it was told to be
    # lost; it is shorter than any, and not told in digits.
    heard = [e for e in guest("heard") if e["event"] == "scan" and e["kind"] == "goods"]
    assert [e["text"] for e in heard if e["text"].isdigit()] == sent, heard


def lost(guest):
    return sum(e["event"] == "scanner" and e["news"] == "scan_lost" for e in guest("heard"))


def calm(guest):
    """How many losses were told, when the next one will be told for sure: the
    same is not told twice in two seconds."""
    guest("wait_quiet", rest=2.2)
    return lost(guest)


def refused(guest):
    payment = guest("api", "GET", "/v1/payments/TORN")[1]
    assert payment["state"] == "awaiting_code", f"a torn scan was taken: {payment}"
