//! What the gateway is asked, and what an answer has to be about.
//!
//! A call describes itself: everything that goes out, and everything that what
//! comes back is compared with, is in the [`Ask`]. So this room knows nothing
//! of payments and their states. A further call is a further variant, its
//! content in `content.rs`, its lines in `table.rs` and its judge in
//! `verdict.rs`; none of the others changes.

use std::sync::Arc;
use std::time::Duration;

use crate::payment::{Amount, AuthCode, Order, OutTradeNo, Till, Timestamp};

/// One call.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Charges the buyer whose code was scanned.
    Pay(Box<Pay>),
    /// How does the trade stand?
    Query(Expect),
    /// Undo the trade, whether it was paid or not.
    Cancel(Expect),
    /// Give some of the money back, or all of it.
    Refund(Box<Refund>),
    /// Did that refund give it back?
    RefundQuery(Box<RefundQuery>),
    /// Makes a code that the buyer scans.
    Precreate(Box<Precreate>),
}

/// What a pay says. The code is wiped when it is dropped.
#[derive(Clone, Debug)]
pub struct Pay {
    /// What is sold.
    pub order: Arc<Order>,
    /// The till it is taken at, if it is not the configuration's.
    pub till: Option<Arc<Till>>,
    /// The code on the buyer's phone.
    pub code: AuthCode,
    /// After this the gateway itself refuses it.
    pub time_expire: Timestamp,
    /// What a query may give back, to tell whose trade it is; letters and digits.
    pub tag: Option<String>,
}

/// What a precreate says.
#[derive(Clone, Debug)]
pub struct Precreate {
    /// What is sold.
    pub order: Arc<Order>,
    /// The till it is taken at, if it is not the configuration's.
    pub till: Option<Arc<Till>>,
    /// After this nobody can pay it.
    pub time_expire: Timestamp,
    /// How long the code can be scanned. Without this it could for two hours,
    /// whatever the order says; whole minutes, at least one.
    pub code_lives: Duration,
    /// What a query may give back, to tell whose trade it is; letters and digits.
    pub tag: Option<String>,
    /// Where Alipay notifies.
    pub notify_url: Option<String>,
}

/// What a refund says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The merchant's number of the trade that was paid.
    pub number: OutTradeNo,
    /// Alipay's number of it, where it is known.
    pub trade_no: Option<String>,
    /// What the trade had collected.
    pub trade_amount: Amount,
    /// The merchant's number of this refund (`out_request_no`). The gateway gives
    /// money back once for it, however often it is asked.
    pub request: String,
    /// What is to go back.
    pub amount: Amount,
    /// Why, for the buyer to read.
    pub reason: Option<String>,
    /// Who gives it back, if it is not whoever is at the till.
    pub operator_id: Option<String>,
    /// The till that the trade was paid at, if it is not the configuration's.
    pub till: Option<Arc<Till>>,
}

/// Which refund is asked about: what its [`Refund`] said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundQuery {
    /// The merchant's number of the trade that was paid.
    pub number: OutTradeNo,
    /// Alipay's number of it, where it is known.
    pub trade_no: Option<String>,
    /// What the trade had collected.
    pub trade_amount: Amount,
    /// The merchant's number of the refund (`out_request_no`).
    pub request: String,
    /// What was to go back.
    pub amount: Amount,
}

/// What an answer has to be about; all else is no answer to this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The merchant's number of the trade.
    pub number: OutTradeNo,
    /// The trade's amount.
    pub amount: Amount,
    /// The refund, if it is about one.
    pub refund: Option<ExpectRefund>,
}

/// Which refund an answer has to be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectRefund {
    /// Alipay's number of the trade, where it is known.
    pub trade_no: Option<String>,
    /// The merchant's number of the refund.
    pub request: String,
    /// What is to go back.
    pub amount: Amount,
}

/// The gateway's names for what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `alipay.trade.pay`
    Pay,
    /// `alipay.trade.query`
    Query,
    /// `alipay.trade.cancel`
    Cancel,
    /// `alipay.trade.refund`
    Refund,
    /// `alipay.trade.fastpay.refund.query`
    RefundQuery,
    /// `alipay.trade.precreate`
    Precreate,
}

impl Method {
    /// The value of the parameter `method`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "alipay.trade.pay",
            Self::Query => "alipay.trade.query",
            Self::Cancel => "alipay.trade.cancel",
            Self::Refund => "alipay.trade.refund",
            Self::RefundQuery => "alipay.trade.fastpay.refund.query",
            Self::Precreate => "alipay.trade.precreate",
        }
    }
}

impl Ask {
    /// The method that is called.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Pay(_) => Method::Pay,
            Self::Query(_) => Method::Query,
            Self::Cancel(_) => Method::Cancel,
            Self::Refund(_) => Method::Refund,
            Self::RefundQuery(_) => Method::RefundQuery,
            Self::Precreate(_) => Method::Precreate,
        }
    }

    /// What an answer has to be about.
    #[must_use]
    pub fn expect(&self) -> Expect {
        match self {
            Self::Pay(pay) => Expect::of(&pay.order),
            Self::Query(expect) | Self::Cancel(expect) => expect.clone(),
            Self::Refund(refund) => refund.expect(),
            Self::RefundQuery(query) => query.expect(),
            Self::Precreate(precreate) => Expect::of(&precreate.order),
        }
    }

    /// Where Alipay notifies of what comes of it, if that is said.
    #[must_use]
    pub fn notify_url(&self) -> Option<&str> {
        match self {
            Self::Precreate(precreate) => precreate.notify_url.as_deref(),
            Self::Pay(_)
            | Self::Query(_)
            | Self::Cancel(_)
            | Self::Refund(_)
            | Self::RefundQuery(_) => None,
        }
    }

    /// The buyer's code, when it goes along.
    #[must_use]
    pub fn code(&self) -> Option<&AuthCode> {
        match self {
            Self::Pay(pay) => Some(&pay.code),
            Self::Query(_)
            | Self::Cancel(_)
            | Self::Refund(_)
            | Self::RefundQuery(_)
            | Self::Precreate(_) => None,
        }
    }
}

impl Expect {
    /// The trade of this order.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        Self { number: order.out_trade_no.clone(), amount: order.amount, refund: None }
    }
}

impl Refund {
    /// The question whether it gave the money back.
    #[must_use]
    pub fn query(&self) -> RefundQuery {
        RefundQuery {
            number: self.number.clone(),
            trade_no: self.trade_no.clone(),
            trade_amount: self.trade_amount,
            request: self.request.clone(),
            amount: self.amount,
        }
    }

    fn expect(&self) -> Expect {
        self.query().expect()
    }
}

impl RefundQuery {
    fn expect(&self) -> Expect {
        let refund = ExpectRefund {
            trade_no: self.trade_no.clone(),
            request: self.request.clone(),
            amount: self.amount,
        };
        Expect { number: self.number.clone(), amount: self.trade_amount, refund: Some(refund) }
    }
}
