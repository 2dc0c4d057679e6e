"""The attacks. Each plays against a daemon of its own, and gives (what was seen, whether that is right)."""

import contextlib
import http.client
import json
import multiprocessing
import os
import pty
import re
import signal
import socket
import statistics
import subprocess
import threading
import time
import tty

from world import JSON, TOKEN, World, until

ATTACKS = []
# Somebody else on the box.
STRANGER = 60001


def attack(name, right):
    """Makes the function an attack; `right` says what a good daemon does."""

    def mark(function):
        ATTACKS.append((name, right, function))
        return function

    return mark


def ms(seconds):
    return f"{seconds * 1000:.0f} ms"


def timed(function, *arguments, **named):
    start = time.monotonic()
    try:
        answer = function(*arguments, **named)
    except OSError as error:
        answer = (0, repr(error))
    return time.monotonic() - start, answer


def word(body, name):
    return body.get(name) if isinstance(body, dict) else None


class Crowd:
    """So many requests on connections that stay open, by a client that is another
    user than the register where that can be had; closed, it is gone."""

    def __init__(self, world, many, path, pipelined=b""):
        world.let_others_in()
        ours, theirs = multiprocessing.Pipe()
        data = f"GET {path} HTTP/1.1\r\nHost: tilld\r\n\r\n".encode() + pipelined
        self.process = multiprocessing.get_context("fork").Process(target=hold, args=(world.socket, many, data, theirs), daemon=True)
        self.process.start()
        self.many = ours.recv()

    def close(self):
        self.process.kill()
        self.process.join()


def hold(path, many, data, tell):
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
    held, end = [], time.monotonic() + 5
    while len(held) < many and time.monotonic() < end:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        try:
            s.connect(path)
            held.append(s)
            s.sendall(data)
        except BlockingIOError:
            # So many wait to be let in.
            s.close()
            time.sleep(0.01)
        except OSError:
            # Turned away.
            pass
    tell.send(len(held))
    time.sleep(600)


# --- words about money


@attack("ways to be told `none` about a paid number", "no problem about a number or sale that was not looked up says `none`")
def told_none(programs):
    with World(programs, listen=True).start() as w:
        paid = {"amount": "5.00", "subject": "tea", "sale": "17"}
        w.ask("PUT", "/v1/payments/N1?wait=20", {**paid, "auth_code": w.new_code()})
        again = {**paid, "auth_code": w.new_code()}
        head = "Host: tilld\r\nContent-Type: application/json\r\n"
        stalled = f"PUT /v1/payments/N1 HTTP/1.1\r\n{head}Content-Length: 50\r\n\r\n{{".encode()
        asked = {
            "a member too many": w.ask("POST", "/v1/payments", {**again, "colour": "red"}),
            "a bad amount": w.ask("POST", "/v1/payments", {**again, "amount": "5.001"}),
            "another content type": w.ask("POST", "/v1/payments", again, headers={"Content-Type": "text/plain"}),
            "half a body": w.ask("PUT", "/v1/payments/N1", '{"amount": "5.0'),
            "a body that stops": (0, body_of(w.raw(stalled, timeout=40))),
            "a slash too many": w.ask("PUT", "/v1/payments/N1/", again),
            "POST for PUT": w.ask("POST", "/v1/payments/N1", again),
            "a stale token": w.ask("PUT", "/v1/payments/N1", again, headers=JSON | {"Authorization": "Bearer stale-token-0123456789"}, connection=tcp(w)),
            "a bad wait": w.ask("PUT", "/v1/payments/N1?wait=x", again),
            "a body too large": w.ask("PUT", "/v1/payments/N1", "x" * 70000),
        }
        told = [what for what, (_, body) in asked.items() if word(body, "money") == "none"]
        silent = [what for what, (_, body) in asked.items() if word(body, "money") is None]
        note = f"; no word at all: {', '.join(silent)}" if silent else ""
        return f"{len(told)} of {len(asked)} say none{': ' + ', '.join(told) if told else ''}{note}", not told and not silent


def body_of(answer):
    with contextlib.suppress(ValueError, IndexError):
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])
    return None


def tcp(world):
    return http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)


# --- clocks


