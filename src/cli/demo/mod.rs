//! `till demo`: the whole job on one command, with nothing installed.
//!
//! ```text
//!   scenes ──asks──▶ tilld, a process of its own ──https──▶ sandbox, in this process
//!     │                ▲        │ events                       │ ledger
//!     └──pseudo terminal        └────────────▶ lines ◀─────────┘
//! ```
//!
//! Nothing is staged but the gateway, the scanner and the people: the daemon is
//! the real one, with its journal on disk, and it is really killed. At the end
//! of every scene what the API says is held against the ledger of the sandbox.

mod lines;
mod scenes;
mod stage;
pub(super) mod words;

use std::path::Path;

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::{MoneyView as Money, PaymentView, PaymentsView, SentenceView as Sentence};
use crate::payment::Amount;
use crate::sandbox::{Number, Status};

use super::out::{Out, Side, folded, table};
use super::words::{Lang, Phrase, name};
use super::{Concerns, Exit, refuse};

use lines::{Line, Lines, yuan};
use scenes::{Play, SCENES, Scene};
use stage::{Stage, StageError};

/// What came of a scene.
struct Played {
    scene: &'static Scene,
    view: PaymentView,
    /// What the ledger has charged and returned.
    ledger: (u64, u64),
    lines: Vec<Line>,
    seconds: f64,
    differs: Vec<Sentence>,
}

/// What the two books say at the end.
#[derive(Default)]
struct Books {
    taken: u64,
    charged: u64,
    returned: u64,
}

/// Plays all scenes.
pub(super) async fn demo(out: &Out, keep: bool) -> Exit {
    let mut ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| signal(kind).ok());
    let exit = tokio::select! {
        biased;
        () = any(&mut ends) => None,
        played = play_all(out, keep) => Some(played),
    };
    // By now the daemon and the folder are gone with the future that held them.
    match exit {
        Some(Ok(exit)) => exit,
        Some(Err(why)) => {
            let sentence = words::CANNOT.both(&[&why.to_string()]);
            refuse(out, "demo_failed", Money::None, &sentence, Concerns::default());
            Exit::Fault
        }
        None => {
            refuse(
                out,
                "interrupted",
                Money::None,
                &words::INTERRUPTED.both(&[]),
                Concerns::default(),
            );
            Exit::Fault
        }
    }
}

/// Until one of the signals comes.
async fn any(ends: &mut [Option<Signal>; 3]) {
    async fn one(end: &mut Option<Signal>) {
        match end {
            Some(end) => {
                end.recv().await;
            }
            // Then the signal ends the process, and the kernel the daemon.
            None => std::future::pending().await,
        }
    }
    let [interrupt, terminate, hangup] = ends;
    tokio::select! {
        () = one(interrupt) => {}
        () = one(terminate) => {}
        () = one(hangup) => {}
    }
}

async fn play_all(out: &Out, keep: bool) -> Result<Exit, StageError> {
    let mut stage = Stage::set().await?;
    if keep {
        stage.folder.keep();
    }
    let show = Show { out };
    show.head(&stage);
    let mut played = Vec::new();
    {
        let ledger = stage.sandbox.ledger();
        let client = stage.client.clone();
        let mut lines = Lines::new(out, &client, ledger);
        for (index, scene) in SCENES.iter().enumerate() {
            show.title(index + 1, scene);
            let one = play_one(out.lang, &mut stage, &mut lines, scene).await;
            show.end(&one);
            played.push(one);
            if lines.unread {
                // `till demo | head`: nobody is left to play for.
                return Ok(Exit::Fault);
            }
        }
    }
    let mut differs = Vec::new();
    let books = compare_books(&stage, &mut differs).await;
    if !stage.end_daemon().await {
        differs.push(words::DIFFERS_END.both(&[]));
    }
    let good = differs.is_empty() && played.iter().all(|one| one.differs.is_empty());
    if !good {
        // Whoever looks into it wants the journal, the ledger and the log.
        stage.folder.keep();
    }
    let kept = (keep || !good).then(|| stage.folder.path());
    show.summary(&played, &books, &differs, kept);
    Ok(if good { Exit::DONE } else { Exit::Fault })
}

