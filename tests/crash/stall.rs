//! A disk that hangs for longer than anybody waits: what a register is told
//! meanwhile is true, and the books are equal afterwards.
//!
//! `cargo test` hangs once in each ending, at a sync that chance picks.
//! `CRASH_STALLS=all` hangs at each sync of each ending, and then in all of them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tilld::sandbox::endings::Ending;

use crate::books::{self, Word, text};
use crate::killer::{self, Killer, Since, Stall};
use crate::register::{self, Reply};
use crate::shop::{LOOK_AGAIN, Shop, Terminal};
use crate::{Random, endings};

/// Longer than the daemon lets a register wait for its loop (10 s).
const SAMPLED: Duration = Duration::from_secs(11);

/// What a failing disk takes before the kernel gives up on a command, about.
const WHOLE: Duration = Duration::from_secs(15);

/// With a stall in each of a payment's entries it takes minutes.
const OVER_WITHIN: Duration = Duration::from_secs(300);

/// Stories played at a time; they only wait.
const AT_ONCE: usize = 60;

struct Plan {
    ending: &'static Ending,
    at: u64,
    stall: Option<Stall>,
    /// The cashier gives up while the disk hangs.
    stops: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ending, at, stall, stops } = self;
        write!(f, "ending {}, point {at}, {stall:?}, stops {stops}", ending.number)
    }
}

#[test]
fn a_disk_that_hangs_never_makes_a_none_of_what_can_move() {
    let is_full = std::env::var("CRASH_STALLS").is_ok_and(|which| which == "all");
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let plain = |ending| Plan { ending, at: 0, stall: None, stops: false };
    let plans: Vec<Plan> = endings().into_iter().map(plain).collect();
    let syncs = play_all(&shop, &plans);
    assert!(syncs.iter().all(|syncs| syncs.len() >= 2), "the shim has not seen the entries");

    let mut hanging = Vec::new();
    for (plan, syncs) in plans.iter().zip(&syncs) {
        let ending = plan.ending;
        if is_full {
            for stops in [false, true] {
                let once = Some(Stall::Once(WHOLE));
                hanging.extend(syncs.iter().map(|&at| Plan { ending, at, stall: once, stops }));
                hanging.push(Plan { ending, at: 0, stall: Some(Stall::Always(WHOLE)), stops });
            }
        } else {
            // The first is the request's own; half of all are it.
            let end = u64::try_from(syncs.len()).unwrap();
            let which = if random.below(2) == 0 { 0 } else { random.below(end) };
            let at = syncs[usize::try_from(which).unwrap()];
            let (stall, stops) = (Some(Stall::Once(SAMPLED)), random.below(2) == 0);
            hanging.push(Plan { ending, at, stall, stops });
        }
    }
    println!("{} stalls in {} endings", hanging.len(), plans.len());
    play_all(&shop, &hanging);
}

/// Plays all, and gives the points of the syncs of each.
fn play_all(shop: &Shop, plans: &[Plan]) -> Vec<Vec<u64>> {
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
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    let wrong: Vec<String> = done
        .iter()
        .filter_map(|(index, done)| Some(format!("{}: {}", plans[*index], done.as_ref().err()?)))
        .collect();
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} of {} stories went wrong:\n{shown}", wrong.len(), plans.len());
    done.into_iter().filter_map(|(_, syncs)| syncs.ok()).collect()
}

fn play(shop: &Shop, plan: &Plan) -> Result<Vec<u64>, String> {
    let terminal = shop.terminal(false);
    let killer = Killer { stall: plan.stall, ..terminal.killer("points", plan.at, Since::Pay) };
    let played = Story::new(shop, plan, &terminal).play(&killer);
    played.map(|()| killer::syncs(&killer.points())).map_err(|why| terminal.with_log(&why))
}

struct Story<'a> {
    shop: &'a Shop,
    plan: &'a Plan,
    terminal: &'a Terminal,
    number: String,
    path: String,
    request: Value,
}

impl<'a> Story<'a> {
    fn new(shop: &'a Shop, plan: &'a Plan, terminal: &'a Terminal) -> Self {
        let code = shop.code();
        let number = format!("STALL_{}", &code[4..]);
        let amount = format!("77.{:02}", plan.ending.number);
        let request = json!({ "amount": amount, "subject": "咖啡", "auth_code": code });
        let path = format!("/v1/payments/{number}");
        Self { shop, plan, terminal, number, path, request }
    }

    fn play(&self, killer: &Killer) -> Result<(), String> {
        let daemon = self.terminal.start_ready(Some(killer))?;
        let mut told = self.first_words();
        let payment = self.end(&mut told)?;
        daemon.kill();
        let word = Word { number: self.number.clone(), payment };
        books::compare(&word, self.shop.ledger())?;
        self.no_none_has_moved(&told)
    }

    /// The request; and what is asked meanwhile by others, who do not wait for it.
    fn first_words(&self) -> Vec<Reply> {
        let socket = self.terminal.socket();
        let is_answered = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let reply = register::put(&socket, &self.path, &self.request);
                is_answered.store(true, Ordering::Release);
                reply
            });
            let stopping = self.plan.stops.then(|| {
                // Not to wait for anything: the request is to be first.
                std::thread::sleep(10 * LOOK_AGAIN);
                scope.spawn(|| register::post(&socket, &format!("{}/cancel", self.path)))
            });
            let mut told = Vec::new();
            while !is_answered.load(Ordering::Acquire) {
                told.extend(register::get(&socket, &self.path));
                std::thread::sleep(20 * LOOK_AGAIN);
            }
            told.extend(asking.join().unwrap());
            told.extend(stopping.and_then(|stopping| stopping.join().unwrap().ok()));
            told
        })
    }

    /// Until the payment is over: nothing, if there is none and never will be.
    fn end(&self, told: &mut Vec<Reply>) -> Result<Option<Value>, String> {
        let deadline = Instant::now() + OVER_WITHIN;
        let mut last = None;
        while Instant::now() < deadline {
            // A register repeats what was not answered with a payment.
            let taken = told.iter().any(|reply| matches!(reply.status, 200 | 201));
            let reply = if taken {
                register::get(&self.terminal.socket(), &self.path)
            } else {
                register::put(&self.terminal.socket(), &self.path, &self.request)
            };
            let reply = reply.map_err(|why| format!("asking: {why}"))?;
            let over = matches!(reply.status, 200 | 201) && books::is_over(&reply.body);
            told.push(reply.clone());
            if over {
                return Ok(Some(reply.body));
            }
            last = Some(reply);
            std::thread::sleep(10 * LOOK_AGAIN);
        }
        Err(format!("the payment does not end: {last:?}"))
    }

    /// Who was told `none`, of the payment or of a request about it, may take cash
    /// for ever.
    fn no_none_has_moved(&self, told: &[Reply]) -> Result<(), String> {
        let held = self.shop.ledger().number(&self.number);
        let charged = held.and_then(|number| number.trade).map_or(0, |trade| trade.charged_fen);
        let none = told.iter().find(|reply| text(&reply.body, "money") == "none");
        match none {
            Some(none) if charged > 0 => Err(format!("charged {charged} fen after {none:?}")),
            _ => Ok(()),
        }
    }
}
