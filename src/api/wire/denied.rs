//! What the terminal turns away, as a problem.

use super::code::Code;
use super::{MoneyView, Problem, time_text};
use crate::payment::{Hint, OutRequestNo, Payment, Sentence};
use crate::terminal::{Closed, ClosedBy, Denied};

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
            Denied::RefundConflict { request, amount } => {
                let detail = format!("refund {request} is of {amount} yuan");
                Self::new(Code::RefundConflict, detail).about_refund(&request)
            }
            Denied::RefundExceeds { left, payment } => {
                let number = &payment.order().out_trade_no;
                let detail = format!("{left} yuan of payment {number} can still go back");
                let sentence = Sentence::new(
                    format!("这笔收款还可以退 {left} 元，这次没有退款。请检查金额"),
                    format!(
                        "{left} yuan of this payment can still go back; nothing was given back. Check the amount"
                    ),
                );
                Self::new(Code::RefundExceeds, detail)
                    .about(number)
                    .with_sentence(sentence)
                    .with(|view| view.left = Some(left.to_string()))
            }
            Denied::RefundInDoubt { request } => {
                let detail = format!("refund {request} of this payment is not settled");
                Self::new(Code::RefundInDoubt, detail).about_refund(&request)
            }
            Denied::NotPaid(payment) => Self::not_refundable(Code::NotPaid, &payment),
            Denied::PaymentInDoubt(payment) => Self::not_refundable(Code::PaymentInDoubt, &payment),
            Denied::OtherAccount(payment) => {
                let account = payment.account().map(ToString::to_string).unwrap_or_default();
                let detail = format!("the payment was made in {account}");
                Self::new(Code::OtherAccount, detail).about(&payment.order().out_trade_no)
            }
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

    fn not_refundable(code: Code, payment: &Payment) -> Self {
        let number = &payment.order().out_trade_no;
        let detail = format!("{number} is {}", payment.public().name());
        Self::new(code, detail).about(number).with(|view| view.payment = Some(payment.into()))
    }

    fn about_refund(self, request: &OutRequestNo) -> Self {
        self.with(|view| view.out_request_no = Some(request.to_string()))
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
