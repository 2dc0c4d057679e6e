//! What goes out, once the terminal has decided.

use std::sync::Arc;

use super::{Back, Line, Loop, Ready, Sending, Writing};
use crate::alipay::ask::Ask;
use crate::daemon::asking;
use crate::daemon::signer::Signing;
use crate::payment::{Call, Entry};
use crate::terminal::{Ahead, Matter, Output, Serial, Ticket};

impl Loop {
    pub(super) fn act(&mut self, out: Vec<Output>, mut ready: Option<Ready>) {
        for output in out {
            match output {
                Output::Write { ticket, entry, ahead } => self.write(ticket, entry, ahead),
                Output::Send { serial, call, about, code } => {
                    let ready = ready.take_if(|ready| ready.serial == serial);
                    let sending = Sending { serial, call, about, code, ready };
                    self.calls.add(call == Call::Pay, sending);
                }
                Output::Reply { id, reply } => {
                    if let Some(asked) = self.replies.remove(&id) {
                        asked.send(reply);
                    }
                }
            }
        }
        self.send();
    }

    /// Sends what may be sent now.
    fn send(&mut self) {
        while let Some(Sending { serial, call, about, code, ready }) = self.calls.next() {
            let (client, back) = (Arc::clone(&self.client), self.back.clone());
            let now = self.clock.now().gateway;
            let subject = about.subject();
            let signing = ready.and_then(|ready| ready.if_good(&client, now));
            tokio::spawn(async move {
                let signed = match signing {
                    Some(signing) => signing.done().await,
                    None => None,
                };
                let signed = match signed {
                    Some(signed) => Ok(signed),
                    None => asking::ask(call, &about, code).map(|ask| client.prepare(ask, now)),
                };
                let answered = match signed {
                    Ok(signed) => Box::new(client.send(signed).await),
                    Err(not_sent) => not_sent,
                };
                // Nobody listens any more: the daemon is ending.
                let _ = back.send(Back::Answered(subject, serial, answered));
            });
        }
    }

    /// Has an entry written, and makes the call ready that follows it.
    fn write(&mut self, ticket: Ticket, entry: Entry, ahead: Option<Ahead>) {
        if let Entry::Gateway { up, text } = &entry {
            self.board.gateway(*up, text, self.clock.wall());
        }
        let line = Line::of(&entry);
        let asked = ahead.and_then(|Ahead { serial, call, code }| match &entry {
            Entry::Payment { payment, .. } => {
                let about = Matter::Payment(payment.clone());
                Some((serial, asking::ask(call, &about, code).ok()?))
            }
            Entry::Refund { refund, .. } => {
                let about = Matter::Refund(refund.clone());
                Some((serial, asking::ask(call, &about, code).ok()?))
            }
            Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. } => None,
        });
        let pending = self.writer.append(entry, self.clock.wall());
        let back = self.back.clone();
        tokio::spawn(async move {
            let written = pending.await;
            let _ = back.send(Back::Written(ticket, written));
        });
        let ready = asked.and_then(|(serial, ask)| self.make_ready(serial, ask));
        self.writing.insert(ticket, Writing { line, ready });
    }

    /// Signs a call whose entry is being written. Alone here, where there is
    /// nothing else to do before the disk has answered, and a second thread would
    /// only be one more to wait for; with company there, to hold up nobody.
    fn make_ready(&mut self, serial: Serial, ask: Ask) -> Option<Ready> {
        let (client, dated) = (Arc::clone(&self.client), self.clock.now().gateway);
        let signing = if self.writing.is_empty() {
            Signing::Done(client.prepare(ask, dated))
        } else {
            self.signer.sign(Arc::clone(&client), ask, dated)?
        };
        Some(Ready { serial, client, dated, signing })
    }

    /// Tells each scanner when a payment begins or ceases to wait for its code.
    pub(super) fn tell_scanners(&mut self) {
        for (handle, told) in &mut self.scanners {
            let waits = self.terminal.waits_on(handle.scanner());
            if waits != *told {
                handle.arm(waits);
                *told = waits;
            }
        }
    }

    /// All at once, so that the slowest is all that is waited for.
    pub(super) async fn let_go_of_scanners(&mut self) {
        let stopped: Vec<_> =
            self.scanners.drain(..).map(|(handle, _)| tokio::spawn(handle.stop())).collect();
        for stopped in stopped {
            // It only ends in this way or by a panic of its own.
            let _ = stopped.await;
        }
    }
}
