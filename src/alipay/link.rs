//! A page of Alipay's in the buyer's browser, to pay on: no call, but an address
//! that the browser opens, or a form that it posts. Nothing is sent from here.
//!
//! An address is as good as its order: whoever has it can pay it until the order
//! runs out, so each order has an end (`time_expire`).

use serde::Serialize;

use super::https::Gateway;
use super::request::{self, RequestError, beijing};
use super::sign::{PrivateKey, SignType};
use crate::payment::{Amount, OutTradeNo, Timestamp};

/// Who makes links, and where they lead.
#[derive(Clone, Copy)]
pub struct Application<'a> {
    /// The gateway's address.
    pub gateway: &'a Gateway,
    /// The application.
    pub app_id: &'a str,
    /// How it signs.
    pub sign_type: SignType,
    /// The application's key.
    pub key: &'a PrivateKey,
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The merchant's number of the trade.
    pub number: OutTradeNo,
    /// What it is about.
    pub amount: Amount,
    /// What the buyer reads.
    pub subject: String,
    /// A longer description.
    pub body: Option<String>,
    /// After this it cannot be paid.
    pub time_expire: Timestamp,
    /// What notifications give back.
    pub passback_params: Option<String>,
    /// Where Alipay notifies.
    pub notify_url: Option<String>,
    /// Where the browser comes back to.
    pub return_url: Option<String>,
    /// For which kind of browser it is.
    pub browser: Browser,
}

/// The two kinds of page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Browser {
    /// On a computer (`alipay.trade.page.pay`).
    Computer {
        /// How the code to scan is shown (`qr_pay_mode`, 0 to 4).
        qr_pay_mode: Option<u8>,
    },
    /// On a phone (`alipay.trade.wap.pay`).
    Phone {
        /// Where the browser goes if the buyer leaves.
        quit_url: Option<String>,
    },
}

/// A page, in the two ways to open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// An address for the browser, or to be drawn as a code.
    pub url: String,
    /// A page of HTML that submits itself; without scripts it has a button.
    pub html: String,
}

#[derive(Serialize)]
struct Content<'a> {
    out_trade_no: &'a str,
    total_amount: &'a str,
    subject: &'a str,
    product_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    time_expire: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passback_params: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr_pay_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quit_url: Option<&'a str>,
}

impl Page {
    /// The method behind the page.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self.browser {
            Browser::Computer { .. } => "alipay.trade.page.pay",
            Browser::Phone { .. } => "alipay.trade.wap.pay",
        }
    }

    /// The business content.
    ///
    /// # Errors
    ///
    /// [`RequestError::Time`].
    pub fn content(&self) -> Result<String, RequestError> {
        let filled = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
        let (body, passback_params) = (filled(&self.body), filled(&self.passback_params));
        let (product_code, qr_pay_mode, quit_url) = match &self.browser {
            Browser::Computer { qr_pay_mode } => {
                ("FAST_INSTANT_TRADE_PAY", qr_pay_mode.map(|mode| mode.to_string()), None)
            }
            Browser::Phone { quit_url } => ("QUICK_WAP_WAY", None, filled(quit_url)),
        };
        let content = Content {
            out_trade_no: self.number.as_str(),
            total_amount: &self.amount.wire(),
            subject: &self.subject,
            product_code,
            body: body.as_deref(),
            time_expire: &beijing(self.time_expire)?,
            passback_params: passback_params.as_deref(),
            qr_pay_mode,
            quit_url: quit_url.as_deref(),
        };
        Ok(serde_json::to_string(&content).unwrap_or_else(|_| unreachable!("texts are JSON")))
    }

    /// Signs it.
    ///
    /// # Errors
    ///
    /// Why it cannot be signed.
    pub fn link(
        &self,
        application: &Application<'_>,
        gateway_now: Timestamp,
    ) -> Result<Link, RequestError> {
        let Application { app_id, sign_type, .. } = *application;
        let mut common = request::common(app_id, self.method(), sign_type, gateway_now)?;
        for (name, url) in [("notify_url", &self.notify_url), ("return_url", &self.return_url)] {
            common.extend(url.clone().map(|url| (name, url)));
        }
        build(application, &common, &self.content()?)
    }
}

/// Signs parameters and content as they are.
///
/// # Errors
///
/// Why they cannot be signed.
pub fn build(
    application: &Application<'_>,
    common: &[(&str, String)],
    biz_content: &str,
) -> Result<Link, RequestError> {
    let Application { gateway, sign_type, key, .. } = *application;
    let request = request::build(common, biz_content, sign_type, key)?;
    let action = format!("{}?{}", gateway.as_str(), request.query);
    let body = String::from_utf8_lossy(&request.body);
    let html = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>支付宝</title></head><body>\n\
         <form method=\"post\" accept-charset=\"utf-8\" action=\"{}\">\n\
         <input type=\"hidden\" name=\"biz_content\" value=\"{}\">\n\
         <noscript><input type=\"submit\" value=\"立即支付\"></noscript>\n\
         </form>\n<script>document.forms[0].submit();</script>\n</body></html>\n",
        escaped(&action),
        escaped(biz_content)
    );
    Ok(Link { url: format!("{action}&{body}"), html })
}

/// As the value of an attribute. All four, or a text that looks like an escape
/// would be another one in the browser, and its signature worthless.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}
