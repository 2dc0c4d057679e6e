//! `till refund`: money of a paid payment goes back.
//!
//! A person is asked first. Then the same request is sent until it is answered:
//! it has a number, so money goes back once, however often it is repeated.

use std::io::{self, BufRead, IsTerminal, Read};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::client::{Answer, Client, ClientError, Problem, segment};
use crate::api::{
    Code, MoneyView as Money, PaymentView, RefundBody, RefundStateView, RefundView,
    SentenceView as Sentence, StateView,
};
use crate::payment::Amount;

use super::args::{RefundArgs, seconds};
use super::out::Out;
use super::patience::{Comfort, Patience, TICK, TICK_SHORTEST};
use super::words::{self, Lang};
use super::{Concerns, Exit, give_up, pay, refuse, sentence, tell_problem};

/// The longest answer to the question that is read.
const REPLY_BYTES_MAX: u64 = 256;

/// Gives money back.
pub(super) async fn refund(client: &Client, out: &Out, args: &RefundArgs) -> Exit {
    match prepare(client, out, args).await {
        Ok((request, amount)) => give_back(client, out, args, &request, amount).await,
        Err(exit) => exit,
    }
}

// --- before anything is sent ------------------------------------------------------

/// The number and the amount of the refund, agreed to by whoever has to agree.
async fn prepare(client: &Client, out: &Out, args: &RefundArgs) -> Result<(String, Amount), Exit> {
    let asks = !args.yes && io::stdin().is_terminal();
    if !args.yes && !asks {
        let told = words::REFUND_UNASKED.both(&[]);
        refuse(out, "usage", Money::Unknown, &told, Concerns::order(&args.order));
        return Err(Exit::Usage);
    }
    // The same refund again is nothing new: its sum is known, and it was agreed to.
    let earlier = match &args.request {
        Some(request) if asks || args.amount.is_none() => find(client, &args.order, request).await,
        Some(_) | None => Ok(None),
    };
    let earlier = earlier.map_err(|error| untold(out, &error, args))?;
    let is_new = earlier.is_none();
    let amount = args.amount.or_else(|| earlier.and_then(|view| view.amount.parse().ok()));
    let amount = match amount {
        Some(amount) if !(asks && is_new) => amount,
        amount => {
            let view = payment(client, &args.order).await;
            let view = view.map_err(|error| untold(out, &error, args))?;
            let left = left_of(&view);
            let amount = amount.or(left).filter(|_| view.state == StateView::Paid);
            let Some(amount) = amount else { return Err(nothing_left(out, &view)) };
            if asks && !is_agreed(out, &view, left, amount) {
                let told = words::REFUND_NOT_AGREED.both(&[]);
                return Err(turn_away(out, "not_confirmed", &view, &told, Exit::None));
            }
            amount
        }
    };
    let request = match &args.request {
        Some(request) => request.clone(),
        // Made before anything is sent, so that a lost request can be repeated.
        None => pay::fresh_number().map_err(|why| {
            out.say(words::NO_RANDOM, &[&why]);
            Exit::None
        })?,
    };
    if args.request.is_none() {
        out.say(words::REFUND_IS, &[&request]);
    }
    Ok((request, amount))
}

