//! May this come in? Another question than what it does: the machine only sees
//! what was admitted.

use super::slot::{Happening, Offered, Slot};
use super::{Denied, Known, Output, PayRequest, Reply, Request, RequestId, Terminal};
use crate::payment::{
    AuthCode, Hint, Illegal, Moment, Order, OtherCode, OutTradeNo, Payment, Public, State,
};

impl Terminal {
    pub(super) fn request(
        &mut self,
        id: RequestId,
        request: Request,
        known: &Known,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        let (number, happening) = match request {
            Request::Pay(request) => return self.pay(id, *request, known, now, out),
            Request::Code { number, code } => {
                let waits = |slot: &Slot| matches!(slot.latest().state, State::AwaitingCode { .. });
                if self.open.get(&number).is_some_and(waits) && self.codes.labels.could_be(&code) {
                    let denied = Denied::NotAPaymentCode(OtherCode::ScaleLabel);
                    out.push(Output::Reply { id, reply: Reply::Denied(denied) });
                    return Ok(());
                }
                (number, Happening::Code(id, self.offered(code, known)))
            }
            Request::Stop { number } => (number, Happening::Stop(id)),
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
                if payment.pay.as_ref().is_some_and(|pay| pay.mark == Some(offered.mark)) =>
            {
                Reply::Stands(payment.clone())
            }
            (Some(payment), _) => Reply::Denied(Denied::NotAwaitingCode(payment.clone().into())),
        };
        out.push(Output::Reply { id, reply });
        Ok(())
    }

    fn pay(
        &mut self,
        id: RequestId,
        request: PayRequest,
        known: &Known,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        // Asked for before? Then it is that payment, whatever became of it.
        if let Some(number) = self.same_request(&request, known) {
            if self.open.contains_key(&number) {
                return self.again(id, &number, &request.order, now, out);
            }
            if let Some(payment) =
                known.number.iter().chain(&known.sale).find(|p| p.order.out_trade_no == number)
            {
                let reply = answer_known(payment, &request.order);
                out.push(Output::Reply { id, reply });
                return Ok(());
            }
        }
        let PayRequest { mut order, code, .. } = request;
        let offered = code.map(|code| self.offered(code, known));
        match self.may_begin(&order, offered.as_ref(), known, now) {
            Ok(scanner) => order.scanner = scanner,
            Err(denied) => {
                out.push(Output::Reply { id, reply: Reply::Denied(denied) });
                return Ok(());
            }
        }
        let number = order.out_trade_no.clone();
        let mut payment = Payment::requested(order, now, &self.rules);
        let is_absent = |scanner: &String| self.absent.contains(scanner);
        if offered.is_none() && payment.order.scanner.as_ref().is_some_and(is_absent) {
            payment.hint = Some(Hint::ScannerGone);
        }
        self.open.insert(number.clone(), Slot::requested(payment, now));
        self.happen(&number, Happening::Requested(id, offered), now, out)
    }

    fn offered(&self, code: AuthCode, known: &Known) -> Offered {
        Offered { mark: self.codes.key.mark(&code), code, known: known.code.clone() }
    }

    /// The payment that this request has asked for before: by its number, or by
    /// its sale if that is the key.
    fn same_request(&self, request: &PayRequest, known: &Known) -> Option<OutTradeNo> {
        if request.keyed_by_sale {
            let open = self.open_for_sale(request.order.sale.as_deref());
            let paid = || known.sale.as_ref().filter(|p| p.public() == Public::Paid);
            return open.or_else(|| paid().map(|p| p.order.out_trade_no.clone()));
        }
        let number = &request.order.out_trade_no;
        (self.open.contains_key(number) || known.number.is_some()).then(|| number.clone())
    }

    fn again(
        &mut self,
        id: RequestId,
        number: &OutTradeNo,
        order: &Order,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        let differs = self.open.get(number).map(|s| s.payment.order.differences(order));
        match differs {
            Some(differs) if !differs.is_empty() => {
                let denied = Denied::OrderConflict { number: number.clone(), differs };
                out.push(Output::Reply { id, reply: Reply::Denied(denied) });
                Ok(())
            }
            _ => match self.open.get(number).and_then(Slot::disk).cloned() {
                Some(payment) => {
                    out.push(Output::Reply { id, reply: Reply::Stands(payment) });
                    Ok(())
                }
                // Its first entry is being written; nobody is told before.
                None => self.happen(number, Happening::Again(id), now, out),
            },
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
                return Err(Denied::SaleAlreadyPaid { number: payment.order.out_trade_no.clone() });
            }
            Some(payment) if !payment.is_final() => {
                return Err(Denied::SaleInDoubt { number: payment.order.out_trade_no.clone() });
            }
            Some(_) | None => {}
        }
        let scanner = self.choose_scanner(order.scanner.as_deref(), offered.is_some())?;
        if let Some(Offered { code, mark, known }) = offered {
            if self.codes.labels.could_be(code) {
                return Err(Denied::NotAPaymentCode(OtherCode::ScaleLabel));
            }
            let number = &order.out_trade_no;
            if let Some(earlier) = self.used_by_another(number, *mark, known.as_ref(), now) {
                return Err(Denied::CodeAlreadyUsed(earlier.into()));
            }
        }
        if self.draining {
            return Err(Denied::Draining);
        }
        if let Err(why) = &self.journal {
            return Err(Denied::JournalUnavailable(why.clone()));
        }
        if let Err(why) = &self.clock {
            return Err(Denied::ClockWrong(why.clone()));
        }
        match (&scanner, offered) {
            (Some(scanner), None) => match self.waiting_on(scanner) {
                Some(number) => Err(Denied::ScannerBusy { number, scanner: scanner.clone() }),
                None => Ok(Some(scanner.clone())),
            },
            _ => Ok(scanner),
        }
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
        let of_sale = |slot: &&Slot| {
            slot.payment.order.sale.as_deref() == Some(sale) && !slot.is_settled_unpaid()
        };
        self.open.values().find(of_sale).map(|s| s.payment.order.out_trade_no.clone())
    }

    /// A payment waits for a code on this scanner.
    #[must_use]
    pub fn waits_on(&self, scanner: &str) -> bool {
        self.waiting_on(scanner).is_some()
    }

    /// The payment that waits for a code on this scanner.
    pub(super) fn waiting_on(&self, scanner: &str) -> Option<OutTradeNo> {
        let waits = |slot: &&Slot| {
            let payment = slot.latest();
            payment.order.scanner.as_deref() == Some(scanner)
                && matches!(payment.state, State::AwaitingCode { .. })
        };
        self.open.values().find(waits).map(|s| s.payment.order.out_trade_no.clone())
    }
}

fn answer_known(payment: &Payment, order: &Order) -> Reply {
    let differs = payment.order.differences(order);
    if differs.is_empty() {
        Reply::Stands(payment.clone())
    } else {
        let number = payment.order.out_trade_no.clone();
        Reply::Denied(Denied::OrderConflict { number, differs })
    }
}
