//! One payment whose daemon is killed at one point, and what is true afterwards.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tilld::journal;
use tilld::sandbox::endings::{Ending, Ends};

use crate::books::{self, Word, text};
use crate::killer::{Killer, Point, Since};
use crate::register::{self, Event, Listener, Reply};
use crate::shop::{Daemon, LOOK_AGAIN, Shop, Terminal};

/// Every payment of these stories is over long before.
const OVER_WITHIN: Duration = Duration::from_secs(120);

/// A payment that waits for a person is looked at for so long: long enough for
/// its queries to be points as well.
const QUIET: Duration = Duration::from_millis(1500);

/// What a slow disk takes for an entry: longer than a call takes to leave.
pub(crate) const SLOW_MS: u64 = 30;

/// What happens in a story.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) ending: &'static Ending,
    /// The point at which the daemon is killed; 0 for after the end.
    pub(crate) at: u64,
    /// Whether the register repeats its request after the restart.
    pub(crate) repeats: bool,
    /// The point, counted from its start, at which the second daemon is killed,
    /// too.
    pub(crate) again: Option<u64>,
    pub(crate) tls: bool,
    /// Whether the disk is slow in the first life, so that whatever does not wait
    /// for its entry is ahead of it.
    pub(crate) slow: bool,
}

impl Plan {
    /// Nobody is killed before the end.
    pub(crate) fn undisturbed(ending: &'static Ending) -> Self {
        Self { ending, at: 0, repeats: false, again: None, tls: false, slow: false }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ending, at, repeats, again, tls, slow } = self;
        let number = ending.number;
        write!(f, "ending {number}, killed at {at}, repeats {repeats}, again {again:?}, ")?;
        write!(f, "tls {tls}, slow {slow}")
    }
}

/// What came of it.
pub(crate) struct Outcome {
    /// All points of the first life.
    pub(crate) points: Vec<Point>,
    /// The one that killed, unless the payment was over before.
    pub(crate) killed_at: Option<Point>,
    /// The one that killed the second life.
    pub(crate) killed_again_at: Option<Point>,
    pub(crate) word: Word,
}

/// Plays all plans, so many at a time, and panics with everything that went
/// wrong.
pub(crate) fn play_all(shop: &Shop, plans: &[Plan], at_once: usize) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(plan) = plans.get(index) else { return done };
            done.push((index, play(shop, plan)));
        }
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    for (index, outcome) in done {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(why) => failures.push(format!("{}: {why}", plans[index])),
        }
    }
    let (failed, all) = (failures.len(), plans.len());
    failures.truncate(5);
    assert!(failed == 0, "{failed} of {all} stories went wrong:\n{}", failures.join("\n\n"));
    outcomes
}

fn play(shop: &Shop, plan: &Plan) -> Result<Outcome, String> {
    let terminal = shop.terminal(plan.tls);
    let slow = if plan.slow { SLOW_MS } else { 0 };
    let killer = Killer { slow, ..terminal.killer("points", plan.at, Since::Pay) };
    let result = Story::new(shop, plan, &terminal).play(&killer);
    result.map_err(|why| {
        let point = killer.killed_at().map_or("past the end".to_owned(), |p| p.to_string());
        terminal.with_log(&format!("{point}\n{why}"))
    })
}

/// A story in the folder of a terminal that has been through something before.
pub(crate) fn play_in(shop: &Shop, plan: &Plan, terminal: &Terminal) -> Result<Outcome, String> {
    let killer = terminal.killer("points-later", plan.at, Since::Pay);
    Story::new(shop, plan, terminal).play(&killer)
}

struct Story<'a> {
    shop: &'a Shop,
    plan: &'a Plan,
    terminal: &'a Terminal,
    number: String,
    path: String,
    code: String,
    request: Value,
    /// The answer to the register's request, if it came.
    answer: Option<Reply>,
    /// The events of all lives before the last.
    told: Vec<Event>,
}

