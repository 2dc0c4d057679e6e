//! A refund whose daemon is killed at one point, or whose disk hangs there: it goes
//! back once, under one number, and the ledger, the journal and everybody who was
//! told say the same.
//!
//! What the terminal owes is ending 40 of a payment, which [`crate::story`] plays.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tilld::journal;

use crate::Random;
use crate::books;
use crate::killer::{self, Killer, Since, Stall};
use crate::register::{self, Event, Listener, Reply};
use crate::shop::{Daemon, LOOK_AGAIN, Shop, Terminal};
use crate::story::SLOW_MS;

const OVER_WITHIN: Duration = Duration::from_secs(120);

/// Stories played at a time; they mostly wait.
const AT_ONCE: usize = 40;

/// Longer than the daemon lets a register wait for its loop (10 s).
const HANGS: Duration = Duration::from_secs(11);

const REQUEST: &str = "R1";

/// What is asked for: how much of 100.00 yuan, and the reason, which picks the
/// ending.
#[derive(Clone, Copy, Debug)]
struct Wish {
    amount: &'static str,
    reason: &'static str,
}

/// A wish for each way in which a refund can come to its end.
const WISHES: [Wish; 9] = [
    Wish { amount: "40.00", reason: "凉了" },
    Wish { amount: "100.00", reason: "凉了" },
    // The answer is lost; the request is lost.
    Wish { amount: "40.00", reason: "66.02" },
    Wish { amount: "100.00", reason: "66.03" },
    // 20000, and done at once, or late, or by the next one only.
    Wish { amount: "40.00", reason: "66.04" },
    Wish { amount: "40.00", reason: "66.05" },
    Wish { amount: "100.00", reason: "66.06" },
    // The merchant's account is empty twice.
    Wish { amount: "40.00", reason: "66.09" },
    // Queries lag, so that it is sent again: fund_change N.
    Wish { amount: "40.00", reason: "66.10" },
];

#[derive(Clone, Copy, Debug)]
struct Plan {
    wish: Wish,
    /// The point at which the daemon is killed, or the disk hangs; 0 for none.
    at: u64,
    /// The point of its start at which the second daemon is killed, too.
    again: Option<u64>,
    /// Whether the register repeats its request after the restart.
    repeats: bool,
    slow: bool,
    hangs: bool,
}

impl Plan {
    fn undisturbed(wish: Wish) -> Self {
        Self { wish, at: 0, again: None, repeats: false, slow: false, hangs: false }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wish: Wish { amount, reason }, at, again, repeats, slow, hangs } = self;
        write!(f, "{amount} of 100.00 for {reason}, point {at}, again {again:?}, ")?;
        write!(f, "repeats {repeats}, slow {slow}, hangs {hangs}")
    }
}

/// Whether every point is wanted.
fn is_full(setting: &str) -> bool {
    std::env::var(setting).is_ok_and(|which| ["all", "refunds"].contains(&which.as_str()))
}

#[test]
fn every_refund_survives_a_kill_at_every_point() {
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let plans: Vec<Plan> = WISHES.into_iter().map(Plan::undisturbed).collect();
    let lives = play_all(&shop, &plans);
    for (plan, life) in plans.iter().zip(&lives) {
        let called = life.points.iter().any(|point| point == "refund");
        assert!(called && life.count() > 4, "{plan}: {:?}", life.points);
    }
    let asked = lives.iter().any(|life| life.points.iter().any(|p| p == "fastpay.refund.query"));
    assert!(asked, "the shim has seen no question about a refund");

    let mut killing = Vec::new();
    for (plan, life) in plans.iter().zip(&lives) {
        let chosen: Vec<u64> = if is_full("CRASH_POINTS") {
            (1..=life.count()).collect()
        } else {
            (0..2).map(|_| 1 + random.below(life.count())).collect()
        };
        for at in chosen {
            let again = (random.below(3) == 0).then(|| 1 + random.below(24));
            let (repeats, slow) = (random.below(2) == 0, random.below(2) == 0);
            killing.push(Plan { at, again, repeats, slow, ..*plan });
        }
    }
    let lives = play_all(&shop, &killing);
    let killed = lives.iter().filter(|life| life.was_killed).count();
    println!("{killed} kills in {} stories of {} refunds", killing.len(), plans.len());
    assert!(killed > 0, "nobody was killed");
}