@attack("one answer dated in the year 9999", "the next payments are paid")
def year_9999(programs):
    with World(programs).start() as w:
        once = {"left": 1}

        def lie(_, head, body):
            if once["left"]:
                once["left"] -= 1
                return dated(head, "Fri, 31 Dec 9999 23:59:59 GMT"), body

        w.proxy.lie = lie
        w.put("FIRST", wait=20)
        seen = []
        for n in range(3):
            status, body = w.put(f"NEXT{n}", wait=10)
            seen.append(f"{status} {word(body, 'state') or word(body, 'code')}")
        return f"next three: {', '.join(seen)}", all(s.endswith("paid") for s in seen)


@attack("a replayed answer about another order, dated a year ahead", "the daemon's idea of the gateway's clock stays; the payment is asked about until it is settled")
def replayed(programs):
    with World(programs).start() as w:
        kept = {}

        def keep(_, head, body):
            kept.setdefault("answer", (head, body))

        w.proxy.lie = keep
        w.put("OTHER", wait=20)
        before = w.ask("GET", "/v1/status")[1]["gateway"]["clock_skew_ms"]
        ahead = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 365 * 86400))
        left = {"many": 3}

        def replay(request, head, body):
            if b"VICTIM" in request and left["many"]:
                left["many"] -= 1
                return dated(kept["answer"][0], ahead), kept["answer"][1]

        w.proxy.lie = replay
        told, moved = {}, 0.0
        t = threading.Thread(target=lambda: told.update(w.put("VICTIM", wait=25)[1]), daemon=True)
        t.start()
        while t.is_alive():
            after = w.ask("GET", "/v1/status")[1]["gateway"]["clock_skew_ms"]
            moved = max(moved, abs((after or 0) - (before or 0)) / 1000)
            time.sleep(0.05)
        state, held = told.get("state") or told.get("code"), w.held("VICTIM")
        kept_money = held.get("charged_fen", 0) - held.get("refunded_fen", 0)
        true = {"paid": kept_money > 0, "cancelled": kept_money == 0, "declined": kept_money == 0}.get(state, False)
        return f"clock moved by {moved:.0f} s; told {state}, {kept_money} fen kept", moved < 60 and true


def dated(head, date):
    return re.sub(rb"(?im)^date:[^\r\n]*", b"Date: " + date.encode(), head)


# --- taking the box hostage


@attack("400 waits by one client, then a stop", "the stop is carried out")
def stop_among_waits(programs):
    with World(programs).start() as w:
        w.put("LONG", amount="77.04")
        until("the buyer to be asked", lambda: word(w.payment("LONG"), "state") == "awaiting_buyer", timeout=15)
        held = Crowd(w, 400, "/v1/payments/LONG?wait=300")
        time.sleep(1)
        took, (status, body) = timed(w.ask, "POST", "/v1/payments/LONG/cancel?wait=5")
        state = word(w.payment("LONG"), "state")
        held.close()
        return f"{held.many} waits; stop: {status} {word(body, 'code') or ''} after {ms(took)}, payment {state}", state in ("cancelling", "cancelled")


@attack("400 waits with bytes behind them, the client gone", "their places are free again")
def gone_with_bytes(programs):
    with World(programs).start() as w:
        w.put("LONG", amount="77.04")
        held = Crowd(w, 400, "/v1/payments/LONG?wait=300", pipelined=b"GET /v1/status HTTP/1.1\r\nHost: tilld\r\n\r\n")
        time.sleep(1)
        held.close()
        time.sleep(4)
        text = w.ask("GET", "/metrics")[1]
        left = {name: int(re.search(rf"^tilld_api_{name} (\d+)", text, re.M).group(1)) for name in ("connections", "waiting")}
        return f"5 s later {left['connections']} connections, {left['waiting']} waiting", left["waiting"] < 20 and left["connections"] < 20


@attack("500 lists of 500 payments, unread", "memory stays within the unit's bounds")
def unread_lists(programs):
    with World(programs).start() as w:
        fill(w, 500)
        before = w.rss()
        held = Crowd(w, 500, "/v1/payments?limit=500")
        time.sleep(6)
        during = w.rss()
        took, (status, body) = timed(w.put, "MEANWHILE", wait=20)
        held.close()
        time.sleep(3)
        figure = f"{held.many} lists: RSS {before:.1f} -> {during:.1f} MiB, {w.rss():.1f} afterwards (peak {w.rss('VmHWM'):.1f}); a payment: {status} in {ms(took)}"
        return figure, w.rss("VmHWM") < 128 and status == 201


