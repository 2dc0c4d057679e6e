//! What refund and refund query do.

use serde_json::{Map, Value};

use super::answer::{Content, Said};
use super::clock::beijing;
use super::ledger::{Refund, Status};
use super::order::{amount, missing, text};
use super::says::{people, yuan};
use super::trade::{Acted, World, not_exist};

impl World {
    pub(super) fn refund(&mut self, biz: &Map<String, Value>, now: i64) -> Result<Acted, Said> {
        let sum = amount(biz, "refund_amount", 16)?.ok_or_else(|| missing("refund_amount"))?;
        let name = self.find(biz)?;
        let request = text(biz, "out_request_no", 64)?;
        let reason = text(biz, "refund_reason", 256)?;
        let trade = self.book.number(&name, now).trade.as_mut().ok_or_else(not_exist)?;
        if request.is_none() && sum.fen() != trade.total_fen {
            return Err(missing("out_request_no，部分退款时必填"));
        }
        let request = request.unwrap_or_else(|| name.clone());
        let known = trade.refunds.iter().find(|refund| refund.out_request_no == request);
        let change = match known {
            Some(refund) if refund.fen == sum.fen() => "N",
            Some(_) => {
                return Err(Said::business("ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求"));
            }
            None => {
                let no = match trade.status {
                    Status::TradeSuccess if sum.fen() > trade.left_fen() => {
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
                trade.give_back(sum.fen());
                trade.refunds.push(Refund {
                    out_request_no: request,
                    fen: sum.fen(),
                    reason,
                    at_ms: now,
                });
                "Y"
            }
        };
        let mut content = Content::code("10000");
        people(&mut content);
        content.text("fund_change", change);
        content.text("gmt_refund_pay", beijing(now));
        content.text("out_trade_no", name);
        // All that was ever given back, not this refund.
        content.text("refund_fee", yuan(trade.refunded_fen));
        content.text("send_back_fee", yuan(if change == "Y" { sum.fen() } else { 0 }));
        content.text("trade_no", trade.trade_no.as_str());
        Ok(Acted::says(content))
    }

    pub(super) fn refund_query(
        &mut self,
        biz: &Map<String, Value>,
        now: i64,
    ) -> Result<Acted, Said> {
        let request = text(biz, "out_request_no", 64)?.ok_or_else(|| missing("out_request_no"))?;
        let name = self.find(biz)?;
        let trade = self.book.number(&name, now).trade.as_ref().ok_or_else(not_exist)?;
        let mut content = Content::code("10000");
        // An unknown number, too, is answered with 10000, but with nothing in it.
        if let Some(refund) = trade.refunds.iter().find(|r| r.out_request_no == request) {
            content.text("gmt_refund_pay", beijing(refund.at_ms));
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
        Ok(Acted::says(content))
    }
}
