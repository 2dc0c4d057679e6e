//! The scenes: what each shows, what everybody in it does, and the end that is
//! promised.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api::client::{Answer, ClientError, SecretText, hide_codes};
use crate::api::{
    PaymentView, RefundStateView, RefundView, SentenceView as Sentence, StateView, Word,
};
use crate::cli::words::{Lang, Phrase};
use crate::sandbox::{Fault, Number};

use super::lines::{Lines, Who, yuan};
use super::stage::{Stage, StageError};
use super::words;

/// How long anything may take on a busy machine; the lengths of the demo are
/// far shorter.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that is about to happen.
const LOOK: Duration = Duration::from_millis(20);

/// One scene.
pub(super) struct Scene {
    plot: Plot,
    /// The stable name, for programs.
    pub(super) name: &'static str,
    pub(super) title: Phrase,
    pub(super) shows: Phrase,
    pub(super) fen: u64,
    subject: Phrase,
    pub(super) ends: Ends,
}

#[derive(Clone, Copy)]
enum Plot {
    Paid,
    Confirmed,
    Declined,
    Wallet,
    Timeout,
    Stopped,
    Lost,
    Returned,
    Twice,
    Killed,
    Late,
    Part,
    Rest,
}

/// Where a payment must arrive.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    Paid,
    Declined,
    Closed,
    Returned,
    /// Paid, and so much went back later.
    Part(u64),
    /// Paid, and all of it went back later.
    Back,
}

impl Ends {
    /// `state` and `money` of the API.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Paid | Self::Part(_) => ("paid", "taken"),
            Self::Back => ("paid", "returned"),
            Self::Declined => ("declined", "none"),
            Self::Closed => ("cancelled", "none"),
            Self::Returned => ("cancelled", "returned"),
        }
    }

    /// What the ledger has charged and returned.
    pub(super) fn fen(self, fen: u64) -> (u64, u64) {
        match self {
            Self::Paid => (fen, 0),
            Self::Declined | Self::Closed => (0, 0),
            Self::Returned | Self::Back => (fen, fen),
            Self::Part(back) => (fen, back),
        }
    }
}

macro_rules! scenes {
    ($($plot:ident $name:literal $fen:literal $subject:ident $ends:ident$(($back:literal))?: $title:ident $shows:ident;)*) => {
        /// All of them, in the order in which they are played.
        pub(super) const SCENES: &[Scene] = &[$(Scene {
            plot: Plot::$plot, name: $name, title: words::$title, shows: words::$shows,
            fen: $fen, subject: words::$subject, ends: Ends::$ends$(($back))?,
        }),*];
    };
}

scenes! {
    Paid      "paid"          12_50  COFFEE     Paid:     PAID PAID_SHOWS;
    Confirmed "buyer_confirms" 38_00 LUNCH      Paid:     CONFIRMED CONFIRMED_SHOWS;
    Declined  "declined"     69_00  HEADPHONES Declined: DECLINED DECLINED_SHOWS;
    Wallet    "other_wallet"  16_00  TEA        Paid:     WALLET WALLET_SHOWS;
    Timeout   "never_confirmed" 45_80 BOOK      Closed:   TIMEOUT TIMEOUT_SHOWS;
    Stopped   "cashier_cancels" 59_00 UMBRELLA  Closed:   STOPPED STOPPED_SHOWS;
    Lost      "answer_lost"   88_00  FLOWERS    Paid:     LOST LOST_SHOWS;
    Returned  "answer_lost_and_cancelled" 98_00 CAKE Returned: RETURNED RETURNED_SHOWS;
    Twice     "asked_twice"   23_60  FRUIT      Paid:     TWICE TWICE_SHOWS;
    Killed    "killed"        66_00  SCARF      Paid:     KILLED KILLED_SHOWS;
    Late      "late_pay"      99_00  LAMP       Returned: LATE LATE_SHOWS;
    Part      "refund_in_part" 92_00 TEAPOT     Part(20_00): PART PART_SHOWS;
    Rest      "refund_of_the_rest" 58_00 GLOVES Back:     REST REST_SHOWS;
}

