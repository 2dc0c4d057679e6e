//! One shop for some minutes: its clock, disk, network, cashier and crashes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};

use super::Random;
use super::bugs::Bug;
use super::ends::Ends;
use super::gateway::{Gateway, Later, Nature, Paying, Status};
use super::refunds::{Named, Refunds, name};
use super::shown::Shown;
use super::writes::{Ready, Write};
use crate::payment::{
    Account, Amount, Answered, Call, CodeKey, Entry, Hint, Method, Moment, Payment, Refusal, Rules,
    ScaleLabels, ScannerNews, State, Timestamp,
};
use crate::terminal::{
    Codes, Input, Matter, Output, Request, RequestId, Serial, Subject, Terminal,
};

/// When the trouble is over and everything has to come to its end.
const HEALED_AT: i64 = 400_000;
/// Then everything has to be settled.
const SETTLED_BY: i64 = HEALED_AT + 3 * 3_600_000;
const SALES: usize = 8;

pub(super) struct Report {
    pub(super) payments: u64,
    pub(super) verdict: Result<(), String>,
    pub(super) story: Vec<String>,
    pub(super) ends: Ends,
}

#[derive(Debug)]
pub(super) enum Happening {
    Begin { sale: usize },
    Ask { number: String },
    Stop { number: String },
    Scan { sale: usize },
    Reading { sale: usize, text: String },
    Scanner { sale: usize, news: ScannerNews },
    LookAtLanes,
    Arrive { subject: Subject, call: Call, paying: Paying, reply: (u32, Serial) },
    ArriveRefund { named: Named, call: Call, fen: u64, reply: (u32, Serial) },
    Answer { life: u32, subject: Subject, serial: Serial, answered: Box<Answered> },
    Refund { number: String, request: String, fen: u64 },
    Later { number: String, what: Later },
    Flush { life: u32 },
    Tick { life: u32 },
    Crash,
    Start,
    DiskFull(bool),
    DiskStalls(i64),
    WallJump(i64),
    Heal,
}

pub(super) struct Sale {
    pub(super) amount: Amount,
    pub(super) method: Method,
    pub(super) attempts: Vec<String>,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) bug: Option<Bug>,
    pub(super) now: i64,
    pub(super) order: u64,
    pub(super) queue: BinaryHeap<Reverse<(i64, u64)>>,
    pub(super) what: HashMap<u64, Happening>,
    pub(super) rules: Rules,
    pub(super) terminal: Option<Terminal>,
    pub(super) life: u32,
    pub(super) born: i64,
    pub(super) wall_offset: i64,
    pub(super) gateway_skew: i64,
    pub(super) learned_skew: Option<i64>,
    pub(super) ticking: Option<i64>,
    pub(super) chaos: bool,
    pub(super) gateway: Gateway,
    pub(super) disk: BTreeMap<String, Payment>,
    /// The number of the last entry of each payment, and the life it is of.
    pub(super) written: HashMap<String, (u64, u32)>,
    pub(super) shown: Shown,
    /// Scanners that are unplugged.
    pub(super) gone: [bool; SALES],
    /// When the disk last failed, or the terminal last began.
    pub(super) unrest: i64,
    /// Acknowledged, but (with a bug) not on the medium.
    pub(super) cache: Vec<Payment>,
    pub(super) writes: VecDeque<Write>,
    /// The call that was made ready for the entry that was just written.
    pub(super) ready: Option<Ready>,
    pub(super) disk_full: bool,
    /// Until then nothing reaches the disk, and nothing fails.
    pub(super) disk_stalls_until: i64,
    /// The box has no network before.
    pub(super) network_from: i64,
    /// And then, for a while, a good one.
    pub(super) calm_until: i64,
    /// Asked in an account that has none of our trades.
    pub(super) strayed: bool,
    /// The ledger of that account.
    pub(super) other: Gateway,
    /// As of when the terminal knows what the gateway said of a number.
    pub(super) asked_at: HashMap<String, Timestamp>,
    pub(super) arrived: HashMap<Serial, Timestamp>,
    /// How many of the last queries about a number were not answered, since it
    /// was last cancelled or the daemon began.
    pub(super) silent: HashMap<String, u32>,
    /// The call that each number waits for; the answer to any other is none.
    pub(super) in_flight: HashMap<String, Serial>,
    /// Paid when the daemon began, with nothing decided against it.
    pub(super) was_paid_at_start: BTreeSet<String>,
    pub(super) told_none: BTreeSet<String>,
    /// Another till's trade was undone, and nobody could have known.
    pub(super) excused: BTreeSet<String>,
    pub(super) refunds: Refunds,
    pub(super) sales: Vec<Sale>,
    pub(super) sale_of: HashMap<String, usize>,
    pub(super) requests: HashMap<RequestId, String>,
    pub(super) last_request: RequestId,
    pub(super) told: HashMap<String, State>,
    pub(super) pays_sent: HashMap<String, u32>,
    pub(super) ends: Ends,
    pub(super) story: Vec<String>,
    pub(super) broken: Option<String>,
}

