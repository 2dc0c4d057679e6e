//! The register, its cashier, and what buyers hold before the scanners.

use super::bugs::Bug;
use super::gateway::{Later, Paying, Status};
use super::world::{Happening, World};
use crate::payment::{
    Amount, AuthCode, CodeMark, Hint, Method, Order, Payment, ScannerNews, SecretText, State, Tag,
    Timestamp,
};
use crate::terminal::{Denied, Input, Known, PayRequest, Reply, Request, RequestId};

impl World {
    pub(super) fn begin(&mut self, sale: usize) {
        let number = format!("S{sale}A{}", self.sales[sale].attempts.len() + 1);
        self.sales[sale].attempts.push(number.clone());
        self.sale_of.insert(number.clone(), sale);
        if self.random.chance(4) {
            self.another_till(&number, sale);
        }
        self.after(0, Happening::Ask { number: number.clone() });
        for _ in 0..self.random.below(3) {
            let at = self.random.below(100_000);
            self.after(at, Happening::Ask { number: number.clone() });
        }
        for _ in 0..self.random.below(3) {
            let at = self.random.below(130_000);
            self.after(at, Happening::Scan { sale });
        }
        if self.random.chance(40) {
            let at = self.random.below(90_000);
            self.after(at, Happening::Stop { number });
        }
        // A second attempt while the first is in doubt: to be denied.
        if self.random.chance(20) && self.sales[sale].attempts.len() < 3 {
            let at = self.random.below(60_000);
            self.after(at, Happening::Begin { sale });
        }
    }

    /// Another till of the merchant uses our number: before us, while we do, or
    /// with a trade that its buyer has yet to confirm.
    fn another_till(&mut self, number: &str, sale: usize) {
        let ours = self.sales[sale].amount;
        let other = Amount::from_fen(ours.fen() + 1).expect("in range");
        let amount = if self.random.chance(70) { ours } else { other };
        let tag = self.random.chance(50).then(|| Tag(self.random.next()).to_string());
        let paying = Paying { amount, expires: Timestamp(i64::MAX), tag };
        let status = if self.random.chance(70) { Status::Success } else { Status::Wait };
        let what = Later::Theirs { paying, status };
        let number = number.to_owned();
        if self.random.chance(50) {
            // Long ago.
            let now = Timestamp(self.gateway_now().millis() - 600_000);
            self.gateway.later(&number, &what, now);
        } else {
            let at = self.random.below(90_000);
            self.after(at, Happening::Later { number: number.clone(), what });
        }
        if status == Status::Wait && self.random.chance(50) {
            let at = self.random.below(150_000);
            self.after(at, Happening::Later { number, what: Later::Confirm });
        }
        self.ends.foreign += 1;
    }

    pub(super) fn ask(&mut self, number: &str) {
        let sale = self.sale_of[number];
        if self.terminal.is_none() {
            self.after(5_000, Happening::Ask { number: number.to_owned() });
            return;
        }
        let method = self.sales[sale].method;
        let code = (sale.is_multiple_of(2) && method == Method::Code)
            .then(|| self.shown.with_request(number, &mut self.random));
        let guarded = self.bug != Some(Bug::NoSaleGuard);
        let named = number.parse().expect("valid");
        let order = Order {
            sale: guarded.then(|| format!("sale{sale}")),
            scanner: (method == Method::Code).then(|| format!("lane{sale}")),
            method,
            ..Order::new(named, self.sales[sale].amount, "coffee".to_owned())
        };
        let code = code.map(|text| AuthCode::read(&SecretText::new(text)).expect("a payment code"));
        let request = PayRequest { order, code, keyed_by_sale: false };
        let known = self.known(number);
        self.say(format!("register asks for {number}"));
        self.requests.insert(RequestId(self.last_request.0 + 1), number.to_owned());
        self.request(Request::Pay(Box::new(request)), known);
        self.plan_hasty_refund(number);
    }

    pub(super) fn known(&self, number: &str) -> Known {
        let sale = self.sale_of[number];
        let attempts = || self.sales[sale].attempts.iter().filter_map(|n| self.disk.get(n));
        let matters = |p: &&Payment| p.state() == State::Paid || !p.is_final();
        Known {
            number: self.disk.get(number).cloned(),
            sale: attempts()
                .find(matters)
                .or_else(|| attempts().next_back())
                .filter(|_| self.bug != Some(Bug::NoSaleGuard))
                .cloned(),
            code: None,
            refunds: Vec::new(),
        }
    }

