//! Stories of refunds: `TIMEs EVENT => STAGE [Call] [!] [~]`, as those of payments.

use super::*;
use crate::payment::refund::{RefundStage as Stage, RefundThen as Then};

fn paid() -> Payment {
    let number = "T1";
    let mut record = check_paid().record();
    assert_eq!(record.order.out_trade_no.as_str(), number);
    record.trade = trade(Timestamp(0));
    record.try_into().expect("a paid payment")
}

fn check_paid() -> Payment {
    check(
        "
        0s code => paying Pay
        1s paid => PAID
    ",
    )
}

fn asked(amount: &str, cause: RefundCause, before: u64) -> Refund {
    let asked = RefundRequest {
        payment: paid(),
        request: "R1".parse().expect("valid"),
        amount: amount.parse().expect("valid"),
        reason: None,
        operator_id: None,
        cause,
        before: Fen(before),
        created_at: Timestamp(0),
    };
    Refund::requested(asked, moment(0.0))
}

fn back(total: u64) -> Back {
    Back { total: Some(Fen(total)), at: Some(Timestamp(5)), ..Back::default() }
}

fn answer_to(stage: Stage, word: &str) -> Answer {
    use TroubleKind::{Busy, Foreign, NoAnswer, Refused, SellerBalance, Unreachable};
    let refund = |kind| Answer::Refund(RefundAnswer::Unknown(trouble(kind)));
    let asking = |kind| Answer::RefundQuery(RefundQueryAnswer::Unknown(trouble(kind)));
    let query = Answer::Query;
    match (stage, word) {
        (Stage::Refunding, "Y") => Answer::Refund(RefundAnswer::Done(back(500))),
        (Stage::Refunding, "Y-of-more") => Answer::Refund(RefundAnswer::Done(back(9_999))),
        (Stage::Refunding, "N") => Answer::Refund(RefundAnswer::Unproven(back(500))),
        (Stage::Refunding, "refused") => Answer::Refund(RefundAnswer::Refused(reason())),
        (Stage::Refunding, "busy") => refund(Busy),
        (Stage::Refunding, "silence") => refund(NoAnswer),
        (Stage::Refunding, "unreachable") => refund(Unreachable),
        (Stage::Refunding, "poor") => refund(SellerBalance),
        (Stage::Refunding, "door") => refund(Refused),
        (Stage::Refunding, "foreign") => refund(Foreign),
        (Stage::Asking, "success") => Answer::RefundQuery(RefundQueryAnswer::Done(back(0))),
        (Stage::Asking, "not-done") => Answer::RefundQuery(RefundQueryAnswer::NotDone),
        (Stage::Asking, "foreign") => {
            Answer::RefundQuery(RefundQueryAnswer::Foreign(trouble(Foreign)))
        }
        (Stage::Asking, "busy") => asking(Busy),
        (Stage::Asking, "silence") => asking(NoAnswer),
        (Stage::Asking, "door") => asking(Refused),
        (Stage::Proving, "paid") => query(QueryAnswer::Paid(trade(Timestamp(0)))),
        (Stage::Proving, "paid-before") => query(QueryAnswer::Paid(trade(Timestamp(-61_000)))),
        (Stage::Proving, "paid-theirs") => {
            let theirs = Some(Tag(1).to_string());
            query(QueryAnswer::Paid(Trade { tag: theirs, ..trade(Timestamp(0)) }))
        }
        (Stage::Proving, "closed-after-paid") => {
            query(QueryAnswer::Closed { trade: trade(Timestamp(0)), was_paid: true })
        }
        (Stage::Proving, "not-exist") => query(QueryAnswer::NotExist),
        (Stage::Proving, "silence") => query(QueryAnswer::Unknown(trouble(NoAnswer))),
        (stage, word) => panic!("{word} is no answer in {stage:?}"),
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Proving => "proving",
        Stage::Refunding => "refunding",
        Stage::Asking => "asking",
        Stage::Resting { then: Then::Prove, .. } => "resting-to-prove",
        Stage::Resting { then: Then::Refund, .. } => "resting-to-refund",
        Stage::Resting { then: Then::Ask, .. } => "resting-to-ask",
        Stage::Refunded => "REFUNDED",
        Stage::Refused => "REFUSED",
    }
}