impl Scene {
    /// Its payment's number.
    pub(super) fn number(&self) -> String {
        format!("DEMO_{}", self.name)
    }

    /// The number of the second attempt, which must never get to the gateway.
    pub(super) fn second(&self) -> String {
        format!("{}_2", self.number())
    }
}

/// A scene being played.
pub(super) struct Play<'a, 'o> {
    pub(super) scene: &'a Scene,
    pub(super) stage: &'a mut Stage,
    pub(super) lines: &'a mut Lines<'o>,
    pub(super) lang: Lang,
    /// What is not as promised.
    pub(super) differs: Vec<Sentence>,
}

/// What did not come.
type Vain = Sentence;

impl Play<'_, '_> {
    /// Plays it to its end, and returns the payment as it then stands.
    pub(super) async fn play(&mut self) -> Option<PaymentView> {
        let (number, second) = (self.scene.number(), self.scene.second());
        self.lines.begin(&[&number, &second]);
        let played = match self.scene.plot {
            Plot::Paid => self.paid().await,
            Plot::Confirmed => self.confirmed().await,
            Plot::Declined => self.declined().await,
            Plot::Wallet => self.wallet().await,
            Plot::Timeout => self.timeout().await,
            Plot::Stopped => self.stopped().await,
            Plot::Lost => self.lost().await,
            Plot::Returned => self.returned().await,
            Plot::Twice => self.twice().await,
            Plot::Killed => self.killed().await,
            Plot::Late => self.late().await,
            Plot::Part => self.refunded_in_part().await,
            Plot::Rest => self.refunded_by_and_by().await,
        };
        let ended = match played {
            Ok(()) => self.end().await,
            Err(vain) => Err(vain),
        };
        if let Ok(view) = &ended {
            // The events may lag behind, and the last word belongs to the scene.
            let (state, until) = (view.state.to_string(), Instant::now() + PATIENCE);
            while !self.lines.has_heard(&number, &state) && Instant::now() < until {
                self.lines.during(sleep(LOOK)).await;
            }
        }
        ended.map_err(|vain| self.differ(words::DIFFERS_TIME, &[&vain.zh], &[&vain.en])).ok()
    }

    // --- the plots -------------------------------------------------------------

    async fn paid(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(400).await;
        self.scan("2800");
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(300).await;
        self.scan("287704");
        self.until_state(StateView::AwaitingBuyer).await?;
        self.pause(1_300).await;
        self.confirm();
        Ok(())
    }

    async fn declined(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(300).await;
        self.scan("287712");
        Ok(())
    }

    async fn wallet(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(300).await;
        let code = fresh_code("1300", self.scene);
        self.show_code(words::SCANS_OTHER, &code);
        self.until(words::AWAITED_SCAN, |play| play.lines.has_scan("wechat").then_some(())).await?;
        self.pause(900).await;
        self.scan("2800");
        Ok(())
    }

    async fn timeout(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(300).await;
        self.scan("287704");
        Ok(())
    }

    async fn stopped(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(300).await;
        self.scan("287704");
        self.until_state(StateView::AwaitingBuyer).await?;
        self.pause(1_400).await;
        self.stop().await;
        Ok(())
    }

    async fn lost(&mut self) -> Result<(), Vain> {
        self.fault(Fault { drop_answer: true, ..Fault::default() }, "pay");
        self.ask().await;
        self.pause(300).await;
        self.scan("2800");
        Ok(())
    }

