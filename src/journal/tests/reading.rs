//! Finding payments, and what it costs.

use rusqlite::StatementStatus;

use super::*;
use crate::journal::reader::{ALL_OF_SALE, LATEST_OF_SALE, OF_CODE, OF_SALE, OPEN_SEQS, list_sql};
use crate::journal::{Filter, Which};
use crate::payment::Public;

const ALL: Filter = Filter { which: None, sale: None, since: None, limit: 100, before: None };

fn names(bench: &Bench, filter: &Filter) -> Vec<String> {
    let page = bench.reader.list(filter).expect("readable");
    page.payments.iter().map(|(p, _)| p.order().out_trade_no.to_string()).collect()
}

#[test]
fn lists_are_newest_first_and_can_be_narrowed() {
    let bench = Bench::new();
    let payments: Vec<_> = [("A1", 100), ("A2", 200), ("A3", 50), ("A4", 300)]
        .into_iter()
        .map(|(name, at)| requested_at(name, None, at))
        .collect();
    for payment in &payments {
        bench.append(entry(payment)).expect("written");
    }
    bench.append(entry(&paid(&payments[1]))).expect("written");
    bench.append(entry(&cancelled(&payments[0]))).expect("written");
    let state = |state| Filter { which: Some(Which::State(state)), ..ALL };
    let since = |at| Filter { since: Some(Timestamp(at)), ..ALL };
    for (filter, expected) in [
        (ALL, vec!["A4", "A3", "A2", "A1"]),
        (Filter { which: Some(Which::Open), ..ALL }, vec!["A4", "A3"]),
        (state(Public::AwaitingCode), vec!["A4", "A3"]),
        (state(Public::Paid), vec!["A2"]),
        (state(Public::Cancelled), vec!["A1"]),
        (state(Public::Declined), vec![]),
        // The wall clock went back between A2 and A3.
        (since(0), vec!["A4", "A3", "A2", "A1"]),
        (since(60), vec!["A4", "A2", "A1"]),
        (since(150), vec!["A4", "A2"]),
        (since(300), vec!["A4"]),
        (since(301), vec![]),
        (Filter { since: Some(Timestamp(150)), ..state(Public::Paid) }, vec!["A2"]),
        (Filter { limit: 0, ..ALL }, vec![]),
    ] {
        assert_eq!(names(&bench, &filter), expected, "{filter:?}");
    }
}