pub(super) fn play(seed: u64, bug: Option<Bug>) -> Report {
    let mut random = Random(seed);
    // What is left over: a copy that lags does not show a trade yet, AND the cancel
    // does nothing. Behind a decline nobody could know, so it is not played.
    let stale_queries = random.chance(50);
    let nature = Nature {
        fences: random.chance(50),
        stale_queries,
        forgets_action: random.chance(30),
        echoes: random.chance(50),
        vain_cancels: random.chance(25) && !stale_queries,
        dateless: random.chance(10),
        date_lies_by: if random.chance(10) { lie(&mut random) } else { 0 },
        poor_until: if random.chance(25) {
            i64::try_from(random.below(600_000)).unwrap_or(0)
        } else {
            0
        },
    };
    let nature = Nature { poor_until: 1_000_000 + nature.poor_until, ..nature };
    let mut world = World {
        bug,
        now: 1_000_000,
        order: 0,
        queue: BinaryHeap::new(),
        what: HashMap::new(),
        rules: Rules::default(),
        terminal: None,
        life: 0,
        born: 0,
        wall_offset: 0,
        gateway_skew: i64::try_from(random.below(8_000)).unwrap_or(0) - 4_000,
        learned_skew: None,
        ticking: None,
        chaos: true,
        gateway: Gateway::new(nature),
        disk: BTreeMap::new(),
        written: HashMap::new(),
        shown: Shown::default(),
        gone: [false; SALES],
        unrest: 0,
        cache: Vec::new(),
        writes: VecDeque::new(),
        ready: None,
        disk_full: false,
        disk_stalls_until: 0,
        network_from: 0,
        calm_until: 0,
        strayed: false,
        other: Gateway::new(nature),
        asked_at: HashMap::new(),
        arrived: HashMap::new(),
        silent: HashMap::new(),
        in_flight: HashMap::new(),
        was_paid_at_start: BTreeSet::new(),
        told_none: BTreeSet::new(),
        excused: BTreeSet::new(),
        refunds: Refunds::default(),
        sales: Vec::new(),
        sale_of: HashMap::new(),
        requests: HashMap::new(),
        last_request: RequestId(0),
        told: HashMap::new(),
        pays_sent: HashMap::new(),
        ends: Ends::default(),
        story: Vec::new(),
        broken: None,
        random,
    };
    world.run();
    let payments = world.sale_of.len() as u64;
    let verdict = world.broken.map_or(Ok(()), Err);
    Report { payments, verdict, story: world.story, ends: world.ends }
}

/// Two hours, one way or the other.
fn lie(random: &mut Random) -> i64 {
    if random.chance(50) { 7_200_000 } else { -7_200_000 }
}

