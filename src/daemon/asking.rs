//! From a call that the terminal has decided on to what the gateway is asked.

use std::sync::Arc;
use std::time::Duration;

use crate::alipay::ask::{self, Ask, Expect, Pay, Precreate};
use crate::payment::Wire;
use crate::payment::{
    Answer, Answered, AuthCode, Call, Offer, PayAnswer, Refund, Trouble, TroubleKind,
};
use crate::terminal::Matter;

/// What is to be asked about a payment or a refund; or the answer to a pay that
/// has nothing to be sent with, and so never leaves the box.
pub(super) fn ask(
    call: Call,
    about: &Matter,
    code: Option<AuthCode>,
) -> Result<Ask, Box<Answered>> {
    let (payment, refund) = match about {
        Matter::Payment(payment) => (payment, None),
        Matter::Refund(refund) => (&refund.asked().payment, Some(refund)),
    };
    let order = payment.order();
    match (call, refund) {
        (Call::Query, _) => Ok(Ask::Query(Expect::of(order))),
        (Call::Cancel, None) => Ok(Ask::Cancel(Expect::of(order))),
        (Call::Pay, None) => match (payment.offer(), code) {
            (Some(offer), Some(code)) => {
                let (order, time_expire) = (Arc::clone(order), offer.time_expire);
                let (tag, till) = (offer.tag.map(|tag| tag.to_string()), payment.till().cloned());
                Ok(Ask::Pay(Box::new(Pay { order, till, code, time_expire, tag })))
            }
            (None, _) | (_, None) => Err(Box::new(not_sent())),
        },
        (Call::Precreate, None) => match payment.offer() {
            Some(offer) => Ok(Ask::Precreate(Box::new(Precreate {
                order: Arc::clone(order),
                till: payment.till().cloned(),
                time_expire: offer.time_expire,
                code_lives: lives(offer),
                tag: offer.tag.map(|tag| tag.to_string()),
                notify_url: None,
            }))),
            None => Err(Box::new(not_sent())),
        },
        (Call::Refund, Some(refund)) => Ok(Ask::Refund(Box::new(give_back(refund)))),
        (Call::RefundQuery, Some(refund)) => {
            let ask::Refund { number, trade_no, trade_amount, request, amount, .. } =
                give_back(refund);
            let asked = ask::RefundQuery { number, trade_no, trade_amount, request, amount };
            Ok(Ask::RefundQuery(Box::new(asked)))
        }
        // No machine asks for it.
        (Call::Pay | Call::Precreate | Call::Cancel, Some(_))
        | (Call::Refund | Call::RefundQuery, None) => Err(Box::new(not_sent())),
    }
}

/// The same over all retries and restarts.
fn give_back(refund: &Refund) -> ask::Refund {
    let (asked, back) = (refund.asked(), refund.back());
    let trade_no = asked.payment.trade().trade_no.clone();
    ask::Refund {
        number: refund.of().clone(),
        trade_no: trade_no.or_else(|| back.trade_no.clone()),
        trade_amount: asked.payment.order().amount,
        request: asked.request.to_string(),
        amount: asked.amount,
        reason: asked.reason.clone(),
        operator_id: asked.operator_id.clone(),
        till: asked.payment.till().cloned(),
    }
}

/// How long what is shown can be scanned.
fn lives(offer: &Offer) -> Duration {
    let millis = offer.time_expire.millis().saturating_sub(offer.sent_at.millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn not_sent() -> Answered {
    let kind = TroubleKind::Unreachable;
    let text = "not sent: a pay needs a decision of the terminal and the buyer's code".to_owned();
    Answered {
        answer: Answer::Pay(PayAnswer::NotSent(Trouble { kind, text })),
        gateway_time: None,
        wire: Wire::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alipay::ask::Method;
    use crate::payment::{
        CodeMark, Event, Moment, Order, Payment, RefundCause, Rules, SecretText, Tag, Till,
        Timestamp,
    };

    #[test]
    fn a_call_is_asked_for_its_own_order_and_a_pay_never_without_its_code() {
        let order = Order::new("A1".parse().unwrap(), "1.20".parse().unwrap(), "tea".to_owned());
        let now = Moment::undisputed(Timestamp(5_000), Timestamp(7_000_000), Timestamp(8_000_000));
        let rules = Rules::default();
        let till = Some(Arc::new(Till { terminal_id: "T_002".to_owned(), ..Till::default() }));
        let requested = Payment::requested(order, now, &rules).at_till(till.clone());
        let of = |payment: &Payment| Matter::Payment(payment.clone());
        let code = || Some(AuthCode::read(&SecretText::new("2876344382566439".into())).unwrap());

        for (call, method) in [(Call::Query, Method::Query), (Call::Cancel, Method::Cancel)] {
            let asked = ask(call, &of(&requested), None).unwrap();
            assert_eq!(asked.method(), method);
            assert_eq!(asked.expect(), Expect::of(requested.order()));
        }
        let undecided = ask(Call::Pay, &of(&requested), code()).unwrap_err();
        assert!(matches!(undecided.answer, Answer::Pay(PayAnswer::NotSent(_))), "{undecided:?}");

        let paying =
            requested.step(&Event::Code(CodeMark([7; 16]), Tag(5)), now, &rules).unwrap().payment;
        let codeless = ask(Call::Pay, &of(&paying), None).unwrap_err();
        assert!(matches!(codeless.answer, Answer::Pay(PayAnswer::NotSent(_))), "{codeless:?}");
        let Ask::Pay(pay) = ask(Call::Pay, &of(&paying), code()).unwrap() else { panic!("no pay") };
        assert_eq!(&pay.order, paying.order());
        assert_eq!(pay.tag, Some(Tag(5).to_string()));
        assert_eq!(pay.till, till);
        assert_eq!(pay.time_expire, Timestamp(8_000_000) + rules.expire_after);

        let refund = Refund::own(paying.clone(), RefundCause::Undo, crate::payment::Fen(0), now);
        let of_refund = || Matter::Refund(refund.clone());
        let Ok(Ask::Refund(asked)) = ask(Call::Refund, &of_refund(), None) else {
            panic!("no refund")
        };
        assert_eq!((asked.request.as_str(), asked.amount), ("A1", paying.order().amount));
        assert_eq!(asked.till, till);
        for (call, method) in
            [(Call::Query, Method::Query), (Call::RefundQuery, Method::RefundQuery)]
        {
            assert_eq!(ask(call, &of_refund(), None).unwrap().method(), method);
        }
        for (call, about) in [
            (Call::Pay, of_refund()),
            (Call::Cancel, of_refund()),
            (Call::Refund, of(&paying)),
            (Call::RefundQuery, of(&paying)),
        ] {
            assert!(ask(call, &about, code()).is_err(), "no machine asks for {call:?}");
        }
    }
}
