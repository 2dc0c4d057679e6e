//! Disks that are full, read-only, or fail in the middle of a commit.

use super::*;

fn fails_next(bench: &Bench, commit: Commit) {
    bench.writer.switches.commits.lock().expect("not poisoned").push_back(commit);
}

// --- a commit with an I/O error ----------------------------------------------

#[test]
fn a_commit_that_failed_but_is_on_disk_counts() {
    let bench = Bench::new();
    bench.append(news("before")).expect("written");
    fails_next(&bench, Commit::LostAfter);
    assert_eq!(bench.append(entry(&requested("A1", None))), Ok(2));
    until("it recovers", || is_writable(&bench.writer));
    assert_eq!(bench.append(news("after")), Ok(3));
    assert_eq!(bench.entries().len(), 3);
    verify(&bench.path()).expect("sound");
}

#[test]
fn a_commit_that_failed_and_is_not_on_disk_does_not_count() {
    let bench = Bench::new();
    bench.append(news("before")).expect("written");
    fails_next(&bench, Commit::LostBefore);
    let reply = bench.append(entry(&requested("A1", None)));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
    until("it recovers", || is_writable(&bench.writer));
    assert_eq!(bench.append(entry(&requested("A1", None))), Ok(2), "the same entry again");
    verify(&bench.path()).expect("sound");
}

#[test]
fn nothing_is_said_while_nobody_knows_what_is_on_disk() {
    for (fault, is_there) in [(Commit::LostAfter, true), (Commit::LostBefore, false)] {
        let bench = Bench::new();
        bench.append(news("before")).expect("written");
        let before = bench.writer.heartbeat().load(SeqCst);
        bench.writer.switches.gone_after_commit.store(true, SeqCst);
        fails_next(&bench, fault);
        let mut pending = bench.writer.append(entry(&requested("A1", None)), Timestamp(1));
        until("the health says so", || complaint(&bench.writer).contains("cannot be found out"));
        until("the heart goes on", || bench.writer.heartbeat().load(SeqCst) > before + 5);
        assert!(pending.is_open(), "no reply on a guess");
        bench.writer.switches.disk_is_gone.store(false, SeqCst);
        let reply = wait(pending);
        assert_eq!(reply.is_ok(), is_there, "{reply:?}");
        until("it recovers", || is_writable(&bench.writer));
        assert_eq!(bench.entries().len(), if is_there { 2 } else { 1 });
        verify(&bench.path()).expect("sound");
    }
}

#[test]
fn a_writer_that_ends_without_knowing_says_that_it_does_not_know() {
    let Bench { folder, writer, reader } = Bench::new();
    writer.switches.gone_after_commit.store(true, SeqCst);
    writer.switches.commits.lock().expect("not poisoned").push_back(Commit::LostAfter);
    let pending = writer.append(news("lost"), Timestamp(1));
    until("it is in trouble", || complaint(&writer).contains("cannot be found out"));
    drop(writer);
    assert_eq!(wait(pending), Err(AppendError::Unknown));
    drop((reader, folder));
}

#[test]
fn a_journal_that_is_swapped_underneath_is_not_written_to() {
    let one = requested("A1", None);
    let two = changed(&one, State::Paying);
    // Into the other journal the next entry would fit as well.
    let other = Bench::new();
    other.append(entry(&one)).expect("written");
    other.append(news("another history")).expect("written");
    let other = other.close();

    let bench = Bench::new();
    bench.append(entry(&one)).expect("written");
    let away = bench.folder.path().join("away.db");
    std::fs::hard_link(bench.path(), &away).expect("linked");
    std::fs::rename(other.path().join("journal.db"), bench.path()).expect("swapped");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(bench.folder.path().join(format!("journal.db{suffix}")));
    }
    for _ in 0..2 {
        let reply = bench.append(entry(&two));
        assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
        assert!(complaint(&bench.writer).contains("replaced"), "{}", complaint(&bench.writer));
    }
    std::fs::remove_file(bench.path()).expect("gone");
    let reply = bench.append(entry(&two));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
}

// --- a full disk, as SQLite tells it -----------------------------------------

