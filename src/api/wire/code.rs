//! The table of problems: what can be wrong, and what is said about it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MoneyView;

/// Everything that can be wrong. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProblemCode)]
#[allow(missing_docs, reason = "the table below says what each means")]
pub enum Code {
    InvalidJson,
    InvalidRequest,
    InvalidAmount,
    InvalidOrderNumber,
    InvalidParameter,
    NotAPaymentCode,
    CodeAlreadyUsed,
    UnknownScanner,
    ScannerNeeded,
    OrderConflict,
    ScannerBusy,
    SaleInDoubt,
    SaleAlreadyPaid,
    SaleConflict,
    NotFound,
    AlreadyPaid,
    NotAwaitingCode,
    NothingToScan,
    InvalidRefundNumber,
    RefundConflict,
    RefundExceeds,
    RefundInDoubt,
    NotPaid,
    PaymentInDoubt,
    OtherAccount,
    JournalUnavailable,
    ClockWrong,
    KeysUnproven,
    AppKeyWrong,
    AlipayKeyWrong,
    DoorClosed,
    TooManyOpen,
    Draining,
    Stopping,
    TooManyWaiting,
    TooManyStreams,
    TooManyLists,
    TooManyConnections,
    BodyTooLarge,
    UnsupportedMediaType,
    RequestTimeout,
    NoSuchRoute,
    MethodNotAllowed,
    Unauthorized,
    ForeignHost,
    RepeatedHeader,
    Forbidden,
    Internal,
}

/// What the register can do about it.
///
/// * `same_request`: the same request, sent again later, may be accepted.
/// * `after_fix`: not before something in it, or at the terminal, was changed.
/// * `never`: it will not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the list above says it once, where people read it")]
pub enum Retry {
    SameRequest,
    AfterFix,
    Never,
}

/// Two sentences, or parts of them: in Chinese and in English.
type Pair = (&'static str, &'static str);

/// What a problem says of the money, and how the cashier is told.
#[derive(Clone, Copy)]
pub(super) enum Tells {
    /// The request certainly moved nothing and will move nothing. That alone is
    /// no `none`: its number and its sale have to be looked up as well. What is
    /// wrong, and what to do about it; the words about the money are put between
    /// the two.
    Refused(Pair, Pair),
    /// Nothing is known of the money: `unknown`.
    Unknown(Pair),
    /// The sale is paid: `taken`.
    Taken(Pair),
    /// Only a request for a refund is told so: it certainly moved nothing and will
    /// move nothing. Where the money is, is what the payment says.
    NoRefund(Pair, Pair),
}

/// A row of the table of problems.
pub(super) struct Row {
    pub(super) status: u16,
    pub(super) retry: Retry,
    pub(super) title: &'static str,
    pub(super) tells: Tells,
}

const fn row(status: u16, retry: Retry, title: &'static str, tells: Tells) -> Row {
    Row { status, retry, title, tells }
}

/// What the cashier is told when the register's program is at fault.
const FAULT: Pair = ("收银软件的请求有误", "The register sent a faulty request");
/// Who can do something about it.
const PROGRAMMER: Pair = ("请联系收银软件的技术人员", "Call the register's technician");
/// The same, of a request that nothing was looked up for.
const FAULT_UNKNOWN: Pair = (
    "收银软件的请求有误。请先查询这笔收款的结果，请勿重复收款，并联系收银软件的技术人员",
    "The register sent a faulty request: look at the payment first, do not charge again, and call the register's technician",
);
const BUSY: Pair = (
    "终端繁忙。请稍后查询结果，请勿重复收款",
    "The terminal is busy: ask again in a moment and do not charge again",
);
const CALL: Pair = ("请联系技术人员", "Call the technician");

