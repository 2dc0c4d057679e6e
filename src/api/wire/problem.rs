//! Whatever goes wrong, said in full: what it was, where the money is, whether
//! to try again, and a sentence for the cashier (RFC 9457 with our members).
//!
//! **`money`** starts as `unknown`, because a register that is told `none` takes
//! cash, or charges again. What it is in the end is decided by the server, which looks it up.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::code::{Code, Retry, Tells};
use super::reading::lenient;
use super::{MoneyView, PaymentView, SentenceView, Word};
use crate::payment::{OtherCode, OutRequestNo, OutTradeNo, Payment, Sentence};

/// Why a request was not done (RFC 9457).
///
/// The HTTP status says how the request went, never how a payment ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:tilld:problem:scanner_busy",
    "title": "Another payment is waiting on that scanner", "status": 409,
    "detail": "payment 20150320010101001 is waiting for a code on lane-1",
    "code": "scanner_busy", "money": "none", "retry": "same_request",
    "cashier": {
        "zh": "扫码枪正在等待另一笔收款，没有扣款。请先完成或取消那一笔",
        "en": "The scanner is waiting for another payment; nothing was charged. Finish or cancel that one first"
    },
    "out_trade_no": "20150320010101001"
}))]
pub struct ProblemView {
    /// `urn:tilld:problem:` and the code.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    #[schema(required)]
    pub kind_uri: String,
    /// The problem in general, in English.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required)]
    pub title: String,
    /// The HTTP status.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required)]
    pub status: u16,
    /// This occurrence of it, in English, for the register's programmer.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required)]
    pub detail: String,
    /// The stable name of the problem.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required, value_type = Code)]
    pub code: Word<Code>,
    /// Where the money is. `none` only if it was looked up that this request
    /// moved nothing and will move nothing, and that its number has no payment
    /// here; `unknown` says: ask for the payment, do not charge again.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required)]
    pub money: MoneyView,
    /// What the register can do.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required, value_type = Retry)]
    pub retry: Word<Retry>,
    /// A sentence to read aloud.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required)]
    pub cashier: SentenceView,
    /// The payment concerned: the one in the way, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub out_trade_no: Option<String>,
    /// The refund concerned: the one in the way, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub out_request_no: Option<String>,
    /// With `refund_exceeds`, how much can still go back, in yuan.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub left: Option<String>,
    /// The member of the body, or the query parameter, that is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub member: Option<String>,
    /// With `not_a_payment_code`, what the code is: `wechat`, `unionpay`,
    /// `other_wallet`, `collect_code`, `scale_label`, `torn`, `goods`,
    /// `unreadable`.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub kind: Option<String>,
    /// With `order_conflict`, the members that differ.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub differs: Option<Vec<String>>,
    /// With `unknown_scanner` and `scanner_needed`, the scanners there are.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub scanners: Option<Vec<String>>,
    /// With `already_paid` and `not_awaiting_code`, the payment; with
    /// `code_already_used`, the earlier one.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "lenient")]
    #[schema(nullable = false)]
    pub payment: Option<PaymentView>,
}

/// A problem on its way to the register. Boxed, because replies that went well
/// should not carry its size.
#[derive(Clone, Debug)]
pub(in crate::api) struct Problem(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    code: Code,
    view: ProblemView,
    /// What the cashier is told when it is found that nothing was charged. Only a
    /// request that certainly moved nothing, and will move nothing, has it.
    unmoved: Option<Sentence>,
    /// What became of its sale is told in it.
    tells_of_sale: bool,
    /// It is about a refund that did nothing, and says so already.
    refused_refund: bool,
}

