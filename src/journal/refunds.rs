//! Reading refunds.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::reader::{self, ReadError, Reader, damaged};
use super::rows::{self, Read, RefundRequestedRow, RefundRow};
use super::sqlite::Tip;
use crate::payment::{
    EntryStep, Fen, OutRequestNo, OutTradeNo, Payment, Refund, RefundState, Refunded,
};

/// The first and last entries of the open refunds, oldest first. Left to itself
/// SQLite walks through all that ever were, because they lie in this order.
pub(super) const OPEN_REFUNDS: &str = "SELECT out_trade_no, first_seq, last_seq
     FROM refunds INDEXED BY refunds_one_open WHERE open = 1 ORDER BY first_seq";

/// The same of the finished refunds of open payments.
pub(super) const REFUNDS_OF_OPEN: &str = "SELECT r.out_trade_no, r.first_seq, r.last_seq
     FROM payments AS p JOIN refunds AS r ON r.out_trade_no = p.out_trade_no
     WHERE p.open = 1 AND r.open = 0 ORDER BY r.first_seq";

/// The same of all refunds of one payment.
pub(super) const REFUNDS_OF: &str = "SELECT out_trade_no, first_seq, last_seq FROM refunds
     WHERE out_trade_no = ?1 ORDER BY first_seq";

/// The same of one.
pub(super) const ONE_REFUND: &str = "SELECT out_trade_no, first_seq, last_seq FROM refunds
     WHERE out_trade_no = ?1 AND out_request_no = ?2";

/// What is proven to be back of one payment.
pub(super) const REFUNDED: &str = "SELECT coalesce(sum(amount_fen), 0), count(*) FROM refunds
     WHERE out_trade_no = ?1 AND state = ?2";

impl Reader {
    /// All refunds of a payment, oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn refunds_of(&self, number: &OutTradeNo) -> Result<Vec<Refund>, ReadError> {
        self.read(|conn| several(conn, REFUNDS_OF, [number.as_str()]))
    }

    /// One refund of a payment.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn refund(
        &self,
        number: &OutTradeNo,
        request: &OutRequestNo,
    ) -> Result<Option<Refund>, ReadError> {
        self.read(|conn| {
            let found = several(conn, ONE_REFUND, [number.as_str(), request.as_str()])?;
            Ok(found.into_iter().next())
        })
    }

    /// All refunds that are not final, and those of payments that are not, which
    /// wait for their end.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn open_refunds(&self) -> Result<Vec<Refund>, ReadError> {
        self.read(|conn| {
            let mut open = several(conn, OPEN_REFUNDS, [])?;
            open.extend(several(conn, REFUNDS_OF_OPEN, [])?);
            Ok(open)
        })
    }

    /// What is proven to be back of a payment by its refunds.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn refunded(&self, number: &OutTradeNo) -> Result<Refunded, ReadError> {
        self.read(|conn| Ok(refunded(conn, number)?))
    }
}

pub(super) fn refunded(conn: &Connection, number: &OutTradeNo) -> rusqlite::Result<Refunded> {
    let done = RefundState::Refunded.name();
    let (sum, count): (i64, i64) = conn
        .prepare_cached(REFUNDED)?
        .query_row([number.as_str(), done], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Refunded { amount: Fen(sum.unsigned_abs()), count: count.unsigned_abs() })
}

fn several(
    conn: &Connection,
    sql: &str,
    of: impl rusqlite::Params,
) -> Result<Vec<Refund>, ReadError> {
    let found: Vec<(String, i64, i64)> = conn
        .prepare_cached(sql)?
        .query_map(of, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut payments: HashMap<String, Payment> = HashMap::new();
    found
        .into_iter()
        .map(|(number, first, last)| {
            let payment = match payments.get(&number) {
                Some(payment) => payment.clone(),
                None => payment_of(conn, &number, last)?,
            };
            payments.insert(number, payment.clone());
            refund_at(conn, payment, first, last)
        })
        .collect()
}

/// The refund of this payment whose first and last entries are these.
pub(super) fn refund_at(
    conn: &Connection,
    payment: Payment,
    first: i64,
    last: i64,
) -> Result<Refund, ReadError> {
    let mut row = body_at(conn, first, last)?;
    let requested = match row.requested.take() {
        Some(requested) => requested,
        None => requested_at(conn, first)?,
    };
    let (refund, _) = row.into_refund(&requested, payment).map_err(damaged(last))?;
    Ok(refund)
}

/// The payment that entry `seq` is about a refund of.
pub(super) fn payment_of(conn: &Connection, number: &str, seq: i64) -> Result<Payment, ReadError> {
    let found = reader::one_payment(conn, reader::OF_NUMBER, number)?;
    found.ok_or_else(|| damaged(seq)("it is about a refund of a payment that is not there"))
}

/// An entry about a refund, with all it says.
pub(super) fn recorded(
    conn: &Connection,
    number: &str,
    seq: i64,
    mut row: RefundRow,
) -> Result<(Refund, EntryStep), ReadError> {
    let requested = match row.requested.take() {
        Some(requested) => requested,
        None => {
            let first: Option<i64> = conn
                .prepare_cached(
                    "SELECT first_seq FROM refunds WHERE out_trade_no = ?1 AND out_request_no = ?2",
                )?
                .query_row([number, &row.request], |row| row.get(0))
                .optional()?;
            requested_at(conn, first.unwrap_or_default())?
        }
    };
    row.into_refund(&requested, payment_of(conn, number, seq)?).map_err(damaged(seq))
}

fn requested_at(conn: &Connection, first: i64) -> Result<RefundRequestedRow, ReadError> {
    let row = body_at(conn, first, first)?;
    row.requested.ok_or_else(|| damaged(first)("it does not say what was asked for"))
}

/// The body of the entry `seq` about the refund that began at `first`; of one that
/// was archived, its last word.
fn body_at(conn: &Connection, first: i64, seq: i64) -> Result<RefundRow, ReadError> {
    let read = |seq: i64, kind: &str, body: &str| match rows::read(kind, None, body) {
        Ok(Read::Refund(row)) => Ok(*row),
        Ok(Read::Payment { .. } | Read::Other(_)) => Err(damaged(seq)("it is not about a refund")),
        Err(why) => Err(damaged(seq)(why)),
    };
    let found: Option<(String, String)> = conn
        .prepare_cached("SELECT kind, body FROM entries WHERE seq = ?1")?
        .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((kind, body)) => read(seq, &kind, &body),
        None if seq <= Tip::base(conn)?.seq => {
            let kept: Option<String> = conn
                .prepare_cached("SELECT body FROM kept WHERE first_seq = ?1")?
                .query_row([first], |row| row.get(0))
                .optional()?;
            let body = kept.ok_or_else(|| damaged(first)("it was archived and not kept"))?;
            read(first, rows::REFUND, &body)
        }
        None => Err(damaged(seq)("it is missing")),
    }
}
