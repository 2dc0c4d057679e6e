//! Refunds on disk: read as they were written, guarded, checked, and found again
//! after what they are of was archived.

use proptest::prelude::*;

use super::round_trip::{maybe, payment, reason, step, text, time, trouble};
use super::*;
use crate::journal::refunds::{ONE_REFUND, OPEN_REFUNDS, REFUNDED, REFUNDS_OF, REFUNDS_OF_OPEN};
use crate::journal::schema::REBUILD_REFUNDS;
use crate::journal::verify::check_refunds;
use crate::journal::{Archived, ReadError, archive};
use crate::payment::{RefundAttention, RefundThen};

/// A payment that is paid, on disk. (88.88 yuan.)
fn paid_on_disk(bench: &Bench, name: &str) -> Payment {
    let one = requested(name, None);
    bench.append(entry(&one)).expect("written");
    let two = paid(&one);
    bench.append(entry(&two)).expect("written");
    two
}

/// A refund that has come to this end, on disk.
fn refund_on_disk(
    bench: &Bench,
    of: &Payment,
    request: &str,
    fen: u64,
    end: RefundStage,
) -> Refund {
    let one = refund(of, request, fen);
    bench.append(refund_entry(&one)).expect("written");
    let two = moved_to(&one, end);
    bench.append(refund_entry(&two)).expect("written");
    two
}

#[track_caller]
fn refused(bench: &Bench, refund: &Refund) {
    let before = bench.entries().len();
    let refused = bench.append(refund_entry(refund));
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    assert_eq!(bench.entries().len(), before, "neither the row nor the entry");
}

// --- what is written is what is read ------------------------------------------

fn stage_on_the_way() -> impl Strategy<Value = RefundStage> {
    use RefundThen::{Ask, Prove, Refund};
    let then = prop::sample::select(vec![Prove, Refund, Ask]);
    prop_oneof![
        Just(RefundStage::Proving),
        Just(RefundStage::Refunding),
        Just(RefundStage::Asking),
        (time(), then).prop_map(|(until, then)| RefundStage::Resting { until, then }),
    ]
}

fn stage() -> impl Strategy<Value = RefundStage> {
    prop_oneof![stage_on_the_way(), Just(RefundStage::Refunded), Just(RefundStage::Refused)]
}

fn back() -> impl Strategy<Value = Back> {
    let fen = || maybe((0..=1_u64 << 60).prop_map(Fen));
    (maybe(text()), maybe(time()), fen(), fen()).prop_map(|(trade_no, at, total, amount)| Back {
        trade_no,
        at,
        total,
        amount,
    })
}

fn attention() -> impl Strategy<Value = RefundAttention> {
    prop_oneof![
        maybe(trouble()).prop_map(RefundAttention::Unsettled),
        Just(RefundAttention::SellerBalance),
        Just(RefundAttention::DoorClosed),
        Just(RefundAttention::Unproven),
        any::<u32>().prop_map(|fen| RefundAttention::Elsewhere(Fen(fen.into()))),
    ]
}

