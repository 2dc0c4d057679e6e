//! Codes that buyers scan: made by the gateway, scanned at once, in the last second,
//! too late, or never.

use super::Random;
use super::bugs::reason;
use super::gateway::{Gateway, Later, Paying, Status, unsettled};
use crate::payment::{PrecreateAnswer, Timestamp, TroubleKind};

/// What the gateway says, and when somebody scans what it has made, if anybody does.
pub(super) type Made = (PrecreateAnswer, Option<(u64, Later)>);

impl Gateway {
    pub(super) fn precreate(
        &mut self,
        number: &str,
        paying: &Paying,
        now: Timestamp,
        random: &mut Random,
    ) -> Made {
        let repeated = || (PrecreateAnswer::Repeated(unsettled(TroubleKind::Foreign)), None);
        let declined = |why: &str| (PrecreateAnswer::Declined(reason(why)), None);
        if self.trades.contains_key(number) || self.is_shown(number) {
            return repeated(); // APPLY_PC_MERCHANT_CODE_ERROR, TRADE_HAS_SUCCESS
        }
        if self.is_fenced(number) {
            return declined("ACQ.TRADE_HAS_CLOSE");
        }
        if now >= paying.expires {
            return declined("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR");
        }
        match random.below(100) {
            0..6 => return declined("ACQ.TOTAL_FEE_EXCEED"),
            6..9 => return (PrecreateAnswer::Refused(reason("isv.invalid-signature")), None),
            9..13 => return (PrecreateAnswer::Unknown(unsettled(TroubleKind::Busy)), None),
            _ => {}
        }
        self.show(number);
        let lives = (paying.expires.millis() - now.millis()).max(0).unsigned_abs();
        let at = match random.below(100) {
            0..55 => Some(random.below(lives)),
            // In the last second, or just too late.
            55..70 => Some((lives + random.below(2_000)).saturating_sub(1_000)),
            70..80 => Some(lives + random.below(120_000)),
            _ => None,
        };
        let status = if random.chance(60) { Status::Success } else { Status::Wait };
        let what = |paying: &Paying| Later::Scan { paying: paying.clone(), status };
        let qr_code = format!("https://qr.alipay.com/{number}");
        (PrecreateAnswer::Made { qr_code }, at.map(|at| (at, what(paying))))
    }

    /// A buyer scans. True when that charged him.
    pub(super) fn scan(
        &mut self,
        number: &str,
        paying: &Paying,
        status: Status,
        now: Timestamp,
    ) -> bool {
        let can =
            now < paying.expires && !self.trades.contains_key(number) && !self.is_fenced(number);
        if can {
            self.put(number, status, paying, now);
        }
        can && status == Status::Success
    }
}
