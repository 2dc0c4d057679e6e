//! What the cashier is told of a refund.

use super::{Refund, RefundAttention, RefundCause, RefundState, Refunded};
use crate::payment::{Fen, Money, Payment, Sentence};

impl Refund {
    /// The truth about this refund's money, in one sentence for the cashier.
    #[must_use]
    pub fn cashier(&self) -> Sentence {
        let amount = self.asked.amount;
        match (self.public(), self.asked.cause) {
            (RefundState::Refunded, RefundCause::Late | RefundCause::Bill) => Sentence::new(
                format!("这笔收款已告知没有扣款，后来才到的 {amount} 元已退还给顾客"),
                format!(
                    "Money came after this payment was told as not charged; {amount} yuan went back to the customer"
                ),
            ),
            (RefundState::Refunded, RefundCause::Register | RefundCause::Undo) => Sentence::new(
                format!("已退款 {amount} 元，钱已退还给顾客"),
                format!("Refunded: {amount} yuan went back to the customer"),
            ),
            (RefundState::Refused, RefundCause::Register) => {
                let why = self.why();
                Sentence::new(
                    format!("退款 {amount} 元被支付宝拒绝：{why}。钱没有退，请用其他方式退给顾客"),
                    format!(
                        "Alipay refused to refund {amount} yuan: {why}. Nothing went back; pay the customer back another way"
                    ),
                )
            }
            (RefundState::Refused, RefundCause::Undo | RefundCause::Late | RefundCause::Bill) => {
                let why = self.why();
                Sentence::new(
                    format!(
                        "{amount} 元应退还给顾客，但支付宝拒绝退款：{why}。钱没有退，请店长处理"
                    ),
                    format!(
                        "{amount} yuan ought to go back, but Alipay refused: {why}. Nothing went back; the manager has to see to it"
                    ),
                )
            }
            (RefundState::Processing, _) => Sentence::new(
                format!("正在退款 {amount} 元，结果未定。请勿另外退现金，也不要换单号再退"),
                format!(
                    "Refunding {amount} yuan, not settled yet. Do not pay it back in cash, and do not refund it again under another number"
                ),
            ),
        }
    }

    fn why(&self) -> &str {
        self.heard.refusal.as_ref().map_or("?", |reason| reason.message.as_str())
    }
}

impl Payment {
    /// Where the money is, after refunds.
    #[must_use]
    pub fn money_after(&self, refunded: Refunded) -> Money {
        let all = self.money() == Money::Taken && refunded.is_all_of(self.order().amount);
        if all { Money::Returned } else { self.money() }
    }

    /// The truth about its money after refunds, in one sentence for the cashier.
    #[must_use]
    pub fn cashier_after(&self, refunded: Refunded) -> Sentence {
        let (paid, back) = (self.order().amount, refunded.amount);
        match (self.money(), refunded.count) {
            (Money::Taken, 1..) if refunded.is_all_of(paid) => Sentence::new(
                format!("收过款 {paid} 元，已全部退还给顾客"),
                format!("{paid} yuan were paid, and all of it went back to the customer"),
            ),
            (Money::Taken, 1..) => Sentence::new(
                format!("已收款 {paid} 元，其中 {back} 元已退还给顾客"),
                format!("Paid {paid} yuan, of which {back} went back to the customer"),
            ),
            _ => self.cashier(),
        }
    }
}

impl RefundAttention {
    /// The sentence for the person who should look.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Unsettled(trouble) => {
                let why = trouble.as_ref().map_or_else(
                    || Sentence::new("没有结果", "no result"),
                    |trouble| trouble.kind.words(),
                );
                Sentence::new(
                    format!("退款迟迟没有结果：{}。终端会继续重试同一笔退款，不会重复退", why.zh),
                    format!(
                        "The refund is not settled for long: {}. The terminal goes on trying the same refund; it is made only once",
                        why.en
                    ),
                )
            }
            Self::SellerBalance => Sentence::new(
                "钱要退给顾客，但商家支付宝账户余额不足。请充值，终端会继续重试",
                "The money has to go back, but the merchant's Alipay account has not enough. Top it up; the terminal goes on trying",
            ),
            Self::DoorClosed => Sentence::new(
                "支付宝拒绝受理本终端的请求（密钥、权限或签约有问题），退款还不能完成。请技术员运行 till doctor",
                "Alipay refuses this terminal's requests (its keys, rights or contract are wrong), so the refund cannot be completed yet. Have the technician run till doctor",
            ),
            Self::Unproven => Sentence::new(
                "这个订单号下的交易不能确认是本笔收款，终端不会退它的钱。请在商家后台核对",
                "The trade under this order number is not proven to be this payment, so the terminal gives nothing of it back. Check the merchant account",
            ),
            Self::Elsewhere(Fen(fen)) => {
                let told = Fen(*fen);
                Sentence::new(
                    format!(
                        "支付宝说这笔交易总共已退 {told} 元，比本终端退的多：有人在商家后台或别处也退了款。请核对"
                    ),
                    format!(
                        "Alipay says that {told} yuan of this trade went back in all, more than this terminal gave back: somebody refunds in the merchant account or elsewhere too. Check it"
                    ),
                )
            }
        }
    }
}
