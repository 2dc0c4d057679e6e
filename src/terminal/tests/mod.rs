//! What is admitted, what is denied, and the order of disk and world.

mod again;
mod codes;
mod refunds;

use super::*;
use crate::payment::{
    Amount, CancelAction, Order, PayAnswer, QueryAnswer, Sentence, State, Trade, Trouble, Wire,
};

/// A terminal with its disk: writes are acknowledged when a test says so.
struct Till {
    terminal: Terminal,
    disk: BTreeMap<OutTradeNo, Payment>,
    refunds: Vec<Refund>,
    unwritten: Vec<(Ticket, Entry)>,
    /// The calls that were named with an entry, as they may be sent.
    ahead: HashMap<Serial, (crate::payment::Call, Payment, Option<AuthCode>)>,
    notes: Vec<Entry>,
    sent: Vec<(Serial, crate::payment::Call, Subject)>,
    replies: Vec<(u64, Reply)>,
    now: i64,
}

impl Till {
    fn new(scanners: &[&str]) -> Self {
        let scanners = scanners.iter().map(|s| (*s).to_owned()).collect();
        Self {
            terminal: Terminal::new(Rules::default(), till_codes(), scanners),
            disk: BTreeMap::new(),
            refunds: Vec::new(),
            unwritten: Vec::new(),
            ahead: HashMap::new(),
            notes: Vec::new(),
            sent: Vec::new(),
            replies: Vec::new(),
            now: 1_000_000,
        }
    }

    fn moment(&self) -> Moment {
        let at = Timestamp(self.now);
        Moment::undisputed(at, at, at)
    }

    fn handle(&mut self, input: Input) {
        let out = self.terminal.handle(input, self.moment()).expect("legal");
        for output in out {
            match output {
                Output::Write { ticket, entry, ahead } => {
                    if let Entry::Payment { payment, .. } = &entry {
                        let named = ahead.map(|a| (a.serial, (a.call, payment.clone(), a.code)));
                        self.ahead.extend(named);
                    }
                    self.unwritten.push((ticket, entry));
                }
                Output::Send { serial, call, about, code } => {
                    if let Matter::Payment(payment) = &about {
                        let sent = (call, payment.clone(), code);
                        match self.ahead.remove(&serial) {
                            Some(named) => assert_eq!(named, sent),
                            None => assert_eq!(call, crate::payment::Call::Query, "unwritten"),
                        }
                    }
                    // A question may be asked unwritten; what changes anything may
                    // not.
                    use crate::payment::Call::{
                        Cancel, Pay, Precreate, Query, Refund, RefundQuery,
                    };
                    let asks = match call {
                        Query | RefundQuery => true,
                        Pay | Precreate | Cancel | Refund => false,
                    };
                    let written = match &about {
                        Matter::Payment(payment) => {
                            self.disk.get(&payment.order().out_trade_no) == Some(payment)
                        }
                        Matter::Refund(refund) => self.refunds.contains(refund),
                    };
                    assert!(asks || written, "{call:?} goes out before it is on disk");
                    self.sent.push((serial, call, about.subject()));
                }
                Output::Reply { id, reply } => {
                    if let Reply::Started(payment) | Reply::Stands(payment) = &reply {
                        assert_eq!(self.disk.get(&payment.order().out_trade_no), Some(payment));
                    }
                    if let Reply::Refund { refund, .. } = &reply {
                        assert!(self.refunds.contains(refund), "told before it is on disk");
                    }
                    self.replies.push((id.0, reply));
                }
            }
        }
    }