/// How a refund stands, whatever was asked for.
fn standing() -> impl Strategy<Value = RefundRecord> {
    let heard = (maybe(reason()), maybe(time()), maybe(trouble()));
    let words = (maybe(text()), maybe(text()), prop::sample::select(RefundCause::ALL.to_vec()));
    let asked = (words, any::<u32>(), time());
    (asked, time(), back(), heard, maybe(attention()), stage_on_the_way()).prop_map(
        |(asked, updated_at, back, heard, attention, stage)| {
            let ((reason, operator_id, cause), before, created_at) = asked;
            let (refusal, on_its_way_until, trouble) = heard;
            let refund = refund(&paid(&requested("A1", None)), "R1", 1).record();
            let asked = (*refund.asked).clone();
            let before = Fen(before.into());
            let asked = RefundRequest { reason, operator_id, cause, before, created_at, ..asked };
            let heard = RefundHeard { refusal, on_its_way_until, trouble, ..refund.heard };
            let asked = asked.into();
            RefundRecord { asked, rev: 1, updated_at, back, heard, attention, stage }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn every_refund_is_read_as_it_was_written(
        of in payment(), request in "[A-Za-z0-9_]{1,64}", share in 1..=100_u64,
        stands in prop::collection::vec((standing(), step()), 1..5), last in stage(),
    ) {
        let bench = Bench::new();
        let of = altered(&of, |record| (record.state, record.hint) = (State::Paid, None));
        bench.append(entry(&of)).expect("written");
        let mut asked = (*stands[0].0.asked).clone();
        asked.amount = Amount::from_fen((of.order().amount.fen() * share / 100).max(1)).expect("one");
        (asked.payment, asked.request) = (of.clone(), request.parse().expect("a number"));
        let count = stands.len();
        let written: Vec<_> = (1..).zip(stands).map(|(rev, (stands, step))| {
            let stage = if rev == count { last } else { stands.stage };
            let (rev, asked) = (rev as u64, asked.clone().into());
            (Refund::from(RefundRecord { asked, rev, stage, ..stands }), step)
        }).collect();
        for (refund, step) in &written {
            let entry = Entry::Refund { refund: refund.clone(), step: step.clone() };
            bench.append(entry).expect("written");
        }
        let stands = &written.last().expect("one").0;
        let entries: Vec<_> = written.iter().cloned()
            .map(|(refund, step)| Entry::Refund { refund, step }).collect();
        prop_assert_eq!(&bench.entries()[1..], &entries[..]);
        let number = &of.order().out_trade_no;
        let read = bench.reader.refund(number, &asked.request).expect("readable");
        prop_assert_eq!(read.as_ref(), Some(stands));
        let all = bench.reader.refunds_of(number).expect("readable");
        prop_assert_eq!(&all[..], std::slice::from_ref(stands));
        let steps = bench.reader.steps_after(number, 1, u32::MAX).expect("readable");
        prop_assert_eq!(steps.into_iter().map(|r| r.entry).collect::<Vec<_>>(), entries);
        verify(&bench.path()).expect("sound");
        let bench = bench.reopen();
        let open = bench.reader.open_refunds().expect("readable");
        prop_assert_eq!(open, if stands.is_final() { vec![] } else { vec![stands.clone()] });
    }
}

#[test]
fn what_was_asked_for_is_written_once() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    refund_on_disk(&bench, &of, "R1", 500, RefundStage::Refunded);
    let count: i64 = bench
        .sql()
        .query_row("SELECT count(*) FROM entries WHERE body LIKE '%凉了%'", [], |row| row.get(0))
        .expect("counted");
    assert_eq!(count, 1);
}

#[test]
fn a_start_finds_the_open_refunds_and_those_that_an_open_payment_waits_for() {
    let bench = Bench::new();
    let (one, two) = (paid_on_disk(&bench, "A1"), paid_on_disk(&bench, "A2"));
    refund_on_disk(&bench, &one, "R1", 500, RefundStage::Refunded);
    refund_on_disk(&bench, &two, "R1", 500, RefundStage::Refused);
    let owing = changed(&requested("A3", None), State::Owing);
    bench.append(entry(&requested("A3", None))).expect("written");
    bench.append(entry(&owing)).expect("written");
    let own = refund_on_disk(&bench, &owing, "A3", 8888, RefundStage::Refunded);
    let open = refund(&one, "R2", 600);
    bench.append(refund_entry(&open)).expect("written");
    assert_eq!(bench.reader.open_refunds().expect("readable"), [open.clone(), own]);
    let back = |name: &str| {
        let back = bench.reader.refunded(&number(name)).expect("readable");
        (back.amount.0, back.count)
    };
    assert_eq!((back("A1"), back("A2"), back("A3")), ((500, 1), (0, 0), (8888, 1)));
    assert_eq!(bench.reader.refunds_of(&number("A2")).expect("readable").len(), 1);
    let missing = bench.reader.refund(&number("A2"), &open.asked().request).expect("readable");
    assert_eq!(missing, None, "the other payment has that number, this one has not");
}

#[test]
fn everything_about_refunds_is_found_through_an_index() {
    let bench = Bench::new();
    let sum = "SELECT coalesce(sum(amount_fen), 0) FROM refunds
               WHERE out_trade_no = ?1 AND state <> 'refused'";
    for (sql, indexes) in [
        (OPEN_REFUNDS, &["refunds_one_open"][..]),
        (REFUNDS_OF_OPEN, &["payments_open", "sqlite_autoindex_refunds_1"]),
        (REFUNDS_OF, &["sqlite_autoindex_refunds_1"]),
        (ONE_REFUND, &["sqlite_autoindex_refunds_1 (out_trade_no=? AND out_request_no=?)"]),
        (REFUNDED, &["sqlite_autoindex_refunds_1"]),
        (sum, &["sqlite_autoindex_refunds_1"]),
    ] {
        let plan = bench.reader.with_connection(|conn| super::reading::plan(conn, sql));
        for index in indexes {
            assert!(plan.contains(index), "{sql}\n{plan}");
        }
        // The open ones are few, and all of them are wanted.
        let others = plan.replace("SCAN refunds USING INDEX refunds_one_open", "");
        assert!(!others.contains("SCAN"), "{sql}\n{plan}");
    }
}

// --- what the schema refuses --------------------------------------------------

#[test]
fn two_refunds_of_one_payment_are_never_open_at_once() {
    let bench = Bench::new();
    let (of, other) = (paid_on_disk(&bench, "A1"), paid_on_disk(&bench, "A2"));
    let one = refund(&of, "R1", 100);
    bench.append(refund_entry(&one)).expect("written");
    refused(&bench, &refund(&of, "R2", 100));
    bench.append(refund_entry(&refund(&other, "R2", 100))).expect("of another payment");
    bench.append(refund_entry(&moved_to(&one, RefundStage::Refunded))).expect("written");
    bench.append(refund_entry(&refund(&of, "R2", 100))).expect("once the first is over");
    verify(&bench.path()).expect("sound");
}

#[test]
fn no_more_is_to_go_back_than_was_paid() {
    let bench = Bench::new();
    refused(&bench, &refund(&paid(&requested("A9", None)), "R1", 1));
    let of = paid_on_disk(&bench, "A1");
    refused(&bench, &refund(&of, "R1", 8889));
    refund_on_disk(&bench, &of, "R1", 5000, RefundStage::Refunded);
    refused(&bench, &refund(&of, "R2", 3889));
    refund_on_disk(&bench, &of, "R2", 3888, RefundStage::Refused);
    refund_on_disk(&bench, &of, "R3", 3888, RefundStage::Refunded);
    refused(&bench, &refund(&of, "R4", 1));
    let back = bench.reader.refunded(&number("A1")).expect("readable");
    assert_eq!((back.amount, back.count), (Fen(8888), 2));
    verify(&bench.path()).expect("sound");
}

#[test]
fn a_refunds_history_is_one_and_ends_once() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    let one = refund(&of, "R1", 500);
    refused(&bench, &moved_to(&one, RefundStage::Asking));
    bench.append(refund_entry(&one)).expect("written");
    refused(&bench, &one);
    refused(&bench, &moved_to(&moved_to(&one, RefundStage::Asking), RefundStage::Refunded));
    let two = moved_to(&one, RefundStage::Refunded);
    bench.append(refund_entry(&two)).expect("written");
    for stage in [RefundStage::Refused, RefundStage::Refunding] {
        refused(&bench, &moved_to(&two, stage));
    }
    // Its number is taken for ever, whatever is asked for under it.
    refused(&bench, &refund(&of, "R1", 1));
    assert_eq!(bench.reader.refunds_of(&number("A1")).expect("readable"), [two]);
}

