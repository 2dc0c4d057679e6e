//! The address with which the buyer's browser comes back from a page of Alipay's.
//!
//! It proves that Alipay has sent the buyer back, and nothing about money: no
//! status is in it. Whoever sees one asks the gateway.

use super::sign::{PublicKey, SignType};
use super::told::{Told, ToldError};
use super::verdict::fen;
use crate::payment::Fen;

/// What a verified return tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Whose application it is for.
    pub app_id: String,
    /// The merchant's number of the trade.
    pub out_trade_no: String,
    /// Alipay's number of it.
    pub trade_no: Option<String>,
    /// What it is about.
    pub total_amount: Option<Fen>,
    /// The account that collects.
    pub seller_id: Option<String>,
}

impl Returned {
    /// Verifies the query of the address. `own` names the parameters that the
    /// merchant has put into its `return_url`: they come back among Alipay's, and
    /// are not signed.
    ///
    /// # Errors
    ///
    /// Why it cannot be believed.
    pub fn read(
        query: &str,
        own: &[&str],
        sign_type: SignType,
        alipay: &PublicKey,
    ) -> Result<Self, ToldError> {
        let told = Told::open(query.as_bytes(), own, sign_type, alipay)?;
        Ok(Self {
            app_id: told.needed("app_id")?.to_owned(),
            out_trade_no: told.needed("out_trade_no")?.to_owned(),
            trade_no: told.text("trade_no").map(str::to_owned),
            total_amount: told.text("total_amount").and_then(fen).map(Fen),
            seller_id: told.text("seller_id").map(str::to_owned),
        })
    }
}
