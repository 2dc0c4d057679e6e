//! What the key proves, and the tables that version 3 has room for.

use rusqlite::{Connection, StatementStatus};

use super::*;
use crate::journal::chain::{Hash, Link};
use crate::journal::reader::{LATEST_OF_SALE, OF_CODE, OF_NUMBER, OF_SALE};
use crate::journal::sqlite::{ADD_ENTRY, BEGIN_PAYMENT, CHANGES};
use crate::journal::verify as verify_with;

fn journal() -> (TempDir, PathBuf) {
    let bench = Bench::new();
    let one = requested("A1", None);
    for entry in [
        entry(&one),
        finished("A2"),
        entry(&changed(&one, State::Paying)),
        finished("A3"),
        news("down"),
    ] {
        bench.append(entry).expect("written");
    }
    let folder = bench.close();
    let path = folder.path().join("journal.db");
    (folder, path)
}

/// What somebody without the key can do: change anything, and work out every hash
/// anew. The note is gone with it.
fn forge(path: &Path, sql: &str) {
    let conn = Connection::open(path).expect("open");
    let guards: Vec<(String, String)> = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .expect("prepared")
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("queried")
        .collect::<Result<_, _>>()
        .expect("read");
    for (name, _) in &guards {
        conn.execute_batch(&format!("DROP TRIGGER {name}")).expect("disarmed");
    }
    conn.execute_batch(sql).expect("changed");
    type Row = (i64, i64, String, Option<String>, String);
    let rows: Vec<Row> = conn
        .prepare("SELECT seq, at_ms, kind, out_trade_no, body FROM entries ORDER BY seq")
        .expect("prepared")
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .expect("queried")
        .collect::<Result<_, _>>()
        .expect("read");
    let mut prev: Hash = [0; 32];
    for (seq, at_ms, kind, number, body) in rows {
        let hash = Link {
            prev: &prev,
            seq,
            at_ms,
            kind: kind.as_bytes(),
            out_trade_no: number.as_ref().map(String::as_bytes),
            body: body.as_bytes(),
        }
        .hash();
        conn.execute("UPDATE entries SET prev = ?1, hash = ?2 WHERE seq = ?3", (prev, hash, seq))
            .expect("forged");
        prev = hash;
    }
    for (_, sql) in &guards {
        conn.execute_batch(sql).expect("armed");
    }
    drop(conn);
    std::fs::remove_file(path.with_file_name(".journal.db-head")).expect("no note");
}

const ANOTHER_AMOUNT: &str = "
UPDATE entries SET body = replace(body, '8888', '1') WHERE out_trade_no = 'A2';
UPDATE payments SET amount_fen = 1 WHERE out_trade_no = 'A2'";

#[test]
fn who_works_out_the_hashes_anew_is_found_out_by_the_key() {
    for (what, sql) in [
        ("an amount", ANOTHER_AMOUNT),
        (
            "the last entry",
            "DELETE FROM entries WHERE seq = 5; UPDATE entries SET at_ms = 7 WHERE seq = 4",
        ),
        ("no tag", "UPDATE entries SET tag = NULL WHERE seq >= 4"),
        ("another's tag", "UPDATE entries SET tag = (SELECT tag FROM entries WHERE seq = 1)"),
        ("no word of a key", "DELETE FROM keyed"),
        (
            "a later key",
            "UPDATE keyed SET from_seq = 4; UPDATE entries SET tag = NULL WHERE seq < 4",
        ),
    ] {
        let (_folder, path) = journal();
        assert_eq!(verify(&path).expect("sound").proven, 5);
        forge(&path, sql);
        let found = verify(&path);
        assert!(matches!(found, Err(VerifyError::Entry { .. })), "{what}: {found:?}");
        let error = refusal(&path);
        assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
    }
    // Without the key it cannot be told.
    let (_folder, path) = journal();
    forge(&path, ANOTHER_AMOUNT);
    let report = verify_with(&path, None).expect("sound, as far as can be seen");
    assert_eq!((report.proven, report.other_key), (0, 5));
}

