//! What the answer to a question about nobody proves of the two keys.
//!
//! That a request was answered proves nothing: a gateway that does not know our
//! signature says so in an answer that verifies, and one whose key we do not have
//! answers all the same. Only a verified word from behind the front door proves
//! both: ours, because it was let in, and Alipay's, because it verified.

use super::envelope::EnvelopeError;
use crate::payment::{Answer, QueryAnswer, TroubleKind, Wire};

/// The gateway's words for a signature that it does not take, or an application
/// that it does not know (list of common return codes).
const OUR_KEY: [&str; 9] = [
    "isv.invalid-signature",
    "isv.missing-signature-key",
    "isv.invalid-signature-type",
    "isv.invalid-app-id",
    "isv.missing-app-id",
    "isv.not-online-app",
    "isv.app-cert-not-exist",
    "isv.app-cert-expired",
    "isv.missing-app-cert-sn",
];

/// What is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Both keys are right.
    Both,
    /// The gateway does not take our signature, or does not know who we are; in
    /// its words.
    AppKeyWrong(String),
    /// It is signed, but not with the key that we take for Alipay's.
    AlipayKeyWrong,
    /// The gateway lets nobody in with what we are, for another reason; in its
    /// words.
    Refused(String),
    /// Nothing, one way or the other.
    Nothing,
}

impl Proof {
    /// Whether this `sub_code` is about our signature, or who we are.
    #[must_use]
    pub fn speaks_of_our_key(sub_code: &str) -> bool {
        OUR_KEY.contains(&sub_code)
    }

    /// By a verified answer.
    pub(super) fn by_answer(answer: &Answer, wire: &Wire) -> Self {
        let words = || [&wire.code, &wire.sub_code].map(|word| word.clone().unwrap_or_default());
        if wire.sub_code.as_deref().is_some_and(Self::speaks_of_our_key) {
            return Self::AppKeyWrong(words().join(" "));
        }
        let refuses_the_date = wire.sub_code.as_deref() == Some("isv.invalid-timestamp");
        match answer {
            Answer::Query(
                QueryAnswer::NotExist
                | QueryAnswer::Paid(_)
                | QueryAnswer::Waiting(_)
                | QueryAnswer::Closed { .. },
            ) => Self::Both,
            Answer::Query(QueryAnswer::Unknown(trouble))
                if trouble.kind == TroubleKind::Refused && !refuses_the_date =>
            {
                Self::Refused(trouble.text.clone())
            }
            Answer::Query(QueryAnswer::Unknown(_) | QueryAnswer::Foreign(_))
            | Answer::Pay(_)
            | Answer::Cancel(_)
            | Answer::Refund(_)
            | Answer::RefundQuery(_)
            | Answer::Precreate(_) => Self::Nothing,
        }
    }

    /// By a reply that is no verified answer.
    pub(super) fn by_error(error: &EnvelopeError) -> Self {
        match error {
            EnvelopeError::BadSignature => Self::AlipayKeyWrong,
            // Without knowing who asks, the gateway cannot sign.
            EnvelopeError::Unsigned(says) => {
                let mut words = says.split_whitespace();
                match (words.next(), words.next()) {
                    (Some(code), Some(sub_code)) if Self::speaks_of_our_key(sub_code) => {
                        Self::AppKeyWrong(format!("{code} {sub_code}"))
                    }
                    _ => Self::Nothing,
                }
            }
            EnvelopeError::TooLarge
            | EnvelopeError::NotJson
            | EnvelopeError::Foreign
            | EnvelopeError::NoAnswer(_)
            | EnvelopeError::Certificate
            | EnvelopeError::Encrypted
            | EnvelopeError::Content => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Trade, Trouble};

    fn wire(code: &str, sub_code: &str) -> Wire {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Wire { code: some(code), sub_code: some(sub_code), ..Wire::default() }
    }

    fn unknown(kind: TroubleKind) -> QueryAnswer {
        QueryAnswer::Unknown(Trouble { kind, text: "in its words".to_owned() })
    }

    #[test]
    fn only_a_verified_word_from_behind_the_front_door_proves_both_keys() {
        let trade = Trade::default();
        for (answer, code, sub_code, proof) in [
            (QueryAnswer::NotExist, "40004", "ACQ.TRADE_NOT_EXIST", Proof::Both),
            (QueryAnswer::Waiting(trade), "10000", "", Proof::Both),
            (unknown(TroubleKind::Busy), "20000", "", Proof::Nothing),
            (unknown(TroubleKind::Unsettled), "10000", "", Proof::Nothing),
            (
                unknown(TroubleKind::Refused),
                "40002",
                "isv.invalid-signature",
                Proof::AppKeyWrong("40002 isv.invalid-signature".to_owned()),
            ),
            (
                unknown(TroubleKind::Refused),
                "40006",
                "isv.insufficient-isv-permissions",
                Proof::Refused("in its words".to_owned()),
            ),
        ] {
            let by = Proof::by_answer(&Answer::Query(answer), &wire(code, sub_code));
            assert_eq!(by, proof, "{code} {sub_code}");
        }
        let refused = Answer::Query(unknown(TroubleKind::Refused));
        let by = Proof::by_answer(&refused, &wire("40002", "isv.invalid-timestamp"));
        assert_eq!(by, Proof::Nothing, "a date says nothing of keys");
    }

    #[test]
    fn what_does_not_verify_says_which_key_if_it_says_so() {
        let unsigned = |says: &str| EnvelopeError::Unsigned(says.to_owned());
        for (error, proof) in [
            (EnvelopeError::BadSignature, Proof::AlipayKeyWrong),
            (
                unsigned("40002 isv.invalid-app-id 无效的AppID参数"),
                Proof::AppKeyWrong("40002 isv.invalid-app-id".to_owned()),
            ),
            (unsigned("10000 Success"), Proof::Nothing),
            (unsigned("nothing readable"), Proof::Nothing),
            (EnvelopeError::NotJson, Proof::Nothing),
        ] {
            assert_eq!(Proof::by_error(&error), proof, "{error}");
        }
    }
}
