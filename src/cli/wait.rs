//! Waiting for a payment to become final.
//!
//! Only a final payment ends the wait with certainty; whatever cuts it short
//! ends with *unknown*.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api::client::{Answer, Client, ClientError, Problem, SecretText, segment};
use crate::api::{
    Code, MoneyView as Money, PaymentView, SentenceView as Sentence, StateView, Word,
};

use super::out::Out;
use super::patience::{Comfort, Cut, Patience, TICK, TICK_SHORTEST};
use super::typed::Silence;
use super::words::{self, Lang};
use super::{Concerns, Exit, give_up, refuse, sentence, tell_problem};

/// The body of a payment request.
#[derive(Serialize)]
pub(super) struct PayBody<'a> {
    pub(super) amount: &'a str,
    pub(super) subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scanner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sale: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<u64>,
}

#[derive(Serialize)]
struct CodeBody<'a> {
    auth_code: &'a str,
}

#[derive(Serialize)]
struct Empty {}

/// What Ctrl-C means the first time. The second time it always means: leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    Cancel,
    Leave,
}

/// Whether the cashier wants the payment cancelled, and whether the terminal
/// has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    Not,
    Wanted,
    Asked,
}

/// How a wait ended.
#[derive(Debug)]
pub(super) enum End {
    /// With a final payment, the last one seen.
    Final,
    /// Without knowing.
    Left,
    /// The terminal denied it.
    Denied(Box<Problem>),
    /// There is no answer.
    Gone(ClientError),
}

impl End {
    fn of(error: ClientError) -> Self {
        if let ClientError::Problem { problem, .. } = error {
            Self::Denied(problem)
        } else {
            Self::Gone(error)
        }
    }
}

/// What came first.
enum Heard<T> {
    Answer(T),
    /// Somebody has typed this line.
    Typed(SecretText),
}

/// One payment, and somebody who waits for its end.
pub(super) struct Wait<'a> {
    client: &'a Client,
    out: &'a Out,
    number: Option<String>,
    patience: Patience<'a>,
    /// What is typed meanwhile; the silence itself lasts until the end is told.
    typed: Option<(Silence, mpsc::Receiver<SecretText>)>,
    on_interrupt: OnInterrupt,
    cancel: Cancel,
    /// The window that was asked for, to count down with.
    pub(super) window: Option<Duration>,
    /// Since when the payment is as it is: its state and the moment.
    since: (Word<StateView>, Instant),
    /// When charging was first seen.
    charging_since: Option<Instant>,
    /// The last that was seen of the payment, with the JSON as it came.
    last: Option<(String, PaymentView)>,
    /// What was last said about it.
    told: String,
    /// What the customer scans has been drawn.
    drawn: bool,
    /// The terminal has room for requests that wait.
    may_wait: bool,
}

impl<'a> Wait<'a> {
    pub(super) fn new(
        client: &'a Client,
        out: &'a Out,
        number: Option<String>,
        length: Option<Duration>,
        on_interrupt: OnInterrupt,
    ) -> Result<Self, Exit> {
        let comfort = Comfort { away: words::AWAY, sent_away: words::SENT_AWAY };
        Ok(Self {
            client,
            out,
            number,
            patience: Patience::new(out, length, comfort)?,
            typed: None,
            on_interrupt,
            cancel: Cancel::Not,
            window: None,
            since: (Word::default(), Instant::now()),
            charging_since: None,
            last: None,
            told: String::new(),
            drawn: false,
            may_wait: true,
        })
    }

    /// From now on what is typed is a payment code, shown to nobody.
    pub(super) fn take_typing(&mut self) {
        self.typed = Silence::begin().map(|silence| {
            let lines = silence.lines();
            (silence, lines)
        });
    }

    fn path(&self) -> String {
        format!("/v1/payments/{}", segment(self.number.as_deref().unwrap_or_default()))
    }

    fn cancel_path(&self) -> String {
        format!("{}/cancel", self.path())
    }

    /// Sends the request until it is answered: the same one each time.
    pub(super) async fn begin(&mut self, body: &PayBody<'_>) -> Result<(), End> {
        loop {
            // Whether an earlier round may have reached the terminal.
            let repeated = self.patience.is_away();
            let client = self.client;
            let path = self.path();
            let by_number = self.number.is_some();
            let request = async {
                if by_number {
                    client.put(&path, body).await
                } else {
                    client.post("/v1/payments", body).await
                }
            };
            // It is sent also by somebody who will not wait for the end.
            let answer = self.attend_until(None, request).await.ok_or(End::Left)?;
            match answer {
                Ok(answer) => return self.take(&answer),
                Err(ClientError::Lost { .. }) => {}
                // Only the first round is certain to have been the only one.
                Err(ClientError::DaemonAbsent { .. }) if repeated => {}
                Err(ClientError::Problem { problem, .. })
                    if repeated && problem.view.status >= 500 => {}
                Err(error) => return Err(End::of(error)),
            }
            self.rest().await.ok_or(End::Left)?;
            // Whoever wants to cancel does not want the request repeated.
            if self.cancel == Cancel::Wanted && self.number.is_some() {
                return Ok(());
            }
        }
    }