/// Bug to plant: tell a refund that is not written, and may be, as one that is not.
#[test]
fn a_disk_that_hangs_never_makes_a_no_of_a_refund_that_goes_back() {
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let plans: Vec<Plan> = WISHES[..5].iter().copied().map(Plan::undisturbed).collect();
    let lives = play_all(&shop, &plans);
    let mut hanging = Vec::new();
    for (plan, life) in plans.iter().zip(&lives) {
        assert!(life.syncs.len() >= 2, "the shim has not seen the entries");
        let chosen: Vec<u64> = if is_full("CRASH_STALLS") {
            life.syncs.clone()
        } else {
            // The first is the request's own.
            let any = random.below(u64::try_from(life.syncs.len()).unwrap());
            vec![life.syncs[0], life.syncs[usize::try_from(any).unwrap()]]
        };
        hanging.extend(chosen.into_iter().map(|at| Plan { at, hangs: true, ..*plan }));
    }
    play_all(&shop, &hanging);
    println!("{} stalls in {} refunds", hanging.len(), plans.len());
}

/// What came of the first life.
struct Life {
    /// What was called or synced at each point.
    points: Vec<String>,
    /// The points just before a sync.
    syncs: Vec<u64>,
    was_killed: bool,
}

impl Life {
    fn count(&self) -> u64 {
        u64::try_from(self.points.len()).unwrap()
    }
}

fn play_all(shop: &Shop, plans: &[Plan]) -> Vec<Life> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, plan)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, plans.get(i)?)))
        {
            done.push((index, play(shop, plan)));
        }
        done
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(plans.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    let wrong: Vec<String> = done
        .iter()
        .filter_map(|(index, done)| Some(format!("{}: {}", plans[*index], done.as_ref().err()?)))
        .collect();
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} of {} stories went wrong:\n{shown}", wrong.len(), plans.len());
    done.into_iter().filter_map(|(_, life)| life.ok()).collect()
}

fn play(shop: &Shop, plan: &Plan) -> Result<Life, String> {
    let terminal = shop.terminal(false);
    let (slow, stall) = (if plan.slow { SLOW_MS } else { 0 }, Stall::Once(HANGS));
    let stall = plan.hangs.then_some(stall);
    let killer = Killer { slow, stall, ..terminal.killer("points", plan.at, Since::Refund) };
    let played = Story::new(shop, plan, &terminal).play(&killer);
    let points = killer.points();
    let life = Life {
        syncs: killer::syncs(&points),
        was_killed: plan.at > 0 && killer.killed_at().is_some(),
        points: points.into_iter().map(|point| point.what).collect(),
    };
    played.map(|()| life).map_err(|why| terminal.with_log(&why))
}

struct Story<'a> {
    shop: &'a Shop,
    plan: &'a Plan,
    terminal: &'a Terminal,
    number: String,
    path: String,
    body: Value,
    /// The answer to the register's request, if it came.
    answer: Option<Reply>,
    told: Vec<Event>,
}

impl<'a> Story<'a> {
    fn new(shop: &'a Shop, plan: &'a Plan, terminal: &'a Terminal) -> Self {
        let number = format!("BACK_{}", &shop.code()[4..]);
        let path = format!("/v1/payments/{number}/refunds/{REQUEST}");
        let body = json!({ "amount": plan.wish.amount, "reason": plan.wish.reason });
        Self { shop, plan, terminal, number, path, body, answer: None, told: Vec::new() }
    }

    fn play(mut self, killer: &Killer) -> Result<(), String> {
        self.first_life(killer)?;
        if let Some(at) = self.plan.again {
            self.second_life(at)?;
        }
        let refund = self.last_life()?;
        books::compare_refund(&self.number, REQUEST, refund.as_ref(), self.shop.ledger())?;
        self.judge_the_journal(refund.as_ref())
    }

