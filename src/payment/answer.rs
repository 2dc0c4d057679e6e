//! What a call to the gateway came to, once it has been verified and judged.
//!
//! The raw thing on the wire is a *reply*; an *answer* is what may be believed
//! of it. Every kind of call has its own answers, so that a pair that cannot
//! happen cannot be written down.

mod precreate;
mod refund;

pub use precreate::PrecreateAnswer;
pub use refund::{Back, RefundAnswer, RefundQueryAnswer};

use super::{Said, Timestamp};

/// What the gateway told about the trade, kept for the register and the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trade {
    /// Alipay's number for the trade.
    pub trade_no: Option<String>,
    /// The buyer's account, masked by Alipay (`159****5620`).
    pub buyer_logon_id: Option<String>,
    /// When it was paid, on the gateway's clock (`gmt_payment` of a pay,
    /// `send_pay_date` of a query).
    pub paid_at: Option<Timestamp>,
    /// What came along with the pay that made it (`passback_params`), where the
    /// gateway repeats it: tells whose it is.
    pub tag: Option<String>,
    /// What was said of the money.
    pub said: Said,
}

impl Trade {
    /// Takes over what `newer` knows, and keeps the rest.
    #[must_use]
    pub fn updated(&self, newer: &Self) -> Self {
        let newer = newer.clone();
        Self {
            trade_no: newer.trade_no.or_else(|| self.trade_no.clone()),
            buyer_logon_id: newer.buyer_logon_id.or_else(|| self.buyer_logon_id.clone()),
            paid_at: newer.paid_at.or(self.paid_at),
            tag: newer.tag.or_else(|| self.tag.clone()),
            said: self.said.updated(&newer.said),
        }
    }
}

/// Why the gateway said no, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `code`, such as 40004.
    pub code: String,
    /// `sub_code`, such as `ACQ.BUYER_BALANCE_NOT_ENOUGH`.
    pub sub_code: Option<String>,
    /// What to show the cashier: `sub_msg`, or `msg` where there is none.
    pub message: String,
}

/// Why there is no answer, for the technician.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of trouble.
    pub kind: TroubleKind,
    /// One line, without secrets.
    pub text: String,
}

/// The kinds of not knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// The connection was never made.
    Unreachable,
    /// Sent, or perhaps sent, and nothing came back in time.
    NoAnswer,
    /// Something came back that is not a verified answer.
    Unverified,
    /// A verified "not now": 20000, 40005, `SYSTEM_ERROR`, `retry_flag` Y.
    Busy,
    /// A verified refusal of the call itself: the box's keys, rights, contract
    /// or clock are wrong.
    Refused,
    /// A verified answer that settles nothing.
    Unsettled,
    /// A verified answer about another order or another amount.
    Foreign,
    /// The daemon was down while the call was on its way.
    Restart,
    /// The merchant's account at Alipay has not enough to give the money back.
    SellerBalance,
}

/// The answer to `pay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayAnswer {
    /// The money is the merchant's.
    Paid(Trade),
    /// The buyer must confirm on the phone (10003).
    Waiting(Trade),
    /// A verified business refusal. A trade that the buyer can still confirm
    /// may be left behind.
    Declined(Reason),
    /// A verified refusal by the gateway's front door: nothing was created.
    Refused(Reason),
    /// A verified refusal because the number is in use at the gateway
    /// (`TRADE_HAS_SUCCESS`, `CONTEXT_INCONSISTENT`). By whom, it does not say.
    Repeated(Trouble),
    /// Certain: the request never left the box.
    NotSent(Trouble),
    /// A verified answer about another order or another amount.
    Foreign(Trouble),
    /// Anything else.
    Unknown(Trouble),
}

/// The answer to `query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryAnswer {
    /// `TRADE_SUCCESS` or `TRADE_FINISHED`.
    Paid(Trade),
    /// `WAIT_BUYER_PAY`.
    Waiting(Trade),
    /// `TRADE_CLOSED`.
    Closed {
        /// What is known of it.
        trade: Trade,
        /// It had been paid before (it has a date of payment), so it was given
        /// back; else it was closed unpaid.
        was_paid: bool,
    },
    /// `TRADE_NOT_EXIST`. Proves nothing: a pay may still be on its way.
    NotExist,
    /// A verified answer about another order or another amount.
    Foreign(Trouble),
    /// Anything else.
    Unknown(Trouble),
}

/// The answer to `cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// `action` is *close*: it was unpaid and is closed.
    Closed(Trade),
    /// `action` is *refund*: it was paid and is given back.
    Refunded(Trade),
    /// 10000 without `action`: the gateway has never seen the number.
    NoAction,
    /// Refused for good: too old, not allowed, no balance.
    Refused(Reason),
    /// Anything else, `retry_flag` Y among it.
    Unknown(Trouble),
}

/// A judged answer to one of the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `pay`.
    Pay(PayAnswer),
    /// To `query`.
    Query(QueryAnswer),
    /// To `cancel`.
    Cancel(CancelAnswer),
    /// To `refund`.
    Refund(RefundAnswer),
    /// To `refund query`.
    RefundQuery(RefundQueryAnswer),
    /// To `precreate`.
    Precreate(PrecreateAnswer),
}

/// The judgement on an answer, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The money is the merchant's.
    Paid,
    /// The buyer must confirm.
    Waiting,
    /// Refused by the business behind the gateway.
    Declined,
    /// Refused for good, or at the front door.
    Refused,
    /// Refused because the number is in use.
    Repeated,
    /// It never left the box.
    NotSent,
    /// About something else than this payment.
    Foreign,
    /// No answer that settles anything.
    Unknown,
    /// The trade is closed.
    Closed,
    /// No such trade.
    NotExist,
    /// The money went back.
    Refunded,
    /// A cancel that found nothing.
    NoAction,
    /// A refund that moved nothing by itself: done before, or not at all.
    Unproven,
    /// No money went back, so far.
    NotDone,
    /// There is a code for the buyer to scan.
    Made,
}