#[test]
fn what_a_refund_is_about_never_changes() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    let one = refund(&of, "R1", 500);
    bench.append(refund_entry(&one)).expect("written");
    // A later entry has no word in it.
    let mut record = moved_to(&one, RefundStage::Refunded).record();
    let asked = (*record.asked).clone();
    let amount = Amount::from_fen(5000).expect("an amount");
    record.asked = RefundRequest { amount, cause: RefundCause::Late, ..asked }.into();
    bench.append(refund_entry(&record.into())).expect("written");
    let read = bench.reader.refunds_of(&number("A1")).expect("readable");
    assert_eq!(read, [moved_to(&one, RefundStage::Refunded)]);
    let conn = bench.sql();
    for change in [
        "amount_fen = 501",
        "cause = 'undo'",
        "out_request_no = 'R9'",
        "out_trade_no = 'A9'",
        "state = 'refused'",
        "open = 1",
    ] {
        let refused = conn.execute_batch(&format!("UPDATE refunds SET {change}"));
        assert!(refused.is_err(), "{change}");
    }
    verify(&bench.path()).expect("sound");
}

// --- what is noticed ----------------------------------------------------------

/// One refund of each kind: given back, refused, open.
fn bench_of_three() -> Bench {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    refund_on_disk(&bench, &of, "R1", 500, RefundStage::Refunded);
    refund_on_disk(&bench, &of, "R2", 600, RefundStage::Refused);
    let open = refund(&of, "R3", 700);
    bench.append(refund_entry(&open)).expect("written");
    bench.append(refund_entry(&moved_to(&open, RefundStage::Asking))).expect("written");
    bench
}

