//! Values into replies, and what keeps a reply from being one.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::backend::{Unanswered, Unavailable};
use crate::api::wire::{Code, Problem};
use crate::payment::Sentence;

/// What a request is told.
pub(super) type Answer = Result<Response, Problem>;

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value)
        .map_err(|_| Problem::new(Code::Internal, "the reply could not be written as JSON"))?;
    let mut response = (status, body).into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.text()).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Unavailable> for Problem {
    /// What is in the journal cannot be read, so nobody can say where the money
    /// is.
    fn from(unavailable: Unavailable) -> Self {
        let sentence = Sentence::new(
            "终端暂时查不到结果，请联系技术人员，请勿重复收款",
            "The terminal cannot look up the result at the moment: call the technician and do not charge again",
        );
        Self::new(Code::JournalUnavailable, unavailable.to_string())
            .in_doubt()
            .with_sentence(sentence)
    }
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::TakenBack(why) => Self::new(Code::JournalUnavailable, why),
            Unanswered::Ended => Self::new(Code::Stopping, "the terminal is stopping"),
            Unanswered::InDoubt(why) => {
                let sentence = Sentence::new(
                    "终端没有及时答复，这笔收款可能仍会进行。请稍后查询它的结果，请勿重复收款",
                    "The terminal did not answer in time, and this may still be carried out: ask for the payment in a moment and do not charge again",
                );
                Self::new(Code::JournalUnavailable, why).in_doubt().with_sentence(sentence)
            }
        }
    }
}
