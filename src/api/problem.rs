//! Whatever goes wrong, said in full: what it was, where the money is, whether
//! to try again, and a sentence for the cashier (RFC 9457 with our members).
//!
//! **`money`** starts as `unknown`, because a register that is told `none` takes
//! cash, or charges again. What it is in the end is decided in [`super::money`].

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::backend::{Unanswered, Unavailable};
use super::code::{Code, Retry, Word};
use super::view::{MoneyView, PaymentView, SentenceView, time_text};
use crate::payment::{Hint, OtherCode, OutTradeNo, Payment, Sentence};
use crate::terminal::{Closed, ClosedBy, Denied};

/// A problem on its way to the register. Boxed, because replies that went well
/// should not carry its size.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    view: ProblemView,
    /// What the cashier is told when it is found that nothing was charged. Only a
    /// request that certainly moved nothing, and will move nothing, has it.
    unmoved: Option<Sentence>,
    /// What became of its sale is told in it.
    tells_of_sale: bool,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let row = code.row();
        let sentence = |(zh, en): (&str, &str)| Sentence::new(zh, en);
        let (money, cashier, unmoved) = match row.word {
            Word::Refused(cause, advice) => {
                let none = between(cause, ("，没有扣款", "; nothing was charged"), advice);
                (MoneyView::Unknown, look_first(cause, advice), Some(none))
            }
            Word::Unknown(pair) => (MoneyView::Unknown, sentence(pair), None),
            Word::Taken(pair) => (MoneyView::Taken, sentence(pair), None),
        };
        let view = ProblemView {
            kind_uri: format!("urn:tilld:problem:{}", code.name()),
            title: row.title.to_owned(),
            status: row.status.as_u16(),
            detail: detail.into(),
            code,
            money,
            retry: row.retry,
            cashier: cashier.into(),
            out_trade_no: None,
            member: None,
            kind: None,
            differs: None,
            scanners: None,
            payment: None,
        };
        Self(Box::new(Told { view, unmoved, tells_of_sale: false }))
    }

    /// A member of the body that is wrong.
    pub(super) fn member(code: Code, member: &str, detail: impl Into<String>) -> Self {
        Self::new(code, detail).with(|view| view.member = Some(member.to_owned()))
    }

    /// A query parameter that is wrong.
    pub(super) fn parameter(name: &str, detail: &str) -> Self {
        Self::member(Code::InvalidParameter, name, format!("the parameter {name} {detail}"))
    }

    pub(super) fn not_found(number: &OutTradeNo) -> Self {
        let detail = format!("there is no payment with the number {number}");
        Self::new(Code::NotFound, detail).about(number)
    }

    pub(super) fn already_paid(payment: &Payment) -> Self {
        let number = &payment.order().out_trade_no;
        let detail = format!("{number} is paid; give the money back with a refund");
        Self::new(Code::AlreadyPaid, detail)
            .about(number)
            .with(|view| view.payment = Some(payment.into()))
    }

    pub(super) fn not_a_payment_code(code: OtherCode) -> Self {
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
    pub(super) fn in_doubt(mut self) -> Self {
        self.0.unmoved = None;
        self
    }

    /// Whether a look-up could make a `none` of it.
    pub(super) fn moved_nothing(&self) -> bool {
        self.0.unmoved.is_some()
    }

    pub(super) fn tells_of_sale(&self) -> bool {
        self.0.tells_of_sale
    }

    /// It has moved nothing, and there is nothing else that it could be about.
    pub(super) fn none(mut self) -> Self {
        if let Some(sentence) = self.0.unmoved.take() {
            self.0.view.money = MoneyView::None;
            self.0.view.cashier = sentence.into();
        }
        self
    }

    /// There is, or will be, a payment with this number: what is true of the
    /// money is to be asked there.
    pub(super) fn beside(self, number: &OutTradeNo) -> Self {
        self.say(
            &format!("。请先查询单号 {number} 的结果，请勿重复收款"),
            &format!(": look at the payment {number} first and do not charge again"),
        )
        .about_unless_named(number)
    }

    /// It is about a payment that goes on waiting for a code, and that the cashier
    /// has in mind: what was wrong and what to do is all there is to say.
    pub(super) fn while_it_waits(self, number: &OutTradeNo) -> Self {
        self.say("", "").about_unless_named(number)
    }

    fn say(self, zh: &str, en: &str) -> Self {
        match self.0.view.code.row().word {
            Word::Refused(cause, advice) => {
                self.with(|view| view.cashier = between(cause, (zh, en), advice).into())
            }
            Word::Unknown(_) | Word::Taken(_) => self,
        }
    }

    /// With a code that was used before, the earlier payment is named already.
    fn about_unless_named(self, number: &OutTradeNo) -> Self {
        if self.0.view.out_trade_no.is_some() { self } else { self.about(number) }
    }

    /// Names the payment that it is about.
    fn about(self, number: &OutTradeNo) -> Self {
        self.with(|view| view.out_trade_no = Some(number.to_string()))
    }

    /// As JSON.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.0.view).unwrap_or_default()
    }

    fn with(mut self, change: impl FnOnce(&mut ProblemView)) -> Self {
        change(&mut self.0.view);
        self
    }

    /// The cashier's sentence if nothing was charged, where there is a better one
    /// than the table's.
    fn or_none(mut self, sentence: Sentence) -> Self {
        self.0.unmoved = Some(sentence);
        self
    }

    fn with_scanners(self, scanners: Vec<String>) -> Self {
        self.with(|view| view.scanners = Some(scanners))
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::OrderConflict { number, differs } => {
                let detail = format!("payment {number} asks for another {}", differs.join(", "));
                let differs = differs.into_iter().map(str::to_owned).collect();
                Self::new(Code::OrderConflict, detail)
                    .about(&number)
                    .with(|view| view.differs = Some(differs))
            }
            Denied::ScannerBusy { number, scanner } => {
                let detail = format!("payment {number} is waiting for a code on {scanner}");
                Self::new(Code::ScannerBusy, detail).about(&number)
            }
            Denied::SaleInDoubt { number } => {
                let detail = format!("payment {number} of this sale is not settled");
                Self::new(Code::SaleInDoubt, detail).about(&number)
            }
            Denied::SaleAlreadyPaid { payment, long_ago } => {
                let detail = format!("payment {} has paid this sale", payment.order().out_trade_no);
                let problem = Self::new(Code::SaleAlreadyPaid, detail).earlier(&payment);
                if !long_ago {
                    return problem;
                }
                let sentence = of_earlier(&payment, "已经收款", "was paid");
                problem.with(|view| view.money = MoneyView::Unknown).or_none(sentence)
            }
            Denied::SaleConflict(payment) => {
                let number = &payment.order().out_trade_no;
                let detail = format!("payment {number} of this sale has another amount");
                let sentence = of_earlier(&payment, "的金额不同", "has another amount");
                Self::new(Code::SaleConflict, detail).earlier(&payment).or_none(sentence)
            }
            Denied::UnknownScanner(scanners) => {
                let detail = if scanners.is_empty() {
                    "no scanner is configured; send the code as auth_code".to_owned()
                } else {
                    format!("the scanners are: {}", scanners.join(", "))
                };
                Self::member(Code::UnknownScanner, "scanner", detail).with_scanners(scanners)
            }
            Denied::ScannerNeeded(scanners) => {
                let detail = if scanners.is_empty() {
                    "no scanner is configured; send the code as auth_code".to_owned()
                } else {
                    format!("name one as scanner, or send auth_code: {}", scanners.join(", "))
                };
                Self::member(Code::ScannerNeeded, "scanner", detail).with_scanners(scanners)
            }
            Denied::NotFound => Self::new(Code::NotFound, "there is no payment with this number"),
            Denied::AlreadyPaid(payment) => Self::already_paid(&payment),
            Denied::NotAwaitingCode(payment) => Self::not_awaiting_code(&payment),
            Denied::NotAPaymentCode(code) => Self::not_a_payment_code(code),
            Denied::CodeAlreadyUsed(payment) => Self::code_already_used(&payment),
            Denied::JournalUnavailable(why) => Self::new(Code::JournalUnavailable, why),
            Denied::ClockWrong(why) => Self::new(Code::ClockWrong, why),
            Denied::KeysWrong(Closed { by, text }) => {
                let code = match by {
                    ClosedBy::KeysUnproven => Code::KeysUnproven,
                    ClosedBy::AppKeyWrong => Code::AppKeyWrong,
                    ClosedBy::AlipayKeyWrong => Code::AlipayKeyWrong,
                };
                Self::new(code, text.en)
            }
            Denied::DoorClosed(why) => Self::new(Code::DoorClosed, why),
            Denied::TooManyOpen(count) => {
                Self::new(Code::TooManyOpen, format!("{count} payments are not settled"))
            }
            Denied::Draining => {
                let detail = "the terminal is about to be updated and takes no new payments";
                Self::new(Code::Draining, detail)
            }
            Denied::Stopping => Self::new(Code::Stopping, "the terminal is stopping"),
        }
    }
}

