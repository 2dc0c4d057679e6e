//! Stories of trades that are ours, or another's, and of what proves nothing.

use super::*;

#[test]
fn a_refusal_at_the_front_door_is_asked_about_and_not_believed() {
    // It was the answer to another request: ours was charged.
    let payment = check(
        "0s code    => paying Pay
         1s refused => querying Query
         2s paid    => PAID",
    );
    assert_eq!(payment.money(), Money::Taken);
    // Nothing of ours arrived, and nothing can any more.
    let payment = check(
        "0s code      => paying Pay
         1s refused   => querying Query
         2s not-exist => cancelling Cancel
         3s no-action => resting
         4s due       => querying Query ~
       134s not-exist => cancelling Cancel !
       135s no-action => DECLINED",
    );
    assert_eq!((payment.money(), payment.reason()), (Money::None, Some(&reason())));
    // The question is refused as well: it stays open, and a person is told.
    let payment = check(
        "0s code    => paying Pay
         1s refused => querying Query
         2s refused => resting !
        32s due     => querying Query ! ~
        33s refused => resting ! ~
        63s due     => querying Query ! ~
        64s paid    => PAID",
    );
    assert_eq!(payment.attention(), None);
}

#[test]
fn paid_though_declined_is_given_back_only_if_it_is_proven_ours() {
    let payment = check(
        "0s code      => paying Pay
         1s declined  => querying Query
         2s paid      => resting !
        32s due       => querying Query ! ~
        33s unknown   => resting !",
    );
    assert_eq!(payment.money(), Money::Unknown);
    let told = payment.attention().expect("told").sentence();
    for text in [told.zh, told.en] {
        assert!(text.contains("2026112122001400000000000001"), "{text}");
    }
    check(
        "0s code        => paying Pay
         1s declined    => querying Query
         2s paid-theirs => resting !",
    );
    let payment = check(
        "0s code      => paying Pay
         1s declined  => querying Query
         2s paid-ours => cancelling Cancel
         3s refunded  => CANCELLED refund",
    );
    assert_eq!(payment.money(), Money::Returned);
}

#[test]
fn a_trade_is_ours_only_if_it_is_proven() {
    // Paid before our pay left: theirs, by an answer to the pay or to the query.
    check(
        "0s code        => paying Pay
         1s paid-before => resting
         2s due         => querying Query ~
         3s paid        => PAID",
    );
    let theirs = check(
        "0s code        => paying Pay
        10s unknown     => resting
        11s due         => querying Query ~
        12s paid-before => resting !
        16s due         => querying Query ! ~
        17s paid-before => resting ! ~",
    );
    assert_eq!((theirs.money(), theirs.is_final()), (Money::Unknown, false));
    // The gateway does not say when: for a person.
    check(
        "0s code         => paying Pay
        10s unknown      => resting
        11s due          => querying Query ~
        12s paid-undated => resting !
        16s due          => querying Query ! ~
        17s paid         => PAID",
    );
    // Another's mark disproves it, our own proves it.
    check(
        "0s code           => paying Pay
        10s unknown        => resting
        11s due            => querying Query ~
        12s waiting-theirs => resting !
        16s due            => querying Query ! ~
        17s paid-theirs    => resting ! ~
        21s due            => querying Query ! ~
        22s paid-ours      => PAID",
    );
    // What belonged to another sale is over: nothing of ours was charged.
    let closed = check(
        "0s code          => paying Pay
        10s unknown       => resting
        11s due           => querying Query ~
        12s closed-before => CANCELLED close",
    );
    assert_eq!(closed.money(), Money::None);
}

#[test]
fn a_number_in_use_is_not_ours_unless_it_bears_our_mark() {
    check(
        "0s code      => paying Pay
         1s repeated  => resting !
         2s due       => querying Query ! ~
         3s paid      => resting ! ~
         7s due       => querying Query ! ~
         8s waiting   => resting ! ~
        12s due       => querying Query ! ~
        13s not-exist => resting !
        17s stop      => querying Query !
        18s paid      => resting !
        48s due       => querying Query ! ~
        49s paid      => resting ! ~
       109s due       => querying Query ! ~",
    );
    check(
        "0s code      => paying Pay
         1s repeated  => resting !
         2s due       => querying Query ! ~
         3s paid-ours => PAID",
    );
}