impl World {
    fn run(&mut self) {
        let start = self.now;
        for sale in 0..SALES {
            let fen = 100 + self.random.below(100_000);
            let amount = Amount::from_fen(fen).expect("in range");
            let method = if self.random.chance(25) { Method::Qr } else { Method::Code };
            self.sales.push(Sale { amount, method, attempts: Vec::new() });
            let at = self.random.below(200_000);
            self.after(at, Happening::Begin { sale });
        }
        for _ in 0..self.random.below(4) {
            let at = self.random.below(350_000);
            self.after(at, Happening::Crash);
        }
        if self.random.chance(20) {
            let (at, length) = (self.random.below(300_000), self.random.below(60_000));
            self.after(at, Happening::DiskFull(true));
            self.after(at + length, Happening::DiskFull(false));
        }
        if self.random.chance(30) {
            let at = self.random.below(300_000);
            let length = 5_000 + i64::try_from(self.random.below(15_000)).unwrap_or(0);
            self.after(at, Happening::DiskStalls(length));
        }
        if self.random.chance(30) {
            let at = self.random.below(300_000);
            let day = 86_400_000;
            let jump = if self.random.chance(50) { day } else { -day };
            self.after(at, Happening::WallJump(jump));
        }
        for sale in 0..SALES {
            if self.random.chance(25) {
                let (at, length) = (self.random.below(250_000), self.random.below(60_000));
                let gone = ScannerNews::Unplugged("simulated".to_owned());
                self.after(at, Happening::Scanner { sale, news: gone });
                self.after(at + length, Happening::Scanner { sale, news: ScannerNews::Plugged });
            }
        }
        for _ in 0..8 {
            let at = self.random.below(350_000);
            self.after(at, Happening::LookAtLanes);
        }
        self.after(0, Happening::Start);
        self.after(HEALED_AT.unsigned_abs(), Happening::Heal);
        while let Some(Reverse((at, id))) = self.queue.pop() {
            if self.broken.is_some() || at > start + SETTLED_BY {
                break;
            }
            self.now = at;
            if let Some(what) = self.what.remove(&id) {
                self.happen(what);
            }
        }
        if self.broken.is_none() {
            self.compare_the_books();
            self.compare_refunds();
        }
    }

    pub(super) fn after(&mut self, millis: u64, what: Happening) {
        self.order += 1;
        let at = self.now + i64::try_from(millis).expect("small");
        self.queue.push(Reverse((at, self.order)));
        self.what.insert(self.order, what);
    }

    pub(super) fn say(&mut self, line: String) {
        self.story.push(format!("{:>9} {line}", self.now));
    }

    pub(super) fn broke(&mut self, what: String) {
        self.say(format!("BROKEN {what}"));
        self.broken.get_or_insert(what);
    }

    pub(super) fn gateway_now(&self) -> Timestamp {
        Timestamp(self.now + self.gateway_skew)
    }

    pub(super) fn moment(&self) -> Moment {
        let steady = Timestamp(self.now);
        let wall = Timestamp(self.now + self.wall_offset);
        let gateway = self.learned_skew.map_or(wall, |skew| Timestamp(steady.millis() + skew));
        if self.gateway.nature.date_lies_by == 0 {
            return Moment::undisputed(steady, wall, gateway);
        }
        // The box's clock and the gateway's dates are hours apart: nobody knows
        // which is right.
        let (gateway_low, gateway_high) = (gateway.min(wall), gateway.max(wall));
        Moment { steady, wall, gateway, gateway_low, gateway_high }
    }

    pub(super) fn says_none_of_open(&self) -> bool {
        self.bug == Some(Bug::SaysNoneOfOpen)
    }