    async fn returned(&mut self) -> Result<(), Vain> {
        self.fault(Fault { drop_answer: true, ..Fault::default() }, "pay");
        // No question is answered either, until the cancel is decided.
        let silent = Fault { drop_answer: true, times: Some(1_000), ..Fault::default() };
        self.fault(silent, "query");
        // And the cancel takes its time, so that the decision can be seen.
        self.fault(Fault { delay_ms: Some(1_500), ..Fault::default() }, "cancel");
        self.ask().await;
        self.pause(300).await;
        self.scan("2800");
        self.until_pay(|number| number.trade.is_some()).await?;
        self.pause(500).await;
        self.stop().await;
        self.until_state(StateView::Cancelling).await?;
        self.stage.sandbox.clear_faults();
        Ok(())
    }

    async fn twice(&mut self) -> Result<(), Vain> {
        let code = fresh_code("287704", self.scene);
        let sale = "SALE_7";
        let body = self.body(Some(sale), Some(&code));
        let (zh, en) = self.goods();
        let sum = yuan(self.scene.fen);
        let what = Sentence {
            zh: words::ASKS_WITH_CODE.fill(Lang::Zh, &[&sum, zh, sale]),
            en: words::ASKS_WITH_CODE.fill(Lang::En, &[&sum, en, sale]),
        };
        self.lines.say(Who::Register, what);
        let number = self.scene.number();
        self.answered(&number, &body, 201, "").await;
        self.until_state(StateView::AwaitingBuyer).await?;

        self.pause(400).await;
        self.lines.say(Who::Register, words::ASKS_AGAIN.both(&[]));
        self.answered(&number, &body, 200, "").await;
        self.is_told(200, &words::SAME_PAYMENT.both(&[]));

        self.pause(300).await;
        let other = self.body(Some(sale), None);
        let second = self.scene.second();
        self.lines.say(Who::Register, words::ASKS_ANEW.both(&[]));
        self.answered(&second, &other, 409, "sale_in_doubt").await;

        self.pause(400).await;
        self.confirm();
        self.until_state(StateView::Paid).await?;
        self.pause(300).await;
        self.lines.say(Who::Register, words::ASKS_ANEW.both(&[]));
        self.answered(&second, &other, 409, "sale_already_paid").await;
        Ok(())
    }

    async fn killed(&mut self) -> Result<(), Vain> {
        // Longer than the daemon lives.
        self.fault(Fault { delay_ms: Some(60_000), ..Fault::default() }, "pay");
        self.ask().await;
        self.pause(300).await;
        self.scan("2800");
        self.until_pay(|number| number.trade.is_some()).await?;
        let sum = yuan(self.scene.fen);
        self.lines.say(Who::Buyer, words::SEES_PAID.both(&[&sum]));
        self.pause(300).await;
        self.dies_and_comes_back(words::CANNOT_REACH).await
    }

    /// The daemon is killed while it waits for an answer, and is started again.
    async fn dies_and_comes_back(&mut self, unreached: Phrase) -> Result<(), Vain> {
        let id = self.stage.daemon_id().to_string();
        self.stage.kill_daemon();
        self.lines.say(Who::Terminal, words::IS_KILLED.both(&[&id]));
        self.pause(200).await;
        let path = format!("/v1/payments/{}", self.scene.number());
        let client = self.stage.client.clone();
        let asked = self.lines.during(client.get(&path)).await;
        if matches!(asked, Err(ClientError::DaemonAbsent { .. })) {
            self.lines.say(Who::Register, unreached.both(&[]));
        } else {
            self.differ(words::DIFFERS_ANSWER, &["", "-"], &["", "-"]);
        }
        self.pause(900).await;
        let vain = |why: StageError| Sentence { zh: why.to_string(), en: why.to_string() };
        self.stage.start_daemon().map_err(vain)?;
        let id = self.stage.daemon_id().to_string();
        self.lines.say(Who::Terminal, words::IS_BACK.both(&[&id]));
        self.lines.during(self.stage.ready()).await.map_err(vain)?;
        self.lines.listen(&client);
        Ok(())
    }