async fn play_one(
    lang: Lang,
    stage: &mut Stage,
    lines: &mut Lines<'_>,
    scene: &'static Scene,
) -> Played {
    let mut play = Play { scene, stage, lines, lang, differs: Vec::new() };
    let view = play.play().await.unwrap_or_default();
    let seconds = play.lines.seconds();
    let told = play.lines.end().await;
    let mut differs = play.differs;
    let ledger = stage.sandbox.ledger();
    let number = ledger.number(&scene.number()).unwrap_or_default();
    differs.extend(judge(scene, &view, &number));
    let second = scene.second();
    if ledger.number(&second).is_some() {
        differs.push(words::DIFFERS_STRANGER.both(&[&second]));
    }
    Played { scene, view, ledger: sums(&number), lines: told, seconds, differs }
}

/// Holds the end against what was promised, and the API's word against the
/// ledger of the sandbox; returns what is not as it should be.
fn judge(scene: &Scene, view: &PaymentView, number: &Number) -> Vec<Sentence> {
    let mut differs = Vec::new();
    let (state, money) = scene.ends.words();
    let state_told = view.state.to_string();
    let told = (state_told.as_str(), money_name(view.money));
    if told != (state, money) {
        differs.push(words::DIFFERS_STATE.both(&[told.0, told.1, state, money]));
    }
    let (charged, returned) = sums(number);
    let promised = scene.ends.fen(scene.fen);
    if (charged, returned) != promised {
        let values = [charged, returned, promised.0, promised.1].map(yuan);
        differs.push(words::DIFFERS_LEDGER.both(&values.each_ref().map(String::as_str)));
    }
    let is_so = match view.money {
        Money::Taken => charged == scene.fen && yuan(returned) == view.refunded_amount,
        Money::None => charged == 0,
        Money::Returned => charged == scene.fen && returned == charged,
        Money::Open | Money::Unknown => false,
    };
    if !is_so {
        differs.push(words::DIFFERS_WORD.both(&[]));
    }
    if number.trade.as_ref().is_some_and(|trade| trade.status == Status::WaitBuyerPay) {
        differs.push(words::DIFFERS_OPEN.both(&[]));
    }
    let is_pay = |method: &str| method.ends_with("alipay.trade.pay");
    let pays = number.history.iter().filter(|one| one.executed && is_pay(&one.method)).count();
    if pays > 1 {
        differs.push(words::DIFFERS_PAYS.both(&[&pays.to_string()]));
    }
    differs
}

/// All that the terminal has taken against all that the gateway has kept.
async fn compare_books(stage: &Stage, differs: &mut Vec<Sentence>) -> Books {
    let mut books = Books::default();
    let numbers = stage.sandbox.ledger().all();
    for number in &numbers {
        let (charged, returned) = sums(number);
        books.charged += charged;
        books.returned += returned;
    }
    let listed = match stage.client.get("/v1/payments?limit=500").await {
        Ok(answer) => answer.read::<PaymentsView>().ok(),
        Err(_) => None,
    };
    let payments = listed.map(|listed| listed.payments).unwrap_or_default();
    let taken = payments.iter().filter(|view| view.money == Money::Taken);
    books.taken = taken.filter_map(kept).sum();
    let known = |number: &Number| payments.iter().any(|p| p.out_trade_no == number.out_trade_no);
    let agree = books.charged.checked_sub(books.returned) == Some(books.taken)
        && payments.len() == SCENES.len()
        && payments.iter().all(|view| view.is_final)
        && numbers.iter().all(known);
    if !agree {
        differs.push(words::DIFFERS_BOOKS.both(&[]));
    }
    books
}

/// What the merchant has of a payment, by the terminal's word.
fn kept(view: &PaymentView) -> Option<u64> {
    let taken = view.amount.parse::<Amount>().ok()?.fen();
    let back = view.refunded_amount.parse().map_or(0, Amount::fen);
    taken.checked_sub(back)
}

fn sums(number: &Number) -> (u64, u64) {
    number.trade.as_ref().map_or((0, 0), |trade| (trade.charged_fen, trade.refunded_fen))
}

fn money_name(money: Money) -> &'static str {
    match money {
        Money::None => "none",
        Money::Open => "open",
        Money::Taken => "taken",
        Money::Returned => "returned",
        Money::Unknown => "unknown",
    }
}

/// What is printed around the lines of the scenes.
struct Show<'a> {
    out: &'a Out,
}

