//! From a call that the terminal has decided on to what the gateway is asked.

use std::sync::Arc;

use crate::alipay::ask::{Ask, Expect, Pay};
use crate::payment::Wire;
use crate::payment::{Answer, Answered, AuthCode, Call, PayAnswer, Payment, Trouble, TroubleKind};

/// What is to be asked for `payment`; or the answer to a pay that has nothing to
/// be sent with, and so never leaves the box.
pub(super) fn ask(
    call: Call,
    payment: &Payment,
    code: Option<AuthCode>,
) -> Result<Ask, Box<Answered>> {
    let order = payment.order();
    match call {
        Call::Query => Ok(Ask::Query(Expect::of(order))),
        Call::Cancel => Ok(Ask::Cancel(Expect::of(order))),
        Call::Pay => match (payment.offer(), code) {
            (Some(offer), Some(code)) => {
                let (order, time_expire) = (Arc::clone(order), offer.time_expire);
                let tag = offer.tag.map(|tag| tag.to_string());
                Ok(Ask::Pay(Box::new(Pay { order, code, time_expire, tag })))
            }
            (None, _) | (_, None) => Err(Box::new(not_sent())),
        },
    }
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
    use crate::payment::{CodeMark, Event, Moment, Order, Rules, SecretText, Tag, Timestamp};

    #[test]
    fn a_call_is_asked_for_its_own_order_and_a_pay_never_without_its_code() {
        let order = Order::new("A1".parse().unwrap(), "1.20".parse().unwrap(), "tea".to_owned());
        let now = Moment::undisputed(Timestamp(5_000), Timestamp(7_000_000), Timestamp(8_000_000));
        let rules = Rules::default();
        let requested = Payment::requested(order, now, &rules);
        let code = || Some(AuthCode::read(&SecretText::new("2876344382566439".into())).unwrap());

        for (call, method) in [(Call::Query, Method::Query), (Call::Cancel, Method::Cancel)] {
            let asked = ask(call, &requested, None).unwrap();
            assert_eq!(asked.method(), method);
            assert_eq!(asked.expect(), Expect::of(requested.order()));
        }
        let undecided = ask(Call::Pay, &requested, code()).unwrap_err();
        assert!(matches!(undecided.answer, Answer::Pay(PayAnswer::NotSent(_))), "{undecided:?}");

        let paying =
            requested.step(&Event::Code(CodeMark([7; 16]), Tag(5)), now, &rules).unwrap().payment;
        let codeless = ask(Call::Pay, &paying, None).unwrap_err();
        assert!(matches!(codeless.answer, Answer::Pay(PayAnswer::NotSent(_))), "{codeless:?}");
        let Ask::Pay(pay) = ask(Call::Pay, &paying, code()).unwrap() else { panic!("no pay") };
        assert_eq!(&pay.order, paying.order());
        assert_eq!(pay.tag, Some(Tag(5).to_string()));
        assert_eq!(pay.time_expire, Timestamp(8_000_000) + rules.expire_after);
    }
}
