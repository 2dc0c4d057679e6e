"""The cable is pulled, and the line is bad."""

import time

from lab.books import ENDINGS, differences
from lab.host import until
from lab.shop import Codes, begin
from lab.story import test
from stories.power import settle

# A payment that waits for a code needs a scanner; this one is never plugged in.
ABSENT = '[[scanner]]\nid = "lane-1"\nkind = "serial"\ndevice = "/dev/serial/by-id/absent"\n'


def put(guest, number, amount, code=None):
    body = {"amount": amount, "subject": "茶"}
    if code:
        body["auth_code"] = code
    return guest("api", "PUT", "/v1/payments/" + number, body)


def in_every_state(stage, guest, codes, name):
    """One payment in each state that lasts, and one that is final."""
    gateway = stage.gateway
    # The answer of this pay is under way when the cable is pulled.
    gateway.post("/sandbox/faults", {"method": "pay", "out_trade_no": name + "PROC", "delay_ms": 2900})
    # This cancel is not heard of for a while.
    gateway.post("/sandbox/faults", {"method": "cancel", "out_trade_no": name + "CANC", "times": 2, "drop_answer": True})
    assert put(guest, name + "DONE", "1.00", codes.pay())[0] == 201
    guest("wait_payment", name + "DONE", ["paid"])
    assert put(guest, name + "CODE", "2.00")[0] == 201
    for end, amount in ("BUYR", "77.03"), ("NEVR", "77.04"), ("CANC", "77.04"):
        assert put(guest, name + end, amount, codes.pay())[0] == 201
        guest("wait_payment", name + end, ["awaiting_buyer"])
    guest("api", "POST", f"/v1/payments/{name}CANC/cancel")
    guest("wait_payment", name + "CANC", ["cancelling"])
    assert put(guest, name + "PROC", "3.00", codes.pay())[0] == 201
    states = {e: guest("api", "GET", "/v1/payments/" + name + e)[1]["state"] for e in ("DONE", "CODE", "BUYR", "NEVR", "CANC", "PROC")}
    return states


@test("network", "the cable pulled and put back in every state, for a moment and for longer than any deadline")
def cable(stage):
    guest = stage.shop(ABSENT)
    codes = Codes(f"network {stage.seed}")
    begin(guest)
    guest("listen")
    seen = set()
    for name, outage in ("SHORT", 2), ("LONG", 14):
        states = in_every_state(stage, guest, codes, name)
        guest.link(False)
        seen |= set(states.values())
        # What begins in the dark, and what is given its code there.
        assert put(guest, name + "DARK", "4.00", codes.pay())[0] == 201
        status, payment = guest("api", "POST", f"/v1/payments/{name}CODE/code", {"auth_code": codes.pay()})
        assert status in (200, 202), (status, payment)
        # Given up in the dark.
        assert put(guest, name + "STOP", "5.00", codes.pay())[0] == 201
        guest("api", "POST", f"/v1/payments/{name}STOP/cancel")
        until("the terminal to notice", lambda: any(not e["up"] for e in guest("heard") if e["event"] == "gateway"))
        # Longer than the window of 8 s, or shorter.
        time.sleep(outage)
        dark = guest("all_payments")
        told = [p for p in dark if p["out_trade_no"].startswith(name) and p["state"] in ("paid", "declined")]
        assert {p["out_trade_no"] for p in told} <= {name + "DONE", name + "PROC", name + "BUYR"}, told
        guest.link(True)
        settle(guest)
        until("the terminal to see it", lambda: [e["up"] for e in guest("heard") if e["event"] == "gateway"][-1:] == [True])
    payments = settle(guest)
    wrong = differences(payments, stage.gateway.ledger())
    assert not wrong, "\n".join(wrong)
    # All was tried.
    assert seen >= {"paid", "awaiting_code", "awaiting_buyer", "cancelling", "processing"}, seen
    done = {p["out_trade_no"]: p["state"] for p in payments}
    assert done["SHORTDONE"] == done["LONGDONE"] == "paid" and done["LONGNEVR"] == "cancelled", done
    stage.note(f"{len(payments)} payments")


@test("network", "300 ms and 10 % loss: everything ends as the ledger has it")
def bad_line(stage):
    guest = stage.shop()
    codes = Codes(f"loss {stage.seed}")
    begin(guest)
    guest.sh("tc qdisc add dev shop root netem delay 300ms loss 10%")
    many = [
        ("PUT", f"/v1/payments/LOSS{n:02d}", {"amount": amount, "subject": "茶", "auth_code": codes.pay()})
        for n, amount in enumerate(ENDINGS + ["6.00"] * 8)
    ]
    for status, payment in guest("api_many", many):
        assert status == 201, payment
    payments = settle(guest, timeout=180)
    wrong = differences(payments, stage.gateway.ledger())
    assert not wrong, "\n".join(wrong)
    paid = sum(p["state"] == "paid" for p in payments)
    stage.note(f"{len(payments)} payments, {paid} paid")
    assert len(payments) == len(many) and paid > 0
    # Loss was really played.
    assert "dropped 0," not in guest.sh("tc -s qdisc show dev shop")