impl Judged {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Paid,
        Self::Waiting,
        Self::Declined,
        Self::Refused,
        Self::Repeated,
        Self::NotSent,
        Self::Foreign,
        Self::Unknown,
        Self::Closed,
        Self::NotExist,
        Self::Refunded,
        Self::NoAction,
        Self::Unproven,
        Self::NotDone,
        Self::Made,
    ];

    /// The word in the journal, the API and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Waiting => "waiting",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Repeated => "repeated",
            Self::NotSent => "not_sent",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Closed => "closed",
            Self::NotExist => "not_exist",
            Self::Refunded => "refunded",
            Self::NoAction => "no_action",
            Self::Unproven => "unproven",
            Self::NotDone => "not_done",
            Self::Made => "made",
        }
    }
}

impl Answer {
    /// The judgement in one word.
    #[must_use]
    pub fn judged(&self) -> Judged {
        match self {
            Self::Pay(answer) => match answer {
                PayAnswer::Paid(_) => Judged::Paid,
                PayAnswer::Waiting(_) => Judged::Waiting,
                PayAnswer::Declined(_) => Judged::Declined,
                PayAnswer::Refused(_) => Judged::Refused,
                PayAnswer::Repeated(_) => Judged::Repeated,
                PayAnswer::NotSent(_) => Judged::NotSent,
                PayAnswer::Foreign(_) => Judged::Foreign,
                PayAnswer::Unknown(_) => Judged::Unknown,
            },
            Self::Query(answer) => match answer {
                QueryAnswer::Paid(_) => Judged::Paid,
                QueryAnswer::Waiting(_) => Judged::Waiting,
                QueryAnswer::Closed { .. } => Judged::Closed,
                QueryAnswer::NotExist => Judged::NotExist,
                QueryAnswer::Foreign(_) => Judged::Foreign,
                QueryAnswer::Unknown(_) => Judged::Unknown,
            },
            Self::Cancel(answer) => match answer {
                CancelAnswer::Closed(_) => Judged::Closed,
                CancelAnswer::Refunded(_) => Judged::Refunded,
                CancelAnswer::NoAction => Judged::NoAction,
                CancelAnswer::Refused(_) => Judged::Refused,
                CancelAnswer::Unknown(_) => Judged::Unknown,
            },
            Self::Refund(answer) => answer.judged(),
            Self::RefundQuery(answer) => answer.judged(),
            Self::Precreate(answer) => answer.judged(),
        }
    }

    /// What is wrong with it, if something is.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Pay(answer) => match answer {
                PayAnswer::Repeated(t)
                | PayAnswer::NotSent(t)
                | PayAnswer::Foreign(t)
                | PayAnswer::Unknown(t) => Some(t),
                PayAnswer::Paid(_)
                | PayAnswer::Waiting(_)
                | PayAnswer::Declined(_)
                | PayAnswer::Refused(_) => None,
            },
            Self::Query(answer) => match answer {
                QueryAnswer::Foreign(t) | QueryAnswer::Unknown(t) => Some(t),
                QueryAnswer::Paid(_)
                | QueryAnswer::Waiting(_)
                | QueryAnswer::Closed { .. }
                | QueryAnswer::NotExist => None,
            },
            Self::Cancel(answer) => match answer {
                CancelAnswer::Unknown(t) => Some(t),
                CancelAnswer::Closed(_)
                | CancelAnswer::Refunded(_)
                | CancelAnswer::NoAction
                | CancelAnswer::Refused(_) => None,
            },
            Self::Refund(answer) => answer.trouble(),
            Self::RefundQuery(answer) => answer.trouble(),
            Self::Precreate(answer) => answer.trouble(),
        }
    }
}

impl TroubleKind {
    /// The gateway itself has answered, whatever it said.
    #[must_use]
    pub fn is_verified(self) -> bool {
        match self {
            Self::Busy | Self::Refused | Self::Unsettled | Self::Foreign | Self::SellerBalance => {
                true
            }
            Self::Unreachable | Self::NoAnswer | Self::Unverified | Self::Restart => false,
        }
    }
}

impl Answer {
    /// The gateway itself has answered, whatever it said.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.trouble().is_none_or(|trouble| trouble.kind.is_verified())
    }
}

/// What of the reply is written down for the journal, besides the judgement.
/// Never holds a payment code, a key or a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// `code`.
    pub code: Option<String>,
    /// `sub_code`.
    pub sub_code: Option<String>,
    /// `sub_msg`, or `msg`.
    pub message: Option<String>,
    /// `trade_status` of a query.
    pub trade_status: Option<String>,
    /// `action` of a cancel.
    pub action: Option<String>,
    /// `retry_flag` of a cancel.
    pub retry_flag: Option<String>,
    /// The gateway's name for the exchange (header `trace_id`), for support.
    pub trace_id: Option<String>,
    /// HTTP status, when there was one.
    pub http_status: Option<u16>,
    /// How long the exchange took, in milliseconds.
    pub millis: u64,
}

/// An answer together with what came along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The judgement.
    pub answer: Answer,
    /// The gateway's clock: the `Date` of a verified answer, and only of such.
    pub gateway_time: Option<Timestamp>,
    /// For the journal.
    pub wire: Wire,
}
