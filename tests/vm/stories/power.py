"""The plug is pulled."""

import os
import shutil
import tempfile
import time

from lab.agent import Gone
from lab.books import ENDINGS, Told, differences, missing
from lab.disk import Replay, count_flushes, mounted, read_log, verify
from lab.host import Clock, copy_sparse, until
from lab.shop import Codes, begin
from lab.story import test

CUTS = int(os.environ.get("TILLD_LAB_CUTS", "50"))
FLUSHES = int(os.environ.get("TILLD_LAB_FLUSHES", "300"))
LANES = 4


class Orders:
    """What the registers ask for, and what they ask for again."""

    def __init__(self, random, seed):
        self.random, self.codes = random, Codes(f"power {seed}")
        self.all, self.answered = {}, set()
        # Most lanes get no further than their first order, so these go through
        # the endings one after the other.
        self.endings, self.first = random.sample(ENDINGS, len(ENDINGS)), 0

    def new(self, ending=None):
        number = f"CUT{len(self.all):05d}"
        order = {
            "number": number, "amount": ending or self.random.choice(ENDINGS), "code": self.codes.pay(),
            "wait": self.random.choice([0, 1, 3]),
        }
        self.all[number] = order
        return order

    def lanes(self, many, again):
        """So many new ones a lane; and half of those whose answer was lost, word for word."""
        lanes = []
        for _ in range(LANES):
            first = self.new(self.endings[self.first % len(ENDINGS)])
            self.first += 1
            lanes.append([first] + [self.new() for _ in range(many - 1)])
        for number in again:
            if self.random.random() < 0.5:
                self.random.choice(lanes).insert(0, self.all[number])
        return lanes


class Watch:
    """Hears what the guest tells, and counts it."""

    def __init__(self, told):
        self.told, self.asked, self.answered = told, set(), set()
        self.many = 0

    def __call__(self, news):
        self.many += 1
        if news["news"] == "asked":
            self.asked.add(news["number"])
        elif news["news"] == "told" and news["status"] in (200, 201):
            self.answered.add(news["number"])
        self.told.hear(news)


def settle(guest, timeout=120):
    """Waits until no payment is open; all payments."""

    def over():
        payments = guest("all_payments")
        return payments if all(p["final"] for p in payments) else None

    return until("all payments to end", over, timeout=timeout, every=0.5)


def again(stage, guest, cold):
    """The power comes back: the same data disk, the system as it was installed."""
    copy_sparse(stage.lab.at(stage.saved("shop") + ".state.system"), guest.disk("system"))
    if cold:
        guest.cold()
        guest.teach("till")
        # Nobody starts it: the unit is enabled.
        return guest("wait_ready")
    guest.restore(stage.saved("shop"))
    return None


@test("power", f"cut {CUTS} times while payments run: everything ends as the ledger has it")
def cut_again_and_again(stage):
    random = stage.random("cuts")
    guest = stage.shop()
    told = Told()
    orders = Orders(random, stage.seed)
    again_asked, kinds = set(), {"starting": 0, "cold": 0, "running": 0}
    for n in range(CUTS):
        cold = n % 12 == 11
        if n:
            again(stage, guest, cold)
        guest.teach("till")
        if random.random() < 0.15:
            # Cut while it starts, and so while it recovers.
            guest.sh("systemctl --no-block start tilld.socket tilld.service")
            time.sleep(random.uniform(0, 2))
            guest.cut()
            kinds["starting"] += 1
            continue
        kinds["cold" if cold else "running"] += 1
        if not cold:
            begin(guest)
        guest("listen", after=told.seq or None, loud=True)
        watch = Watch(told)
        guest.agent.listeners.append(watch)
        lanes = orders.lanes(12, again_asked)
        guest.agent.begin("open_shop", lanes)
        # A moment: so many news, and then some milliseconds more.
        wanted, clock = random.randrange(1, 45), Clock()
        until("payments to run", lambda: watch.many >= wanted or clock() > 6, timeout=60, every=0.002)
        time.sleep(random.uniform(0, 0.12))
        guest.cut()
        again_asked = (again_asked | watch.asked) - watch.answered
        if os.environ.get("TILLD_LAB_LOUD"):
            stage.say(f"cut {n}: {watch.many} words, {len(again_asked)} unanswered")
    stage.note(f"{kinds['running']} restored, {kinds['cold']} booted, {kinds['starting']} cut while starting")

    again(stage, guest, True)
    payments = settle(guest)
    guest.sh("systemctl stop tilld.service tilld.socket && umount /var/lib/tilld")
    guest.cut()
    ledger = stage.gateway.ledger()
    wrong = differences(payments, ledger)
    with mounted(guest.disk("data")) as place:
        sound, said = verify(stage.product.tilld, place + "/journal.db")
        lost = missing(place + "/journal.db", told)
    stage.note(f"{len(payments)} payments, {told.many} words told")
    assert not wrong, "\n".join(wrong[:10])
    assert sound, said
    assert not lost, "\n".join(lost[:10])
    ended = {p["state"] for p in payments}
    # Few cuts are few payments, and two of the 24 endings are declines.
    wanted = {"paid", "declined", "cancelled"} if CUTS >= 40 else {"paid", "cancelled"}
    assert len(payments) >= CUTS and ended >= wanted, f"too little was tried: {len(payments)}, {ended}"


