//! The table of problems: what can be wrong, and what is said about it.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::MoneyView;

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
    NotFound,
    AlreadyPaid,
    NotAwaitingCode,
    JournalUnavailable,
    ClockWrong,
    Draining,
    Stopping,
    TooManyWaiting,
    TooManyStreams,
    BodyTooLarge,
    UnsupportedMediaType,
    RequestTimeout,
    NoSuchRoute,
    MethodNotAllowed,
    Unauthorized,
    ForeignHost,
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

/// A row of the table of problems.
pub(super) struct Row {
    pub(super) status: StatusCode,
    pub(super) money: MoneyView,
    pub(super) retry: Retry,
    pub(super) title: &'static str,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
}

const fn row(
    status: StatusCode,
    money: MoneyView,
    retry: Retry,
    title: &'static str,
    (zh, en): (&'static str, &'static str),
) -> Row {
    Row { status, money, retry, title, zh, en }
}

/// What the cashier is told when the register's program is at fault.
const REGISTER_FAULT: (&str, &str) = (
    "收银软件的请求有误，这次请求没有扣款。请联系收银软件的技术人员",
    "The register sent a faulty request; it charged nothing. Call the register's technician",
);

impl Code {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 30] = [
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
        Self::NotFound,
        Self::AlreadyPaid,
        Self::NotAwaitingCode,
        Self::JournalUnavailable,
        Self::ClockWrong,
        Self::Draining,
        Self::Stopping,
        Self::TooManyWaiting,
        Self::TooManyStreams,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::RequestTimeout,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::Unauthorized,
        Self::ForeignHost,
        Self::Internal,
    ];

    /// The table of problems.
    #[rustfmt::skip]
    pub(super) fn row(self) -> Row {
        use MoneyView::{None, Taken, Unknown};
        use Retry::{AfterFix, Never, SameRequest};
        use StatusCode as S;
        match self {
            // --- the request is faulty: it started nothing -------------------
            Self::InvalidJson => row(S::BAD_REQUEST, None, AfterFix,
                "The body is not JSON", REGISTER_FAULT),
            Self::InvalidRequest => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "A member of the request is missing, unknown or wrong", REGISTER_FAULT),
            Self::InvalidAmount => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "The amount is not an amount", ("金额有误，没有扣款。请检查金额", "The amount is wrong; nothing was charged. Check the amount")),
            Self::InvalidOrderNumber => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "This is no merchant order number", REGISTER_FAULT),
            Self::InvalidParameter => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "A query parameter is wrong", REGISTER_FAULT),
            Self::NotAPaymentCode => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "This is no payment code of Alipay", ("这不是支付宝付款码，没有扣款。请顾客打开支付宝付款码再扫", "This is no Alipay payment code; nothing was charged. Ask the customer to open the Alipay payment code and scan again")),
            Self::UnknownScanner => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "No scanner has that name", ("没有这个扫码枪，没有扣款。请联系技术人员", "There is no such scanner; nothing was charged. Call the technician")),
            Self::ScannerNeeded => row(S::UNPROCESSABLE_ENTITY, None, AfterFix,
                "There are several scanners and none was named", REGISTER_FAULT),

            // --- something else stands in the way ----------------------------
            Self::CodeAlreadyUsed => row(S::CONFLICT, None, AfterFix,
                "The payment code has been used for another payment", ("这个付款码已经用过，这次没有扣款。请顾客刷新付款码再扫", "This payment code has been used; nothing was charged this time. Ask the customer to refresh the code, and scan again")),
            Self::OrderConflict => row(S::CONFLICT, Unknown, AfterFix,
                "The number is in use for something else", ("这个单号已经用于另一笔收款，请先查询那一笔的结果，请勿重复收款", "This number is in use for another payment: look at that one first and do not charge again")),
            Self::ScannerBusy => row(S::CONFLICT, None, SameRequest,
                "Another payment is waiting on that scanner", ("扫码枪正在等待另一笔收款，这次没有扣款。请先完成或取消那一笔", "The scanner is waiting for another payment; nothing was charged. Finish or cancel that one first")),
            Self::SaleInDoubt => row(S::CONFLICT, Unknown, SameRequest,
                "Another attempt for this sale is not settled", ("这笔交易的上一次收款还没有结果，请稍候，请勿重复收款", "An earlier attempt for this sale is not settled yet: wait, and do not charge again")),
            Self::SaleAlreadyPaid => row(S::CONFLICT, Taken, Never,
                "This sale has been paid", ("这笔交易已经收款，请勿重复收款", "This sale has been paid already: do not charge again")),
            Self::NotFound => row(S::NOT_FOUND, None, AfterFix,
                "No such payment", ("终端里没有这笔收款", "The terminal has no such payment")),
            Self::AlreadyPaid => row(S::CONFLICT, Taken, Never,
                "It is paid and cannot be cancelled", ("已经收款，不能取消。如需退钱请做退款", "It is paid and cannot be cancelled. Refund it if the money has to go back")),
            Self::NotAwaitingCode => row(S::CONFLICT, Unknown, Never,
                "The payment does not wait for a code", ("这笔收款不在等待付款码，请先查询结果，请勿重复收款", "This payment does not wait for a code: look at it first and do not charge again")),

            // --- the terminal cannot at the moment ---------------------------
            Self::JournalUnavailable => row(S::SERVICE_UNAVAILABLE, None, SameRequest,
                "The journal cannot be used", ("终端暂时不能收款，这次没有扣款。请联系技术人员", "The terminal cannot take payments at the moment; nothing was charged. Call the technician")),
            Self::ClockWrong => row(S::SERVICE_UNAVAILABLE, None, SameRequest,
                "The clock of the terminal is wrong", ("收银机的时间不对，暂时不能收款，这次没有扣款。请联系技术人员", "The clock of this box is wrong, so no payment can be taken; nothing was charged. Call the technician")),
            Self::Draining => row(S::SERVICE_UNAVAILABLE, None, SameRequest,
                "The terminal is being updated", ("终端正在更新，这次没有扣款。请一分钟后重试", "The terminal is being updated; nothing was charged. Try again in a minute")),
            Self::Stopping => row(S::SERVICE_UNAVAILABLE, None, SameRequest,
                "The terminal is stopping", ("终端正在重启，这次没有扣款。请稍后重试", "The terminal is restarting; nothing was charged. Try again in a moment")),
            Self::TooManyWaiting => row(S::SERVICE_UNAVAILABLE, Unknown, SameRequest,
                "Too many requests are waiting", ("终端繁忙，请稍后查询结果，请勿重复收款", "The terminal is busy: ask again in a moment and do not charge again")),
            Self::TooManyStreams => row(S::SERVICE_UNAVAILABLE, None, SameRequest,
                "Too many event streams are open", ("终端繁忙，请稍后重试", "The terminal is busy; try again in a moment")),
            Self::RequestTimeout => row(S::REQUEST_TIMEOUT, None, SameRequest,
                "The body did not arrive in time", ("请求没有完整到达，没有扣款。请重试", "The request did not arrive in full; nothing was charged. Try again")),
            // Nobody knows what had been done by then.
            Self::Internal => row(S::INTERNAL_SERVER_ERROR, Unknown, SameRequest,
                "The terminal made a mistake", ("终端出错，请查询这笔收款的结果，请勿重复收款", "The terminal made a mistake: look at the payment and do not charge again")),

            // --- HTTP --------------------------------------------------------
            Self::BodyTooLarge => row(S::PAYLOAD_TOO_LARGE, None, AfterFix,
                "The body is too large", REGISTER_FAULT),
            Self::UnsupportedMediaType => row(S::UNSUPPORTED_MEDIA_TYPE, None, AfterFix,
                "The body is not declared as JSON", REGISTER_FAULT),
            Self::NoSuchRoute => row(S::NOT_FOUND, None, AfterFix,
                "There is nothing at this path", REGISTER_FAULT),
            Self::MethodNotAllowed => row(S::METHOD_NOT_ALLOWED, None, AfterFix,
                "This path does not know the method", REGISTER_FAULT),
            Self::Unauthorized => row(S::UNAUTHORIZED, None, AfterFix,
                "The bearer token is missing or wrong", REGISTER_FAULT),
            Self::ForeignHost => row(S::FORBIDDEN, None, AfterFix,
                "The Host is not this machine", REGISTER_FAULT),
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
        self.row().status.as_u16()
    }

    /// Where the money is, unless the occurrence itself knows better.
    #[must_use]
    pub fn money(self) -> MoneyView {
        self.row().money
    }

    /// What the register can do about it.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.row().retry
    }
}