    /// Everything reaches the disk.
    fn sync(&mut self) {
        while !self.unwritten.is_empty() {
            let (ticket, entry) = self.unwritten.remove(0);
            match entry {
                Entry::Payment { payment, .. } => {
                    self.disk.insert(payment.order().out_trade_no.clone(), payment);
                }
                Entry::Refund { refund, .. } => {
                    let same = |r: &Refund| {
                        r.of() == refund.of() && r.asked().request == refund.asked().request
                    };
                    self.refunds.retain(|r| !same(r));
                    self.refunds.push(refund);
                }
                note @ (Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. }) => {
                    self.notes.push(note);
                }
            }
            self.handle(Input::Written(ticket));
        }
    }

    fn fail_writes(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.unwritten) {
            self.handle(Input::NotWritten(ticket, "disk full".to_owned()));
        }
    }

    fn known(&self, number: &OutTradeNo, sale: Option<&str>) -> Box<Known> {
        let of_sale = |p: &&Payment| sale.is_some() && p.order().sale.as_deref() == sale;
        let live = |p: &&Payment| p.state() == State::Paid || !p.is_final();
        let attempts: Vec<_> = self.disk.values().filter(of_sale).collect();
        let attempt = attempts.iter().copied().find(live).or(attempts.last().copied());
        let number = self.disk.get(number).cloned();
        Box::new(Known { number, sale: attempt.cloned(), code: None, refunds: Vec::new() })
    }

    /// What the journal would find for a code.
    fn used_for(&self, mark: Option<CodeMark>) -> Option<Payment> {
        let marked = |p: &&Payment| p.mark() == mark;
        let all = self.disk.values().filter(marked);
        mark.and(all.max_by_key(|payment| payment.updated_at()).cloned())
    }

    fn pay(&mut self, id: u64, request: PayRequest) {
        let mut known = self.known(&request.order.out_trade_no, request.order.sale.as_deref());
        let request = Request::Pay(Box::new(request));
        known.code = self.used_for(self.terminal.mark_of(&request));
        self.handle(Input::Request { id: RequestId(id), request, known, asker: None });
    }

    fn bring(&mut self, id: u64, number: &str, text: &str) {
        let number: OutTradeNo = number.parse().expect("valid");
        let mut known = self.known(&number, None);
        let request = Request::Code { number, code: code(text) };
        known.code = self.used_for(self.terminal.mark_of(&request));
        self.handle(Input::Request { id: RequestId(id), request, known, asker: None });
    }

    fn stop(&mut self, id: u64, number: &str) {
        let number: OutTradeNo = number.parse().expect("valid");
        let known = self.known(&number, None);
        self.handle(Input::Request {
            id: RequestId(id),
            request: Request::Stop { number },
            known,
            asker: None,
        });
    }

    fn scan(&mut self, scanner: &str, text: &str, started_at: i64) {
        self.scan_as(scanner, text, None, started_at);
    }

    fn scan_as(&mut self, scanner: &str, text: &str, aim: Option<&str>, started_at: i64) {
        let text = SecretText::new(text.to_owned());
        let known = self.used_for(self.terminal.mark_of_scan(scanner, &text, aim));
        self.handle(Input::Scan {
            scanner: scanner.to_owned(),
            text,
            aim: aim.map(str::to_owned),
            started_at: Timestamp(started_at),
            known: known.map(Box::new),
        });
    }

    fn news(&mut self, scanner: &str, news: ScannerNews) {
        self.handle(Input::News { scanner: scanner.to_owned(), news });
    }

    /// The daemon was down.
    fn restart(&mut self, scanners: &[&str]) {
        let scanners = scanners.iter().map(|s| (*s).to_owned()).collect();
        self.terminal = Terminal::new(Rules::default(), till_codes(), scanners);
        (self.unwritten, self.sent) = (Vec::new(), Vec::new());
        let open = self.disk.values().filter(|p| !p.is_final()).cloned().collect();
        let is_open = |r: &&Refund| {
            !r.is_final() || self.disk.get(r.of()).is_some_and(|payment| !payment.is_final())
        };
        let refunds = self.refunds.iter().filter(is_open).cloned().collect();
        let out = self.terminal.recover(open, refunds, self.moment()).expect("legal");
        for output in out {
            match output {
                Output::Write { ticket, entry, .. } => self.unwritten.push((ticket, entry)),
                Output::Send { serial, call, about, .. } => {
                    assert_eq!(call, crate::payment::Call::RefundQuery, "acts before disk");
                    self.sent.push((serial, call, about.subject()));
                }
                Output::Reply { .. } => panic!("nobody asks"),
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        let (serial, _, subject) = self.sent.last().expect("a call is out").clone();
        self.answer_to(serial, subject, answer);
    }

    fn answer_to(&mut self, serial: Serial, subject: Subject, answer: Answer) {
        let answered = Answered { answer, gateway_time: None, wire: Wire::default() };
        self.handle(Input::Answered { subject, serial, answered: Box::new(answered) });
    }

    fn give_back(&mut self, id: u64, number: &str, request: &str, amount: &str) {
        let number: OutTradeNo = number.parse().expect("valid");
        let refunds = self.refunds.iter().filter(|r| *r.of() == number).cloned().collect();
        let known = Known { refunds, ..*self.known(&number, None) };
        let ask = RefundAsk {
            number,
            request: request.parse().expect("valid"),
            amount: amount.parse().expect("valid"),
            reason: None,
            operator_id: None,
        };
        let (request, known) = (Request::Refund(Box::new(ask)), Box::new(known));
        self.handle(Input::Request { id: RequestId(id), request, known, asker: None });
    }

    fn reply(&self, id: u64) -> &Reply {
        let mut replies = self.replies.iter().filter(|(to, _)| *to == id);
        let reply = replies.next().unwrap_or_else(|| panic!("no reply to {id}"));
        assert!(replies.next().is_none(), "two replies to {id}");
        &reply.1
    }

    fn denied(&self, id: u64) -> &Denied {
        match self.reply(id) {
            Reply::Denied(denied) => denied,
            Reply::Started(_) | Reply::Stands(_) | Reply::Refund { .. } => {
                panic!("{id} was not denied")
            }
        }
    }

    fn state(&self, number: &str) -> State {
        self.disk[&number.parse::<OutTradeNo>().expect("valid")].state()
    }

    fn calls(&self) -> Vec<crate::payment::Call> {
        self.sent.iter().map(|(_, call, _)| *call).collect()
    }
}

const CODE: &str = "281234567890123494";

fn request(number: &str) -> PayRequest {
    let order = Order::new(
        number.parse().expect("valid"),
        "12.50".parse::<Amount>().expect("valid"),
        "coffee".to_owned(),
    );
    PayRequest { order, code: None, keyed_by_sale: false }
}

fn till_codes() -> Codes {
    let labels = ScaleLabels::new(vec!["26".to_owned()]);
    Codes { key: CodeKey::derive(b"the key of the tests"), labels }
}

fn code(text: &str) -> AuthCode {
    AuthCode::read(&SecretText::new(text.to_owned())).expect("a code")
}

/// The code of the customer who pays this number.
fn code_for(number: &str) -> String {
    let digits: u32 = number.bytes().fold(0, |sum, b| sum * 7 + u32::from(b));
    format!("2812345678{digits:08}")
}

fn with_code(number: &str) -> PayRequest {
    PayRequest { code: Some(code(&code_for(number))), ..request(number) }
}

fn for_sale(number: &str, sale: &str) -> PayRequest {
    let mut request = with_code(number);
    request.order.sale = Some(sale.to_owned());
    request
}

fn paid() -> Answer {
    Answer::Pay(PayAnswer::Paid(Trade::default()))
}

#[test]
fn nothing_is_sent_or_told_before_it_is_on_disk() {
    let mut till = Till::new(&[]);
    till.pay(1, with_code("T1"));
    assert!(till.sent.is_empty() && till.replies.is_empty());
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Pay]);
    assert!(matches!(till.reply(1), Reply::Started(_)));
    till.stop(2, "T1");
    till.answer(paid());
    assert!(till.replies.iter().all(|(id, _)| *id == 1));
    till.sync();
    assert_eq!(till.state("T1"), State::Paid);
    assert_eq!(till.terminal.open_count(), 0);
}