    pub(super) fn happen(&mut self, what: Happening) {
        match what {
            Happening::Begin { sale } => self.begin(sale),
            Happening::Ask { number } => self.ask(&number),
            Happening::Stop { number } => {
                self.say(format!("cashier stops {number}"));
                self.was_paid_at_start.remove(&number);
                let known = self.known(&number);
                let number = number.parse().expect("valid");
                self.request(Request::Stop { number }, known);
            }
            Happening::Scan { sale } => self.scan(sale),
            Happening::Reading { sale, text } => self.reading(sale, &text),
            Happening::Scanner { sale, news } => {
                self.gone[sale] = matches!(news, ScannerNews::Unplugged(_));
                self.say(format!("lane{sale} {news:?}"));
                self.handle(Input::News { scanner: format!("lane{sale}"), news });
            }
            Happening::LookAtLanes => self.look_at_lanes(),
            Happening::Arrive { subject, call, paying, reply } => {
                self.arrive(subject, call, &paying, reply);
            }
            Happening::ArriveRefund { named, call, fen, reply } => {
                self.arrive_refund(call, named, fen, reply);
            }
            Happening::Refund { number, request, fen } => self.ask_refund(&number, &request, fen),
            Happening::Answer { life, subject, serial, answered } => {
                let (Subject::Payment(number) | Subject::Refund(number)) = &subject;
                let number = number.to_string();
                if life == self.life && self.terminal.is_some() {
                    if let Some(time) = answered.gateway_time {
                        self.learned_skew = Some(time.millis() - self.now);
                    }
                    self.say(format!("answer to {number}: {:?}", answered.answer));
                    self.came_back(&number, serial);
                    if self.in_flight.get(&number) == Some(&serial) {
                        // What comes after it is no answer any more.
                        self.in_flight.remove(&number);
                        self.asked(&number, serial, &answered.answer);
                    }
                    self.handle(Input::Answered { subject, serial, answered });
                }
            }
            Happening::Later { number, what: Later::GiveBack { request, fen } } => {
                let now = self.gateway_now();
                if self.gateway.give_back(&number, &request, fen, now) {
                    self.gave_back(&number, &request);
                }
            }
            Happening::Later { number, what } => {
                let now = self.gateway_now();
                if self.gateway.later(&number, &what, now) {
                    self.say(format!("gateway: {number} {what:?}"));
                    self.charged(&number);
                }
            }
            Happening::Flush { life } if life == self.life => self.flush(),
            Happening::Flush { .. } => {}
            Happening::Tick { life } => {
                if life == self.life {
                    self.ticking = None;
                    self.handle(Input::Tick);
                }
            }
            Happening::Crash if self.chaos && self.terminal.is_some() => self.crash(),
            Happening::Crash => {}
            Happening::Start => self.start(),
            Happening::DiskFull(full) => {
                self.disk_full = full && self.chaos;
                self.unrest = self.now;
                let state = if self.disk_full { Err("disk full".to_owned()) } else { Ok(()) };
                self.handle(Input::Journal(state));
            }
            Happening::DiskStalls(length) => self.disk_stalls_until = self.now + length,
            // Once the gateway has told its time, the wall clock is no more asked.
            // (Before that a wall clock that is a day ahead would put
            // `time_expire` a day off, and a lost pay would hang for that day.)
            Happening::WallJump(by)
                if self.learned_skew.is_some() && self.gateway.nature.date_lies_by == 0 =>
            {
                self.wall_offset += by;
            }
            Happening::WallJump(_) => {}
            Happening::Heal => {
                self.say("healed".to_owned());
                self.chaos = false;
                self.disk_full = false;
                self.handle(Input::Journal(Ok(())));
                if self.terminal.is_none() {
                    self.start();
                }
            }
        }
    }

    // --- the terminal ------------------------------------------------------------

    pub(super) fn start(&mut self) {
        if self.terminal.is_some() {
            return;
        }
        self.life += 1;
        self.born = self.now;
        self.ticking = None;
        self.learned_skew = None;
        self.wall_offset = 0;
        let lanes: Vec<_> = (0..SALES).map(|n| format!("lane{n}")).collect();
        let codes = Codes {
            key: CodeKey::derive(b"simulated"),
            labels: ScaleLabels::new(vec!["26".to_owned()]),
        };
        let open: Vec<_> = self.disk.values().filter(|p| !p.is_final()).cloned().collect();
        // Somebody has changed the account in the configuration.
        let other = self.random.chance(8) && !open.is_empty();
        let mut terminal =
            Terminal::new(self.rules, codes.clone(), lanes.clone()).in_account(account(other));
        self.strayed = other;
        if self.bug != Some(Bug::NoAccountCheck) && terminal.other_account(&open).is_some() {
            // It does not start; the technician puts it right.
            self.ends.other_accounts += 1;
            self.strayed = false;
            terminal = Terminal::new(self.rules, codes, lanes).in_account(account(false));
        }
        terminal.bug = self.bug;
        self.say("start".to_owned());
        self.begin_network(&open);
        let now = self.moment();
        let refunds = self.refunds.disk.values().filter(|refund| {
            let payment = self.disk.get(refund.of().as_str());
            !refund.is_final() || payment.is_some_and(|payment| !payment.is_final())
        });
        let refunds = match self.bug {
            Some(Bug::RefundForgotten) => Vec::new(),
            _ => refunds.cloned().collect(),
        };
        match terminal.recover(open, refunds, now) {
            Ok(out) => {
                self.terminal = Some(terminal);
                if self.disk_full {
                    self.handle(Input::Journal(Err("disk full".to_owned())));
                }
                self.act(out);
                self.unrest = self.now;
                for sale in 0..SALES {
                    let news = match self.gone[sale] {
                        true => ScannerNews::Unplugged("simulated".to_owned()),
                        false => ScannerNews::Plugged,
                    };
                    self.handle(Input::News { scanner: format!("lane{sale}"), news });
                }
            }
            Err(illegal) => self.broke(illegal.to_string()),
        }
    }