impl Problem {
    /// About a sale that has a payment already. The terminal has looked the sale
    /// up, and this tells what it found: it need not be looked up again.
    fn earlier(mut self, payment: &Payment) -> Self {
        self.0.tells_of_sale = true;
        let view = Some(payment.into());
        self.about(&payment.order().out_trade_no).with(|problem| problem.payment = view)
    }

    /// The payment in it is the earlier one: what is said of it is said there,
    /// and the request itself has charged nothing.
    fn code_already_used(earlier: &Payment) -> Self {
        let number = &earlier.order().out_trade_no;
        let state = earlier.public().name();
        let detail = format!("this code was used for payment {number}, which is {state}");
        Self::new(Code::CodeAlreadyUsed, detail)
            .about(number)
            .with(|view| {
                view.member = Some("auth_code".to_owned());
                view.payment = Some(earlier.into());
            })
            .or_none(Hint::used_for(earlier).sentence())
    }

    /// Where the money is, is what the payment itself says.
    fn not_awaiting_code(payment: &Payment) -> Self {
        let number = &payment.order().out_trade_no;
        let detail = format!("{number} is {}", payment.public().name());
        Self::new(Code::NotAwaitingCode, detail).about(number).with(|view| {
            view.money = payment.money().into();
            view.cashier = payment.cashier().into();
            view.payment = Some(payment.into());
        })
    }
}

