"""A guest: one qemu, its disks, and the line into it."""

import glob
import os
import shutil
import subprocess
import time

from .agent import Agent
from .host import HERE, content, copy_sparse, end_with_us, tail, until
from .image import MAC
from .qmp import Qmp

MEMORY_MB = 512
KERNEL = (
    "console=ttyS0 quiet loglevel=4 mitigations=off nokaslr no_timer_check audit=0 apparmor=0 "
    "random.trust_cpu=on systemd.show_status=0 panic=-1"
)


class Guest:
    """Started by [`cold`](cold) or [`restore`](restore); `g("function", …)` runs inside."""

    def __init__(self, lab, name, load):
        self.lab, self.name, self.load = lab, name, load
        self.dir = lab.at("run", name)
        self.process = self.agent = self.qmp = None
        self.learned = set()

    # --- disks

    def disk(self, name):
        return f"{self.dir}/{name}.img"

    def fresh(self, state=None):
        """An empty folder with the disks of that state, or with empty ones."""
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        for name in "system", "data":
            saved = self.lab.at(f"{state}.state.{name}") if state else self.lab.at(name + ".img")
            copy_sparse(saved, self.disk(name))

    # --- starting

    def start(self, incoming=None, write_log=None, clock=None):
        for old in glob.glob(self.dir + "/*.sock"):
            os.unlink(old)
        command, env = self.lab.qemu()
        kvm = self.lab.kvm
        data = f"driver=file,node-name=data,filename={self.disk('data')},cache.direct=off"
        if write_log:
            # qemu does not make it.
            open(write_log, "w").close()
            data = (
                f"driver=blklogwrites,node-name=data,file.driver=file,file.filename={self.disk('data')},"
                f"log.driver=file,log.filename={write_log},log-sector-size=512"
            )
        argv = command + [
            "-name", "tilld-lab", "-M", "q35,usb=off,vmport=off", "-accel", "kvm" if kvm else "tcg,thread=multi",
            "-cpu", "host" if kvm else "max,la57=off", "-smp", "2", "-m", str(MEMORY_MB),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", self.lab.at("vmlinux"), "-initrd", self.lab.at("initrd.img"), "-append", KERNEL,
            "-blockdev", f"driver=file,node-name=root,filename={self.lab.at('root.img')},read-only=on",
            "-device", "virtio-blk-pci,drive=root,serial=labroot",
            "-blockdev", f"driver=file,node-name=system,filename={self.disk('system')}",
            "-device", "virtio-blk-pci,drive=system,serial=labsystem",
            "-blockdev", data,
            "-device", "virtio-blk-pci,drive=data,serial=labdata,discard=off,write-zeroes=off",
            "-blockdev", f"driver=file,node-name=load,filename={self.load},read-only=on",
            "-device", "virtio-blk-pci,drive=load,serial=labload",
            # A new generation makes a restored guest draw new random numbers:
            # else all guests of one state would make the same.
            "-device", "vmgenid,guid=auto", "-device", "virtio-rng-pci",
            "-chardev", f"file,id=con,path={self.dir}/console.log,append=on", "-serial", "chardev:con",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self.dir}/agent.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=lab.agent",
            # 10.0.3.2 is this machine's loopback, where the gateway is.
            "-netdev", "user,id=shop,net=10.0.3.0/24", "-device", f"virtio-net-pci,netdev=shop,mac={MAC},romfile=,id=shopnic",
            "-device", "qemu-xhci,id=xhci", "-qmp", f"unix:{self.dir}/qmp.sock,server=on,wait=off",
        ]
        if clock:
            argv += ["-rtc", "base=" + clock]
        if incoming:
            argv += ["-incoming", "exec:cat " + incoming]
        with open(self.dir + "/qemu.log", "w") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", os.environ.get("TILLD_LAB_NICE", "0"), *argv],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=end_with_us,
            )
        self.learned = set()
        try:
            self.qmp = Qmp(self.dir + "/qmp.sock")
            self.agent = Agent(self.dir + "/agent.sock")
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            self.cut()
            raise AssertionError(f"qemu does not start: {error}: {tail(self.read('qemu.log'))}")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def cold(self, **options):
        """Boots on the disks as they are."""
        self.start(**options)
        self.wait_up(240)
        return self

    def restore(self, state, **options):
        """Goes on from a saved state."""
        self.start(incoming=self.lab.at(state + ".state"), **options)
        until("the state to be read", lambda: self.qmp("query-status")["status"] != "inmigrate", every=0.02)
        self.qmp("cont")
        self.wait_up(60)
        # It stood still since it was saved.
        self.agent("clock", time.time())
        return self

    def wait_up(self, timeout):
        try:
            self.agent.wait_alive(timeout, self.alive)
        except AssertionError as error:
            said = tail(self.read("qemu.log")) + tail(self.read("console.log"), 15)
            self.cut()
            raise AssertionError(f"the guest did not come up: {error}\n{said}")

    def save(self, state):
        """Keeps the guest as it stands, with its disks, and ends it."""
        self.qmp("stop")
        self.qmp("migrate-set-parameters", max_bandwidth=1 << 34)
        self.qmp("migrate", uri="exec:cat > " + self.lab.at(state + ".state"))
        status = until("the state to be saved", lambda: (s := self.qmp("query-migrate")["status"]) in ("completed", "failed") and s)
        self.cut()
        assert status == "completed", "saving the guest failed"
        for name in "system", "data":
            copy_sparse(self.disk(name), self.lab.at(f"{state}.state.{name}"))

    def cut(self):
        """The power goes: only what was written to the disks is left."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    # --- inside

    def teach(self, *names):
        """Gives the agent the functions of guest/NAME.py."""
        for name in names:
            if name not in self.learned:
                self.agent("learn", content(f"{HERE}/guest/{name}.py").decode(), name + ".py")
                self.learned.add(name)

    def __call__(self, call, *args, **named):
        return self.agent(call, *args, **named)

    def sh(self, command, **options):
        """Runs a shell command as root; its output."""
        return self.agent("run", command, **options)["out"]

    def try_sh(self, command, **options):
        """The same, where it may fail: (exit status, both outputs)."""
        done = self.agent("run", command, check=False, **options)
        return done["rc"], done["out"] + done["err"]

    def read(self, name):
        try:
            return content(f"{self.dir}/{name}").decode(errors="replace")
        except FileNotFoundError:
            return ""

    # --- outside

    def link(self, up):
        """The shop's cable."""
        self.qmp("set_link", name="shopnic", up=up)

    def plug_ftdi(self, name, serial):
        """A USB serial adapter; its other end is a socket here."""
        path = f"{self.dir}/{name}.sock"
        address = {"type": "unix", "data": {"path": path}}
        self.qmp("chardev-add", id=name + "c", backend={"type": "socket", "data": {"addr": address, "server": True, "wait": False}})
        self.qmp("device_add", driver="usb-serial", id=name, bus="xhci.0", chardev=name + "c", serial=serial, always_plugged=True)
        return path

    def plug_keyboard(self, name, serial):
        """qemu's USB keyboard, 0627:0001."""
        self.qmp("device_add", driver="usb-kbd", id=name, bus="xhci.0", serial=serial)

    def unplug(self, name):
        self.qmp("device_del", id=name)
        self.qmp.wait_event("DEVICE_DELETED", lambda data: data.get("device") == name)
        if any(c["label"] == name + "c" for c in self.qmp("query-chardev")):
            self.qmp("chardev-remove", id=name + "c")

    def keys(self, text, pause=0.02):
        """Keys for the keyboard that was plugged last."""
        for char in text:
            key = {"\n": "ret", " ": "spc"}.get(char, char)
            for down in True, False:
                event = {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": key}}}
                self.qmp("input-send-event", events=[event])
                time.sleep(pause / 2)