    /// The daemon may be there before the network.
    fn begin_network(&mut self, open: &[Payment]) {
        self.was_paid_at_start.clear();
        if !self.random.chance(40) {
            self.network_from = self.now;
            return;
        }
        self.network_from = self.now + i64::try_from(self.random.below(12_000)).unwrap_or(0);
        self.calm_until = self.network_from + 60_000;
        for payment in open {
            let number = payment.order().out_trade_no.to_string();
            let Some(offer) = payment.offer() else { continue };
            let trade = self.gateway.trades.get(&number);
            let settled = self.gateway_now().millis() - 10_000;
            let is_paid = trade.is_some_and(|t| {
                !t.foreign
                    && t.status == Status::Success
                    && t.paid_at.is_some_and(|at| at.millis() < settled)
            });
            let nothing_against = payment.undo().is_none()
                && !offer.heard.stopped
                && !offer.heard.foreign
                && offer.heard.refused != Some(Refusal::Declined);
            if is_paid && nothing_against {
                self.was_paid_at_start.insert(number);
            }
        }
    }

    pub(super) fn crash(&mut self) {
        self.was_paid_at_start.clear();
        self.silent.clear();
        self.ends.crashes += 1;
        self.terminal = None;
        self.life += 1;
        // What was being written may or may not have reached the disk.
        let reached = self.random.below(self.writes.len() as u64 + 1);
        let writes = std::mem::take(&mut self.writes);
        for Write { entry, .. } in writes.into_iter().take(usize::try_from(reached).unwrap_or(0)) {
            match entry {
                Entry::Payment { payment, .. } => self.put_on_disk(payment),
                Entry::Refund { refund, .. } => self.put_refund_on_disk(refund),
                _ => {}
            }
        }
        self.nothing_in_flight();
        // A power cut takes what was never synced.
        self.cache.clear();
        self.say("CRASH".to_owned());
        // The service manager starts it again at once; a box needs its time.
        let takes = if self.random.chance(50) { 2_000 } else { 120_000 };
        let down = 100 + self.random.below(takes);
        self.after(down, Happening::Start);
    }

    pub(super) fn handle(&mut self, input: Input) {
        let now = self.moment();
        let Some(terminal) = &mut self.terminal else { return };
        match terminal.handle(input, now) {
            Ok(out) => self.act(out),
            Err(illegal) => self.broke(illegal.to_string()),
        }
        let Some(due) = self.terminal.as_ref().and_then(Terminal::due) else { return };
        let at = due.millis().max(self.now);
        if self.ticking.is_none_or(|ticking| at < ticking) {
            self.ticking = Some(at);
            let wait = (at - self.now).unsigned_abs();
            self.after(wait, Happening::Tick { life: self.life });
        }
    }

