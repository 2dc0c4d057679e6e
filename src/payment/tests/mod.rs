//! Stories of payments, one line a step, and the whole machine as a table.

mod qr;
mod refunds;
mod undo;
mod whose;

use std::time::Duration;

use super::*;

/// As the gateway tells of it when it was paid at `paid_at`.
fn trade(paid_at: Timestamp) -> Trade {
    Trade {
        paid_at: Some(paid_at),
        trade_no: Some("2026112122001400000000000001".to_owned()),
        buyer_logon_id: Some("159****5620".to_owned()),
        said: Said { receipt_amount: Some(Fen(8888)), ..Said::default() },
        ..Trade::default()
    }
}

fn trouble(kind: TroubleKind) -> Trouble {
    Trouble { kind, text: "in a test".to_owned() }
}

fn reason() -> Reason {
    Reason {
        code: "40004".to_owned(),
        sub_code: Some("ACQ.BUYER_BALANCE_NOT_ENOUGH".to_owned()),
        message: "余额不足".to_owned(),
    }
}

fn order() -> Order {
    Order::new("T1".parse().expect("valid"), "88.88".parse().expect("valid"), "coffee".to_owned())
}

const MARK: CodeMark = CodeMark([7; 16]);
const TAG: Tag = Tag(0x0123_4567_89ab_cdef);

fn moment(seconds: f64) -> Moment {
    #[allow(clippy::cast_possible_truncation, reason = "test times are small")]
    let at = Timestamp((seconds * 1000.0) as i64);
    Moment::undisputed(at, at, at)
}

/// The answer that `word` means for the call that `state` waits for.
fn answer(state: State, word: &str, now: Moment) -> Answer {
    use TroubleKind::{Busy, Foreign, Refused, SellerBalance, Unreachable};
    let at = now.gateway;
    let unpaid = || Trade { paid_at: None, ..trade(at) };
    let tagged = |tag: Tag, trade: Trade| Trade { tag: Some(tag.to_string()), ..trade };
    let early = Timestamp(-61_000);
    match (state, word) {
        (State::Paying, "paid") => Answer::Pay(PayAnswer::Paid(trade(at))),
        (State::Paying, "paid-before") => Answer::Pay(PayAnswer::Paid(trade(early))),
        (State::Paying, "waiting") => Answer::Pay(PayAnswer::Waiting(unpaid())),
        (State::Paying, "declined") => Answer::Pay(PayAnswer::Declined(reason())),
        (State::Paying, "refused") => Answer::Pay(PayAnswer::Refused(reason())),
        (State::Paying, "repeated") => Answer::Pay(PayAnswer::Repeated(trouble(Foreign))),
        (State::Paying, "not-sent") => Answer::Pay(PayAnswer::NotSent(trouble(Unreachable))),
        (State::Paying, "foreign") => Answer::Pay(PayAnswer::Foreign(trouble(Foreign))),
        (State::Paying, "unknown") => Answer::Pay(PayAnswer::Unknown(trouble(Busy))),
        (State::Precreating, "made") => Answer::Precreate(PrecreateAnswer::Made {
            qr_code: "https://qr.alipay.com/x".to_owned(),
        }),
        (State::Precreating, "declined") => Answer::Precreate(PrecreateAnswer::Declined(reason())),
        (State::Precreating, "refused") => Answer::Precreate(PrecreateAnswer::Refused(reason())),
        (State::Precreating, "repeated") => {
            Answer::Precreate(PrecreateAnswer::Repeated(trouble(Foreign)))
        }
        (State::Precreating, "not-sent") => {
            Answer::Precreate(PrecreateAnswer::NotSent(trouble(Unreachable)))
        }
        (State::Precreating, "unknown") => {
            Answer::Precreate(PrecreateAnswer::Unknown(trouble(Busy)))
        }
        (State::Querying, "paid") => Answer::Query(QueryAnswer::Paid(trade(at))),
        (State::Querying, "paid-before") => Answer::Query(QueryAnswer::Paid(trade(early))),
        (State::Querying, "paid-undated") => Answer::Query(QueryAnswer::Paid(unpaid())),
        (State::Querying, "paid-ours") => Answer::Query(QueryAnswer::Paid(tagged(TAG, trade(at)))),
        (State::Querying, "paid-theirs") => {
            Answer::Query(QueryAnswer::Paid(tagged(Tag(1), trade(at))))
        }
        (State::Querying, "waiting") => Answer::Query(QueryAnswer::Waiting(unpaid())),
        (State::Querying, "waiting-theirs") => {
            Answer::Query(QueryAnswer::Waiting(tagged(Tag(1), unpaid())))
        }
        (State::Querying, "closed") => {
            Answer::Query(QueryAnswer::Closed { trade: unpaid(), was_paid: false })
        }
        (State::Querying, "closed-after-paid") => {
            Answer::Query(QueryAnswer::Closed { trade: trade(at), was_paid: true })
        }
        (State::Querying, "closed-before") => {
            Answer::Query(QueryAnswer::Closed { trade: trade(early), was_paid: true })
        }
        (State::Querying, "not-exist") => Answer::Query(QueryAnswer::NotExist),
        (State::Querying, "foreign") => Answer::Query(QueryAnswer::Foreign(trouble(Foreign))),
        (State::Querying, "elsewhere") => Answer::Query(QueryAnswer::Unknown(trouble(Foreign))),
        (State::Querying, "unknown") => Answer::Query(QueryAnswer::Unknown(trouble(Busy))),
        (State::Querying, "refused") => Answer::Query(QueryAnswer::Unknown(trouble(Refused))),
        (State::Querying, "silence") => Answer::Query(QueryAnswer::Unknown(trouble(Unreachable))),
        (State::Cancelling, "closed") => Answer::Cancel(CancelAnswer::Closed(unpaid())),
        (State::Cancelling, "refunded") => Answer::Cancel(CancelAnswer::Refunded(trade(at))),
        (State::Cancelling, "no-action") => Answer::Cancel(CancelAnswer::NoAction),
        (State::Cancelling, "refused") => Answer::Cancel(CancelAnswer::Refused(reason())),
        (State::Cancelling, "poor") => {
            Answer::Cancel(CancelAnswer::Unknown(trouble(SellerBalance)))
        }
        (State::Cancelling, "unknown") => Answer::Cancel(CancelAnswer::Unknown(trouble(Busy))),
        (State::Cancelling, "silence") => {
            Answer::Cancel(CancelAnswer::Unknown(trouble(Unreachable)))
        }
        (state, word) => panic!("{word} is no answer in {state:?}"),
    }
}