impl Show<'_> {
    /// A text for people; programs get one value at the end.
    fn line(&self, text: &str) {
        let indent = text.len() - text.trim_start().len();
        for line in folded(text, indent) {
            self.as_it_is(&line);
        }
    }

    /// A line to be copied, however long it is.
    fn as_it_is(&self, line: &str) {
        if !self.out.json {
            self.out.line(line);
        }
    }

    fn text(&self, phrase: Phrase, values: &[&str]) -> String {
        phrase.fill(self.out.lang, values)
    }

    fn head(&self, stage: &Stage) {
        self.line(words::HEAD.text(self.out.lang));
        self.line("");
        for (phrase, value) in [
            (words::HEAD_TERMINAL, stage.daemon_id().to_string()),
            (words::HEAD_SCANNER, stage.scanner_device().display().to_string()),
            (words::HEAD_GATEWAY, stage.sandbox.gateway()),
            (words::HEAD_FOLDER, stage.folder.path().display().to_string()),
        ] {
            self.line(&format!("  {}", self.text(phrase, &[&value])));
        }
        self.line("");
        self.line(words::HEAD_TIMES.text(self.out.lang));
    }

    fn title(&self, index: usize, scene: &Scene) {
        let count = SCENES.len();
        self.line("");
        self.line(&format!("── {index}/{count}  {} ──", self.text(scene.title, &[])));
        self.line(&format!("  {}", self.text(scene.shows, &[])));
        self.line("");
    }

    fn end(&self, played: &Played) {
        let sentence = super::sentence(&played.view, self.out.lang);
        let (charged, returned) = (yuan(played.ledger.0), yuan(played.ledger.1));
        let mark = if played.differs.is_empty() { "✓" } else { "✗" };
        self.line("");
        self.line(&format!("  {}", self.text(words::CASHIER_READS, &[&sentence])));
        self.line(&format!("  {} {mark}", self.text(words::LEDGER, &[&charged, &returned])));
        for differs in &played.differs {
            self.differs(differs);
        }
    }

    fn differs(&self, sentence: &Sentence) {
        self.line(&format!("  ✗ {}", self.text(words::DIFFERS, &[self.out.lang.of(sentence)])));
    }

    fn summary(&self, played: &[Played], books: &Books, differs: &[Sentence], kept: Option<&Path>) {
        if self.out.json {
            self.out.json(&json_of(played, books, differs, kept).to_string());
            return;
        }
        let lang = self.out.lang;
        self.line("");
        let heads = [
            words::TABLE_SCENE,
            words::TABLE_AMOUNT,
            words::TABLE_TERMINAL,
            words::TABLE_CHARGED,
            words::TABLE_RETURNED,
        ];
        let mut rows = vec![heads.map(|head| head.text(lang).to_owned()).to_vec()];
        rows.extend(played.iter().map(|one| {
            let mark = if one.differs.is_empty() { "✓" } else { "✗" };
            vec![
                format!("{mark} {}", one.scene.title.text(lang)),
                yuan(one.scene.fen),
                name(&one.view.state.to_string(), lang),
                yuan(one.ledger.0),
                yuan(one.ledger.1),
            ]
        }));
        let sides = [Side::Left, Side::Right, Side::Left, Side::Right, Side::Right];
        for line in table(&sides, &rows) {
            self.line(&format!("  {line}"));
        }
        self.line("");
        let faults = differs.len() + played.iter().map(|one| one.differs.len()).sum::<usize>();
        if faults == 0 {
            let (count, taken) = (played.len().to_string(), yuan(books.taken));
            let (charged, returned) = (yuan(books.charged), yuan(books.returned));
            let values = [&count, &taken, &charged, &returned].map(String::as_str);
            self.line(&self.text(words::ALL_GOOD, &values));
        } else {
            differs.iter().for_each(|sentence| self.differs(sentence));
            self.line(&self.text(words::NOT_GOOD, &[&faults.to_string()]));
        }
        if let Some(folder) = kept {
            self.line(&self.text(words::KEPT, &[&folder.display().to_string()]));
        }
        self.next(kept);
    }

    /// What to try next, with the programs named as this one was.
    fn next(&self, kept: Option<&Path>) {
        let lang = self.out.lang;
        let till = std::env::args_os().next().unwrap_or_else(|| "till".into());
        let tilld = Path::new(&till).with_file_name("tilld");
        let built = tilld.components().count() == 1 || tilld.exists();
        let till = till.to_string_lossy();
        let dir = kept.map_or_else(|| "sandbox".to_owned(), |kept| kept.display().to_string());
        let subject = words::COFFEE.text(lang);
        let mut steps = vec![
            (words::NEXT_SANDBOX, format!("{till} sandbox --dir {dir}")),
            (words::NEXT_DAEMON, format!("{} --config {dir}/tilld.toml", tilld.display())),
            (
                words::NEXT_PAY,
                format!("{till} --socket {dir}/tilld.sock pay 12.50 --subject {subject} --code -"),
            ),
        ];
        if !built {
            let build =
                if cfg!(debug_assertions) { "cargo build" } else { "cargo build --release" };
            steps.insert(0, (words::NEXT_BUILD, build.to_owned()));
        }
        self.line("");
        self.line(words::NEXT.text(lang));
        for (phrase, command) in steps {
            self.as_it_is(&format!("  {command}"));
            self.line(&format!("      {}", phrase.text(lang)));
        }
    }
}

