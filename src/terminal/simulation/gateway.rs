//! A model of Alipay's gateway: its ledger, and what it may do to anybody.

use std::collections::{BTreeMap, BTreeSet};

use super::Random;
use super::bugs::reason;
use crate::payment::{
    Amount, CancelAnswer, PayAnswer, QueryAnswer, Timestamp, Trade, Trouble, TroubleKind,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Wait,
    Success,
    Closed,
    Refunded,
}

#[derive(Clone, Debug)]
pub(super) struct ModelTrade {
    pub(super) status: Status,
    pub(super) amount: Amount,
    /// Another sale's, under the same number.
    pub(super) foreign: bool,
    /// Cancels are refused for good.
    pub(super) finished: bool,
    /// What came along with the pay (`passback_params`).
    pub(super) tag: Option<String>,
    pub(super) made_at: Timestamp,
    pub(super) paid_at: Option<Timestamp>,
    /// It was made unpaid.
    pub(super) was_waiting: bool,
    /// Refunds are refused for good as well.
    pub(super) locked: bool,
    /// What went back, by the request's number, in fen.
    pub(super) refunds: BTreeMap<String, u64>,
    pub(super) refunded_at: BTreeMap<String, Timestamp>,
    expires: Timestamp,
    changed: Timestamp,
    before: Option<Status>,
}

/// Where the documents are silent, a world is of one kind or of the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// A cancel of a number never seen blocks it for ever.
    pub(super) fences: bool,
    /// Queries may be served by a copy that lags.
    pub(super) stale_queries: bool,
    /// A cancel of a trade that is closed already says nothing.
    pub(super) forgets_action: bool,
    /// Queries show what came along with the pay.
    pub(super) echoes: bool,
    /// Cancels now and then do nothing, and say nothing.
    pub(super) vain_cancels: bool,
    /// No answer has a `Date`.
    pub(super) dateless: bool,
    /// By how much each `Date` is off.
    pub(super) date_lies_by: i64,
    /// Until then the merchant's account has nothing to give back.
    pub(super) poor_until: i64,
}

#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) nature: Nature,
    pub(super) trades: BTreeMap<String, ModelTrade>,
    fenced: BTreeSet<String>,
    /// Numbers that a code was made for.
    shown: BTreeSet<String>,
}

/// One pay, as it arrives.
#[derive(Clone, Debug)]
pub(super) struct Paying {
    pub(super) amount: Amount,
    pub(super) expires: Timestamp,
    pub(super) tag: Option<String>,
}

/// What the model decides to do later of itself.
#[derive(Clone, Debug)]
pub(super) enum Later {
    /// The buyer confirms.
    Confirm,
    /// A pay that was answered 20000 is executed.
    Execute(Paying),
    /// Another till of the merchant uses our number.
    Theirs { paying: Paying, status: Status },
    /// Money goes back: a refund that was answered 20000 is executed, or somebody
    /// refunds in the merchant's account.
    GiveBack { request: String, fen: u64 },
    /// A buyer scans what was made for our number.
    Scan { paying: Paying, status: Status },
}

pub(super) fn unsettled(kind: TroubleKind) -> Trouble {
    Trouble { kind, text: "simulated".to_owned() }
}

impl Gateway {
    pub(super) fn new(nature: Nature) -> Self {
        Self { nature, trades: BTreeMap::new(), fenced: BTreeSet::new(), shown: BTreeSet::new() }
    }

    /// Somebody else's trade under a number that we use as well.
    fn theirs(&mut self, number: &str, paying: &Paying, status: Status, now: Timestamp) {
        self.put(number, status, paying, now);
        if let Some(trade) = self.trades.get_mut(number) {
            trade.foreign = true;
            // So that every copy of the ledger has it.
            trade.changed = Timestamp(0);
        }
    }

    pub(super) fn is_fenced(&self, number: &str) -> bool {
        self.fenced.contains(number)
    }

    pub(super) fn is_shown(&self, number: &str) -> bool {
        self.shown.contains(number)
    }

    pub(super) fn show(&mut self, number: &str) {
        self.shown.insert(number.to_owned());
    }