/// Plays a story and returns the refund at its end. A refund rests exactly until
/// its next line if that is `due`.
fn play(mut refund: Refund, story: &str) -> Refund {
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (before, after) = line.split_once(" => ").expect("an arrow");
        let (at, word) = before.split_once("s ").expect("a time and an event");
        let now = moment(at.parse().expect("seconds"));
        let happened = match word {
            "requested" => Happened::Requested,
            "due" => {
                assert_eq!(refund.due(), Some(now.steady), "{line}");
                Happened::Due
            }
            "restart" => Happened::Restarted,
            word => Happened::Answered(Answered {
                answer: answer_to(refund.stage(), word),
                gateway_time: None,
                wire: Wire::default(),
            }),
        };
        let turn = refund.step(&happened, now).unwrap_or_else(|why| panic!("{line}: {why}"));
        let mut told = stage_name(turn.refund.stage()).to_owned();
        if let Some(call) = turn.call {
            told += &format!(" {call:?}");
        }
        for (is, mark) in [(turn.refund.attention().is_some(), " !"), (turn.quiet, " ~")] {
            told += if is { mark } else { "" };
        }
        assert_eq!(told, after, "{line}");
        if turn.call == Some(Call::Refund) {
            assert!(!turn.quiet, "{line}: what gives money back is written down first");
        }
        refund = turn.refund;
    }
    refund
}

fn register(story: &str) -> Refund {
    play(asked("5.00", RefundCause::Register, 0), story)
}

#[test]
fn a_refund_is_done_when_the_call_itself_says_so() {
    let refund = play(
        asked("88.88", RefundCause::Register, 0),
        "
        0s requested => refunding Refund
        1s Y => REFUNDED
    ",
    );
    assert_eq!((refund.public(), refund.rev()), (RefundState::Refunded, 2));
}

#[test]
fn taken_is_not_done_and_done_before_is_asked_about() {
    register(
        "
        0s requested => refunding Refund
        1s N => resting-to-ask
        11s due => asking RefundQuery ~
        12s success => REFUNDED
    ",
    );
    // Not done: the same once more, and never another.
    let refund = register(
        "
        0s requested => refunding Refund
        1s N => resting-to-ask
        11s due => asking RefundQuery ~
        12s not-done => refunding Refund
        13s silence => resting-to-ask
        23s due => asking RefundQuery ~
        24s silence => resting-to-ask ~
        28s due => asking RefundQuery ~
        29s success => REFUNDED
    ",
    );
    assert_eq!((refund.asked().request.as_str(), refund.asked().amount.fen()), ("R1", 500));
}

#[test]
fn a_lost_answer_and_a_restart_are_asked_about() {
    register(
        "
        0s requested => refunding Refund
        10s silence => resting-to-ask
        12s restart => asking RefundQuery
        13s success => REFUNDED
    ",
    );
    register(
        "
        0s requested => refunding Refund
        5s restart => asking RefundQuery
        6s not-done => refunding Refund
        7s Y => REFUNDED
    ",
    );
}

#[test]
fn an_empty_account_is_patience_and_a_person_is_told() {
    register(
        "
        0s requested => refunding Refund
        1s poor => resting-to-refund !
        61s due => refunding Refund !
        62s poor => resting-to-refund ! ~
        302s due => refunding Refund !
        303s Y => REFUNDED
    ",
    );
}

#[test]
fn what_never_left_the_box_is_sent_again() {
    register(
        "
        0s requested => refunding Refund
        1s unreachable => resting-to-refund
        3s due => refunding Refund
        4s Y => REFUNDED
    ",
    );
}

#[test]
fn a_refusal_is_believed_once_it_was_asked_about() {
    let refund = register(
        "
        0s requested => refunding Refund
        1s refused => resting-to-ask
        11s due => asking RefundQuery ~
        12s not-done => REFUSED
    ",
    );
    assert_eq!(refund.refusal(), Some(&reason()));
    // It may have been another request's.
    register(
        "
        0s requested => refunding Refund
        1s refused => resting-to-ask
        11s due => asking RefundQuery ~
        12s success => REFUNDED
    ",
    );
}

#[test]
fn a_refusal_behind_a_lost_one_waits_until_none_can_arrive() {
    register(
        "
        0s requested => refunding Refund
        1s silence => resting-to-ask
        11s due => asking RefundQuery ~
        12s not-done => refunding Refund
        13s refused => resting-to-ask
        23s due => asking RefundQuery ~
        24s not-done => resting-to-ask ~
        54s due => asking RefundQuery !
        55s not-done => resting-to-ask ! ~
        85s restart => resting-to-ask
        95s due => asking RefundQuery ~
        984s not-done => resting-to-ask !
        985s due => asking RefundQuery ! ~
        986s not-done => REFUSED
    ",
    );
}

/// The door's refusal may have been somebody else's, and the refund before it taken.
#[test]
fn a_refusal_behind_a_closed_door_waits_until_none_can_arrive() {
    let refund = register(
        "
        0s requested => refunding Refund
        1s door => resting-to-ask !
        31s due => asking RefundQuery ! ~
        32s not-done => refunding Refund !
        33s refused => resting-to-ask
        43s due => asking RefundQuery ~
        44s not-done => resting-to-ask ~
    ",
    );
    assert_eq!(refund.refusal(), None);
}

