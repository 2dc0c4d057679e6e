//! One shop for some minutes: its clock, disk, network, cashier and crashes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

use super::Random;
use super::bugs::Bug;
use super::ends::Ends;
use super::gateway::{Gateway, Later, Nature, Status, unsettled};
use super::shown::Shown;
use crate::payment::{
    Amount, Answer, Answered, AuthCode, Call, CancelAction, CancelAnswer, CodeKey, CodeMark, Entry,
    Hint, Moment, Order, OutTradeNo, PayAnswer, Payment, QueryAnswer, Rules, ScaleLabels,
    ScannerNews, SecretText, State, Timestamp, TroubleKind, Wire,
};
use crate::terminal::{
    Codes, Denied, Input, Known, Output, PayRequest, Reply, Request, RequestId, Serial, Terminal,
    Ticket,
};

/// When the trouble is over and everything has to come to its end.
const HEALED_AT: i64 = 400_000;
/// Then everything has to be settled.
const SETTLED_BY: i64 = HEALED_AT + 3_600_000;
const REQUEST_TIMEOUT: i64 = 10_000;
const SALES: usize = 8;

pub(super) struct Report {
    pub(super) payments: u64,
    pub(super) verdict: Result<(), String>,
    pub(super) story: Vec<String>,
    pub(super) ends: Ends,
}

#[derive(Debug)]
enum Happening {
    Begin { sale: usize },
    Ask { number: String },
    Stop { number: String },
    Scan { sale: usize },
    Reading { sale: usize, text: String },
    Scanner { sale: usize, news: ScannerNews },
    LookAtLanes,
    Arrive { number: String, call: Call, expires: Timestamp, reply: Option<(u32, Serial)> },
    Answer { life: u32, number: String, serial: Serial, answered: Box<Answered> },
    Later { number: String, what: Later },
    Flush { life: u32 },
    Tick { life: u32 },
    Crash,
    Start,
    DiskFull(bool),
    WallJump(i64),
    Heal,
}

struct Sale {
    amount: Amount,
    attempts: Vec<String>,
}

struct World {
    random: Random,
    bug: Option<Bug>,
    now: i64,
    order: u64,
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    what: HashMap<u64, Happening>,
    rules: Rules,
    terminal: Option<Terminal>,
    life: u32,
    born: i64,
    wall_offset: i64,
    gateway_skew: i64,
    learned_skew: Option<i64>,
    ticking: Option<i64>,
    chaos: bool,
    gateway: Gateway,
    disk: BTreeMap<String, Payment>,
    /// The number of the last entry of each payment, and the life it is of.
    written: HashMap<String, (u64, u32)>,
    shown: Shown,
    /// Scanners that are unplugged.
    gone: [bool; SALES],
    /// When the disk last failed, or the terminal last began.
    unrest: i64,
    /// Acknowledged, but (with a bug) not on the medium.
    cache: Vec<Payment>,
    writes: VecDeque<(Ticket, Entry)>,
    disk_full: bool,
    sales: Vec<Sale>,
    sale_of: HashMap<String, usize>,
    requests: HashMap<RequestId, String>,
    last_request: RequestId,
    told: HashMap<String, State>,
    pays_sent: HashMap<String, u32>,
    ends: Ends,
    story: Vec<String>,
    broken: Option<String>,
}