    pub(super) fn put(&mut self, number: &str, status: Status, paying: &Paying, now: Timestamp) {
        let trade = ModelTrade {
            status,
            amount: paying.amount,
            foreign: false,
            finished: false,
            tag: paying.tag.clone(),
            made_at: now,
            was_waiting: status == Status::Wait,
            locked: false,
            refunds: BTreeMap::new(),
            refunded_at: BTreeMap::new(),
            paid_at: (status == Status::Success).then_some(now),
            expires: paying.expires,
            changed: now,
            before: None,
        };
        self.trades.insert(number.to_owned(), trade);
    }

    pub(super) fn set(&mut self, number: &str, status: Status, now: Timestamp) {
        if let Some(trade) = self.trades.get_mut(number) {
            trade.before = Some(trade.status);
            trade.status = status;
            trade.changed = now;
            if status == Status::Success {
                trade.paid_at = Some(now);
            }
        }
    }

    /// Unpaid trades close by themselves when their time is over.
    fn expire(&mut self, number: &str, now: Timestamp) {
        if self.trades.get(number).is_some_and(|t| t.status == Status::Wait && now >= t.expires) {
            self.set(number, Status::Closed, now);
        }
    }

    /// The trade as an answer tells of it.
    fn tell(&self, number: &str, is_query: bool) -> Trade {
        let Some(trade) = self.trades.get(number) else { return Trade::default() };
        Trade {
            paid_at: trade.paid_at,
            tag: trade.tag.clone().filter(|_| is_query && self.nature.echoes),
            ..Trade::default()
        }
    }

    pub(super) fn pay(
        &mut self,
        number: &str,
        paying: &Paying,
        now: Timestamp,
        random: &mut Random,
    ) -> (PayAnswer, Option<(u64, Later)>) {
        self.expire(number, now);
        let declined = |why: &str| (PayAnswer::Declined(reason(why)), None);
        let unknown = || (PayAnswer::Unknown(unsettled(TroubleKind::Busy)), None);
        let repeated = || (PayAnswer::Repeated(unsettled(TroubleKind::Foreign)), None);
        if let Some(trade) = self.trades.get(number) {
            return match trade.status {
                // The code is looked at before the number.
                _ if trade.foreign && random.chance(40) => {
                    declined("ACQ.PAYMENT_AUTH_CODE_INVALID")
                }
                // CONTEXT_INCONSISTENT
                _ if trade.foreign && trade.amount != paying.amount => repeated(),
                Status::Success => repeated(), // TRADE_HAS_SUCCESS
                Status::Wait if trade.foreign => repeated(),
                Status::Wait => (PayAnswer::Waiting(Trade::default()), None),
                Status::Closed | Status::Refunded => declined("ACQ.TRADE_HAS_CLOSE"),
            };
        }
        if self.fenced.contains(number) {
            return declined("ACQ.TRADE_HAS_CLOSE");
        }
        if now >= paying.expires {
            return declined("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR");
        }
        match random.below(100) {
            0..40 => {
                self.put(number, Status::Success, paying, now);
                (PayAnswer::Paid(self.tell(number, false)), None)
            }
            40..60 => {
                self.put(number, Status::Wait, paying, now);
                let confirm = random.chance(60).then(|| (random.below(150_000), Later::Confirm));
                (PayAnswer::Waiting(Trade::default()), confirm)
            }
            60..70 => declined("ACQ.BUYER_BALANCE_NOT_ENOUGH"),
            // The trade stays on the buyer's phone.
            70..80 => {
                self.put(number, Status::Wait, paying, now);
                let confirm = random.chance(60).then(|| (random.below(30_000), Later::Confirm));
                (PayAnswer::Declined(reason("ACQ.BUYER_BALANCE_NOT_ENOUGH")), confirm)
            }
            80..83 => (PayAnswer::Refused(reason("isv.invalid-signature")), None),
            83..85 => unknown(),
            // 20000: nobody knows; perhaps it is executed a little later.
            _ => {
                let execute = Later::Execute(paying.clone());
                let later = random.chance(60).then(|| (random.below(100_000), execute));
                (PayAnswer::Unknown(unsettled(TroubleKind::Busy)), later)
            }
        }
    }

