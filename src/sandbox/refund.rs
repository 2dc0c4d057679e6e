//! What refund and refund query do.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{Content, Said, Voice};
use super::clock::beijing;
use super::endings::{Back, BackQuery, LATE_MS, refund_picked};
use super::ledger::{Status, Trade};
use super::order::{amount, invalid, missing, text};
use super::says::{people, yuan};
use super::trade::{Acted, Late, World, not_exist};
use crate::payment::Amount;

/// A refund whose fields are all right by themselves.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The merchant's number of the order.
    pub(super) name: String,
    request: Option<String>,
    amount: Amount,
    reason: Option<String>,
}

impl Wanted {
    /// The number under which the money goes back at most once: without one of
    /// its own it is that of the order, so there can be only one such refund.
    fn request(&self) -> &str {
        self.request.as_deref().unwrap_or(&self.name)
    }
}

impl World {
    /// Reads the `biz_content` of a refund.
    pub(super) fn wanted(&self, biz: &Map<String, Value>) -> Result<Wanted, Said> {
        let amount = amount(biz, "refund_amount", 16)?.ok_or_else(|| missing("refund_amount"))?;
        let name = self.find(biz)?;
        text(biz, "operator_id", 30)?;
        text(biz, "store_id", 32)?;
        text(biz, "terminal_id", 32)?;
        options(biz)?;
        let request = text(biz, "out_request_no", 64)?;
        Ok(Wanted { name, request, amount, reason: text(biz, "refund_reason", 256)? })
    }