#[test]
fn the_attempts_at_a_sale_are_found_by_it() {
    let bench = Bench::new();
    for (name, sale, state) in [
        ("A1", Some("S1"), State::Cancelled(CancelAction::None)),
        ("A2", Some("S2"), State::Paid),
        ("A3", None, State::Paid),
        ("A4", Some("S1"), State::Paid),
    ] {
        bench
            .append(entry(&altered(&requested(name, sale), |record| record.state = state)))
            .expect("written");
    }
    let of = |sale: &str| Filter { sale: Some(sale.to_owned()), ..ALL };
    for (filter, expected) in [
        (of("S1"), vec!["A4", "A1"]),
        (Filter { limit: 1, ..of("S1") }, vec!["A4"]),
        (Filter { before: Some(4), ..of("S1") }, vec!["A1"]),
        (Filter { since: Some(Timestamp(1_001)), ..of("S1") }, vec![]),
        (Filter { which: Some(Which::State(Public::Paid)), ..of("S1") }, vec!["A4"]),
        (Filter { which: Some(Which::State(Public::Cancelled)), ..of("S1") }, vec!["A1"]),
        (Filter { which: Some(Which::Open), ..of("S1") }, vec![]),
        (of("nobody"), vec![]),
    ] {
        assert_eq!(names(&bench, &filter), expected, "{filter:?}");
    }
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let bench = Bench::new();
    let mut expected: Vec<_> = (0..10).map(|i| format!("A{i}")).collect();
    for name in &expected {
        bench.append(finished(name)).expect("written");
    }
    expected.reverse();
    for limit in [1, 3, 5, 10, 11] {
        let (mut filter, mut seen) = (Filter { limit, ..ALL }, Vec::new());
        loop {
            seen.extend(names(&bench, &filter));
            let next = bench.reader.list(&filter).expect("readable").next;
            // What is begun meanwhile does not shift the pages.
            filter.before = match next {
                Some(next) => Some(next),
                None => break,
            };
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
}

#[test]
fn the_attempt_that_counts_is_the_open_or_paid_one_else_the_latest() {
    let bench = Bench::new();
    let attempt = || bench.reader.attempt_for_sale("S1").expect("readable");
    assert_eq!(attempt(), None);
    let one = requested("A1", Some("S1"));
    bench.append(entry(&one)).expect("written");
    assert_eq!(attempt(), Some(one.clone()));
    let one = cancelled(&one);
    bench.append(entry(&one)).expect("written");
    assert_eq!(attempt(), Some(one));
    let two = requested("A2", Some("S1"));
    bench.append(entry(&two)).expect("written");
    let two = cancelled(&two);
    bench.append(entry(&two)).expect("written");
    assert_eq!(attempt(), Some(two), "the latest");
    let three = requested("A3", Some("S1"));
    bench.append(entry(&three)).expect("written");
    let three = paid(&three);
    bench.append(entry(&three)).expect("written");
    assert_eq!(attempt(), Some(three));
}

#[test]
fn an_empty_journal_has_answers_too() {
    let bench = Bench::new();
    let head = bench.reader.head().expect("readable");
    assert_eq!((head.seq, head.at), (0, None));
    assert_eq!(bench.reader.payment(&number("A1")).expect("readable"), None);
    assert!(bench.reader.steps_after(&number("A1"), 0, u32::MAX).expect("readable").is_empty());
    assert!(bench.reader.after(0, 10).expect("readable").is_empty());
    assert!(bench.reader.after(u64::MAX, 10).expect("readable").is_empty());
    assert!(bench.reader.open_payments().expect("readable").is_empty());
}

#[test]
fn the_stream_goes_on_where_it_was_left() {
    let bench = Bench::new();
    for i in 0..5 {
        bench.append(finished(&format!("A{i}"))).expect("written");
    }
    let seqs = |seq, limit| -> Vec<u64> {
        let entries = bench.reader.after(seq, limit).expect("readable");
        entries.into_iter().map(|recorded| recorded.seq).collect()
    };
    assert_eq!(seqs(0, 2), [1, 2]);
    assert_eq!(seqs(2, 100), [3, 4, 5]);
    assert_eq!(seqs(5, 100), [0; 0]);
}

#[test]
fn a_reader_sees_what_is_durable_and_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let bench = Bench::new();
    shared(&bench.reader);
    let reader = bench.reader.clone();
    for i in 1..=20 {
        bench.append(news("down")).expect("written");
        assert_eq!(reader.head().expect("readable").seq, i);
    }
}

pub(super) fn plan(conn: &Connection, sql: &str) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepared");
    // The plan does not depend on the values; unbound parameters are NULL.
    let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
    steps.collect::<Result<Vec<_>, _>>().expect("a plan").join("; ")
}

