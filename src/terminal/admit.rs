//! May this come in? Another question than what it does: the machine only sees
//! what was admitted.

use std::time::Duration;

use super::open::{Asking, Happening, Offered, OpenPayment};
use super::{Denied, Known, LostTrack, OPEN_MAX, Output, PayRequest, Reply, Request, Terminal};
use crate::payment::{
    AuthCode, Hint, Method, Moment, Order, OtherCode, OutTradeNo, Payment, Public,
};

/// After this long a paid sale answers no new request: registers that number
/// their sales anew every day would hand out goods for yesterday's money.
const SALE_KEEPS: Duration = Duration::from_hours(24);

impl Terminal {
    pub(super) fn request(
        &mut self,
        asking: Asking,
        request: Request,
        known: &Known,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let (number, happening) = match request {
            Request::Pay(request) => {
                return match self.pay(asking, *request, known, now) {
                    Ok((number, happening)) => self.happen(&number, happening, now, out),
                    Err(reply) => {
                        out.push(Output::Reply { id: asking.id, reply: *reply });
                        Ok(())
                    }
                };
            }
            Request::Code { number, code } => {
                let waits = self.open.get(&number).is_some_and(OpenPayment::will_await_code);
                if waits && self.codes.labels.could_be(&code) {
                    let denied = Denied::NotAPaymentCode(OtherCode::ScaleLabel);
                    out.push(Output::Reply { id: asking.id, reply: Reply::Denied(denied) });
                    return Ok(());
                }
                let offered = self.offered(&number, code, known, now);
                (number, Happening::Code(asking, offered))
            }
            Request::Stop { number } => (number, Happening::Stop(asking)),
            Request::Refund(ask) => return self.refund(asking, &ask, known, now, out),
        };
        if self.open.contains_key(&number) {
            return self.happen(&number, happening, now, out);
        }
        let reply = match (&known.number, happening) {
            (None, _) => Reply::Denied(Denied::NotFound),
            (Some(payment), Happening::Stop(_)) if payment.public() == Public::Paid => {
                Reply::Denied(Denied::AlreadyPaid(payment.clone().into()))
            }
            (Some(payment), Happening::Stop(_)) => Reply::Stands(payment.clone()),
            // The same code once more, because its first reply was lost.
            (Some(payment), Happening::Code(_, offered))
                if payment.mark() == Some(offered.mark) =>
            {
                Reply::Stands(payment.clone())
            }
            (Some(payment), _) => Reply::Denied(Denied::NotAwaitingCode(payment.clone().into())),
        };
        out.push(Output::Reply { id: asking.id, reply });
        Ok(())
    }

    /// What a request to pay makes happen, and to which payment.
    fn pay(
        &mut self,
        asking: Asking,
        request: PayRequest,
        known: &Known,
        now: Moment,
    ) -> Result<(OutTradeNo, Happening), Box<Reply>> {
        let denied = |denied| Box::new(Reply::Denied(denied));
        // Asked for before? Then it is that payment, whatever became of it.
        if let Some(number) = self.same_request(&request, known) {
            if self.open.contains_key(&number) {
                let happening = self.again(asking, &number, request, known, now)?;
                return Ok((number, happening));
            }
            let of_number = |p: &&Payment| p.order().out_trade_no == number;
            if let Some(payment) = known.number.iter().chain(&known.sale).find(of_number) {
                return Err(answer_known(payment, &request, now).into());
            }
        }
        let PayRequest { mut order, code, .. } = request;
        let number = order.out_trade_no.clone();
        let offered = code.map(|code| self.offered(&number, code, known, now));
        let method = order.method;
        order.scanner = self.may_begin(&order, offered.as_ref(), known, now).map_err(denied)?;
        let is_absent = |scanner: &String| self.absent.contains(scanner);
        let gone = order.scanner.as_ref().is_some_and(is_absent).then_some(Hint::ScannerGone);
        let till = self.tills.as_ref().map(|tills| tills.at(order.scanner.as_deref()).clone());
        let payment = Payment::requested(order, now, &self.rules)
            .in_account(self.account.clone())
            .at_till(till);
        self.open.insert(number.clone(), OpenPayment::new(payment, now));
        let happening = match method {
            Method::Code => Happening::Requested(asking, offered, gone),
            Method::Qr => Happening::Offered(asking, self.codes.key.tag(&number, now)),
        };
        Ok((number, happening))
    }