impl Code {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 48] = [
        Self::InvalidJson,
        Self::InvalidRequest,
        Self::InvalidAmount,
        Self::InvalidOrderNumber,
        Self::InvalidParameter,
        Self::NotAPaymentCode,
        Self::CodeAlreadyUsed,
        Self::UnknownScanner,
        Self::ScannerNeeded,
        Self::OrderConflict,
        Self::ScannerBusy,
        Self::SaleInDoubt,
        Self::SaleAlreadyPaid,
        Self::SaleConflict,
        Self::NotFound,
        Self::AlreadyPaid,
        Self::NotAwaitingCode,
        Self::NothingToScan,
        Self::InvalidRefundNumber,
        Self::RefundConflict,
        Self::RefundExceeds,
        Self::RefundInDoubt,
        Self::NotPaid,
        Self::PaymentInDoubt,
        Self::OtherAccount,
        Self::JournalUnavailable,
        Self::ClockWrong,
        Self::KeysUnproven,
        Self::AppKeyWrong,
        Self::AlipayKeyWrong,
        Self::DoorClosed,
        Self::TooManyOpen,
        Self::Draining,
        Self::Stopping,
        Self::TooManyWaiting,
        Self::TooManyStreams,
        Self::TooManyLists,
        Self::TooManyConnections,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::RequestTimeout,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::Unauthorized,
        Self::ForeignHost,
        Self::RepeatedHeader,
        Self::Forbidden,
        Self::Internal,
    ];

    /// The table of problems.
    #[rustfmt::skip]
    pub(super) fn row(self) -> Row {
        use Retry::{AfterFix, Never, SameRequest};
        use Tells::{NoRefund, Refused, Taken, Unknown};
        match self {
            // --- the request is faulty: it started nothing -------------------
            Self::InvalidJson => row(400, AfterFix,
                "The body is not JSON", Refused(FAULT, PROGRAMMER)),
            Self::InvalidRequest => row(422, AfterFix,
                "A member of the request is missing, unknown or wrong", Refused(FAULT, PROGRAMMER)),
            Self::InvalidAmount => row(422, AfterFix,
                "The amount is not an amount", Refused(("金额有误", "The amount is wrong"), ("请检查金额", "Check the amount"))),
            Self::InvalidOrderNumber => row(422, AfterFix,
                "This is no merchant order number", Unknown(FAULT_UNKNOWN)),
            Self::InvalidParameter => row(422, AfterFix,
                "A query parameter is wrong", Refused(FAULT, PROGRAMMER)),
            Self::NotAPaymentCode => row(422, AfterFix,
                "This is no payment code of Alipay", Refused(("这不是支付宝付款码", "This is no Alipay payment code"), ("请顾客打开支付宝付款码再扫", "Ask the customer to open the Alipay payment code and scan again"))),
            Self::UnknownScanner => row(422, AfterFix,
                "No scanner has that name", Refused(("没有这个扫码枪", "There is no such scanner"), CALL)),
            Self::ScannerNeeded => row(422, AfterFix,
                "There are several scanners and none was named", Refused(FAULT, PROGRAMMER)),

            // --- something else stands in the way ----------------------------
            Self::CodeAlreadyUsed => row(409, AfterFix,
                "The payment code has been used for another payment", Refused(("这个付款码已经用过", "This payment code has been used"), ("请顾客刷新付款码再扫", "Ask the customer to refresh the code, and scan again"))),
            Self::OrderConflict => row(409, AfterFix,
                "The number is in use for something else", Unknown(("这个单号已经用于另一笔收款，请先查询那一笔的结果，请勿重复收款", "This number is in use for another payment: look at that one first and do not charge again"))),
            Self::ScannerBusy => row(409, SameRequest,
                "Another payment is waiting on that scanner", Refused(("扫码枪正在等待另一笔收款", "The scanner is waiting for another payment"), ("请先完成或取消那一笔", "Finish or cancel that one first"))),
            Self::SaleInDoubt => row(409, SameRequest,
                "Another attempt for this sale is not settled", Unknown(("这笔交易的上一次收款还没有结果，请稍候，请勿重复收款", "An earlier attempt for this sale is not settled yet: wait, and do not charge again"))),
            Self::SaleAlreadyPaid => row(409, Never,
                "This sale has been paid", Taken(("这笔交易已经收款，请勿重复收款", "This sale has been paid already: do not charge again"))),
            Self::SaleConflict => row(409, AfterFix,
                "This sale has another amount", Refused(("这个销售单号已有另一金额的收款", "This sale number has a payment of another amount"), ("请换一个销售单号", "Use another sale number"))),
            Self::NotFound => row(404, AfterFix,
                "No such payment", Unknown(("终端里查不到这笔收款。请先到商家账户核对，请勿重复收款", "The terminal knows no such payment: look into the merchant's account first and do not charge again"))),
            Self::AlreadyPaid => row(409, Never,
                "It is paid and cannot be cancelled", Taken(("已经收款，不能取消。如需退钱请做退款", "It is paid and cannot be cancelled. Refund it if the money has to go back"))),
            Self::NotAwaitingCode => row(409, Never,
                "The payment does not wait for a code", Unknown(("这笔收款不在等待付款码，请先查询结果，请勿重复收款", "This payment does not wait for a code: look at it first and do not charge again"))),

            Self::NothingToScan => row(409, SameRequest,
                "There is no code to scan", Unknown(("这笔收款没有可扫的二维码，请先查询结果，请勿重复收款", "This payment has no code to be scanned: look at it first and do not charge again"))),

            // --- refunds -----------------------------------------------------
            Self::InvalidRefundNumber => row(422, AfterFix,
                "This is no refund number", NoRefund(FAULT, PROGRAMMER)),
            Self::RefundConflict => row(409, AfterFix,
                "The refund number was used for another amount", NoRefund(("这个退款单号已经用于另一金额的退款", "This refund number was used for another amount"), ("请先查询那一笔退款的结果", "Look at that refund first"))),
            Self::RefundExceeds => row(422, AfterFix,
                "More than can still go back", NoRefund(("退款金额超过还可以退的金额", "The amount is more than can still go back"), ("请检查金额", "Check the amount"))),
            Self::RefundInDoubt => row(409, SameRequest,
                "Another refund of the payment is not settled", NoRefund(("这笔收款的另一笔退款还没有结果", "Another refund of this payment is not settled"), ("请先等那一笔有结果", "Wait for that one first"))),
            Self::NotPaid => row(409, Never,
                "The payment was not paid", NoRefund(("这笔收款没有收到钱，没有可退的", "This payment was not paid, so there is nothing to give back"), ("请检查单号", "Check the number"))),
            Self::PaymentInDoubt => row(409, SameRequest,
                "The payment itself is not settled", NoRefund(("这笔收款还没有结果", "This payment is not settled"), ("请先等收款有结果，请勿重复收款", "Wait for its result first, and do not charge again"))),
            Self::OtherAccount => row(409, Never,
                "The payment is in another account at Alipay", NoRefund(("这笔收款在另一个支付宝账户里，本终端不能退", "This payment is in another account at Alipay, where this terminal cannot refund it"), ("请在那个账户的商家后台退款", "Refund it in that merchant account"))),

            // --- the terminal cannot at the moment ---------------------------
            Self::JournalUnavailable => row(503, SameRequest,
                "The journal cannot be used", Refused(("终端暂时不能收款", "The terminal cannot take payments at the moment"), CALL)),
            Self::ClockWrong => row(503, SameRequest,
                "The clock of the terminal is wrong", Refused(("收银机的时间不对，暂时不能收款", "The clock of this box is wrong, so no payment can be taken"), CALL)),
            Self::KeysUnproven => row(503, SameRequest,
                "Alipay has not proven the terminal's keys yet", Refused(("终端还没有得到支付宝的验证，暂时不能收款", "Alipay has not confirmed this terminal yet, so no payment can be taken"), ("请稍后重试，仍不行请联系技术人员", "Try again in a moment; call the technician if it stays so"))),
            Self::AppKeyWrong => row(503, AfterFix,
                "Alipay does not take the signature of the application's key", Refused(("终端的密钥不对，不能收款", "A key of this terminal is wrong, so no payment can be taken"), CALL)),
            Self::AlipayKeyWrong => row(503, AfterFix,
                "What Alipay answers does not verify with Alipay's public key", Refused(("终端里的支付宝公钥不对，不能收款", "Alipay's key in this terminal is wrong, so no payment can be taken"), CALL)),
            Self::DoorClosed => row(503, SameRequest,
                "Alipay refuses this terminal's requests", Refused(("支付宝拒绝受理本终端的请求，暂时不能收款", "Alipay refuses this terminal's requests, so no payment can be taken"), CALL)),
            Self::TooManyOpen => row(503, SameRequest,
                "Too many payments are not settled", Refused(("未完成的收款太多", "Too many payments are not settled"), ("请稍后重试", "Try again in a moment"))),
            Self::Draining => row(503, SameRequest,
                "The terminal is being updated", Refused(("终端正在更新", "The terminal is being updated"), ("请一分钟后重试", "Try again in a minute"))),
            Self::Stopping => row(503, SameRequest,
                "The terminal is stopping", Refused(("终端正在重启", "The terminal is restarting"), ("请稍后重试", "Try again in a moment"))),
            Self::TooManyWaiting => row(503, SameRequest,
                "Too many requests are waiting", Refused(("终端繁忙", "The terminal is busy"), ("请稍后重试", "Try again in a moment"))),
            Self::TooManyStreams => row(503, SameRequest,
                "Too many event streams are open", Unknown(BUSY)),
            Self::TooManyLists => row(503, SameRequest,
                "Too many lists are being read", Unknown(BUSY)),
            Self::TooManyConnections => row(503, SameRequest,
                "Too many connections are open", Unknown(BUSY)),
            Self::RequestTimeout => row(408, SameRequest,
                "The body did not arrive in time", Refused(("请求没有完整到达", "The request did not arrive in full"), ("请重试", "Try again"))),
            // Nobody knows what had been done by then.
            Self::Internal => row(500, SameRequest,
                "The terminal made a mistake", Unknown(("终端出错，请查询这笔收款的结果，请勿重复收款", "The terminal made a mistake: look at the payment and do not charge again"))),

            // --- HTTP --------------------------------------------------------
            Self::BodyTooLarge => row(413, AfterFix,
                "The body is too large", Refused(FAULT, PROGRAMMER)),
            Self::UnsupportedMediaType => row(415, AfterFix,
                "The body is not declared as JSON", Refused(FAULT, PROGRAMMER)),
            Self::NoSuchRoute => row(404, AfterFix,
                "There is nothing at this path", Unknown(FAULT_UNKNOWN)),
            Self::MethodNotAllowed => row(405, AfterFix,
                "This path does not know the method", Unknown(FAULT_UNKNOWN)),
            Self::Unauthorized => row(401, AfterFix,
                "The bearer token is missing or wrong", Unknown(FAULT_UNKNOWN)),
            Self::ForeignHost => row(403, AfterFix,
                "The Host or the Origin is not this machine", Unknown(FAULT_UNKNOWN)),
            Self::RepeatedHeader => row(400, AfterFix,
                "A header occurs twice", Unknown(FAULT_UNKNOWN)),
            Self::Forbidden => row(403, AfterFix,
                "Whoever asks may not do this", Unknown(("这个程序没有权限。请先查询这笔收款的结果，请勿重复收款，并联系技术人员", "This program is not allowed to do that: look at the payment first, do not charge again, and call the technician"))),
        }
    }

    /// The name in `code`.
    #[must_use]
    pub fn name(self) -> String {
        // A unit variant always has a name; the fallback can never be seen.
        serde_json::to_value(self)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// The HTTP status it comes with.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().status
    }

    /// What it says of the money at best: `none` has to be earned by every
    /// occurrence, and is `unknown` where it was not.
    #[must_use]
    pub fn money(self) -> MoneyView {
        match self.row().tells {
            Tells::Refused(..) => MoneyView::None,
            Tells::Unknown(_) | Tells::NoRefund(..) => MoneyView::Unknown,
            Tells::Taken(_) => MoneyView::Taken,
        }
    }

    /// What the register can do about it.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.row().retry
    }
}
