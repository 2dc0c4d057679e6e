//! How the terminal is, kept by the loop for whoever asks: the API, the service
//! manager, the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Clock, system};
use crate::api;
use crate::config::Config;
use crate::journal::Health;
use crate::payment::{ScannerNews, Timestamp};
use crate::scanner;
use crate::terminal::{Closed, ClosedBy};

/// The service manager is told how things stand no more often than this: it has
/// to wake up for that, and a payment would wait.
pub(super) const SAY_AGAIN: Duration = Duration::from_secs(1);

/// The loop writes, everybody reads.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<api::Status>>);

impl Board {
    /// As it is when the daemon starts.
    pub(super) fn first(config: &Config, clock: &Clock, head_seq: u64) -> Self {
        Self(Arc::new(Mutex::new(first_status(config, clock, head_seq))))
    }

    /// What stands there.
    pub(super) fn read(&self) -> api::Status {
        self.status().clone()
    }

    fn status(&self) -> MutexGuard<'_, api::Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopping(&self) {
        self.status().stopping = true;
    }

    pub(super) fn draining(&self, draining: bool) {
        self.status().draining = draining;
    }

    pub(super) fn open_payments(&self, open: usize) {
        self.status().open_payments = open;
    }

    /// Why the clock keeps new payments out, if it does; true when that is news.
    pub(super) fn clock(&self, wrong: Option<&str>) -> bool {
        let mut status = self.status();
        let was_wrong = status.clock.wrong.is_some();
        match wrong {
            Some(why) if !was_wrong => tracing::error!(why, "the clock is wrong: no new payments"),
            None if was_wrong => tracing::info!("the clock will do: payments are taken again"),
            Some(_) | None => {}
        }
        let is_news = status.clock.wrong.as_deref() != wrong;
        status.clock.wrong = wrong.map(str::to_owned);
        is_news
    }

    /// Why the gateway's door is closed to this box, if it is; true when that is
    /// news.
    pub(super) fn keys(&self, closed: Option<&Closed>) -> bool {
        let keys = match closed {
            None => api::Keys { state: api::KeyState::Proven, trouble: None },
            Some(Closed { by, text }) => {
                api::Keys { state: (*by).into(), trouble: Some(text.clone()) }
            }
        };
        let mut status = self.status();
        let is_news = status.keys != keys;
        if is_news && status.keys.trouble.is_some() {
            match closed.map(|closed| (closed.by, closed.text.en.as_str())) {
                None => tracing::info!("Alipay knows our key and we know its: payments are taken"),
                Some((ClosedBy::KeysUnproven, why)) => tracing::warn!(why, "no new payments"),
                Some((ClosedBy::AppKeyWrong | ClosedBy::AlipayKeyWrong, why)) => {
                    tracing::error!(why, "a key is wrong: no new payments");
                }
            }
        }
        status.keys = keys;
        is_news
    }

    pub(super) fn journal(&self, health: &Health) {
        let reason = match health {
            Health::Writable => None,
            Health::Unavailable(why) => Some(why.clone()),
        };
        let mut status = self.status();
        if status.journal.writable != reason.is_none() {
            match &reason {
                None => tracing::info!("the journal can be written again"),
                Some(why) => {
                    tracing::error!(why, "the journal cannot be written: no new payments");
                }
            }
        }
        status.journal.writable = reason.is_none();
        status.journal.reason = reason;
    }

    pub(super) fn scanner(&self, scanner: &str, news: &ScannerNews) {
        match news {
            ScannerNews::Plugged => tracing::info!(scanner, "scanner is there"),
            ScannerNews::Unplugged(why) => tracing::warn!(scanner, why, "scanner is gone"),
            ScannerNews::ScanLost(why) => tracing::warn!(scanner, why, "a scan was lost"),
        }
        let mut status = self.status();
        let Some(status) = status.scanners.iter_mut().find(|s| s.id == scanner) else { return };
        status.last_news = match news {
            ScannerNews::Plugged => None,
            ScannerNews::Unplugged(why) | ScannerNews::ScanLost(why) => Some(why.clone()),
        };
        match news {
            ScannerNews::Plugged => status.present = true,
            ScannerNews::Unplugged(_) => status.present = false,
            ScannerNews::ScanLost(_) => {}
        }
    }

    pub(super) fn gateway(&self, up: bool, text: &str, now: Timestamp) {
        if up {
            tracing::info!("the gateway answers");
        } else {
            tracing::warn!(why = text, "the gateway does not answer");
        }
        let mut status = self.status();
        status.gateway.link = if up { api::Link::Up } else { api::Link::Down };
        status.gateway.since = Some(now);
        status.gateway.trouble = (!up).then(|| text.to_owned());
    }

    /// A verified answer has come.
    pub(super) fn answered(&self, now: Timestamp) {
        self.status().gateway.last_answer_at = Some(now);
    }

    /// How things stand, in one line for the service manager.
    fn line(&self) -> String {
        let status = self.status();
        let open = status.open_payments;
        if let Some(why) = &status.journal.reason {
            format!("takes no new payments: {why}")
        } else if status.draining {
            format!("draining for an upgrade, takes no new payments; {open} open payments")
        } else if let Some(why) = &status.clock.wrong {
            format!("takes no new payments: {why}")
        } else if let Some(text) = &status.keys.trouble {
            format!("takes no new payments: {}", text.en)
        } else if let Some(why) = &status.gateway.trouble {
            format!("ready, but Alipay cannot be reached ({why}); {open} open payments")
        } else {
            format!("ready; {open} open payments")
        }
    }
}

/// The line that the service manager shows, and when it was told.
pub(super) struct Said {
    line: String,
    at: Timestamp,
}

impl Said {
    /// That the daemon is ready, and how things stand.
    pub(super) fn ready(board: &Board, now: Timestamp) -> Self {
        let line = board.line();
        system::say_ready(&line);
        Self { line, at: now }
    }

    /// How things stand by now, if that is another line.
    pub(super) fn again(&mut self, board: &Board, now: Timestamp) {
        if self.lately(now) {
            return;
        }
        let line = board.line();
        if line != self.line {
            system::say_status(&line);
            *self = Self { line, at: now };
        }
    }

    /// Too lately to say anything now.
    pub(super) fn lately(&self, now: Timestamp) -> bool {
        let since = now.millis().saturating_sub(self.at.millis());
        Duration::from_millis(u64::try_from(since).unwrap_or(0)) < SAY_AGAIN
    }
}

fn first_status(config: &Config, clock: &Clock, head_seq: u64) -> api::Status {
    let now = clock.now();
    let scanner = |settings: &scanner::ScannerSettings| api::ScannerStatus {
        id: settings.id.clone(),
        kind: settings.kind.name().to_owned(),
        device: settings.place.to_string(),
        present: false,
        last_news: None,
    };
    api::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now.wall,
        uptime: Duration::ZERO,
        stopping: false,
        draining: false,
        scanners: config.scanners.iter().map(scanner).collect(),
        gateway: api::Gateway {
            link: api::Link::Unknown,
            since: None,
            last_answer_at: None,
            clock_skew_ms: None,
            trouble: None,
        },
        keys: api::Keys { state: api::KeyState::Unproven, trouble: None },
        open_payments: 0,
        journal: api::Journal {
            writable: true,
            reason: None,
            path: config.journal.display().to_string(),
            head_seq,
        },
        // Until it is asked for: when the daemon started, from which `status`
        // works out how long it is up.
        clock: api::Clock { now: now.wall, steady: now.steady, wrong: None },
    }
}