    /// What the journal finds for a code.
    pub(super) fn used_for(&self, mark: Option<CodeMark>) -> Option<Payment> {
        let marked = |p: &&Payment| p.mark() == mark;
        let when = |p: &Payment| self.written[p.order().out_trade_no.as_str()];
        let forgets = self.bug == Some(Bug::CodesForgottenAtRestart);
        let found = self.disk.values().filter(marked).max_by_key(|p| when(p));
        mark.and(found).filter(|p| !forgets || when(p).1 == self.life).cloned()
    }

    /// A buyer holds something before the scanner, perhaps for a while.
    pub(super) fn scan(&mut self, sale: usize) {
        if self.gone[sale] {
            return;
        }
        if self.random.chance(5) {
            let news = ScannerNews::ScanLost("simulated".to_owned());
            self.handle(Input::News { scanner: format!("lane{sale}"), news });
        }
        let text = self.shown.before_a_scanner(&mut self.random);
        self.after(0, Happening::Reading { sale, text: text.clone() });
        if self.random.chance(30) {
            let again = 300 + self.random.below(4_000);
            self.after(again, Happening::Reading { sale, text });
        }
    }

    pub(super) fn reading(&mut self, sale: usize, text: &str) {
        let Some(terminal) = &self.terminal else { return };
        if self.gone[sale] {
            return;
        }
        let scanner = format!("lane{sale}");
        let started_at = self.moment().steady;
        let secret = SecretText::new(text.to_owned());
        let known = self.used_for(terminal.mark_of_scan(&scanner, &secret, None)).map(Box::new);
        self.say(format!("{scanner} reads {text}"));
        self.handle(Input::Scan { scanner, text: secret, aim: None, started_at, known });
    }

    /// The cashier of a payment that waits knows whether its scanner is there.
    pub(super) fn look_at_lanes(&mut self) {
        let calm = self.terminal.is_some() && !self.disk_full && self.writes.is_empty();
        if !calm || self.now < self.unrest + 5_000 {
            return;
        }
        let waiting: Vec<_> = self
            .disk
            .values()
            .filter(|p| matches!(p.state(), State::AwaitingCode { .. }))
            .map(|p| (p.order().out_trade_no.to_string(), p.hint() == Some(&Hint::ScannerGone)))
            .collect();
        for (number, says_gone) in waiting {
            let is_gone = self.gone[self.sale_of[&number]];
            if says_gone != is_gone {
                self.broke(format!("{number}: scanner gone {is_gone}, told {says_gone}"));
            }
        }
    }

    pub(super) fn request(&mut self, request: Request, known: Known) {
        let mark = self.terminal.as_ref().and_then(|terminal| terminal.mark_of(&request));
        let known = Known { code: self.used_for(mark), ..known };
        self.last_request.0 += 1;
        let id = self.last_request;
        self.handle(Input::Request { id, request, known: Box::new(known), asker: None });
    }

    pub(super) fn replied(&mut self, id: RequestId, reply: Reply) {
        let number = self.requests.remove(&id);
        match &reply {
            Reply::Refund { refund, .. } => self.refund_replied(id, Ok(refund)),
            Reply::Denied(denied) => self.refund_replied(id, Err(denied)),
            Reply::Started(_) | Reply::Stands(_) => {}
        }
        match reply {
            Reply::Started(payment) | Reply::Stands(payment) => self.tell(&payment),
            Reply::Denied(Denied::SaleInDoubt { .. }) => self.ends.denied_in_doubt += 1,
            Reply::Denied(Denied::JournalUnavailable(_)) => {
                self.ends.journal_unavailable += 1;
                if let Some(number) = number {
                    self.after(5_000, Happening::Ask { number });
                }
            }
            Reply::Denied(Denied::DoorClosed(_)) => {
                if let Some(number) = number {
                    self.after(5_000, Happening::Ask { number });
                }
            }
            Reply::Denied(Denied::CodeAlreadyUsed(_)) => {
                self.ends.code_used += 1;
                // The customer refreshes the code.
                if let Some(number) = number {
                    self.shown.refresh(&number);
                    self.after(3_000, Happening::Ask { number });
                }
            }
            Reply::Denied(_) | Reply::Refund { .. } => {}
        }
    }
}