fn event(state: State, word: &str, now: Moment) -> Event {
    match word {
        "code" => Event::Code(MARK, TAG),
        "offered" => Event::Offered(TAG),
        "hint" => Event::Hint(Some(Hint::Shown(OtherCode::WeChat))),
        "due" => Event::Due,
        "stop" => Event::Stop,
        "restart" => Event::Restarted,
        "gave-back" => Event::GaveBack(Ok(())),
        "would-not" => Event::GaveBack(Err(reason())),
        word => Event::Answered(Answered {
            answer: answer(state, word, now),
            // What is not verified has no date that counts.
            gateway_time: (!["unknown", "silence", "not-sent"].contains(&word))
                .then_some(now.gateway),
            wire: Wire::default(),
        }),
    }
}

/// The state in one word; final ones in capitals.
fn name(state: State) -> &'static str {
    match state {
        State::AwaitingCode { .. } => "awaiting-code",
        State::Paying => "paying",
        State::Precreating => "precreating",
        State::Unsent { .. } => "unsent",
        State::Resting { .. } => "resting",
        State::Querying => "querying",
        State::Cancelling => "cancelling",
        State::Owing => "owing",
        State::Paid => "PAID",
        State::Declined => "DECLINED",
        State::Cancelled(CancelAction::Close) => "CANCELLED close",
        State::Cancelled(CancelAction::Refund) => "CANCELLED refund",
        State::Cancelled(CancelAction::None) => "CANCELLED none",
    }
}

