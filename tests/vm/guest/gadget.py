"""Devices made inside the guest: real USB devices with any numbers, through dummy_hcd.

Each has a bus of its own, so a device is found again by its place. What is
written to one waits until the bus has taken it: nothing is lost on this side.
"""
import ctypes
import errno
import fcntl
import glob
import json
import os
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import tty

CONFIG = "/sys/kernel/config/usb_gadget/"
BUSES = 4

# A boot keyboard: a byte of modifiers, one unused, six keys; and five lights.
KEYBOARD = bytes.fromhex(
    "05010906a101 0507 19e029e7 15002501 750195088102 950175088103 95057501 0508 190129059102 950175039103"
    "95067508 15002565 0507 190029658100 c0"
)
# Consumer control, as many scanners have it beside their keys; one key (Mute).
CONSUMER = bytes.fromhex("050c0901a101 15002501 09e2 750195018102 950775018101 c0")
# HID-POS: number 2; a count, three bytes of AIM, 56 of data, and whether more comes.
POS = bytes.fromhex(
    "058c0902a101 0912a102 8502 150026ff00 75089501 0501093b8102 9503058c 09fb09fc09fd8102 953809fe820201"
    "95017501 09ff8102 75078103 c0c0"
)
FUNCTIONS = {
    # protocol, subclass, length of a report
    "keyboard": (1, 1, 8, KEYBOARD),
    "consumer": (0, 0, 1, CONSUMER),
    "pos": (0, 0, 62, POS),
}

devices = {}


def put(path, value):
    with open(path, "wb") as f:
        f.write(value if isinstance(value, bytes) else str(value).encode())


def get(path):
    with open(path) as f:
        return f.read().strip()


def buses(many=BUSES):
    """So many buses; takes away all devices made before."""
    for name in list(devices):
        devices.pop(name).remove()
    subprocess.run(["modprobe", "-a", "libcomposite", "usb_f_hid", "usb_f_acm"], check=True)
    if not os.path.isdir(CONFIG):
        subprocess.run(["mount", "-t", "configfs", "configfs", "/sys/kernel/config"], check=True)
    subprocess.run(["modprobe", "-r", "dummy_hcd"], check=True)
    subprocess.run(["modprobe", "dummy_hcd", "is_high_speed=1", "num=%d" % many], check=True)
    subprocess.run(["udevadm", "settle"], check=True)


class Device:
    """A device that can be plugged in at a bus, any number of times."""

    def __init__(self, name, vendor, product, parts, serial=None, maker="", model=""):
        self.dir, self.parts, self.bus, self.open = CONFIG + name, parts, None, {}
        os.mkdir(self.dir)
        put(self.dir + "/idVendor", "0x" + vendor)
        put(self.dir + "/idProduct", "0x" + product)
        os.mkdir(self.dir + "/strings/0x409")
        for key, value in ("manufacturer", maker), ("product", model), ("serialnumber", serial):
            if value:
                put(self.dir + "/strings/0x409/" + key, value)
        os.mkdir(self.dir + "/configs/c.1")
        for n, part in enumerate(parts):
            made = "%s/functions/%s.%s%d" % (self.dir, "acm" if part == "serial" else "hid", name, n)
            os.mkdir(made)
            if part != "serial":
                protocol, subclass, length, descriptor = FUNCTIONS[part]
                put(made + "/protocol", protocol)
                put(made + "/subclass", subclass)
                put(made + "/report_length", length)
                put(made + "/report_desc", descriptor)
            os.symlink(made, "%s/configs/c.1/%d" % (self.dir, n))

    def plug(self, bus):
        self.bus = bus
        put(self.dir + "/UDC", "dummy_udc.%d" % bus)

    def pull(self):
        put(self.dir + "/UDC", "\n")
        self.close()

    def close(self):
        for fd in self.open.values():
            os.close(fd)
        self.open = {}

    def remove(self):
        self.close()
        if get(self.dir + "/UDC"):
            put(self.dir + "/UDC", "\n")
        for link in glob.glob(self.dir + "/configs/c.1/[0-9]"):
            os.unlink(link)
        for made in glob.glob(self.dir + "/functions/*") + [self.dir + "/configs/c.1", self.dir + "/strings/0x409", self.dir]:
            os.rmdir(made)

    def end(self, part):
        """The scanner's own end of that part, open."""
        if part not in self.open:
            n = self.parts.index(part)
            made = glob.glob("%s/functions/*%d" % (self.dir, n))[0]
            if part == "serial":
                path = "/dev/ttyGS" + get(made + "/port_num")
            else:
                path = "/dev/char/" + get(made + "/dev")
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
            if part == "serial":
                tty.setraw(fd, termios.TCSANOW)
            self.open[part] = fd
        return self.open[part]

    def send(self, part, data, timeout=10):
        """One report, or bytes; waits until there is room."""
        fd, end = self.end(part), time.monotonic() + timeout
        while data:
            try:
                data = data[os.write(fd, data):]
                continue
            except BlockingIOError:
                pass
            left = end - time.monotonic()
            # f_hid is always ready for poll when nobody reads the other end.
            if left < 0 or not select.select([], [fd], [], left)[1]:
                raise RuntimeError("nobody takes what the %s sends" % part)

    def nodes(self):
        """The nodes in /dev of what is plugged in."""
        usb = "/sys/devices/platform/dummy_hcd.%d/usb*/*-1/" % self.bus
        found = {}
        for kind, pattern, where in (
            ("event", "*/*/input/input*/event*", "/dev/input/"), ("hidraw", "*/*/hidraw/hidraw*", "/dev/"), ("tty", "*/tty/tty*", "/dev/"),
        ):
            found[kind] = [where + os.path.basename(p) for p in sorted(glob.glob(usb + pattern))]
        return found


