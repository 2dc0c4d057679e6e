"""qemu's own control socket."""

import json
import socket
import threading

from .host import connected


class Qmp:
    """`qmp("command", argument=…)` gives the answer; events are kept."""

    def __init__(self, path):
        self.socket = connected(path, "qemu's control socket")
        self.file = self.socket.makefile("rw")
        self.lock = threading.Lock()
        self.events = []
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        arguments = {k.replace("_", "-"): v for k, v in arguments.items()}
        with self.lock:
            self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.file.flush()
            while True:
                answer = self.read()
                if "error" in answer:
                    raise RuntimeError(f"{command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]

    def read(self):
        line = self.file.readline()
        if not line:
            raise RuntimeError("qemu closed its control socket")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def wait_event(self, name, matches=lambda data: True, timeout=60):
        """Takes the event of that name out of those that came, or waits for it."""
        with self.lock:
            self.socket.settimeout(timeout)
            try:
                while True:
                    for event in self.events:
                        if event["event"] == name and matches(event.get("data", {})):
                            self.events.remove(event)
                            return event
                    self.read()
            finally:
                self.socket.settimeout(None)
