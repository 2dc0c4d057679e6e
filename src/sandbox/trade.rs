//! The business behind the front door: what pay, query, cancel and refund do.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::answer::{Content, Delivery, Said, Spoken, Voice};
use super::clock::beijing;
use super::endings::{self, Cancel, LATE_MS, POOR_MS, Pay, Query, SLOW_MS};
use super::faults::{Fault, Faults};
use super::gateway::{Call, Method};
use super::habits::Habits;
use super::ledger::{Arrived, Book, Number, Status, Trade};
use super::order::{Order, Sale, code_invalid, is_number, missing, text};
use super::refund::Wanted;
use super::says::{cancel_answer, failed_pay, funds, paid_answer, people, waiting_answer, yuan};
use crate::alipay::request::PROBE;

/// How long ago another till was paid.
const ELSEWHERE_MS: i64 = 10 * 60 * 1000;

/// A cancel is possible for so long after the trade was made.
const CANCEL_WINDOW_MS: i64 = 24 * 3600 * 1000;

/// Everything that changes while the sandbox runs.
pub(super) struct World {
    pub(super) book: Book,
    pub(super) faults: Faults,
    pub(super) habits: Habits,
    /// Lengths of time are divided by this.
    pub(super) speed: f64,
    /// Pays that come through after the cancel.
    pub(super) held: BTreeMap<String, Order>,
    /// The last answer of each kind about each order, to be replayed.
    pub(super) answers: BTreeMap<(Method, String), Vec<u8>>,
    /// How many requests the front door refused.
    pub(super) refused: u64,
    /// How often a daemon has only looked whether somebody is here.
    pub(super) probes: u64,
}

/// What is executed when nobody waits for its answer any more.
pub(super) enum Late {
    Pay(Order),
    Refund(Wanted),
}

/// What came of a request.
pub(super) struct Acted {
    pub(super) content: Content,
    /// The success that a lying voice tells.
    pub(super) forged: Option<Content>,
    pub(super) voice: Voice,
    pub(super) delay_ms: u64,
    /// Whether it was worked on, or lost or held up before.
    pub(super) executed: bool,
    /// What is still on its way, and for how long.
    pub(super) late: Option<(u64, Late)>,
    /// The order, and the request's number in the ledger.
    pub(super) recorded: Option<(String, u64)>,
    pub(super) ending: Option<u8>,
    /// A `Date` of the fault's own.
    pub(super) date: Option<String>,
}

impl Acted {
    pub(super) fn says(content: Content) -> Self {
        Self {
            content,
            forged: None,
            voice: Voice::True,
            delay_ms: 0,
            executed: true,
            late: None,
            recorded: None,
            ending: None,
            date: None,
        }
    }

    /// What the business says, whether it did it or not.
    pub(super) fn answers(said: Result<Content, Said>) -> Self {
        Self::says(said.unwrap_or_else(|said| Content::said(&said)))
    }

    /// The codes that are, or would be, answered.
    pub(super) fn said(&self) -> (&str, &str) {
        if let Voice::Says(said) | Voice::SaysUnsigned(said) = &self.voice {
            (&said.code, &said.sub_code)
        } else {
            (self.content.get("code"), self.content.get("sub_code"))
        }
    }

    /// Nothing was done, and somebody has to say so.
    pub(super) fn nothing() -> Self {
        Self { executed: false, ..Self::says(Content::code("20000")) }
    }
}