impl Problem {
    pub(in crate::api) fn new(code: Code, detail: impl Into<String>) -> Self {
        let row = code.row();
        let sentence = |(zh, en): (&str, &str)| Sentence::new(zh, en);
        let (money, cashier, unmoved) = match row.tells {
            Tells::Refused(cause, advice) => {
                let none = between(cause, ("，没有扣款", "; nothing was charged"), advice);
                (MoneyView::Unknown, look_first(cause, advice), Some(none))
            }
            Tells::Unknown(pair) => (MoneyView::Unknown, sentence(pair), None),
            Tells::Taken(pair) => (MoneyView::Taken, sentence(pair), None),
            Tells::NoRefund(cause, advice) => (MoneyView::Unknown, no_refund(cause, advice), None),
        };
        let view = ProblemView {
            kind_uri: format!("urn:tilld:problem:{}", code.name()),
            title: row.title.to_owned(),
            status: row.status,
            detail: detail.into(),
            code: code.into(),
            money,
            retry: row.retry.into(),
            cashier: cashier.into(),
            out_trade_no: None,
            out_request_no: None,
            left: None,
            member: None,
            kind: None,
            differs: None,
            scanners: None,
            payment: None,
        };
        Self(Box::new(Told { code, view, unmoved, tells_of_sale: false, refused_refund: false }))
    }

    /// A member of the body that is wrong.
    pub(in crate::api) fn member(code: Code, member: &str, detail: impl Into<String>) -> Self {
        Self::new(code, detail).with(|view| view.member = Some(member.to_owned()))
    }

    /// The loop has replied to something else: a mistake of its own.
    pub(in crate::api) fn not_about_this() -> Self {
        Self::new(Code::Internal, "the reply is about something else")
    }

    /// A request for a refund that was turned away: it is told of refunds, and the
    /// money is what the payment says.
    pub(in crate::api) fn of_refund(self, money: Option<MoneyView>) -> Self {
        let money = money.unwrap_or(MoneyView::Unknown);
        let sentence = match (self.0.code.row().tells, &self.0.unmoved) {
            // It certainly did nothing.
            (Tells::Refused(cause, advice), Some(_)) => no_refund(cause, advice),
            (Tells::NoRefund(..), _) => return self.with(|view| view.money = money),
            _ if self.0.refused_refund => return self.with(|view| view.money = money),
            _ if self.0.code == Code::NotFound => Sentence::new(
                "终端里查不到这笔退款或它的收款。请先到商家账户核对，不要换单号再退",
                "The terminal knows no such refund, or no such payment: look into the merchant's account first, and do not refund under another number",
            ),
            (Tells::Refused(..) | Tells::Unknown(_) | Tells::Taken(_), _) => Sentence::new(
                "退款可能已经开始，也可能没有。请先查询这笔退款的结果，不要换单号再退，也不要另外退现金",
                "The refund may have begun or not: look at it first; do not refund under another number, and do not pay it back in cash",
            ),
        };
        self.with(|view| {
            view.money = money;
            view.cashier = sentence.into();
        })
    }

    /// It certainly did nothing, and says so in this sentence.
    pub(in crate::api) fn refused_refund(mut self, sentence: Sentence) -> Self {
        self.0.refused_refund = true;
        self.with_sentence(sentence)
    }

    pub(in crate::api) fn no_such_refund(number: &OutTradeNo, request: &OutRequestNo) -> Self {
        let detail = format!("payment {number} has no refund with the number {request}");
        Self::new(Code::NotFound, detail).about(number).with(|view| {
            view.out_request_no = Some(request.to_string());
        })
    }

    /// A query parameter that is wrong.
    pub(in crate::api) fn parameter(name: &str, detail: &str) -> Self {
        Self::member(Code::InvalidParameter, name, format!("the parameter {name} {detail}"))
    }

    pub(in crate::api) fn not_found(number: &OutTradeNo) -> Self {
        let detail = format!("there is no payment with the number {number}");
        Self::new(Code::NotFound, detail).about(number)
    }

    pub(in crate::api) fn already_paid(payment: &Payment) -> Self {
        let number = &payment.order().out_trade_no;
        let detail = format!("{number} is paid; give the money back with a refund");
        Self::new(Code::AlreadyPaid, detail)
            .about(number)
            .with(|view| view.payment = Some(payment.into()))
    }