    pub(super) fn refund(&mut self, biz: &Map<String, Value>, now: i64) -> Result<Acted, Said> {
        let wanted = self.wanted(biz)?;
        let name = &wanted.name;
        let number = self.book.number(name, now);
        let trade = number.trade.as_mut().ok_or_else(not_exist)?;
        let asked = number.requested.entry(wanted.request().to_owned()).or_default();
        asked.refunds = asked.refunds.saturating_add(1);
        let first = asked.refunds == 1;
        if first {
            let picked = refund_picked(wanted.reason.as_deref(), wanted.amount.fen());
            asked.ending = picked.map(|ending| ending.number);
        }
        let (nth, script) = (asked.refunds, asked.script());
        let voice = script.filter(|_| first).map_or(Voice::True, |ending| ending.voice.clone());
        // The success of which a voice lies.
        let forged = Some(refund_answer(name, trade, wanted.amount.fen(), Some(now)));
        let acted = match script.map_or(Back::Give, |ending| ending.refund) {
            Back::Nothing if first => Acted::nothing(),
            Back::Late if first => {
                let late = Some((self.scaled(LATE_MS), Late::Refund(wanted)));
                Acted { late, ..Acted::nothing() }
            }
            Back::Poor(times) if nth <= times => {
                return Err(Said::business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户余额不足"));
            }
            Back::Never => {
                let mut content = refund_answer(name, trade, 0, None);
                content.leave_out("fund_change");
                Acted { executed: false, ..Acted::says(content) }
            }
            Back::Refuse(sub_code, sub_msg) => return Err(Said::business(sub_code, sub_msg)),
            Back::Finish => {
                trade.finish();
                Acted::answers(self.refund_now(&wanted, now))
            }
            Back::AllElsewhere if first => {
                trade.refund(MERCHANT_ACCOUNT, trade.left_fen(), None, now);
                Acted::answers(self.refund_now(&wanted, now))
            }
            Back::NumberElsewhere if first => {
                trade.refund(wanted.request(), 1, None, now);
                Acted::answers(self.refund_now(&wanted, now))
            }
            Back::Give
            | Back::Nothing
            | Back::Late
            | Back::Poor(_)
            | Back::AllElsewhere
            | Back::NumberElsewhere => Acted::answers(self.refund_now(&wanted, now)),
        };
        Ok(Acted { voice, forged, ..acted })
    }

    /// A refund that is executed late.
    pub(super) fn refund_late(&mut self, wanted: &Wanted, now: i64) -> Content {
        self.refund_now(wanted, now).unwrap_or_else(|said| Content::said(&said))
    }

    /// What the ledger makes of a refund. It gives back once for each number.
    fn refund_now(&mut self, wanted: &Wanted, now: i64) -> Result<Content, Said> {
        let (name, fen) = (&wanted.name, wanted.amount.fen());
        let trade = self.book.number(name, now).trade.as_mut().ok_or_else(not_exist)?;
        if wanted.request.is_none() && fen != trade.total_fen {
            return Err(missing("out_request_no，部分退款时必填"));
        }
        let known = trade.refunds.iter().find(|known| known.out_request_no == wanted.request());
        match known {
            Some(known) if known.fen == fen => return Ok(refund_answer(name, trade, 0, None)),
            Some(_) => {
                return Err(Said::business("ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求"));
            }
            None => {}
        }
        let no = match trade.status {
            Status::TradeSuccess if fen > trade.left_fen() => {
                Some(("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限"))
            }
            Status::TradeSuccess => None,
            Status::TradeFinished => Some(("ACQ.TRADE_HAS_FINISHED", "交易已完结")),
            Status::TradeClosed => Some(("ACQ.TRADE_HAS_CLOSE", "交易已关闭")),
            Status::WaitBuyerPay => Some(("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")),
        };
        if let Some((sub_code, sub_msg)) = no {
            return Err(Said::business(sub_code, sub_msg));
        }
        trade.refund(wanted.request(), fen, wanted.reason.as_deref(), now);
        Ok(refund_answer(name, trade, fen, Some(now)))
    }

    pub(super) fn refund_query(
        &mut self,
        biz: &Map<String, Value>,
        now: i64,
    ) -> Result<Acted, Said> {
        let request = text(biz, "out_request_no", 64)?.ok_or_else(|| missing("out_request_no"))?;
        let options = options(biz)?;
        let name = self.find(biz)?;
        let number = self.book.number(&name, now);
        let trade = number.trade.as_ref().ok_or_else(not_exist)?;
        let asked = number.requested.entry(request.clone()).or_default();
        asked.queries = asked.queries.saturating_add(1);
        let (voice, tells) = match asked.script().map_or(BackQuery::Honest, |e| e.query) {
            BackQuery::Honest => (Voice::True, true),
            BackQuery::Lags(until) => (Voice::True, asked.queries >= until),
            BackQuery::Silent => (Voice::Nothing, true),
        };
        let mut content = Content::code("10000");
        // An unknown number, too, is answered with 10000, but with nothing in it.
        let known = trade.refunds.iter().find(|known| known.out_request_no == request);
        if let Some(refund) = known.filter(|_| tells) {
            if options.iter().any(|option| option == "gmt_refund_pay") {
                content.text("gmt_refund_pay", beijing(refund.at_ms));
            }
            content.text("out_request_no", request);
            content.text("out_trade_no", name);
            content.text("refund_amount", yuan(refund.fen));
            if let Some(reason) = &refund.reason {
                content.text("refund_reason", reason.as_str());
            }
            content.text("refund_status", "REFUND_SUCCESS");
            content.text("send_back_fee", yuan(refund.fen));
            content.text("total_amount", yuan(trade.total_fen));
            content.text("trade_no", trade.trade_no.as_str());
        }
        Ok(Acted { voice, ..Acted::says(content) })
    }

    /// Somebody gives money back in the merchant's account: so much, or all that
    /// is left.
    pub(super) fn refund_elsewhere(
        &mut self,
        name: &str,
        elsewhere: &RefundElsewhere,
        now: i64,
    ) -> Result<(), String> {
        let trade = self.book.knows(name).then(|| self.book.number(name, now).trade.as_mut());
        let trade = trade.flatten().ok_or_else(|| format!("{name} has no trade"))?;
        let fen = match &elsewhere.refund_amount {
            None => trade.left_fen(),
            Some(yuan) => yuan.parse::<Amount>().map_err(|why| why.to_string())?.fen(),
        };
        if trade.status != Status::TradeSuccess || fen == 0 || fen > trade.left_fen() {
            let (status, left) = (trade.status.name(), yuan(trade.left_fen()));
            return Err(format!("the trade is {status}, and {left} yuan are left of it"));
        }
        let request = elsewhere.out_request_no.as_deref().unwrap_or(MERCHANT_ACCOUNT);
        trade.refund(request, fen, None, now);
        self.book.save(name).map_err(|why| why.to_string())
    }
}

/// The number of what is given back in the merchant's account.
const MERCHANT_ACCOUNT: &str = "MERCHANT_ACCOUNT";

/// A refund that nobody asked for at a till.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RefundElsewhere {
    /// How much, in yuan; all that is left, if absent.
    refund_amount: Option<String>,
    /// Under which number; one of its own, if absent.
    out_request_no: Option<String>,
}

/// The answer to a refund that gave back `fen` just now; or to one that gave
/// back nothing, because it had been done before, or was not done.
fn refund_answer(name: &str, trade: &Trade, fen: u64, at: Option<i64>) -> Content {
    let mut content = Content::code("10000");
    people(&mut content);
    content.text("fund_change", if at.is_some() { "Y" } else { "N" });
    if let Some(at) = at {
        content.text("gmt_refund_pay", beijing(at));
    }
    content.text("out_trade_no", name);
    // All that was ever given back, not this refund.
    content.text("refund_fee", yuan(trade.refunded_fen));
    content.text("send_back_fee", yuan(fen));
    content.text("trade_no", trade.trade_no.as_str());
    content
}

/// `query_options`: what else the answer is to tell.
fn options(biz: &Map<String, Value>) -> Result<Vec<String>, Said> {
    let wrong = || invalid("query_options 类型错误，应为字符串数组");
    match biz.get("query_options") {
        None => Ok(Vec::new()),
        Some(Value::Array(options)) => options
            .iter()
            .map(|option| option.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}
