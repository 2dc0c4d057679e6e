"""Tests: a name, a function, and what the function is given."""

import os
import random
import threading

from .guest import Guest
from .host import HERE, content, digest
from .shop import PAYMENT, Gateway, begin, configure, install

TESTS = []


class Test:
    """One story: what it is called, what it plays, and whether it wants the machine
    for itself."""

    def __init__(self, group, name, function, alone):
        self.group, self.name, self.function, self.alone = group, name, function, alone

    def __str__(self):
        return f"{self.group}: {self.name}"


def test(group, name, alone=False):
    """Makes the function a test of that group, in the order of the files. One that
    is about how fast keys come is played alone: beside a second guest an emulated
    machine stands still more often, and longer."""

    def mark(function):
        TESTS.append(Test(group, name, function, alone))
        return function

    return mark


# What all stages share is made by one of them, and the others wait for it.
MAKING = threading.RLock()


class Stage:
    """What a test plays on: one guest at a time, and a gateway. There may be several
    stages side by side, each with a number; it makes their files and ports differ."""

    def __init__(self, lab, image, product, seed, say, number=0):
        self.lab, self.image, self.product, self.seed, self.say, self.number = lab, image, product, seed, say, number
        self.guest = self.gateway = None
        self.notes = []

    def at(self, name):
        """A file of this stage alone."""
        return self.lab.at("run", f"{name}-{self.number}")

    def saved(self, state):
        """The name of that state as this stage has it: `shop` knows the port of
        its own gateway."""
        return f"shop-{self.number}" if state == "shop" else state

    def new_guest(self):
        return Guest(self.lab, f"guest-{self.number}", load=self.lab.at(f"load-{self.number}.img"))

    def load(self, *more):
        """Lays the packages, and more files, on the disk from which the guest takes them."""
        self.product.load(self.lab.at(f"load-{self.number}.img"), *more)

    def random(self, name):
        """Chance that comes out the same for one seed."""
        return random.Random(f"{self.seed} {name}")

    def note(self, text):
        """A figure worth printing beside the test's line."""
        self.notes.append(text)

    # --- the gateway

    def open_gateway(self):
        self.close_gateway()
        with MAKING:
            self.gateway = Gateway(self.lab, self.product.till, f"gateway-{self.number}")
        return self.gateway

    def close_gateway(self):
        if self.gateway:
            self.gateway.stop()
            self.gateway = None

    # --- guests

    def base(self):
        """A guest on which nothing is installed, with the packages at hand."""
        key = digest(self.image.key, content(HERE + "/lab/guest.py"))
        self.load()
        with MAKING:
            if not self.lab.cached("base", key):
                self.lab.forget("base")
                guest = self.new_guest()
                guest.fresh()
                guest.cold()
                # Everything that a driver needs is loaded once, for all.
                guest.sh("modprobe -a usbhid hid_generic evdev ftdi_sio cdc_acm dummy_hcd libcomposite usb_f_hid usb_f_acm sch_netem")
                guest.sh("systemctl start sys-kernel-config.mount; udevadm settle; umount /var/lib/tilld; sync")
                guest.save("base")
                self.lab.keep("base", key)
        guest = self.guest = self.new_guest()
        guest.fresh("base")
        guest.restore("base")
        return guest

    def installed(self):
        """Makes sure that there is a state `shop`: the package, keys and a
        configuration, the daemon enabled and not running."""
        port = self.gateway.port
        key = digest(self.image.key, self.product.key, str(port), *[content(f"{HERE}/lab/{n}.py") for n in ("guest", "shop", "story")])
        name = self.saved("shop")
        if self.lab.cached(name, key):
            return
        self.lab.forget(name)
        guest = self.base()
        install(guest, self.gateway, self.product.debs[0])
        guest.sh("systemctl enable tilld.socket tilld.service")
        guest.sh("systemctl stop tilld.service tilld.socket; umount /var/lib/tilld 2>/dev/null; sync; udevadm settle")
        guest.save(name)
        self.lab.keep(name, key)

    def shop(self, scanners="", payment=PAYMENT, **options):
        """A guest with the package installed, its daemon not running."""
        if not self.gateway:
            self.open_gateway()
        self.installed()
        self.end()
        guest = self.guest = self.new_guest()
        guest.fresh(self.saved("shop"))
        guest.restore(self.saved("shop"), **options)
        if scanners or payment != PAYMENT:
            configure(guest, self.gateway, scanners, payment)
        return guest

    def end(self):
        if self.guest:
            self.guest.cut()
            self.guest = None

    def trouble(self):
        """What helps to understand a failure."""
        if not self.guest or not self.guest.alive():
            return self.guest.read("console.log")[-1500:] if self.guest else ""
        try:
            asked = self.guest.agent.begin("run", "journalctl -u tilld -o cat --no-pager | tail -25", check=False)
            return self.guest.agent.finish(asked, timeout=20)["out"]
        except BaseException as error:  # noqa: BLE001
            return f"(the guest says nothing any more: {error})"


__all__ = ["Stage", "TESTS", "begin", "test"]