    pub(in crate::api) fn not_a_payment_code(code: OtherCode) -> Self {
        let what = match code {
            OtherCode::WeChat => "a payment code of WeChat Pay",
            OtherCode::UnionPay => "a payment code of UnionPay",
            OtherCode::OtherWallet => "a payment code of another wallet",
            OtherCode::CollectCode => "a code to collect money with, not one to pay with",
            OtherCode::ScaleLabel => {
                "a payment code or a label of the shop's scales: its prefix is one of payment.scale_prefixes, and the check digit fits"
            }
            OtherCode::Torn => {
                "digits that begin as a payment code of Alipay but are too few or too many"
            }
            OtherCode::ExtraCharacters => {
                "a payment code of Alipay with characters before or behind it: send its digits alone, and switch off the scanner's prefix, suffix and code ID"
            }
            OtherCode::Goods => "a goods code or something else that does not pay",
            OtherCode::Unreadable => "empty, far too long, or with control characters in it",
        };
        let detail = format!("auth_code is {what}");
        Self::member(Code::NotAPaymentCode, "auth_code", detail)
            .with(|view| view.kind = Some(code.name().to_owned()))
            .or_none(code.sentence())
    }

    /// The request may have been acted on, or may still be: no look-up makes a
    /// `none` of it.
    pub(in crate::api) fn in_doubt(mut self) -> Self {
        self.0.unmoved = None;
        self
    }

    /// Whether a look-up could make a `none` of it.
    pub(in crate::api) fn moved_nothing(&self) -> bool {
        self.0.unmoved.is_some()
    }

    pub(in crate::api) fn tells_of_sale(&self) -> bool {
        self.0.tells_of_sale
    }

    /// It has moved nothing, and there is nothing else that it could be about.
    pub(in crate::api) fn none(mut self) -> Self {
        if let Some(sentence) = self.0.unmoved.take() {
            self.0.view.money = MoneyView::None;
            self.0.view.cashier = sentence.into();
        }
        self
    }

    /// There is, or will be, a payment with this number: what is true of the
    /// money is to be asked there.
    pub(in crate::api) fn beside(self, number: &OutTradeNo) -> Self {
        self.say(
            &format!("。请先查询单号 {number} 的结果，请勿重复收款"),
            &format!(": look at the payment {number} first and do not charge again"),
        )
        .about_unless_named(number)
    }

    /// It is about a payment that goes on waiting for a code, and that the cashier
    /// has in mind: what was wrong and what to do is all there is to say.
    pub(in crate::api) fn while_it_waits(self, number: &OutTradeNo) -> Self {
        self.say("", "").about_unless_named(number)
    }

    fn say(self, zh: &str, en: &str) -> Self {
        match self.0.code.row().tells {
            Tells::Refused(cause, advice) => {
                self.with(|view| view.cashier = between(cause, (zh, en), advice).into())
            }
            Tells::Unknown(_) | Tells::Taken(_) | Tells::NoRefund(..) => self,
        }
    }

    /// With a code that was used before, the earlier payment is named already.
    fn about_unless_named(self, number: &OutTradeNo) -> Self {
        if self.0.view.out_trade_no.is_some() { self } else { self.about(number) }
    }

    /// Names the payment that it is about.
    pub(super) fn about(self, number: &OutTradeNo) -> Self {
        self.with(|view| view.out_trade_no = Some(number.to_string()))
    }

    /// The same, with another sentence for the cashier.
    pub(in crate::api) fn with_sentence(self, sentence: Sentence) -> Self {
        self.with(|view| view.cashier = sentence.into())
    }

    /// The HTTP status it comes with.
    pub(in crate::api) fn status(&self) -> u16 {
        self.0.view.status
    }