    fn offered(&self, number: &OutTradeNo, code: AuthCode, known: &Known, now: Moment) -> Offered {
        let key = &self.codes.key;
        let (mark, tag) = (key.mark(&code), key.tag(number, now));
        Offered { mark, tag, code, known: known.code.clone() }
    }

    /// The payment that this request has asked for before: by its number, or by
    /// its sale if that is the key.
    fn same_request(&self, request: &PayRequest, known: &Known) -> Option<OutTradeNo> {
        if request.keyed_by_sale {
            let open = self.open_for_sale(request.order.sale.as_deref());
            let paid = || known.sale.as_ref().filter(|p| p.public() == Public::Paid);
            return open.or_else(|| paid().map(|p| p.order().out_trade_no.clone()));
        }
        let number = &request.order.out_trade_no;
        (self.open.contains_key(number) || known.number.is_some()).then(|| number.clone())
    }

    /// The same request once more, for a payment that is open. A code that comes
    /// only now is taken, if it is waited for.
    fn again(
        &self,
        asking: Asking,
        number: &OutTradeNo,
        request: PayRequest,
        known: &Known,
        now: Moment,
    ) -> Result<Happening, Box<Reply>> {
        let Some(open) = self.open.get(number) else { return Ok(Happening::Again(asking.id)) };
        if let Some(denied) = conflict(open.payment(), &request) {
            return Err(Reply::Denied(denied).into());
        }
        if open.will_await_code()
            && let Some(code) = request.code
        {
            if self.codes.labels.could_be(&code) {
                let denied = Denied::NotAPaymentCode(OtherCode::ScaleLabel);
                return Err(Reply::Denied(denied).into());
            }
            return Ok(Happening::Code(asking, self.offered(number, code, known, now)));
        }
        match open.slot.disk() {
            Some(payment) => Err(Reply::Stands(payment.clone()).into()),
            // Its first entry is being written; nobody is told before.
            None => Ok(Happening::Again(asking.id)),
        }
    }

    /// Whether a new payment may begin, and with which scanner.
    fn may_begin(
        &self,
        order: &Order,
        offered: Option<&Offered>,
        known: &Known,
        now: Moment,
    ) -> Result<Option<String>, Denied> {
        if self.stopping {
            return Err(Denied::Stopping);
        }
        // A new attempt for a sale waits until the earlier one is proven not
        // paid (rule 3).
        if let Some(number) = self.open_for_sale(order.sale.as_deref()) {
            return Err(Denied::SaleInDoubt { number });
        }
        match &known.sale {
            Some(payment) if payment.public() == Public::Paid => {
                return Err(already_paid(payment, now));
            }
            Some(payment) if !payment.is_final() => {
                let number = payment.order().out_trade_no.clone();
                return Err(Denied::SaleInDoubt { number });
            }
            Some(_) | None => {}
        }
        let scanner = match order.method {
            Method::Code => self.choose_scanner(order.scanner.as_deref(), offered.is_some())?,
            Method::Qr => None,
        };
        if let Some(Offered { code, mark, known, .. }) = offered {
            if self.codes.labels.could_be(code) {
                return Err(Denied::NotAPaymentCode(OtherCode::ScaleLabel));
            }
            let number = &order.out_trade_no;
            if let Some(earlier) = self.used_by_another(number, *mark, known.as_ref(), now) {
                return Err(Denied::CodeAlreadyUsed(earlier.into()));
            }
        }
        self.is_open_for_business()?;
        match (&scanner, offered) {
            (Some(scanner), None) => match self.waiting_on(scanner) {
                Some(number) => Err(Denied::ScannerBusy { number, scanner: scanner.clone() }),
                None => Ok(Some(scanner.clone())),
            },
            _ => Ok(scanner),
        }
    }

