"""The guest's data disk, looked at from here; and its write log, played back."""

import contextlib
import os
import struct
import subprocess
import tempfile

from .host import copy_sparse, quiet

SECTOR = 512
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


@contextlib.contextmanager
def mounted(image):
    """Mounts the disk as the next start would: ext4 mends itself from its journal."""
    place = tempfile.mkdtemp(prefix="tilld-lab-")
    try:
        quiet("mount", "-o", "loop,nodev,nosuid", image, place)
        try:
            yield place
        finally:
            quiet("umount", place)
    finally:
        os.rmdir(place)


def verify(tilld, journal):
    """What `tilld verify` says: (sound, the line)."""
    done = subprocess.run([tilld, "verify", journal], capture_output=True, text=True)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


class Write:
    __slots__ = ("at", "data", "end")

    def __init__(self, at, data, end):
        self.at, self.data, self.end = at, data, end


def read_log(path):
    """The log of qemu's blklogwrites: a list of flushes, each with the writes
    since the one before, and the place in the log where it stands."""
    flushes, writes = [], []
    with open(path, "rb") as f:
        magic, version, _, size = struct.unpack("<QQQI", f.read(28))
        assert magic == 0x6A736677736872 and version == 1 and size == SECTOR, "an unknown kind of write log"
        length = os.fstat(f.fileno()).st_size
        place = SECTOR
        while place + SECTOR <= length:
            f.seek(place)
            at, many, flags, _ = struct.unpack("<QQQQ", f.read(32))
            place += SECTOR
            assert flags <= 15, "the write log cannot be read"
            if many and not flags & DISCARD:
                if place + many * SECTOR > length:
                    break
                f.seek(place)
                place += many * SECTOR
                writes.append(Write(at * SECTOR, f.read(many * SECTOR), place))
            if flags & (FLUSH | FUA):
                flushes.append((place, writes))
                writes = []
    # What came after the last flush was lost with the power.
    return flushes, writes


def count_flushes(path):
    """How many there are in a log that is being written."""
    many, place = 0, SECTOR
    with open(path, "rb") as f:
        length = os.fstat(f.fileno()).st_size
        while place + SECTOR <= length:
            f.seek(place)
            _, sectors, flags, _ = struct.unpack("<QQQQ", f.read(32))
            place += SECTOR + (0 if flags & DISCARD else sectors * SECTOR)
            many += 1 if flags & (FLUSH | FUA) else 0
    return many


class Replay:
    """A disk, brought forward flush by flush."""

    def __init__(self, before, folder):
        self.now, self.point = folder + "/now.img", folder + "/point.img"
        copy_sparse(before, self.now)

    def apply(self, writes, image=None):
        with open(image or self.now, "r+b") as f:
            for write in writes:
                f.seek(write.at)
                f.write(write.data)

    def copy(self):
        """A copy to open and spoil."""
        copy_sparse(self.now, self.point)
        return self.point