fn rows(conn: &Connection) -> Vec<String> {
    let sql = "SELECT json_array(first_seq, out_trade_no, out_request_no, last_seq, rev, state,
                                 open, cause, amount_fen)
               FROM refunds ORDER BY first_seq";
    let mut statement = conn.prepare(sql).expect("prepared");
    let rows = statement.query_map([], |row| row.get(0)).expect("queried");
    rows.collect::<Result<_, _>>().expect("read")
}

#[test]
fn the_list_of_refunds_can_be_rebuilt_from_the_entries() {
    let bench = bench_of_three();
    let conn = bench.sql();
    let before = rows(&conn);
    assert_eq!(before.len(), 3);
    conn.execute_batch(&format!("BEGIN; {REBUILD_REFUNDS} COMMIT")).expect("rebuilt");
    assert_eq!(rows(&conn), before);
    verify(&bench.path()).expect("sound");
}

#[test]
fn a_list_of_refunds_that_does_not_follow_from_the_entries_is_noticed() {
    for sql in [
        "UPDATE refunds SET open = 0, state = 'refused' WHERE out_request_no = 'R3'",
        "UPDATE refunds SET state = 'refused' WHERE out_request_no = 'R1'",
        "UPDATE refunds SET state = 'refunded' WHERE out_request_no = 'R2'",
        "UPDATE refunds SET last_seq = first_seq WHERE out_request_no = 'R1'",
        "UPDATE refunds SET first_seq = 90 WHERE out_request_no = 'R1'",
        "UPDATE refunds SET rev = 9 WHERE out_request_no = 'R1'",
        "UPDATE refunds SET cause = 'late' WHERE out_request_no = 'R1'",
        "UPDATE refunds SET amount_fen = 1 WHERE out_request_no = 'R1'",
        "UPDATE refunds SET out_request_no = 'R9' WHERE out_request_no = 'R1'",
        "UPDATE refunds SET out_trade_no = 'A9' WHERE out_request_no = 'R1'",
        "DELETE FROM refunds WHERE out_request_no = 'R1'",
        "DELETE FROM refunds WHERE out_request_no = 'R2'",
        "INSERT INTO refunds VALUES(99, 'A1', 'R9', 99, 1, 'refunded', 0, 'register', 1)",
    ] {
        let folder = bench_of_three().close();
        let path = folder.path().join("journal.db");
        behind_the_guards(&path, sql);
        let conn = Connection::open(&path).expect("open");
        let found = check_refunds(&path, &conn);
        assert!(matches!(found, Err(VerifyError::Refunds { .. })), "{sql}: {found:?}");
        drop(conn);
        assert!(verify(&path).is_err(), "{sql}");
    }
}