    /// Something the gateway had put off. True when our buyer was charged.
    pub(super) fn later(&mut self, number: &str, what: &Later, now: Timestamp) -> bool {
        self.expire(number, now);
        let status = self.trades.get(number).map(|t| t.status);
        let is_free = status.is_none() && !self.fenced.contains(number);
        match what {
            Later::Confirm if status == Some(Status::Wait) => {
                self.set(number, Status::Success, now);
                self.trades.get(number).is_some_and(|trade| !trade.foreign)
            }
            Later::Execute(paying) => {
                let executed = is_free && now < paying.expires;
                if executed {
                    self.put(number, Status::Success, paying, now);
                }
                executed
            }
            Later::Theirs { paying, status } => {
                if is_free {
                    let day = std::time::Duration::from_hours(24);
                    let paying = Paying { expires: now + day, ..paying.clone() };
                    self.theirs(number, &paying, *status, now);
                }
                false
            }
            Later::Scan { paying, status } => self.scan(number, paying, *status, now),
            Later::Confirm | Later::GiveBack { .. } => false,
        }
    }

    pub(super) fn query(
        &mut self,
        number: &str,
        amount: Amount,
        now: Timestamp,
        calm: bool,
        random: &mut Random,
    ) -> QueryAnswer {
        self.expire(number, now);
        // What is left over: a number used twice AND a gateway that says "busy"
        // to the last query. The terminal would cancel, so it is not played.
        if !calm && random.chance(3) && !self.trades.get(number).is_some_and(|t| t.foreign) {
            return QueryAnswer::Unknown(unsettled(TroubleKind::Busy));
        }
        let Some(trade) = self.trades.get(number) else { return QueryAnswer::NotExist };
        let lags = self.nature.stale_queries
            && now.millis() - trade.changed.millis() < 5_000
            && random.chance(50);
        let status = if lags { trade.before } else { Some(trade.status) };
        let told = self.tell(number, true);
        let unpaid = Trade { paid_at: None, ..told.clone() };
        match status {
            None => QueryAnswer::NotExist,
            Some(_) if trade.amount != amount => {
                QueryAnswer::Foreign(unsettled(TroubleKind::Foreign))
            }
            Some(Status::Wait) => QueryAnswer::Waiting(unpaid),
            Some(Status::Success) => QueryAnswer::Paid(told),
            Some(Status::Closed) => QueryAnswer::Closed { trade: unpaid, was_paid: false },
            Some(Status::Refunded) => QueryAnswer::Closed { trade: told, was_paid: true },
        }
    }

    /// The answer, and whether the trade that was undone was somebody else's.
    pub(super) fn cancel(
        &mut self,
        number: &str,
        now: Timestamp,
        random: &mut Random,
    ) -> (CancelAnswer, bool) {
        self.expire(number, now);
        let busy = || CancelAnswer::Unknown(unsettled(TroubleKind::Busy));
        if random.chance(10) {
            return (busy(), false); // retry_flag Y, nothing done
        }
        if self.nature.vain_cancels && random.chance(20) {
            return (CancelAnswer::NoAction, false);
        }
        let Some(trade) = self.trades.get(number).cloned() else {
            if self.nature.fences {
                self.fenced.insert(number.to_owned());
            }
            return (CancelAnswer::NoAction, false);
        };
        let answer = match trade.status {
            Status::Success if trade.finished => {
                CancelAnswer::Refused(reason("ACQ.TRADE_HAS_FINISHED"))
            }
            Status::Success if now.millis() < self.nature.poor_until => {
                return (CancelAnswer::Unknown(unsettled(TroubleKind::SellerBalance)), false);
            }
            Status::Success => {
                self.set(number, Status::Refunded, now);
                CancelAnswer::Refunded(Trade::default())
            }
            Status::Wait => {
                self.set(number, Status::Closed, now);
                CancelAnswer::Closed(Trade::default())
            }
            Status::Closed | Status::Refunded if self.nature.forgets_action => {
                CancelAnswer::NoAction
            }
            Status::Closed => CancelAnswer::Closed(Trade::default()),
            Status::Refunded => CancelAnswer::Refunded(Trade::default()),
        };
        let undone = matches!(trade.status, Status::Success | Status::Wait) && !trade.finished;
        (answer, trade.foreign && undone)
    }
}