    async fn late(&mut self) -> Result<(), Vain> {
        self.ask().await;
        self.pause(300).await;
        self.scan("287733");
        // Until the terminal has asked once, and was told of nothing.
        self.until_pay(|number| number.queries > 0).await?;
        self.pause(300).await;
        self.stop().await;
        Ok(())
    }

    async fn refunded_in_part(&mut self) -> Result<(), Vain> {
        self.paid().await?;
        self.until_state(StateView::Paid).await?;
        self.fault(Fault { drop_answer: true, ..Fault::default() }, "refund");
        self.pause(500).await;
        self.give_back("R1", 20_00, 201).await;
        self.pause(1_000).await;
        self.lines.say(Who::Register, words::REFUNDS_AGAIN.both(&[]));
        self.give_back("R1", 20_00, 200).await;
        self.until_refunded("R1").await
    }

    async fn refunded_by_and_by(&mut self) -> Result<(), Vain> {
        self.paid().await?;
        self.until_state(StateView::Paid).await?;
        self.pause(500).await;
        self.give_back("R1", 8_00, 201).await;
        self.until_refunded("R1").await?;
        // Longer than the daemon lives.
        self.fault(Fault { delay_ms: Some(60_000), ..Fault::default() }, "refund");
        self.pause(500).await;
        self.give_back("R2", 50_00, 201).await;
        let is_back = |number: &Number| number.trade.as_ref().is_some_and(|t| t.refunds.len() == 2);
        self.until_pay(is_back).await?;
        self.pause(300).await;
        self.dies_and_comes_back(words::CANNOT_REACH_FOR_REFUND).await?;
        self.until_refunded("R2").await
    }

    // --- what they do ----------------------------------------------------------

    fn body(&self, sale: Option<&str>, code: Option<&SecretText>) -> Value {
        // Where a person has to be quicker than the clock, on a slow machine too.
        let unhurried = matches!(self.scene.plot, Plot::Confirmed | Plot::Stopped | Plot::Twice);
        json!({
            "amount": yuan(self.scene.fen),
            "subject": self.scene.subject.text(self.lang),
            "sale": sale,
            "auth_code": code.map(SecretText::reveal),
            "timeout": unhurried.then_some(30),
        })
    }

    fn goods(&self) -> (&'static str, &'static str) {
        (self.scene.subject.text(Lang::Zh), self.scene.subject.text(Lang::En))
    }

    /// The register asks for a payment that the scanner brings the code for.
    async fn ask(&mut self) {
        let (sum, (zh, en)) = (yuan(self.scene.fen), self.goods());
        let what = Sentence {
            zh: words::ASKS.fill(Lang::Zh, &[&sum, zh]),
            en: words::ASKS.fill(Lang::En, &[&sum, en]),
        };
        self.lines.say(Who::Register, what);
        let (number, body) = (self.scene.number(), self.body(None, None));
        self.answered(&number, &body, 201, "").await;
    }

    /// The register gives so much back, or asks for the same once more.
    async fn give_back(&mut self, request: &str, fen: u64, status: u16) {
        let sum = yuan(fen);
        if status == 201 {
            self.lines.say(Who::Register, words::REFUNDS.both(&[&sum, request]));
        }
        let path = self.refund_path(request);
        self.put(&path, &json!({ "amount": sum }), status, "").await;
    }

    fn refund_path(&self, request: &str) -> String {
        format!("/v1/payments/{}/refunds/{request}", self.scene.number())
    }

    /// Puts a payment.
    async fn answered(&mut self, number: &str, body: &Value, status: u16, code: &str) {
        self.put(&format!("/v1/payments/{number}"), body, status, code).await;
    }

