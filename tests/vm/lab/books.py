"""Compares what the terminal says with what the gateway's ledger holds."""

import sqlite3

# (amount, what a right terminal arrives at); endings that need a person are left out.
ENDINGS = [
    "12.34", "77.01", "77.02", "77.03", "77.04", "77.05", "77.12", "77.14", "77.15", "77.16", "77.17", "77.18", "77.19",
    "77.20", "77.21", "77.22", "77.30", "77.31", "77.32", "77.33", "77.41", "77.42", "77.43", "77.44",
]


def fen(payment):
    yuan, _, part = payment["amount"].partition(".")
    return int(yuan) * 100 + int(part.ljust(2, "0"))


def compare(number, payment, held):
    """What differs between the terminal's word and the ledger, or None."""
    sent = [one for one in (held or {}).get("history", []) if one["method"] == "alipay.trade.pay"]
    if len(sent) > 1 or (held or {}).get("pays", 0) > 1:
        return f"{number}: pay was sent {len(sent)} times: {held}"
    if payment is None:
        # Asking about a number costs nothing; the daemon does, to learn the time.
        return f"{number}: sent without being written down: {held}" if sent else None
    trade = (held or {}).get("trade") or {}
    charged, refunded = trade.get("charged_fen", 0), trade.get("refunded_fen", 0)
    state, money, action = payment["state"], payment["money"], payment.get("cancel_action")
    right = {
        "taken": state == "paid" and charged == fen(payment) and refunded == 0,
        "returned": state == "cancelled" and action == "refund" and charged > 0 and refunded == charged,
        "none": state in ("declined", "cancelled") and action != "refund" and charged == 0 and trade.get("status") != "WAIT_BUYER_PAY",
    }.get(money, False)
    return None if right else f"{number}: the terminal says {state}, {money}, {action}; the ledger {trade}"


def differences(payments, ledger):
    """Every difference between all payments and the whole ledger."""
    known = {p["out_trade_no"]: p for p in payments}
    found = [compare(n, known.get(n), ledger.get(n)) for n in sorted(known.keys() | ledger.keys())]
    return [f for f in found if f]


class Told:
    """What a register was told: it must be in the journal from then on."""

    def __init__(self):
        self.revs, self.final, self.seq, self.taken = {}, {}, 0, set()
        self.many = 0

    def hear(self, news):
        if news["news"] == "event" and news["id"] is not None:
            self.seq = max(self.seq, news["id"])
            self.many += 1
        elif news["news"] == "told" and news["status"] in (200, 201):
            number = news["number"]
            self.many += 1
            self.taken.add(number)
            self.revs[number] = max(self.revs.get(number, 0), news["rev"])
            if news["state"] in ("paid", "declined", "cancelled"):
                self.final[number] = news["state"]

    def copy(self):
        twin = Told()
        twin.revs, twin.final, twin.seq, twin.taken = dict(self.revs), dict(self.final), self.seq, set(self.taken)
        twin.many = self.many
        return twin


def missing(journal, told):
    """What was told and is not in the journal's file: a list, empty if all is there."""
    if told.many == 0:
        return []
    try:
        db = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    except sqlite3.OperationalError as error:
        return [f"the journal cannot be opened: {error}"]
    try:
        head = db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()[0]
        rows = {n: (rev, state) for n, rev, state in db.execute("SELECT out_trade_no, rev, state FROM payments")}
    except sqlite3.Error as error:
        return [f"the journal cannot be read: {error}"]
    finally:
        db.close()
    lost = []
    if head < told.seq:
        lost.append(f"event {told.seq} was told, the journal ends at {head}")
    for number, rev in told.revs.items():
        stands = rows.get(number)
        if stands is None:
            lost.append(f"{number} was told and is unheard of")
        elif stands[0] < rev:
            lost.append(f"{number} was told at revision {rev}, and stands at {stands[0]}")
        elif number in told.final and stands[1] != told.final[number]:
            lost.append(f"{number} was told {told.final[number]}, and is {stands[1]}")
    return lost