impl World {
    /// Works on one call, and writes it down.
    pub(super) fn act(&mut self, call: &Call, now: i64) -> io::Result<Acted> {
        let name = self.named(&call.biz);
        let fault = self.faults.take(call.method, name.as_deref());
        let is_no_action = fault.as_ref().is_some_and(|fault| fault.no_action);
        let is_probe = name.as_deref() == Some(PROBE) && call.method == Method::Query;
        let mut acted = if is_probe {
            // Counted, and not in the ledger: it is about nobody.
            self.probes += 1;
            Acted::says(Content::said(&not_exist()))
        } else if fault.as_ref().is_none_or(Fault::executes) {
            self.execute(call, now)
        } else if let Some(name) = name.as_deref().filter(|_| is_no_action) {
            Acted { executed: false, ..Acted::says(cancel_answer(name, None, now)) }
        } else {
            Acted::nothing()
        };
        if acted.voice == Voice::Slow {
            acted.delay_ms = self.scaled(SLOW_MS);
        }
        if let Some(fault) = fault {
            if let Some(voice) = fault.voice() {
                acted.voice = voice;
            }
            if let Some(delay) = fault.delay_ms {
                acted.delay_ms = delay;
            }
            if let Some(after) = fault.late_ms {
                let late = match call.method {
                    Method::Refund => self.wanted(&call.biz).ok().map(Late::Refund),
                    Method::Pay
                    | Method::Query
                    | Method::Cancel
                    | Method::RefundQuery
                    | Method::Precreate => Order::read(&call.biz, now).ok().map(Late::Pay),
                };
                acted.late = late.map(|late| (after, late));
            }
            acted.date = fault.date;
        }
        let Some(name) = name.filter(|_| !is_probe) else { return Ok(acted) };
        acted.ending = self.book.number(&name, now).ending;
        let (code, sub_code) = acted.said();
        let (code, sub_code) = (code.to_owned(), sub_code.to_owned());
        let arrived = Arrived {
            seq: 0,
            at_ms: now,
            method: call.method.name().to_owned(),
            executed: acted.executed,
            answered: acted.voice.delivers() && acted.delay_ms == 0,
            code,
            sub_code,
        };
        let seq = self.book.record(&name, arrived)?;
        acted.recorded = Some((name, seq));
        Ok(acted)
    }

    /// What is sent instead of what was to be said, if that is a replay; else it
    /// is kept to be replayed.
    pub(super) fn replayed(&mut self, method: Method, acted: &Acted, spoken: Spoken) -> Spoken {
        if let Voice::Replay(name) = &acted.voice {
            return match self.answers.get(&(method, name.clone())) {
                Some(body) => Spoken { body: body.clone(), ..spoken },
                None => Spoken { delivery: Delivery::Nothing, ..spoken },
            };
        }
        if let Some((name, _)) = acted.recorded.as_ref().filter(|_| acted.voice == Voice::True) {
            self.answers.insert((method, name.clone()), spoken.body.clone());
        }
        spoken
    }

    fn execute(&mut self, call: &Call, now: i64) -> Acted {
        let biz = &call.biz;
        let acted = match call.method {
            Method::Pay => Ok(self.pay(biz, now)),
            Method::Query => self.query(biz, now),
            Method::Cancel => self.cancel(biz, now),
            Method::Refund => self.refund(biz, now),
            Method::RefundQuery => self.refund_query(biz, now),
            Method::Precreate => self.precreate(biz, now),
        };
        acted.unwrap_or_else(|said| Acted::says(Content::said(&said)))
    }

