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
}

#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) nature: Nature,
    pub(super) trades: BTreeMap<String, ModelTrade>,
    fenced: BTreeSet<String>,
}

/// What the model decides to do later of itself.
#[derive(Clone, Debug)]
pub(super) enum Later {
    /// The buyer confirms.
    Confirm,
    /// A pay that was answered 20000 is executed.
    Execute { amount: Amount, expires: Timestamp },
}

pub(super) fn unsettled(kind: TroubleKind) -> Trouble {
    Trouble { kind, text: "simulated".to_owned() }
}

impl Gateway {
    pub(super) fn new(nature: Nature) -> Self {
        Self { nature, trades: BTreeMap::new(), fenced: BTreeSet::new() }
    }

    /// Somebody else's trade under a number that we are about to use.
    pub(super) fn foreign(&mut self, number: &str, amount: Amount, now: Timestamp) {
        self.put(number, Status::Success, amount, now, now);
        if let Some(trade) = self.trades.get_mut(number) {
            trade.foreign = true;
            // Long ago, so that every copy of the ledger has it.
            trade.changed = Timestamp(0);
        }
    }

    fn put(
        &mut self,
        number: &str,
        status: Status,
        amount: Amount,
        expires: Timestamp,
        now: Timestamp,
    ) {
        let trade = ModelTrade {
            status,
            amount,
            foreign: false,
            finished: false,
            expires,
            changed: now,
            before: None,
        };
        self.trades.insert(number.to_owned(), trade);
    }

    fn set(&mut self, number: &str, status: Status, now: Timestamp) {
        if let Some(trade) = self.trades.get_mut(number) {
            trade.before = Some(trade.status);
            trade.status = status;
            trade.changed = now;
        }
    }

    /// Unpaid trades close by themselves when their time is over.
    fn expire(&mut self, number: &str, now: Timestamp) {
        if self.trades.get(number).is_some_and(|t| t.status == Status::Wait && now >= t.expires) {
            self.set(number, Status::Closed, now);
        }
    }

    pub(super) fn pay(
        &mut self,
        number: &str,
        amount: Amount,
        expires: Timestamp,
        now: Timestamp,
        random: &mut Random,
    ) -> (PayAnswer, Option<(u64, Later)>) {
        self.expire(number, now);
        let declined = |why: &str| (PayAnswer::Declined(reason(why)), None);
        let unknown = || (PayAnswer::Unknown(unsettled(TroubleKind::Busy)), None);
        if let Some(trade) = self.trades.get(number) {
            return match trade.status {
                _ if trade.foreign => {
                    if trade.amount == amount || random.chance(50) {
                        declined("ACQ.PAYMENT_AUTH_CODE_INVALID")
                    } else {
                        unknown() // CONTEXT_INCONSISTENT
                    }
                }
                Status::Success => unknown(), // TRADE_HAS_SUCCESS
                Status::Wait => (PayAnswer::Waiting(Trade::default()), None),
                Status::Closed | Status::Refunded => declined("ACQ.TRADE_HAS_CLOSE"),
            };
        }
        if self.fenced.contains(number) {
            return declined("ACQ.TRADE_HAS_CLOSE");
        }
        if now >= expires {
            return declined("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR");
        }
        match random.below(100) {
            0..40 => {
                self.put(number, Status::Success, amount, expires, now);
                (PayAnswer::Paid(Trade::default()), None)
            }
            40..60 => {
                self.put(number, Status::Wait, amount, expires, now);
                let confirm = random.chance(60).then(|| (random.below(150_000), Later::Confirm));
                (PayAnswer::Waiting(Trade::default()), confirm)
            }
            60..70 => declined("ACQ.BUYER_BALANCE_NOT_ENOUGH"),
            // The trade stays on the buyer's phone.
            70..80 => {
                self.put(number, Status::Wait, amount, expires, now);
                let confirm = random.chance(60).then(|| (random.below(30_000), Later::Confirm));
                (PayAnswer::Declined(reason("ACQ.BUYER_BALANCE_NOT_ENOUGH")), confirm)
            }
            80..83 => (PayAnswer::Refused(reason("isv.invalid-signature")), None),
            // 20000: nobody knows; perhaps it is executed a little later.
            _ => {
                let execute = Later::Execute { amount, expires };
                let later = random.chance(60).then(|| (random.below(100_000), execute));
                (PayAnswer::Unknown(unsettled(TroubleKind::Busy)), later)
            }
        }
    }

    /// Something the gateway had put off. True when the buyer was charged.
    pub(super) fn later(&mut self, number: &str, what: &Later, now: Timestamp) -> bool {
        self.expire(number, now);
        let status = self.trades.get(number).map(|t| t.status);
        match what {
            Later::Confirm if status == Some(Status::Wait) => {
                self.set(number, Status::Success, now);
                true
            }
            Later::Execute { amount, expires } => {
                let refused = status.is_some() || self.fenced.contains(number) || now >= *expires;
                if !refused {
                    self.put(number, Status::Success, *amount, *expires, now);
                }
                !refused
            }
            Later::Confirm => false,
        }
    }

    pub(super) fn query(
        &mut self,
        number: &str,
        amount: Amount,
        now: Timestamp,
        random: &mut Random,
    ) -> QueryAnswer {
        self.expire(number, now);
        // What is left over: a number used twice AND a gateway that says "busy"
        // to the last query. The terminal would cancel, so it is not played.
        if random.chance(3) && !self.trades.get(number).is_some_and(|t| t.foreign) {
            return QueryAnswer::Unknown(unsettled(TroubleKind::Busy));
        }
        let Some(trade) = self.trades.get(number) else { return QueryAnswer::NotExist };
        let lags = self.nature.stale_queries
            && now.millis() - trade.changed.millis() < 5_000
            && random.chance(50);
        let status = if lags { trade.before } else { Some(trade.status) };
        match status {
            None => QueryAnswer::NotExist,
            Some(_) if trade.amount != amount => {
                QueryAnswer::Foreign(unsettled(TroubleKind::Foreign))
            }
            Some(Status::Wait) => QueryAnswer::Waiting(Trade::default()),
            Some(Status::Success) => QueryAnswer::Paid(Trade::default()),
            Some(Status::Closed) => {
                QueryAnswer::Closed { trade: Trade::default(), was_paid: false }
            }
            Some(Status::Refunded) => {
                QueryAnswer::Closed { trade: Trade::default(), was_paid: true }
            }
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
        (answer, trade.foreign && trade.status == Status::Success)
    }
}
