//! What a refused request is told of the money: decided here and nowhere else.
//!
//! A problem starts as `unknown`. It becomes `none` only if three things are
//! certain: the request moved nothing and will move nothing; its number has no
//! payment, here or on its way into the journal; and neither has its sale one that
//! is open or paid. Only a request that would have begun a payment can be told
//! so: whoever asks for a number that is not here may have charged it with a
//! journal that was lost.

use super::backend::{About, Standing};
use super::state::Api;
use crate::api::wire::Problem;
use crate::payment::{OutTradeNo, Public};

/// What a refused request was about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused<'a> {
    /// It would have begun a payment with this number, or for this sale, as far
    /// as they could be read (a faulty body may name two).
    Begin(Option<&'a OutTradeNo>, &'a [String]),
    /// It was about a payment that there should be.
    Within(&'a OutTradeNo),
}

impl Api {
    /// A problem with a refund, with its word about the money: the payment's own.
    pub(super) async fn weigh_refund(&self, number: &OutTradeNo, problem: Problem) -> Problem {
        let money = match self.backend.standing(About::Number(number.clone())).await {
            Ok(Standing::Payment(payment)) => match self.view(&payment).await {
                Ok(view) => Some(view.money),
                Err(_) => None,
            },
            Ok(Standing::Free | Standing::UnderWay) | Err(_) => None,
        };
        // Of a payment that is not here nobody knows whether it has money.
        problem.of_refund(money)
    }

    /// The problem, with its word about the money.
    pub(super) async fn weigh(&self, refused: Refused<'_>, problem: Problem) -> Problem {
        if !problem.moved_nothing() {
            return problem;
        }
        let (number, sales, begins) = match refused {
            Refused::Begin(number, sales) => (number, sales, true),
            Refused::Within(number) => (Some(number), [].as_slice(), false),
        };
        if let Some(number) = number {
            match self.backend.standing(About::Number(number.clone())).await {
                Ok(Standing::Free) => {}
                Ok(Standing::UnderWay) => return problem.beside(number),
                Ok(Standing::Payment(payment)) => {
                    let waits = payment.public() == Public::AwaitingCode;
                    return if waits && !begins {
                        problem.while_it_waits(number)
                    } else {
                        problem.beside(number)
                    };
                }
                Err(_) => return problem,
            }
        }
        let of_sales = if problem.tells_of_sale() { &[] } else { sales };
        for sale in of_sales {
            match self.backend.standing(About::Sale(sale.clone())).await {
                Ok(Standing::Free) => {}
                Ok(Standing::Payment(payment)) => {
                    return problem.beside(&payment.order().out_trade_no);
                }
                Ok(Standing::UnderWay) | Err(_) => return problem,
            }
        }
        let looked_up = number.is_some() || !sales.is_empty();
        if begins && looked_up { problem.none() } else { problem }
    }
}