    /// Hands the code over, once more if the first time was lost and the
    /// payment still waits for one. The code of a payment is sent to Alipay once,
    /// so the worst that a second one can be is denied.
    pub(super) async fn give(&mut self, code: &SecretText) -> Result<(), End> {
        let client = self.client;
        let (path, code_path) = (self.path(), format!("{}/code", self.path()));
        let body = CodeBody { auth_code: code.reveal() };
        loop {
            let repeated = self.patience.is_away();
            let request = async { client.post(&code_path, &body).await };
            match self.attend_until(None, request).await.ok_or(End::Left)? {
                Ok(answer) => return self.take(&answer),
                Err(ClientError::Lost { .. }) => {}
                Err(ClientError::DaemonAbsent { .. }) if repeated => {}
                Err(ClientError::Problem { problem, .. })
                    if repeated && problem.view.status >= 500 => {}
                Err(ClientError::Problem { problem, .. })
                    if repeated && problem.view.status == 409 =>
                {
                    return Ok(());
                }
                Err(error) => return Err(End::of(error)),
            }
            self.rest().await.ok_or(End::Left)?;
            let request = async { client.get(&path).await };
            if let Ok(answer) = self.attend(request).await.ok_or(End::Left)? {
                let waits = answer.read::<PaymentView>().map_err(End::Gone)?.state
                    == StateView::AwaitingCode;
                if !waits {
                    return self.take(&answer);
                }
            }
        }
    }

    /// Asks the terminal to cancel; when that is lost, it is asked again.
    pub(super) async fn ask_to_cancel(&mut self) -> Result<(), End> {
        let client = self.client;
        let path = self.cancel_path();
        match self.attend_until(None, client.post(&path, &Empty {})).await.ok_or(End::Left)? {
            Ok(answer) => self.take(&answer),
            Err(ClientError::Lost { .. }) => {
                self.cancel = Cancel::Wanted;
                self.rest().await.ok_or(End::Left)
            }
            Err(error) => Err(End::of(error)),
        }
    }

    /// Asks for the payment until it is final.
    pub(super) async fn follow(&mut self) -> End {
        loop {
            if let Some((_, view)) = &self.last
                && view.is_final
            {
                return End::Final;
            }
            let client = self.client;
            if self.cancel == Cancel::Wanted {
                let path = self.cancel_path();
                match self.attend(async { client.post(&path, &Empty {}).await }).await {
                    None => return End::Left,
                    Some(Ok(answer)) => {
                        self.cancel = Cancel::Asked;
                        if let Err(end) = self.take(&answer) {
                            return end;
                        }
                        continue;
                    }
                    // It cannot be cancelled any more: the payment tells why.
                    Some(Err(ClientError::Problem { problem, .. }))
                        if problem.view.status == 409 =>
                    {
                        self.cancel = Cancel::Asked;
                    }
                    // A request that was lost on its way may still arrive.
                    Some(Err(ClientError::Problem { problem, .. }))
                        if problem.view.status < 500 =>
                    {
                        return End::Left;
                    }
                    Some(Err(_)) => {
                        if self.rest().await.is_none() {
                            return End::Left;
                        }
                        continue;
                    }
                }
            }
            let asked = Instant::now();
            let path = match self.may_wait {
                true => format!("{}?wait={}", self.path(), TICK.as_secs()),
                false => self.path(),
            };
            let answer = self.attend_typing(async { client.get_waiting(&path, TICK).await }).await;
            let answer = match answer {
                Some(Heard::Answer(answer)) => Some(answer),
                Some(Heard::Typed(code)) => match self.typed(&code).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                None => None,
            };
            match answer {
                None => return End::Left,
                // Too many registers wait already; asking without waiting is free.
                Some(Err(ClientError::Problem { problem, .. }))
                    if self.may_wait && problem.view.code == Code::TooManyWaiting =>
                {
                    self.may_wait = false;
                }
                Some(Ok(answer)) => {
                    if self.take(&answer).is_err() {
                        return End::Left;
                    }
                    if self.pause(asked + TICK_SHORTEST).await.is_none() {
                        return End::Left;
                    }
                }
                // A payment that was never seen may be denied; one that was
                // seen is there, whatever is said about it.
                Some(Err(ClientError::Problem { problem, .. })) if problem.view.status < 500 => {
                    return if self.last.is_none() && self.on_interrupt == OnInterrupt::Leave {
                        End::Denied(problem)
                    } else {
                        End::Left
                    };
                }
                Some(Err(_)) => {
                    if self.rest().await.is_none() {
                        return End::Left;
                    }
                }
            }
        }
    }

