//! What the cashier is told: one true sentence, in Chinese and English.

use super::{Attention, CancelAction, Payment, Public, State};

/// A sentence to read aloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl Sentence {
    /// A sentence in both languages.
    #[must_use]
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

impl Payment {
    /// The truth about this payment's money, in one sentence for the cashier.
    #[must_use]
    pub fn cashier(&self) -> Sentence {
        let amount = self.order.amount;
        let why = self.reason.as_ref().map(|r| r.message.as_str()).unwrap_or_default();
        match (&self.state, self.public()) {
            (State::Paid, _) if self.attention.is_some() => Sentence::new(
                format!("已收款 {amount} 元。撤销被支付宝拒绝，如需退钱请做退款"),
                format!(
                    "Paid {amount} yuan. Alipay refused the cancel; refund it if the money has to go back"
                ),
            ),
            (State::Paid, _) => {
                Sentence::new(format!("已收款 {amount} 元"), format!("Paid {amount} yuan"))
            }
            (State::Declined, _) => Sentence::new(
                format!("未收款：{why}。没有扣款，可以重新收款"),
                format!("Not paid: {why}. Nothing was charged; you may charge again"),
            ),
            (State::Cancelled(CancelAction::Refund), _) => Sentence::new(
                format!("已撤销，{amount} 元已退还给顾客"),
                format!("Cancelled; {amount} yuan went back to the customer"),
            ),
            (State::Cancelled(_), _) => Sentence::new(
                "已撤销，没有扣款，可以重新收款",
                "Cancelled; nothing was charged; you may charge again",
            ),
            (_, Public::AwaitingCode) => Sentence::new(
                format!("请扫顾客的付款码，收款 {amount} 元"),
                format!("Scan the customer's payment code for {amount} yuan"),
            ),
            (_, Public::AwaitingBuyer) => Sentence::new(
                "请顾客在手机上确认付款。结果未定，请勿重复收款",
                "The customer must confirm on the phone. Not settled yet: do not charge again for this sale",
            ),
            (_, Public::Cancelling) if self.attention.is_some() => Sentence::new(
                "正在撤销，需要较长时间。请勿为这笔交易再次扫码收款；结果会自动确认",
                "Cancelling, and it takes long. Do not charge again for this sale; it will be settled by itself",
            ),
            (_, Public::Cancelling) if self.reason.is_some() => Sentence::new(
                format!("支付宝拒绝：{why}。正在关闭交易，请稍候，请勿重复收款"),
                format!(
                    "Declined by Alipay: {why}. Closing the trade; wait, do not charge again yet"
                ),
            ),
            (_, Public::Cancelling) => Sentence::new(
                "正在撤销，钱不会被收取。请勿为这笔交易再次扫码收款",
                "Cancelling; the money will not be kept. Do not charge again for this sale yet",
            ),
            _ => Sentence::new(
                "正在确认收款结果。结果未定，请勿重复收款",
                "Finding out whether it was paid. Not settled yet: do not charge again for this sale",
            ),
        }
    }
}

impl Attention {
    /// The sentence for the person who should look.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Unsettled(trouble) => {
                let why = trouble.as_ref().map(|t| t.text.as_str()).unwrap_or_default();
                Sentence::new(
                    format!("迟迟没有结果（{why}）。终端会继续查询，请勿重复收款。"),
                    format!(
                        "Not settled for long ({why}). The terminal goes on asking; do not charge again."
                    ),
                )
            }
            Self::Foreign(trouble) => {
                let why = trouble.as_ref().map(|t| t.text.as_str()).unwrap_or_default();
                Sentence::new(
                    format!(
                        "该商户订单号在支付宝可能属于另一笔交易（{why}）。终端不会撤销它，请在商家后台核对。"
                    ),
                    format!(
                        "At Alipay this order number may belong to another sale ({why}). The terminal will not cancel it; check the merchant account."
                    ),
                )
            }
            Self::CancelRefused(reason) => Sentence::new(
                format!("顾客已付款，支付宝拒绝撤销（{}）。如需退钱请做退款。", reason.message),
                format!(
                    "Paid; Alipay refused the cancel ({}). Refund it if the money has to go back.",
                    reason.message
                ),
            ),
        }
    }
}