/// What a test's [`Till::handle`] compares at every call: it is sent as it was named.
#[test]
fn a_call_is_named_with_its_entry_and_never_sent_if_that_is_not_written() {
    let mut till = Till::new(&["lane"]);
    till.pay(1, request("T1"));
    assert!(till.ahead.is_empty(), "nothing follows");
    till.sync();
    till.scan("lane", CODE, till.now);
    let (call, _, brought) = till.ahead.values().next().expect("named").clone();
    assert_eq!((call, brought), (crate::payment::Call::Pay, Some(code(CODE))));
    till.fail_writes();
    let not_written = std::mem::take(&mut till.ahead);
    till.now += 5_000;
    till.handle(Input::Tick);
    till.sync();
    till.scan("lane", CODE, till.now);
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Pay]);
    assert!(till.sent.iter().all(|(serial, ..)| !not_written.contains_key(serial)));
    till.answer(paid());
    assert!(till.ahead.is_empty(), "nothing follows");
}

#[test]
fn equal_requests_at_once_are_one_payment() {
    let mut till = Till::new(&[]);
    for id in 1..=50 {
        till.pay(id, with_code("T1"));
    }
    till.sync();
    till.answer(paid());
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Pay]);
    assert!(matches!(till.reply(1), Reply::Started(_)));
    for id in 2..=50 {
        assert!(matches!(till.reply(id), Reply::Stands(_)));
    }
    // And long afterwards, also with another code.
    till.pay(51, request("T1"));
    assert!(matches!(till.reply(51), Reply::Stands(p) if p.state() == State::Paid));
}

