//! What Alipay tells of its own accord, in a form: verified before it is believed.
//!
//! Notifications come by POST, and the buyer's browser brings another such form
//! back in the address of the page that it returns to. Both are signed over their
//! parameters, and neither is an answer to anything: what it is about has to be
//! compared with what is known.

use encoding_rs::{Encoding, GB18030, UTF_8};

use super::form;
use super::sign::{PublicKey, SignType};

/// The largest form that is looked at.
pub const FORM_MAX: usize = 256 * 1024;

/// Why a form is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToldError {
    /// Larger than [`FORM_MAX`].
    #[error("the form is too large")]
    TooLarge,
    /// It cannot be decoded as a form, or not in the charset that it names.
    #[error("the form cannot be decoded")]
    Garbled,
    /// Two readers could see two values.
    #[error("the form has a parameter twice")]
    Twice,
    /// No `sign`.
    #[error("the form has no signature")]
    Unsigned,
    /// Another `sign_type` than the application's. A weaker one would make the
    /// stronger one worthless.
    #[error("the form is signed in another way than the application's")]
    SignType,
    /// The signature is somebody else's, or something was changed.
    #[error("the signature of the form does not verify")]
    BadSignature,
    /// Verified, and without what it would have to tell.
    #[error("the form does not tell {0}")]
    Missing(&'static str),
}

/// The parameters of a verified form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told(Vec<(String, String)>);

impl Told {
    /// Verifies a form and takes its parameters out of it. `own` names those that
    /// are not Alipay's: what the merchant has put into the address of a page.
    ///
    /// # Errors
    ///
    /// Why it cannot be believed.
    pub fn open(
        form: &[u8],
        own: &[&str],
        sign_type: SignType,
        alipay: &PublicKey,
    ) -> Result<Self, ToldError> {
        if form.len() > FORM_MAX {
            return Err(ToldError::TooLarge);
        }
        let mut pairs = form::decode(form).ok_or(ToldError::Garbled)?;
        pairs.retain(|(name, _)| !own.iter().any(|own| own.as_bytes() == name));
        pairs.sort_unstable();
        if pairs.is_sorted_by(|(name, _), (next, _)| name < next) {
            let told = Pairs(&pairs);
            if told.get("sign_type").is_some_and(|said| said != sign_type.name().as_bytes()) {
                return Err(ToldError::SignType);
            }
            let sign = told.get("sign").and_then(|sign| std::str::from_utf8(sign).ok());
            let sign = sign.ok_or(ToldError::Unsigned)?;
            if !told.texts().iter().any(|text| alipay.verify(sign_type, text, sign)) {
                return Err(ToldError::BadSignature);
            }
            told.read().map(Self)
        } else {
            Err(ToldError::Twice)
        }
    }

    /// A parameter. An empty one counts as absent.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    ///
    /// # Errors
    ///
    /// [`ToldError::Missing`].
    pub fn needed(&self, name: &'static str) -> Result<&str, ToldError> {
        self.text(name).ok_or(ToldError::Missing(name))
    }
}

/// The pairs in the order of their names, each name once, as bytes: the signature
/// is over bytes, whatever their charset.
struct Pairs<'a>(&'a [(Vec<u8>, Vec<u8>)]);

impl Pairs<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(value.as_slice()).filter(|value| !value.is_empty())
    }

    /// The texts that may have been signed. Trade notifications leave `sign_type`
    /// out, messages to the application's gateway keep it; what is empty is left
    /// out by Alipay's documents, and kept by most of its libraries.
    fn texts(&self) -> [Vec<u8>; 3] {
        [self.text(false, false), self.text(false, true), self.text(true, false)]
    }

    fn text(&self, with_sign_type: bool, with_empty: bool) -> Vec<u8> {
        let signed = self.0.iter().filter(|(name, value)| match name.as_slice() {
            b"" | b"sign" | b"alipay_cert_sn" => false,
            b"sign_type" => with_sign_type,
            _ => with_empty || !value.is_empty(),
        });
        let pairs: Vec<Vec<u8>> =
            signed.map(|(name, value)| [name, b"=".as_slice(), value].concat()).collect();
        pairs.join(&b'&')
    }

    /// As texts, in the charset that is named among them.
    fn read(&self) -> Result<Vec<(String, String)>, ToldError> {
        let charset: &'static Encoding = match self.get("charset") {
            None => UTF_8,
            Some(name) if name.eq_ignore_ascii_case(b"utf-8") => UTF_8,
            Some(name)
                if [&b"gbk"[..], b"gb2312", b"gb18030"]
                    .iter()
                    .any(|known| name.eq_ignore_ascii_case(known)) =>
            {
                GB18030
            }
            Some(_) => return Err(ToldError::Garbled),
        };
        let text = |bytes: &[u8]| {
            let text = charset.decode_without_bom_handling_and_without_replacement(bytes);
            text.map(std::borrow::Cow::into_owned).ok_or(ToldError::Garbled)
        };
        self.0.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect()
    }
}