pub(super) fn play(seed: u64, bug: Option<Bug>) -> Report {
    let mut random = Random(seed);
    let nature = Nature {
        fences: random.chance(50),
        stale_queries: random.chance(50),
        forgets_action: random.chance(30),
    };
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
        disk_full: false,
        sales: Vec::new(),
        sale_of: HashMap::new(),
        requests: HashMap::new(),
        last_request: 0,
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

impl World {
    fn run(&mut self) {
        let start = self.now;
        for sale in 0..SALES {
            let fen = 100 + self.random.below(100_000);
            let amount = Amount::from_fen(fen).expect("in range");
            self.sales.push(Sale { amount, attempts: Vec::new() });
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
        }
    }

    fn after(&mut self, millis: u64, what: Happening) {
        self.order += 1;
        let at = self.now + i64::try_from(millis).expect("small");
        self.queue.push(Reverse((at, self.order)));
        self.what.insert(self.order, what);
    }

    fn say(&mut self, line: String) {
        self.story.push(format!("{:>9} {line}", self.now));
    }

    fn broke(&mut self, what: String) {
        self.say(format!("BROKEN {what}"));
        self.broken.get_or_insert(what);
    }

    fn gateway_now(&self) -> Timestamp {
        Timestamp(self.now + self.gateway_skew)
    }

    fn moment(&self) -> Moment {
        let steady = Timestamp(self.now);
        let wall = Timestamp(self.now + self.wall_offset);
        let gateway = self.learned_skew.map_or(wall, |skew| Timestamp(steady.millis() + skew));
        Moment::undisputed(steady, wall, gateway)
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Begin { sale } => self.begin(sale),
            Happening::Ask { number } => self.ask(&number),
            Happening::Stop { number } => {
                self.say(format!("cashier stops {number}"));
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
            Happening::Arrive { number, call, expires, reply } => {
                self.arrive(&number, call, expires, reply);
            }
            Happening::Answer { life, number, serial, answered } => {
                if life == self.life && self.terminal.is_some() {
                    if let Some(time) = answered.gateway_time {
                        self.learned_skew = Some(time.millis() - self.now);
                    }
                    self.say(format!("answer to {number}: {:?}", answered.answer));
                    let number = number.parse().expect("valid");
                    self.handle(Input::Answered { number, serial, answered });
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
            // Once the gateway has told its time, the wall clock is no more asked.
            // (Before that a wall clock that is a day ahead would put
            // `time_expire` a day off, and a lost pay would hang for that day.)
            Happening::WallJump(by) if self.learned_skew.is_some() => self.wall_offset += by,
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

    // --- the register ----------------------------------------------------------

    fn begin(&mut self, sale: usize) {
        let number = format!("S{sale}A{}", self.sales[sale].attempts.len() + 1);
        self.sales[sale].attempts.push(number.clone());
        self.sale_of.insert(number.clone(), sale);
        if self.random.chance(3) {
            let ours = self.sales[sale].amount;
            let other = Amount::from_fen(ours.fen() + 1).expect("in range");
            let amount = if self.random.chance(50) { ours } else { other };
            let now = self.gateway_now();
            self.gateway.foreign(&number, amount, now);
            self.ends.foreign += 1;
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

    fn ask(&mut self, number: &str) {
        let sale = self.sale_of[number];
        if self.terminal.is_none() {
            self.after(5_000, Happening::Ask { number: number.to_owned() });
            return;
        }
        let code =
            sale.is_multiple_of(2).then(|| self.shown.with_request(number, &mut self.random));
        let guarded = self.bug != Some(Bug::NoSaleGuard);
        let named = number.parse().expect("valid");
        let order = Order {
            sale: guarded.then(|| format!("sale{sale}")),
            scanner: Some(format!("lane{sale}")),
            ..Order::new(named, self.sales[sale].amount, "coffee".to_owned())
        };
        let code = code.map(|text| AuthCode::read(&SecretText::new(text)).expect("a payment code"));
        let request = PayRequest { order, code, keyed_by_sale: false };
        let known = self.known(number);
        self.say(format!("register asks for {number}"));
        self.requests.insert(self.last_request + 1, number.to_owned());
        self.request(Request::Pay(Box::new(request)), known);
    }

    fn known(&self, number: &str) -> Known {
        let sale = self.sale_of[number];
        let attempts = || self.sales[sale].attempts.iter().filter_map(|n| self.disk.get(n));
        let matters = |p: &&Payment| p.state == State::Paid || !p.is_final();
        Known {
            number: self.disk.get(number).cloned(),
            sale: attempts()
                .find(matters)
                .or_else(|| attempts().next_back())
                .filter(|_| self.bug != Some(Bug::NoSaleGuard))
                .cloned(),
            code: None,
        }
    }

    /// What the journal finds for a code.
    fn used_for(&self, mark: Option<CodeMark>) -> Option<Payment> {
        let marked = |p: &&Payment| p.pay.as_ref().is_some_and(|pay| pay.mark == mark);
        let when = |p: &Payment| self.written[p.order.out_trade_no.as_str()];
        let forgets = self.bug == Some(Bug::CodesForgottenAtRestart);
        let found = self.disk.values().filter(marked).max_by_key(|p| when(p));
        mark.and(found).filter(|p| !forgets || when(p).1 == self.life).cloned()
    }

    /// A buyer holds something before the scanner, perhaps for a while.
    fn scan(&mut self, sale: usize) {
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

    fn reading(&mut self, sale: usize, text: &str) {
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
    fn look_at_lanes(&mut self) {
        let calm = self.terminal.is_some() && !self.disk_full && self.writes.is_empty();
        if !calm || self.now < self.unrest + 5_000 {
            return;
        }
        let waiting: Vec<_> = self
            .disk
            .values()
            .filter(|p| matches!(p.state, State::AwaitingCode { .. }))
            .map(|p| (p.order.out_trade_no.to_string(), p.hint == Some(Hint::ScannerGone)))
            .collect();
        for (number, says_gone) in waiting {
            let is_gone = self.gone[self.sale_of[&number]];
            if says_gone != is_gone {
                self.broke(format!("{number}: scanner gone {is_gone}, told {says_gone}"));
            }
        }
    }

    fn request(&mut self, request: Request, known: Known) {
        let mark = self.terminal.as_ref().and_then(|terminal| terminal.mark_of(&request));
        let known = Known { code: self.used_for(mark), ..known };
        self.last_request += 1;
        let id = self.last_request;
        self.handle(Input::Request { id, request, known: Box::new(known) });
    }

    // --- the terminal ------------------------------------------------------------

    fn start(&mut self) {
        if self.terminal.is_some() {
            return;
        }
        self.life += 1;
        self.born = self.now;
        self.ticking = None;
        self.learned_skew = None;
        self.wall_offset = 0;
        let lanes = (0..SALES).map(|n| format!("lane{n}")).collect();
        let codes = Codes {
            key: CodeKey::derive(b"simulated"),
            labels: ScaleLabels::new(vec!["26".to_owned()]),
        };
        let mut terminal = Terminal::new(self.rules, codes, lanes);
        terminal.bug = self.bug;
        let open = self.disk.values().filter(|p| !p.is_final()).cloned().collect();
        self.say("start".to_owned());
        let now = self.moment();
        match terminal.recover(open, now) {
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

    fn crash(&mut self) {
        self.ends.crashes += 1;
        self.terminal = None;
        self.life += 1;
        // What was being written may or may not have reached the disk.
        let reached = self.random.below(self.writes.len() as u64 + 1);
        let writes = std::mem::take(&mut self.writes);
        for (_, entry) in writes.into_iter().take(usize::try_from(reached).unwrap_or(0)) {
            if let Entry::Payment { payment, .. } = entry {
                self.put_on_disk(payment);
            }
        }
        // A power cut takes what was never synced.
        self.cache.clear();
        self.say("CRASH".to_owned());
        let down = 100 + self.random.below(120_000);
        self.after(down, Happening::Start);
    }

    fn handle(&mut self, input: Input) {
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

    fn act(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Write { ticket, entry } => {
                    if self.bug == Some(Bug::ActsBeforeDisk)
                        && let Entry::Payment { payment, step } = &entry
                    {
                        self.tell(payment);
                        if let Some(call) = step.call {
                            self.send(call, payment, Some(0), None);
                        }
                    }
                    self.writes.push_back((ticket, entry));
                    let wait = 1 + self.random.below(20);
                    self.after(wait, Happening::Flush { life: self.life });
                }
                Output::Send { serial, call, payment, code } => {
                    if self.bug != Some(Bug::ActsBeforeDisk) || call != Call::Pay {
                        self.send(call, &payment, Some(serial), code.as_ref());
                    }
                }
                Output::Reply { id, reply } => self.replied(id, reply),
            }
        }
    }

    fn replied(&mut self, id: RequestId, reply: Reply) {
        let number = self.requests.remove(&id);
        match reply {
            Reply::Started(payment) | Reply::Stands(payment) => self.tell(&payment),
            Reply::Denied(Denied::SaleInDoubt { .. }) => self.ends.denied_in_doubt += 1,
            Reply::Denied(Denied::JournalUnavailable(_)) => {
                self.ends.journal_unavailable += 1;
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
            Reply::Denied(_) => {}
        }
    }

    // --- the disk ----------------------------------------------------------------

    fn flush(&mut self) {
        let Some((ticket, entry)) = self.writes.pop_front() else { return };
        if self.disk_full {
            self.handle(Input::NotWritten(ticket, "disk full".to_owned()));
            return;
        }
        if let Entry::Payment { payment, .. } = entry {
            let Payment { order, state, hint, .. } = &payment;
            self.say(format!("disk: {} {state:?} {hint:?}", order.out_trade_no));
            match &payment.hint {
                Some(Hint::CodeUsed { .. }) => self.ends.code_used += 1,
                Some(Hint::ScannerGone) => self.ends.scanner_gone += 1,
                Some(_) => self.ends.other_hints += 1,
                None => {}
            }
            if payment.hint.is_some() && !matches!(payment.state, State::AwaitingCode { .. }) {
                self.broke(format!("{} has a hint", payment.order.out_trade_no));
            }
            if self.bug == Some(Bug::NoFsync) && self.random.chance(50) {
                self.cache.push(payment.clone());
            } else {
                self.put_on_disk(payment.clone());
            }
            self.handle(Input::Written(ticket));
            self.tell(&payment);
        } else {
            self.handle(Input::Written(ticket));
        }
    }

    fn put_on_disk(&mut self, payment: Payment) {
        for earlier in std::mem::take(&mut self.cache) {
            self.settle_on_disk(earlier);
        }
        self.settle_on_disk(payment);
    }

    fn settle_on_disk(&mut self, payment: Payment) {
        let number = payment.order.out_trade_no.to_string();
        self.order += 1;
        self.written.insert(number.clone(), (self.order, self.life));
        self.disk.insert(number, payment);
    }

    // --- the network ---------------------------------------------------------------

    fn send(
        &mut self,
        call: Call,
        payment: &Payment,
        serial: Option<Serial>,
        code: Option<&AuthCode>,
    ) {
        let number = payment.order.out_trade_no.to_string();
        let Some(serial) = serial else { return };
        let expires = payment.pay.as_ref().map_or(Timestamp(0), |p| p.time_expire);
        let answer_after = |world: &mut Self, wait: u64, answer: Answer| {
            let answered = Answered { answer, gateway_time: None, wire: Wire::default() };
            let life = world.life;
            let (number, answered) = (number.clone(), Box::new(answered));
            world.after(wait, Happening::Answer { life, number, serial, answered });
        };
        if self.chaos && self.random.chance(8) {
            let wait = self.random.below(3_000);
            answer_after(self, wait, never_left(call));
            return;
        }
        if call == Call::Pay {
            let on_disk = self.disk.get(&number).map(|p| &p.state);
            let cached = self.cache.iter().any(|p| p.order.out_trade_no.as_str() == number);
            if on_disk != Some(&State::Paying) && !cached {
                self.broke(format!("pay of {number} sent while the journal says {on_disk:?}"));
            }
            if let Some(wrong) = code.and_then(|code| self.shown.sent(code.reveal(), &number)) {
                self.broke(wrong);
            }
            let sent = self.pays_sent.entry(number.clone()).or_default();
            *sent += 1;
            if *sent > 1 {
                self.broke(format!("pay of {number} sent twice"));
            }
        }
        // No answer in time is an answer, too.
        let timeout = REQUEST_TIMEOUT.unsigned_abs();
        answer_after(self, timeout, no_answer(call, TroubleKind::NoAnswer));
        if self.chaos && self.random.chance(6) {
            return; // lost on the way
        }
        let travels = match self.random.below(100) {
            0..8 if self.chaos => self.random.below(240_000),
            _ => 20 + self.random.below(900),
        };
        let reply = Some((self.life, serial));
        self.after(travels, Happening::Arrive { number: number.clone(), call, expires, reply });
    }

    fn arrive(&mut self, number: &str, call: Call, expires: Timestamp, reply: Option<(u32, u64)>) {
        let now = self.gateway_now();
        let amount = self.sales[self.sale_of[number]].amount;
        let before = self.gateway.trades.get(number).map(|t| t.status);
        let mut answer = match call {
            Call::Pay => {
                let (answer, later) =
                    self.gateway.pay(number, amount, expires, now, &mut self.random);
                if let Some((wait, what)) = later {
                    self.after(wait, Happening::Later { number: number.to_owned(), what });
                }
                Answer::Pay(answer)
            }
            Call::Query => Answer::Query(self.gateway.query(number, amount, now, &mut self.random)),
            Call::Cancel => {
                let (answer, foreign) = self.gateway.cancel(number, now, &mut self.random);
                if foreign && !self.cannot_be_told_apart(number) {
                    self.broke(format!("{number} was somebody else's and was cancelled"));
                }
                Answer::Cancel(answer)
            }
        };
        self.say(format!("gateway: {call:?} of {number}: {answer:?}"));
        let after = self.gateway.trades.get(number).map(|t| t.status);
        if before != Some(Status::Success) && after == Some(Status::Success) {
            if self.random.chance(4)
                && let Some(trade) = self.gateway.trades.get_mut(number)
            {
                trade.finished = true;
            }
            self.charged(number);
        }
        if after == Some(Status::Refunded) && self.told.get(number) == Some(&State::Paid) {
            self.broke(format!("{number} was told paid and then given back"));
        }
        let mut gateway_time = Some(now);
        match self.random.below(100) {
            0..6 if self.chaos => return, // the reply is lost
            6..9 if self.chaos => {
                // Somebody forges a reply: unverified, whatever it says.
                answer = no_answer(call, TroubleKind::Unverified);
                gateway_time = None;
            }
            _ => {}
        }
        if let Some((life, serial)) = reply {
            let answered = Box::new(Answered { answer, gateway_time, wire: Wire::default() });
            let wait = 20 + self.random.below(900);
            let number = number.to_owned();
            self.after(wait, Happening::Answer { life, number, serial, answered });
        }
    }

    // --- the books -----------------------------------------------------------------

    fn status(&self, number: &str) -> Option<Status> {
        self.gateway.trades.get(number).filter(|t| !t.foreign).map(|t| t.status)
    }

    /// A number used twice, of which nobody can know: for the same amount, with
    /// the decline lost that would have told so; or with no query ever answered.
    /// Numbers are used once (rule 3); this is what is left over.
    fn cannot_be_told_apart(&self, number: &str) -> bool {
        let amount = self.sales[self.sale_of[number]].amount;
        let Some(trade) = self.gateway.trades.get(number).filter(|t| t.foreign) else {
            return false;
        };
        let pay = self.disk.get(number).and_then(|p| p.pay.as_ref());
        let declined = pay.is_some_and(|p| p.declined);
        let asked = pay.is_some_and(|p| p.asked);
        !asked || (trade.amount == amount && !declined)
    }

    fn charged(&mut self, number: &str) {
        let sale = self.sale_of[number];
        let charged: Vec<_> = self.sales[sale]
            .attempts
            .iter()
            .filter(|n| self.status(n) == Some(Status::Success))
            .cloned()
            .collect();
        if charged.len() > 1 {
            self.broke(format!("sale {sale} is charged twice: {charged:?}"));
        }
        match self.told.get(number) {
            Some(State::Paid) | None => {}
            Some(told) => {
                let told = format!("{told:?}");
                self.broke(format!("{number} was told {told} and is charged"));
            }
        }
    }

    fn tell(&mut self, payment: &Payment) {
        if !payment.is_final() {
            return;
        }
        let number = payment.order.out_trade_no.to_string();
        if let Some(earlier) = self.told.get(&number) {
            if *earlier != payment.state {
                let both = format!("{earlier:?} and then {:?}", payment.state);
                self.broke(format!("{number} was told {both}"));
            }
            return;
        }
        self.say(format!("TOLD {number} {:?}", payment.state));
        self.told.insert(number.clone(), payment.state.clone());
        let is = self.status(&number);
        let fits = match &payment.state {
            State::Paid => is == Some(Status::Success),
            State::Cancelled(CancelAction::Refund) => is == Some(Status::Refunded),
            _ => !matches!(is, Some(Status::Success | Status::Refunded)),
        };
        if !fits && !self.cannot_be_told_apart(&number) {
            self.broke(format!("{number} is told {:?}, the gateway says {is:?}", payment.state));
        }
        match &payment.state {
            State::Paid if payment.attention.is_some() => self.ends.paid_though_stopped += 1,
            State::Paid => self.ends.paid += 1,
            State::Declined => self.ends.declined += 1,
            State::Cancelled(CancelAction::Close) => self.ends.closed += 1,
            State::Cancelled(CancelAction::Refund) => self.ends.refunded += 1,
            State::Cancelled(CancelAction::None) => self.ends.never_sent += 1,
            _ => {}
        }
        let sale = self.sale_of[&number];
        if payment.state != State::Paid
            && self.chaos
            && self.sales[sale].attempts.len() < 4
            && self.random.chance(50)
        {
            let at = self.random.below(20_000);
            self.after(at, Happening::Begin { sale });
        }
    }

    /// After the trouble is over: everything is settled, and the journal says
    /// what the ledger says.
    fn compare_the_books(&mut self) {
        let payments: Vec<Payment> = self.disk.values().cloned().collect();
        for payment in payments {
            let number: &OutTradeNo = &payment.order.out_trade_no;
            let trade = self.gateway.trades.get(number.as_str());
            if !payment.is_final() {
                // Another sale's number; or a buyer who was quicker with a trade
                // that our decline had left than we were with the query, which
                // looks the same (rule 8). Both are for a person.
                let declined = payment.pay.as_ref().is_some_and(|p| p.declined);
                let paid = trade.is_some_and(|t| t.status == Status::Success);
                let foreign = trade.is_some_and(|t| t.foreign) || (declined && paid);
                if !foreign || payment.attention.is_none() {
                    self.broke(format!("{number} hangs in {:?}", payment.state));
                }
                continue;
            }
            let is = self.status(number.as_str());
            let fits = match &payment.state {
                State::Paid => is == Some(Status::Success),
                State::Cancelled(CancelAction::Refund) => is == Some(Status::Refunded),
                _ => !matches!(is, Some(Status::Success | Status::Refunded | Status::Wait)),
            };
            if !fits && !self.cannot_be_told_apart(number.as_str()) {
                self.broke(format!("{number} ended {:?}, the gateway says {is:?}", payment.state));
            }
        }
    }
}

fn never_left(call: Call) -> Answer {
    match call {
        Call::Pay => Answer::Pay(PayAnswer::NotSent(unsettled(TroubleKind::Unreachable))),
        Call::Query | Call::Cancel => no_answer(call, TroubleKind::Unreachable),
    }
}

fn no_answer(call: Call, kind: TroubleKind) -> Answer {
    match call {
        Call::Pay => Answer::Pay(PayAnswer::Unknown(unsettled(kind))),
        Call::Query => Answer::Query(QueryAnswer::Unknown(unsettled(kind))),
        Call::Cancel => Answer::Cancel(CancelAnswer::Unknown(unsettled(kind))),
    }
}