#[test]
fn a_number_in_use_for_something_else_is_a_conflict() {
    let mut till = Till::new(&[]);
    till.pay(1, with_code("T1"));
    let mut other = with_code("T1");
    other.order.amount = "12.51".parse().expect("valid");
    other.order.subject = "tea".to_owned();
    till.pay(2, other.clone());
    till.sync();
    till.answer(paid());
    till.sync();
    till.pay(3, other);
    for id in [2, 3] {
        let Denied::OrderConflict { differs, .. } = till.denied(id) else { panic!("{id}") };
        assert_eq!(differs, &["amount", "subject"]);
    }
}

#[test]
fn a_sale_is_attempted_again_only_when_it_is_proven_not_paid() {
    let mut till = Till::new(&[]);
    till.pay(1, for_sale("T1", "S"));
    till.pay(2, for_sale("T2", "S"));
    till.sync();
    till.pay(3, for_sale("T3", "S"));
    for id in [2, 3] {
        assert!(
            matches!(till.denied(id), Denied::SaleInDoubt { number } if number.as_str() == "T1")
        );
    }
    // It never left, and the code is given up.
    let trouble = Trouble { kind: TroubleKind::Unreachable, text: "refused".to_owned() };
    till.now += 60_000;
    till.answer(Answer::Pay(PayAnswer::NotSent(trouble)));
    till.pay(4, for_sale("T4", "S"));
    assert!(matches!(till.denied(4), Denied::SaleInDoubt { .. }), "not on disk yet");
    till.sync();
    till.pay(5, for_sale("T5", "S"));
    till.sync();
    till.answer(paid());
    till.sync();
    till.pay(6, for_sale("T6", "S"));
    assert!(matches!(till.denied(6), Denied::SaleAlreadyPaid { payment, long_ago: false }
            if payment.order().out_trade_no.as_str() == "T5"));
}