impl From<Unavailable> for Problem {
    /// What is in the journal cannot be read, so nobody can say where the money
    /// is.
    fn from(unavailable: Unavailable) -> Self {
        let sentence = Sentence::new(
            "终端暂时查不到结果，请联系技术人员，请勿重复收款",
            "The terminal cannot look up the result at the moment: call the technician and do not charge again",
        );
        Self::new(Code::JournalUnavailable, unavailable.to_string())
            .in_doubt()
            .with(|view| view.cashier = sentence.into())
    }
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::TakenBack(why) => Self::new(Code::JournalUnavailable, why),
            Unanswered::Ended => Self::new(Code::Stopping, "the terminal is stopping"),
            Unanswered::InDoubt(why) => {
                let sentence = Sentence::new(
                    "终端没有及时答复，这笔收款可能仍会进行。请稍后查询它的结果，请勿重复收款",
                    "The terminal did not answer in time, and this may still be carried out: ask for the payment in a moment and do not charge again",
                );
                Self::new(Code::JournalUnavailable, why)
                    .in_doubt()
                    .with(|view| view.cashier = sentence.into())
            }
        }
    }
}

/// Of a sale whose number was used before: when, and how much.
fn of_earlier(payment: &Payment, zh: &str, en: &str) -> Sentence {
    let (at, amount) = (time_text(payment.created_at()), payment.order().amount);
    let at = at.get(..16).unwrap_or(&at).replace('T', " ");
    Sentence::new(
        format!(
            "这个销售单号在 {at} 有一笔 {amount} 元的收款{zh}，这次没有扣款。请换一个销售单号，请勿把它当作本次收款"
        ),
        format!(
            "This sale number has a payment of {amount} yuan from {at} that {en}; nothing was charged this time. Use another sale number, and do not take it for this sale"
        ),
    )
}

/// The cashier's sentence of a request that nothing is known of.
fn look_first(cause: (&str, &str), advice: (&str, &str)) -> Sentence {
    let words = (
        "。请先查询这笔收款的结果，请勿重复收款",
        ": look at the payment first and do not charge again",
    );
    between(cause, words, advice)
}

/// What was wrong, where the money is, and what to do.
fn between(cause: (&str, &str), words: (&str, &str), advice: (&str, &str)) -> Sentence {
    Sentence::new(
        format!("{}{}。{}", cause.0, words.0, advice.0),
        format!("{}{}. {}", cause.1, words.1, advice.1),
    )
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.0.view.code.row().status;
        let mut response = (status, self.text()).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Why a request was not done (RFC 9457).
///
/// The HTTP status says how the request went, never how a payment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    #[serde(rename = "type")]
    pub kind_uri: String,
    /// The problem in general, in English.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence of it, in English, for the register's programmer.
    pub detail: String,
    /// The stable name of the problem.
    pub code: Code,
    /// Where the money is. `none` only if it was looked up that this request
    /// moved nothing and will move nothing, and that its number has no payment
    /// here; `unknown` says: ask for the payment, do not charge again.
    pub money: MoneyView,
    /// What the register can do.
    pub retry: Retry,
    /// A sentence to read aloud.
    pub cashier: SentenceView,
    /// The payment concerned: the one in the way, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub out_trade_no: Option<String>,
    /// The member of the body, or the query parameter, that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub member: Option<String>,
    /// With `not_a_payment_code`, what the code is: `wechat`, `unionpay`,
    /// `other_wallet`, `collect_code`, `scale_label`, `torn`, `goods`,
    /// `unreadable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<String>,
    /// With `order_conflict`, the members that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub differs: Option<Vec<String>>,
    /// With `unknown_scanner` and `scanner_needed`, the scanners there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scanners: Option<Vec<String>>,
    /// With `already_paid` and `not_awaiting_code`, the payment; with
    /// `code_already_used`, the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub payment: Option<PaymentView>,
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
                assert_eq!((forbids || is_paid, says_none), (!none, none), "{view:?}");
            }
        }
    }
}