    /// Somebody has paid, and the register asks for some of it back.
    fn first_life(&mut self, killer: &Killer) -> Result<(), String> {
        let mut daemon = self.terminal.start(Some(killer));
        if !daemon.is_ready()? {
            return Err("killed before the request".to_owned());
        }
        self.is_paid()?;
        let listener = self.listen(None)?;
        self.answer = self.put().ok();
        if let Some(Reply { status, body }) = &self.answer
            && *status != 201
            && !self.plan.hangs
        {
            return Err(format!("the request was answered with {status}: {body}"));
        }
        self.watch(daemon, listener)
    }

    /// On a busy machine a pay may take longer than the terminal waits, and is undone:
    /// then somebody else pays.
    fn is_paid(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + OVER_WITHIN;
        loop {
            let code = self.shop.code();
            let body = json!({ "amount": "100.00", "subject": "咖啡", "auth_code": code });
            let path = format!("/v1/payments/{}?wait=60", self.number);
            let told = register::put(&self.terminal.socket(), &path, &body);
            if told.as_ref().is_ok_and(|reply| reply.body["state"] == "paid") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("it was to be paid: {told:?}"));
            }
            self.number = format!("BACK_{}", &code[4..]);
            self.path = format!("/v1/payments/{}/refunds/{REQUEST}", self.number);
        }
    }

    /// The daemon is killed while it recovers.
    fn second_life(&mut self, at: u64) -> Result<(), String> {
        let killer = self.terminal.killer("points-again", at, Since::Start);
        let mut daemon = self.terminal.start(Some(&killer));
        if !daemon.is_ready()? {
            return Ok(());
        }
        let last = self.told.last().map_or(0, |event| event.id);
        if let Ok(listener) = self.listen(Some(last)) {
            match register::get(&self.terminal.socket(), &self.path) {
                Ok(Reply { status: 200, .. }) => return self.watch(daemon, listener),
                _ => self.told.extend({
                    daemon.kill();
                    listener.all()
                }),
            }
        }
        Ok(())
    }

    /// Hears everything until the daemon is killed, the refund is over, or waits for
    /// money.
    fn watch(&mut self, mut daemon: Daemon, listener: Listener) -> Result<(), String> {
        let deadline = Instant::now() + OVER_WITHIN;
        let mut refund = self.last_told();
        let mut count = 0;
        while !daemon.is_killed()? {
            if listener.count() > count {
                let told = listener.told();
                count = told.len();
                refund = told.iter().rev().find_map(Event::refund).or(refund);
            }
            let is_over = |refund: &Value| refund["final"] == true || waits_for_money(refund);
            if refund.as_ref().is_some_and(is_over) || self.was_told_no() {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("the refund does not end: {refund:?}"));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        daemon.kill();
        self.told.extend(listener.all());
        Ok(())
    }

    /// Nobody is killed any more: the refund comes to its end by itself; a start goes
    /// on at once with one that waits for money.
    fn last_life(&mut self) -> Result<Option<Value>, String> {
        let deadline = Instant::now() + OVER_WITHIN;
        let mut daemon = self.terminal.start_ready(None)?;
        // Whoever was told that nothing went back has paid it out in cash.
        if self.plan.repeats && !self.was_told_no() {
            let reply = self.put().map_err(|why| format!("the repeated request: {why}"))?;
            let known = self.answer.is_some() || self.last_told().is_some();
            if reply.status != 200 && (known || reply.status != 201) {
                return Err(format!("the repeated request was answered with {reply:?}"));
            }
        }
        let refund = loop {
            let reply = register::get(&self.terminal.socket(), &self.path);
            match reply {
                Ok(Reply { status: 200, body }) if body["final"] == true => break Some(body),
                Ok(Reply { status: 200, body }) if waits_for_money(&body) => {
                    daemon.kill();
                    daemon = self.terminal.start_ready(None)?;
                }
                Ok(Reply { status: 200, .. }) => {}
                Ok(Reply { status: 404, .. }) => break None,
                other => return Err(format!("asked for the refund: {other:?}")),
            }
            if Instant::now() > deadline {
                return Err("the refund does not end after the restart".to_owned());
            }
            std::thread::sleep(5 * LOOK_AGAIN);
        };
        self.compare_with_what_was_told(refund.as_ref())?;
        let path = format!("/v1/payments/{}", self.number);
        let payment = register::get(&self.terminal.socket(), &path).map_err(|e| e.to_string())?;
        let word = books::Word { number: self.number.clone(), payment: Some(payment.body) };
        daemon.kill();
        books::compare(&word, self.shop.ledger())?;
        Ok(refund)
    }

    /// What anybody was told before a crash is true after it.
    fn compare_with_what_was_told(&self, refund: Option<&Value>) -> Result<(), String> {
        let Some(refund) = refund else {
            return match (&self.answer, self.last_told()) {
                (None, None) => Ok(()),
                _ if self.was_told_no() => Ok(()),
                told => Err(format!("forgotten after the register was told: {told:?}")),
            };
        };
        if self.was_told_no() {
            return Err(format!("told that nothing was given back: {:?}\n{refund}", self.answer));
        }
        let last = self.told.last().map_or(0, |event| event.id);
        let listener = self.listen(Some(0))?;
        let deadline = Instant::now() + OVER_WITHIN;
        let replay = loop {
            let replay = listener.told();
            let reached = replay.iter().filter_map(Event::refund).any(|told| told == *refund);
            if reached && replay.last().is_some_and(|event| event.id >= last) {
                break replay;
            }
            if Instant::now() > deadline {
                return Err(format!("the events stop before {last} and {refund}"));
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        if let Some(event) = self.told.iter().find(|event| !replay.contains(event)) {
            return Err(format!("told before the crash and not after it: {event:?}"));
        }
        let told = self.answer.iter().filter(|reply| reply.status == 201);
        let known = |body: &Value| replay.iter().filter_map(Event::refund).any(|r| r == *body);
        if let Some(told) = told.map(|reply| &reply.body).find(|body| !known(body)) {
            return Err(format!("answered before the crash and not true after it: {told}"));
        }
        let finals =
            self.told.iter().filter_map(Event::refund).filter(|told| told["final"] == true);
        match finals.into_iter().find(|told| told != refund) {
            Some(told) => Err(format!("told as final: {told}\nafter the crash: {refund}")),
            None => Ok(()),
        }
    }

    /// The journal is sound, and its row says what the terminal says.
    fn judge_the_journal(&self, refund: Option<&Value>) -> Result<(), String> {
        let file = self.terminal.journal();
        journal::verify(&file, None).map_err(|why| why.to_string())?;
        let conn = Connection::open(&file).map_err(|why| why.to_string())?;
        let rows: Vec<(String, String, i64)> = conn
            .prepare("SELECT out_request_no, state, open FROM refunds")
            .and_then(|mut rows| {
                rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            })
            .map_err(|why| why.to_string())?;
        let told = refund.map(|refund| books::text(refund, "state").to_owned());
        let told: Vec<_> = told.map(|state| (REQUEST.to_owned(), state, 0)).into_iter().collect();
        if rows == told { Ok(()) } else { Err(format!("the journal has {rows:?}, not {told:?}")) }
    }

    fn last_told(&self) -> Option<Value> {
        self.told.iter().rev().find_map(Event::refund)
    }

    /// The register's only request was answered with the word that nothing came of it.
    fn was_told_no(&self) -> bool {
        let sentence = self.answer.as_ref().and_then(|reply| reply.body["cashier"]["en"].as_str());
        sentence.is_some_and(|sentence| sentence.contains("nothing was given back"))
    }

    fn put(&self) -> std::io::Result<Reply> {
        register::put(&self.terminal.socket(), &self.path, &self.body)
    }

    fn listen(&self, last: Option<u64>) -> Result<Listener, String> {
        Listener::start(&self.terminal.socket(), last).map_err(|why| format!("events: {why}"))
    }
}

fn waits_for_money(refund: &Value) -> bool {
    refund["attention"]["zh"].as_str().is_some_and(|text| text.contains("余额"))
}
