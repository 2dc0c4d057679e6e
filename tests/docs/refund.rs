//! The diagram of a refund is the machine's own.

use std::collections::BTreeSet;

use tilld::payment::{
    Answer, Answered, Back, Fen, Happened, Moment, OutRequestNo, PayAnswer, Payment, Refund,
    RefundAnswer, RefundCause, RefundQueryAnswer, RefundRequest, RefundStage, Rules, State,
    Timestamp, Trade, TroubleKind, Wire,
};

use super::machine::{Edges, Random, answers, assert_same, code, drawn, order, reason, trouble};

fn happened(answer: Answer) -> Happened {
    Happened::Answered(Answered { answer, gateway_time: None, wire: Wire::default() })
}

/// Every kind of answer to the call that is in flight.
fn answers_in(stage: RefundStage) -> Vec<Answer> {
    let troubles = || {
        use TroubleKind::{Busy, NoAnswer, Refused, SellerBalance, Unreachable};
        [Busy, NoAnswer, Refused, SellerBalance, Unreachable].map(trouble)
    };
    match stage {
        RefundStage::Proving => answers(State::Querying),
        RefundStage::Refunding => {
            let known = [
                RefundAnswer::Done(Back::default()),
                RefundAnswer::Unproven(Back::default()),
                RefundAnswer::Refused(reason()),
            ];
            let unknown = troubles().map(RefundAnswer::Unknown);
            known.into_iter().chain(unknown).map(Answer::Refund).collect()
        }
        RefundStage::Asking => {
            let known = [
                RefundQueryAnswer::Done(Back::default()),
                RefundQueryAnswer::NotDone,
                RefundQueryAnswer::Foreign(trouble(TroubleKind::Foreign)),
            ];
            let unknown = troubles().map(RefundQueryAnswer::Unknown);
            known.into_iter().chain(unknown).map(Answer::RefundQuery).collect()
        }
        RefundStage::Resting { .. } | RefundStage::Refunded | RefundStage::Refused => vec![],
    }
}

/// The name of a stage in the page.
fn name(stage: RefundStage) -> &'static str {
    match stage {
        RefundStage::Proving => "proving",
        RefundStage::Refunding => "refunding",
        RefundStage::Asking => "asking",
        RefundStage::Resting { .. } => "resting",
        RefundStage::Refunded => "refunded",
        RefundStage::Refused => "refused",
    }
}

fn paid(now: Moment) -> Payment {
    let rules = Rules::default();
    let step =
        |payment: Payment, event| payment.step(&event, now, &rules).expect("it may happen").payment;
    let paying = step(Payment::requested(order(), now, &rules), code());
    let answer =
        Answer::Pay(PayAnswer::Paid(Trade { paid_at: Some(now.wall), ..Trade::default() }));
    let answered = Answered { answer, gateway_time: Some(now.wall), wire: Wire::default() };
    step(paying, tilld::payment::Event::Answered(answered))
}

/// Lets the machine run many times, with whatever may happen next.
fn walk() -> Edges {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut edges: Edges = BTreeSet::new();
    let moment = |at| Moment::undisputed(at, at, at);
    let begin = Timestamp(1_795_140_000_000);
    let payment = paid(moment(begin));
    assert_eq!(payment.state(), State::Paid);
    for round in 0..20_000 {
        let mut now = begin;
        let asked = RefundRequest {
            payment: payment.clone(),
            request: OutRequestNo::own(&payment.order().out_trade_no),
            amount: payment.order().amount,
            reason: None,
            operator_id: None,
            cause: RefundCause::ALL[round % RefundCause::ALL.len()],
            before: Fen(0),
            created_at: now,
        };
        let mut refund = Refund::requested(asked, moment(now));
        let mut from = "[*]";
        let mut event = Happened::Requested;
        loop {
            let turn = refund.step(&event, moment(now)).expect("it may happen");
            let to = name(turn.refund.stage());
            if from != to {
                edges.insert((from.to_owned(), to.to_owned()));
            }
            (refund, from) = (turn.refund, to);
            if refund.is_final() {
                break;
            }
            now = now + std::time::Duration::from_millis(random.below(20_000) as u64);
            let mut events: Vec<Happened> =
                answers_in(refund.stage()).into_iter().map(happened).collect();
            events.push(Happened::Restarted);
            if let Some(due) = refund.due() {
                now = now.max(due);
                // Most of the time nothing happens but the clock.
                events.extend([Happened::Due, Happened::Due, Happened::Due]);
            }
            event = random.one_of(events);
        }
        edges.insert((from.to_owned(), "[*]".to_owned()));
    }
    edges
}

#[test]
fn the_diagram_of_a_refund_has_exactly_the_arrows_of_the_machine() {
    assert_same("a refund", &drawn("## A refund"), &walk());
}