#[test]
fn a_shop_that_changes_its_key_goes_on() {
    let (_folder, path) = journal();
    let new = ChainKey::new(b"the new key");
    for _ in 0..2 {
        let (writer, _reader) = super::super::open(&path, &new).expect("the journal");
        wait(writer.append(news("up"), Timestamp(1))).expect("written");
    }
    let told = |key: Option<&ChainKey>| {
        let report = verify_with(&path, key).expect("sound");
        (report.entries, report.proven, report.other_key)
    };
    assert_eq!(told(Some(&new)), (7, 2, 5));
    assert_eq!(told(Some(&key())), (7, 5, 2));
    assert_eq!(told(None), (7, 0, 7));
    // Changed again, and back, before anything was written.
    drop(super::super::open(&path, &ChainKey::new(b"by mistake")).expect("the journal"));
    let (writer, _reader) = super::super::open(&path, &new).expect("the journal");
    wait(writer.append(news("down"), Timestamp(1))).expect("written");
    drop(writer);
    assert_eq!(told(Some(&new)), (8, 3, 5));
}

#[test]
fn entries_of_before_the_key_are_tied_to_it_from_then_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    std::fs::copy(super::opening::version_1_file(), &path).expect("copied");
    let (writer, _reader) = open(&path).expect("the journal");
    wait(writer.append(news("nine"), Timestamp(1))).expect("written");
    drop(writer);
    let report = verify(&path).expect("sound");
    assert_eq!((report.entries, report.proven, report.other_key), (9, 1, 0));
    forge(&path, "UPDATE entries SET at_ms = 7 WHERE seq = 1");
    assert!(matches!(verify(&path), Err(VerifyError::Entry { seq: 9, .. })));
}

#[test]
fn both_older_versions_are_brought_up_whole() {
    for (file, payments) in
        [(super::opening::version_1_file(), 3), (super::opening::version_2_file(), 2)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.db");
        std::fs::copy(&file, &path).expect("copied");
        let (writer, reader) = open(&path).expect("the journal");
        let one = requested("A1", None);
        wait(writer.append(entry(&one), Timestamp(1))).expect("written");
        wait(writer.append(entry(&paid(&one)), Timestamp(1))).expect("written");
        drop((writer, reader));
        // Whole rows are compared, and all of the schema.
        let report = verify(&path).expect("sound");
        assert_eq!((report.payments, report.proven), (payments + 1, 2), "{}", file.display());
        let conn = Connection::open(&path).expect("open");
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("read");
        assert_eq!(count("SELECT count(*) FROM payments WHERE amount_fen IS NULL"), 0);
        assert_eq!(count("SELECT user_version FROM pragma_user_version"), 3);
    }
}

// --- room for what comes next ----------------------------------------------------

#[test]
fn refunds_never_exceed_what_was_paid_and_never_change() {
    let refund = |first: i64, request: &str, state: &str, open: u8, fen: i64| {
        format!(
            "INSERT INTO refunds VALUES({first}, 'A2', '{request}', {first}, 1, '{state}', {open},
                                        'register', {fen})"
        )
    };
    let part = refund(10, "R1", "refunded", 0, 8000);
    let open = refund(10, "R1", "processing", 1, 8000);
    type Case<'a> = (&'a str, Vec<String>, Option<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        ("all of it", vec![refund(10, "R1", "refunded", 0, 8888)], None),
        ("in parts", vec![part.clone(), refund(11, "R2", "processing", 1, 888)], None),
        (
            "too much",
            vec![],
            Some(
                "INSERT INTO refunds VALUES(10, 'A2', 'R1', 10, 1, 'processing', 1, 'register', 8889)",
            ),
        ),
        (
            "more than is left",
            vec![part.clone()],
            Some(
                "INSERT INTO refunds VALUES(11, 'A2', 'R2', 11, 1, 'processing', 1, 'register', 889)",
            ),
        ),
        (
            "more than is left beside an open one",
            vec![open.clone()],
            Some(
                "INSERT OR REPLACE INTO refunds VALUES(11, 'A2', 'R2', 11, 1, 'refunded', 0, 'register', 889)",
            ),
        ),
        (
            "after one that was refused",
            vec![refund(10, "R1", "refused", 0, 8000), refund(11, "R2", "refunded", 0, 8888)],
            None,
        ),
        (
            "a second open one",
            vec![open.clone()],
            Some(
                "INSERT INTO refunds VALUES(11, 'A2', 'R2', 11, 1, 'processing', 1, 'register', 1)",
            ),
        ),
        (
            "a number twice",
            vec![part.clone()],
            Some(
                "INSERT INTO refunds VALUES(11, 'A2', 'R1', 11, 1, 'processing', 1, 'register', 1)",
            ),
        ),
        (
            "of no payment",
            vec![],
            Some(
                "INSERT INTO refunds VALUES(10, 'A9', 'R1', 10, 1, 'processing', 1, 'register', 1)",
            ),
        ),
        (
            "nothing",
            vec![],
            Some(
                "INSERT INTO refunds VALUES(10, 'A2', 'R1', 10, 1, 'processing', 1, 'register', 0)",
            ),
        ),
        (
            "ends",
            vec![
                open.clone(),
                "UPDATE refunds SET state = 'refunded', open = 0, rev = 2".to_owned(),
            ],
            None,
        ),
        ("a final one opens", vec![part.clone()], Some("UPDATE refunds SET open = 1")),
        ("a final one changes", vec![part.clone()], Some("UPDATE refunds SET state = 'refused'")),
        ("another amount", vec![open.clone()], Some("UPDATE refunds SET amount_fen = 1")),
        ("another number", vec![open.clone()], Some("UPDATE refunds SET out_request_no = 'R9'")),
        ("of another payment", vec![open], Some("UPDATE refunds SET out_trade_no = 'A3'")),
    ];
    let (_folder, path) = journal();
    let conn = Connection::open(&path).expect("open");
    conn.execute_batch("PRAGMA recursive_triggers = ON").expect("set");
    for (what, before, refused) in cases {
        conn.execute_batch("SAVEPOINT fresh").expect("begun");
        for sql in before {
            conn.execute_batch(&sql).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        if let Some(sql) = refused {
            assert!(conn.execute_batch(sql).is_err(), "{what}");
        }
        conn.execute_batch("ROLLBACK TO fresh; RELEASE fresh").expect("undone");
    }
}