    /// As JSON.
    pub(in crate::api) fn text(&self) -> String {
        serde_json::to_string(&self.0.view).unwrap_or_default()
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut ProblemView)) -> Self {
        change(&mut self.0.view);
        self
    }

    /// The cashier's sentence if nothing was charged, where there is a better one
    /// than the table's.
    pub(super) fn or_none(mut self, sentence: Sentence) -> Self {
        self.0.unmoved = Some(sentence);
        self
    }

    /// About a sale that has a payment already. The terminal has looked the sale
    /// up, and this tells what it found: it need not be looked up again.
    pub(super) fn earlier(mut self, payment: &Payment) -> Self {
        self.0.tells_of_sale = true;
        let view = Some(payment.into());
        self.about(&payment.order().out_trade_no).with(|problem| problem.payment = view)
    }

    pub(super) fn with_scanners(self, scanners: Vec<String>) -> Self {
        self.with(|view| view.scanners = Some(scanners))
    }
}

/// The cashier's sentence of a request that nothing is known of.
fn look_first(cause: (&str, &str), advice: (&str, &str)) -> Sentence {
    let words = (
        "。请先查询这笔收款的结果，请勿重复收款",
        ": look at the payment first and do not charge again",
    );
    between(cause, words, advice)
}

/// What was wrong with a request for a refund, which did nothing.
fn no_refund(cause: (&str, &str), advice: (&str, &str)) -> Sentence {
    between(cause, ("，这次没有退款", "; nothing was given back"), advice)
}

/// What was wrong, where the money is, and what to do.
fn between(cause: (&str, &str), words: (&str, &str), advice: (&str, &str)) -> Sentence {
    Sentence::new(
        format!("{}{}。{}", cause.0, words.0, advice.0),
        format!("{}{}. {}", cause.1, words.1, advice.1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which a problem can be told.
    fn told(code: Code) -> Vec<ProblemView> {
        let number: OutTradeNo = "A1".parse().unwrap();
        let new = || Problem::new(code, "because");
        let ways = [new(), new().in_doubt(), new().none(), new().in_doubt().none()];
        ways.into_iter().chain([new().beside(&number)]).map(|problem| problem.0.view).collect()
    }

    #[test]
    fn every_problem_says_all_there_is_to_say() {
        for code in Code::ALL {
            for view in told(code) {
                let json = serde_json::to_value(&view).unwrap();
                for member in ["type", "title", "detail", "code", "money", "retry"] {
                    let said = json[member].as_str().is_some_and(|s| !s.is_empty());
                    assert!(said, "{code:?} {member}");
                }
                assert!((400..=599).contains(&view.status), "{code:?}");
                assert!(!view.cashier.zh.is_empty() && !view.cashier.en.is_empty(), "{code:?}");
                assert_eq!(serde_json::from_value::<ProblemView>(json).unwrap(), view);
            }
        }
    }

    #[test]
    fn a_problem_starts_as_unknown_and_none_is_earned() {
        for code in Code::ALL {
            let [plain, in_doubt, none, still_in_doubt, beside] =
                <[_; 5]>::try_from(told(code)).unwrap();
            let best = code.money();
            let unless_taken = |money| if best == MoneyView::Taken { best } else { money };
            for view in [&plain, &in_doubt, &still_in_doubt, &beside] {
                assert_eq!(view.money, unless_taken(MoneyView::Unknown), "{code:?}");
            }
            assert_eq!(none.money, best, "{code:?}");
        }
    }

    #[test]
    fn what_is_not_none_tells_the_cashier_not_to_charge_again() {
        for code in Code::ALL {
            for view in told(code) {
                let forbids = view.cashier.en.contains("do not charge again")
                    && view.cashier.zh.contains("请勿重复收款");
                let says_none = view.cashier.en.contains("nothing was charged")
                    && view.cashier.zh.contains("没有扣款");
                let is_paid = code == Code::AlreadyPaid;
                let none = view.money == MoneyView::None;
                if let Tells::NoRefund(..) = code.row().tells {
                    let (zh, en) = (&view.cashier.zh, &view.cashier.en);
                    assert!(zh.contains("没有退款") && en.contains("nothing was given back"));
                    assert!(!says_none, "{view:?}");
                    continue;
                }
                assert_eq!((forbids || is_paid, says_none), (!none, none), "{view:?}");
            }
        }
    }
}
