//! Refunds: what may begin, one at a time, and what the terminal owes.

use super::*;
use crate::payment::Call::{Cancel, Pay, Precreate, Query, Refund as GiveBack, RefundQuery};
use crate::payment::{
    Back, CancelAnswer, Fen, Reason, RefundAnswer, RefundCause, RefundQueryAnswer, RefundState,
};

/// A till on which this number was paid.
fn paid_till(number: &str) -> Till {
    let mut till = Till::new(&[]);
    till.pay(1, with_code(number));
    till.sync();
    till.answer(paid());
    till.sync();
    assert_eq!(till.state(number), State::Paid);
    till
}

fn done() -> Answer {
    Answer::Refund(RefundAnswer::Done(Back::default()))
}

fn reason() -> Reason {
    Reason { code: "40004".to_owned(), sub_code: None, message: "不行".to_owned() }
}

fn refund<'a>(till: &'a Till, request: &str) -> &'a Refund {
    let found = till.refunds.iter().find(|r| r.asked().request.as_str() == request);
    found.expect("it is on disk")
}

#[test]
fn a_refund_is_written_then_sent_then_told() {
    let mut till = paid_till("T1");
    till.give_back(2, "T1", "R1", "5.00");
    assert_eq!(till.calls(), [Pay], "nothing of it is on disk yet");
    till.sync();
    assert_eq!(till.calls(), [Pay, GiveBack]);
    let Reply::Refund { refund: told, started: true } = till.reply(2) else { panic!("not new") };
    assert_eq!(told.public(), RefundState::Processing);
    till.answer(done());
    till.sync();
    assert_eq!(refund(&till, "R1").public(), RefundState::Refunded);
    assert_eq!(till.terminal.open_count(), 0);
    assert_eq!(till.state("T1"), State::Paid, "the payment stays paid");
}

#[test]
fn the_same_request_is_the_same_refund() {
    let mut till = paid_till("T1");
    till.give_back(2, "T1", "R1", "5.00");
    // While its first entry is being written nobody is told.
    till.give_back(3, "T1", "R1", "5");
    till.sync();
    till.give_back(4, "T1", "R1", "5.00");
    till.answer(done());
    till.sync();
    till.give_back(5, "T1", "R1", "5.00");
    for id in [3, 4, 5] {
        assert!(matches!(till.reply(id), Reply::Refund { started: false, .. }), "{id}");
    }
    assert_eq!(till.calls(), [Pay, GiveBack], "it is sent once");
    till.give_back(6, "T1", "R1", "5.01");
    assert!(matches!(till.denied(6), Denied::RefundConflict { amount, .. } if amount.fen() == 500));
}

#[test]
fn one_refund_of_a_payment_is_open_at_a_time() {
    let mut till = paid_till("T1");
    till.give_back(2, "T1", "R1", "5.00");
    till.give_back(3, "T1", "R2", "5.00");
    till.sync();
    till.give_back(4, "T1", "R2", "5.00");
    for id in [3, 4] {
        let denied = till.denied(id);
        assert!(
            matches!(denied, Denied::RefundInDoubt { request } if request.as_str() == "R1"),
            "{denied:?}"
        );
    }
    till.answer(done());
    till.sync();
    till.give_back(5, "T1", "R2", "5.00");
    till.sync();
    assert_eq!(till.calls(), [Pay, GiveBack, GiveBack]);
    assert_eq!(refund(&till, "R2").asked().before, Fen(500), "what went back before is known");
}

#[test]
fn no_more_goes_back_than_is_left() {
    let mut till = paid_till("T1");
    till.give_back(2, "T1", "R1", "12.51");
    assert!(matches!(till.denied(2), Denied::RefundExceeds { left: Fen(1250), .. }));
    till.give_back(3, "T1", "R1", "12.00");
    till.sync();
    // Somebody gave 0.50 back in the merchant's account as well.
    let total = Some(Fen(1250));
    till.answer(Answer::Refund(RefundAnswer::Done(Back { total, ..Back::default() })));
    till.sync();
    till.give_back(4, "T1", "R2", "0.01");
    assert!(matches!(till.denied(4), Denied::RefundExceeds { left: Fen(0), .. }));
}

#[test]
fn what_was_not_paid_or_is_not_settled_gives_nothing_back() {
    let mut till = Till::new(&["a"]);
    till.give_back(1, "T9", "R1", "1.00");
    assert_eq!(till.denied(1), &Denied::NotFound);
    till.pay(2, request("T1"));
    till.sync();
    till.give_back(3, "T1", "R1", "1.00");
    assert!(matches!(till.denied(3), Denied::PaymentInDoubt(_)));
    till.stop(4, "T1");
    till.sync();
    till.give_back(5, "T1", "R1", "1.00");
    assert!(matches!(till.denied(5), Denied::NotPaid(_)));
    assert!(till.refunds.is_empty() && till.sent.is_empty());
}

#[test]
fn a_payment_of_another_account_gives_nothing_back_here() {
    let account = |app_id: &str| Account {
        gateway: "openapi.alipay.com".to_owned(),
        app_id: app_id.to_owned(),
        merchant: None,
    };
    let mut till = Till::new(&[]);
    till.terminal =
        Terminal::new(Rules::default(), till_codes(), vec![]).in_account(account("2014"));
    till.pay(1, with_code("T1"));
    till.sync();
    till.answer(paid());
    till.sync();
    till.terminal =
        Terminal::new(Rules::default(), till_codes(), vec![]).in_account(account("2015"));
    till.give_back(2, "T1", "R1", "1.00");
    assert!(matches!(till.denied(2), Denied::OtherAccount(_)));
}