#[test]
fn a_commit_without_room_is_taken_back_and_life_goes_on() {
    let bench = Bench::new();
    let one = requested("A1", None);
    bench.append(entry(&one)).expect("written");
    fails_next(&bench, Commit::Full);
    let reply = bench.append(entry(&requested("A2", None)));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
    until("it recovers", || is_writable(&bench.writer));
    assert_eq!(bench.append(entry(&requested("A2", None))), Ok(2));
    verify(&bench.path()).expect("sound");
}

#[test]
fn a_statement_without_room_is_taken_back_and_life_goes_on() {
    let bench = Bench::new();
    let one = requested("A1", None);
    bench.append(entry(&one)).expect("written");
    bench.writer.switches.max_pages.store(1, SeqCst);
    let big = Entry::Gateway { up: false, text: "x".repeat(200_000) };
    let reply = bench.append(big.clone());
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
    assert!(complaint(&bench.writer).contains("full"), "{}", complaint(&bench.writer));
    bench.writer.switches.max_pages.store(1_000_000, SeqCst);
    // The limit stays with the connection until the next transaction of an entry.
    assert_eq!(bench.append(entry(&paid(&one))), Ok(2));
    until("it recovers", || is_writable(&bench.writer));
    assert_eq!(bench.append(big), Ok(3));
    verify(&bench.path()).expect("sound");
}

#[test]
fn the_reserve_is_for_payments_that_are_open() {
    let bench = Bench::new();
    let reserve = bench.folder.path().join("journal.db-reserve");
    let one = requested("A1", None);
    bench.append(entry(&one)).expect("written");
    for unneeded in [entry(&requested("A2", None)), news("down")] {
        fails_next(&bench, Commit::Full);
        assert!(bench.append(unneeded).is_err());
        assert!(reserve.exists(), "nothing new may use it up");
        until("it recovers", || is_writable(&bench.writer));
    }
    fails_next(&bench, Commit::Full);
    let health = bench.writer.health();
    assert_eq!(bench.append(entry(&changed(&one, State::Paying))), Ok(2), "at the second try");
    assert!(health.has_changed().expect("alive"), "it has said that the disk was full");
    until("there is room again", || is_writable(&bench.writer));
    assert!(reserve.exists(), "and the reserve is made again");
    let mut others = (0..2).map(|_| Commit::Full);
    bench.writer.switches.commits.lock().expect("not poisoned").extend(&mut others);
    let second = changed(&one, State::Paying);
    let reply = bench.append(entry(&paid(&second)));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "tried once only: {reply:?}");
}

// --- a full disk, for real ---------------------------------------------------

#[test]
fn on_a_full_disk_open_payments_are_brought_to_their_end_and_nothing_is_begun() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let reserve = disk.folder.path().join("journal.db-reserve");
    let (writer, reader) = open(&disk.path()).expect("a new journal");
    let append = |entry: Entry| wait(writer.append(entry, Timestamp(1)));
    assert!(is_writable(&writer), "{}", complaint(&writer));
    let mut open_ones: Vec<_> = (0..20).map(|i| requested(&format!("A{i}"), None)).collect();
    for payment in &open_ones {
        append(entry(payment)).expect("written");
    }
    let filler = disk.fill();
    // The log may have some room left.
    let mut begun = 0;
    while append(entry(&requested(&format!("B{begun}"), None))).is_ok() {
        begun += 1;
        assert!(begun < 10_000, "the disk is not full");
    }
    assert!(complaint(&writer).contains("full"), "{}", complaint(&writer));
    assert!(reserve.exists(), "a new payment does not touch the reserve");
    for payment in &mut open_ones {
        for state in [State::Paying, State::Querying, State::Paid] {
            *payment = changed(payment, state);
            append(entry(payment)).expect("the reserve makes room");
        }
    }
    assert!(!reserve.exists(), "it was needed");
    assert!(append(entry(&requested("C1", None))).is_err(), "nothing new is begun");
    assert!(complaint(&writer).contains("full"), "{}", complaint(&writer));

    std::fs::remove_file(filler).expect("room again");
    until("there is room again", || is_writable(&writer));
    assert!(reserve.exists(), "the reserve is made again");
    append(entry(&requested("C1", None))).expect("written");
    let open_now = reader.open_payments().expect("readable");
    assert_eq!(open_now.len(), begun + 1);
    drop((writer, reader));
    verify(&disk.path()).expect("sound");
}