/// What a start relies on: the newest entries, and what is open.
#[test]
fn a_start_refuses_a_journal_whose_refunds_are_not_right() {
    for sql in [
        "UPDATE refunds SET last_seq = first_seq WHERE out_request_no = 'NEW'",
        "DELETE FROM refunds WHERE out_request_no = 'NEW'",
        "DELETE FROM refunds WHERE out_request_no = 'NEWER'",
        "UPDATE refunds SET last_seq = 999 WHERE out_request_no = 'OPEN'",
        "UPDATE refunds SET open = 1 WHERE out_request_no = 'OLD'",
        "UPDATE entries SET at_ms = 2 WHERE seq = 5",
        "UPDATE entries SET at_ms = 2 WHERE seq = 6",
        "DELETE FROM entries WHERE seq = 5",
        "DELETE FROM payments WHERE out_trade_no = 'A1'",
    ] {
        let bench = Bench::new();
        let (of, other) = (paid_on_disk(&bench, "A1"), paid_on_disk(&bench, "A2"));
        // Entries 5 and 6, which no start looks at but for this refund.
        let waits = refund(&of, "OPEN", 700);
        bench.append(refund_entry(&waits)).expect("written");
        bench.append(refund_entry(&moved_to(&waits, RefundStage::Asking))).expect("written");
        refund_on_disk(&bench, &other, "OLD", 100, RefundStage::Refunded);
        let many: Vec<_> = (0..300)
            .map(|i| bench.writer.append(finished(&format!("B{i}")), Timestamp(1)))
            .collect();
        many.into_iter().for_each(|pending| assert!(wait(pending).is_ok()));
        refund_on_disk(&bench, &other, "NEW", 100, RefundStage::Refunded);
        refund_on_disk(&bench, &other, "NEWER", 100, RefundStage::Refunded);
        let folder = bench.close();
        let path = folder.path().join("journal.db");
        behind_the_guards(&path, sql);
        let opened = open(&path);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{sql}: {:?}", opened.err());
    }
}

// --- refunds and archives -----------------------------------------------------

const OLD: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(9_000_000);

fn append_at(bench: &Bench, entry: Entry, at: i64) {
    wait(bench.writer.append(entry, Timestamp(at))).expect("written");
}

/// All refunds of these payments, each as it stands, and what went back.
fn standing_of(reader: &Reader, names: &[&str]) -> Vec<(Vec<Refund>, u64)> {
    let of = |name: &&str| {
        let refunds = reader.refunds_of(&number(name)).expect("readable");
        let back = reader.refunded(&number(name)).expect("readable").amount.0;
        for refund in &refunds {
            let one = reader.refund(&number(name), &refund.asked().request).expect("readable");
            assert_eq!(one.as_ref(), Some(refund));
        }
        (refunds, back)
    };
    names.iter().map(of).collect()
}

#[track_caller]
fn archived(folder: &TempDir, before: Timestamp) -> Archived {
    let done = archive(&folder.path().join("journal.db"), &key(), before, None);
    let done = done.unwrap_or_else(|why| panic!("{why}: {:?}", std::error::Error::source(&why)));
    let done = done.expect("there is something");
    verify(&done.file).expect("the archive is sound");
    verify(&folder.path().join("journal.db")).expect("what is left is sound");
    done
}

#[test]
fn a_payment_is_archived_with_its_refunds_and_both_are_still_known() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    refund_on_disk(&bench, &of, "R1", 5000, RefundStage::Refunded);
    refund_on_disk(&bench, &of, "R2", 3000, RefundStage::Refused);
    let before = standing_of(&bench.reader, &["A1"]);
    let folder = bench.close();
    let done = archived(&folder, OLD);
    assert_eq!((done.entries, done.payments), ((1, 6), 1));
    let (writer, reader) = open(&folder.path().join("journal.db")).expect("the journal");
    assert_eq!(standing_of(&reader, &["A1"]), before);
    // What went back still counts, and the numbers are taken.
    let bench = Bench { writer, reader, folder };
    refused(&bench, &refund(&of, "R1", 1));
    refused(&bench, &refund(&of, "R2", 1));
    refused(&bench, &refund(&of, "R3", 3889));
    bench.append(refund_entry(&refund(&of, "R3", 3888))).expect("what is left");
    let bench = bench.reopen();
    assert_eq!(bench.reader.open_refunds().expect("readable").len(), 1);
}

