//! What is written stays as it is, and a change is noticed.

use super::*;
use crate::journal::schema::REBUILD_PAYMENTS;

fn bench() -> Bench {
    let bench = Bench::new();
    let (one, two) = (requested("A1", Some("S1")), requested("A2", None));
    for entry in [
        entry(&one),
        news("down"),
        entry(&two),
        entry(&cancelled(&one)),
        entry(&requested("A3", Some("S1"))),
        entry(&paying_by_code(&two, CodeMark([0x77; 16]))),
    ] {
        bench.append(entry).expect("written");
    }
    bench
}

#[test]
fn entries_can_only_be_added() {
    let values = "at_ms, kind, out_trade_no, body, prev, hash, tag FROM entries WHERE seq";
    let chained = "at_ms, kind, out_trade_no, body, hash, hash, tag FROM entries WHERE seq";
    let untagged = "at_ms, kind, out_trade_no, body, hash, hash, NULL FROM entries WHERE seq";
    for sql in [
        "UPDATE entries SET at_ms = 0",
        "UPDATE entries SET body = '{}' WHERE seq = 2",
        "UPDATE OR IGNORE entries SET body = '{}' WHERE seq = 2",
        "UPDATE OR REPLACE entries SET seq = 1 WHERE seq = 6",
        "DELETE FROM entries",
        "DELETE FROM entries WHERE seq = 6",
        &format!("INSERT OR REPLACE INTO entries SELECT 1, {values} = 2"),
        &format!("REPLACE INTO entries SELECT 6, {values} = 6"),
        &format!("INSERT OR IGNORE INTO entries SELECT 6, {values} = 6"),
        &format!("INSERT INTO entries SELECT 6, {values} = 6 ON CONFLICT DO UPDATE SET at_ms = 0"),
        // A gap, no number, a number that is not left to chance.
        &format!("INSERT INTO entries SELECT 8, {values} = 6"),
        &format!("INSERT INTO entries SELECT NULL, {values} = 6"),
        &format!("INSERT INTO entries SELECT 0, {values} = 6"),
        &format!("INSERT INTO entries SELECT -1, {values} = 6"),
        &format!("INSERT INTO entries SELECT 8, {chained} = 6"),
        &format!("INSERT INTO entries SELECT -1, {chained} = 6"),
        &format!("INSERT INTO entries SELECT NULL, {chained} = 6"),
        &format!("INSERT OR REPLACE INTO entries SELECT 6, {chained} = 6"),
        &format!("INSERT OR REPLACE INTO entries SELECT 2, {chained} = 6"),
        // The right number, tied to the right entry, by nobody.
        &format!("INSERT INTO entries SELECT 7, {untagged} = 6"),
        // The right number, tied to the wrong entry.
        &format!("INSERT INTO entries SELECT 7, {values} = 6"),
        &format!("INSERT OR REPLACE INTO entries SELECT 7, {values} = 6"),
    ] {
        for recursive in ["ON", "OFF"] {
            let bench = bench();
            let before = bench.entries();
            let conn = bench.sql();
            conn.execute_batch(&format!("PRAGMA recursive_triggers = {recursive}")).expect("set");
            let refused = conn.execute_batch(sql);
            assert!(refused.is_err(), "{sql}, recursive_triggers {recursive}");
            assert_eq!(bench.entries(), before, "{sql}, recursive_triggers {recursive}");
            verify(&bench.path()).expect("sound");
        }
    }
}

#[test]
fn an_entry_has_no_unique_column_besides_its_number() {
    // A REPLACE that collides with another unique column deletes a row without
    // asking any trigger.
    let bench = bench();
    let unique: i64 = bench
        .sql()
        .query_row("SELECT count(*) FROM pragma_index_list('entries') WHERE \"unique\"", [], |r| {
            r.get(0)
        })
        .expect("counted");
    assert_eq!(unique, 0);
}

#[test]
fn a_final_payment_never_changes() {
    let bench = Bench::new();
    let one = requested("A1", None);
    bench.append(entry(&one)).expect("written");
    let two = cancelled(&one);
    bench.append(entry(&two)).expect("written");
    let refused = bench.append(entry(&paid(&two)));
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    assert_eq!(bench.entries().len(), 2);
}

/// Sets one byte of one field, behind the back of the triggers.
fn tamper(conn: &Connection, seq: i64, column: &str, bytes: &[u8]) {
    let value = match column {
        "at_ms" => "CAST(CAST(?1 AS TEXT) AS INTEGER)",
        "kind" | "out_trade_no" | "body" => "CAST(?1 AS TEXT)",
        _ => "?1",
    };
    conn.execute(&format!("UPDATE entries SET {column} = {value} WHERE seq = ?2"), (bytes, seq))
        .expect("changed");
}