#[test]
fn everything_is_found_through_an_index() {
    let bench = Bench::new();
    let state = |state| Some(Which::State(state));
    for (sql, index) in [
        (OPEN_SEQS, "payments_open"),
        (list_sql(None), "PRIMARY KEY"),
        (list_sql(Some(Which::Open)), "payments_open"),
        // Nearly all are paid.
        (list_sql(state(Public::Paid)), "PRIMARY KEY"),
        (list_sql(state(Public::Declined)), "payments_unpaid "),
        (list_sql(state(Public::Cancelling)), "payments_open"),
        (OF_SALE, "payments_one_per_sale"),
        (LATEST_OF_SALE, "payments_unpaid_of_sale"),
        (ALL_OF_SALE, "payments_one_per_sale"),
        (ALL_OF_SALE, "payments_unpaid_of_sale"),
        (OF_CODE, "payments_of_mark"),
        ("SELECT seq FROM entries WHERE out_trade_no = ?1 ORDER BY seq", "entries_of_payment"),
        ("SELECT min(seq) FROM entries WHERE out_trade_no = ?1", "entries_of_payment"),
    ] {
        let plan = bench.reader.with_connection(|conn| plan(conn, sql));
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN"), "{sql}\n{plan}");
        // The few payments that took one code are.
        let sorted = plan.contains("TEMP B-TREE");
        assert!(!sorted || sql == OF_CODE, "sorted by hand: {sql}\n{plan}");
    }
}

#[test]
fn starting_costs_the_same_with_many_finished_payments() {
    let cost = |finished_ones: u32| -> Vec<i32> {
        let bench = Bench::new();
        for name in ["O1", "O2", "O3"] {
            bench.append(entry(&requested(name, None))).expect("written");
        }
        let mut pending = Vec::new();
        for i in 0..finished_ones {
            pending.push(bench.writer.append(finished(&format!("A{i}")), Timestamp(1)));
            if pending.len() == 500 {
                pending.drain(..).for_each(|p| assert!(wait(p).is_ok()));
            }
        }
        pending.drain(..).for_each(|p| assert!(wait(p).is_ok()));
        let page = Filter { which: Some(Which::Open), ..ALL };
        assert_eq!(names(&bench, &page), ["O3", "O2", "O1"]);
        bench.reader.with_connection(|conn| {
            let sqls = [OPEN_SEQS, list_sql(Some(Which::Open))];
            sqls.iter()
                .map(|sql| {
                    let mut statement = conn.prepare(sql).expect("prepared");
                    for name in [":from", ":since"] {
                        if let Ok(Some(at)) = statement.parameter_index(name) {
                            statement.raw_bind_parameter(at, 0).expect("bound");
                        }
                    }
                    for name in [":before", ":limit"] {
                        if let Ok(Some(at)) = statement.parameter_index(name) {
                            statement.raw_bind_parameter(at, i64::MAX).expect("bound");
                        }
                    }
                    let mut rows = statement.raw_query();
                    let mut count = 0;
                    while rows.next().expect("a row").is_some() {
                        count += 1;
                    }
                    drop(rows);
                    assert_eq!(count, 3, "{sql}");
                    assert_eq!(statement.get_status(StatementStatus::FullscanStep), 0, "{sql}");
                    statement.get_status(StatementStatus::VmStep)
                })
                .collect()
        })
    };
    assert_eq!(cost(10), cost(3000), "in steps of SQLite's machine");
}

#[test]
fn a_code_is_found_at_the_payment_that_last_took_it() {
    let bench = Bench::new();
    let (ours, other) = (CodeMark([1; 16]), CodeMark([2; 16]));
    let (one, two) = (requested("A1", None), requested("A2", None));
    for entry in [entry(&one), entry(&two), entry(&paying_by_code(&two, ours))] {
        bench.append(entry).expect("written");
    }
    let found = |bench: &Bench, mark| bench.reader.payment_of_code(mark).expect("readable");
    assert_eq!(found(&bench, other), None);
    assert_eq!(found(&bench, ours), Some(paying_by_code(&two, ours)));
    // It never left the box, and was taken by the older payment then.
    let gone = changed(&paying_by_code(&two, ours), State::Cancelled(CancelAction::None));
    bench.append(entry(&gone)).expect("written");
    assert_eq!(found(&bench, ours), Some(gone));
    let taken = paying_by_code(&one, ours);
    bench.append(entry(&taken)).expect("written");
    assert_eq!(found(&bench, ours).as_ref(), Some(&taken));
    let bench = bench.reopen();
    assert_eq!(found(&bench, ours), Some(taken), "after a restart, too");
}