/// Plays a story: `TIMEs EVENT => STATE [Call] [!] [~]`, where `!` says that a
/// person should look, and `~` that the step needs no entry. Checks that a
/// payment rests exactly until its next line if that is `due`, and returns the
/// payment at the end.
fn check(story: &str) -> Payment {
    let rules = Rules::default();
    let mut payment = Payment::requested(order(), moment(0.0), &rules);
    let lines = || story.lines().map(str::trim).filter(|line| !line.is_empty());
    let (mut told, mut became) = (Vec::new(), Vec::new());
    for line in lines() {
        let (left, expected) = line.split_once("=>").expect("a story line has =>");
        let mut words = left.split_whitespace();
        let time = words.next().and_then(|t| t.strip_suffix('s')).expect("a time");
        let word = words.next().expect("an event");
        let now = moment(time.parse().expect("seconds"));
        told.push(format!("{} => {}", left.trim(), expected.trim()));
        if word == "due" && payment.due() != Some(now.steady) {
            became.push(format!("{} is not due, but {:?} is", left.trim(), payment.due()));
            break;
        }
        let stepped = payment
            .step(&event(payment.state(), word, now), now, &rules)
            .unwrap_or_else(|illegal| panic!("{line}: {illegal}\n{}", became.join("\n")));
        let grown = u64::from(!stepped.quiet);
        assert_eq!(stepped.payment.rev(), payment.rev() + grown, "{line}");
        payment = stepped.payment;
        let call = stepped.call.map(|c| format!(" {c:?}")).unwrap_or_default();
        let mark = if payment.attention().is_some() { " !" } else { "" };
        let quiet = if stepped.quiet { " ~" } else { "" };
        let state = name(payment.state());
        became.push(format!("{} => {state}{call}{mark}{quiet}", left.trim()));
    }
    let (told, became) = (told.join("\n"), became.join("\n"));
    assert!(told == became, "told:\n{told}\nbut it is:\n{became}");
    payment
}

#[test]
fn paid_at_once() {
    let paid = check(
        "3s code => paying Pay
         4s paid => PAID",
    );
    assert_eq!((paid.public(), paid.money()), (Public::Paid, Money::Taken));
    assert_eq!(paid.trade(), &trade(Timestamp(4_000)));
}

#[test]
fn nobody_scans() {
    let payment = check("");
    assert_eq!(payment.money(), Money::Open, "the next code on this scanner pays it");
    let payment = check("120s due => CANCELLED none");
    assert_eq!(payment.money(), Money::None);
}

#[test]
fn the_buyer_confirms_on_the_phone() {
    let waiting = check(
        "3s code     => paying Pay
         4s waiting  => resting",
    );
    assert_eq!((waiting.public(), waiting.money()), (Public::AwaitingBuyer, Money::Unknown));
    check(
        "3s code     => paying Pay
         4s waiting  => resting
         9s due      => querying Query ~
        10s waiting  => resting ~
        14s due      => querying Query ~
        16s paid     => PAID",
    );
}

#[test]
fn the_last_query_is_followed_at_once_by_the_cancel() {
    let payment = check(
        "0s code     => paying Pay
         1s waiting  => resting
         6s due      => querying Query ~
        57s waiting  => resting ~
        60s due      => querying Query ~
        61s waiting  => cancelling Cancel
        62s closed   => CANCELLED close",
    );
    assert_eq!(payment.money(), Money::None);
}

#[test]
fn the_network_dies_and_the_cancel_returns_the_money() {
    let payment = check(
        "0s code      => paying Pay
        10s unknown   => resting
        11s due       => querying Query ~
        21s unknown   => resting
        26s due       => querying Query ~
        58s unknown   => resting ~
        60s due       => querying Query ~
        70s unknown   => cancelling Cancel
        80s unknown   => resting !
        81s due       => querying Query ! ~
        82s paid      => cancelling Cancel !
        83s refunded  => CANCELLED refund",
    );
    assert_eq!((payment.money(), payment.attention()), (Money::Returned, None));
}

#[test]
fn a_decline_is_asked_about_and_closed_before_it_is_final() {
    let declined = check(
        "0s code     => paying Pay
         1s declined => querying Query",
    );
    assert_eq!((declined.public(), declined.money()), (Public::Cancelling, Money::Unknown));
    assert_eq!(declined.reason(), Some(&reason()));
    for (query, cancel) in [("waiting", "closed"), ("not-exist", "no-action")] {
        let payment = check(&format!(
            "0s code      => paying Pay
             1s declined  => querying Query
             2s {query}   => cancelling Cancel
             3s {cancel}  => DECLINED"
        ));
        assert_eq!(payment.money(), Money::None);
    }
    // The buyer confirmed between the query and the cancel.
    check(
        "0s code      => paying Pay
         1s declined  => querying Query
         2s waiting   => cancelling Cancel
         3s refunded  => CANCELLED refund",
    );
}

