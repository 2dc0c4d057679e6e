//! A request that comes once more: with the code that was missing, or for a sale
//! that was paid.

use super::*;
use crate::payment::Call;

/// Bug to plant: in `again`, answer how it stands, whatever code came.
#[test]
fn a_code_that_comes_with_the_request_repeated_is_used() {
    for keyed_by_sale in [false, true] {
        let mut till = Till::new(&["a"]);
        let with_code = PayRequest { keyed_by_sale, ..for_sale("T1", "S") };
        let without = PayRequest { code: None, ..with_code.clone() };
        till.pay(1, without.clone());
        till.sync();
        assert!(matches!(till.state("T1"), State::AwaitingCode { .. }));
        // The sale is the key: whatever number comes with it.
        let mut repeated = with_code.clone();
        if keyed_by_sale {
            repeated.order.out_trade_no = "T2".parse().expect("valid");
        }
        till.pay(2, repeated.clone());
        assert!(till.sent.is_empty(), "not on disk yet");
        till.sync();
        assert_eq!(till.calls(), [Call::Pay]);
        assert!(matches!(till.reply(2), Reply::Stands(p)
            if p.state() == State::Paying && p.order().out_trade_no.as_str() == "T1"));
        // Its reply was lost, and so it comes again; so does the one without a code.
        till.pay(3, repeated);
        till.pay(4, without);
        till.answer(paid());
        till.sync();
        till.pay(5, with_code);
        for id in 3..=5 {
            assert!(matches!(till.reply(id), Reply::Stands(_)), "{id}");
        }
        assert_eq!((till.calls(), till.disk.len()), (vec![Call::Pay], 1));
    }
}

/// It may come before the first request is on disk, and after a restart.
#[test]
fn a_code_is_used_whenever_its_request_is_repeated() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.pay(2, with_code("T1"));
    till.sync();
    assert_eq!(till.calls(), [Call::Pay]);
    till.pay(3, request("T2"));
    till.sync();
    till.restart(&["a"]);
    till.sync();
    till.pay(4, with_code("T2"));
    till.sync();
    assert_eq!(till.calls(), [Call::Query, Call::Pay], "T1 is asked about, and T2 is paid");
    // Too late: it is cancelled, and no code changes that.
    till.pay(5, request("T3"));
    till.stop(6, "T3");
    till.sync();
    till.pay(7, with_code("T3"));
    assert!(matches!(till.reply(7), Reply::Stands(p)
        if p.state() == State::Cancelled(CancelAction::None)));
    assert_eq!(till.calls().len(), 2);
}

/// How a sale that is paid answers.
#[derive(Debug, PartialEq)]
enum Told {
    /// With the payment, as if nothing else had been asked for.
    Stands,
    /// Paid already, a while ago: `money` is `taken`.
    Paid,
    /// Another sale's money: `money` is `none`, and the earlier payment is named.
    PaidLongAgo,
    /// The same with another amount.
    Conflict,
}

/// Bugs to plant: `>` for `>=`; 25 hours; counting from `created_at`.
#[test]
fn a_sale_that_was_paid_a_day_ago_answers_no_request_for_goods() {
    const DAY: i64 = 24 * 3600 * 1000;
    for (by, amount, since_paid, told) in [
        ("POST", "12.50", 0, Told::Stands),
        ("POST", "12.50", DAY - 1, Told::Stands),
        ("POST", "12.50", DAY, Told::PaidLongAgo),
        ("POST", "12.50", DAY + 1, Told::PaidLongAgo),
        ("POST", "12.50", 30 * DAY, Told::PaidLongAgo),
        ("POST", "12.51", DAY - 1, Told::Conflict),
        ("POST", "12.51", DAY, Told::Conflict),
        ("PUT", "12.50", 0, Told::Paid),
        ("PUT", "12.50", DAY - 1, Told::Paid),
        ("PUT", "12.50", DAY, Told::PaidLongAgo),
        ("PUT", "12.50", DAY + 1, Told::PaidLongAgo),
        ("PUT", "12.51", DAY - 1, Told::Paid),
        ("PUT", "12.51", DAY, Told::PaidLongAgo),
    ] {
        // Alipay's time of payment counts where it told one, which it may do
        // after it was paid; else ours.
        for alipay_says in [None, Some(40_000)] {
            let case = format!("{by} {amount} after {since_paid} ms, {alipay_says:?}");
            let mut till = Till::new(&[]);
            till.pay(1, for_sale("T1", "S"));
            till.sync();
            till.now += 60_000;
            let paid_at = alipay_says.map(|after| Timestamp(till.now - after));
            let trade = Trade { paid_at, ..Trade::default() };
            till.answer(Answer::Pay(PayAnswer::Paid(trade)));
            till.sync();
            till.now += since_paid - alipay_says.unwrap_or(0);
            let mut again = PayRequest { keyed_by_sale: by == "POST", ..for_sale("T2", "S") };
            again.order.amount = amount.parse().expect("valid");
            till.pay(2, again);
            let (answer, payment) = match till.reply(2) {
                Reply::Stands(payment) => (Told::Stands, payment),
                Reply::Denied(Denied::SaleAlreadyPaid { payment, long_ago: false }) => {
                    (Told::Paid, payment.as_ref())
                }
                Reply::Denied(Denied::SaleAlreadyPaid { payment, long_ago: true }) => {
                    (Told::PaidLongAgo, payment.as_ref())
                }
                Reply::Denied(Denied::SaleConflict(payment)) => (Told::Conflict, payment.as_ref()),
                other @ (Reply::Started(_) | Reply::Denied(_) | Reply::Refund { .. }) => {
                    panic!("{case}: {other:?}")
                }
            };
            assert_eq!(answer, told, "{case}");
            assert_eq!(payment.order().out_trade_no.as_str(), "T1", "{case}");
            assert_eq!(payment.state(), State::Paid, "{case}");
            assert_eq!((till.calls(), till.disk.len()), (vec![Call::Pay], 1), "{case}");
        }
    }
}