#[test]
fn the_sale_can_be_the_key() {
    let keyed = |number| PayRequest { keyed_by_sale: true, ..for_sale(number, "S") };
    let mut till = Till::new(&[]);
    till.pay(1, keyed("R1"));
    till.pay(2, keyed("R2"));
    till.sync();
    till.answer(paid());
    till.sync();
    till.pay(3, keyed("R3"));
    for id in [2, 3] {
        assert!(
            matches!(till.reply(id), Reply::Stands(p) if p.order().out_trade_no.as_str() == "R1")
        );
    }
    let mut other = keyed("R4");
    other.order.amount = "99".parse().expect("valid");
    till.pay(4, other);
    assert!(matches!(till.denied(4), Denied::SaleConflict(_)));
    assert_eq!(till.calls().len(), 1);
}

#[test]
fn scanners_are_chosen_and_shared_one_at_a_time() {
    let mut till = Till::new(&["a", "b"]);
    till.pay(1, request("T1"));
    assert!(matches!(till.denied(1), Denied::ScannerNeeded(all) if all.len() == 2));
    let on = |number, scanner: &str| {
        let mut request = request(number);
        request.order.scanner = Some(scanner.to_owned());
        request
    };
    till.pay(2, on("T2", "c"));
    assert!(matches!(till.denied(2), Denied::UnknownScanner(_)));
    till.pay(3, on("T3", "a"));
    till.pay(4, on("T4", "a"));
    assert!(
        matches!(till.denied(4), Denied::ScannerBusy { number, .. } if number.as_str() == "T3")
    );
    till.pay(5, on("T5", "b"));
    till.sync();
    assert!(matches!(till.reply(5), Reply::Started(_)));
    // With its own code it needs no scanner.
    till.pay(6, with_code("T6"));
    till.sync();
    assert!(matches!(till.reply(6), Reply::Started(_)));

    let mut only = Till::new(&["only"]);
    only.pay(1, request("T1"));
    only.sync();
    assert!(
        matches!(only.reply(1), Reply::Started(p) if p.order().scanner.as_deref() == Some("only"))
    );
}

#[test]
fn only_a_code_that_began_after_the_payment_pays_it() {
    let mut till = Till::new(&["a"]);
    till.scan("a", CODE, till.now);
    till.now += 5_000;
    till.pay(1, request("T1"));
    till.sync();
    till.scan("a", CODE, till.now - 1);
    till.scan("a", "134567890123456789", till.now);
    till.scan("a", "6901234567892", till.now);
    till.scan("b", CODE, till.now);
    till.sync();
    assert!(till.sent.is_empty());
    let kinds: Vec<_> = till
        .notes
        .iter()
        .filter_map(|note| match note {
            Entry::Scan { kind, text, .. } => {
                assert!(!text.contains("3456789012345"), "{text}");
                Some(kind.name())
            }
            Entry::Payment { .. }
            | Entry::Refund { .. }
            | Entry::Scanner { .. }
            | Entry::Gateway { .. } => None,
        })
        .collect();
    assert_eq!(kinds, ["alipay", "too_early", "wechat", "goods", "alipay"]);
    till.scan("a", CODE, till.now);
    // Read twice: the second is for nobody.
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Pay]);
}

#[test]
fn a_scan_while_the_request_is_being_written_is_not_lost() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Pay]);
}

#[test]
fn answers_to_earlier_calls_are_not_answers() {
    let mut till = Till::new(&[]);
    till.pay(1, with_code("T1"));
    till.sync();
    let (pay, _, subject) = till.sent[0].clone();
    let trouble = Trouble { kind: TroubleKind::NoAnswer, text: String::new() };
    till.answer(Answer::Pay(PayAnswer::Unknown(trouble)));
    till.sync();
    till.now += 1_000;
    till.handle(Input::Tick);
    till.sync();
    assert_eq!(till.calls().len(), 2);
    till.answer_to(pay, subject, paid());
    till.sync();
    assert!(matches!(till.state("T1"), State::Resting { .. }), "it is not paid");
    till.answer(Answer::Query(QueryAnswer::NotExist));
    till.sync();
    assert_eq!(till.terminal.open_count(), 1, "its own answer is one");
}