/// To milliseconds: more is not known, and would look like it.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn json_of(played: &[Played], books: &Books, differs: &[Sentence], kept: Option<&Path>) -> Value {
    let both = |sentence: &Sentence| json!({ "zh": sentence.zh, "en": sentence.en });
    let scenes: Vec<Value> = played
        .iter()
        .map(|one| {
            let (state, money) = one.scene.ends.words();
            let (charged, returned) = one.scene.ends.fen(one.scene.fen);
            let steps: Vec<Value> = one
                .lines
                .iter()
                .map(|line| {
                    json!({ "seconds": rounded(line.seconds), "who": line.who.name(), "what": both(&line.what) })
                })
                .collect();
            json!({
                "scene": one.scene.name,
                "title": both(&one.scene.title.both(&[])),
                "shows": both(&one.scene.shows.both(&[])),
                "ok": one.differs.is_empty(),
                "out_trade_no": one.scene.number(),
                "amount": yuan(one.scene.fen),
                "state": one.view.state,
                "money": money_name(one.view.money),
                "cashier": both(&one.view.cashier),
                "ledger": { "charged": yuan(one.ledger.0), "returned": yuan(one.ledger.1) },
                "promised": {
                    "state": state, "money": money,
                    "charged": yuan(charged), "returned": yuan(returned),
                },
                "differs": one.differs.iter().map(both).collect::<Vec<_>>(),
                "seconds": rounded(one.seconds),
                "steps": steps,
            })
        })
        .collect();
    let ok = differs.is_empty() && played.iter().all(|one| one.differs.is_empty());
    json!({
        "ok": ok,
        "scenes": scenes,
        "books": {
            "taken": yuan(books.taken),
            "charged": yuan(books.charged),
            "returned": yuan(books.returned),
        },
        "differs": differs.iter().map(both).collect::<Vec<_>>(),
        "kept": kept.map(|folder| folder.display().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Arrived, Trade};

    fn trade(status: Status, charged_fen: u64, refunded_fen: u64) -> Trade {
        Trade {
            trade_no: "1".to_owned(),
            status,
            total_fen: 12_50,
            charged_fen,
            refunded_fen,
            subject: String::new(),
            passback_params: None,
            store_id: None,
            terminal_id: None,
            created_ms: 0,
            expire_ms: 0,
            paid_ms: None,
            cancelled_by: None,
            refunds: Vec::new(),
        }
    }

    #[test]
    fn the_demo_believes_neither_book_alone() {
        let (paid, open, closed) =
            (Status::TradeSuccess, Status::WaitBuyerPay, Status::TradeClosed);
        let scene = &SCENES[0];
        for (state, money, trade, pays, faults) in [
            ("paid", Money::Taken, Some(trade(paid, 12_50, 0)), 1, 0),
            // Somebody says paid, and nobody was charged.
            ("paid", Money::Taken, None, 0, 2),
            ("paid", Money::Taken, Some(trade(closed, 12_50, 12_50)), 1, 2),
            ("paid", Money::Taken, Some(trade(paid, 25_00, 0)), 2, 3),
            ("paid", Money::Taken, Some(trade(open, 0, 0)), 1, 3),
            // Somebody says not paid, and somebody was charged.
            ("cancelled", Money::None, Some(trade(paid, 12_50, 0)), 1, 2),
            ("paid", Money::Unknown, Some(trade(paid, 12_50, 0)), 1, 2),
            // Both agree, but it is not what was promised.
            ("cancelled", Money::None, None, 0, 2),
        ] {
            let state = serde_json::from_value(state.into()).expect("a word");
            let refunded_amount = "0.00".to_owned();
            let view = PaymentView { state, money, refunded_amount, ..PaymentView::default() };
            let arrived = Arrived {
                seq: 1,
                at_ms: 0,
                method: "alipay.trade.pay".to_owned(),
                executed: true,
                answered: true,
                code: String::new(),
                sub_code: String::new(),
            };
            let number = Number { trade, history: vec![arrived; pays], ..Number::default() };
            let differs = judge(scene, &view, &number);
            assert_eq!(differs.len(), faults, "{view:?} {number:?}: {differs:?}");
        }
    }
}
