//! What a pay or a precreate asks for, checked as strictly as Alipay checks it.

use serde_json::{Map, Value};

use super::answer::Said;
use super::clock::{beijing, read_beijing};
use crate::payment::{Amount, AuthCode, SecretText};

/// A pay whose fields are all right by themselves.
pub(super) struct Order {
    pub(super) sale: Sale,
    pub(super) auth_code: AuthCode,
}

/// What is sold, however it is paid.
pub(super) struct Sale {
    pub(super) out_trade_no: String,
    pub(super) amount: Amount,
    pub(super) subject: String,
    pub(super) passback_params: Option<String>,
    pub(super) store_id: Option<String>,
    pub(super) terminal_id: Option<String>,
    /// When an unpaid trade closes; a pay that arrives later is refused.
    pub(super) expire_ms: i64,
}

/// Face to face trades live 3 hours if the merchant does not say otherwise.
const DEFAULT_LIFE_MIN: i64 = 3 * 60;

impl Order {
    /// Reads the `biz_content` of a pay.
    pub(super) fn read(biz: &Map<String, Value>, now: i64) -> Result<Self, Said> {
        merchant_number(biz)?;
        let scene = text(biz, "scene", 32)?.ok_or_else(|| missing("scene"))?;
        let product = text(biz, "product_code", 64)?;
        let played =
            matches!(product.as_deref(), None | Some("FACE_TO_FACE_PAYMENT" | "OFFLINE_PAYMENT"));
        if scene != "bar_code" || !played {
            return Err(Said::business("ACQ.UN_SUPPORT_TRADE_SCENE", "不支持的业务场景"));
        }
        let auth_code = text(biz, "auth_code", 64)?
            .ok_or(Said::business("ACQ.AUTH_TOKEN_IS_NOT_EXIST", "支付授权码为空"))?;
        // The gateway takes digits and nothing else.
        let is_bare = auth_code.bytes().all(|b| b.is_ascii_digit());
        let auth_code = AuthCode::read(&SecretText::new(auth_code)).ok().filter(|_| is_bare);
        let auth_code = auth_code.ok_or_else(code_invalid)?;
        Ok(Self { sale: Sale::read(biz, now)?, auth_code })
    }
}

impl Sale {
    /// Reads what a pay and a precreate have in common.
    pub(super) fn read(biz: &Map<String, Value>, now: i64) -> Result<Self, Said> {
        let out_trade_no = merchant_number(biz)?;
        let amount = amount(biz, "total_amount", 11)?.ok_or_else(|| missing("total_amount"))?;
        let subject = text(biz, "subject", 256)?.ok_or_else(|| missing("subject"))?;
        if subject.chars().any(|c| matches!(c, '/' | '=' | '&') || c.is_control()) {
            return Err(invalid("subject 不能包含 / = & 和控制字符"));
        }
        text(biz, "body", 128)?;
        text(biz, "seller_id", 28)?;
        extras(biz, amount)?;
        text(biz, "operator_id", 28)?;
        let store_id = text(biz, "store_id", 32)?;
        if store_id.as_deref().is_some_and(|id| !id.is_ascii()) {
            return Err(Said::business("ACQ.INVALID_STORE_ID", "商户门店编号无效"));
        }
        goods(biz)?;
        Ok(Self {
            out_trade_no,
            amount,
            subject,
            passback_params: text(biz, "passback_params", 512)?,
            store_id,
            terminal_id: text(biz, "terminal_id", 32)?,
            expire_ms: expiry(biz, now)?,
        })
    }
}

/// What else Alipay checks: the parts of the amount, and the types.
fn extras(biz: &Map<String, Value>, total: Amount) -> Result<(), Said> {
    let part = |name| amount(biz, name, 11).map(|part| part.map(Amount::fen));
    let (one, other) = (part("discountable_amount")?, part("undiscountable_amount")?);
    let sum = one.unwrap_or(0).saturating_add(other.unwrap_or(0));
    let both = one.is_some() && other.is_some();
    if sum > total.fen() || (both && sum != total.fen()) {
        return Err(invalid(
            "total_amount 应等于 discountable_amount 与 undiscountable_amount 之和",
        ));
    }
    if biz.get("extend_params").is_some_and(|params| !params.is_object()) {
        return Err(invalid("extend_params 类型错误"));
    }
    if biz.get("query_options").is_some_and(|options| !options.is_array()) {
        return Err(invalid("query_options 类型错误"));
    }
    Ok(())
}