impl<'a> Story<'a> {
    fn new(shop: &'a Shop, plan: &'a Plan, terminal: &'a Terminal) -> Self {
        let code = shop.code();
        let number = format!("CRASH_{}", &code[4..]);
        let amount = format!("77.{:02}", plan.ending.number);
        let request = json!({ "amount": amount, "subject": "咖啡", "auth_code": code });
        let path = format!("/v1/payments/{number}");
        let (answer, told) = (None, Vec::new());
        Self { shop, plan, terminal, number, path, code, request, answer, told }
    }

    fn play(mut self, killer: &Killer) -> Result<Outcome, String> {
        self.first_life(killer)?;
        let killed_again_at = match self.plan.again {
            Some(at) => self.second_life(at)?,
            None => None,
        };
        let payment = self.last_life()?;
        let word = Word { number: self.number.clone(), payment };
        books::compare(&word, self.shop.ledger())?;
        self.judge_the_journal(word.payment.is_some())?;
        if let Some(file) = self.terminal.holds(&self.code) {
            return Err(format!("the payment code is in {file}"));
        }
        let points = killer.points();
        Ok(Outcome { killed_at: killer.killed_at(), points, killed_again_at, word })
    }

    /// The register asks and listens, until the daemon is killed or all is over.
    fn first_life(&mut self, killer: &Killer) -> Result<(), String> {
        let mut daemon = self.terminal.start(Some(killer));
        if !daemon.is_ready()? {
            return Err("killed before the request".to_owned());
        }
        let listener = self.listen(None)?;
        self.answer = self.put().ok();
        if let Some(Reply { status, body }) = &self.answer
            && *status != 201
        {
            return Err(format!("the request was answered with {status}: {body}"));
        }
        self.watch(daemon, listener)
    }

    /// The daemon is killed while it recovers.
    fn second_life(&mut self, at: u64) -> Result<Option<Point>, String> {
        let killer = self.terminal.killer("points-again", at, Since::Start);
        let mut daemon = self.terminal.start(Some(&killer));
        if daemon.is_ready()? {
            // It may have been killed since.
            let last = self.told.last().map_or(0, |event| event.id);
            match (self.listen(Some(last)), register::get(&self.terminal.socket(), &self.path)) {
                (Ok(listener), Ok(reply)) if reply.status == 200 => {
                    self.watch(daemon, listener)?;
                }
                (Ok(listener), _) => {
                    daemon.kill();
                    self.told.extend(listener.all());
                }
                (Err(_), _) => {}
            }
        }
        Ok(killer.killed_at())
    }