#[test]
fn nothing_is_cancelled_that_was_not_asked_about() {
    // The network is gone: nothing is decided before silence has lasted.
    let payment = check(
        "0s code      => paying Pay
        10s unknown   => resting
        11s stop      => querying Query
        12s silence   => resting
        16s due       => querying Query ~
        17s silence   => resting ~",
    );
    assert_eq!(payment.public(), Public::Processing);
    check(
        "0s code      => paying Pay
        10s unknown   => resting
        11s stop      => querying Query
        12s silence   => resting
        16s due       => querying Query ~
        17s not-exist => cancelling Cancel",
    );
    // No query is ever answered: in the end it is cancelled all the same.
    check(
        "0s code      => paying Pay
        10s unknown   => resting
        11s stop      => querying Query
        12s silence   => resting
        16s due       => querying Query ~
        17s silence   => resting ~
        21s due       => querying Query ~
        22s silence   => cancelling Cancel
        23s refunded  => CANCELLED refund",
    );
    check(
        "0s code      => paying Pay
        10s unknown   => resting
        11s stop      => querying Query
        12s silence   => resting
        16s due       => querying Query ~
        17s foreign   => resting !",
    );
    // What is ours needs no asking again.
    check(
        "0s code      => paying Pay
         1s waiting   => resting
         2s stop      => querying Query
         3s silence   => resting
         7s due       => querying Query ~
         8s waiting   => cancelling Cancel",
    );
    // Behind a decline nothing presses, and only a word about the trade counts.
    check(
        "0s code      => paying Pay
         1s declined  => querying Query
         2s unknown   => resting
         7s due       => querying Query ~
         8s silence   => resting
        12s due       => querying Query ~
        14s not-exist => cancelling Cancel
        15s no-action => DECLINED",
    );
}

#[test]
fn another_amount_is_never_paid_and_never_cancelled() {
    check(
        "0s code      => paying Pay
         1s foreign   => resting !
         2s due       => querying Query ! ~
         3s foreign   => resting ! ~
         7s due       => querying Query ! ~
        59s unknown   => resting !
        60s due       => querying Query ! ~
        61s unknown   => resting ! ~
        91s due       => querying Query ! ~
        92s foreign   => resting !
        93s stop      => querying Query !
        94s not-exist => resting !",
    );
    // Nothing is under the number after all, and a late pay is over.
    check(
        "0s code      => paying Pay
         1s foreign   => resting !
         2s stop      => querying Query !
         3s not-exist => resting !
        33s due       => querying Query ! ~
        34s not-exist => resting ! ~
        94s due       => querying Query ! ~
        95s not-exist => resting ! ~
       215s due       => querying Query ! ~
       216s not-exist => cancelling Cancel !
       217s no-action => CANCELLED close",
    );
    // One answer that was somebody else's, and then our own.
    check(
        "0s code     => paying Pay
         1s foreign  => resting !
         2s due      => querying Query ! ~
         3s waiting  => resting
         7s due      => querying Query ~
         9s paid     => PAID",
    );
}

#[test]
fn not_exist_is_never_final() {
    check(
        "0s code      => paying Pay
        10s unknown   => resting
        11s due       => querying Query ~
        12s not-exist => resting
        16s due       => querying Query ~
        18s paid      => PAID",
    );
}

#[test]
fn a_late_pay_is_reckoned_with() {
    // The number was never seen at the gateway. time_expire is at 120 s, the
    // margin 10 s: only a cancel after that is believed.
    check(
        "0s code       => paying Pay
        10s unknown    => resting
        11s stop       => querying Query
        12s not-exist  => cancelling Cancel
        13s no-action  => resting
        14s due        => querying Query ~
        15s not-exist  => cancelling Cancel
       100s no-action  => resting !
       102s due        => querying Query ! ~
       129s not-exist  => cancelling Cancel !
       140s no-action  => resting !
       144s due        => querying Query ! ~
       145s not-exist  => cancelling Cancel !
       146s no-action  => CANCELLED close",
    );
    // The late pay arrives while it is being waited for.
    check(
        "0s code       => paying Pay
        10s unknown    => resting
        11s stop       => querying Query
        12s not-exist  => cancelling Cancel
        13s no-action  => resting
        14s due        => querying Query ~
        15s paid       => cancelling Cancel
        16s refunded   => CANCELLED refund",
    );
}