#[test]
fn looking_for_room_does_not_use_up_the_reserve() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let (writer, _reader) = open(&disk.path()).expect("a new journal");
    let append = |entry: Entry| wait(writer.append(entry, Timestamp(1)));
    let mut one = requested("A1", None);
    append(entry(&one)).expect("written");
    let filler = disk.fill();
    // Until the reserve has to help.
    let reserve = disk.folder.path().join("journal.db-reserve");
    while reserve.exists() {
        one = changed(&one, State::Querying);
        append(entry(&one)).expect("the reserve makes room");
    }
    let log = || std::fs::metadata(disk.folder.path().join("journal.db-wal")).expect("there").len();
    let heartbeat = || writer.heartbeat().load(std::sync::atomic::Ordering::Relaxed);
    let (before, turns) = (log(), heartbeat());
    until("it has looked for room", || heartbeat() >= turns + 4);
    assert_eq!(log(), before, "only payments write to it now");
    // More of them than the reserve has room for, were the log to grow with each.
    for _ in 0..60 {
        one = changed(&one, State::Querying);
        append(entry(&one)).expect("the log begins at its front again");
    }
    std::fs::remove_file(filler).expect("room again");
    until("there is room again", || is_writable(&writer));
}

#[test]
fn a_journal_on_a_full_disk_is_opened_and_read() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let (writer, reader) = open(&disk.path()).expect("a new journal");
    wait(writer.append(entry(&requested("A1", None)), Timestamp(1))).expect("written");
    drop((writer, reader));
    let filler = disk.fill();
    let (writer, reader) = open(&disk.path()).expect("a journal that can be read");
    assert!(complaint(&writer).contains("full"), "{}", complaint(&writer));
    assert_eq!(reader.open_payments().expect("readable").len(), 1);
    let one = requested("A1", None);
    wait(writer.append(entry(&paid(&one)), Timestamp(2))).expect("the reserve makes room");
    std::fs::remove_file(filler).expect("room again");
    until("there is room again", || is_writable(&writer));
}

#[test]
fn an_upgrade_on_a_full_disk_uses_the_reserve() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    // What the version before would leave: its journal, and the reserve.
    drop(open(&disk.path()).expect("a new journal"));
    std::fs::copy(super::opening::version_1_file(), disk.path()).expect("copied");
    let filler = disk.fill();
    let (writer, reader) = open(&disk.path()).expect("brought up to this version");
    let three = requested("20150320010101003", None);
    assert_eq!(reader.open_payments().expect("readable"), std::slice::from_ref(&three));
    let paying = paying_by_code(&three, CodeMark([1; 16]));
    wait(writer.append(entry(&paying), Timestamp(1))).expect("the reserve makes room");
    std::fs::remove_file(filler).expect("room again");
    until("there is room again", || is_writable(&writer));
}

// --- a read-only disk --------------------------------------------------------

#[test]
fn a_journal_on_a_read_only_disk_is_read_and_written_once_it_can_be() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let (writer, reader) = open(&disk.path()).expect("a new journal");
    let one = requested("A1", None);
    wait(writer.append(entry(&one), Timestamp(1))).expect("written");
    drop((writer, reader));
    disk.remount("ro");
    let (writer, reader) = open(&disk.path()).expect("a journal that can be read");
    assert!(!is_writable(&writer));
    assert_eq!(reader.open_payments().expect("readable"), std::slice::from_ref(&one));
    let reply = wait(writer.append(entry(&requested("A2", None)), Timestamp(1)));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
    let reply = wait(writer.append(entry(&paid(&one)), Timestamp(1)));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
    disk.remount("rw");
    until("it can be written", || is_writable(&writer));
    wait(writer.append(entry(&paid(&one)), Timestamp(1))).expect("written");
    assert!(reader.open_payments().expect("readable").is_empty(), "the reader sees it");
}

#[test]
fn a_log_left_by_a_crash_is_read_on_a_read_only_disk() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let bench = Bench::new();
    bench.append(entry(&requested("A1", None))).expect("written");
    // What a power cut would leave: nothing was closed.
    for file in std::fs::read_dir(bench.folder.path()).expect("a folder") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, disk.folder.path().join(name)).expect("copied");
    }
    disk.remount("ro");
    let (writer, reader) = open(&disk.path()).expect("a journal that can be read");
    assert!(!is_writable(&writer));
    assert_eq!(reader.open_payments().expect("readable").len(), 1);
    drop((writer, reader));
}
