"""The line to the agent in the guest (guest/agent.py)."""

import itertools
import json
import queue
import threading

from .host import connected, until


class GuestError(Exception):
    """Something that was asked of the guest went wrong there."""


class Gone(Exception):
    """The guest is not there any more."""


class Agent:
    """`agent("function", …)` calls it in the guest and gives what it returned."""

    def __init__(self, path):
        self.socket = connected(path, "the agent's socket")
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.waiting = {}
        self.listeners = []
        self.gone = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for line in self.socket.makefile("r", errors="replace"):
                try:
                    message = json.loads(line)
                except ValueError:
                    # The end of a line that an earlier guest had begun.
                    continue
                if "news" in message:
                    for listener in list(self.listeners):
                        listener(message)
                elif message.get("id") in self.waiting:
                    self.waiting.pop(message["id"]).put(message)
        except OSError:
            pass
        self.gone = True
        for box in list(self.waiting.values()):
            box.put(None)

    def begin(self, call, *args, **named):
        """Asks, and gives the box in which the answer will be."""
        number, box = next(self.numbers), queue.Queue()
        self.waiting[number] = box
        request = json.dumps({"id": number, "call": call, "args": args, "with": named})
        try:
            with self.lock:
                # The first newline ends whatever stood half-written before.
                self.socket.sendall(("\n" + request + "\n").encode())
        except OSError:
            raise Gone()
        if self.gone:
            box.put(None)
        return box

    def finish(self, box, timeout=180):
        try:
            message = box.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"the guest did not answer in {timeout} s")
        if message is None:
            raise Gone()
        if "error" in message:
            raise GuestError(message["error"])
        return message["result"]

    def __call__(self, call, *args, **named):
        return self.finish(self.begin(call, *args, **named))

    def wait_alive(self, timeout, alive):
        """Until the agent answers; it may start only now."""

        def pong():
            if not alive():
                raise AssertionError("qemu ended")
            box = self.begin("ping")
            try:
                return box.get(timeout=1)
            except queue.Empty:
                return None

        until("the guest's agent", pong, timeout=timeout, every=0)