    /// Whether anything new may begin at all.
    pub(super) fn is_open_for_business(&self) -> Result<(), Denied> {
        if self.draining {
            return Err(Denied::Draining);
        }
        if let Err(why) = &self.journal {
            return Err(Denied::JournalUnavailable(why.clone()));
        }
        if let Err(why) = &self.clock {
            return Err(Denied::ClockWrong(why.clone()));
        }
        if let Err(closed) = &self.keys {
            return Err(Denied::KeysWrong(closed.clone()));
        }
        if let Err(why) = &self.door {
            return Err(Denied::DoorClosed(why.clone()));
        }
        let open = self.open_count();
        if open >= OPEN_MAX {
            return Err(Denied::TooManyOpen(open));
        }
        Ok(())
    }

    fn choose_scanner(
        &self,
        named: Option<&str>,
        has_code: bool,
    ) -> Result<Option<String>, Denied> {
        match (named, self.scanners.as_slice()) {
            (Some(name), scanners) if scanners.iter().any(|s| s == name) => {
                Ok(Some(name.to_owned()))
            }
            (Some(_), scanners) => Err(Denied::UnknownScanner(scanners.to_vec())),
            (None, _) if has_code => Ok(None),
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some(only.clone())),
            (None, several) => Err(Denied::ScannerNeeded(several.to_vec())),
        }
    }

    fn open_for_sale(&self, sale: Option<&str>) -> Option<OutTradeNo> {
        let sale = sale?;
        let of_sale = |open: &&OpenPayment| {
            open.payment().order().sale.as_deref() == Some(sale) && !open.is_settled_unpaid()
        };
        self.open.values().find(of_sale).map(|open| open.payment().order().out_trade_no.clone())
    }

    /// A payment waits for a code on this scanner.
    #[must_use]
    pub fn waits_on(&self, scanner: &str) -> bool {
        self.waiting_on(scanner).is_some()
    }

    /// The payment that waits for a code on this scanner.
    pub(super) fn waiting_on(&self, scanner: &str) -> Option<OutTradeNo> {
        let waits = |open: &&OpenPayment| {
            open.payment().order().scanner.as_deref() == Some(scanner) && open.will_await_code()
        };
        self.open.values().find(waits).map(|open| open.payment().order().out_trade_no.clone())
    }
}

/// The same request again, for a payment that is over.
fn answer_known(payment: &Payment, request: &PayRequest, now: Moment) -> Reply {
    if let Some(denied) = conflict(payment, request) {
        return Reply::Denied(denied);
    }
    if request.keyed_by_sale && was_long_ago(payment, now) {
        return Reply::Denied(already_paid(payment, now));
    }
    Reply::Stands(payment.clone())
}

fn already_paid(payment: &Payment, now: Moment) -> Denied {
    Denied::SaleAlreadyPaid {
        payment: payment.clone().into(),
        long_ago: was_long_ago(payment, now),
    }
}

fn was_long_ago(payment: &Payment, now: Moment) -> bool {
    let paid_at = payment.trade().paid_at.unwrap_or(payment.updated_at());
    now.gateway >= paid_at + SALE_KEEPS
}

/// What the request asks for differently than the payment it names.
fn conflict(payment: &Payment, request: &PayRequest) -> Option<Denied> {
    let differs = payment.order().differences(&request.order);
    if differs.is_empty() {
        return None;
    }
    if request.keyed_by_sale && differs.contains(&"amount") {
        return Some(Denied::SaleConflict(payment.clone().into()));
    }
    let number = payment.order().out_trade_no.clone();
    Some(Denied::OrderConflict { number, differs })
}