/// Pages written to the log by the entries of one payment, one after the other.
fn pages_per_entry(bench: &Bench) -> Vec<u64> {
    let log = bench.folder.path().join("journal.db-wal");
    let frames = || std::fs::metadata(&log).expect("there").len() / (4096 + 24);
    let mark = CodeMark([0x5a; 16]);
    let one = requested("20260320010101001", Some("S1"));
    let two = paying_by_code(&one, mark);
    let three = changed(&two, State::Querying);
    let four = paid(&three);
    [&one, &two, &three, &four]
        .into_iter()
        .map(|payment| {
            let before = frames();
            bench.append(entry(payment)).expect("written");
            frames() - before
        })
        .collect()
}

#[test]
fn an_entry_writes_few_pages() {
    let bench = Bench::new();
    // Beyond the first pages of each tree, and with the log at its beginning.
    for i in 0..300 {
        bench.append(finished(&format!("F{i}"))).expect("written");
    }
    let bench = bench.reopen();
    let pages = pages_per_entry(&bench);
    eprintln!("pages per entry: {pages:?}");
    assert!(pages.iter().zip([9, 6, 4, 5]).all(|(found, most)| *found <= most), "{pages:?}");
}

#[test]
fn no_statement_is_planned_anew_at_each_use() {
    let bench = Bench::new();
    let conn = crate::journal::sqlite::open_writer(&bench.path()).expect("open");
    let mut tip = crate::journal::sqlite::Tip::NONE;
    for i in 0..5 {
        let one = requested(&format!("A{i}"), Some("S1"));
        let two = paying_by_code(&one, CodeMark([i; 16]));
        let three = changed(&two, State::Querying);
        for payment in [&one, &two, &three, &cancelled(&three)] {
            let draft = crate::journal::rows::Draft::of(&entry(payment)).expect("a draft");
            tip = crate::journal::sqlite::insert(&conn, &draft, 1, &tip, &key()).expect("inserted");
        }
        let reader = &bench.reader;
        reader.payment(&number(&format!("A{i}"))).expect("readable").expect("it");
        reader.attempt_for_sale(&format!("S{i}")).expect("readable");
        reader.payment_of_code(CodeMark([i; 16])).expect("readable").expect("it");
    }
    let check = |conn: &Connection, sqls: &[&str]| {
        for sql in sqls {
            let statement = conn.prepare_cached(sql).expect("prepared");
            assert!(statement.get_status(StatementStatus::Run) > 1, "{sql}");
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
        }
    };
    check(&conn, &[ADD_ENTRY, BEGIN_PAYMENT]);
    check(&conn, &CHANGES);
    bench.reader.with_connection(|conn| {
        check(conn, &[OF_NUMBER, OF_SALE, LATEST_OF_SALE, OF_CODE]);
    });
}
