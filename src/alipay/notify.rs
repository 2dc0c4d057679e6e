//! Notifications: that a trade has changed, told without being asked.
//!
//! They may come early, late, often, or never, so nothing rests on them. Whoever
//! believes one has compared it before ([`Notification::compare`]): a good
//! signature says that Alipay tells it, and not that it is about us.

use super::request::from_beijing;
use super::sign::{PublicKey, SignType};
use super::told::{Told, ToldError};
use super::verdict::fen;
use crate::payment::{Amount, Fen, OutTradeNo, Timestamp};

/// The body of the reply to a notification that was taken. Anything else asks for
/// it again.
pub const TAKEN: &str = "success";

/// A verified notification about a trade. Its texts are as they came: whoever
/// writes them down masks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The same in each repetition.
    pub notify_id: String,
    /// Whose application it is for.
    pub app_id: String,
    /// The account that collects.
    pub seller_id: Option<String>,
    /// The merchant's number of the trade.
    pub out_trade_no: String,
    /// Alipay's number of it.
    pub trade_no: Option<String>,
    /// What it is about.
    pub total_amount: Option<Fen>,
    /// How it stands, in Alipay's word.
    pub trade_status: String,
    /// When it was paid.
    pub gmt_payment: Option<Timestamp>,
    /// All that was ever given back of it, if it tells of a refund.
    pub refund_fee: Option<Fen>,
    /// The merchant's number of that refund.
    pub out_biz_no: Option<String>,
    /// What came along with the pay that made it.
    pub passback_params: Option<String>,
}

/// What a notification is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Our number of the trade.
    pub number: &'a OutTradeNo,
    /// What it is about.
    pub amount: Amount,
    /// Our account, where it is known.
    pub seller_id: Option<&'a str>,
    /// Our application.
    pub app_id: &'a str,
}

/// Whether a notification is about what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// In all that is known.
    Matches,
    /// In this it is about something else, or does not tell.
    Differs(What),
}

/// In what a notification differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `app_id`.
    App,
    /// `seller_id`.
    Seller,
    /// `out_trade_no`.
    Number,
    /// `total_amount`.
    Amount,
}

impl Notification {
    /// Verifies the body of a notification, whatever its content type says, and
    /// reads it.
    ///
    /// # Errors
    ///
    /// Why it cannot be believed.
    pub fn read(body: &[u8], sign_type: SignType, alipay: &PublicKey) -> Result<Self, ToldError> {
        Self::of(&Told::open(body, &[], sign_type, alipay)?)
    }

    /// What a verified form tells of a trade.
    ///
    /// # Errors
    ///
    /// [`ToldError::Missing`], if it is about something else than a trade.
    pub fn of(told: &Told) -> Result<Self, ToldError> {
        let text = |name| told.text(name).map(str::to_owned);
        let needed = |name| told.needed(name).map(str::to_owned);
        let sum = |name| told.text(name).and_then(fen).map(Fen);
        Ok(Self {
            notify_id: needed("notify_id")?,
            app_id: needed("app_id")?,
            seller_id: text("seller_id"),
            out_trade_no: needed("out_trade_no")?,
            trade_no: text("trade_no"),
            total_amount: sum("total_amount"),
            trade_status: needed("trade_status")?,
            gmt_payment: told.text("gmt_payment").and_then(from_beijing),
            refund_fee: sum("refund_fee"),
            out_biz_no: text("out_biz_no"),
            passback_params: text("passback_params"),
        })
    }

    /// Whether it is about what is expected. What it does not tell, it differs in.
    #[must_use]
    pub fn compare(&self, expected: &Expected<'_>) -> Match {
        if self.app_id != expected.app_id {
            return Match::Differs(What::App);
        }
        if expected.seller_id.is_some() && self.seller_id.as_deref() != expected.seller_id {
            return Match::Differs(What::Seller);
        }
        if self.out_trade_no != expected.number.as_str() {
            return Match::Differs(What::Number);
        }
        if self.total_amount != Some(Fen(expected.amount.fen())) {
            return Match::Differs(What::Amount);
        }
        Match::Matches
    }
}
