//! What the client reads, and how forgiving it is.
//!
//! A member that is missing, null or of another type reads as its default, and
//! every default is the cautious one: not final, money unknown.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads what can be read, else the default.
fn lenient<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned + Default,
{
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Where the money is, as the terminal says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Money {
    /// Nothing was charged, and nothing will be.
    None,
    /// Nothing was charged so far, but it still may be.
    Open,
    /// It is the merchant's.
    Taken,
    /// It had been charged and went back.
    Returned,
    /// Nobody knows yet; also what is read when the word is missing or unheard of.
    #[default]
    Unknown,
}

/// One sentence in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl<'de> Deserialize<'de> for Sentence {
    /// Reads `{"zh": …, "en": …}`, or one text for both.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(match value.as_str() {
            Some(both) => Self { zh: both.to_owned(), en: both.to_owned() },
            None => Self { zh: text("zh").to_owned(), en: text("en").to_owned() },
        })
    }
}

/// Why the gateway said no.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReasonView {
    /// Alipay's `code`.
    #[serde(deserialize_with = "lenient")]
    pub code: String,
    /// Alipay's `sub_code`.
    #[serde(deserialize_with = "lenient")]
    pub sub_code: String,
    /// What to show the cashier.
    #[serde(deserialize_with = "lenient")]
    pub message: Sentence,
}

/// A payment, as the terminal tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PaymentView {
    /// The merchant order number.
    #[serde(deserialize_with = "lenient")]
    pub out_trade_no: String,
    /// The name of the state.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Nothing more will happen.
    #[serde(rename = "final", deserialize_with = "lenient")]
    pub is_final: bool,
    /// Where the money is.
    #[serde(deserialize_with = "lenient")]
    pub money: Money,
    /// Grows with every change.
    #[serde(deserialize_with = "lenient")]
    pub rev: u64,
    /// In yuan.
    #[serde(deserialize_with = "lenient")]
    pub amount: String,
    /// What the buyer sees on the phone.
    #[serde(deserialize_with = "lenient")]
    pub subject: String,
    /// Which scanner takes the code.
    #[serde(deserialize_with = "lenient")]
    pub scanner: Option<String>,
    /// Alipay's number.
    #[serde(deserialize_with = "lenient")]
    pub trade_no: Option<String>,
    /// What the merchant receives, in yuan.
    #[serde(deserialize_with = "lenient")]
    pub receipt_amount: Option<String>,
    /// The buyer's account, masked by Alipay.
    #[serde(deserialize_with = "lenient")]
    pub buyer_logon_id: Option<String>,
    /// Why the gateway said no.
    #[serde(deserialize_with = "lenient")]
    pub reason: Option<ReasonView>,
    /// What a person should look at.
    #[serde(deserialize_with = "lenient")]
    pub attention: Option<Sentence>,
    /// What was given back, in yuan.
    #[serde(deserialize_with = "lenient")]
    pub refunded_amount: Option<String>,
    /// The register's name for the sale.
    #[serde(deserialize_with = "lenient")]
    pub sale: Option<String>,
    /// What ended a cancelled payment.
    #[serde(deserialize_with = "lenient")]
    pub cancel_action: Option<String>,
    /// What to read aloud.
    #[serde(deserialize_with = "lenient")]
    pub cashier: Sentence,
    /// RFC 3339.
    #[serde(deserialize_with = "lenient")]
    pub created_at: String,
    /// RFC 3339.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: String,
    /// Until the window of the present state ends, when the terminal tells it.
    #[serde(deserialize_with = "lenient")]
    pub seconds_left: Option<u64>,
}

/// A page of payments.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Listed {
    /// Newest first.
    pub payments: Vec<PaymentView>,
    /// Where the next page begins.
    #[serde(deserialize_with = "lenient")]
    pub next_cursor: Option<String>,
}

/// Every step ever journaled for a payment; the members vary by step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EntriesView {
    /// Oldest first.
    pub entries: Vec<serde_json::Map<String, Value>>,
}

/// A request that the terminal will not do (RFC 9457).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// The JSON as it was sent.
    #[serde(skip)]
    pub text: String,
    /// The stable name.
    #[serde(deserialize_with = "lenient")]
    pub code: String,
    /// The kind, for people.
    #[serde(deserialize_with = "lenient")]
    pub title: String,
    /// This case, for whoever develops the register.
    #[serde(deserialize_with = "lenient")]
    pub detail: String,
    /// Where the money of this payment is.
    #[serde(deserialize_with = "lenient")]
    pub money: Money,
    /// Whether asking again makes sense: `same_request`, `after_fix`, `never`.
    #[serde(deserialize_with = "lenient")]
    pub retry: String,
    /// What to read aloud.
    #[serde(deserialize_with = "lenient")]
    pub cashier: Sentence,
    /// Which payment stands in the way.
    #[serde(deserialize_with = "lenient")]
    pub out_trade_no: Option<String>,
}

