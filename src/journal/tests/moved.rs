//! Files that are taken away, replaced, cut or shared while the journal is open,
//! or between two openings.

use std::fs;

use super::*;
use crate::journal::{AcceptError, accept};

/// A journal with an open payment, some of it in the log and some not.
fn bench() -> (Bench, crate::payment::Payment) {
    let bench = Bench::new();
    for i in 0..60 {
        bench.append(finished(&format!("F{i}"))).expect("written");
    }
    let one = requested("A1", Some("S1"));
    bench.append(entry(&one)).expect("written");
    (bench, one)
}

/// What would be found if the power failed now.
fn after_a_power_cut(bench: &Bench) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(bench.folder.path()).expect("a folder") {
        let file = file.expect("a file");
        let name = file.file_name();
        if !name.to_string_lossy().ends_with("-shm") {
            fs::copy(file.path(), folder.path().join(name)).expect("copied");
        }
    }
    let path = folder.path().join("journal.db");
    (folder, path)
}

#[test]
fn files_beside_it_that_are_deleted_take_nothing_along() {
    for gone in [&["-wal"][..], &["-shm"], &["-wal", "-shm", "-lock", "-reserve"]] {
        let (bench, one) = bench();
        for suffix in gone {
            fs::remove_file(bench.folder.path().join(format!("journal.db{suffix}"))).expect("gone");
        }
        let two = changed(&one, State::Paying);
        assert_eq!(bench.append(entry(&two)), Ok(62), "{gone:?}");
        assert_eq!(bench.append(entry(&requested("A2", None))), Ok(63), "{gone:?}");
        assert!(is_writable(&bench.writer), "{gone:?}: {}", complaint(&bench.writer));
        let (_folder, copy) = after_a_power_cut(&bench);
        let (_writer, reader) = open(&copy).expect("the journal");
        assert_eq!(reader.head().expect("readable").seq, 63, "{gone:?}");
        assert_eq!(reader.payment(&number("A1")).expect("readable"), Some(two), "{gone:?}");
        assert_eq!(bench.reader.head().expect("readable").seq, 63, "{gone:?}");
        verify(&bench.path()).expect("sound");
    }
}

#[test]
fn a_log_that_is_deleted_is_noticed_before_the_next_payment() {
    let (bench, _) = bench();
    let log = bench.folder.path().join("journal.db-wal");
    fs::remove_file(&log).expect("gone");
    until("there is a log again", || log.exists());
    let (_folder, copy) = after_a_power_cut(&bench);
    assert_eq!(verify(&copy).expect("sound").entries, 61);
    assert!(is_writable(&bench.writer), "{}", complaint(&bench.writer));
}

#[test]
fn a_log_that_is_deleted_in_the_middle_of_a_write_takes_nothing_along() {
    let (bench, one) = bench();
    let path = bench.folder.path().join("journal.db-wal");
    bench.writer.switches.at_next_commit(move || fs::remove_file(&path).expect("gone"));
    let two = changed(&one, State::Paying);
    assert_eq!(bench.append(entry(&two)), Ok(62));
    let (_folder, copy) = after_a_power_cut(&bench);
    let (_writer, reader) = open(&copy).expect("the journal");
    assert_eq!(reader.payment(&number("A1")).expect("readable"), Some(two));
}

#[test]
fn a_log_that_is_replaced_is_not_read_and_not_deleted() {
    let (bench, one) = bench();
    let log = bench.folder.path().join("journal.db-wal");
    fs::rename(&log, bench.folder.path().join("aside")).expect("moved");
    fs::write(&log, b"precious").expect("a file");
    let reply = bench.append(entry(&changed(&one, State::Paying)));
    assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{reply:?}");
    assert!(complaint(&bench.writer).contains("another file"), "{}", complaint(&bench.writer));
    assert_eq!(fs::read(&log).expect("read"), b"precious");
    fs::remove_file(&log).expect("gone");
    until("it is well again", || is_writable(&bench.writer));
    assert_eq!(bench.append(entry(&changed(&one, State::Paying))), Ok(62));
    verify(&bench.path()).expect("sound");
}

/// Every way to put another content in the place of the journal.
#[test]
fn a_journal_that_is_changed_underneath_takes_no_payment_and_says_so() {
    type Change = fn(&Path, &Path);
    let changes: [(&str, Change, &str); 6] = [
        ("replaced", |path, old| fs::rename(old, path).expect("replaced"), "replaced"),
        ("deleted", |path, _| fs::remove_file(path).expect("gone"), "gone"),
        ("overwritten", |path, old| assert!(fs::copy(old, path).is_ok()), "changed"),
        ("emptied", |path, _| fs::write(path, b"").expect("emptied"), "changed"),
        ("halved", |path, _| cut(path, 2), "changed"),
        ("a byte more than the header", |path, _| cut(path, 0), "changed"),
    ];
    for (name, change, words) in changes {
        let (bench, one) = bench();
        let old = bench.folder.path().join("old");
        fs::copy(bench.path(), &old).expect("copied");
        for i in 60..120 {
            bench.append(finished(&format!("F{i}"))).expect("written");
        }
        change(&bench.path(), &old);
        // Without anybody's paying.
        until("it is noticed", || !is_writable(&bench.writer));
        for entry in [entry(&requested("A2", None)), entry(&changed(&one, State::Paying))] {
            let reply = bench.append(entry);
            assert!(matches!(reply, Err(AppendError::NotWritten(_))), "{name}: {reply:?}");
        }
        assert!(complaint(&bench.writer).contains(words), "{name}: {}", complaint(&bench.writer));
        // Nobody is told of another journal's payments.
        if let Ok(head) = bench.reader.head() {
            assert_eq!(head.seq, 121, "{name}");
        }
        let path = bench.path();
        let folder = bench.close();
        assert!(open(&path).is_err() || name == "deleted", "{name}");
        drop(folder);
    }
}