    /// Waits for `request` with an ear for Ctrl-C and the clock; nothing when it
    /// is time to leave.
    async fn attend<T>(&mut self, request: impl Future<Output = T>) -> Option<T> {
        self.attend_until(self.patience.until, request).await
    }

    async fn attend_until<T>(
        &mut self,
        until: Option<Instant>,
        request: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(request);
        loop {
            match self.patience.attend(until, request.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(Cut::Interrupt) => self.interrupted()?,
                Err(Cut::Leave) => return None,
            }
        }
    }

    /// [`attend`](Self::attend), with an ear for what is typed.
    async fn attend_typing<T>(&mut self, request: impl Future<Output = T>) -> Option<Heard<T>> {
        let Some((silence, mut lines)) = self.typed.take() else {
            return self.attend(request).await.map(Heard::Answer);
        };
        let heard = async {
            tokio::select! {
                answer = request => Heard::Answer(answer),
                Some(line) = lines.recv() => Heard::Typed(line),
            }
        };
        let heard = self.attend(heard).await;
        self.typed = Some((silence, lines));
        heard
    }

    /// Hands over what was typed, if the payment waits for a code. What the
    /// terminal does not take is told, and the payment goes on waiting.
    async fn typed(&mut self, code: &SecretText) -> Result<(), End> {
        let waits =
            self.last.as_ref().is_some_and(|(_, view)| view.state == StateView::AwaitingCode);
        if !waits || self.cancel != Cancel::Not {
            return Ok(());
        }
        self.out.keep_secret(code);
        match self.give(code).await {
            Err(End::Denied(problem)) => {
                let sentence = self.out.lang.of(&problem.view.cashier);
                self.out.note(if sentence.is_empty() { &problem.view.detail } else { sentence });
                // It is said once, and then again what the payment waits for.
                self.told.clear();
                Ok(())
            }
            // The payment tells what became of it.
            Err(End::Gone(_) | End::Final) => {
                self.told.clear();
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(End::Left) => Err(End::Left),
        }
    }

    /// What Ctrl-C does; nothing when it is time to leave.
    fn interrupted(&mut self) -> Option<()> {
        if self.on_interrupt == OnInterrupt::Leave || self.cancel != Cancel::Not {
            return None;
        }
        self.cancel = Cancel::Wanted;
        let phrase =
            if self.last.is_some() { words::CANCEL_ASKED } else { words::CANCEL_WILL_BE_ASKED };
        self.out.say(phrase, &[]);
        Some(())
    }

    /// Waits for `moment`, unless the payment is final already.
    async fn pause(&mut self, moment: Instant) -> Option<()> {
        if self.last.as_ref().is_some_and(|(_, view)| view.is_final) {
            return Some(());
        }
        self.attend(tokio::time::sleep_until(moment)).await
    }

    /// The terminal does not answer: waits a little. Nothing when it has been away
    /// for too long.
    async fn rest(&mut self) -> Option<()> {
        let length = self.patience.missed()?;
        self.attend(tokio::time::sleep(length)).await
    }

    /// Takes in how the payment stands, and tells what has changed.
    fn take(&mut self, answer: &Answer) -> Result<(), End> {
        let view: PaymentView = answer.read().map_err(End::Gone)?;
        self.patience.answered();
        if self.number.is_none() {
            self.out.say(words::ORDER_IS, &[&view.out_trade_no]);
            self.number = Some(view.out_trade_no.clone());
        }
        let now = Instant::now();
        if self.since.0 != view.state {
            self.since = (view.state.clone(), now);
            if is_charging(&view) {
                self.charging_since.get_or_insert(now);
            }
        }
        if !view.is_final {
            let out = self.out;
            let mut tell = sentence(&view, out.lang);
            if let Some(attention) = &view.attention {
                let attention = out.lang.of(attention);
                tell = format!("{tell}\n{}", words::ATTENTION_IS.fill(out.lang, &[attention]));
            }
            if self.typed.is_some() && view.state == StateView::AwaitingCode {
                tell = format!("{tell}\n{}", words::TYPE_IT.text(out.lang));
            }
            if self.told != tell {
                tell.lines().for_each(|line| out.note(line));
                self.told = tell;
            }
            if let Some(text) = view.qr_code.as_ref().filter(|_| !self.drawn) {
                out.draw(text);
                self.drawn = true;
            }
            if out.is_live() {
                let gone = now.duration_since(self.since.1);
                let window = self.charging_since.zip(self.window);
                let left = window.map(|(since, window)| {
                    window.saturating_sub(now.duration_since(since)).as_secs()
                });
                out.live(&live_line(&view, left, gone.as_secs(), out.lang));
            }
        }
        self.last = Some((answer.text.clone(), view));
        Ok(())
    }

    /// Tells the end. `untouched` is where the money is when not even the first
    /// request could be sent.
    pub(super) fn finish(self, end: End, untouched: Money) -> Exit {
        let out = self.out;
        out.end_live();
        match (end, self.last) {
            (End::Final, Some((text, view))) => {
                if out.json {
                    out.json(&text);
                } else {
                    out.line(&sentence(&view, out.lang));
                }
                Exit::of_payment(&view)
            }
            (End::Denied(problem), _) => {
                tell_problem(out, &problem);
                Exit::of_problem(&problem)
            }
            (End::Gone(error), _) => {
                let absent = match untouched {
                    Money::None => words::ABSENT_NOTHING_SENT,
                    Money::Open | Money::Taken | Money::Returned | Money::Unknown => words::ABSENT,
                };
                let exit = give_up(out, &error, absent, untouched, Exit::Unknown);
                if exit == Exit::Unknown && !out.json {
                    out.line(out.lang.of(&in_doubt(self.number.as_deref())));
                }
                exit
            }
            (End::Left | End::Final, last) => {
                let sentence = in_doubt(self.number.as_deref());
                match last {
                    Some((text, _)) if out.json => {
                        out.json(&text);
                    }
                    _ if out.json => {
                        let about = Concerns { order: self.number.as_deref(), request: None };
                        refuse(out, "outcome_unknown", Money::Unknown, &sentence, about);
                    }
                    _ => {
                        out.line(out.lang.of(&sentence));
                    }
                }
                Exit::Unknown
            }
        }
    }
}

/// What to say and where to ask when the outcome stays unknown.
fn in_doubt(number: Option<&str>) -> Sentence {
    match number {
        Some(number) => words::LEFT_IN_DOUBT.both(&[number, number]),
        None => words::LEFT_WITHOUT_NUMBER.both(&[]),
    }
}

/// Whether its window runs.
fn is_charging(view: &PaymentView) -> bool {
    view.state == StateView::Processing || view.state == StateView::AwaitingBuyer
}

/// What the payment waits for, and for how long yet, or else how long already.
fn live_line(view: &PaymentView, left: Option<u64>, gone: u64, lang: Lang) -> String {
    let phrase = match view.state {
        Word::Known(StateView::AwaitingCode) => words::LIVE_AWAITING_CODE,
        Word::Known(StateView::Processing) => words::LIVE_PROCESSING,
        Word::Known(StateView::AwaitingBuyer) => words::LIVE_AWAITING_BUYER,
        Word::Known(StateView::Cancelling) => words::LIVE_CANCELLING,
        Word::Known(StateView::Paid | StateView::Declined | StateView::Cancelled)
        | Word::Other(_) => words::LIVE_OTHER,
    };
    let left = view.seconds_left.or_else(|| left.filter(|_| is_charging(view)));
    let clock = match left {
        Some(left) => words::SECONDS_LEFT.fill(lang, &[&left.to_string()]),
        None => words::SECONDS_GONE.fill(lang, &[&gone.to_string()]),
    };
    format!("{}  {clock}", phrase.fill(lang, &[&view.amount]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_line_counts_down_when_it_knows_from_where() {
        let view = |state: &str, seconds_left| PaymentView {
            state: serde_json::from_value(state.into()).expect("a word"),
            amount: "88.88".to_owned(),
            seconds_left,
            ..PaymentView::default()
        };
        for (view, left, zh, en) in [
            (
                view("awaiting_code", Some(90)),
                None,
                "请扫付款码 88.88 元  剩 90 秒",
                "Scan the payment code, 88.88 yuan  90 s left",
            ),
            (
                view("awaiting_code", None),
                Some(60),
                "请扫付款码 88.88 元  已等 7 秒",
                "Scan the payment code, 88.88 yuan  7 s",
            ),
            (
                view("processing", None),
                Some(42),
                "正在收款 88.88 元  剩 42 秒",
                "Charging 88.88 yuan  42 s left",
            ),
            (
                view("awaiting_buyer", Some(41)),
                Some(42),
                "等待顾客在手机上确认 88.88 元  剩 41 秒",
                "Waiting for the customer to confirm 88.88 yuan  41 s left",
            ),
            (
                view("cancelling", None),
                Some(0),
                "正在撤销 88.88 元  已等 7 秒",
                "Cancelling 88.88 yuan  7 s",
            ),
            (
                view("from_the_future", None),
                None,
                "请稍候 88.88 元  已等 7 秒",
                "Please wait, 88.88 yuan  7 s",
            ),
        ] {
            assert_eq!(live_line(&view, left, 7, Lang::Zh), zh);
            assert_eq!(live_line(&view, left, 7, Lang::En), en);
        }
    }
}
