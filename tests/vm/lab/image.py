"""The guest's kernel, its root file system, and what starts them."""

import glob
import lzma
import os
import re
import shutil
import subprocess
import zlib

from .host import HERE, content, digest, quiet

PACKAGES = "systemd-sysv,udev,kmod,iproute2,python3,util-linux,procps,e2fsprogs"
MODULES = """
 virtio_pci virtio_blk crc32c_generic ext4 overlay virtio_net virtio_console virtio_rng vmgenid
 xhci_pci usbhid hid_generic evdev uinput ftdi_sio cdc_acm usbserial usb_serial_simple pl2303 cp210x
 dummy_hcd libcomposite usb_f_hid usb_f_acm sch_netem i8042 atkbd button
""".split()
# What the initramfs loads, in this order.
BOOT_MODULES = "virtio_pci virtio_blk crc32c_generic ext4 overlay".split()
# They only cost time in a guest that lives for a minute.
MASKED = """
 systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-journal-flush.service
 systemd-random-seed.service getty.target systemd-networkd.service systemd-networkd.socket
 systemd-networkd-wait-online.service systemd-network-generator.service systemd-logind.service
 systemd-firstboot.service systemd-modules-load.service systemd-binfmt.service systemd-hwdb-update.service
 systemd-boot-system-token.service systemd-user-sessions.service kmod-static-nodes.service
 systemd-timesyncd.service systemd-pstore.service e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer
 e2scrub_all.timer dpkg-db-backup.timer fstrim.timer systemd-tmpfiles-clean.timer modprobe@fuse.service
 modprobe@dm_mod.service modprobe@loop.service modprobe@efi_pstore.service modprobe@drm.service
 modprobe@configfs.service systemd-remount-fs.service systemd-machine-id-commit.service dev-hugepages.mount
 dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount proc-sys-fs-binfmt_misc.automount
 systemd-ask-password-wall.path systemd-ask-password-console.path
""".split()
ROOT_MB, SYSTEM_MB, DATA_MB, LOAD_MB = 600, 512, 96, 128
MAC = "52:54:00:00:00:02"

NET = f"""#!/bin/sh
# The shop's network: 10.0.3.2 is the loopback of the machine that runs the lab.
# No default route: the guest reaches nothing else.
/sbin/modprobe virtio_net
ip link set lo up
for d in /sys/class/net/*; do [ "$(cat $d/address)" = {MAC} ] || continue
 i=${{d##*/}}; ip link set $i name shop; ip addr add 10.0.3.15/24 dev shop; ip link set shop up
done
"""

INIT = """#!/bin/busybox sh
# The root image is read-only and shared; what the guest changes is on its own disk.
b=/bin/busybox
$b mount -t devtmpfs d /dev; $b mount -t proc p /proc; $b mount -t sysfs s /sys
while read m; do $b insmod /m/$m; done < /m/list
disk() { for d in /sys/block/vd*; do [ "$($b cat $d/serial)" = $1 ] && echo /dev/${d##*/}; done; }
R=; while [ -z "$R" ]; do R=$(disk labroot); $b usleep 20000; done
$b mount -t ext4 -o ro,noload $R /lower && $b mount -t ext4 $(disk labsystem) /system &&
$b mkdir -p /system/up /system/work &&
$b mount -t overlay -o lowerdir=/lower,upperdir=/system/up,workdir=/system/work o /new || exec $b sh
$b umount /sys; $b umount /proc; $b mount --move /dev /new/dev
exec $b switch_root /new /sbin/init
"""

UNITS = {
    "lab-net.service": """[Unit]
DefaultDependencies=no
After=systemd-udev-trigger.service
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-net
[Install]
WantedBy=multi-user.target
""",
    "lab-agent.service": """[Unit]
After=multi-user.target
[Service]
ExecStartPre=/sbin/modprobe -a virtio_console configfs
ExecStart=/usr/bin/python3 -u /usr/local/lib/lab-agent
Restart=always
OOMScoreAdjust=-900
[Install]
WantedBy=graphical.target
""",
}