def record(stage, enough, sabotage=False, log=None):
    """Takes payments until it is enough and pulls the plug; (what was told, and when)."""
    random = stage.random("record")
    guest = stage.guest
    told, marks = Told(), []
    if sabotage:
        guest.sh("mkdir -p /etc/systemd/system/tilld.service.d && cp /root/load/nosync.so /usr/lib/nosync.so && "
                 "printf '[Service]\\nEnvironment=LD_PRELOAD=/usr/lib/nosync.so\\n' > /etc/systemd/system/tilld.service.d/nosync.conf && "
                 "systemctl daemon-reload")
    begin(guest)
    guest("listen", loud=True)

    def hear(news):
        # What was flushed before the word went out is in the log by now.
        place = os.path.getsize(log) if log else 0
        told.hear(news)
        marks.append((place, told.copy()))

    guest.agent.listeners.append(hear)
    orders = Orders(random, f"{stage.seed} record")
    box = guest.agent.begin("open_shop", orders.lanes(200, ()))
    until("payments to run", lambda: enough(told), timeout=120, every=0.2)
    guest.cut()
    try:
        guest.agent.finish(box)
    except Gone:
        pass
    return told, marks


@test("power", "every flush of the disk's write log: a sound journal with all that was told")
def every_flush(stage):
    folder = tempfile.mkdtemp(prefix="tilld-lab-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        log = folder + "/write.log"
        stage.shop(write_log=log)
        told, marks = record(stage, lambda told: told.many > 50 and count_flushes(log) >= FLUSHES, log=log)
        play(stage, stage.lab.at(stage.saved("shop") + ".state.data"), log, marks, folder)
        assert told.many > 50, f"too little was told: {told.many}"
    finally:
        shutil.rmtree(folder)


def play(stage, before, log, marks, folder):
    flushes, _ = read_log(log)
    random = stage.random("torn")
    replay = Replay(before, folder)
    at, known, checked, torn, wrong, born = 0, Told(), 0, 0, [], False
    for n, (place, writes) in enumerate(flushes):
        replay.apply(writes)
        while at < len(marks) and marks[at][0] <= place:
            known = marks[at][1]
            at += 1
        point = replay.copy()
        # Now and then some of the next writes got there, and others did not.
        if n % 4 == 3 and n + 1 < len(flushes):
            later = flushes[n + 1][1]
            replay.apply([w for w in later if random.random() < 0.5], point)
            torn += 1
        with mounted(point) as disk:
            journal = disk + "/journal.db"
            there = os.path.exists(journal)
            sound, said = verify(stage.product.tilld, journal) if there else (not born, "the journal is gone")
            born = born or (there and sound)
            if not sound and (born or known.many):
                wrong.append(f"flush {n}: {said}")
            wrong += [f"flush {n}: {m}" for m in missing(journal, known)] if born or known.many else []
        checked += 1
    stage.note(f"{checked} flushes, {torn} of them with a part of the next writes; {known.many} words told")
    assert not wrong, f"{len(wrong)} times:\n" + "\n".join(wrong[:10])
    assert checked >= FLUSHES, f"only {checked} flushes were logged"


@test("power", "control: a daemon whose fsync does nothing loses what it told, and the lab sees it")
def control(stage):
    os.makedirs(stage.at("shim"), exist_ok=True)
    shim = stage.at("shim") + "/nosync.so"
    compile_shim(shim)
    stage.open_gateway()
    stage.installed()
    stage.load(shim)
    guest = stage.shop()
    guest.sh("tar xf /dev/disk/by-id/virtio-labload -C /root/load")
    told, _ = record(stage, lambda told: told.many >= 60, sabotage=True)
    with mounted(guest.disk("data")) as place:
        lost = missing(place + "/journal.db", told)
    stage.note(f"{told.many} words told, {len(lost)} of them lost")
    assert told.many > 20, f"too little was told: {told.many}"
    assert lost, "nothing was lost without fsync: this test would not see a daemon that does not sync"


def compile_shim(path):
    from lab.host import quiet

    source = path[:-2] + "c"
    with open(source, "w") as f:
        f.write("int fsync(int fd) { (void)fd; return 0; }\nint fdatasync(int fd) { (void)fd; return 0; }\n")
    quiet("cc", "-shared", "-fPIC", "-O1", "-o", path, source)
