//! Many payments at one terminal, whose daemon dies again and again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tilld::journal;
use tilld::sandbox::endings::ENDINGS;

use crate::Random;
use crate::books::{self, Word};
use crate::killer::{Killer, Since};
use crate::register::{self, Event, Listener, Reply};
use crate::shop::{Daemon, LOOK_AGAIN, Shop, Terminal};
use crate::story::SLOW_MS;

/// All payments are over long before.
const OVER_WITHIN: Duration = Duration::from_secs(180);

/// One of them.
struct Order {
    number: String,
    code: String,
    request: Value,
    /// The answer, if it came.
    answer: Option<Reply>,
}

impl Order {
    fn path(&self) -> String {
        format!("/v1/payments/{}", self.number)
    }

    /// What the register knows: it is taken, or it is denied, or nothing.
    fn is_taken(&self) -> Option<bool> {
        self.answer.as_ref().map(|reply| {
            let denied = reply.status == 503 && reply.body["retry"] == "same_request";
            assert!(denied || reply.status == 201, "{reply:?}");
            !denied
        })
    }
}

/// A terminal, what was asked of it, and what it has told.
pub(crate) struct Crowd<'a> {
    shop: &'a Shop,
    terminal: Terminal,
    orders: Vec<Order>,
    told: Vec<Event>,
}

impl<'a> Crowd<'a> {
    pub(crate) fn new(shop: &'a Shop) -> Self {
        Self { shop, terminal: shop.terminal(false), orders: Vec::new(), told: Vec::new() }
    }

    /// Starts the daemon, asks for so many new payments at once, and then lets
    /// `end` do to the daemon what it likes.
    pub(crate) fn live(
        &mut self,
        many: usize,
        random: &mut Random,
        end: impl FnOnce(Daemon, &Listener),
    ) {
        let slow = random.below(2) * SLOW_MS;
        let killer = Killer { slow, ..self.terminal.killer("points", 0, Since::Start) };
        let daemon = self.terminal.start_ready(Some(&killer)).unwrap();
        let last = self.told.last().map_or(0, |event| event.id);
        let listener = Listener::start(&self.terminal.socket(), Some(last)).unwrap();
        let mut new: Vec<Order> = (0..many).map(|_| self.order(random)).collect();
        let socket = self.terminal.socket();
        std::thread::scope(|scope| {
            for order in &mut new {
                let socket = &socket;
                scope.spawn(|| {
                    order.answer = register::put(socket, &order.path(), &order.request).ok();
                });
            }
            end(daemon, &listener);
        });
        self.orders.extend(new);
        self.told.extend(listener.all());
    }

    fn order(&self, random: &mut Random) -> Order {
        let ending = 1 + random.below(u64::try_from(ENDINGS.len()).unwrap());
        let code = self.shop.code();
        let amount = format!("77.{ending:02}");
        let request = json!({ "amount": amount, "subject": "茶", "auth_code": code });
        Order { number: format!("CROWD_{}", &code[4..]), code, request, answer: None }
    }

    /// Starts the daemon a last time, and judges everything once it is over.
    pub(crate) fn judge(self) {
        let mut daemon = self.terminal.start_ready(None).unwrap();
        let (socket, deadline) = (self.terminal.socket(), Instant::now() + OVER_WITHIN);
        // Every other register whose request was not answered asks again.
        for order in self.orders.iter().filter(|o| o.answer.is_none()).step_by(2) {
            let reply = register::put(&socket, &order.path(), &order.request).unwrap();
            assert!([200, 201].contains(&reply.status), "{reply:?}");
        }
        let mut words = Vec::new();
        for order in &self.orders {
            let payment = loop {
                let reply = register::get(&socket, &order.path()).unwrap();
                match reply.status {
                    200 if books::is_over(&reply.body) => break Some(reply.body),
                    200 => {}
                    404 => break None,
                    _ => panic!("{reply:?}"),
                }
                assert!(Instant::now() < deadline, "does not end: {reply:?}");
                std::thread::sleep(5 * LOOK_AGAIN);
            };
            if let Some(taken) = order.is_taken() {
                assert_eq!(payment.is_some(), taken, "{:?}", order.answer);
            }
            words.push(Word { number: order.number.clone(), payment });
        }
        self.compare_with_what_was_told(&words, deadline);
        assert!(!daemon.is_killed().unwrap());
        daemon.kill();
        for word in &words {
            books::compare(word, self.shop.ledger()).unwrap();
        }
        for order in &self.orders {
            assert_eq!(self.terminal.holds(&order.code), None, "the code of {}", order.number);
        }
        let report = journal::verify(&self.terminal.journal(), None).unwrap();
        let known = words.iter().filter(|word| word.payment.is_some()).count();
        assert_eq!(report.payments, u64::try_from(known).unwrap());
        println!("{} payments, {} entries, {} told", known, report.entries, self.told.len());
    }

    fn compare_with_what_was_told(&self, words: &[Word], deadline: Instant) {
        let listener = Listener::start(&self.terminal.socket(), Some(0)).unwrap();
        let last = self.told.last().map_or(0, |event| event.id);
        let replay = loop {
            if last == 0 || listener.told().last().is_some_and(|event| event.id >= last) {
                break listener.told();
            }
            assert!(Instant::now() < deadline, "the events stop before {last}");
            std::thread::sleep(LOOK_AGAIN);
        };
        for event in &self.told {
            assert!(replay.contains(event), "told before a crash and not after it: {event:?}");
        }
        let finals = self.told.iter().filter_map(Event::payment).filter(|p| p["final"] == true);
        for told in finals {
            let word = words.iter().find(|word| told["out_trade_no"] == *word.number).unwrap();
            assert_eq!(word.payment.as_ref(), Some(&told), "told as final before a crash");
        }
    }
}