    /// Sends a request and holds the answer against what it should be; a denial is
    /// told with its sentence.
    async fn put(&mut self, path: &str, body: &Value, status: u16, code: &str) {
        let client = self.stage.client.clone();
        let answer = self.lines.during(client.put(path, body)).await;
        let (got, name) = match &answer {
            Ok(Answer { status, .. }) => (*status, String::new()),
            Err(ClientError::Problem { problem, .. }) => {
                self.is_told(problem.view.status, &problem.view.cashier);
                (problem.view.status, problem.view.code.to_string())
            }
            Err(why) => (0, why.to_string()),
        };
        if (got, name.as_str()) != (status, code) {
            let (got, wanted) = (format!("{got} {name}"), format!("{status} {code}"));
            let values = [got.trim(), wanted.trim()];
            self.differ(words::DIFFERS_ANSWER, &values, &values);
        }
    }

    fn is_told(&mut self, status: u16, sentence: &Sentence) {
        let status = status.to_string();
        let what = Sentence {
            zh: words::IS_TOLD.fill(Lang::Zh, &[&status, &sentence.zh]),
            en: words::IS_TOLD.fill(Lang::En, &[&status, &sentence.en]),
        };
        self.lines.say(Who::Register, what);
    }

    /// The buyer shows a code of Alipay; how it goes on depends on the first
    /// digits (see `till sandbox --help`).
    fn scan(&mut self, first: &str) {
        let code = fresh_code(first, self.scene);
        self.show_code(words::SCANS, &code);
    }

    fn show_code(&mut self, phrase: Phrase, code: &SecretText) {
        self.lines.say(Who::Scanner, phrase.both(&[&hide_codes(code.reveal())]));
        if let Err(why) = self.stage.scan(code) {
            let why = why.to_string();
            self.differ(words::CANNOT, &[&why], &[&why]);
        }
    }

    /// The buyer confirms on the phone.
    fn confirm(&mut self) {
        self.lines.say(Who::Buyer, words::CONFIRMS.both(&[]));
        if !self.stage.sandbox.ledger().confirm(&self.scene.number()) {
            self.differ(words::DIFFERS_ANSWER, &["", "confirm"], &["", "confirm"]);
        }
    }

    /// The cashier gives up.
    async fn stop(&mut self) {
        self.lines.say(Who::Cashier, words::ASKS_FOR_STOP.both(&[]));
        let client = self.stage.client.clone();
        let path = format!("/v1/payments/{}/cancel", self.scene.number());
        if let Err(why) = self.lines.during(client.post(&path, &json!({}))).await {
            let why = why.to_string();
            self.differ(words::DIFFERS_ANSWER, &[&why, "202"], &[&why, "202"]);
        }
    }

    /// Something goes wrong with the next request of that kind.
    fn fault(&mut self, fault: Fault, method: &str) {
        let out_trade_no = Some(self.scene.number());
        let fault = Fault { method: Some(method.to_owned()), out_trade_no, ..fault };
        if let Err(why) = self.stage.sandbox.fault(fault) {
            self.differ(words::CANNOT, &[&why], &[&why]);
        }
    }

    /// Lets people take their time.
    async fn pause(&mut self, millis: u64) {
        self.lines.during(sleep(Duration::from_millis(millis))).await;
    }

    // --- what is waited for ----------------------------------------------------

    async fn end(&mut self) -> Result<PaymentView, Vain> {
        self.payment(words::AWAITED_END.both(&[]), |view| view.is_final).await
    }

    async fn until_state(&mut self, state: StateView) -> Result<PaymentView, Vain> {
        let name = Word::from(state).to_string();
        self.payment(words::AWAITED_STATE.both(&[&name]), |view| view.state == state).await
    }

