//! What the gateway knows: trades, money, and every request that arrived.
//!
//! It lives in memory and is appended to a file, a line a request, so that a
//! restarted sandbox knows its trades.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::endings::{self, Ending, RefundEnding};
use super::precreate::Code;

/// A trade can be given back for so long after it was paid.
const REFUND_WINDOW_MS: i64 = 365 * 24 * 3600 * 1000;

/// How a trade stands, in Alipay's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Made, and the buyer may still confirm it.
    WaitBuyerPay,
    /// Paid.
    TradeSuccess,
    /// Closed unpaid, or given back in full.
    TradeClosed,
    /// Paid, and too old for a refund.
    TradeFinished,
}

impl Status {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WaitBuyerPay => "WAIT_BUYER_PAY",
            Self::TradeSuccess => "TRADE_SUCCESS",
            Self::TradeClosed => "TRADE_CLOSED",
            Self::TradeFinished => "TRADE_FINISHED",
        }
    }
}

/// One trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Alipay's number.
    pub trade_no: String,
    /// How it stands.
    pub status: Status,
    /// What it is about, in fen.
    pub total_fen: u64,
    /// What the buyer was charged, in fen. It never shrinks.
    pub charged_fen: u64,
    /// What was given back of it, in fen.
    pub refunded_fen: u64,
    /// What the buyer reads.
    pub subject: String,
    /// What came along with the pay (`passback_params`).
    #[serde(default)]
    pub passback_params: Option<String>,
    /// The merchant's store, as sent.
    pub store_id: Option<String>,
    /// The merchant's terminal, as sent.
    pub terminal_id: Option<String>,
    /// When it was made, in milliseconds.
    pub created_ms: i64,
    /// When it closes by itself if unpaid, in milliseconds.
    pub expire_ms: i64,
    /// When it was paid, in milliseconds.
    pub paid_ms: Option<i64>,
    /// What a cancel has done to it: `close` or `refund`.
    pub cancelled_by: Option<String>,
    /// Refunds, in order.
    pub refunds: Vec<Refund>,
}

impl Trade {
    /// The buyer confirms, if there is still something to confirm.
    pub(super) fn confirm(&mut self, now: i64) -> bool {
        let waits = self.status == Status::WaitBuyerPay;
        if waits {
            self.status = Status::TradeSuccess;
            self.charged_fen = self.total_fen;
            self.paid_ms = Some(now);
        }
        waits
    }

    /// Closes what the buyer did not pay.
    pub(super) fn close(&mut self) -> bool {
        let waits = self.status == Status::WaitBuyerPay;
        if waits {
            self.status = Status::TradeClosed;
        }
        waits
    }

    /// What can still be given back.
    pub(super) fn left_fen(&self) -> u64 {
        self.charged_fen.saturating_sub(self.refunded_fen)
    }

    /// Gives back so much under the merchant's number of a refund.
    pub(super) fn refund(&mut self, request: &str, fen: u64, reason: Option<&str>, now: i64) {
        self.give_back(fen);
        let (out_request_no, reason) = (request.to_owned(), reason.map(str::to_owned));
        self.refunds.push(Refund { out_request_no, fen, reason, at_ms: now });
    }

    /// Nothing is given back of it any more.
    pub(super) fn finish(&mut self) {
        if self.status == Status::TradeSuccess {
            self.status = Status::TradeFinished;
        }
    }

    /// Gives back so much.
    pub(super) fn give_back(&mut self, fen: u64) {
        self.refunded_fen = self.refunded_fen.saturating_add(fen);
        if self.left_fen() == 0 {
            self.status = Status::TradeClosed;
        }
    }
}

/// One refund of a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The merchant's number for it.
    pub out_request_no: String,
    /// How much, in fen.
    pub fen: u64,
    /// Why, as sent.
    pub reason: Option<String>,
    /// When, in milliseconds.
    pub at_ms: i64,
}

/// What was asked about one refund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The ending that the first request picked.
    pub ending: Option<u8>,
    /// How many refunds were worked on.
    pub refunds: u32,
    /// How many queries.
    pub queries: u32,
}

