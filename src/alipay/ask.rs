//! What the gateway is asked, and what an answer has to be about.
//!
//! A call describes itself: everything that goes out, and everything that what
//! comes back is compared with, is in the [`Ask`]. So this room knows nothing
//! of payments and their states. A further call is a further variant, its
//! content in `request.rs`, its lines in `table.rs` and its judge in
//! `verdict.rs`; none of the others changes.

use std::sync::Arc;

use crate::payment::{Amount, AuthCode, Order, OutTradeNo, Timestamp};

/// One call.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Charges the buyer whose code was scanned.
    Pay(Box<Pay>),
    /// How does the trade stand?
    Query(Expect),
    /// Undo the trade, whether it was paid or not.
    Cancel(Expect),
}

/// What a pay says. The code is wiped when it is dropped.
#[derive(Clone, Debug)]
pub struct Pay {
    /// What is sold.
    pub order: Arc<Order>,
    /// The code on the buyer's phone.
    pub code: AuthCode,
    /// After this the gateway itself refuses it.
    pub time_expire: Timestamp,
    /// What a query may give back, to tell whose trade it is; letters and digits.
    pub tag: Option<String>,
}

/// What an answer has to be about; all else is no answer to this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The merchant's number of the trade.
    pub number: OutTradeNo,
    /// The trade's amount.
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
}

impl Method {
    /// The value of the parameter `method`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "alipay.trade.pay",
            Self::Query => "alipay.trade.query",
            Self::Cancel => "alipay.trade.cancel",
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
        }
    }

    /// What an answer has to be about.
    #[must_use]
    pub fn expect(&self) -> Expect {
        match self {
            Self::Pay(pay) => Expect::of(&pay.order),
            Self::Query(expect) | Self::Cancel(expect) => expect.clone(),
        }
    }

    /// The buyer's code, when it goes along.
    #[must_use]
    pub fn code(&self) -> Option<&AuthCode> {
        match self {
            Self::Pay(pay) => Some(&pay.code),
            Self::Query(_) | Self::Cancel(_) => None,
        }
    }
}

impl Expect {
    /// The trade of this order.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        Self { number: order.out_trade_no.clone(), amount: order.amount }
    }
}
