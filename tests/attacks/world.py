"""What the attacks are made in: a gateway, a proxy that lies, the daemon, registers."""

import contextlib
import ctypes
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None)
TOKEN = "attack-token-0123456789abcdef"
JSON = {"Content-Type": "application/json"}


def until(what, found, timeout=60, every=0.05):
    end = time.monotonic() + timeout
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ends_with_us():
    """For Popen: the kernel ends the child when we are gone."""
    PR_SET_PDEATHSIG = 1
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Proxy:
    """Between the daemon and the gateway, by plain HTTP. `lie(request, head, body)` gets
    each answer and gives the one to send; `None` sends it as it is."""

    def __init__(self, upstream):
        self.upstream, self.lie, self.before = upstream, None, None
        proxy = self

        class One(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    while proxy.exchange(self.request):
                        pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self.server = Server(("127.0.0.1", 0), One)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def exchange(self, client):
        request = whole(client)
        if request is None:
            return False
        if self.before and self.before(request, client):
            return False
        with socket.create_connection(("127.0.0.1", self.upstream), timeout=60) as gateway:
            gateway.sendall(request)
            answer = whole(gateway)
        if answer is None:
            return False
        head, _, body = answer.partition(b"\r\n\r\n")
        if self.lie:
            head, body = self.lie(request, head, body) or (head, body)
        client.sendall(head + b"\r\n\r\n" + body)
        return True

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def whole(sock):
    """One message with its length."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = sock.recv(65536)
        if not more:
            return None
        body += more
    return head + b"\r\n\r\n" + body


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("tilld", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class World:
    """One daemon with everything around it, in a folder of its own."""

    def __init__(self, programs, listen=False, scanner=None, speed=10, extra="", files=None):
        self.programs, self.files = programs, files
        self.dir = tempfile.mkdtemp(prefix="tilld-attack-")
        self.children, self.port, self.proxy, self.daemon = [], free_port() if listen else None, None, None
        self.code = 2899_0000_0000_0000
        try:
            self.open(scanner, speed, extra)
        except BaseException:
            self.close()
            raise

    def open(self, scanner, speed, extra):
        self.sandbox_port = free_port()
        self.spawn("sandbox", "till", "sandbox", "--listen", f"127.0.0.1:{self.sandbox_port}", "--dir", self.dir, "--speed", str(speed))
        config = self.dir + "/tilld.toml"
        until("the sandbox", lambda: os.path.exists(config) and self.sandbox("GET", "/sandbox/requests"))
        self.proxy = Proxy(self.sandbox_port)
        with open(config) as f:
            text = f.read()
        text = text.replace(f"https://127.0.0.1:{self.sandbox_port}", f"http://127.0.0.1:{self.proxy.port}").replace('ca_file = "ca.pem"\n', "")
        if self.port:
            with open(self.dir + "/token", "w") as f:
                f.write(TOKEN)
            os.chmod(self.dir + "/token", 0o600)
            text = text.replace("[api]\n", f'[api]\nlisten = "127.0.0.1:{self.port}"\ntoken_file = "token"\n')
        if scanner:
            text += f'\n[[scanner]]\nid = "lane-1"\nkind = "serial"\ndevice = "{scanner}"\n'
        with open(config, "w") as f:
            f.write(text + extra)
        self.socket = self.dir + "/tilld.sock"

    def spawn(self, log, program, *arguments, limit=None, **options):
        def first():
            ends_with_us()
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        with open(f"{self.dir}/{log}.log", "ab") as out:
            options.setdefault("stdout", out)
            child = subprocess.Popen([f"{self.programs}/{program}", *arguments], stdin=subprocess.DEVNULL, stderr=out, preexec_fn=first, **options)
        self.children.append(child)
        return child

    # --- the daemon

    def launch(self):
        self.daemon = self.spawn("tilld", "tilld", "--config", self.dir + "/tilld.toml", limit=self.files)
        return self.daemon

    def start(self):
        self.launch()
        until("the daemon", self.answers)
        # A daemon that proves its keys first is not open at once.
        until("the shop to open", lambda: self.ask("GET", "/v1/ready")[0] in (200, 404), timeout=30)
        return self

    def let_others_in(self):
        """As a box whose other users are in the registers' group."""
        os.chmod(self.dir, 0o755)
        os.chmod(self.socket, 0o666)

    def answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.daemon.returncode}: {self.log()[-600:]}")
        with contextlib.suppress(OSError):
            return self.ask("GET", "/v1/status", timeout=5)[0] == 200

    def log(self):
        with open(self.dir + "/tilld.log", errors="replace") as f:
            return f.read()

    def rss(self, name="VmRSS"):
        """In MiB."""
        with open(f"/proc/{self.daemon.pid}/status") as f:
            for line in f:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self):
        """Seconds of its own and the kernel's."""
        with open(f"/proc/{self.daemon.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- asking

    def connect(self, timeout=60):
        return Unix(self.socket, timeout)

    def ask(self, method, path, body=None, timeout=60, headers=JSON, connection=None):
        """(status, what came back)."""
        conn = connection or self.connect(timeout)
        try:
            try:
                conn.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body), headers)
                reply = conn.getresponse()
            except (ConnectionError, http.client.HTTPException) as error:
                return 0, f"no answer: {error!r}"
            text = reply.read()
            try:
                return reply.status, json.loads(text)
            except ValueError:
                return reply.status, text.decode(errors="replace")
        finally:
            conn.close()

    def raw(self, data, tcp=False, half_close=False, timeout=15):
        """Bytes in, bytes out; nothing if it hangs up."""
        if tcp:
            s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        else:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(timeout)
            s.connect(self.socket)
        with s:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(OSError):
                while more := s.recv(65536):
                    answer += more
                    if complete(answer):
                        break
            return answer

    def new_code(self):
        self.code += 1
        return str(self.code)

    def put(self, number, amount="1.00", wait=None, code=True, **more):
        body = {"amount": amount, "subject": "tea", **more}
        if code:
            body["auth_code"] = self.new_code()
        return self.ask("PUT", f"/v1/payments/{number}" + (f"?wait={wait}" if wait else ""), body)

    def payment(self, number):
        return self.ask("GET", f"/v1/payments/{number}")[1]

    def sandbox(self, method, path, body=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.sandbox_port, timeout=30)
        try:
            conn.request(method, path, None if body is None else json.dumps(body), JSON)
            text = conn.getresponse().read()
            return json.loads(text) if text else True
        except OSError:
            return None
        finally:
            conn.close()

    def held(self, number):
        """What the gateway's ledger has of that number."""
        found = [t for t in self.sandbox("GET", "/sandbox/ledger")["trades"] if t["out_trade_no"] == number]
        return (found[0].get("trade") or {}) if found else {}

    def close(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.kill()
            child.wait()
        if self.proxy:
            self.proxy.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def complete(answer):
    """Whether it is one whole reply."""
    head, found, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return bool(found) and len(body) >= int(value)
    return False