fn cut(path: &Path, part: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("opened");
    let length = file.metadata().expect("there").len();
    file.set_len(length.checked_div(part).unwrap_or(101)).expect("cut");
}

#[test]
fn what_would_be_gone_with_the_daemon_is_saved() {
    let (bench, one) = bench();
    fs::remove_file(bench.path()).expect("gone");
    until("it is noticed", || complaint(&bench.writer).contains("saved"));
    let saved = bench.folder.path().join("journal.db-saved");
    assert!(complaint(&bench.writer).contains("journal.db-saved"), "{}", complaint(&bench.writer));
    let folder = bench.close();
    let path = folder.path().join("journal.db");
    assert!(matches!(refusal(&path), OpenError::Missing { .. }), "nothing is begun anew");
    fs::rename(saved, &path).expect("put back");
    let (_writer, reader) = open(&path).expect("the journal");
    assert_eq!(reader.head().expect("readable").seq, 61);
    assert_eq!(reader.payment(&number("A1")).expect("readable"), Some(one));
}

#[test]
fn a_journal_that_is_moved_away_and_back_goes_on() {
    let (bench, one) = bench();
    let away = bench.folder.path().join("away");
    fs::rename(bench.path(), &away).expect("moved");
    until("it is noticed", || complaint(&bench.writer).contains("put it back"));
    fs::rename(&away, bench.path()).expect("moved back");
    until("it is well again", || is_writable(&bench.writer));
    assert_eq!(bench.append(entry(&changed(&one, State::Paying))), Ok(62));
    verify(&bench.path()).expect("sound");
}

#[test]
fn what_others_do_to_a_sound_journal_stops_nobody() {
    let (bench, one) = bench();
    // Somebody moved the log, or only looked and set the time.
    let other = bench.sql();
    other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("moved");
    let file = fs::File::options().append(true).open(bench.path()).expect("opened");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("set");
    assert_eq!(bench.append(entry(&changed(&one, State::Paying))), Ok(62));
    assert!(is_writable(&bench.writer), "{}", complaint(&bench.writer));
}

// --- under another name --------------------------------------------------------

#[test]
fn a_second_daemon_is_kept_out_by_whatever_name_it_comes() {
    let (bench, _) = bench();
    let other = |name: &str| bench.folder.path().join(name);
    fs::hard_link(bench.path(), other("hard.db")).expect("linked");
    std::os::unix::fs::symlink(bench.path(), other("soft.db")).expect("linked");
    fs::remove_file(other("journal.db-lock")).expect("gone");
    for name in ["hard.db", "soft.db", "journal.db"] {
        let error = open(&other(name)).expect_err(name);
        assert!(matches!(error, OpenError::InUse(_)), "{name}: {error}");
    }
    bench.append(news("the first goes on")).expect("written");
}

#[test]
fn a_link_is_as_good_as_the_journal() {
    let (bench, _) = bench();
    let folder = bench.close();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let link = elsewhere.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("journal.db"), &link).expect("linked");
    let (writer, reader) = open(&link).expect("the journal");
    assert_eq!(wait(writer.append(news("by the link"), Timestamp(1))), Ok(62));
    // What SQLite writes is where it is looked for.
    fs::remove_file(folder.path().join("journal.db-wal")).expect("it is there");
    assert_eq!(wait(writer.append(news("again"), Timestamp(1))), Ok(63));
    drop((writer, reader));
    assert_eq!(verify(&link).expect("sound").entries, 63);
    assert_eq!(fs::read_dir(elsewhere.path()).expect("a folder").count(), 1, "only the link");
}

#[test]
fn a_link_that_leads_nowhere_begins_no_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("journal.db");
    std::os::unix::fs::symlink(folder.path().join("unmounted/journal.db"), &link).expect("linked");
    assert!(matches!(refusal(&link), OpenError::LeadsNowhere { .. }));
    std::os::unix::fs::symlink(folder.path().join("journal2.db"), folder.path().join("l.db"))
        .expect("linked");
    assert!(matches!(refusal(&folder.path().join("l.db")), OpenError::LeadsNowhere { .. }));
    assert!(!folder.path().join("journal2.db").exists());
}

