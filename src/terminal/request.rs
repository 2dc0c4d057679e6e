//! What the register asks, and what it is told.

use crate::payment::{
    Amount, AuthCode, Fen, Order, OtherCode, OutRequestNo, OutTradeNo, Payment, Refund, Sentence,
};

/// `PUT /v1/payments/{out_trade_no}`, or the `POST` that names the sale only.
#[derive(Clone, Debug)]
pub struct PayRequest {
    /// What is asked for. `scanner` is as the register named it; the terminal
    /// fills in the default.
    pub order: Order,
    /// The code, when the register scanned it itself.
    pub code: Option<AuthCode>,
    /// The sale is the key (`POST /v1/payments`): the number in `order` is one
    /// the terminal made, to be used only if the sale has no open or paid
    /// payment.
    pub keyed_by_sale: bool,
}

/// `PUT /v1/payments/{out_trade_no}/refunds/{out_request_no}`.
#[derive(Clone, Debug)]
pub struct RefundAsk {
    /// The payment.
    pub number: OutTradeNo,
    /// The refund's number, chosen by the register.
    pub request: OutRequestNo,
    /// How much.
    pub amount: Amount,
    /// Why; goes to Alipay.
    pub reason: Option<String>,
    /// Who is at the register, passed on to Alipay.
    pub operator_id: Option<String>,
}

/// What the terminal says to a request. Everything in it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A payment that this request has started.
    Started(Payment),
    /// The payment as it stands.
    Stands(Payment),
    /// The refund as it stands, and whether this request has started it.
    Refund {
        /// The refund.
        refund: Box<Refund>,
        /// It is new.
        started: bool,
    },
    /// The terminal will not do it.
    Denied(Denied),
}

/// Why the terminal will not do what was asked. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The number is in use for something else.
    OrderConflict {
        /// The payment that has the number (or the sale).
        number: OutTradeNo,
        /// The members that differ.
        differs: Vec<&'static str>,
    },
    /// Another payment is waiting for a code on that scanner.
    ScannerBusy {
        /// Which payment.
        number: OutTradeNo,
        /// Which scanner.
        scanner: String,
    },
    /// Another attempt for the same sale is not settled.
    SaleInDoubt {
        /// Which payment.
        number: OutTradeNo,
    },
    /// The sale has been paid.
    SaleAlreadyPaid {
        /// By this payment.
        payment: Box<Payment>,
        /// So long ago that the register probably means another sale.
        long_ago: bool,
    },
    /// The sale has another amount: that of this payment.
    SaleConflict(Box<Payment>),
    /// No scanner has that name; here are those there are.
    UnknownScanner(Vec<String>),
    /// Several scanners and none named; here they are.
    ScannerNeeded(Vec<String>),
    /// No such payment.
    NotFound,
    /// It cannot be cancelled any more; it takes a refund.
    AlreadyPaid(Box<Payment>),
    /// It does not wait for a code.
    NotAwaitingCode(Box<Payment>),
    /// What was scanned or typed is no payment code of Alipay.
    NotAPaymentCode(OtherCode),
    /// The code has been used for another payment: this one.
    CodeAlreadyUsed(Box<Payment>),
    /// The refund's number was used for another amount: this one.
    RefundConflict {
        /// Which refund.
        request: OutRequestNo,
        /// What it is of.
        amount: Amount,
    },
    /// More than can still go back of the payment.
    RefundExceeds {
        /// What can.
        left: Fen,
        /// The payment.
        payment: Box<Payment>,
    },
    /// Another refund of the payment is not settled.
    RefundInDoubt {
        /// Which.
        request: OutRequestNo,
    },
    /// Nothing was paid, so nothing can go back.
    NotPaid(Box<Payment>),
    /// The payment itself is not settled.
    PaymentInDoubt(Box<Payment>),
    /// The payment is in another account at the gateway, where this box cannot
    /// give anything back.
    OtherAccount(Box<Payment>),
    /// The journal cannot be written, so nothing new is begun; why.
    JournalUnavailable(String),
    /// The gateway would refuse what this box dates, so nothing new is begun;
    /// why.
    ClockWrong(String),
    /// The gateway has not proven our keys, or finds one of them wrong, so nothing
    /// new is begun.
    KeysWrong(Closed),
    /// The gateway refuses what this box sends, whatever it is about, so nothing
    /// new is begun; what it said.
    DoorClosed(String),
    /// So many payments are open that nothing new is begun.
    TooManyOpen(usize),
    /// A new version waits to take over, so nothing new is begun.
    Draining,
    /// The daemon is stopping.
    Stopping,
}

/// Why the gateway's door is closed to this box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What closes it.
    pub by: ClosedBy,
    /// What it is, and what to do, for the technician.
    pub text: Sentence,
}

/// What closes the gateway's door to this box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// Nobody knows yet whether the keys are right.
    KeysUnproven,
    /// The gateway does not take the signature of the application's key.
    AppKeyWrong,
    /// What the gateway says does not verify with the key that is taken for
    /// Alipay's.
    AlipayKeyWrong,
}

/// Everything a register can ask the core for.
#[derive(Debug)]
pub enum Request {
    /// Start a payment, or ask for it again.
    Pay(Box<PayRequest>),
    /// A code for a payment that waits for one.
    Code {
        /// The payment.
        number: OutTradeNo,
        /// The code.
        code: AuthCode,
    },
    /// The cashier gives up.
    Stop {
        /// The payment.
        number: OutTradeNo,
    },
    /// Money of a payment is to go back, or its refund is asked for again.
    Refund(Box<RefundAsk>),
}

/// What the journal holds that bears on a request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The payment with the request's number.
    pub number: Option<Payment>,
    /// The attempt for the request's sale: the open or paid one if there is
    /// one, else the latest.
    pub sale: Option<Payment>,
    /// The payment that last took the request's code
    /// ([`Terminal::mark_of`](super::Terminal::mark_of)).
    pub code: Option<Payment>,
    /// With a refund: all refunds of the payment.
    pub refunds: Vec<Refund>,
}
