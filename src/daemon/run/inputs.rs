//! What comes in: from registers, scanners, the journal and the gateway.

use std::sync::Arc;

use super::{Back, Line, Loop};
use crate::alipay::Probed;
use crate::daemon::backend::Asked;
use crate::daemon::gate::{Known as Time, Told};
use crate::daemon::heard::Dated;
use crate::daemon::{Ended, system};
use crate::journal::{self, AppendError, Health};
use crate::payment::{CodeMark, OutTradeNo, Payment, ScannerNews};
use crate::scanner;
use crate::terminal::{Denied, Input, Known, Reply, Request, Ticket};

impl Loop {
    pub(super) fn asked(&mut self, asked: Asked) -> Result<(), Ended> {
        if self.gate.keeps_waiting(self.clock.steady()) {
            match &asked.request {
                Request::Pay(_) | Request::Code { .. } | Request::Refund(_)
                    if !self.has_begun(&asked.request) =>
                {
                    self.waiting.push(asked);
                    return Ok(());
                }
                Request::Stop { number } => self.withdraw(&number.clone()),
                Request::Pay(_) | Request::Code { .. } | Request::Refund(_) => {}
            }
        }
        self.decide(asked)
    }

    /// A repeated request of a payment or a refund that the journal knows: it begins
    /// nothing.
    fn has_begun(&self, request: &Request) -> bool {
        match request {
            Request::Pay(asked) => {
                self.reader.payment(&asked.order.out_trade_no).is_ok_and(|known| known.is_some())
            }
            Request::Refund(ask) => {
                self.reader.refund(&ask.number, &ask.request).is_ok_and(|known| known.is_some())
            }
            Request::Code { .. } | Request::Stop { .. } => false,
        }
    }

    /// Nobody wants the payment any more that waits here to begin: it never will.
    fn withdraw(&mut self, number: &OutTradeNo) {
        let Err((by, words)) = self.gate.door() else { return };
        let closed = self.keys.closed(*by, words);
        let is_meant = |asked: &mut Asked| match &asked.request {
            Request::Pay(request) => request.order.out_trade_no == *number,
            Request::Code { .. } | Request::Stop { .. } | Request::Refund(_) => false,
        };
        for (.., reply) in self.waiting.extract_if(.., is_meant).filter_map(Asked::take) {
            reply.send(Reply::Denied(Denied::KeysWrong(closed.clone())));
        }
    }

    /// Those that waited for the gateway's clock.
    pub(super) fn let_in(&mut self) -> Result<(), Ended> {
        std::mem::take(&mut self.waiting).into_iter().try_for_each(|asked| self.decide(asked))
    }

    pub(super) fn decide(&mut self, asked: Asked) -> Result<(), Ended> {
        // Its register was told that nothing of it will be done.
        let Some((request, asker, reply)) = asked.take() else { return Ok(()) };
        let known = match self.known(&request) {
            Ok(known) => Box::new(known),
            Err(why) => {
                let denied = Denied::JournalUnavailable(why.to_string());
                reply.send(Reply::Denied(denied));
                return Ok(());
            }
        };
        self.last_request.0 += 1;
        let id = self.last_request;
        self.replies.insert(id, reply);
        self.handle(Input::Request { id, request, known, asker })
    }

    /// Read here and now: between this and the decision nothing else happens.
    fn known(&self, request: &Request) -> Result<Known, journal::ReadError> {
        match request {
            Request::Pay(asked) => Ok(Known {
                number: self.reader.payment(&asked.order.out_trade_no)?,
                sale: match &asked.order.sale {
                    Some(sale) => self.reader.attempt_for_sale(sale)?,
                    None => None,
                },
                code: self.used_for(self.terminal.mark_of(request))?,
                refunds: Vec::new(),
            }),
            Request::Code { number, .. } | Request::Stop { number } => Ok(Known {
                number: self.reader.payment(number)?,
                sale: None,
                code: self.used_for(self.terminal.mark_of(request))?,
                refunds: Vec::new(),
            }),
            Request::Refund(ask) => Ok(Known {
                number: self.reader.payment(&ask.number)?,
                sale: None,
                code: None,
                refunds: self.reader.refunds_of(&ask.number)?,
            }),
        }
    }

    /// The payment that has taken the code with this mark.
    fn used_for(&self, mark: Option<CodeMark>) -> Result<Option<Payment>, journal::ReadError> {
        match mark {
            Some(mark) => self.reader.payment_of_code(mark),
            None => Ok(None),
        }
    }

