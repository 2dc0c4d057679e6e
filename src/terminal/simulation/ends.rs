//! How the payments of a run ended, and what their cashiers read meanwhile.

/// How the payments of a run ended.
#[derive(Debug, Default, Clone)]
pub(super) struct Ends {
    pub(super) paid: u64,
    pub(super) declined: u64,
    pub(super) closed: u64,
    pub(super) refunded: u64,
    pub(super) never_sent: u64,
    pub(super) paid_though_stopped: u64,
    pub(super) foreign: u64,
    pub(super) crashes: u64,
    pub(super) denied_in_doubt: u64,
    pub(super) journal_unavailable: u64,
    pub(super) code_used: u64,
    pub(super) scanner_gone: u64,
    pub(super) other_hints: u64,
    pub(super) for_a_person: u64,
    pub(super) other_accounts: u64,
    pub(super) refunds: u64,
    pub(super) own_refunds: u64,
    pub(super) refunds_refused: u64,
    pub(super) refunds_denied: u64,
    pub(super) refunds_elsewhere: u64,
    pub(super) shown: u64,
}

impl Ends {
    fn all(&self) -> [u64; 21] {
        [
            self.paid,
            self.declined,
            self.closed,
            self.refunded,
            self.never_sent,
            self.paid_though_stopped,
            self.foreign,
            self.crashes,
            self.denied_in_doubt,
            self.journal_unavailable,
            self.code_used,
            self.scanner_gone,
            self.other_hints,
            self.for_a_person,
            self.other_accounts,
            self.refunds,
            self.own_refunds,
            self.refunds_refused,
            self.refunds_denied,
            self.refunds_elsewhere,
            self.shown,
        ]
    }

    pub(super) fn has_all(&self) -> bool {
        self.all().iter().all(|n| *n > 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.paid += other.paid;
        self.declined += other.declined;
        self.closed += other.closed;
        self.refunded += other.refunded;
        self.never_sent += other.never_sent;
        self.paid_though_stopped += other.paid_though_stopped;
        self.foreign += other.foreign;
        self.crashes += other.crashes;
        self.denied_in_doubt += other.denied_in_doubt;
        self.journal_unavailable += other.journal_unavailable;
        self.code_used += other.code_used;
        self.scanner_gone += other.scanner_gone;
        self.other_hints += other.other_hints;
        self.for_a_person += other.for_a_person;
        self.other_accounts += other.other_accounts;
        self.refunds += other.refunds;
        self.own_refunds += other.own_refunds;
        self.refunds_refused += other.refunds_refused;
        self.refunds_denied += other.refunds_denied;
        self.refunds_elsewhere += other.refunds_elsewhere;
        self.shown += other.shown;
    }
}