#[test]
fn the_horizon_needs_the_gateways_clock_and_the_steady_one() {
    let rules = Rules::default();
    let after = |gateway: f64, steady: f64| {
        let mut payment = check(
            "0s code     => paying Pay
            10s unknown  => resting
            11s stop     => querying Query",
        );
        let at = moment(steady).steady;
        let now = Moment::undisputed(at, at, moment(gateway).steady);
        for word in ["not-exist", "no-action"] {
            let event = event(payment.state(), word, now);
            payment = payment.step(&event, now, &rules).expect("legal").payment;
        }
        name(payment.state())
    };
    assert_eq!(after(131.0, 131.0), "CANCELLED close");
    // The wall clock of either side jumped.
    assert_eq!(after(86_400.0, 13.0), "resting");
    assert_eq!(after(13.0, 86_400.0), "resting");
    assert_eq!(after(129.0, 131.0), "resting");
    assert_eq!(after(131.0, 129.0), "resting");
}

#[test]
fn the_horizon_starts_anew_with_a_restart() {
    check(
        "0s code      => paying Pay
       100s restart   => querying Query !
       135s not-exist => cancelling Cancel !
       136s no-action => resting !
       137s due       => querying Query ! ~
       229s not-exist => cancelling Cancel !
       230s no-action => resting !
       232s due       => querying Query ! ~
       233s not-exist => cancelling Cancel !
       234s no-action => CANCELLED close",
    );
}

#[test]
fn a_pay_that_never_left_is_tried_for_a_while_and_is_no_doubt() {
    let waits = check(
        "0s code     => paying Pay
         1s not-sent => unsent",
    );
    assert_eq!((waits.public(), waits.money()), (Public::Processing, Money::Open));
    let payment = check(
        "0s code     => paying Pay
         1s not-sent => unsent
         3s due      => paying Pay
         4s paid     => PAID",
    );
    assert_eq!(payment.money(), Money::Taken);
    // Eight seconds without a connection, and it ends uncharged.
    let payment = check(
        "0s code     => paying Pay
         1s not-sent => unsent
         3s due      => paying Pay
         4s not-sent => unsent
         6s due      => paying Pay
         7s not-sent => unsent
         8s due      => CANCELLED none",
    );
    assert_eq!(payment.money(), Money::None);
    assert!(payment.cashier().en.contains("No connection"), "{:?}", payment.cashier());
    check(
        "0s code     => paying Pay
        10s not-sent => CANCELLED none",
    );
    check(
        "0s code     => paying Pay
         1s not-sent => unsent
         2s stop     => CANCELLED none",
    );
    // The buyer's time begins when the pay leaves.
    let late = check(
        "0s code     => paying Pay
         1s not-sent => unsent
         3s due      => paying Pay
         4s not-sent => unsent
         6s due      => paying Pay
         7s waiting  => resting",
    );
    assert_eq!(late.offer().expect("out").deadline, Timestamp(66_000));
}

#[test]
fn a_restart_never_pays() {
    for (story, expected) in [
        ("0s code => paying Pay", "querying"),
        ("0s code => paying Pay\n1s not-sent => unsent", "CANCELLED none"),
        ("0s code => paying Pay\n1s waiting => resting", "querying"),
        ("0s code => paying Pay\n1s unknown => resting\n2s due => querying Query ~", "querying"),
    ] {
        let payment = check(story);
        let stepped =
            payment.step(&Event::Restarted, moment(9.0), &Rules::default()).expect("legal");
        assert_eq!(name(stepped.payment.state()), expected);
        assert_ne!(stepped.call, Some(Call::Pay), "{story}");
    }
}

#[test]
fn attention_comes_within_a_minute_of_the_deadline() {
    let rules = Rules::default();
    let mut payment = check(
        "0s code    => paying Pay
        10s unknown => resting",
    );
    let mut now = 10.0;
    while payment.attention().is_none() {
        now = match payment.due() {
            #[allow(clippy::cast_precision_loss, reason = "test times are small")]
            Some(due) => due.millis() as f64 / 1000.0,
            None => now + 10.0,
        };
        let word = if payment.due().is_some() { "due" } else { "unknown" };
        let event = event(payment.state(), word, moment(now));
        payment = payment.step(&event, moment(now), &rules).expect("legal").payment;
    }
    assert!(now <= 120.0, "attention only at {now} s");
}

