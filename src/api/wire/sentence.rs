//! A sentence for people, in two languages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::payment::Sentence;

/// One sentence to read aloud, in two languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Sentence, example = json!({ "zh": "已收款 88.88 元", "en": "Paid 88.88 yuan" }))]
pub struct SentenceView {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl From<Sentence> for SentenceView {
    fn from(Sentence { zh, en }: Sentence) -> Self {
        Self { zh, en }
    }
}