    pub(super) fn act(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Write { ticket, entry, ahead } => {
                    let ready = Ready::of(&entry, ahead);
                    if self.bug == Some(Bug::SendsWhatIsReady)
                        && let Some(Ready { serial, call, payment, code }) = &ready
                    {
                        let subject = Subject::Payment(payment.order().out_trade_no.clone());
                        self.send(*call, payment, *serial, code.as_ref(), subject);
                    }
                    if self.bug == Some(Bug::ActsBeforeDisk)
                        && let Entry::Payment { payment, step } = &entry
                    {
                        self.tell(payment);
                        if let Some(call) = step.call {
                            let subject = Subject::Payment(payment.order().out_trade_no.clone());
                            self.send(call, payment, Serial(0), None, subject);
                        }
                    }
                    if self.bug == Some(Bug::RefundsBeforeDisk)
                        && let Entry::Refund { refund, step } = &entry
                        && let Some(call) = step.call
                    {
                        self.send_about_refund(call, refund, Serial(0));
                    }
                    self.writes.push_back(Write { ticket, entry, ready });
                    let stalls = (self.disk_stalls_until - self.now).max(0).unsigned_abs();
                    let wait = stalls + 1 + self.random.below(20);
                    self.after(wait, Happening::Flush { life: self.life });
                }
                Output::Send { serial, call, about: Matter::Payment(payment), code } => {
                    if call == Call::Cancel {
                        self.cancels(payment.order().out_trade_no.as_str());
                    }
                    let due = Ready { serial, call, payment, code };
                    let ready = self.ready.take_if(|ready| ready.serial == serial);
                    let was_sent = (self.bug == Some(Bug::ActsBeforeDisk) && call == Call::Pay)
                        || (self.bug == Some(Bug::SendsWhatIsReady) && ready.is_some());
                    match ready {
                        Some(ready) if ready != due => {
                            self.broke(format!("{ready:?} was made ready, and due is {due:?}"));
                        }
                        _ if was_sent => {}
                        _ => {
                            let number = due.payment.order().out_trade_no.clone();
                            let subject = Subject::Payment(number);
                            self.send(call, &due.payment, serial, due.code.as_ref(), subject);
                        }
                    }
                }
                Output::Send { serial, call, about: Matter::Refund(refund), .. } => {
                    self.send_about_refund(call, &refund, serial);
                }
                Output::Reply { id, reply } => self.replied(id, reply),
            }
        }
    }

    // --- the disk ----------------------------------------------------------------

    pub(super) fn flush(&mut self) {
        let Some(Write { ticket, entry, ready }) = self.writes.pop_front() else { return };
        if self.disk_full {
            self.handle(Input::NotWritten(ticket, "disk full".to_owned()));
            return;
        }
        if let Entry::Refund { refund, .. } = entry {
            self.say(format!("disk: refund {:?} {:?}", name(&refund), refund.stage()));
            self.put_refund_on_disk(refund.clone());
            self.handle(Input::Written(ticket));
            self.tell_refund(&refund);
        } else if let Entry::Payment { payment, .. } = entry {
            let (number, state) = (payment.order().out_trade_no.clone(), payment.state());
            self.say(format!("disk: {number} {state:?} {:?}", payment.hint()));
            match payment.hint() {
                Some(Hint::CodeUsed { .. }) => self.ends.code_used += 1,
                Some(Hint::ScannerGone) => self.ends.scanner_gone += 1,
                Some(_) => self.ends.other_hints += 1,
                None => {}
            }
            if self.bug == Some(Bug::NoFsync) && self.random.chance(50) {
                self.cache.push(payment.clone());
            } else {
                self.put_on_disk(payment.clone());
            }
            self.ready = ready;
            self.handle(Input::Written(ticket));
            self.ready = None;
            self.tell(&payment);
        } else {
            self.handle(Input::Written(ticket));
        }
    }

    pub(super) fn put_on_disk(&mut self, payment: Payment) {
        for earlier in std::mem::take(&mut self.cache) {
            self.settle_on_disk(earlier);
        }
        self.settle_on_disk(payment);
    }

    pub(super) fn settle_on_disk(&mut self, payment: Payment) {
        let number = payment.order().out_trade_no.to_string();
        self.order += 1;
        self.written.insert(number.clone(), (self.order, self.life));
        self.disk.insert(number, payment);
    }
}

/// The account of the shop, or another one.
fn account(other: bool) -> Account {
    let app_id = if other { "2014072300007149" } else { "2014072300007148" };
    let gateway = "openapi.alipay.com".to_owned();
    Account { gateway, app_id: app_id.to_owned(), merchant: None }
}