#[test]
fn a_payment_with_an_open_refund_may_go_and_its_refund_stays() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    let one = refund(&of, "R1", 500);
    bench.append(refund_entry(&one)).expect("written");
    append_at(&bench, finished("A2"), 1_000);
    let before = standing_of(&bench.reader, &["A1", "A2"]);
    let folder = bench.close();
    // The payment is over and its refund began behind it: the cut is between.
    assert_eq!(archived(&folder, OLD).entries, (1, 2));
    let (writer, reader) = open(&folder.path().join("journal.db")).expect("the journal");
    let bench = Bench { writer, reader, folder };
    assert_eq!(standing_of(&bench.reader, &["A1", "A2"]), before);
    assert_eq!(bench.reader.open_refunds().expect("readable"), std::slice::from_ref(&one));
    assert_eq!(bench.entries()[0], refund_entry(&one), "readable without its payment's entries");
    let nothing = archive(&bench.folder.path().join("journal.db"), &key(), LATER, None);
    assert!(nothing.is_err(), "it is in use");
    bench.append(refund_entry(&moved_to(&one, RefundStage::Refunded))).expect("written");
    verify(&bench.path()).expect("sound");
}

/// A payment of January, refunded in March, archived in April and in June.
#[test]
fn a_refund_of_a_payment_that_was_archived_is_archived_in_its_turn() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    refund_on_disk(&bench, &of, "R1", 500, RefundStage::Refunded);
    let two = paid_on_disk(&bench, "A2");
    let folder = bench.close();
    archived(&folder, OLD);
    let (writer, reader) = open(&folder.path().join("journal.db")).expect("the journal");
    let bench = Bench { writer, reader, folder };
    for (of, request) in [(&of, "R2"), (&two, "R1")] {
        let one = refund(of, request, 600);
        append_at(&bench, refund_entry(&one), 2_000_000);
        append_at(&bench, refund_entry(&moved_to(&one, RefundStage::Refunded)), 2_000_001);
    }
    append_at(&bench, finished("A3"), 2_000_002);
    let before = standing_of(&bench.reader, &["A1", "A2", "A3"]);
    assert_eq!((before[0].0.len(), before[0].1), (2, 1100));
    let folder = bench.close();
    let done = archived(&folder, LATER);
    assert_eq!((done.entries, done.payments), ((7, 11), 1), "A3's, and the refunds");
    let in_archive = verify(&done.file).expect("sound");
    assert_eq!((in_archive.entries, in_archive.archived), (5, 6));
    let (writer, reader) = open(&folder.path().join("journal.db")).expect("the journal");
    assert_eq!(standing_of(&reader, &["A1", "A2", "A3"]), before);
    let bench = Bench { writer, reader, folder };
    refused(&bench, &refund(&of, "R3", 8888 - 1100 + 1));
    refund_on_disk(&bench, &of, "R3", 8888 - 1100, RefundStage::Refunded);
    let folder = bench.close();
    archived(&folder, LATER);
}

/// What is kept of an archived refund is what it was.
#[test]
fn what_is_kept_of_a_refund_is_under_the_key() {
    let bench = Bench::new();
    let of = paid_on_disk(&bench, "A1");
    refund_on_disk(&bench, &of, "R1", 500, RefundStage::Refunded);
    let folder = bench.close();
    let path = folder.path().join("journal.db");
    archived(&folder, OLD);
    for sql in [
        "UPDATE kept SET body = replace(body, '500', '501') WHERE first_seq = 3",
        "DELETE FROM kept WHERE first_seq = 3",
    ] {
        let copy = tempfile::tempdir().expect("a folder");
        let other = copy.path().join("journal.db");
        std::fs::copy(&path, &other).expect("copied");
        behind_the_guards(&other, sql);
        assert!(verify(&other).is_err(), "{sql}");
    }
    let conn = Connection::open(&path).expect("open");
    conn.execute_batch("DELETE FROM kept WHERE first_seq = 3").expect("gone");
    drop(conn);
    let (_writer, reader) = open(&path).expect("a start does not read what is archived");
    let read = reader.refunds_of(&number("A1"));
    assert!(matches!(read, Err(ReadError::Damaged { seq: 3, .. })), "{read:?}");
    assert_eq!(reader.refunded(&number("A1")).expect("readable").amount, Fen(500));
}