    /// Hears everything until the daemon is killed; if the payment is over
    /// before, the daemon is killed from outside.
    fn watch(&mut self, mut daemon: Daemon, listener: Listener) -> Result<(), String> {
        let deadline = Instant::now() + OVER_WITHIN;
        let (mut count, mut heard_at) = (0, Instant::now());
        // Perhaps it was over in an earlier life.
        let mut payment = self.told.iter().rev().find_map(Event::payment);
        while !daemon.is_killed()? {
            if listener.count() > count {
                let told = listener.told();
                count = told.len();
                heard_at = Instant::now();
                payment = told.iter().rev().find_map(Event::payment).or(payment);
            }
            if let Some(payment) = &payment
                && books::is_over(payment)
                && (payment["final"] == true || heard_at.elapsed() > QUIET)
            {
                break;
            }
            if Instant::now() > deadline {
                return Err("the payment does not end".to_owned());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        daemon.kill();
        self.told.extend(listener.all());
        Ok(())
    }

    /// Nobody is killed any more: the payment comes to its end by itself.
    fn last_life(&self) -> Result<Option<Value>, String> {
        let mut daemon = self.terminal.start_ready(None)?;
        let payment = self.settle(&mut daemon)?;
        self.compare_with_what_was_told(payment.as_ref())?;
        daemon.kill();
        Ok(payment)
    }

    fn settle(&self, daemon: &mut Daemon) -> Result<Option<Value>, String> {
        if self.plan.repeats {
            let reply = self.put().map_err(|why| format!("the repeated request: {why}"))?;
            let known = self.answer.is_some() || self.told_of_the_payment().is_some();
            let good = if known { reply.status == 200 } else { matches!(reply.status, 200 | 201) };
            if !good {
                return Err(format!("the repeated request was answered with {reply:?}"));
            }
        }
        let deadline = Instant::now() + OVER_WITHIN;
        loop {
            let killed = daemon.is_killed()?;
            let reply = register::get(&self.terminal.socket(), &self.path);
            match reply {
                Ok(Reply { status: 200, body }) if books::is_over(&body) => {
                    return Ok(Some(body));
                }
                Ok(Reply { status: 200, .. }) => {}
                Ok(Reply { status: 404, .. }) if !self.plan.repeats => return Ok(None),
                other => return Err(format!("asked for the payment: {other:?}, {killed}")),
            }
            if Instant::now() > deadline {
                return Err("the payment does not end after the restart".to_owned());
            }
            std::thread::sleep(5 * LOOK_AGAIN);
        }
    }

    /// The first event about the payment. That the gateway answers is one, too,
    /// and is told before anybody has asked for anything.
    fn told_of_the_payment(&self) -> Option<&Event> {
        self.told.iter().find(|event| event.payment().is_some())
    }

    /// What anybody was told before a crash is true after it.
    fn compare_with_what_was_told(&self, payment: Option<&Value>) -> Result<(), String> {
        let Some(payment) = payment else {
            return match (&self.answer, self.told_of_the_payment()) {
                (None, None) => Ok(()),
                told => Err(format!("forgotten after the register was told: {told:?}")),
            };
        };
        let last = self.told.last().map_or(0, |event| event.id);
        let listener = self.listen(Some(0))?;
        let deadline = Instant::now() + OVER_WITHIN;
        let goal = payment["rev"].as_u64().unwrap_or_default();
        let mut count = 0;
        let replay = loop {
            if listener.count() > count {
                let replay = listener.told();
                count = replay.len();
                let reached = replay.iter().filter_map(Event::payment).any(|p| p["rev"] == goal);
                if reached && replay.last().is_some_and(|event| event.id >= last) {
                    break replay;
                }
            }
            if Instant::now() > deadline {
                return Err(format!("the events stop before {last}, revision {goal}"));
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        if let Some(event) = self.told.iter().find(|event| !replay.contains(event)) {
            return Err(format!("told before the crash and not after it: {event:?}"));
        }
        let revisions: Vec<Value> = replay.iter().filter_map(Event::payment).collect();
        for mut told in self.answer.iter().map(|reply| reply.body.clone()) {
            // Runs down with the clock, and events do not have it.
            if told.get("seconds_left").is_some() {
                told["seconds_left"] = Value::Null;
            }
            if !revisions.contains(&told) {
                return Err(format!("answered before the crash and not true after it: {told}"));
            }
        }
        let told = self.told.iter().filter_map(Event::payment);
        if let Some(told) = told.filter(|told| told["final"] == true).find(|told| told != payment) {
            return Err(format!("told as final: {told}\nafter the crash: {payment}"));
        }
        Ok(())
    }

    /// Every entry is as it was written, whoever asks.
    fn judge_the_journal(&self, holds_the_payment: bool) -> Result<(), String> {
        let report =
            journal::verify(&self.terminal.journal(), None).map_err(|why| why.to_string())?;
        let is_open = self.plan.ending.ends == Ends::Open;
        if report.payments != u64::from(holds_the_payment) || (report.open > 0 && !is_open) {
            return Err(format!("the journal holds {report:?}"));
        }
        Ok(())
    }

    fn put(&self) -> std::io::Result<Reply> {
        register::put(&self.terminal.socket(), &self.path, &self.request)
    }

    fn listen(&self, last: Option<u64>) -> Result<Listener, String> {
        Listener::start(&self.terminal.socket(), last).map_err(|why| format!("events: {why}"))
    }
}

/// Where the table says that a payment ends, if nothing is killed.
pub(crate) fn ends_as_the_table_says(ending: &Ending, word: &Word) -> bool {
    let Some(payment) = &word.payment else { return false };
    let (state, money) = (text(payment, "state"), text(payment, "money"));
    match ending.ends {
        Ends::Paid => (state, money) == ("paid", "taken"),
        Ends::Declined => (state, money) == ("declined", "none"),
        Ends::Closed => (state, money) == ("cancelled", "none"),
        Ends::Returned => (state, money) == ("cancelled", "returned"),
        Ends::Open => money == "unknown",
    }
}