class Image:
    """What every guest starts from."""

    def __init__(self, lab):
        self.lab = lab
        self.key = digest(content(__file__), content(HERE + "/guest/agent.py"))

    def build(self, say):
        lab = self.lab
        if lab.cached("image", self.key) and os.path.exists(lab.at("root.img")):
            return
        lab.forget("image")
        for old in glob.glob(lab.at("*.state*")):
            os.unlink(old)
        self.kernel()
        say(f"kernel {self.release()}")
        self.tree()
        say("root tree")
        self.furnish()
        self.initramfs()
        self.disks()
        lab.keep("image", self.key)
        say("disks")

    def release(self):
        return os.path.basename(glob.glob(self.lab.at("k/lib/modules/*"))[0])

    def kernel(self):
        """Debian's ordinary kernel (the cloud one has no USB), never installed."""
        lab = self.lab
        if os.path.exists(lab.at("vmlinux")):
            return
        quiet("apt-get", "update", "-qq")
        package = re.search(r"Depends: (linux-image-\d\S+)", quiet("apt-cache", "depends", "linux-image-amd64")).group(1)
        shutil.rmtree(lab.at("kdeb"), ignore_errors=True)
        os.makedirs(lab.at("kdeb"))
        for name, where in (package, "k"), ("busybox-static", "bb"):
            quiet("apt-get", "download", "-qq", name, cwd=lab.at("kdeb"))
            quiet("dpkg-deb", "-x", glob.glob(lab.at("kdeb", name + "_*.deb"))[0], lab.at(where))
        shutil.rmtree(lab.at("kdeb"))
        elf = unpacked(content(glob.glob(lab.at("k/boot/vmlinuz-*"))[0]))
        with open(lab.at("vmlinux.new"), "wb") as f:
            f.write(elf)
        os.rename(lab.at("vmlinux.new"), lab.at("vmlinux"))

    def tree(self):
        """The guest's files: mirror, release and apt's settings are this machine's."""
        lab, key = self.lab, digest(PACKAGES)
        if lab.cached("root", key):
            return
        lab.forget("root")
        targets = quiet("apt-get", "indextargets", "--format", "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages")
        lines = sorted({line.split("|", 1)[1] for line in targets.splitlines() if line.startswith("Debian|")})
        with open(lab.at("sources.list"), "w") as f:
            f.write("\n".join(lines) + "\n")
        suite = re.search(r"VERSION_CODENAME=(\w+)", content("/etc/os-release").decode()).group(1)
        options = ['APT::Install-Recommends "false"', 'Acquire::Languages "none"']
        for name in "Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http::Proxy", "Acquire::https::Proxy":
            value = re.search(r"^V='(.*)'$", quiet("apt-config", "shell", "V", name), re.M)
            if value:
                options.append(f'{name} "{value.group(1)}"')
        without = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "locale", "info", "bug", "lintian")]
        shutil.rmtree(lab.at("root"), ignore_errors=True)
        quiet(
            "mmdebstrap", "--variant=essential", "--format=directory", "--include=" + PACKAGES,
            *["--aptopt=" + o for o in options], *without, "--dpkgopt=force-unsafe-io", suite, lab.at("root"), lab.at("sources.list"),
        )
        lab.keep("root", key)

    def put(self, path, text, mode=0o644):
        path = self.lab.at("root") + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        if mode is None:
            os.symlink(text, path)
        else:
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, mode)

    def chroot(self, *command):
        return quiet("chroot", self.lab.at("root"), *command)

    def closure(self, names):
        """The files of these modules, each after those it depends on."""
        files = []
        for name in names:
            shown = subprocess.run(
                ["chroot", self.lab.at("root"), "modprobe", "-d", "/.k", "-S", self.release(), "--show-depends", name],
                capture_output=True, text=True,
            )
            for line in shown.stdout.splitlines():
                if line.startswith("insmod ") and line.split()[1][4:] not in files:
                    files.append(line.split()[1][4:])
        return files

    def furnish(self):
        root, release = self.lab.at("root"), self.release()
        os.makedirs(root + "/.k", exist_ok=True)
        quiet("mount", "--bind", self.lab.at("k"), root + "/.k")
        try:
            self.chroot("depmod", "-b", "/.k", release)
            self.modules, self.boot = self.closure(MODULES), self.closure(BOOT_MODULES)
        finally:
            quiet("umount", root + "/.k")
            os.rmdir(root + "/.k")
        shutil.rmtree(root + "/usr/lib/modules", ignore_errors=True)
        for name in self.modules + [f"lib/modules/{release}/modules.{x}" for x in ("builtin", "builtin.modinfo", "order")]:
            os.makedirs(os.path.dirname(f"{root}/usr/{name}"), exist_ok=True)
            shutil.copy(self.lab.at("k", name), f"{root}/usr/{name}")
        self.chroot("depmod", release)

        self.put("/etc/hostname", "lab\n")
        self.put("/etc/hosts", "127.0.0.1 localhost lab\n10.0.3.2 gateway.test\n")
        self.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        # nofail: some tests take this disk away.
        self.put("/etc/fstab", "/dev/disk/by-id/virtio-labdata /var/lib/tilld ext4 nofail,nodev,nosuid 0 0\n")
        self.put("/etc/systemd/journald.conf.d/lab.conf", "[Journal]\nStorage=volatile\nForwardToConsole=no\n")
        os.makedirs(root + "/var/lib/tilld", exist_ok=True)
        for unit in MASKED:
            self.put("/etc/systemd/system/" + unit, "/dev/null", None)
        for name in "/etc/udev/rules.d/80-net-setup-link.rules", "/etc/systemd/network/99-default.link":
            self.put(name, "/dev/null", None)
        self.put("/usr/local/sbin/lab-net", NET, 0o755)
        self.put("/usr/local/lib/lab-agent", content(HERE + "/guest/agent.py").decode(), 0o755)
        for unit, text in UNITS.items():
            self.put("/etc/systemd/system/" + unit, text)
        self.chroot("systemctl", "-q", "enable", "lab-net", "lab-agent")
        self.chroot("systemctl", "-q", "set-default", "graphical.target")

    def initramfs(self):
        place = self.lab.at("initrd")
        shutil.rmtree(place, ignore_errors=True)
        for d in "bin", "dev", "proc", "sys", "m", "new", "lower", "system":
            os.makedirs(f"{place}/{d}")
        shutil.copy(self.lab.at("bb/bin/busybox"), place + "/bin/busybox")
        for module in self.boot:
            shutil.copy(self.lab.at("k", module), place + "/m/")
        with open(place + "/m/list", "w") as f:
            f.write("".join(os.path.basename(m) + "\n" for m in self.boot))
        with open(place + "/init", "w") as f:
            f.write(INIT)
        os.chmod(place + "/init", 0o755)
        with open(self.lab.at("initrd.img"), "wb") as out:
            names = subprocess.run(["find", "."], cwd=place, check=True, capture_output=True).stdout
            subprocess.run(
                [place + "/bin/busybox", "cpio", "-o", "-H", "newc"],
                cwd=place, input=names, stdout=out, stderr=subprocess.DEVNULL, check=True,
            )

    def disks(self):
        for name, size, options in (
            ("root.img", ROOT_MB, ["-d", self.lab.at("root")]),
            ("system.img", SYSTEM_MB, ["-L", "labsystem"]),
            ("data.img", DATA_MB, ["-L", "labdata"]),
        ):
            path = self.lab.at(name)
            if os.path.exists(path):
                os.unlink(path)
            with open(path, "wb") as f:
                f.truncate(size << 20)
            # Nothing is left to be done by the guest's first mount.
            lazy = [] if name == "root.img" else ["-E", "lazy_itable_init=0,lazy_journal_init=0"]
            quiet("mke2fs", "-q", "-t", "ext4", "-m", "0", *lazy, *options, path)


def unpacked(image):
    """The ELF kernel in a bzImage: an emulated processor would unpack for seconds."""
    start = ((image[0x1F1] or 4) + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    payload = image[start : start + int.from_bytes(image[0x24C:0x250], "little")]
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(payload)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dc"], input=payload[:-4], check=True, capture_output=True).stdout
    raise RuntimeError("the kernel is packed in a way that the lab does not know")