impl Problem {
    /// Reads a problem; nothing when the text is no JSON object.
    #[must_use]
    pub fn read(status: u16, text: &str) -> Option<Self> {
        let mut problem: Self = serde_json::from_str(text).ok()?;
        problem.status = status;
        problem.text = text.to_owned();
        Some(problem)
    }
}

/// How the terminal is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StatusView {
    /// The daemon's version.
    #[serde(deserialize_with = "lenient")]
    pub version: String,
    /// For how many seconds it has run.
    #[serde(deserialize_with = "lenient")]
    pub uptime: Option<f64>,
    /// It takes no payments because it is about to end.
    #[serde(deserialize_with = "lenient")]
    pub stopping: bool,
    /// It takes no new payments because a new version waits to take over.
    #[serde(deserialize_with = "lenient")]
    pub draining: bool,
    /// The configured scanners.
    #[serde(deserialize_with = "lenient")]
    pub scanners: Vec<ScannerView>,
    /// The way to Alipay.
    #[serde(deserialize_with = "lenient")]
    pub gateway: GatewayView,
    /// The two keys.
    #[serde(deserialize_with = "lenient")]
    pub keys: KeysView,
    /// How many payments are not final.
    #[serde(deserialize_with = "lenient")]
    pub open_payments: Option<u64>,
    /// The journal.
    #[serde(deserialize_with = "lenient")]
    pub journal: JournalView,
    /// The box's clock.
    #[serde(deserialize_with = "lenient")]
    pub clock: ClockView,
}

/// The application's key and Alipay's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KeysView {
    /// `proven`, `unproven`, `app_key_wrong`, `alipay_key_wrong`.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Which one is wrong and what to do.
    #[serde(deserialize_with = "lenient")]
    pub trouble: Option<Sentence>,
}

/// One scanner.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ScannerView {
    /// Its name in the configuration.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// `serial`, `evdev` or `hidraw`.
    #[serde(deserialize_with = "lenient")]
    pub kind: String,
    /// Where it is looked for.
    #[serde(deserialize_with = "lenient")]
    pub device: String,
    /// It is there and is being read.
    #[serde(deserialize_with = "lenient")]
    pub present: Option<bool>,
    /// What was last heard of it, such as why it is gone.
    #[serde(deserialize_with = "lenient")]
    pub last_news: Option<String>,
}

/// The way to Alipay.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GatewayView {
    /// `up`, `down`, or `unknown` before the first call.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Why it does not answer.
    #[serde(deserialize_with = "lenient")]
    pub trouble: Option<String>,
    /// How far its clock is ahead of the box's, once an answer told.
    #[serde(deserialize_with = "lenient")]
    pub clock_skew_ms: Option<i64>,
}

/// The box's clock.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClockView {
    /// What it shows, RFC 3339.
    #[serde(deserialize_with = "lenient")]
    pub now: String,
    /// Why no payments are taken, if it is too wrong for that.
    #[serde(deserialize_with = "lenient")]
    pub wrong: Option<String>,
}

/// The journal's health.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JournalView {
    /// It can be written.
    #[serde(deserialize_with = "lenient")]
    pub writable: Option<bool>,
    /// Why it cannot.
    #[serde(deserialize_with = "lenient")]
    pub reason: Option<String>,
    /// Where it is.
    #[serde(deserialize_with = "lenient")]
    pub path: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_null_or_strange_reads_as_the_cautious_word() {
        for text in [
            "{}",
            r#"{"state":null,"final":null,"money":null,"rev":null,"cashier":null,"reason":null}"#,
            r#"{"state":7,"final":"true","money":"plenty","rev":-1,"cashier":3,"amount":12.5}"#,
        ] {
            let view: PaymentView = serde_json::from_str(text).expect(text);
            assert!(!view.is_final, "{text}");
            assert_eq!(view.money, Money::Unknown, "{text}");
        }
    }

    #[test]
    fn reads_the_payment_of_the_contract() {
        let view: PaymentView = serde_json::from_str(
            r#"{ "out_trade_no": "20150320010101001", "state": "paid", "final": true,
                 "money": "taken", "rev": 4, "amount": "88.88", "subject": "咖啡",
                 "scanner": "lane-1", "trade_no": "2013112011001004330000121536",
                 "receipt_amount": "88.88", "buyer_logon_id": "159****5620", "reason": null,
                 "attention": null, "refunded_amount": "0.00", "sale": null,
                 "cashier": { "zh": "已收款 88.88 元", "en": "Paid 88.88 yuan" },
                 "created_at": "2026-11-20T10:00:00+08:00", "from_the_future": {"x": [1]},
                 "updated_at": "2026-11-20T10:00:02+08:00" }"#,
        )
        .expect("the contract's example");
        assert!(view.is_final && view.money == Money::Taken && view.rev == 4);
        assert_eq!(view.cashier.en, "Paid 88.88 yuan");
        assert!(view.attention.is_none() && view.sale.is_none());
    }

    #[test]
    fn a_problem_without_members_is_unknown_money() {
        let problem = Problem::read(409, "{}").expect("an object");
        assert_eq!((problem.status, problem.money), (409, Money::Unknown));
        assert!(Problem::read(502, "<html>").is_none());
    }
}
