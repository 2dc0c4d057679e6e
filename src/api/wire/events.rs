//! What is told as it happens, each as one server-sent event.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PaymentView, RefundView, time_text};
use crate::payment::{Entry, Recorded, ScannerNews};

/// `event: scan`: a scanner read something that no payment was waiting for, or
/// that does not pay the one that was; then that payment has a `hint`, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-11-20T10:00:00+08:00", "scanner": "lane-1", "kind": "goods",
    "text": "6901234567892", "aim": "]E0"
}))]
pub struct ScanEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Which scanner.
    pub scanner: String,
    /// What it was: `alipay`, `wechat`, `unionpay`, `other_wallet`,
    /// `collect_code`, `scale_label`, `torn`, `extra_characters`, `goods`,
    /// `unreadable`, `too_early`, or `code_already_used`.
    pub kind: String,
    /// What it read. A star stands for each digit that may be of a payment code.
    pub text: String,
    /// The AIM symbology identifier it came with.
    #[schema(required)]
    pub aim: Option<String>,
}

/// `event: scanner`: a scanner came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-11-20T10:00:00+08:00", "scanner": "lane-1", "news": "plugged", "reason": null
}))]
pub struct ScannerEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Which scanner.
    pub scanner: String,
    /// `plugged`, `unplugged`, or `scan_lost` (it has to be scanned again).
    pub news: String,
    /// Why.
    #[schema(required)]
    pub reason: Option<String>,
}

/// `event: gateway`: the gateway can be reached, or cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "at": "2026-11-20T10:00:00+08:00", "up": true, "reason": null }))]
pub struct GatewayEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// It answers.
    pub up: bool,
    /// Why it does not.
    #[schema(required)]
    pub reason: Option<String>,
}

/// One event. JSON never has a line end in it, so `data:` is one line.
pub(in crate::api) fn event_text(recorded: &Recorded) -> Option<String> {
    let at = time_text(recorded.at);
    let data = match &recorded.entry {
        Entry::Payment { payment, .. } => serde_json::to_string(&PaymentView::from(payment)),
        Entry::Refund { refund, .. } => serde_json::to_string(&RefundView::from(refund)),
        Entry::Scan { scanner, kind, text, aim } => serde_json::to_string(&ScanEvent {
            at,
            scanner: scanner.clone(),
            kind: kind.name().to_owned(),
            text: text.clone(),
            aim: aim.clone(),
        }),
        Entry::Scanner { scanner, news } => {
            let (news, reason) = match news {
                ScannerNews::Plugged => ("plugged", None),
                ScannerNews::Unplugged(why) => ("unplugged", Some(why.clone())),
                ScannerNews::ScanLost(why) => ("scan_lost", Some(why.clone())),
            };
            serde_json::to_string(&ScannerEvent {
                at,
                scanner: scanner.clone(),
                news: news.to_owned(),
                reason,
            })
        }
        Entry::Gateway { up, text } => {
            let reason = Some(text.clone()).filter(|text| !text.is_empty());
            serde_json::to_string(&GatewayEvent { at, up: *up, reason })
        }
    };
    let (id, name) = (recorded.seq, recorded.entry.event_name());
    Some(format!("id: {id}\nevent: {name}\ndata: {}\n\n", data.ok()?))
}