#[test]
fn a_stop_is_answered_with_the_truth() {
    let mut till = Till::new(&[]);
    till.stop(1, "T1");
    assert_eq!(till.denied(1), &Denied::NotFound);
    till.pay(2, request("T1"));
    till.stop(3, "T1");
    till.sync();
    assert!(
        matches!(till.reply(3), Reply::Stands(p) if p.state() == State::Cancelled(CancelAction::None))
    );
    till.stop(4, "T1");
    assert!(matches!(till.reply(4), Reply::Stands(_)));
    till.pay(5, with_code("T2"));
    till.sync();
    till.answer(paid());
    till.stop(6, "T2");
    till.sync();
    till.stop(7, "T2");
    for id in [6, 7] {
        assert!(matches!(till.denied(id), Denied::AlreadyPaid(_)), "{id}");
    }
    // Asked for twice, it is one step.
    till.pay(8, with_code("T3"));
    till.sync();
    till.stop(9, "T3");
    till.sync();
    let rev = till.disk[&"T3".parse::<OutTradeNo>().expect("valid")].rev();
    till.stop(10, "T3");
    till.sync();
    assert!(matches!(till.reply(10), Reply::Stands(p) if p.rev() == rev));
}

#[test]
fn a_journal_that_cannot_be_written_begins_nothing_and_loses_nothing() {
    let mut till = Till::new(&["a"]);
    till.pay(1, with_code("T1"));
    till.sync();
    till.pay(2, with_code("T2"));
    till.pay(3, with_code("T2"));
    till.fail_writes();
    for id in [2, 3] {
        assert!(matches!(till.denied(id), Denied::JournalUnavailable(_)));
    }
    assert_eq!(till.terminal.open_count(), 1, "T2 does not exist");
    till.handle(Input::Journal(Err("disk full".to_owned())));
    till.pay(4, with_code("T4"));
    assert!(matches!(till.denied(4), Denied::JournalUnavailable(_)));
    // The answer comes while nothing can be written: kept, and told later.
    till.answer(paid());
    for _ in 0..5 {
        till.fail_writes();
        assert!(till.unwritten.is_empty(), "not retried at once");
        till.now += 1_000;
        till.handle(Input::Tick);
        assert_eq!(till.unwritten.len(), 1);
    }
    assert_eq!(till.state("T1"), State::Paying);
    till.sync();
    assert_eq!(till.state("T1"), State::Paid);
}

#[test]
fn a_scan_that_could_not_be_written_can_be_made_again() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    till.scan("a", CODE, till.now);
    till.fail_writes();
    assert!(till.sent.is_empty());
    till.now += 2_000;
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Pay]);
}

#[test]
fn stopping_begins_nothing_new_and_still_answers() {
    let mut till = Till::new(&[]);
    till.pay(1, with_code("T1"));
    till.sync();
    till.handle(Input::Stop);
    till.pay(2, with_code("T2"));
    assert_eq!(till.denied(2), &Denied::Stopping);
    till.pay(3, with_code("T1"));
    assert!(matches!(till.reply(3), Reply::Stands(_)));
}

#[test]
fn while_it_drains_or_its_clock_or_a_key_is_wrong_it_begins_nothing_new_and_goes_on_with_what_is_open()
 {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    till.handle(Input::Drain(true));
    till.handle(Input::Clock(Err("1970".to_owned())));
    till.pay(2, with_code("T2"));
    assert_eq!(till.denied(2), &Denied::Draining);
    till.handle(Input::Drain(false));
    till.pay(3, with_code("T3"));
    assert_eq!(till.denied(3), &Denied::ClockWrong("1970".to_owned()));
    let closed = Closed { by: ClosedBy::AppKeyWrong, text: Sentence::new("密钥", "the key") };
    till.handle(Input::Clock(Ok(())));
    till.handle(Input::Keys(Err(closed.clone())));
    till.pay(6, with_code("T6"));
    assert_eq!(till.denied(6), &Denied::KeysWrong(closed));
    till.pay(4, request("T1"));
    assert!(matches!(till.reply(4), Reply::Stands(_)), "it had begun before");
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.sent.len(), 1, "nothing had been sent for it, and now it pays");
    till.handle(Input::Keys(Ok(())));
    till.pay(5, with_code("T5"));
    till.sync();
    assert!(matches!(till.reply(5), Reply::Started(_)));
    assert!(!till.disk.keys().any(|n| ["T2", "T3", "T6"].contains(&n.as_str())));
}