    /// A length of time in this sandbox.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "lengths of seconds; the speed is checked when the sandbox starts"
    )]
    pub(super) fn scaled(&self, ms: u64) -> u64 {
        (ms as f64 / self.speed) as u64
    }

    /// The order that a request is about, as far as it can be told.
    fn named(&self, biz: &Map<String, Value>) -> Option<String> {
        let given = |name| text(biz, name, 64).ok().flatten();
        match given("trade_no") {
            Some(trade_no) => self.book.out_trade_no(&trade_no).map(str::to_owned),
            None => given("out_trade_no").filter(|name| is_number(name)),
        }
    }

    /// The order of a query, cancel or refund; `trade_no` wins.
    pub(super) fn find(&self, biz: &Map<String, Value>) -> Result<String, Said> {
        let trade_no = text(biz, "trade_no", 64)?;
        let out_trade_no = text(biz, "out_trade_no", 64)?;
        match (trade_no, out_trade_no) {
            (Some(trade_no), _) => {
                self.book.out_trade_no(&trade_no).map(str::to_owned).ok_or_else(not_exist)
            }
            (None, Some(name)) if is_number(&name) => Ok(name),
            (None, Some(_)) => {
                Err(super::order::invalid("out_trade_no 只能包含字母、数字、下划线"))
            }
            (None, None) => Err(missing("out_trade_no 与 trade_no 不能同时为空")),
        }
    }

    // --- pay -----------------------------------------------------------------

    fn pay(&mut self, biz: &Map<String, Value>, now: i64) -> Acted {
        let order = match Order::read(biz, now) {
            Ok(order) => order,
            Err(said) => {
                let name = self.named(biz).unwrap_or_default();
                return Acted::says(failed_pay(&name, &said));
            }
        };
        let picked = endings::picked(order.auth_code.reveal(), order.sale.amount.fen());
        let number = self.book.number(&order.sale.out_trade_no, now);
        number.pays += 1;
        let first = number.pays == 1;
        if first {
            number.ending = picked.map(|ending| ending.number);
        }
        let script = number.script();
        let mut pay = script.map_or(Pay::Charge, |ending| ending.pay);
        if first && pay == Pay::Elsewhere {
            number.trade = Some(trade_elsewhere(&order, now));
        }
        if !first && matches!(pay, Pay::Nothing | Pay::LateAfterReceipt | Pay::LateAfterCancel) {
            // These go wrong once; whoever tries again gets through.
            pay = Pay::Charge;
        }
        let voice = script.filter(|_| first).map_or(Voice::True, |ending| ending.voice.clone());
        // Asked before anything is changed: the success of which a voice lies.
        let forged = paid_answer(&order.sale.out_trade_no, &new_trade(&order.sale, now, true));
        let lost = |late| Acted { voice: Voice::Nothing, late, ..Acted::nothing() };
        if pay == Pay::LateAfterReceipt {
            return lost(Some((self.scaled(LATE_MS), Late::Pay(order))));
        }
        if pay == Pay::LateAfterCancel {
            self.held.insert(order.sale.out_trade_no.clone(), order);
            return lost(None);
        }
        let acted = if pay == Pay::Nothing {
            Acted::nothing()
        } else {
            Acted::says(self.pay_now(&order, pay, now))
        };
        Acted { voice, forged: Some(forged), ..acted }
    }

    /// What comes through late: its answer has nobody to go to. Says what it would
    /// have been.
    pub(super) fn execute_late(&mut self, late: &Late, now: i64) -> io::Result<String> {
        let (method, name, content) = match late {
            Late::Pay(order) => {
                let content = self.pay_now(order, Pay::Charge, now);
                ("late alipay.trade.pay", &order.sale.out_trade_no, content)
            }
            Late::Refund(wanted) => {
                let content = self.refund_late(wanted, now);
                ("late alipay.trade.refund", &wanted.name, content)
            }
        };
        let arrived = Arrived {
            seq: 0,
            at_ms: now,
            method: method.to_owned(),
            executed: true,
            answered: false,
            code: content.get("code").to_owned(),
            sub_code: content.get("sub_code").to_owned(),
        };
        self.book.record(name, arrived)?;
        Ok(format!("{} {}", content.get("code"), content.get("sub_code")))
    }

    /// What the ledger makes of a pay.
    fn pay_now(&mut self, order: &Order, pay: Pay, now: i64) -> Content {
        let name = &order.sale.out_trade_no;
        let fence = self.habits.fence;
        let number = self.book.number(name, now);
        if let Some(answer) = in_the_way(number, order, fence) {
            return answer;
        }
        let failed = |said: &Said| failed_pay(name, said);
        if now >= order.sale.expire_ms {
            return failed(&Said::business(
                "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
                "当前时间已超过允许支付的时间",
            ));
        }
        if !self.book.use_code(order.auth_code.reveal()) {
            return failed(&code_invalid());
        }
        let number = self.book.number(name, now);
        match pay {
            Pay::Decline(sub_code, sub_msg) => failed(&Said::business(sub_code, sub_msg)),
            Pay::DeclineOpen(_) => {
                number.trade = Some(new_trade(&order.sale, now, false));
                failed(&Said::business("ACQ.BUYER_BALANCE_NOT_ENOUGH", "买家余额不足"))
            }
            Pay::Wait | Pay::WaitUntilQuery(_) | Pay::GiveUpAtQuery(_) => {
                let trade = number.trade.insert(new_trade(&order.sale, now, false));
                waiting_answer(name, trade)
            }
            Pay::Charge
            | Pay::Nothing
            | Pay::Elsewhere
            | Pay::LateAfterReceipt
            | Pay::LateAfterCancel => {
                let trade = number.trade.insert(new_trade(&order.sale, now, true));
                paid_answer(name, trade)
            }
        }
    }

    // --- query ---------------------------------------------------------------

    fn query(&mut self, biz: &Map<String, Value>, now: i64) -> Result<Acted, Said> {
        let name = self.find(biz)?;
        let echo = self.habits.echo;
        let number = self.book.number(&name, now);
        number.queries = number.queries.saturating_add(1);
        let (asked, script) = (number.queries, number.script());
        let query = script.map_or(Query::Honest, |ending| ending.query);
        let voice = match query {
            Query::Honest | Query::Finished => Voice::True,
            Query::Silent => Voice::Nothing,
            Query::OtherAmount => Voice::OtherAmount,
            Query::LimitedOnce if asked == 1 => {
                Voice::Says(Said::new("40005", "isv.app-call-limited", "应用调用次数超限"))
            }
            Query::LimitedOnce => Voice::True,
        };
        let trade = number.trade.as_mut().ok_or_else(not_exist)?;
        match script.map(|ending| ending.pay) {
            Some(Pay::WaitUntilQuery(n) | Pay::DeclineOpen(Some(n))) if asked >= n => {
                trade.confirm(now);
            }
            Some(Pay::GiveUpAtQuery(n)) if asked >= n => {
                trade.close();
            }
            _ => {}
        }
        if query == Query::Finished && trade.status == Status::TradeSuccess {
            trade.status = Status::TradeFinished;
        }
        let paid = trade.charged_fen > 0;
        let mut content = Content::code("10000");
        let sum = yuan(if paid { trade.total_fen } else { 0 });
        people(&mut content);
        content.text("buyer_pay_amount", sum.as_str());
        content.text("discount_amount", "0.00");
        if paid {
            content.raw("fund_bill_list", funds(&sum));
        }
        content.text("invoice_amount", sum.as_str());
        content.text("mdiscount_amount", "0.00");
        content.text("out_trade_no", name);
        if let Some(passed) = trade.passback_params.as_ref().filter(|_| echo) {
            content.text("passback_params", passed.as_str());
        }
        content.text("point_amount", "0.00");
        content.text("receipt_amount", sum);
        if let Some(at) = trade.paid_ms {
            content.text("send_pay_date", beijing(at));
        }
        for (member, value) in [("store_id", &trade.store_id), ("terminal_id", &trade.terminal_id)]
        {
            if let Some(value) = value {
                content.text(member, value.as_str());
            }
        }
        content.text("subject", trade.subject.as_str());
        content.text("total_amount", yuan(trade.total_fen));
        content.text("trade_no", trade.trade_no.as_str());
        content.text("trade_status", trade.status.name());
        Ok(Acted { voice, ..Acted::says(content) })
    }

    // --- cancel --------------------------------------------------------------

    fn cancel(&mut self, biz: &Map<String, Value>, now: i64) -> Result<Acted, Said> {
        let name = self.find(biz)?;
        let fence = self.habits.fence;
        let poor_ms = i64::try_from(self.scaled(POOR_MS)).unwrap_or(i64::MAX);
        let number = self.book.number(&name, now);
        number.cancels = number.cancels.saturating_add(1);
        let asked = number.cancels;
        let script = number.script().map_or(Cancel::Honest, |ending| ending.cancel);
        let mut voice = Voice::True;
        match script {
            Cancel::Honest => {}
            Cancel::RetryTwice if asked <= 2 => {
                let mut content = cancel_answer(&name, None, now);
                content.text("retry_flag", "Y");
                return Ok(Acted::says(content));
            }
            Cancel::UnknownTwice if asked <= 2 => {
                return Err(Said::new("20000", "isp.unknow-error", "系统繁忙"));
            }
            Cancel::RetryTwice | Cancel::UnknownTwice => {}
            Cancel::BuyerPaysFirst
            | Cancel::RefusedForGood
            | Cancel::PoorTwice
            | Cancel::PoorForAWhile
            | Cancel::BlankTwice => {
                if let Some(trade) = number.trade.as_mut().filter(|_| asked == 1) {
                    trade.confirm(now);
                }
                let filled_at = |trade: &Trade| trade.paid_ms.map(|at| at.saturating_add(poor_ms));
                let is_poor = (script == Cancel::PoorTwice && asked <= 2)
                    || (script == Cancel::PoorForAWhile
                        && number.trade.as_ref().and_then(filled_at).is_some_and(|at| now < at));
                if is_poor {
                    return Err(Said::business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户余额不足"));
                }
                if script == Cancel::BlankTwice && asked <= 2 {
                    return Ok(Acted::says(cancel_answer(&name, None, now)));
                }
            }
            Cancel::LostThenBlank if asked == 1 => voice = Voice::Nothing,
            Cancel::LostThenBlank => return Ok(Acted::says(cancel_answer(&name, None, now))),
        }
        let Some(trade) = &mut number.trade else {
            number.fenced |= fence;
            let held = self.held.remove(&name);
            let late = held.map(|order| (self.scaled(LATE_MS), Late::Pay(order)));
            let content = cancel_answer(&name, None, now);
            return Ok(Acted { late, ..Acted::says(content) });
        };
        if script == Cancel::RefusedForGood || now - trade.created_ms > CANCEL_WINDOW_MS {
            return Err(Said::business(
                "ACQ.TRADE_CANCEL_TIME_OUT",
                "超过撤销时间范围，请使用退款接口退款",
            ));
        }
        let refunded =
            || Said::business("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效，交易已发生退款");
        let action = match (trade.status, trade.cancelled_by.as_deref()) {
            (Status::TradeFinished, _) => {
                return Err(Said::business("ACQ.TRADE_HAS_FINISHED", "交易已完结"));
            }
            (_, Some("refund")) => "refund",
            (_, Some(_)) => "close",
            (Status::TradeSuccess, None) if trade.refunded_fen > 0 => return Err(refunded()),
            (Status::TradeSuccess, None) => {
                trade.give_back(trade.left_fen());
                "refund"
            }
            (Status::TradeClosed, None) if trade.charged_fen > 0 => return Err(refunded()),
            (Status::WaitBuyerPay | Status::TradeClosed, None) => {
                trade.close();
                "close"
            }
        };
        trade.cancelled_by = Some(action.to_owned());
        let content = cancel_answer(&name, Some((action, &trade.trade_no)), now);
        Ok(Acted { voice, ..Acted::says(content) })
    }
}

