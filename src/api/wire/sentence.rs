//! A sentence for people, in two languages.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::payment::Sentence;

/// One sentence to read aloud, in two languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
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

impl<'de> Deserialize<'de> for SentenceView {
    /// Reads `{"zh": …, "en": …}`, or one text for both.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(match value.as_str() {
            Some(both) => Self { zh: both.to_owned(), en: both.to_owned() },
            None => Self { zh: text("zh").to_owned(), en: text("en").to_owned() },
        })
    }
}