/// The whole machine: states down, events across. `.` cannot happen. The states
/// are as they come with the usual history; what depends on more than the pair
/// is told in the stories above.
#[test]
fn the_machine_as_a_table() {
    let rules = Rules::default();
    let all = [
        "awaiting-code",
        "paying",
        "unsent",
        "resting",
        "querying",
        "cancelling",
        "owing",
        "PAID",
        "DECLINED",
        "CANCELLED close",
    ];
    let history = |state: &str| match state {
        "awaiting-code" => "",
        "paying" => "0s code => paying Pay",
        "unsent" => "0s code => paying Pay\n1s not-sent => unsent",
        "resting" => "0s code => paying Pay\n1s waiting => resting",
        "querying" => "0s code => paying Pay\n1s waiting => resting\n6s due => querying Query ~",
        "cancelling" => {
            "0s code => paying Pay\n1s waiting => resting\n2s stop => querying Query\n\
             3s waiting => cancelling Cancel"
        }
        "owing" => {
            "0s code => paying Pay\n1s waiting => resting\n2s stop => querying Query\n\
             3s waiting => cancelling Cancel\n4s refused => querying Query\n5s paid => owing !"
        }
        "PAID" => "0s code => paying Pay\n1s paid => PAID",
        "DECLINED" => "0s code => paying Pay\n1s declined => querying Query\n2s closed => DECLINED",
        _ => {
            "0s code => paying Pay\n1s waiting => resting\n2s stop => querying Query\n\
             3s closed => CANCELLED close"
        }
    };
    let words = ["code", "hint", "due", "stop", "restart", "answer"];
    let mut table = format!("{:16}", "");
    for word in words {
        table += &format!("{word:>22}");
    }
    for state in all {
        let payment = check(history(state));
        assert_eq!(name(payment.state()), state);
        table += &format!("\n{state:16}");
        for word in words {
            let now = moment(9.0);
            let event = match (word, payment.state()) {
                ("answer", State::Paying) => event(State::Paying, "unknown", now),
                ("answer", State::Cancelling) => event(State::Cancelling, "unknown", now),
                ("answer", _) => event(State::Querying, "unknown", now),
                (word, state) => event(state, word, now),
            };
            let cell = match payment.step(&event, now, &rules) {
                Ok(Stepped { payment, call, .. }) => {
                    let call = call.map(|c| format!("+{c:?}")).unwrap_or_default();
                    format!("{}{call}", name(payment.state()))
                }
                Err(_) => ".".to_owned(),
            };
            table += &format!("{cell:>22}");
        }
    }
    // The page that people read holds the table.
    let page = include_str!("../../../docs/state-machine.md");
    let expected = page.split("```text").nth(1).and_then(|t| t.split("```").next());
    let expected = expected.expect("docs/state-machine.md holds the table");
    assert_eq!(table.trim(), expected.trim(), "the machine is now\n{table}");
}

#[test]
fn every_answer_of_another_call_cannot_happen() {
    let rules = Rules::default();
    let answers = [
        Answer::Pay(PayAnswer::Paid(trade(Timestamp(0)))),
        Answer::Query(QueryAnswer::Paid(trade(Timestamp(0)))),
        Answer::Cancel(CancelAnswer::Closed(trade(Timestamp(0)))),
    ];
    for (story, own) in [
        ("0s code => paying Pay", 0),
        ("0s code => paying Pay\n1s unknown => resting\n2s due => querying Query ~", 1),
    ] {
        let payment = check(story);
        for (index, answer) in answers.iter().enumerate() {
            let answered =
                Answered { answer: answer.clone(), gateway_time: None, wire: Wire::default() };
            let result = payment.step(&Event::Answered(answered), moment(9.0), &rules);
            assert_eq!(result.is_ok(), index == own, "{story}: {answer:?}");
        }
    }
}

#[test]
fn the_registers_own_window_stretches_the_hold() {
    let rules = Rules::default();
    let mut own = order();
    own.timeout = Some(Duration::from_secs(300));
    let now = moment(0.0);
    let payment = Payment::requested(own, now, &rules);
    let pay = payment.step(&Event::Code(MARK, TAG), now, &rules).expect("legal").payment;
    let pay = pay.offer().expect("paying");
    assert_eq!(pay.deadline, Timestamp(300_000));
    assert!(pay.time_expire >= pay.deadline, "the gateway must not refuse within the window");
    assert_eq!(pay.hold, Duration::from_secs(310));
}