pub(super) fn not_exist() -> Said {
    Said::business("ACQ.TRADE_NOT_EXIST", "交易不存在")
}

/// What an earlier request with the same number means for a pay.
fn in_the_way(number: &Number, order: &Order, fence: bool) -> Option<Content> {
    let name = &order.sale.out_trade_no;
    let failed = |sub_code, sub_msg| Some(failed_pay(name, &Said::business(sub_code, sub_msg)));
    let Some(trade) = &number.trade else {
        let fenced = fence && number.fenced;
        return fenced.then(|| failed("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")).flatten();
    };
    if trade.total_fen != order.sale.amount.fen() || trade.subject != order.sale.subject {
        return failed("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改");
    }
    match trade.status {
        Status::WaitBuyerPay => Some(waiting_answer(name, trade)),
        Status::TradeSuccess | Status::TradeFinished => {
            failed("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
        }
        Status::TradeClosed => failed("ACQ.TRADE_HAS_CLOSE", "交易已经关闭"),
    }
}

/// Alipay's number for a trade that is made now.
pub(super) fn trade_no(out_trade_no: &str, now: i64) -> String {
    let digest = Sha256::digest(format!("{out_trade_no}/{now}").as_bytes());
    let number = digest.iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let date: String = beijing(now).chars().filter(char::is_ascii_digit).take(8).collect();
    format!("{date}22001{:015}", number % 1_000_000_000_000_000)
}

/// What another till has made of the same number and the same amount.
fn trade_elsewhere(order: &Order, now: i64) -> Trade {
    Trade {
        passback_params: Some("ANOTHER_TILL".to_owned()),
        terminal_id: Some("ANOTHER_TILL".to_owned()),
        ..new_trade(&order.sale, now.saturating_sub(ELSEWHERE_MS), true)
    }
}

pub(super) fn new_trade(sale: &Sale, now: i64, paid: bool) -> Trade {
    let mut trade = Trade {
        trade_no: trade_no(&sale.out_trade_no, now),
        status: Status::WaitBuyerPay,
        total_fen: sale.amount.fen(),
        charged_fen: 0,
        refunded_fen: 0,
        subject: sale.subject.clone(),
        passback_params: sale.passback_params.clone(),
        store_id: sale.store_id.clone(),
        terminal_id: sale.terminal_id.clone(),
        created_ms: now,
        expire_ms: sale.expire_ms,
        paid_ms: None,
        cancelled_by: None,
        refunds: Vec::new(),
    };
    if paid {
        trade.confirm(now);
    }
    trade
}