#[test]
fn a_refund_in_flight_at_a_crash_is_asked_about() {
    let mut till = paid_till("T1");
    till.give_back(2, "T1", "R1", "5.00");
    till.sync();
    till.restart(&[]);
    till.sync();
    assert_eq!(till.calls(), [RefundQuery], "a question, and no second refund");
    till.answer(Answer::RefundQuery(RefundQueryAnswer::Done(Back::default())));
    till.sync();
    assert_eq!(refund(&till, "R1").public(), RefundState::Refunded);
}

#[test]
fn a_refund_that_cannot_be_written_is_denied_and_was_never_sent() {
    let mut till = paid_till("T1");
    till.give_back(2, "T1", "R1", "5.00");
    till.fail_writes();
    assert!(matches!(till.denied(2), Denied::JournalUnavailable(_)));
    assert_eq!((till.calls(), till.terminal.open_count()), (vec![Pay], 0));
    till.give_back(3, "T1", "R1", "5.00");
    till.sync();
    assert_eq!(till.calls(), [Pay, GiveBack]);
    // An answer that cannot be written is written later.
    till.answer(done());
    till.fail_writes();
    till.now += 1_000;
    till.handle(Input::Tick);
    till.sync();
    assert_eq!(refund(&till, "R1").public(), RefundState::Refunded);
}

/// A till whose payment is paid, was to be cancelled, and cannot be.
fn owing_till() -> Till {
    let mut till = Till::new(&[]);
    till.pay(1, with_code("T1"));
    till.sync();
    till.stop(2, "T1");
    till.sync();
    let waiting = || Trade::default();
    till.answer(Answer::Pay(PayAnswer::Waiting(waiting())));
    till.sync();
    till.answer(Answer::Query(QueryAnswer::Waiting(waiting())));
    till.sync();
    till.answer(Answer::Cancel(CancelAnswer::Refused(reason())));
    till.sync();
    let paid_at = Some(Timestamp(till.now));
    till.answer(Answer::Query(QueryAnswer::Paid(Trade { paid_at, ..Trade::default() })));
    till
}

fn proven(till: &mut Till) {
    let paid_at = Some(Timestamp(till.now));
    till.answer(Answer::Query(QueryAnswer::Paid(Trade { paid_at, ..Trade::default() })));
    till.sync();
}

#[test]
fn what_cannot_be_cancelled_goes_back_as_a_refund() {
    let mut till = owing_till();
    till.sync();
    assert_eq!(till.state("T1"), State::Owing);
    assert_eq!(till.calls(), [Pay, Query, Cancel, Query, Query], "proven first");
    proven(&mut till);
    let own = refund(&till, "T1").clone();
    assert_eq!((own.asked().cause, own.asked().amount.fen()), (RefundCause::Undo, 1250));
    till.answer(done());
    till.sync();
    assert_eq!(till.state("T1"), State::Cancelled(CancelAction::Refund));
    assert_eq!(till.terminal.open_count(), 0);
}

#[test]
fn what_alipay_will_not_give_back_either_stays_paid_and_a_person_is_told() {
    let mut till = owing_till();
    till.sync();
    proven(&mut till);
    till.answer(Answer::Refund(RefundAnswer::Refused(reason())));
    till.sync();
    till.now += 10_000;
    till.handle(Input::Tick);
    till.answer(Answer::RefundQuery(RefundQueryAnswer::NotDone));
    proven(&mut till);
    assert_eq!(refund(&till, "T1").public(), RefundState::Refused);
    assert_eq!(till.state("T1"), State::Paid);
    assert!(till.disk.values().all(|payment| payment.attention().is_some()));
}

/// Whatever of it is on disk when the daemon ends, there is one refund, under one
/// number.
#[test]
fn what_is_owed_goes_back_once_over_every_restart() {
    for crash in 0..5 {
        let mut till = owing_till();
        if crash > 0 {
            till.sync();
        }
        if crash > 1 {
            proven(&mut till);
        }
        if crash > 2 {
            till.answer(done());
        }
        if crash > 3 {
            // The refund's end is on disk, the payment's is not.
            let (ticket, entry) = till.unwritten.remove(0);
            let Entry::Refund { refund, .. } = entry else { panic!("not the refund's end") };
            till.refunds.clear();
            till.refunds.push(refund);
            till.handle(Input::Written(ticket));
        }
        till.restart(&[]);
        till.sync();
        for _ in 0..6 {
            match till.sent.last().map(|(_, call, _)| *call) {
                Some(Query) => proven(&mut till),
                Some(Cancel) => till.answer(Answer::Cancel(CancelAnswer::Refused(reason()))),
                Some(RefundQuery) => till.answer(Answer::RefundQuery(RefundQueryAnswer::NotDone)),
                Some(GiveBack) => till.answer(done()),
                Some(call @ (Pay | Precreate)) => panic!("crash {crash}: a restart sends {call:?}"),
                None => {}
            }
            till.sync();
        }
        assert_eq!(till.state("T1"), State::Cancelled(CancelAction::Refund), "crash {crash}");
        assert_eq!(till.refunds.len(), 1, "crash {crash}");
    }
}

#[test]
fn what_is_owed_is_tried_again_when_it_could_not_be_written() {
    let mut till = owing_till();
    // The payment's own entry reaches the disk, its refund's first does not.
    let (ticket, entry) = till.unwritten.remove(0);
    let Entry::Payment { payment, .. } = entry else { panic!("not the payment") };
    till.disk.insert(payment.order().out_trade_no.clone(), payment);
    till.handle(Input::Written(ticket));
    till.fail_writes();
    assert!(till.refunds.is_empty());
    till.now += 1_000;
    till.handle(Input::Tick);
    till.sync();
    proven(&mut till);
    till.answer(done());
    till.sync();
    assert_eq!(till.state("T1"), State::Cancelled(CancelAction::Refund));
}
