//! Faults that a test asks for: what shall happen to the next requests.

use serde::{Deserialize, Serialize};

use super::answer::{Said, Voice};
use super::gateway::Method;
use crate::alipay::request::PROBE;

/// What shall happen to the next requests of a kind. A fault goes before the
/// ending that the amount or the code picks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// `pay`, `query`, `cancel`, `refund`, `fastpay.refund.query`, `precreate`, with or
    /// without `alipay.trade.` in front; all of them if absent.
    pub method: Option<String>,
    /// Only requests about this order; all if absent, but for the queries about
    /// `TILLD_PROBE` with which a daemon looks after the gateway: those have to
    /// be named.
    pub out_trade_no: Option<String>,
    /// How many requests; 1 if absent.
    pub times: Option<u32>,
    /// Whether the request is worked on. If absent: yes, unless the fault is
    /// `drop_request`, `no_action` or `answer`.
    pub execute: Option<bool>,
    /// Close the connection and do nothing.
    pub drop_request: bool,
    /// Do it, and close the connection.
    pub drop_answer: bool,
    /// Cut the answer in the middle.
    pub cut: bool,
    /// Answer with a page of HTML.
    pub garbage: bool,
    /// Answer with a wrong signature.
    pub bad_signature: bool,
    /// Answer without a signature.
    pub unsigned: bool,
    /// Answer about somebody else's order.
    pub other_order: bool,
    /// Answer with another amount.
    pub other_amount: bool,
    /// Answer with a member beside the signed one that nobody knows.
    pub extra_member: bool,
    /// Answer with the shop's name in GBK, and cut within a character.
    pub bad_text: bool,
    /// Answer with interim answers (103) without end, and never with the answer.
    pub interim_flood: bool,
    /// Answer with the very bytes of the last answer to a request of the same
    /// kind about this order: another, or the same as it was before. Nothing if
    /// there was none.
    pub replay: Option<String>,
    /// A cancel: do nothing, and say so, whatever trade there is.
    pub no_action: bool,
    /// Answer with this `Date`; none at all if empty.
    pub date: Option<String>,
    /// Answer with this HTTP status.
    pub status: Option<u16>,
    /// Answer this.
    pub answer: Option<Said>,
    /// Wait before answering, in milliseconds (not scaled by `--speed`).
    pub delay_ms: Option<u64>,
    /// A pay or a refund: close the connection and do it only after so many
    /// milliseconds.
    pub late_ms: Option<u64>,
}

impl Fault {
    /// Whether the request is worked on now.
    pub(super) fn executes(&self) -> bool {
        let lost = self.drop_request || self.late_ms.is_some();
        !lost && !self.no_action && self.execute.unwrap_or(self.answer.is_none())
    }

    /// How the answer is spoken; `None` leaves it to the ending.
    pub(super) fn voice(&self) -> Option<Voice> {
        self.voices().into_iter().flatten().next()
    }

    fn voices(&self) -> [Option<Voice>; 14] {
        [
            (self.drop_request || self.late_ms.is_some()).then_some(Voice::Nothing),
            self.drop_answer.then_some(Voice::Nothing),
            self.cut.then_some(Voice::Cut),
            self.garbage.then_some(Voice::Garbage),
            self.bad_signature.then_some(Voice::BadSignature),
            self.unsigned.then_some(Voice::Unsigned),
            self.other_order.then_some(Voice::OtherOrder),
            self.other_amount.then_some(Voice::OtherAmount),
            self.extra_member.then_some(Voice::ExtraMember),
            self.bad_text.then_some(Voice::BadText),
            self.interim_flood.then_some(Voice::InterimFlood),
            self.replay.clone().map(Voice::Replay),
            self.status.map(Voice::Status),
            self.answer.clone().map(Voice::Says),
        ]
    }

    /// Whether it makes sense; the sentence says what does not.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.method
            && self.method().is_none()
        {
            return Err(format!(
                "there is no method {name:?}: write pay, query, cancel, refund, fastpay.refund.query or precreate"
            ));
        }
        if self.voices().iter().flatten().count() > 1 {
            return Err("one fault goes wrong in one way: give each its own entry".to_owned());
        }
        let can_be_late = matches!(self.method(), Some(Method::Pay | Method::Refund));
        if self.late_ms.is_some() && !can_be_late {
            return Err("late_ms is for the methods pay and refund only".to_owned());
        }
        if self.no_action && (self.method() != Some(Method::Cancel) || self.execute == Some(true)) {
            return Err("no_action is for the method cancel only, and executes nothing".to_owned());
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status must lie between 200 and 599".to_owned());
        }
        if self.execute == Some(true) && self.drop_request {
            return Err("drop_request cannot execute: write drop_answer".to_owned());
        }
        Ok(())
    }

    fn method(&self) -> Option<Method> {
        let name = self.method.as_deref()?;
        Method::ALL
            .into_iter()
            .find(|m| m.name() == name || m.name().strip_prefix("alipay.trade.") == Some(name))
    }

    fn meets(&self, method: Method, out_trade_no: Option<&str>) -> bool {
        self.method().is_none_or(|wanted| wanted == method)
            && match self.out_trade_no.as_deref() {
                Some(wanted) => Some(wanted) == out_trade_no,
                None => out_trade_no != Some(PROBE),
            }
    }
}

/// The faults that are still to come, first come first served.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        if fault.times != Some(0) {
            self.0.push(fault);
        }
    }

    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the fault that this request meets.
    pub(super) fn take(&mut self, method: Method, out_trade_no: Option<&str>) -> Option<Fault> {
        let index = self.0.iter().position(|fault| fault.meets(method, out_trade_no))?;
        let fault = self.0.get_mut(index)?;
        let left = fault.times.unwrap_or(1).saturating_sub(1);
        fault.times = Some(left);
        let taken = fault.clone();
        if left == 0 {
            self.0.remove(index);
        }
        Some(taken)
    }
}