// --- the note of the newest entry ------------------------------------------------

#[test]
fn a_journal_that_has_lost_its_end_is_refused_until_a_person_says_so() {
    type Loss = fn(&Path);
    let losses: [(&str, Loss); 3] = [
        ("the log is gone", |log| fs::remove_file(log).expect("gone")),
        ("the log is empty", |log| fs::write(log, b"").expect("emptied")),
        ("the log is cut", |log| cut(log, 2)),
    ];
    for (name, lose) in losses {
        let (bench, _) = bench();
        for i in 0..10 {
            bench.append(finished(&format!("L{i}"))).expect("written");
        }
        let (folder, copy) = after_a_power_cut(&bench);
        lose(&folder.path().join("journal.db-wal"));
        let before = fs::read(&copy).expect("read");
        let error = refusal(&copy);
        let OpenError::LostItsEnd { has, noted: 71, .. } = error else {
            panic!("{name}: {error}");
        };
        assert!(has < 71, "{name}");
        assert!(error.to_string().contains(&format!("tilld accept {has} ")), "{name}: {error}");
        assert!(verify(&copy).is_err(), "{name}");
        assert_eq!(fs::read(&copy).expect("read"), before, "{name}");
        // Who does not know how much is there has not looked.
        for other in [has + 1, has - 1, 71] {
            let refused = accept(&copy, other);
            assert!(matches!(refused, Err(AcceptError::Other { .. })), "{name}: {refused:?}");
            assert!(open(&copy).is_err(), "{name}");
        }
        accept(&copy, has).expect(name);
        let (writer, _reader) = open(&copy).expect(name);
        assert_eq!(wait(writer.append(news("on"), Timestamp(1))), Ok(has + 1), "{name}");
    }
}

#[test]
fn another_journal_in_its_place_is_refused() {
    let (bench, _) = bench();
    let folder = bench.close();
    let other = Bench::new();
    for _ in 0..70 {
        other.append(news("another history")).expect("written");
    }
    let other = other.close();
    let path = folder.path().join("journal.db");
    fs::copy(other.path().join("journal.db"), &path).expect("copied");
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Another { seq: 61, has: 70, .. }), "{error}");
    accept(&path, 70).expect("accepted");
    open(&path).expect("the other journal");
}

/// The note is written after the entry and not synced: a power cut may leave an
/// older one, or half of one.
#[test]
fn a_note_that_is_behind_or_torn_refuses_nothing() {
    let (bench, _) = bench();
    let note = bench.folder.path().join(".journal.db-head");
    let older = fs::read(&note).expect("a note");
    bench.append(news("one more")).expect("written");
    let newer = fs::read(&note).expect("a note");
    assert_ne!(older, newer);
    let folder = bench.close();
    let path = folder.path().join("journal.db");
    let note = folder.path().join(".journal.db-head");
    for left in [Some(&older[..]), Some(&newer[..40]), Some(b""), None] {
        match left {
            Some(bytes) => fs::write(&note, bytes).expect("written"),
            None => fs::remove_file(&note).expect("gone"),
        }
        drop(open(&path).expect("the journal"));
        assert_eq!(fs::read(&note).expect("a note"), newer, "it is caught up with");
    }
}

#[test]
fn a_journal_in_use_is_not_accepted() {
    let (bench, _) = bench();
    let refused = accept(&bench.path(), 61);
    assert!(matches!(refused, Err(AcceptError::Open(OpenError::InUse(_)))), "{refused:?}");
}

// --- reading --------------------------------------------------------------------

#[test]
fn the_loop_waits_for_nobody_who_reads() {
    let (bench, one) = bench();
    let look_ups = bench.reader.for_the_loop();
    bench.reader.with_connection(|_| {
        // Somebody is in the middle of a long list.
        let look_ups = look_ups.clone();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || tell.send(look_ups.payment(&number("A1"))).is_ok());
        let found = told.recv_timeout(Duration::from_secs(20)).expect("it waits for nobody");
        assert_eq!(found.expect("readable"), Some(one.clone()));
        assert!(thread.join().expect("ended"));
    });
    bench.reader.end();
    assert!(look_ups.payment(&number("A1")).is_err(), "both have ended");
}

#[test]
fn the_steps_of_a_payment_come_in_parts() {
    let bench = Bench::new();
    let mut one = requested("A1", None);
    bench.append(entry(&one)).expect("written");
    for _ in 0..9 {
        bench.append(news("between")).expect("written");
        one = changed(&one, State::Querying);
        bench.append(entry(&one)).expect("written");
    }
    let whole = bench.reader.steps_after(&number("A1"), 0, u32::MAX).expect("readable");
    let (mut parts, mut after) = (Vec::new(), 0);
    loop {
        let part = bench.reader.steps_after(&number("A1"), after, 3).expect("readable");
        assert!(part.len() <= 3);
        let Some(last) = part.last() else { break };
        after = last.seq;
        parts.extend(part);
    }
    assert_eq!(parts, whole);
}
