"""A register in the guest: talks to the daemon's socket, and tells the lab all it is told."""
import http.client
import json
import os
import socket
import threading
import time

SOCKET = "/run/tilld/tilld.sock"


class Unix(http.client.HTTPConnection):
    def __init__(self, timeout=100):
        super().__init__("till", timeout=timeout)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def api(method, path, body=None, timeout=100):
    """One request: (status, what came back)."""
    conn = Unix(timeout)
    try:
        data = None if body is None else json.dumps(body)
        conn.request(method, path, data, {"Content-Type": "application/json"})
        reply = conn.getresponse()
        text = reply.read()
        try:
            return reply.status, json.loads(text)
        except ValueError:
            return reply.status, text.decode(errors="replace")
    finally:
        conn.close()


def api_many(requests, timeout=100):
    """Many requests at once, each on a connection of its own."""
    answers = [None] * len(requests)

    def one(at, request):
        try:
            answers[at] = api(*request, timeout=timeout)
        except OSError as error:
            answers[at] = (0, str(error))

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(requests)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers


class Stream:
    """What the daemon tells by /v1/events, from now on or after an id."""

    def __init__(self, after=None, loud=False):
        self.events, self.loud, self.last = [], loud, after
        self.stopped = False
        self.connect()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def connect(self):
        self.conn = Unix(timeout=3600)
        headers = {} if self.last is None else {"Last-Event-ID": str(self.last)}
        self.conn.request("GET", "/v1/events", headers=headers)
        self.reply = self.conn.getresponse()
        if self.reply.status != 200:
            raise RuntimeError(self.reply.read())

    def run(self):
        while not self.stopped:
            try:
                self.read()
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                pass
            # The daemon went; what it tells afterwards has no gap.
            while not self.stopped:
                try:
                    self.connect()
                    break
                except (OSError, RuntimeError, http.client.HTTPException):
                    time.sleep(0.1)

    def read(self):
        event = {}
        while True:
            line = self.reply.readline()
            if not line:
                return
            name, _, value = line.decode().rstrip("\n").partition(":")
            if name in ("event", "id", "data"):
                event[name] = value.strip()
            elif not name and "data" in event:
                told = {"event": event["event"], "id": int(event["id"]) if "id" in event else None, **json.loads(event["data"])}
                if told["id"] is not None:
                    self.last = told["id"]
                self.events.append(told)
                if self.loud:
                    # Only now has anybody been told.
                    tell("event", id=told["id"], what=told["event"])
                event = {}


streams = {}


def listen(name="main", after=None, loud=False):
    if name in streams:
        streams[name].stopped = True
    streams[name] = Stream(after, loud)


def heard(name="main", since=0):
    """The events so far, from the so-manieth on."""
    return streams[name].events[since:]


def wait_heard(count, kind="scan", name="main", since=0, timeout=60):
    """Until that many events of that kind have come; all events."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = streams[name].events[since:]
        if sum(1 for e in found if e["event"] == kind) >= count:
            break
        time.sleep(0.02)
    return streams[name].events[since:]


def wait_ready(timeout=90):
    """Until the daemon answers; its status."""
    end = time.monotonic() + timeout
    while True:
        try:
            status, body = api("GET", "/v1/status", timeout=10)
            if status == 200:
                return body
        except OSError:
            pass
        if time.monotonic() > end:
            raise RuntimeError("the daemon does not answer")
        time.sleep(0.05)


def wait_payment(number, wanted, timeout=60):
    """Until the payment is in one of these states; the payment."""
    end = time.monotonic() + timeout
    while True:
        status, body = api("GET", "/v1/payments/" + number)
        if status == 200 and (body["state"] in wanted or ("final" in wanted and body["final"])):
            return body
        if time.monotonic() > end:
            raise RuntimeError("%s: waited for %s, is %s" % (number, wanted, body))
        time.sleep(0.05)


def wait_scanner(scanner, present=True, timeout=60):
    """Until that scanner is there, or gone; what the status says of it."""
    end = time.monotonic() + timeout
    while True:
        status, body = api("GET", "/v1/status")
        found = [s for s in body["scanners"] if s["id"] == scanner]
        if found and found[0]["present"] == present:
            return found[0]
        if time.monotonic() > end:
            raise RuntimeError("scanner %s is not %s: %s" % (scanner, "there" if present else "gone", found))
        time.sleep(0.05)


def all_payments(state=None):
    """All payments, oldest last."""
    found, cursor = [], None
    while True:
        path = "/v1/payments?limit=500" + ("&state=" + state if state else "") + ("&cursor=" + cursor if cursor else "")
        status, body = api("GET", path)
        if status != 200:
            raise RuntimeError(body)
        found += body["payments"]
        cursor = body["next_cursor"]
        if not cursor:
            return found


selling = {"stop": True}


def sell(lane, orders):
    """Takes these payments one after the other, and tells the lab each answer as it comes."""
    for order in orders:
        if selling["stop"]:
            return
        number = order["number"]
        body = {"amount": order["amount"], "subject": "茶", "auth_code": order["code"]}
        try:
            tell("asked", number=number)
            status, payment = api("PUT", "/v1/payments/" + number, body)
            tell("told", number=number, status=status, rev=payment.get("rev"), state=payment.get("state"), code=payment.get("code"))
            if status not in (200, 201):
                continue
            status, payment = api("GET", "/v1/payments/%s?wait=%s" % (number, order["wait"]))
            tell("told", number=number, status=status, rev=payment.get("rev"), state=payment.get("state"), code=payment.get("code"))
        except (OSError, http.client.HTTPException) as error:
            tell("lost", number=number, why=str(error))


def open_shop(lanes):
    """Several registers at once; comes back when all of them are through."""
    selling["stop"] = False
    threads = [threading.Thread(target=sell, args=(n, orders)) for n, orders in enumerate(lanes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    selling["stop"] = True


def close_shop():
    selling["stop"] = True


asking = {"stop": True}


def ask_through(name, codes):
    """Takes small payments one after the other; what came of each: (status, retry, number)."""
    asking["stop"] = False
    answers = []
    for n, code in enumerate(codes):
        if asking["stop"]:
            break
        number = "%s%03d" % (name, n)
        body = {"amount": "1.00", "subject": "茶", "auth_code": code}
        try:
            status, payment = api("PUT", "/v1/payments/" + number, body)
            answers.append((status, payment.get("retry"), number))
        except (OSError, http.client.HTTPException) as error:
            answers.append((0, repr(error), number))
        time.sleep(0.1)
    return answers


def ask_no_more():
    asking["stop"] = True


pauses = {"longest": 0.0}


def feel_pauses():
    """From now on, notes the longest time in which nothing ran."""

    def beat():
        last = time.time()
        while True:
            time.sleep(0.1)
            now = time.time()
            pauses["longest"] = max(pauses["longest"], now - last)
            last = now

    threading.Thread(target=beat, daemon=True).start()


def longest_pause():
    return pauses["longest"]