def fill(world, many):
    """So many payments, four registers at once."""

    def some(of):
        conn_of = range(of, many, 4)
        for n in conn_of:
            world.put(f"FILL{n:04d}", wait=20)

    threads = [threading.Thread(target=some, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


@attack("8 clients that list and replay in a loop", "payments go on at their pace")
def busy_readers(programs):
    with World(programs, speed=1).start() as w:
        fill(w, 3000)
        calm = [timed(w.put, f"CALM{n}", wait=20)[0] for n in range(15)]
        greedy = [multiprocessing.get_context("fork").Process(target=read_for_ever, args=(w.socket, n % 2), daemon=True) for n in range(8)]
        for p in greedy:
            p.start()
        time.sleep(1)
        busy = [timed(w.put, f"BUSY{n}", wait=20) for n in range(15)]
        for p in greedy:
            p.kill()
            p.join()
        ok = [b[0] for b in busy if b[1][0] == 201]
        one, other = statistics.median(calm), statistics.median(ok) if ok else float("inf")
        return f"payments p50 {ms(one)} -> {ms(other)}, slowest {ms(max(ok, default=0))}, {len(ok)} of 15 taken", len(ok) == 15 and other < 1


def read_for_ever(path, replays):
    asked = b"GET /v1/events HTTP/1.1\r\nLast-Event-ID: 0\r\n" if replays else b"GET /v1/payments?limit=500 HTTP/1.1\r\n"
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            s.connect(path)
            s.sendall(asked + b"Host: tilld\r\nConnection: close\r\n\r\n")
            read = 0
            while read < 4_000_000 and (more := s.recv(1 << 20)):
                read += len(more)


@attack("somebody of the group cancels a payment", "the journal says who it was")
def who_was_it(programs):
    with World(programs).start() as w:
        w.put("THEIRS", amount="77.04")
        w.ask("POST", "/v1/payments/THEIRS/cancel")
        entries = w.ask("GET", "/v1/payments/THEIRS/journal")[1]["entries"]
        named = [e for e in entries if str(os.getpid()) in re.findall(r"\d+", str(e.get("asked_by") or e.get("by") or e.get("asker") or e.get("peer") or ""))]
        return f"{len(named)} of {len(entries)} entries name the process", len(named) >= 2


@attack("600 silent connections to the loopback port", "registers on the Unix socket do not notice")
def silent_port(programs):
    with World(programs, listen=True).start() as w:
        held = []
        for _ in range(600):
            s = socket.socket()
            s.settimeout(3)
            try:
                s.connect(("127.0.0.1", w.port))
            except OSError:
                s.close()
                break
            held.append(s)
        tries = [timed(w.put, f"UNIX{n}", wait=20) for n in range(5)]
        for s in held:
            s.close()
        took, statuses = max(t[0] for t in tries), {t[1][0] for t in tries}
        return f"{len(held)} silent; payments by the Unix socket: {statuses}, slowest {ms(took)}", statuses == {201} and took < 5


@attack("a stranger has the loopback port first", "the Unix socket serves all the same")
def port_taken(programs):
    with World(programs, listen=True) as w, socket.socket() as stranger:
        stranger.bind(("127.0.0.1", w.port))
        stranger.listen()
        daemon = w.launch()
        try:
            until("it", lambda: daemon.poll() is not None or w.answers(), timeout=15)
        except AssertionError as error:
            return str(error)[:120], False
        code = daemon.poll()
        return f"ended with {code}" if code is not None else "serves registers", code is None


# --- connections


@attack("a request, then half a close", "the request is carried out and answered")
def half_closed(programs):
    with World(programs).start() as w:
        body = '{"amount": "77.04", "subject": "tea", "auth_code": "%s"}' % w.new_code()
        head = f"Host: tilld\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        put = w.raw(f"PUT /v1/payments/HALF?wait=1 HTTP/1.1\r\n{head}{body}".encode(), half_close=True)
        stop = w.raw(b"POST /v1/payments/HALF/cancel HTTP/1.1\r\nHost: tilld\r\nContent-Length: 0\r\n\r\n", half_close=True)
        time.sleep(1)
        first = lambda answer: answer.split(b"\r\n")[0].decode()[9:12] or "no answer"
        state = word(w.payment("HALF"), "state") or "unheard of"
        return f"PUT: {first(put)}; cancel: {first(stop)}; payment {state}", first(put) == "201" and first(stop) in ("200", "202") and state in ("cancelling", "cancelled")


@attack("SIGHUP", "the daemon lives")
def hang_up(programs):
    with World(programs).start() as w:
        w.daemon.send_signal(signal.SIGHUP)
        time.sleep(1)
        code = w.daemon.poll()
        return "alive" if code is None else f"ended with {code}", code is None


@attack("two Host, two Authorization, a foreign Origin", "each is refused")
def two_heads(programs):
    with World(programs, listen=True).start() as w:
        own, token = f"Host: 127.0.0.1:{w.port}\r\n", f"Authorization: Bearer {TOKEN}\r\n"
        asked = {
            "two Host": own + "Host: evil.example\r\n" + token, "two Authorization": own + token + "Authorization: Bearer x\r\n",
            "a foreign Origin": own + token + "Origin: https://evil.example\r\n",
        }
        seen = {what: w.raw(f"GET /v1/status HTTP/1.1\r\n{head}\r\n".encode(), tcp=True)[9:12].decode() for what, head in asked.items()}
        return ", ".join(f"{what} {status}" for what, status in seen.items()), "200" not in seen.values()


@attack("64 descriptors, 55 idle connections, a payment", "paid, or told at once that it was not taken")
def few_descriptors(programs):
    with World(programs, files=64).start() as w:
        held = Crowd(w, 55, "/v1/status")
        took, (status, body) = timed(w.put, "FEW", wait=20)
        state = word(body, "state") or word(body, "code") or str(body)[:60]
        held.close()
        return f"{status or 'no answer'} {state} in {ms(took)}", took < 5 and (state == "paid" or status == 503)


@attack("1xx for ever from the gateway", "the processor is not burnt")
def endless_hints(programs):
    with World(programs).start() as w:
        sent = {"bytes": 0}

        def before(request, client):
            if b"alipay.trade.pay" not in request:
                return False
            end = time.monotonic() + 4
            with contextlib.suppress(OSError):
                while time.monotonic() < end:
                    sent["bytes"] += client.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200)
            return True

        w.proxy.before = before
        cpu = w.cpu()
        w.put("HINTS")
        time.sleep(3)
        burnt = w.cpu() - cpu
        return f"{burnt:.2f} s of processor in 3 s, {sent['bytes'] / 1e6:.1f} MB taken", burnt < 1.5


# --- money that goes back


def refunds_sent(world, number):
    """How many refunds of that number the gateway has had."""
    numbers = world.sandbox("GET", "/sandbox/requests")["numbers"]
    return numbers.get(number, {}).get("alipay.trade.refund", 0)


@attack("200 refunds of one payment, each with a number of its own", "one goes out, and no more goes back than was paid")
def flood_of_refunds(programs):
    with World(programs).start() as w:
        w.put("VICTIM", amount="10.00", wait=20)
        start, seen = threading.Barrier(200), []

        def ask(n):
            start.wait()
            seen.append(w.ask("PUT", f"/v1/payments/VICTIM/refunds/R{n}?wait=20", {"amount": "10.00"}))

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(200)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        counts = {}
        for status, body in seen:
            what = f"{status} {word(body, 'state') or word(body, 'code') or ''}"
            counts[what] = counts.get(what, 0) + 1
        sent, held = refunds_sent(w, "VICTIM"), w.held("VICTIM")
        lies = [body for status, body in seen if status != 201 and word(body, "money") == "none"]
        told = ", ".join(f"{count} x {what}" for what, count in sorted(counts.items()))
        holds = counts.get("201 refunded") == 1 and sent == 1 and held.get("refunded_fen") == 1000 and not lies
        return f"{told}; {sent} sent, {held.get('refunded_fen')} fen back", holds


@attack("refunds of others' numbers, tricks in path and body", "each is refused, nothing is sent; then a plain one is made")
def foreign_refunds(programs):
    with World(programs).start() as w:
        w.put("MINE", amount="10.00", wait=20)
        w.put("OPEN", amount="77.04")
        w.sandbox("POST", "/sandbox/trades", {"out_trade_no": "THEIRS", "total_amount": "10.00", "subject": "tea", "paid": True})
        good = '{"amount": "1.00"}'
        path = lambda number, request: f"/v1/payments/{number}/refunds/{request}"
        asked = [(path(*numbers), good) for numbers in (
            ("THEIRS", "R1"), ("OPEN", "R1"), ("NOBODY", "R1"), ("mine", "R1"), ("MINE%20", "R1"), ("MINE%00", "R1"), ("%4DINE%2F", "R1"),
            ("MINE", ""), ("MINE", "R-1"), ("MINE", "R%001"), ("MINE", "R%2F1"), ("MINE", "R1%0d%0ax"), ("MINE", "R" * 65),
            ("MINE", "%EF%BC%B2%EF%BC%91"), ("MINE", "R1;amount=9"), ("MINE", "R1/../R2"), ("MINE", "%ff"), ("MINE", "R1/"),
            ("NOBODY/refunds/R1/../../MINE", "R1"), ("NOBODY%2F..%2FMINE", "R1"), (".", "R1"), ("MINE", "."), ("MINE", "..%2f..%2fMINE"),
        )]
        asked += [(path("MINE", "R1"), body) for body in (
            "", "{}", "[]", '{"amount": "0"}', '{"amount": "0.00"}', '{"amount": "-1.00"}', '{"amount": "1e1"}', '{"amount": "0.001"}', '{"amount": 1.00}',
            '{"amount": "\uff11.00"}', '{"amount": "10.01"}', '{"amount": "99999999999999999999"}', '{"amount": "1.00", "amount": "9.00"}',
            '{"amount": "1.00", "out_trade_no": "THEIRS"}', '{"amount": "1.00", "force": true}', '{"amount": "1.00", "reason": "\u009b"}',
        )]
        made = []
        for at, body in asked:
            body = body.encode()
            head = f"Host: tilld\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            answer = w.raw(f"PUT {at} HTTP/1.1\r\n{head}".encode() + body)
            if not re.match(rb"HTTP/1.1 (4\d\d|503)", answer):
                made.append(f"{at} {body[:40]!r}: {answer[:30]!r}")
        sent = sum(refunds_sent(w, number) for number in ("MINE", "THEIRS", "OPEN"))
        status, body = w.ask("PUT", path("MINE", "R1") + "?wait=20", {"amount": "10.00"})
        held = w.held("MINE").get("refunded_fen")
        seen = f"{len(asked)} asked, {len(made)} taken{': ' + made[0] if made else ''}, {sent} sent; then {status} {word(body, 'state')}, {held} fen back"
        return seen, not made and sent == 0 and status == 201 and held == 1000 and w.held("THEIRS").get("refunded_fen") == 0


# --- what leaks


def scanner():
    """A pseudo terminal: (our end, its path)."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, os.ttyname(theirs)


def scanner_up(world):
    until("the scanner", lambda: any(s["present"] for s in world.ask("GET", "/v1/status")[1]["scanners"]), timeout=20)


@attack("a torn code, one with blanks, one in full-width digits", "none stands in clear in the journal or an event")
def torn_codes(programs):
    ours, path = scanner()
    with World(programs, scanner=path).start() as w:
        scanner_up(w)
        w.put("WAITS", code=False, scanner="lane-1")
        scans = ["281234567", "890123494", "2811 2233 4455 6677 88", "2822-3344-5566-7788-99", "２８３３４４５５６６７７８８９９０１"]
        for text in scans:
            os.write(ours, (text + "\r").encode())
            time.sleep(0.3)
        time.sleep(1)
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(2)
        heard = b""
        with s, contextlib.suppress(OSError):
            s.connect(w.socket)
            s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: tilld\r\nLast-Event-ID: 0\r\n\r\n")
            while more := s.recv(65536):
                heard += more
        text = heard.decode(errors="replace")
        leaked = [t for t in scans if t in text]
        return f"{len(leaked)} of {len(scans)} in clear{': ' + ', '.join(leaked) if leaked else ''}", not leaked


@attack("a scanner that floods at full speed for 5 s", "the journal grows little, and a payment is paid")
def flood(programs):
    ours, path = scanner()
    with World(programs, scanner=path).start() as w:
        scanner_up(w)
        size = lambda: sum(os.path.getsize(f"{w.dir}/{f}") for f in os.listdir(w.dir) if f.startswith("journal.db"))
        before, over = size(), threading.Event()

        def pour():
            n = 0
            while not over.is_set():
                n += 1
                with contextlib.suppress(OSError):
                    os.write(ours, f"69{n:011d}\r".encode())

        t = threading.Thread(target=pour, daemon=True)
        t.start()
        took = [timed(w.put, f"FLOOD{n}", wait=20) for n in range(10)]
        time.sleep(max(0, 5 - sum(t[0] for t in took)))
        over.set()
        grown, paid = (size() - before) / 1e6, sum(word(t[1][1], "state") == "paid" for t in took)
        p50 = statistics.median(t[0] for t in took)
        # With the daemon still reading, the writer may hang in the kernel.
        return f"journal grew by {grown:.1f} MB; payments {paid} of 10, p50 {ms(p50)}", grown < 5 and paid == 10


@attack("world-writable key, CA, configuration, journal folder", "`tilld check` names each")
def writable(programs):
    with World(programs) as w:
        journal = w.dir + "/books"
        os.mkdir(journal)
        os.chmod(journal, 0o777)
        with open(w.dir + "/tilld.toml") as f:
            text = f.read().replace('path = "journal.db"', 'path = "books/journal.db"')
        text = text.replace('alipay_public_key_file = "alipay_public_key.pem"\n', 'alipay_public_key_file = "alipay_public_key.pem"\nca_file = "ca.pem"\n')
        with open(w.dir + "/tilld.toml", "w") as f:
            f.write(text)
        for name in "alipay_public_key.pem", "ca.pem", "tilld.toml":
            os.chmod(f"{w.dir}/{name}", 0o666)
        done = subprocess.run([f"{programs}/tilld", "check", "--config", w.dir + "/tilld.toml"], capture_output=True, text=True)
        said = done.stdout + done.stderr
        # Every line begins with the configuration's name: it is the file to be mended that counts.
        named = [name for name in ("alipay_public_key", "ca.pem", "tilld.toml", "books") if re.search(rf"(chmod|writable)[^\n]*{re.escape(name)}", said)]
        return f"{len(named)} of 4 named", len(named) == 4


@attack("`till pay --code N` seen by another user", "the code is not in the process list")
def process_list(programs):
    with World(programs).start() as w:
        code = w.new_code()
        child = w.spawn("till", "till", "--socket", w.socket, "pay", "77.04", "--subject", "tea", "--code", code)
        time.sleep(1.5)
        with open(f"/proc/{child.pid}/cmdline", "rb") as f:
            seen = code.encode() in f.read()
        return "there for the whole wait" if seen else "not there", not seen


@attack("`till --json watch` with control and bidi characters", "they are escaped")
def odd_characters(programs):
    with World(programs).start() as w:
        out = open(w.dir + "/watch.out", "wb")
        w.spawn("till", "till", "--socket", w.socket, "--json", "watch", stdout=out)
        time.sleep(1)
        odd = {c: w.put(f"ODD{ord(c):04X}", wait=10, subject=f"tea{c}31m")[0] for c in "\u202e\u009b\u2066"}
        time.sleep(1.5)
        with open(w.dir + "/watch.out", "rb") as f:
            text = f.read().decode(errors="replace")
        raw = [f"U+{ord(c):04X}" for c in sorted(set(text)) if c in "\u202e\u009b\u2066"]
        door = [f"U+{ord(c):04X}" for c, status in odd.items() if status == 422]
        seen = f"raw: {', '.join(raw)}" if raw else "none raw"
        return f"{seen}; refused at the door: {', '.join(door) or 'none'}", not raw and (len(door) == len(odd) or "ODD" in text)