    pub(super) fn scanned(&mut self, input: scanner::Input) -> Result<(), Ended> {
        match input {
            scanner::Input::Scan { scanner, text, aim, started_at } => {
                let mark = self.terminal.mark_of_scan(&scanner, &text, aim.as_deref());
                match self.used_for(mark) {
                    Ok(known) => {
                        let known = known.map(Box::new);
                        self.handle(Input::Scan { scanner, text, aim, started_at, known })
                    }
                    // Nobody can say whether this code was used before.
                    Err(why) => {
                        let news = ScannerNews::ScanLost(format!("the journal: {why}"));
                        self.board.scanner(&scanner, &news);
                        self.handle(Input::News { scanner, news })
                    }
                }
            }
            scanner::Input::News { scanner, news } => {
                self.board.scanner(&scanner, &news);
                self.handle(Input::News { scanner, news })
            }
        }
    }

    pub(super) fn came_back(&mut self, back: Back) -> Result<(), Ended> {
        match back {
            Back::Answered(subject, serial, answered) => {
                self.calls.came_back();
                let told = Told::by_call(&answered);
                self.learn(told, Dated::Guess, &answered);
                self.gate.called(told, self.clock.steady());
                if told == Told::KeysDoubted {
                    self.keys.look_now(self.clock.steady());
                }
                self.judge()?;
                self.handle(Input::Answered { subject, serial, answered })
            }
            Back::Probed(probed, dated, client) => {
                // Asked with other keys than those of now, it is not the verdict.
                if Arc::ptr_eq(&client, &self.client) {
                    self.probed(*probed, dated)
                } else {
                    self.gate.came_to_nothing();
                    Ok(())
                }
            }
            Back::Written(ticket, Ok(seq)) => {
                let mut ready = None;
                if let Some(writing) = self.writing.remove(&ticket) {
                    if let Some(payment) = writing.line.payment() {
                        self.recent.put(payment.clone());
                    }
                    self.lines.add(seq, writing.line);
                    ready = writing.ready;
                }
                self.head.send_if_modified(|head| {
                    let moved = seq > *head;
                    *head = seq.max(*head);
                    moved
                });
                self.handle_with(Input::Written(ticket), ready)
            }
            Back::Written(ticket, Err(why)) => self.not_written(ticket, &why),
        }
    }

    fn probed(&mut self, probed: Probed, dated: Dated) -> Result<(), Ended> {
        let told = Told::by_probe(&probed);
        let Probed { answered, proof, .. } = probed;
        self.learn(told, dated, &answered);
        let trouble = answered.answer.trouble().map_or("", |trouble| trouble.text.as_str());
        let clock =
            Time { knows_gateway: self.clock.knows_gateway(), has_other: self.clock.has_other() };
        self.gate.probed(told, &proof, trouble, clock, self.clock.now());
        self.judge()?;
        self.handle(Input::Heard(Box::new(answered.answer)))?;
        if std::mem::take(&mut self.starting) {
            system::let_go_of_code();
        }
        if self.gate.keeps_waiting(self.clock.steady()) { Ok(()) } else { self.let_in() }
    }

    fn not_written(&mut self, ticket: Ticket, why: &AppendError) -> Result<(), Ended> {
        // What was made ready for it is never sent.
        let line = self.writing.remove(&ticket).map(|writing| writing.line);
        match why {
            AppendError::NotWritten(reason) => {
                tracing::warn!(reason, "an entry could not be written");
                self.handle(Input::NotWritten(ticket, reason.clone()))
            }
            // The journal knows better. A new payment is denied; about an old one
            // the loop must not guess.
            AppendError::Refused(reason) if line.as_ref().is_some_and(Line::is_new) => {
                tracing::error!(reason, "the journal refused a new payment");
                self.handle(Input::NotWritten(ticket, reason.clone()))
            }
            AppendError::Refused(_) | AppendError::Unknown => {
                Err(Ended::Software(format!("{why}; the next start reads what is true")))
            }
        }
    }

    pub(super) fn health(&mut self, health: &Health) -> Result<(), Ended> {
        self.board.journal(health);
        self.handle(Input::Journal(match health {
            Health::Writable => Ok(()),
            Health::Unavailable(why) => Err(why.clone()),
        }))
    }
}