/// What only a person can untangle is looked at more and more rarely.
#[test]
fn a_persons_case_rests_long_and_writes_nothing() {
    let rules = Rules::default();
    let mut payment = check(
        "0s code     => paying Pay
         1s repeated => resting !
         2s stop     => querying Query !
         3s paid     => resting ! ~",
    );
    let rev = payment.rev();
    let mut rests = Vec::new();
    for _ in 0..12 {
        let now = payment.due().expect("it is looked at");
        let at = Moment::undisputed(now, now, now);
        payment = payment.step(&Event::Due, at, &rules).expect("legal").payment;
        let paid = event(payment.state(), "paid", at);
        payment = payment.step(&paid, at, &rules).expect("legal").payment;
        rests.push((payment.due().expect("it rests").millis() - now.millis()) / 1000);
    }
    assert_eq!(rests[..4], [60, 120, 240, 480]);
    assert_eq!(rests[8..], [3600; 4]);
    // But once: that a late pay is no more to be reckoned with.
    assert_eq!(payment.rev(), rev + 1, "nothing else was learned, so nothing is written");
}

#[test]
fn a_cancel_that_found_nothing_settles_no_trade_that_was_seen() {
    for (seen, ends) in [("waiting", "closed"), ("paid-ours", "closed-after-paid")] {
        let outcome = if ends == "closed" { "DECLINED" } else { "CANCELLED refund" };
        check(&format!(
            "0s code      => paying Pay
             1s declined  => querying Query
             2s {seen}    => cancelling Cancel
             3s no-action => resting
             4s due       => querying Query ~
             5s {ends}    => {outcome}"
        ));
    }
    check(
        "0s code      => paying Pay
         1s waiting   => resting
         2s stop      => querying Query
         3s paid      => PAID",
    );
    check(
        "0s code      => paying Pay
         1s waiting   => resting
         2s stop      => querying Query
         3s waiting   => cancelling Cancel
         4s no-action => resting
         5s due       => querying Query ~
         6s paid      => cancelling Cancel
         7s no-action => resting
         9s due       => querying Query ~
        10s paid      => cancelling Cancel
       140s no-action => resting !
       144s due       => querying Query ! ~",
    );
}

#[test]
fn an_empty_sellers_account_is_patience() {
    let payment = check(
        "0s code     => paying Pay
         1s waiting  => resting
         2s stop     => querying Query
         3s waiting  => cancelling Cancel
         4s poor     => resting !
         5s due      => querying Query ! ~
         6s paid     => cancelling Cancel !
         7s poor     => resting !
         9s due      => querying Query ! ~
        10s paid     => cancelling Cancel !
        11s refunded => CANCELLED refund",
    );
    assert_eq!(payment.attention(), None);
}

#[test]
fn silence_after_a_start_decides_nothing() {
    // The window is over; the network comes a little after the daemon.
    let payment = check(
        "0s code     => paying Pay
       300s restart  => querying Query !
       301s silence  => resting !
       305s due      => querying Query ! ~
       306s silence  => resting ! ~
       310s due      => querying Query ! ~
       311s paid     => PAID",
    );
    assert_eq!(payment.money(), Money::Taken);
    // It does not come: in the end that is an answer as well.
    check(
        "0s code     => paying Pay
       300s restart  => querying Query !
       301s silence  => resting !
       305s due      => querying Query ! ~
       306s silence  => resting ! ~
       310s due      => querying Query ! ~
       311s silence  => resting ! ~
       315s due      => querying Query ! ~
       316s silence  => resting ! ~
       320s due      => querying Query ! ~
       321s silence  => resting ! ~
       325s due      => querying Query ! ~
       326s silence  => cancelling Cancel !",
    );
}

#[test]
fn a_gateway_that_never_tells_its_time_settles_too() {
    let rules = Rules::default();
    let play = |seconds: f64| {
        let mut payment = check(
            "0s code    => paying Pay
            10s unknown => resting
            11s stop    => querying Query",
        );
        for word in ["not-exist", "no-action"] {
            let Event::Answered(answered) = event(payment.state(), word, moment(seconds)) else {
                panic!("an answer")
            };
            let dateless = Event::Answered(Answered { gateway_time: None, ..answered });
            payment = payment.step(&dateless, moment(seconds), &rules).expect("legal").payment;
        }
        name(payment.state())
    };
    // 130 s, and a quarter of an hour for all that two clocks can differ.
    assert_eq!(play(1029.0), "resting");
    assert_eq!(play(1030.0), "CANCELLED close");
}

#[test]
fn where_two_clocks_differ_the_pay_takes_the_earlier_and_the_hold_the_later() {
    let rules = Rules::default();
    let hour = Duration::from_hours(1);
    let now = moment(0.0);
    let disputed = Moment { gateway_high: now.gateway + hour, ..now };
    let payment = Payment::requested(order(), now, &rules);
    let paying = payment.step(&Event::Code(MARK, TAG), disputed, &rules).expect("legal").payment;
    let offer = paying.offer().expect("an offer");
    assert_eq!(offer.sent_at, Timestamp(0));
    assert_eq!(offer.time_expire, Timestamp(120_000));
    assert_eq!(offer.horizon, Timestamp(120_000) + hour);
}