/// Alipay tells of a refund ten seconds after it at the earliest, and nobody knows
/// how long the terminal was down.
#[test]
fn a_refusal_is_not_asked_about_too_soon_after_a_restart() {
    let refund = register(
        "
        0s requested => refunding Refund
        1s refused => resting-to-ask
        2s restart => resting-to-ask
        12s due => asking RefundQuery ~
        13s success => REFUNDED
    ",
    );
    assert_eq!(refund.refusal(), None);
}

#[test]
fn a_number_that_gave_back_another_sum_never_gives_back_ours() {
    register(
        "
        0s requested => refunding Refund
        1s refused => resting-to-ask
        11s due => asking RefundQuery ~
        12s foreign => REFUSED
    ",
    );
}

#[test]
fn a_closed_door_is_waited_at() {
    register(
        "
        0s requested => refunding Refund
        1s door => resting-to-ask !
        31s due => asking RefundQuery ! ~
        32s door => resting-to-ask ! ~
        62s due => asking RefundQuery ! ~
        63s not-done => refunding Refund !
        64s Y => REFUNDED
    ",
    );
}

#[test]
fn what_the_terminal_owes_is_proven_first() {
    let own = |story: &str| play(asked("88.88", RefundCause::Late, 0), story);
    own("
        0s requested => proving Query
        1s silence => resting-to-prove
        2s due => proving Query ~
        3s paid => refunding Refund
        4s Y => REFUNDED
    ");
    for other in ["paid-before", "paid-theirs"] {
        let story = format!(
            "
            0s requested => proving Query
            1s {other} => resting-to-prove !
            31s due => proving Query ! ~
            32s {other} => resting-to-prove ! ~
        "
        );
        own(&story);
    }
    // It went back another way: by a cancel that was carried out after all.
    own("
        0s requested => proving Query
        1s closed-after-paid => REFUNDED
    ");
    own("
        0s requested => proving Query
        1s paid => refunding Refund
        2s refused => resting-to-ask
        12s due => asking RefundQuery ~
        13s not-done => proving Query ~
        14s closed-after-paid => REFUNDED
    ");
    own("
        0s requested => proving Query
        1s paid => refunding Refund
        2s refused => resting-to-ask
        12s due => asking RefundQuery ~
        13s not-done => proving Query ~
        14s paid => REFUSED
    ");
}

#[test]
fn somebody_who_refunds_elsewhere_is_noticed() {
    let refund = play(
        asked("5.00", RefundCause::Register, 1_000),
        "
        0s requested => refunding Refund
        1s Y-of-more => REFUNDED !
    ",
    );
    assert_eq!(refund.attention(), Some(&RefundAttention::Elsewhere(Fen(9_999))));
    let sum = RefundSum::of([&refund]);
    assert_eq!(sum.left("88.88".parse().expect("valid")), Fen(0), "what others gave back counts");
}

#[test]
fn no_more_goes_back_than_was_paid() {
    let done = |amount: &str| {
        let mut record = asked(amount, RefundCause::Register, 0).record();
        (record.rev, record.stage) = (2, Stage::Refunded);
        Refund::from(record)
    };
    let open = |amount| asked(amount, RefundCause::Register, 0);
    let refused = |amount: &str| {
        let mut record = asked(amount, RefundCause::Register, 0).record();
        (record.rev, record.stage) = (2, Stage::Refused);
        Refund::from(record)
    };
    let left = |refunds: &[Refund]| RefundSum::of(refunds).left("88.88".parse().expect("valid"));
    assert_eq!(left(&[]), Fen(8888));
    assert_eq!(left(&[done("8.88")]), Fen(8000));
    assert_eq!(left(&[done("8.88"), open("80.00")]), Fen(0), "what is open counts as given");
    assert_eq!(left(&[refused("88.88")]), Fen(8888));
    assert_eq!(left(&[done("80.00"), done("80.00")]), Fen(0), "and never goes below nothing");
    let sum = RefundSum::of([&done("8.88")]);
    assert!(sum.allows("80.00".parse().expect("valid"), &paid()).is_ok());
    let exceeds = sum.allows("80.01".parse().expect("valid"), &paid()).expect_err("too much");
    assert_eq!(exceeds.left, Fen(8000));
}

#[test]
fn nothing_final_is_ever_changed() {
    let done = register("0s requested => refunding Refund\n1s Y => REFUNDED");
    for happened in [Happened::Requested, Happened::Due, Happened::Restarted] {
        assert!(done.step(&happened, moment(9.0)).is_err(), "{happened:?}");
    }
}

#[test]
fn what_is_owed_has_one_number_and_all_of_the_amount() {
    let (first, again) = (
        Refund::own(paid(), RefundCause::Late, Fen(0), moment(1.0)),
        Refund::own(paid(), RefundCause::Undo, Fen(0), moment(9.0)),
    );
    assert_eq!(first.asked().request, again.asked().request);
    assert_eq!(first.asked().request.as_str(), "T1");
    assert_eq!(first.asked().amount, first.asked().payment.order().amount);
}
