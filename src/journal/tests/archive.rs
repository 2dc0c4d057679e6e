//! Old entries in a journal of their own, and nothing forgotten.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::journal::archive::Work;
use crate::journal::sqlite::Tip;
use crate::journal::{ArchiveError, Archived, Filter, archive};

const OLD: Timestamp = Timestamp(1_000_000);

fn append(bench: &Bench, payment: &crate::payment::Payment, at: i64) {
    wait(bench.writer.append(entry(payment), Timestamp(at))).expect("written");
}

/// Ten old payments, one of which was cancelled, news, and three young ones.
fn bench() -> Bench {
    let bench = Bench::new();
    for i in 0..10 {
        let one = requested_at(&format!("OLD{i}"), Some(&format!("S{i}")), 1_000 + i64::from(i));
        let two = paying_by_code(&one, CodeMark([i; 16]));
        append(&bench, &one, 1_000);
        append(&bench, &two, 1_001);
        append(&bench, &if i == 9 { cancelled(&two) } else { paid(&two) }, 1_002);
    }
    wait(bench.writer.append(news("down"), Timestamp(1_003))).expect("written");
    for i in 0..3 {
        let one = requested_at(&format!("NEW{i}"), None, 2_000_000);
        append(&bench, &one, 2_000_000);
        append(&bench, &paid(&one), 2_000_001);
    }
    bench
}

fn archived(folder: &TempDir, before: Timestamp) -> Archived {
    let path = folder.path().join("journal.db");
    archive(&path, &key(), before, None).expect("archived").expect("there is something")
}

fn all(reader: &Reader) -> Vec<crate::payment::Payment> {
    let filter = Filter { which: None, sale: None, since: None, limit: 500, before: None };
    reader
        .list(&filter)
        .expect("readable")
        .payments
        .into_iter()
        .map(|(payment, _)| payment)
        .collect()
}

#[test]
fn what_is_archived_is_whole_and_nothing_is_forgotten() {
    let bench = bench();
    let (before, entries) = (all(&bench.reader), bench.entries());
    let folder = bench.close();
    let path = folder.path().join("journal.db");
    let whole = fs::metadata(&path).expect("there").len();
    let done = archived(&folder, OLD);
    assert_eq!((done.entries, done.payments), ((1, 31), 10));
    let report = verify(&done.file).expect("sound");
    assert_eq!((report.entries, report.archived, report.proven), (31, 0, 31));
    let report = verify(&path).expect("sound");
    assert_eq!((report.entries, report.archived, report.payments), (6, 31, 13));
    assert!(fs::metadata(&path).expect("there").len() <= whole);

    let (writer, reader) = open(&path).expect("the journal");
    assert_eq!(all(&reader), before, "every payment as it stood");
    let bench = Bench { writer, reader, folder };
    assert_eq!(bench.entries(), entries[31..]);
    assert!(bench.reader.steps_after(&number("OLD1"), 0, u32::MAX).expect("readable").is_empty());
    let old = bench.reader.payment_of_code(CodeMark([3; 16])).expect("readable").expect("known");
    assert_eq!(old.order().out_trade_no, number("OLD3"));
    let sale = bench.reader.attempt_for_sale("S4").expect("readable").expect("known");
    assert_eq!(sale.order().out_trade_no, number("OLD4"));
    // Numbers and sales are taken for ever; a sale that was not paid is not.
    for (taken, sale) in [("OLD1", None), ("A1", Some("S1"))] {
        let refused = bench.append(entry(&requested(taken, sale)));
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{taken}: {refused:?}");
    }
    assert_eq!(bench.append(entry(&requested("A2", Some("S9")))), Ok(38), "the numbers go on");
}

#[test]
fn no_payment_is_cut_in_two_and_none_that_is_open_goes() {
    let bench = bench();
    let path = bench.path();
    // Open since entry 38; and one that goes on over the time.
    append(&bench, &requested_at("OPEN", None, 3_000_000), 3_000_000);
    let folder = bench.close();
    for (before, cut) in [(OLD, Some(31)), (Timestamp(9_000_000), Some(37))] {
        let copy = tempfile::tempdir().expect("a folder");
        for file in fs::read_dir(folder.path()).expect("a folder") {
            let file = file.expect("a file");
            fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
        }
        assert_eq!(Some(archived(&copy, before).entries.1), cut);
        verify(&copy.path().join("journal.db")).expect("sound");
    }
    let none = archive(&path, &key(), Timestamp(1_000), None).expect("no error");
    assert_eq!(none, None, "nothing is so old");
    let cut_in_two = archive(&path, &key(), Timestamp(1_002), None).expect("no error");
    assert_eq!(cut_in_two, None, "the first payment is not over by then");
}

