#!/usr/bin/env python3
"""Takes one payment from tilld. Python's own library is all it needs.

    [AUTH_CODE=2800...] pay.py ORDER AMOUNT SUBJECT        (socket: $TILLD_SOCKET)

ORDER is the register's number for this payment. A real register writes it into
its own database before it calls this, and uses the same number until it knows
the result. Without AUTH_CODE the terminal waits for its scanner.

Exit codes, as those of till: 0 taken, 10 not taken, 11 returned, 20 open or unknown (do
not charge again), 2 wrong usage, 3 no daemon.
"""

import http.client
import json
import os
import re
import socket
import sys
import time

SOCKET = os.environ.get("TILLD_SOCKET") or "/run/tilld/tilld.sock"
WAIT = 60  # how long one request waits for the end of the payment
TIMEOUT = WAIT + 15  # always longer than WAIT, or the answer is thrown away
GIVE_UP = 180  # after so long the cashier is told that the result is unknown

EXIT = {"taken": 0, "none": 10, "returned": 11, "unknown": 20}
LANGUAGE = "zh" if os.environ.get("LANG", "").startswith("zh") else "en"


class Absent(Exception):
    """Nobody listens: this request was certainly not sent."""


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(SOCKET)
        except OSError as why:
            raise Absent(why) from why


def put(order, body):
    """One blocking request: the HTTP status, a payment or a problem, its sentence."""
    connection = UnixConnection("tilld", timeout=TIMEOUT)
    try:
        path = f"/v1/payments/{order}?wait={WAIT}"
        connection.request("PUT", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        return response.status, answer, answer["cashier"][LANGUAGE]
    finally:
        connection.close()


def pay(order, body):
    """The exit code, and the sentence for the cashier."""
    end = time.monotonic() + GIVE_UP
    sent = False  # whether a request may have reached the daemon
    last = "No answer from the terminal: do not charge again, ask for this number later"
    while True:
        try:
            status, answer, last = put(order, body)
        except Absent as why:
            if not sent:
                return 3, f"Cannot reach the terminal at {SOCKET}: {why}"
        except (OSError, http.client.HTTPException, ValueError, LookupError):
            sent = True  # the answer is lost, the payment is not: ask again
        else:
            if status < 300 and answer["final"]:
                return EXIT.get(answer["money"], 20), last
            if status >= 400 and not (sent and status >= 500):
                print(answer["detail"], file=sys.stderr)
                faulty = status in (400, 413, 415, 422) and answer["money"] == "none"
                return 2 if faulty else EXIT.get(answer["money"], 20), last
            sent = True
            print(last, file=sys.stderr)
        if time.monotonic() > end:
            return 20, last
        time.sleep(0.5)  # and then the same request: it never charges twice


def main():
    if len(sys.argv) != 4 or not re.fullmatch("[A-Za-z0-9_]{1,64}", sys.argv[1]):
        print(__doc__, file=sys.stderr)
        return 2
    order, amount, subject = sys.argv[1:]
    body = {"amount": amount, "subject": subject}
    if os.environ.get("AUTH_CODE"):
        body["auth_code"] = os.environ["AUTH_CODE"]
    code, sentence = pay(order, body)
    print(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main())