#[test]
fn every_flipped_byte_of_an_entry_is_noticed() {
    let folder = bench().close();
    let path = folder.path().join("journal.db");
    let conn = Connection::open(&path).expect("open");
    conn.execute_batch("DROP TRIGGER entries_no_update; PRAGMA ignore_check_constraints = ON;")
        .expect("disarmed");
    let mut flips = 0;
    for seq in 1..=6_i64 {
        for column in ["at_ms", "kind", "out_trade_no", "body", "prev", "hash"] {
            let sql =
                format!("SELECT coalesce(CAST({column} AS BLOB), x'') FROM entries WHERE seq = ?1");
            let sound: Vec<u8> = conn.query_row(&sql, [seq], |row| row.get(0)).expect("read");
            for at in 0..sound.len() {
                let mut bytes = sound.clone();
                // For numbers, another digit.
                bytes[at] ^= 1;
                conn.execute_batch("SAVEPOINT tampered").expect("begun");
                tamper(&conn, seq, column, &bytes);
                let found = crate::journal::verify::check_entries(&path, &conn, None);
                let Err(VerifyError::Entry { seq: named, .. }) = found else {
                    panic!("byte {at} of {column} of entry {seq} was not noticed");
                };
                assert_eq!(named, seq.unsigned_abs());
                conn.execute_batch("ROLLBACK TO tampered; RELEASE tampered").expect("undone");
                flips += 1;
            }
        }
    }
    assert!(flips > 1000, "{flips}");
}

#[test]
fn a_number_that_was_not_there_is_noticed() {
    let folder = bench().close();
    let path = folder.path().join("journal.db");
    let conn = Connection::open(&path).expect("open");
    conn.execute_batch(
        "DROP TRIGGER entries_no_update; UPDATE entries SET out_trade_no = '' WHERE seq = 2",
    )
    .expect("changed");
    let found = crate::journal::verify::check_entries(&path, &conn, None);
    assert!(matches!(found, Err(VerifyError::Entry { seq: 2, .. })));
}

#[test]
fn an_entry_taken_from_the_middle_is_noticed() {
    let folder = bench().close();
    let path = folder.path().join("journal.db");
    let conn = Connection::open(&path).expect("open");
    conn.execute_batch("DROP TRIGGER entries_no_delete; DELETE FROM entries WHERE seq = 3")
        .expect("changed");
    assert!(matches!(verify(&path), Err(VerifyError::Entry { seq: 4, .. })));
}

#[test]
fn the_list_of_payments_can_be_rebuilt_from_the_entries() {
    let bench = bench();
    // The wall clock went back before this one.
    bench.append(entry(&requested_at("A4", None, 5))).expect("written");
    let conn = bench.sql();
    let rows = || -> Vec<String> {
        let sql = "SELECT json_array(first_seq, out_trade_no, last_seq, rev, state, open, sale,
                                     created_at_ms, clock_ms, mark, amount_fen)
                   FROM payments ORDER BY first_seq";
        let mut statement = conn.prepare(sql).expect("prepared");
        let rows = statement.query_map([], |row| row.get(0)).expect("queried");
        rows.collect::<Result<_, _>>().expect("read")
    };
    let before = rows();
    assert_eq!(before.len(), 4);
    conn.execute_batch(&format!("BEGIN; {REBUILD_PAYMENTS} COMMIT")).expect("rebuilt");
    assert_eq!(rows(), before);
    verify(&bench.path()).expect("sound");
}

#[test]
fn a_list_of_payments_that_does_not_follow_from_the_entries_is_noticed() {
    for sql in [
        "UPDATE payments SET open = 0, state = 'paid' WHERE out_trade_no = 'A2'",
        "UPDATE payments SET last_seq = 1 WHERE out_trade_no = 'A1'",
        "UPDATE payments SET sale = 'S9' WHERE out_trade_no = 'A3'",
        "DELETE FROM payments WHERE out_trade_no = 'A1'",
        "INSERT INTO payments VALUES(99, 'A9', 99, 1, 'paid', 0, NULL, 0, 1000, NULL, 8888)",
        "UPDATE payments SET rev = 9 WHERE out_trade_no = 'A2'",
        "UPDATE payments SET amount_fen = 1 WHERE out_trade_no = 'A2'",
        "UPDATE payments SET created_at_ms = 1 WHERE out_trade_no = 'A2'",
        "UPDATE payments SET clock_ms = 1 WHERE out_trade_no = 'A2'",
        "UPDATE payments SET out_trade_no = 'A8' WHERE out_trade_no = 'A2'",
        "UPDATE payments SET mark = NULL WHERE out_trade_no = 'A2'",
        "UPDATE payments SET mark = replace(mark, '7', '8') WHERE out_trade_no = 'A2'",
    ] {
        let folder = bench().close();
        let path = folder.path().join("journal.db");
        let conn = Connection::open(&path).expect("open");
        conn.execute_batch("DROP TRIGGER payments_final").expect("disarmed");
        conn.execute_batch(sql).expect("changed");
        let found = crate::journal::verify::check_payments(&path, &conn);
        assert!(matches!(found, Err(VerifyError::Payments { .. })), "{sql}: {found:?}");
    }
}

#[test]
fn a_flipped_byte_anywhere_in_the_file_is_noticed_or_changes_nothing() {
    let bench = bench();
    let expected = bench.entries();
    let folder = bench.close();
    let path = folder.path().join("journal.db");
    let sound = std::fs::read(&path).expect("read");
    let copy = folder.path().join("copy.db");
    let mut noticed = 0;
    for at in (0..sound.len()).step_by(151) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&copy, &bytes).expect("written");
        match open(&copy) {
            Err(_) => noticed += 1,
            Ok((_writer, reader)) => match reader.after(0, 100) {
                Err(_) => noticed += 1,
                Ok(read) => {
                    let read: Vec<_> = read.into_iter().map(|r| r.entry).collect();
                    assert_eq!(read, expected, "byte {at}");
                }
            },
        }
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("copy.db{suffix}")));
        }
    }
    assert!(noticed > 0);
}