/// The refund with this number, if there is one.
async fn find(
    client: &Client,
    order: &str,
    request: &str,
) -> Result<Option<RefundView>, ClientError> {
    match client.get(&path(order, request)).await {
        Ok(answer) => answer.read().map(Some),
        Err(ClientError::Problem { problem, .. }) if problem.view.code == Code::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn payment(client: &Client, order: &str) -> Result<PaymentView, ClientError> {
    client.get(&format!("/v1/payments/{}", segment(order))).await?.read()
}

/// Nothing was sent, because the terminal did not tell what it would be about.
fn untold(out: &Out, error: &ClientError, args: &RefundArgs) -> Exit {
    if let ClientError::Problem { problem, .. } = error {
        tell_problem(out, problem);
        return Exit::of_refund_problem(problem);
    }
    give_up(out, error, absent(args), Money::Unknown, Exit::Unknown)
}

/// What is left of a payment, by its own word.
fn left_of(view: &PaymentView) -> Option<Amount> {
    let fen = |text: &str| match text.parse::<Amount>() {
        Ok(amount) => Some(amount.fen()),
        Err(_) if text == "0.00" => Some(0),
        Err(_) => None,
    };
    Amount::from_fen(fen(&view.amount)?.checked_sub(fen(&view.refunded_amount)?)?).ok()
}

/// There is nothing to give back, or not yet.
fn nothing_left(out: &Out, view: &PaymentView) -> Exit {
    let (phrase, code) = match (view.state == StateView::Paid, view.is_final) {
        (true, _) => (words::REFUND_NOTHING_LEFT, "refund_exceeds"),
        (false, true) => (words::REFUND_NOT_PAID, "not_paid"),
        (false, false) => (words::REFUND_NOT_PAID, "payment_in_doubt"),
    };
    let told = |lang| phrase.fill(lang, &[&sentence(view, lang)]);
    let told = Sentence { zh: told(Lang::Zh), en: told(Lang::En) };
    let exit = if view.is_final { Exit::None } else { Exit::Unknown };
    turn_away(out, code, view, &told, exit)
}

/// Nothing was sent; says why.
fn turn_away(out: &Out, code: &str, view: &PaymentView, told: &Sentence, exit: Exit) -> Exit {
    if out.json {
        refuse(out, code, view.money, told, Concerns::order(&view.out_trade_no));
    } else {
        out.line(out.lang.of(told));
    }
    exit
}

/// Shows what would go back, and waits for a yes. All else is a no.
fn is_agreed(out: &Out, view: &PaymentView, left: Option<Amount>, amount: Amount) -> bool {
    let lang = out.lang;
    let left = left.map_or_else(|| "0.00".to_owned(), |left| left.to_string());
    for (label, value) in [
        (words::LABEL_ORDER, &view.out_trade_no),
        (words::LABEL_SUBJECT, &view.subject),
        (words::LABEL_AMOUNT, &view.amount),
        (words::LABEL_LEFT, &left),
    ] {
        out.note(&format!("  {}  {value}", label.text(lang)));
    }
    out.ask(words::REFUND_QUESTION, &[&amount.to_string()]);
    let mut reply = String::new();
    let read = io::stdin().lock().take(REPLY_BYTES_MAX).read_line(&mut reply);
    read.is_ok() && ["y", "yes", "是"].contains(&reply.trim().to_lowercase().as_str())
}

// --- the refund -------------------------------------------------------------------

fn path(order: &str, request: &str) -> String {
    format!("/v1/payments/{}/refunds/{}", segment(order), segment(request))
}

fn absent(args: &RefundArgs) -> words::Phrase {
    match args.request {
        Some(_) => words::ABSENT,
        None => words::ABSENT_NOTHING_RETURNED,
    }
}

async fn give_back(
    client: &Client,
    out: &Out,
    args: &RefundArgs,
    request: &str,
    amount: Amount,
) -> Exit {
    let comfort = Comfort { away: words::REFUND_AWAY, sent_away: words::REFUND_SENT_AWAY };
    let patience = match Patience::new(out, seconds(args.wait), comfort) {
        Ok(patience) => patience,
        Err(exit) => return exit,
    };
    let body =
        RefundBody { amount: amount.to_string(), reason: args.reason.clone(), operator_id: None };
    let mut wait = Wait {
        client,
        out,
        path: path(&args.order, request),
        patience,
        since: Instant::now(),
        last: None,
        told: String::new(),
        may_wait: true,
    };
    let end = match wait.begin(&body).await {
        Ok(()) => wait.follow().await,
        Err(end) => end,
    };
    wait.finish(end, args, request)
}

/// How a wait ended.
enum End {
    /// With a final refund, the last one seen.
    Final,
    /// Without knowing.
    Left,
    /// The terminal denied it.
    Denied(Box<Problem>),
    /// There is no answer.
    Gone(ClientError),
}

/// One refund, and somebody who waits for its end.
struct Wait<'a> {
    client: &'a Client,
    out: &'a Out,
    path: String,
    patience: Patience<'a>,
    since: Instant,
    /// The last that was seen of it, with the JSON as it came.
    last: Option<(String, RefundView)>,
    /// What was last said about it.
    told: String,
    /// The terminal has room for requests that wait.
    may_wait: bool,
}

impl Wait<'_> {
    /// Sends the request until it is answered: the same one each time.
    async fn begin(&mut self, body: &RefundBody) -> Result<(), End> {
        loop {
            // Whether an earlier round may have reached the terminal.
            let repeated = self.patience.is_away();
            // It is sent also by somebody who will not wait for the end.
            let answer = self.patience.attend(None, self.client.put(&self.path, body)).await;
            match answer.map_err(|_| End::Left)? {
                Ok(answer) => return self.take(&answer),
                Err(ClientError::Lost { .. }) => {}
                // Only the first round is certain to have been the only one.
                Err(ClientError::DaemonAbsent { .. }) if repeated => {}
                Err(ClientError::Problem { problem, .. })
                    if repeated && problem.view.status >= 500 => {}
                Err(ClientError::Problem { problem, .. }) => return Err(End::Denied(problem)),
                Err(error) => return Err(End::Gone(error)),
            }
            self.rest().await?;
        }
    }

    /// Asks for the refund until it is final.
    async fn follow(&mut self) -> End {
        loop {
            if self.is_final() {
                return End::Final;
            }
            match self.look().await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    async fn look(&mut self) -> Result<(), End> {
        let asked = Instant::now();
        let path = match self.may_wait {
            true => format!("{}?wait={}", self.path, TICK.as_secs()),
            false => self.path.clone(),
        };
        let request = self.client.get_waiting(&path, TICK);
        match self.patience.attend(self.patience.until, request).await.map_err(|_| End::Left)? {
            Ok(answer) => {
                self.take(&answer).map_err(|_| End::Left)?;
                if self.is_final() {
                    return Ok(());
                }
                self.pause(asked + TICK_SHORTEST).await
            }
            // Too many registers wait already; asking without waiting is free.
            Err(ClientError::Problem { problem, .. })
                if self.may_wait && problem.view.code == Code::TooManyWaiting =>
            {
                self.may_wait = false;
                Ok(())
            }
            // It was seen, so it is there, whatever is said about it.
            Err(ClientError::Problem { problem, .. }) if problem.view.status < 500 => {
                Err(End::Left)
            }
            Err(_) => self.rest().await,
        }
    }

    fn is_final(&self) -> bool {
        self.last.as_ref().is_some_and(|(_, view)| view.is_final)
    }

    async fn pause(&mut self, moment: Instant) -> Result<(), End> {
        let sleep = tokio::time::sleep_until(moment);
        let left = self.patience.attend(self.patience.until, sleep).await;
        left.map_err(|_| End::Left)
    }

    /// The terminal does not answer: waits a little, but not for ever.
    async fn rest(&mut self) -> Result<(), End> {
        let length = self.patience.missed().ok_or(End::Left)?;
        self.pause(Instant::now() + length).await
    }

    /// Takes in how the refund stands, and tells what has changed.
    fn take(&mut self, answer: &Answer) -> Result<(), End> {
        let view: RefundView = answer.read().map_err(End::Gone)?;
        self.patience.answered();
        if !view.is_final {
            let out = self.out;
            let mut tell = said(&view, out.lang);
            if let Some(attention) = &view.attention {
                let attention = out.lang.of(attention);
                tell = format!("{tell}\n{}", words::ATTENTION_IS.fill(out.lang, &[attention]));
            }
            if self.told != tell {
                tell.lines().for_each(|line| out.note(line));
                self.told = tell;
            }
            if out.is_live() {
                out.live(&live_line(&view, self.since.elapsed(), out.lang));
            }
        }
        self.last = Some((answer.text.clone(), view));
        Ok(())
    }

    fn finish(self, end: End, args: &RefundArgs, request: &str) -> Exit {
        let out = self.out;
        out.end_live();
        let in_doubt = || words::REFUND_LEFT_IN_DOUBT.both(&[request, &args.order]);
        match (end, self.last) {
            (End::Final, Some((text, view))) => {
                if out.json {
                    out.json(&text);
                } else {
                    out.line(&said(&view, out.lang));
                    if let Some(attention) = &view.attention {
                        out.say(words::ATTENTION_IS, &[out.lang.of(attention)]);
                    }
                }
                Exit::of_refund(&view)
            }
            (End::Denied(problem), _) => {
                tell_problem(out, &problem);
                Exit::of_refund_problem(&problem)
            }
            (End::Gone(error), _) => {
                let exit = give_up(out, &error, absent(args), Money::Unknown, Exit::Unknown);
                if exit == Exit::Unknown && !out.json {
                    out.line(out.lang.of(&in_doubt()));
                }
                exit
            }
            (End::Left, Some((text, _))) if out.json => {
                out.json(&text);
                Exit::Unknown
            }
            (End::Left | End::Final, _) => {
                let told = in_doubt();
                if out.json {
                    let about = Concerns { order: Some(&args.order), request: Some(request) };
                    refuse(out, "outcome_unknown", Money::Unknown, &told, about);
                } else {
                    out.line(out.lang.of(&told));
                }
                Exit::Unknown
            }
        }
    }
}

impl Exit {
    /// Whether the money went back, and only once that is final.
    fn of_refund(view: &RefundView) -> Self {
        if !view.is_final {
            Self::Unknown
        } else if view.state == RefundStateView::Refunded {
            Self::DONE
        } else if view.state == RefundStateView::Refused {
            Self::None
        } else {
            Self::Unknown
        }
    }

    /// A request for a refund that was denied. The problem's `money` is the
    /// payment's and says nothing of the refund, so the code decides: what is not
    /// certain to have moved nothing, now and by an earlier request, is unknown.
    fn of_refund_problem(problem: &Problem) -> Self {
        let told = [Code::RefundExceeds, Code::NotPaid, Code::OtherAccount, Code::Forbidden];
        match problem.view.status {
            _ if told.into_iter().any(|code| problem.view.code == code) => Self::None,
            400 | 405 | 411 | 413 | 414 | 415 | 422 | 431 => Self::Usage,
            _ => Self::Unknown,
        }
    }
}

/// The truth about a refund in one sentence: the terminal's, or one of ours when it
/// sent none.
pub(super) fn said(view: &RefundView, lang: Lang) -> String {
    match lang.of(&view.cashier) {
        "" => {
            let state = words::refund_state(&view.state.to_string(), lang);
            format!("{} {state}", view.amount)
        }
        sentence => sentence.to_owned(),
    }
}

fn live_line(view: &RefundView, gone: Duration, lang: Lang) -> String {
    let gone = words::SECONDS_GONE.fill(lang, &[&gone.as_secs().to_string()]);
    format!("{}  {gone}", words::LIVE_REFUNDING.fill(lang, &[&view.amount]))
}