    /// Until the refund has come to its end; then what the payment says has gone back
    /// is held against the ledger.
    async fn until_refunded(&mut self, request: &str) -> Result<(), Vain> {
        let (path, client) = (self.refund_path(request), self.stage.client.clone());
        let until = Instant::now() + PATIENCE;
        loop {
            // A terminal that is starting is asked again.
            let answer = self.lines.during(client.get(&path)).await;
            let view = answer.ok().and_then(|answer| answer.read::<RefundView>().ok());
            if view.is_some_and(|view| view.state == RefundStateView::Refunded) {
                break;
            }
            if Instant::now() > until {
                return Err(words::AWAITED_REFUND.both(&[]));
            }
            self.lines.during(sleep(LOOK)).await;
        }
        let view = self.until_state(StateView::Paid).await?;
        let number = self.stage.sandbox.ledger().number(&self.scene.number());
        let returned = number.and_then(|number| number.trade).map(|trade| yuan(trade.refunded_fen));
        if returned.as_deref() != Some(view.refunded_amount.as_str()) {
            let values = [view.refunded_amount.as_str(), returned.as_deref().unwrap_or_default()];
            self.differ(words::DIFFERS_BACK, &values, &values);
        }
        let until = Instant::now() + PATIENCE;
        while !self.lines.has_refunded(request) && Instant::now() < until {
            self.lines.during(sleep(LOOK)).await;
        }
        Ok(())
    }

    /// Until the ledger has got so far with the payment.
    async fn until_pay(&mut self, is_so: impl Fn(&Number) -> bool) -> Result<(), Vain> {
        let (ledger, number) = (self.stage.sandbox.ledger(), self.scene.number());
        self.until(words::AWAITED_PAY, |_| ledger.number(&number).filter(&is_so).map(|_| ())).await
    }

    async fn until<T>(
        &mut self,
        what: Phrase,
        come: impl Fn(&Self) -> Option<T>,
    ) -> Result<T, Vain> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(come) = come(self) {
                return Ok(come);
            }
            self.lines.during(sleep(LOOK)).await;
        }
        Err(what.both(&[]))
    }

    async fn payment(
        &mut self,
        what: Sentence,
        is_so: impl Fn(&PaymentView) -> bool,
    ) -> Result<PaymentView, Vain> {
        let until = Instant::now() + PATIENCE;
        let path = format!("/v1/payments/{}", self.scene.number());
        let client = self.stage.client.clone();
        while Instant::now() < until {
            // A terminal that is starting is asked again.
            if let Ok(answer) = self.lines.during(client.get(&path)).await
                && let Ok(view) = answer.read::<PaymentView>()
                && is_so(&view)
            {
                return Ok(view);
            }
            self.lines.during(sleep(LOOK)).await;
        }
        Err(what)
    }

    pub(super) fn differ(&mut self, phrase: Phrase, zh: &[&str], en: &[&str]) {
        let sentence = Sentence { zh: phrase.fill(Lang::Zh, zh), en: phrase.fill(Lang::En, en) };
        self.differs.push(sentence);
    }
}

/// Eighteen digits that no other scene uses. They open no wallet: the sandbox
/// takes any.
fn fresh_code(first: &str, scene: &Scene) -> SecretText {
    let tail = scene.fen % 100_000;
    SecretText::new(format!("{first}{tail:0width$}", width = 18 - first.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::payment::AuthCode;

    #[test]
    fn the_scenes_do_not_get_in_each_others_way() {
        let numbers: BTreeSet<String> =
            SCENES.iter().flat_map(|scene| [scene.number(), scene.second()]).collect();
        assert_eq!(numbers.len(), 2 * SCENES.len());
        let sums: BTreeSet<u64> = SCENES.iter().map(|scene| scene.fen).collect();
        assert_eq!(sums.len(), SCENES.len(), "codes are made of the sums");
        for scene in SCENES {
            assert!(scene.number().parse::<crate::payment::OutTradeNo>().is_ok());
            for first in ["2800", "287704", "287712", "287733"] {
                assert!(AuthCode::read(&fresh_code(first, scene)).is_ok());
            }
            // An amount of 77.NN would pick an ending.
            assert!(!(77_00..=77_99).contains(&scene.fen));
        }
    }
}