#[test]
fn one_archive_follows_another() {
    let folder = bench().close();
    let path = folder.path().join("journal.db");
    archived(&folder, OLD);
    // All of it this time, and another key by then.
    let new = ChainKey::new(b"the new key");
    let second = archive(&path, &new, Timestamp(9_000_000), None)
        .expect("archived")
        .expect("there is something");
    assert_eq!((second.entries, second.payments), ((32, 37), 3));
    let report = crate::journal::verify(&second.file, Some(&key())).expect("sound");
    assert_eq!((report.archived, report.entries, report.proven), (31, 6, 6));
    let (writer, reader) = super::super::open(&path, &new).expect("the journal");
    assert_eq!(reader.head().expect("readable").seq, 37, "ids never go back");
    assert_eq!(all(&reader).len(), 13);
    assert_eq!(wait(writer.append(news("on"), Timestamp(1))), Ok(38));
    drop((writer, reader));
    let report = crate::journal::verify(&path, Some(&new)).expect("sound");
    assert_eq!((report.archived, report.entries, report.proven), (37, 1, 1));
}

#[test]
fn what_is_kept_is_proven_as_well() {
    for sql in [
        "UPDATE kept SET body = replace(body, '咖啡', '红茶') WHERE first_seq = 1",
        "UPDATE base SET hash = zeroblob(32); UPDATE entries SET prev = zeroblob(32) WHERE seq = 32",
        "DELETE FROM kept WHERE first_seq = 1",
    ] {
        let folder = bench().close();
        let path = folder.path().join("journal.db");
        archived(&folder, OLD);
        let conn = rusqlite::Connection::open(&path).expect("open");
        let guard: String = conn
            .query_row("SELECT sql FROM sqlite_schema WHERE name = 'entries_no_update'", [], |r| {
                r.get(0)
            })
            .expect("a guard");
        conn.execute_batch("DROP TRIGGER entries_no_update").expect("disarmed");
        conn.execute_batch(sql).expect("changed");
        conn.execute_batch(&guard).expect("armed");
        drop(conn);
        assert!(verify(&path).is_err(), "{sql}");
    }
}

/// At every step the journal is whole: either as it was, or as it will be.
#[test]
fn an_archiving_that_is_cut_off_loses_nothing() {
    for steps in 0..4 {
        let bench = bench();
        let before = all(&bench.reader);
        let folder = bench.close();
        let path = folder.path().join("journal.db");
        let new_key = key();
        let files = crate::journal::files::Files::of(&path).expect("no link");
        let mut work = Work { files, key: &new_key, base: Tip::NONE, cut: Tip::NONE };
        assert!(work.find_cut(OLD).expect("found"));
        let target = work.archive_in(None);
        if steps >= 1 {
            work.write_archive(&target).expect("written");
        }
        if steps >= 2 {
            drop(work.write_new().expect("written"));
        }
        if steps >= 3 {
            // In the middle of writing: half a file under each other name.
            for name in ["journal.db-new", "journal.db-archive-new"] {
                fs::write(folder.path().join(name), b"SQLite format 3\0half").expect("a file");
            }
        }
        {
            let (_writer, reader) = open(&path).expect("the journal");
            assert_eq!(all(&reader), before, "after {steps} steps");
            assert_eq!(reader.head().expect("readable").seq, 37, "after {steps} steps");
        }
        let done = archived(&folder, OLD);
        assert_eq!(done.file, target, "after {steps} steps");
        verify(&done.file).expect("sound");
        verify(&path).expect("sound");
        let left: Vec<_> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("-new"))
            .collect();
        assert_eq!(left, [""; 0], "after {steps} steps");
    }
}

#[test]
fn the_files_stay_their_owners() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    let folder = bench().close();
    let path = folder.path().join("journal.db");
    std::os::unix::fs::chown(&path, Some(12345), Some(12346)).expect("given away");
    let done = archived(&folder, OLD);
    for file in fs::read_dir(folder.path()).expect("a folder") {
        let file = file.expect("a file");
        let data = file.metadata().expect("there");
        assert_eq!((data.uid(), data.gid()), (12345, 12346), "{}", file.path().display());
    }
    assert!(done.file.exists());
}

#[test]
fn what_stands_in_the_way_of_an_archive_is_left_alone() {
    let bench = bench();
    let path = bench.path();
    let in_use = archive(&path, &key(), OLD, None);
    assert!(matches!(in_use, Err(ArchiveError::Open(OpenError::InUse(_)))), "{in_use:?}");
    let folder = bench.close();
    let other = folder.path().join("journal.db-archive-1-31");
    fs::write(&other, b"precious").expect("a file");
    let exists = archive(&path, &key(), OLD, None);
    assert!(matches!(exists, Err(ArchiveError::Exists(_))), "{exists:?}");
    assert_eq!(fs::read(&other).expect("read"), b"precious");
    let elsewhere = archive(&path, &key(), OLD, Some(&folder.path().join("missing")));
    assert!(matches!(elsewhere, Err(ArchiveError::Write { .. })), "{elsewhere:?}");
    let (_writer, reader) = open(&path).expect("the journal");
    assert_eq!(all(&reader).len(), 13);
}
