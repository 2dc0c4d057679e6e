//! What the cashier is told: one true sentence, in Chinese and English.

use super::{Attention, CancelAction, Hint, OtherCode, Payment, Public, State, TroubleKind};

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
    /// It is shown, and nobody is known to have scanned it.
    fn is_unscanned(&self) -> bool {
        self.offer().is_some_and(|offer| offer.qr_code().is_some() && !offer.heard.known)
    }

    /// The truth about this payment's money, in one sentence for the cashier.
    #[must_use]
    pub fn cashier(&self) -> Sentence {
        let amount = self.order().amount;
        let why = self.reason().map(|r| r.message.as_str()).unwrap_or_default();
        if let Some(hint) = self.hint() {
            let Sentence { zh, en } = hint.sentence();
            return Sentence::new(
                format!("{zh}（收款 {amount} 元）"),
                format!("{en} ({amount} yuan)"),
            );
        }
        match (self.state(), self.public()) {
            (State::Paid, _) if self.attention().is_some() => Sentence::new(
                format!("已收款 {amount} 元。支付宝拒绝撤销和退款，需要退钱时请用其他方式退给顾客"),
                format!(
                    "Paid {amount} yuan. Alipay refused the cancel and the refund; if the money has to go back, pay the customer back another way"
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
            (State::Cancelled(CancelAction::None), _) if self.offer().is_some() => Sentence::new(
                "连不上支付宝，收款没有发出，没有扣款，可以重新收款",
                "No connection to Alipay: nothing was sent, nothing was charged; you may charge again",
            ),
            (State::Cancelled(_), _) => Sentence::new(
                "已撤销，没有扣款，可以重新收款",
                "Cancelled; nothing was charged; you may charge again",
            ),
            (State::AwaitingCode { .. }, _) if self.order().scanner.is_none() => Sentence::new(
                format!(
                    "终端没有扫码枪：请用收银机扫顾客的付款码，收款 {amount} 元。改收现金请先取消"
                ),
                format!(
                    "This terminal has no scanner: scan the customer's payment code at the register, for {amount} yuan. Cancel first if you take cash"
                ),
            ),
            (State::AwaitingCode { .. }, _) => Sentence::new(
                format!("请扫顾客的付款码，收款 {amount} 元。改收现金请先取消"),
                format!(
                    "Scan the customer's payment code for {amount} yuan. Cancel first if you take cash"
                ),
            ),
            (State::Unsent { .. }, _) => Sentence::new(
                "连不上支付宝，收款还没有发出，没有扣款，正在重试。改收现金请先取消",
                "No connection to Alipay: nothing has been sent or charged; trying again. Cancel first if you take cash",
            ),
            _ if self.attention().is_some_and(Attention::is_about_another_sale) => Sentence::new(
                "这个订单号在支付宝有一笔交易，不能确认是这笔收款。请勿重复收款，请店长核对商家后台",
                "Alipay has a trade under this order number that is not proven to be this sale. Do not charge again; have the merchant account checked",
            ),
            (_, Public::AwaitingBuyer) if self.is_unscanned() => Sentence::new(
                format!("请顾客用支付宝扫二维码，付款 {amount} 元。结果未定，请勿重复收款"),
                format!(
                    "The customer must scan the QR code with Alipay, for {amount} yuan. Not settled yet: do not charge again for this sale"
                ),
            ),
            (_, Public::AwaitingBuyer) => Sentence::new(
                "请顾客在手机上确认付款。结果未定，请勿重复收款",
                "The customer must confirm on the phone. Not settled yet: do not charge again for this sale",
            ),
            (_, Public::Cancelling) if self.attention().is_some() => Sentence::new(
                "正在撤销，需要较长时间。请勿为这笔交易再次扫码收款；结果会自动确认",
                "Cancelling, and it takes long. Do not charge again for this sale; it will be settled by itself",
            ),
            (_, Public::Cancelling) if self.reason().is_some() => Sentence::new(
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

impl Hint {
    /// What was wrong, where the money is, and what to do.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Shown(code) => code.sentence(),
            Self::TooEarly => Sentence::new(
                "付款码在这笔收款开始之前就扫了，没有扣款。请再扫一次",
                "The code was scanned before this payment began; nothing was charged. Scan it again",
            ),
            Self::ScanLost => Sentence::new(
                "这次没有扫完整，没有扣款。请再扫一次",
                "The scan was not read in full; nothing was charged. Scan again",
            ),
            Self::ScannerGone => Sentence::new(
                "扫码枪没有连接或读不了，没有扣款。请重新插好扫码枪再扫，也可以在收银机的付款窗口里扫码或手工输入",
                "The scanner is unplugged or cannot be read; nothing was charged. Plug it in again and scan, or scan the code into the register's payment window or type it in there",
            ),
            Self::CodeUsed { number, amount, state } => {
                let Sentence { zh, en } = state.words();
                Sentence::new(
                    format!(
                        "这个付款码已用于收款 {number}（{amount} 元，{zh}），这次没有扣款。请顾客刷新付款码再扫"
                    ),
                    format!(
                        "This code was used for payment {number} ({amount} yuan, {en}); nothing was charged this time. Ask the customer to refresh the code, and scan again"
                    ),
                )
            }
        }
    }
}

impl OtherCode {
    /// What the cashier does about it.
    #[must_use]
    pub fn sentence(self) -> Sentence {
        match self {
            Self::WeChat => Sentence::new(
                "这是微信付款码，没有扣款。请顾客打开支付宝付款码再扫",
                "This is a WeChat code; nothing was charged. Ask the customer to open the Alipay payment code",
            ),
            Self::UnionPay => Sentence::new(
                "这是云闪付付款码，没有扣款。请顾客打开支付宝付款码再扫",
                "This is a UnionPay code; nothing was charged. Ask the customer to open the Alipay payment code",
            ),
            Self::OtherWallet => Sentence::new(
                "这是其他钱包的付款码（不是支付宝），没有扣款。请顾客打开支付宝付款码再扫",
                "This is another wallet's code, not Alipay's; nothing was charged. Ask the customer to open the Alipay payment code",
            ),
            Self::CollectCode => Sentence::new(
                "这是收款码，不是付款码，没有扣款。请顾客打开支付宝的“付款”再扫",
                "This code collects money and cannot pay; nothing was charged. Ask the customer to open \"Pay\" in Alipay",
            ),
            Self::ScaleLabel => Sentence::new(
                "这可能是电子秤标签，不能确定是付款码，没有扣款。请扫顾客手机上付款码的二维码，不要扫条形码；手工输入时请顾客刷新付款码",
                "This may be a label of the scales, so nothing was charged. Scan the QR code on the customer's phone instead of the barcode; if you typed it, ask the customer to refresh the code",
            ),
            Self::Torn => Sentence::new(
                "付款码没有扫完整，没有扣款。请再扫一次",
                "The payment code was not read in full; nothing was charged. Scan again",
            ),
            Self::ExtraCharacters => Sentence::new(
                "扫码枪在付款码前后多加了字符，没有扣款。请用收银机扫顾客的付款码，或从顾客手机上输入数字；请技术员关掉扫码枪的前缀、后缀和码制标识（Code ID）",
                "The scanner adds characters to the payment code; nothing was charged. Scan the code at the register, or type the digits from the customer's phone; ask a technician to switch off the scanner's prefix, suffix and code ID",
            ),
            Self::Goods => Sentence::new(
                "这不是付款码，没有扣款。请扫顾客手机上的支付宝付款码",
                "This is no payment code; nothing was charged. Scan the Alipay payment code on the customer's phone",
            ),
            Self::Unreadable => Sentence::new(
                "付款码没有读出来，没有扣款。请再扫一次",
                "The code could not be read; nothing was charged. Scan again",
            ),
        }
    }
}

impl Public {
    /// The state in a word or two, for a sentence.
    #[must_use]
    pub fn words(self) -> Sentence {
        match self {
            Self::AwaitingCode => Sentence::new("等待扫码", "waiting for a code"),
            Self::Processing => Sentence::new("结果未定", "not settled"),
            Self::AwaitingBuyer => Sentence::new("等待顾客确认", "the customer must confirm"),
            Self::Cancelling => Sentence::new("正在撤销", "being cancelled"),
            Self::Paid => Sentence::new("已收款", "paid"),
            Self::Declined => Sentence::new("未收款", "not paid"),
            Self::Cancelled => Sentence::new("已撤销", "cancelled"),
        }
    }
}

impl Attention {
    /// There is a trade under the number that is not this payment's, or may not
    /// be.
    #[must_use]
    pub fn is_about_another_sale(&self) -> bool {
        match self {
            Self::Foreign(_) | Self::Unproven(_) => true,
            Self::Unsettled(_)
            | Self::DoorClosed(_)
            | Self::SellerBalance
            | Self::CancelRefused(_)
            | Self::Owing(_) => false,
        }
    }

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
                    format!("迟迟没有结果：{}。终端会继续查询，请勿重复收款", why.zh),
                    format!(
                        "Not settled for long: {}. The terminal goes on asking; do not charge again",
                        why.en
                    ),
                )
            }
            Self::Foreign(_) => Sentence::new(
                "这个订单号在支付宝属于另一笔交易。终端不会把它当作本笔收款，也不会撤销它；请在商家后台核对",
                "At Alipay this order number belongs to another sale. The terminal will neither take it for this one nor cancel it; check the merchant account",
            ),
            Self::Unproven(trade_no) => {
                let number = trade_no.as_deref().unwrap_or("?");
                Sentence::new(
                    format!(
                        "这个订单号有一笔已付款的交易（支付宝交易号 {number}），不能确认是本笔收款。终端不会动它；请在商家后台核对，需要退钱时在那里退款"
                    ),
                    format!(
                        "There is a paid trade under this order number (Alipay's number {number}) that is not proven to be this payment. The terminal will not touch it; check the merchant account, and refund it there if the money has to go back"
                    ),
                )
            }
            Self::DoorClosed(_) => Sentence::new(
                "支付宝拒绝受理本终端的请求（密钥、权限或签约有问题），无法查询结果。请勿重复收款，请技术员运行 till doctor",
                "Alipay refuses this terminal's requests (its keys, rights or contract are wrong), so the result cannot be asked for. Do not charge again; have the technician run till doctor",
            ),
            Self::SellerBalance => Sentence::new(
                "钱要退给顾客，但商家支付宝账户余额不足。请充值，终端会继续重试",
                "The money has to go back, but the merchant's Alipay account has not enough. Top it up; the terminal goes on trying",
            ),
            Self::CancelRefused(reason) => Sentence::new(
                format!(
                    "顾客已付款，支付宝既不撤销也不退款（{}）。需要退钱时请用其他方式退给顾客",
                    reason.message
                ),
                format!(
                    "Paid; Alipay refused both the cancel and the refund ({}). If the money has to go back, pay the customer back another way",
                    reason.message
                ),
            ),
            Self::Owing(reason) => Sentence::new(
                format!("支付宝不能撤销（{}），终端正在用退款把钱退给顾客", reason.message),
                format!(
                    "Alipay cannot cancel it ({}); the terminal is giving the money back by a refund",
                    reason.message
                ),
            ),
        }
    }
}

impl TroubleKind {
    /// What kept the result away, for a sentence.
    #[must_use]
    pub fn words(self) -> Sentence {
        match self {
            Self::Unreachable => Sentence::new("连不上支付宝", "no connection to Alipay"),
            Self::NoAnswer => Sentence::new("支付宝没有回应", "Alipay does not answer"),
            Self::Unverified => Sentence::new(
                "收到的回应不能确认来自支付宝",
                "what came back is not proven to be Alipay's",
            ),
            Self::Busy => Sentence::new("支付宝系统繁忙", "Alipay is busy"),
            Self::Refused => Sentence::new("支付宝拒绝受理请求", "Alipay refuses the request"),
            Self::Unsettled => {
                Sentence::new("支付宝还不能确定结果", "Alipay cannot tell the result yet")
            }
            Self::Foreign => Sentence::new(
                "支付宝的回应不是这笔交易的",
                "Alipay's answer is about something else",
            ),
            Self::Restart => Sentence::new("终端刚重新启动", "the terminal was restarted"),
            Self::SellerBalance => {
                Sentence::new("商家账户余额不足", "the merchant's account has not enough")
            }
        }
    }
}