fn merchant_number(biz: &Map<String, Value>) -> Result<String, Said> {
    let number = text(biz, "out_trade_no", 64)?.ok_or_else(|| missing("out_trade_no"))?;
    if is_number(&number) {
        Ok(number)
    } else {
        Err(invalid("out_trade_no 只能包含字母、数字、下划线"))
    }
}

/// What Alipay answers to a code that is unknown, expired or used.
pub(super) fn code_invalid() -> Said {
    Said::business(
        "ACQ.PAYMENT_AUTH_CODE_INVALID",
        "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款，如再次收款失败，请联系管理员处理。[SOUNDWAVE_PARSER_FAIL]",
    )
}

/// A merchant's number: letters, digits, underscore; a dash works in practice.
pub(super) fn is_number(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// A text field, or a number in its place; nothing if absent or empty.
pub(super) fn text(
    biz: &Map<String, Value>,
    name: &str,
    room: usize,
) -> Result<Option<String>, Said> {
    let value = match biz.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(invalid(&format!("{name} 类型错误")));
        }
    };
    if value.chars().count() > room {
        return Err(invalid(&format!("{name} 超过 {room} 个字符")));
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

/// A sum in yuan.
pub(super) fn amount(
    biz: &Map<String, Value>,
    name: &str,
    room: usize,
) -> Result<Option<Amount>, Said> {
    let Some(yuan) = text(biz, name, room)? else { return Ok(None) };
    match yuan.parse() {
        Ok(amount) => Ok(Some(amount)),
        Err(_) => Err(invalid(&format!("{name} 金额格式错误，取值范围 [0.01,100000000]"))),
    }
}

pub(super) fn missing(name: &str) -> Said {
    invalid(&format!("缺少参数 {name}"))
}

pub(super) fn invalid(sub_msg: &str) -> Said {
    let mut said = Said::business("ACQ.INVALID_PARAMETER", "");
    said.sub_msg = format!("参数无效：{sub_msg}").into();
    said
}

fn expiry(biz: &Map<String, Value>, now: i64) -> Result<i64, Said> {
    if let Some(date) = text(biz, "time_expire", 32)? {
        return read_beijing(&date, true)
            .or_else(|| read_beijing(&date, false))
            .ok_or_else(|| invalid("time_expire 格式错误，应为 yyyy-MM-dd HH:mm:ss"));
    }
    let minutes = match text(biz, "timeout_express", 6)? {
        None => DEFAULT_LIFE_MIN,
        Some(length) if length == "1c" => {
            let today = beijing(now);
            let end = format!("{} 23:59:59", today.get(..10).unwrap_or_default());
            return Ok(read_beijing(&end, true).unwrap_or(now));
        }
        Some(length) => express(&length)
            .ok_or_else(|| invalid("timeout_express 取值范围 1m～15d，单位 m、h、d、1c"))?,
    };
    Ok(now.saturating_add(minutes * 60_000))
}

/// `90m`, `3h`, `15d` in minutes.
pub(super) fn express(length: &str) -> Option<i64> {
    let (digits, unit) = length.split_at_checked(length.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    let number: i64 = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some(number * unit).filter(|minutes| (1..=15 * 24 * 60).contains(minutes))
}

fn goods(biz: &Map<String, Value>) -> Result<(), Said> {
    let Some(goods) = biz.get("goods_detail") else { return Ok(()) };
    let Value::Array(goods) = goods else { return Err(invalid("goods_detail 类型错误")) };
    if goods.len() > 150 {
        return Err(Said::business("ACQ.SUB_GOODS_SIZE_MAX_COUNT", "子商品明细超长"));
    }
    for item in goods {
        let Value::Object(item) = item else { return Err(invalid("goods_detail 类型错误")) };
        for (name, room) in [("goods_id", 64), ("goods_name", 256), ("quantity", 10), ("price", 9)]
        {
            text(item, name, room)?.ok_or_else(|| missing(&format!("goods_detail.{name}")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time() {
        for (text, minutes) in
            [("1m", Some(1)), ("90m", Some(90)), ("3h", Some(180)), ("15d", Some(21_600))]
        {
            assert_eq!(express(text), minutes);
        }
        for bad in ["", "m", "0m", "16d", "1.5h", "+1m", "1c1", "5", "5分"] {
            assert_eq!(express(bad), None, "{bad}");
        }
    }
}