/// Whoever asks again for a sale in doubt must hear of that first: its money is
/// not certainly unspent.
#[test]
fn a_sale_in_doubt_is_told_before_the_drain() {
    let mut till = Till::new(&[]);
    till.pay(1, for_sale("T1", "S1"));
    till.sync();
    till.handle(Input::Drain(true));
    till.handle(Input::Clock(Err("1970".to_owned())));
    till.pay(2, for_sale("T2", "S1"));
    assert!(matches!(till.denied(2), Denied::SaleInDoubt { .. }));
}

#[test]
fn a_gateway_that_is_only_asked_whether_it_is_there_is_news_too() {
    let mut till = Till::new(&[]);
    let heard = |till: &mut Till, answer| till.handle(Input::Heard(Box::new(answer)));
    let trouble = Trouble { kind: TroubleKind::Unreachable, text: "refused".to_owned() };
    heard(&mut till, Answer::Query(QueryAnswer::Unknown(trouble.clone())));
    heard(&mut till, Answer::Query(QueryAnswer::Unknown(trouble)));
    heard(&mut till, Answer::Query(QueryAnswer::NotExist));
    heard(&mut till, Answer::Query(QueryAnswer::NotExist));
    till.sync();
    let up: Vec<_> =
        till.notes.iter().map(|n| matches!(n, Entry::Gateway { up: true, .. })).collect();
    assert_eq!((up, till.sent.len()), (vec![false, true], 0));
}

#[test]
fn the_gateway_going_and_coming_is_news_once() {
    let mut till = Till::new(&[]);
    till.pay(1, with_code("T1"));
    till.sync();
    for _ in 0..3 {
        let trouble = Trouble { kind: TroubleKind::Unreachable, text: "refused".to_owned() };
        till.answer(Answer::Pay(PayAnswer::NotSent(trouble)));
        till.sync();
        till.now += 2_000;
        till.handle(Input::Tick);
        till.sync();
    }
    till.answer(paid());
    till.sync();
    let news: Vec<_> =
        till.notes.iter().map(|n| matches!(n, Entry::Gateway { up: true, .. })).collect();
    assert_eq!(news, [false, true]);
}

#[test]
fn recovery_is_the_live_path_and_never_pays() {
    let mut till = Till::new(&["a"]);
    till.pay(1, with_code("T1"));
    till.sync();
    till.pay(2, request("T2"));
    till.sync();
    till.restart(&["a"]);
    till.sync();
    assert_eq!(till.calls(), [crate::payment::Call::Query]);
    // The customer of T2 is still there.
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.calls().last(), Some(&crate::payment::Call::Pay));
}

#[test]
fn a_thousand_open_payments_are_enough() {
    let mut till = Till::new(&[]);
    let paying = |id: u64| PayRequest {
        code: Some(code(&format!("2812345678{id:08}"))),
        ..request(&format!("T{id}"))
    };
    for id in 0..1_000 {
        till.pay(id, paying(id));
    }
    till.sync();
    assert!(matches!(till.reply(999), Reply::Started(_)));
    till.pay(1_000, paying(1_000));
    assert_eq!(till.denied(1_000), &Denied::TooManyOpen(1_000));
    till.pay(1_001, paying(7));
    assert!(matches!(till.reply(1_001), Reply::Stands(_)), "what is open is still told");
}