def make(name, vendor, product, parts, **more):
    """A device that is not plugged in yet; parts are of keyboard, consumer, pos, serial."""
    if name in devices:
        devices.pop(name).remove()
    devices[name] = Device(name, vendor, product, parts, **more)


def plug(name, bus=0, wait=True):
    """Plugs it in; its nodes, once udev is through with them."""
    device = devices[name]
    device.plug(bus)
    if not wait:
        return None
    wanted = {
        "event": sum(p in ("keyboard", "consumer") for p in device.parts),
        "hidraw": sum(p != "serial" for p in device.parts), "tty": device.parts.count("serial"),
    }
    end = time.monotonic() + 30
    while True:
        nodes = device.nodes()
        if all(len(nodes[kind]) >= many for kind, many in wanted.items()) and all(map(os.path.exists, sum(nodes.values(), []))):
            subprocess.run(["udevadm", "settle"], check=True)
            return nodes
        if time.monotonic() > end:
            raise RuntimeError("%s has only %s" % (name, nodes))
        time.sleep(0.02)


def pull(name):
    devices[name].pull()


def nodes(name):
    return devices[name].nodes()


# --- typing

USAGES = {c: (0, 4 + n) for n, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
USAGES.update({c.upper(): (2, usage) for c, (_, usage) in list(USAGES.items())})
USAGES.update({c: (0, 0x1E + n) for n, c in enumerate("1234567890")})
USAGES.update({c: (2, 0x1E + n) for n, c in enumerate("!@#$%^&*()")})
USAGES.update({"\n": (0, 0x28), "\b": (0, 0x2A), "\t": (0, 0x2B), " ": (0, 0x2C), "-": (0, 0x2D), "]": (0, 0x30)})
KEYPAD = {c: 0x59 + n for n, c in enumerate("1234567890")}
UP = bytes(8)


def report(modifier, *keys):
    return bytes([modifier, 0, *keys]).ljust(8, b"\0")


def strokes(text, how="us"):
    """The reports that type the text."""
    made = []
    for char in text:
        if how == "alt" and char != "\n":
            # ALT held while the keypad types the character's number.
            made.append(report(4))
            for digit in "%03d" % ord(char):
                made += [report(4, KEYPAD[digit]), report(4)]
        elif how == "shifted" and char.isdigit():
            # What a scanner for French keyboards types for digits.
            made.append(report(2, USAGES[char][1]))
        elif how == "keypad" and char.isdigit():
            made.append(report(0, KEYPAD[char]))
        else:
            modifier, usage = USAGES[char]
            made.append(report(modifier, usage))
        made.append(UP)
    return made


def send_keys(name, text, pause=0, how="us"):
    """Types it as fast as the bus takes it, or slower."""
    for one in strokes(text, how):
        devices[name].send("keyboard", one)
        if pause:
            time.sleep(pause)


def hold(name, char):
    """A key goes down and stays down; "" lets go."""
    devices[name].send("keyboard", report(*USAGES[char]) if char else UP)


def scan_pos(name, text, aim="]C0"):
    """As many reports as the text needs."""
    data = text.encode()
    while True:
        part, data = data[:56], data[56:]
        report = bytes([2, len(part)]) + aim.encode() + part.ljust(56, b"\0") + bytes([1 if data else 0])
        devices[name].send("pos", report)
        if not data:
            return


def scan_serial(name, text, end="\r"):
    devices[name].send("serial", (text + end).encode())


def serial_came(name, wanted, timeout=20):
    """What the daemon wrote to the line, in hex, once that much came."""
    fd, came, end = devices[name].end("serial"), b"", time.monotonic() + timeout
    while len(came) < wanted and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            came += os.read(fd, 4096)
    return came.hex(" ")


def scan_keys(name, text):
    send_keys(name, text + "\n")


def each(act, name, texts, gap_ms=0):
    """One scan after the other."""
    for text in texts:
        globals()[act](name, text)
        time.sleep(gap_ms / 1000)


def interrupted(name, head, codes):
    """Scans codes while the daemon stands still, from so many keys on."""
    plan, pid = strokes("".join(code + "\n" for code in codes)), daemon()
    for one in plan[:2 * head]:
        devices[name].send("keyboard", one)
    os.kill(pid, signal.SIGSTOP)
    try:
        for one in plan[2 * head:]:
            devices[name].send("keyboard", one)
    finally:
        os.kill(pid, signal.SIGCONT)


def many_keys(name, codes, gap_ms=0):
    """Scans all of them in a process of its own that nobody holds up; for each
    the milliseconds it took, and the longest time between two of its keys."""
    device = devices[name]
    device.end("keyboard")
    plans = [strokes(code + "\n") for code in codes]
    mine, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
            took = []
            for plan in plans:
                began = last = time.monotonic()
                worst = 0
                for n, one in enumerate(plan):
                    device.send("keyboard", one)
                    now = time.monotonic()
                    worst, last = max(worst, now - last), now
                took.append((round((last - began) * 1000), round(worst * 1000)))
                if gap_ms:
                    time.sleep(gap_ms / 1000)
            os.write(theirs, json.dumps(took).encode())
        except BaseException as error:  # noqa: BLE001
            os.write(theirs, json.dumps(str(error)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    said = b""
    while part := os.read(mine, 65536):
        said += part
    os.close(mine)
    os.waitpid(child, 0)
    return json.loads(said)


# --- looking over shoulders

class Reader:
    """Another reader of a keyboard: what a window would get."""

    def __init__(self, path):
        self.fd, self.keys, self.stopped = os.open(path, os.O_RDONLY | os.O_NONBLOCK), [], False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.stopped:
            try:
                if select.select([self.fd], [], [], 0.2)[0]:
                    data = os.read(self.fd, 24 * 64)
                    for at in range(0, len(data), 24):
                        _, _, kind, code, value = struct.unpack("llHHi", data[at:at + 24])
                        if kind == 1:
                            self.keys.append((code, value))
            except BlockingIOError:
                pass
            except OSError:
                break
        os.close(self.fd)


CODES = {**{2 + n: c for n, c in enumerate("1234567890")}, 28: "\n", **dict(zip(range(16, 26), "qwertyuiop")),
         **dict(zip(range(30, 39), "asdfghjkl")), **dict(zip(range(44, 51), "zxcvbnm")), 57: " ", 14: "\b"}
readers = {}


def look(name, path):
    """Reads that node as a window would."""
    unlook(name)
    readers[name] = Reader(path)


def unlook(name):
    if name in readers:
        readers.pop(name).stopped = True


def seen(name):
    """The text that was typed, and the keys that are still down."""
    down, text = set(), ""
    for code, value in list(readers[name].keys):
        if value == 1:
            text += CODES.get(code, "?")
            down.add(code)
        elif value == 0:
            down.discard(code)
    return {"text": text, "down": sorted(down)}


def wait_seen(name, text, timeout=20):
    end = time.monotonic() + timeout
    while text not in seen(name)["text"] and time.monotonic() < end:
        time.sleep(0.02)
    return seen(name)


class Console:
    """A shell on the text console would read this."""

    def __init__(self):
        self.fd, self.text = os.open("/dev/tty1", os.O_RDWR | os.O_NOCTTY), b""
        tty.setraw(self.fd, termios.TCSANOW)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            self.text += os.read(self.fd, 4096)


consoles = []


def console():
    """What was typed at the console since this was first asked."""
    if not consoles:
        consoles.append(Console())
    return consoles[0].text.decode("latin-1")


def wait_console(text, timeout=20):
    end = time.monotonic() + timeout
    while text not in console() and time.monotonic() < end:
        time.sleep(0.02)
    return console()


libc = ctypes.CDLL(None, use_errno=True)
watches = {}


def watch_opens(path):
    """From now on, how often anybody opens it."""
    fd = libc.inotify_init1(os.O_NONBLOCK)
    if libc.inotify_add_watch(fd, path.encode(), 0x20) < 0:
        raise OSError(ctypes.get_errno(), path)
    watches[path] = fd


def opens(path):
    try:
        return len(os.read(watches[path], 65536)) // 16
    except BlockingIOError:
        return 0


def daemon():
    pid = int(subprocess.run(["systemctl", "show", "-p", "MainPID", "--value", "tilld"], stdout=subprocess.PIPE).stdout)
    if not pid:
        raise RuntimeError("the daemon does not run")
    return pid


def daemon_has():
    """What the daemon has open, and how many threads it has."""
    at = "/proc/%d" % daemon()
    files = []
    for fd in os.listdir(at + "/fd"):
        try:
            files.append(os.readlink("%s/fd/%s" % (at, fd)))
        except FileNotFoundError:
            pass
    return {"pid": daemon(), "files": sorted(files), "threads": len(os.listdir(at + "/task"))}


def leaks(secrets):
    """Where one of these stands in clear: files of the journal, logs, what the kernel said."""
    places = {path: open(path, "rb").read() for path in glob.glob("/var/lib/tilld/*") if os.path.isfile(path)}
    for name, command in ("the log", ["journalctl", "-a", "-o", "export", "--no-pager"]), ("the kernel's log", ["dmesg"]):
        places[name] = subprocess.run(command, stdout=subprocess.PIPE).stdout
    return ["%s: %s" % (place, s) for place, data in places.items() for s in secrets if s.encode() in data]


loops = []


def busy(many):
    """So many loops that want all of the processor; 0 ends them."""
    while loops:
        loops.pop().kill()
    for _ in range(many):
        loops.append(subprocess.Popen(["sh", "-c", "while :; do :; done"]))


def wait_quiet(name="main", rest=1.5, timeout=60):
    """Until the daemon has told nothing new for a while."""
    many, since, end = -1, time.monotonic(), time.monotonic() + timeout
    while time.monotonic() < end:
        if len(streams[name].events) != many:
            many, since = len(streams[name].events), time.monotonic()
        elif time.monotonic() - since > rest:
            break
        time.sleep(0.05)


def pull_all(names):
    for name in names:
        pull(name)


def plug_and_pull(names, rests):
    """Plugs all of them in and pulls them out, so many times."""
    for rest in rests:
        for bus, name in enumerate(names):
            plug(name, bus, wait=False)
        time.sleep(rest)
        pull_all(names)


EVIOCGRAB = 0x40044590


def grabbed(path):
    """Whether somebody keeps that keyboard to himself."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, EVIOCGRAB, 1)
        fcntl.ioctl(fd, EVIOCGRAB, 0)
        return False
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return True
    finally:
        os.close(fd)