impl Requested {
    /// The ending that it plays.
    pub(super) fn script(self) -> Option<&'static RefundEnding> {
        self.ending.and_then(endings::refund_by_number)
    }
}

/// One request that got past the front door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Counts all requests of this folder.
    pub seq: u64,
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Like `alipay.trade.pay`.
    pub method: String,
    /// Whether it was worked on, or lost before.
    pub executed: bool,
    /// Whether a whole answer of any kind was handed to the connection.
    pub answered: bool,
    /// The code that was, or would have been, answered.
    pub code: String,
    /// The finer code with it.
    pub sub_code: String,
}

/// All about one merchant order number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The number.
    pub out_trade_no: String,
    /// The ending its first pay picked.
    pub ending: Option<u8>,
    /// The trade, if one was ever made.
    pub trade: Option<Trade>,
    /// The code that a precreate has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// A cancel found nothing, and `--fence` keeps the number from being paid.
    pub fenced: bool,
    /// How many pays were executed.
    pub pays: u32,
    /// How many queries.
    pub queries: u32,
    /// How many cancels.
    pub cancels: u32,
    /// What was asked about refunds, by the merchant's number for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requested: BTreeMap<String, Requested>,
    /// Every request, in order of arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Arrived>,
}

impl Number {
    /// The ending that this number plays.
    pub(super) fn script(&self) -> Option<&'static Ending> {
        self.ending.and_then(endings::by_number)
    }

    /// An unpaid trade closes by itself when its time is over, and a paid one is
    /// finished when it is too old for a refund.
    pub(super) fn let_time_pass(&mut self, now: i64) {
        let Some(trade) = &mut self.trade else { return };
        if now >= trade.expire_ms {
            trade.close();
        }
        if trade.paid_ms.is_some_and(|paid| now.saturating_sub(paid) >= REFUND_WINDOW_MS) {
            trade.finish();
        }
    }
}

/// One line of the file: whatever one request has changed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrived: Option<Arrived>,
    /// The digest of a payment code that is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// A request whose answer went out later.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<(String, u64)>,
}

/// The ledger, in memory and in its file.
#[derive(Debug)]
pub(super) struct Book {
    numbers: BTreeMap<String, Number>,
    by_trade_no: BTreeMap<String, String>,
    used_codes: BTreeSet<String>,
    seq: u64,
    /// Gone once the sandbox is stopped: whatever still runs changes nothing.
    file: Option<File>,
    /// What the next line will say besides the number and the request.
    code: Option<String>,
}

