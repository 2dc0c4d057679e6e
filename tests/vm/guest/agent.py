#!/usr/bin/python3
"""The lab's hand inside the guest.

Reads requests from a virtio port, a line of JSON each, and runs each on a
thread of its own. It knows two things: to run a command, and to learn new
functions from source text. All else comes from the tests, so that this file,
which is part of the saved guest, hardly ever changes.
"""
import json
import os
import subprocess
import threading
import time
import traceback

PORT = "/dev/virtio-ports/lab.agent"
known = {}
lock = threading.Lock()
port = None


def send(message):
    data = (json.dumps(message) + "\n").encode()
    with lock:
        while data:
            try:
                data = data[os.write(port, data):]
            except BlockingIOError:
                time.sleep(0.002)


def tell(kind, **what):
    """Something that the test on the other side has not asked for."""
    send({"news": kind, **what})


def run(command, stdin=None, check=True, timeout=120):
    shell = isinstance(command, str)
    done = subprocess.run(
        command, shell=shell, input=stdin, text=True, timeout=timeout,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace",
        stdin=subprocess.DEVNULL if stdin is None else None,
    )
    if check and done.returncode:
        raise RuntimeError("%s: %d: %s%s" % (command, done.returncode, done.stdout[-1500:], done.stderr[-1500:]))
    return {"rc": done.returncode, "out": done.stdout, "err": done.stderr}


def learn(source, name="<lab>"):
    exec(compile(source, name, "exec"), known)


def clock(seconds):
    time.clock_settime(time.CLOCK_REALTIME, seconds)


known.update(run=run, learn=learn, clock=clock, tell=tell, ping=lambda: "pong")


def answer(request):
    try:
        result = known[request["call"]](*request.get("args", []), **request.get("with", {}))
        send({"id": request["id"], "result": result})
    except BaseException as error:
        send({"id": request["id"], "error": "%s: %s\n%s" % (type(error).__name__, error, traceback.format_exc(limit=-3))})


def main():
    global port
    while not os.path.exists(PORT):
        time.sleep(0.05)
    port = os.open(PORT, os.O_RDWR | os.O_NONBLOCK)
    rest = b""
    while True:
        try:
            data = os.read(port, 65536)
        except BlockingIOError:
            data = None
        if not data:
            # Nobody is connected (empty), or nothing is there (None).
            time.sleep(0.005 if data is None else 0.02)
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                continue
            threading.Thread(target=answer, args=(request,), daemon=True).start()


main()
