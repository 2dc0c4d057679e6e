//! The judge of a precreate.

use super::Case;
use crate::alipay::table::{self, PrecreateVerdict};
use crate::payment::{PrecreateAnswer, Trouble, TroubleKind};

/// The longest text of a code (`alipay.trade.precreate`: answer).
const QR_CODE_MAX: usize = 1024;

impl Case<'_> {
    /// A precreate's answer has no amount to compare; the number must be there.
    pub(super) fn precreate(self) -> PrecreateAnswer {
        use PrecreateVerdict as V;
        if let Some(trouble) = self.other_number() {
            return PrecreateAnswer::Unknown(trouble);
        }
        match table::precreate(self.words()) {
            V::Made => match (self.missing(&["out_trade_no", "qr_code"]), self.text("qr_code")) {
                (Some(trouble), _) => PrecreateAnswer::Unknown(trouble),
                (None, qr_code) if !can_be_shown(qr_code) => PrecreateAnswer::Unknown(Trouble {
                    kind: TroubleKind::Unsettled,
                    text: "the code in the answer cannot be shown".to_owned(),
                }),
                // As it is: it is drawn, and a mask would make another code of it.
                (None, qr_code) => PrecreateAnswer::Made { qr_code: qr_code.to_owned() },
            },
            V::Declined => PrecreateAnswer::Declined(self.reason()),
            V::Refused => PrecreateAnswer::Refused(self.reason()),
            V::Repeated => PrecreateAnswer::Repeated(self.trouble(TroubleKind::Unsettled)),
            V::Busy => PrecreateAnswer::Unknown(self.trouble(TroubleKind::Busy)),
            V::Unsettled => PrecreateAnswer::Unknown(self.trouble(TroubleKind::Unsettled)),
        }
    }
}

fn can_be_shown(qr_code: &str) -> bool {
    qr_code.len() <= QR_CODE_MAX && qr_code.bytes().all(|b| b.is_ascii_graphic())
}
