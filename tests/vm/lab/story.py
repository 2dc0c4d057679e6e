"""Tests: a name, a function, and what the function is given."""

import os
import random

from .guest import Guest
from .host import HERE, content, digest
from .shop import PAYMENT, Gateway, begin, configure, install

TESTS = []


def test(group, name):
    """Makes the function a test of that group, in the order of the files."""

    def mark(function):
        TESTS.append((group, name, function))
        return function

    return mark


class Stage:
    """What a test plays on: one guest at a time, and a gateway."""

    def __init__(self, lab, image, product, seed, say):
        self.lab, self.image, self.product, self.seed, self.say = lab, image, product, seed, say
        self.guest = self.gateway = None
        self.notes = []

    def random(self, name):
        """Chance that comes out the same for one seed."""
        return random.Random(f"{self.seed} {name}")

    def note(self, text):
        """A figure worth printing beside the test's line."""
        self.notes.append(text)

    # --- the gateway

    def open_gateway(self):
        self.close_gateway()
        self.gateway = Gateway(self.lab, self.product.till)
        return self.gateway

    def close_gateway(self):
        if self.gateway:
            self.gateway.stop()
            self.gateway = None

    # --- guests

    def base(self):
        """A guest on which nothing is installed, with the packages at hand."""
        key = digest(self.image.key, content(HERE + "/lab/guest.py"))
        self.product.load()
        if not self.lab.cached("base", key):
            self.lab.forget("base")
            guest = Guest(self.lab)
            guest.fresh()
            guest.cold()
            # Everything that a driver needs is loaded once, for all.
            guest.sh("modprobe -a usbhid hid_generic evdev ftdi_sio cdc_acm dummy_hcd libcomposite usb_f_hid usb_f_acm sch_netem")
            guest.sh("systemctl start sys-kernel-config.mount; udevadm settle; umount /var/lib/tilld; sync")
            guest.save("base")
            self.lab.keep("base", key)
        guest = self.guest = Guest(self.lab)
        guest.fresh("base")
        guest.restore("base")
        return guest

    def installed(self):
        """Makes sure that there is a state `shop`: the package, keys and a
        configuration, the daemon enabled and not running."""
        port = self.gateway.port
        key = digest(self.image.key, self.product.key, str(port), *[content(f"{HERE}/lab/{n}.py") for n in ("guest", "shop", "story")])
        if self.lab.cached("shop", key):
            return
        self.lab.forget("shop")
        guest = self.base()
        install(guest, self.gateway, self.product.debs[0])
        guest.sh("systemctl enable tilld.socket tilld.service")
        guest.sh("systemctl stop tilld.service tilld.socket; umount /var/lib/tilld 2>/dev/null; sync; udevadm settle")
        guest.save("shop")
        self.lab.keep("shop", key)

    def shop(self, scanners="", payment=PAYMENT, **options):
        """A guest with the package installed, its daemon not running."""
        if not self.gateway:
            self.open_gateway()
        self.installed()
        self.end()
        guest = self.guest = Guest(self.lab)
        guest.fresh("shop")
        guest.restore("shop", **options)
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