impl Book {
    /// Opens the file and reads what is in it.
    ///
    /// A torn last line is what a killed sandbox leaves; it is cut off. Any
    /// other line that makes no sense is an error with its line number.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        file.try_lock().map_err(|_| {
            io::Error::new(io::ErrorKind::ResourceBusy, "another sandbox uses this folder")
        })?;
        let bytes = std::fs::read(path)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(u64::try_from(whole).unwrap_or_default())?;
        }
        let mut book = Self {
            numbers: BTreeMap::new(),
            by_trade_no: BTreeMap::new(),
            used_codes: BTreeSet::new(),
            seq: 0,
            file: Some(file),
            code: None,
        };
        let lines = bytes.get(..whole).unwrap_or_default().split(|b| *b == b'\n');
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let line = serde_json::from_slice(line).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", index + 1))
            })?;
            book.replay(line);
        }
        Ok(book)
    }

    fn replay(&mut self, line: Line) {
        self.used_codes.extend(line.code);
        let name = line.number.as_ref().map(|number| number.out_trade_no.clone());
        if let Some(number) = line.number {
            self.keep(number);
        }
        if let Some(arrived) = line.arrived {
            self.seq = self.seq.max(arrived.seq);
            if let Some(number) = name.and_then(|name| self.numbers.get_mut(&name)) {
                number.history.push(arrived);
            }
        }
        if let Some((name, seq)) = line.answered {
            self.set_answered(&name, seq);
        }
    }

    /// Puts a number back, with the history it had.
    fn keep(&mut self, mut number: Number) {
        if let Some(trade) = &number.trade {
            self.by_trade_no.insert(trade.trade_no.clone(), number.out_trade_no.clone());
        }
        if let Some(old) = self.numbers.get_mut(&number.out_trade_no) {
            number.history = std::mem::take(&mut old.history);
        }
        self.numbers.insert(number.out_trade_no.clone(), number);
    }

    /// The number as it stands; a fresh one if it was never seen.
    pub(super) fn number(&mut self, out_trade_no: &str, now: i64) -> &mut Number {
        let number = self.numbers.entry(out_trade_no.to_owned()).or_insert_with(|| Number {
            out_trade_no: out_trade_no.to_owned(),
            ..Number::default()
        });
        number.let_time_pass(now);
        number
    }

    /// The merchant's number of a trade.
    pub(super) fn out_trade_no(&self, trade_no: &str) -> Option<&str> {
        self.by_trade_no.get(trade_no).map(String::as_str)
    }

    /// The number for which a code was made.
    pub(super) fn with_code(&self, qr_code: &str) -> Option<String> {
        let made = |number: &&Number| number.code.as_ref().is_some_and(|c| c.qr_code == qr_code);
        self.numbers.values().find(made).map(|number| number.out_trade_no.clone())
    }

    /// Whether the number was seen before.
    pub(super) fn knows(&self, out_trade_no: &str) -> bool {
        self.numbers.contains_key(out_trade_no)
    }

    /// Everything, after time has passed.
    pub(super) fn all(&mut self, now: i64) -> Vec<Number> {
        self.numbers.values_mut().for_each(|number| number.let_time_pass(now));
        self.numbers.values().cloned().collect()
    }

    /// Uses a payment code up; false if it was used before.
    pub(super) fn use_code(&mut self, auth_code: &str) -> bool {
        let digest = Sha256::digest(auth_code.as_bytes());
        let digest = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let fresh = self.used_codes.insert(digest.clone());
        if fresh {
            self.code = Some(digest);
        }
        fresh
    }

    /// Writes down a request and what it did to its number.
    pub(super) fn record(&mut self, name: &str, mut arrived: Arrived) -> io::Result<u64> {
        self.seq += 1;
        arrived.seq = self.seq;
        let line = Line { arrived: Some(arrived), ..self.line(name) };
        self.write(&line)?;
        let Line { number, arrived, .. } = line;
        if let Some(trade) = number.and_then(|number| number.trade) {
            self.by_trade_no.insert(trade.trade_no, name.to_owned());
        }
        if let (Some(number), Some(arrived)) = (self.numbers.get_mut(name), arrived) {
            number.history.push(arrived);
        }
        Ok(self.seq)
    }

    /// Writes down what something else than a request did to a number.
    pub(super) fn save(&mut self, name: &str) -> io::Result<()> {
        let line = self.line(name);
        self.write(&line)?;
        if let Some(trade) = line.number.and_then(|number| number.trade) {
            self.by_trade_no.insert(trade.trade_no, name.to_owned());
        }
        Ok(())
    }

    /// Notes that the answer of a request went out after all.
    pub(super) fn answered(&mut self, name: &str, seq: u64) -> io::Result<()> {
        self.set_answered(name, seq);
        self.write(&Line { answered: Some((name.to_owned(), seq)), ..Line::default() })
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.numbers.clear();
        self.by_trade_no.clear();
        self.used_codes.clear();
        self.code = None;
        self.open_file()?.set_len(0)
    }

    fn set_answered(&mut self, name: &str, seq: u64) {
        let history = self.numbers.get_mut(name).map(|number| &mut number.history);
        let request = history.and_then(|all| all.iter_mut().rfind(|one| one.seq == seq));
        if let Some(request) = request {
            request.answered = true;
        }
    }

    fn line(&mut self, name: &str) -> Line {
        let number = self.numbers.get_mut(name).map(|number| {
            let history = std::mem::take(&mut number.history);
            let snapshot = number.clone();
            number.history = history;
            snapshot
        });
        Line { number, code: self.code.take(), ..Line::default() }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.open_file()?.write_all(&text)
    }

    fn open_file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the sandbox is stopped"))
    }

    /// Writes nothing any more, and lets the next sandbox have the file.
    pub(super) fn close(&mut self) {
        self.file = None;
    }
}
