//! Appending: what is promised when, and what shares an fsync.

use super::*;

#[test]
fn numbers_have_no_gaps_over_refusals_and_restarts() {
    let bench = Bench::new();
    assert_eq!(bench.append(news("one")), Ok(1));
    assert_eq!(bench.append(entry(&requested("A1", None))), Ok(2));
    assert!(bench.append(entry(&requested("A1", None))).is_err());
    assert_eq!(bench.append(news("three")), Ok(3));
    let bench = bench.reopen();
    assert_eq!(bench.append(news("four")), Ok(4));
    let head = bench.reader.head().expect("readable");
    assert_eq!((head.seq, head.at), (4, Some(Timestamp(1_000))));
}

#[test]
fn what_contradicts_the_journal_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let one = requested("A1", Some("S1"));
    let two = changed(&one, State::Paying);
    bench.append(entry(&one)).expect("written");
    for (what, contradiction) in [
        ("a number that is taken", requested("A1", None)),
        ("a change that was skipped", altered(&two, |record| record.rev = 3)),
        (
            "a change of an unknown payment",
            altered(&requested("A2", None), |record| record.rev = 2),
        ),
        ("no change at all", altered(&one, |record| record.rev = 0)),
        ("a second open attempt of a sale", requested("A3", Some("S1"))),
    ] {
        let refused = bench.append(entry(&contradiction));
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{what}: {refused:?}");
        assert_eq!(bench.entries().len(), 1, "{what}");
    }
    assert!(is_writable(&bench.writer), "a mistake of the caller is no trouble with the disk");
    bench.append(entry(&two)).expect("written");
    verify(&bench.path()).expect("sound");
}

#[test]
fn at_most_one_attempt_of_a_sale_is_open_or_paid() {
    let bench = Bench::new();
    let one = requested("A1", Some("S1"));
    bench.append(entry(&one)).expect("written");
    assert!(bench.append(entry(&requested("A2", Some("S1")))).is_err());
    bench.append(entry(&cancelled(&one))).expect("written");
    let two = requested("A2", Some("S1"));
    bench.append(entry(&two)).expect("the first attempt is proven not paid");
    bench.append(entry(&paid(&two))).expect("written");
    assert!(bench.append(entry(&requested("A3", Some("S1")))).is_err());
    bench.append(entry(&requested("A4", Some("S2")))).expect("another sale");
}

#[test]
fn one_entry_is_one_commit_and_waits_for_nobody() {
    let bench = Bench::new();
    for turn in 1..=3 {
        bench.append(news("alone")).expect("written");
        assert_eq!(bench.writer.switches.commit_count.load(SeqCst), turn);
    }
}

#[test]
fn entries_that_wait_together_share_a_commit() {
    let bench = Bench::new();
    // While somebody else is writing, the first entry waits in front of the
    // journal and the others behind it.
    let other = bench.sql();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let pending: Vec<_> = (0..200)
        .map(|i| {
            let payment = requested(&format!("A{i}"), Some(&format!("S{i}")));
            bench.writer.append(entry(&payment), Timestamp(i))
        })
        .collect();
    other.execute_batch("ROLLBACK").expect("unlocked");
    let numbers: Vec<_> = pending.into_iter().map(|p| wait(p).expect("written")).collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>(), "in the order of the calls");
    // What was taken up before the lock, and all the rest.
    let commits = bench.writer.switches.commit_count.load(SeqCst);
    assert!(commits <= 2, "{commits} commits for 200 entries");
    verify(&bench.path()).expect("sound");
}

#[test]
fn a_contradiction_does_not_take_its_company_along() {
    let bench = Bench::new();
    let other = bench.sql();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let pending: Vec<_> = ["A1", "A2", "A1", "A3"]
        .into_iter()
        .map(|name| bench.writer.append(entry(&requested(name, None)), Timestamp(1)))
        .collect();
    other.execute_batch("ROLLBACK").expect("unlocked");
    let replies: Vec<_> = pending.into_iter().map(|p| wait(p).ok()).collect();
    assert_eq!(replies, [Some(1), Some(2), None, Some(3)]);
    verify(&bench.path()).expect("sound");
}

#[test]
fn more_than_the_queue_holds_is_turned_away_at_once() {
    let bench = Bench::new();
    let other = bench.sql();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let pending: Vec<_> =
        (0..2000).map(|_| bench.writer.append(news("much"), Timestamp(1))).collect();
    other.execute_batch("ROLLBACK").expect("unlocked");
    let replies: Vec<_> = pending.into_iter().map(wait).collect();
    let written = replies.iter().filter(|reply| reply.is_ok()).count();
    assert!((1024..2000).contains(&written), "{written}");
    assert!(replies.iter().all(|r| matches!(r, Ok(_) | Err(AppendError::NotWritten(_)))));
    assert_eq!(bench.entries().len(), written);
}

#[test]
fn what_is_queued_when_the_writer_is_dropped_is_written() {
    let Bench { folder, writer, reader } = Bench::new();
    let pending: Vec<_> = (0..50).map(|_| writer.append(news("last"), Timestamp(1))).collect();
    let health = writer.health();
    drop(writer);
    for reply in pending {
        wait(reply).expect("written");
    }
    assert_eq!(reader.head().expect("readable").seq, 50);
    assert!(matches!(&*health.borrow(), Health::Unavailable(_)));
    drop(folder);
}

#[test]
fn the_heart_beats_while_nothing_happens() {
    let bench = Bench::new();
    let heartbeat = bench.writer.heartbeat();
    let before = heartbeat.load(SeqCst);
    until("the heart beats", || heartbeat.load(SeqCst) >= before + 2);
}

#[test]
fn the_connection_writes_through_to_the_disk() {
    let bench = Bench::new();
    let conn = crate::journal::sqlite::open_writer(&bench.path()).expect("open");
    let ask = |what: &str| -> String {
        conn.query_row(&format!("SELECT CAST({what} AS TEXT) FROM pragma_{what}"), [], |r| r.get(0))
            .expect("asked")
    };
    assert_eq!(ask("journal_mode"), "wal");
    assert_eq!(ask("synchronous"), "2");
    assert_eq!(ask("recursive_triggers"), "1");
    assert_eq!(ask("trusted_schema"), "0");
}

#[test]
fn the_log_is_moved_into_the_journal_before_it_grows() {
    let bench = Bench::new();
    for _ in 0..300 {
        bench.append(news("down")).expect("written");
    }
    let log = std::fs::metadata(bench.folder.path().join("journal.db-wal")).expect("a log");
    assert!(log.len() < 2 * 1024 * 1024, "{}", log.len());
    let journal = std::fs::metadata(bench.path()).expect("a journal");
    assert!(journal.len() > 50_000, "{}", journal.len());
}
