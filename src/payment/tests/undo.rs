//! Stories of stops and cancels.

use super::*;

#[test]
fn a_stop_is_a_deadline_that_came_early() {
    check("5s stop => CANCELLED none");
    // The pay is answered first.
    check(
        "0s code    => paying Pay
         1s stop    => paying
         2s paid    => PAID",
    );
    check(
        "0s code    => paying Pay
         1s stop    => paying
         2s waiting => querying Query
         3s waiting => cancelling Cancel
         4s closed  => CANCELLED close",
    );
    check(
        "0s code    => paying Pay
         1s waiting => resting
         2s stop    => querying Query
         3s paid    => PAID",
    );
    check(
        "0s code    => paying Pay
         1s waiting => resting
         6s due     => querying Query ~
         7s stop    => querying
         8s waiting => cancelling Cancel",
    );
}

#[test]
fn past_the_point_of_no_return_a_success_is_given_back() {
    check(
        "0s code    => paying Pay
         1s waiting => resting
         2s stop    => querying Query
         3s waiting => cancelling Cancel
         4s unknown => resting
         5s due     => querying Query ~
         6s paid    => cancelling Cancel
         7s unknown => resting
         9s due     => querying Query ~
        10s closed-after-paid => CANCELLED refund",
    );
}

#[test]
fn a_cancel_refused_for_good_leaves_the_truth() {
    let payment = check(
        "0s code    => paying Pay
         1s waiting => resting
         2s stop    => querying Query
         3s waiting => cancelling Cancel
         4s refused => querying Query
         5s paid    => owing !",
    );
    assert_eq!(payment.attention(), Some(&Attention::Owing(reason())));
    let owing = "0s code    => paying Pay
         1s waiting => resting
         2s stop    => querying Query
         3s waiting => cancelling Cancel
         4s refused => querying Query
         5s paid    => owing !
         6s stop    => owing !
         7s restart => owing !";
    check(&format!("{owing}\n 9s gave-back => CANCELLED refund"));
    let kept = check(&format!("{owing}\n 9s would-not => PAID !"));
    assert_eq!(kept.attention(), Some(&Attention::CancelRefused(reason())));
    // Not paid: it goes on being asked, at a rest.
    check(
        "0s code    => paying Pay
         1s waiting => resting
         2s stop    => querying Query
         3s waiting => cancelling Cancel
         4s refused => querying Query
         5s waiting => cancelling Cancel
         6s refused => resting
         8s due     => querying Query ~",
    );
}

#[test]
fn a_cancel_is_repeated_until_it_is_answered() {
    let rules = Rules::default();
    let mut payment = check(
        "0s code    => paying Pay
         1s waiting => resting
         2s stop    => querying Query
         3s waiting => cancelling Cancel",
    );
    let mut rests = Vec::new();
    let mut seconds = 4.0;
    for _ in 0..1000 {
        let now = moment(seconds);
        let unknown = event(payment.state(), "unknown", now);
        payment = payment.step(&unknown, now, &rules).expect("legal").payment;
        if let Some(due) = payment.due() {
            #[allow(clippy::cast_precision_loss, reason = "test times are small")]
            let due_seconds = due.millis() as f64 / 1000.0;
            rests.push(due_seconds - seconds);
            seconds = due_seconds;
            payment = payment.step(&Event::Due, moment(seconds), &rules).expect("legal").payment;
        }
        seconds += 1.0;
    }
    assert_eq!(rests[..7], [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    assert!(rests.len() > 300 && rests.iter().all(|rest| *rest <= 30.0));
}

/// Each cancel is asked about, also when it was decided long ago: the number may
/// have become another sale's. But money is not kept because nobody answers.
#[test]
fn a_cancel_is_not_repeated_unasked() {
    let decided = "0s code      => paying Pay
                   1s waiting   => resting
                   2s stop      => querying Query
                   3s waiting   => cancelling Cancel
                  13s silence   => resting
                  14s due       => querying Query ~";
    check(&format!(
        "{decided}
        24s silence   => resting !
        29s due       => querying Query ! ~
        39s foreign   => resting !"
    ));
    // An answer about another number tells nothing about this one.
    check(&format!(
        "{decided}
        24s elsewhere => resting !
        29s due       => querying Query ! ~
        30s elsewhere => resting ! ~
        34s due       => querying Query ! ~
        35s elsewhere => cancelling Cancel !"
    ));
    // It goes on for as long as nobody answers, and ends when somebody does.
    check(&format!(
        "{decided}
        24s silence   => resting !
        29s due       => querying Query ! ~
        39s silence   => resting ! ~
        44s due       => querying Query ! ~
        54s silence   => cancelling Cancel !
        64s silence   => resting !
        66s due       => querying Query ! ~
        76s silence   => resting ! ~
        81s due       => querying Query ! ~
        91s silence   => resting ! ~
        96s due       => querying Query ! ~
        97s paid      => cancelling Cancel !
        98s refunded  => CANCELLED refund"
    ));
    // Nor after a start.
    check(&format!(
        "{decided}
        20s restart   => querying Query
        30s silence   => resting !
        35s due       => querying Query ! ~
        45s silence   => resting ! ~
        50s due       => querying Query ! ~
        60s silence   => resting ! ~
        65s due       => querying Query ! ~"
    ));
}
