//! Codes that the buyer scans: made by a precreate, and a trade only once somebody
//! has scanned one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::answer::{Content, Said};
use super::ledger::{Number, Status};
use super::order::{Sale, express, invalid, text};
use super::trade::{Acted, World, new_trade};
use crate::payment::Amount;

/// How long a code can be scanned, if the merchant does not say otherwise.
const DEFAULT_LIFE_MIN: i64 = 2 * 60;

/// A code that was made for a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Its text.
    pub qr_code: String,
    /// What it is about, in fen.
    pub total_fen: u64,
    /// What the buyer reads.
    pub subject: String,
    /// What came along (`passback_params`).
    pub passback_params: Option<String>,
    /// The merchant's store, as sent.
    pub store_id: Option<String>,
    /// The merchant's terminal, as sent.
    pub terminal_id: Option<String>,
    /// Until when it can be scanned, in milliseconds.
    pub scan_until_ms: i64,
    /// When the trade closes if unpaid: a date (`time_expire`), in milliseconds.
    pub expire_ms: Option<i64>,
    /// Or so long after the scan (`timeout_express`).
    pub life_ms: i64,
}

/// A buyer who scans.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scan {
    /// The text of the code.
    pub(super) qr_code: String,
    /// The buyer confirms at once.
    #[serde(default)]
    pub(super) confirm: bool,
}

impl World {
    pub(super) fn precreate(&mut self, biz: &Map<String, Value>, now: i64) -> Result<Acted, Said> {
        let product = text(biz, "product_code", 64)?;
        if !matches!(
            product.as_deref(),
            None | Some("FACE_TO_FACE_PAYMENT" | "OFFLINE_PAYMENT" | "QR_CODE_OFFLINE")
        ) {
            return Err(Said::business("ACQ.UN_SUPPORT_TRADE_SCENE", "不支持的业务场景"));
        }
        let sale = Sale::read(biz, now)?;
        let minutes = match text(biz, "qr_code_timeout_express", 6)? {
            None => DEFAULT_LIFE_MIN,
            Some(length) => express(&length)
                .ok_or_else(|| invalid("qr_code_timeout_express 取值范围 1m～15d，单位 m、h、d"))?,
        };
        let is_date = text(biz, "time_expire", 32)?.is_some();
        if is_date && sale.expire_ms <= now {
            return Err(Said::business(
                "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
                "当前时间已超过允许支付的时间",
            ));
        }
        let number = self.book.number(&sale.out_trade_no, now);
        if let Some(said) = in_the_way(number) {
            return Err(said);
        }
        let qr_code = qr_code(&sale.out_trade_no, now);
        number.code = Some(Code {
            qr_code: qr_code.clone(),
            total_fen: sale.amount.fen(),
            subject: sale.subject,
            passback_params: sale.passback_params,
            store_id: sale.store_id,
            terminal_id: sale.terminal_id,
            scan_until_ms: now.saturating_add(minutes * 60_000),
            expire_ms: is_date.then_some(sale.expire_ms),
            life_ms: sale.expire_ms.saturating_sub(now),
        });
        let mut content = Content::code("10000");
        content.text("out_trade_no", sale.out_trade_no);
        content.text("qr_code", qr_code);
        Ok(Acted::says(content))
    }

    /// A buyer scans a code: only now there is a trade. Says under which number.
    pub(super) fn scan(&mut self, scan: &Scan, now: i64) -> Result<String, String> {
        let name = self.book.with_code(&scan.qr_code).ok_or("nobody has made this code")?;
        let number = self.book.number(&name, now);
        let Some(code) = number.code.clone() else { return Err("there is no code".to_owned()) };
        if number.trade.is_some() {
            return Err("it was scanned before".to_owned());
        }
        let expire_ms = code.expire_ms.unwrap_or(now.saturating_add(code.life_ms));
        if now >= code.scan_until_ms || now >= expire_ms {
            return Err("it has run out".to_owned());
        }
        let amount = Amount::from_fen(code.total_fen).map_err(|why| why.to_string())?;
        let sale = Sale {
            out_trade_no: name.clone(),
            amount,
            subject: code.subject,
            passback_params: code.passback_params,
            store_id: code.store_id,
            terminal_id: code.terminal_id,
            expire_ms,
        };
        number.trade = Some(new_trade(&sale, now, scan.confirm));
        self.book.save(&name).map_err(|why| why.to_string())?;
        Ok(name)
    }
}

/// A number is precreated once, and not after anything else was made of it.
fn in_the_way(number: &Number) -> Option<Said> {
    let said = |sub_code, sub_msg| Some(Said::business(sub_code, sub_msg));
    match number.trade.as_ref().map(|trade| trade.status) {
        Some(Status::TradeSuccess | Status::TradeFinished) => {
            said("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
        }
        Some(Status::TradeClosed) => said("ACQ.TRADE_HAS_CLOSE", "交易已经关闭"),
        Some(Status::WaitBuyerPay) if number.code.is_none() => {
            said("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
        }
        Some(Status::WaitBuyerPay) | None => number
            .code
            .is_some()
            .then(|| said("ACQ.APPLY_PC_MERCHANT_CODE_ERROR", "申请二维码失败，订单号已使用"))
            .flatten(),
    }
}

fn qr_code(out_trade_no: &str, now: i64) -> String {
    let digest = Sha256::digest(format!("code/{out_trade_no}/{now}").as_bytes());
    let letters = digest.iter().take(12);
    letters.fold("https://qr.alipay.com/bax".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
