//! The signing rules of the open platform, for both sides of the wire.
//!
//! The terminal signs requests with the application's key and verifies answers
//! with Alipay's. The sandbox does the opposite with the same functions.

use zeroize::Zeroizing;

pub use super::keys::{KeyError, KeyPairPem, PrivateKey, PublicKey, self_test};

/// How an application signs. Alipay knows one per application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignType {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what every application should use.
    Rsa2,
    /// RSASSA-PKCS1-v1_5 with SHA-1: applications of long ago.
    Rsa,
}

impl SignType {
    /// The value of the parameter `sign_type`, and of the setting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2 => "RSA2",
            Self::Rsa => "RSA",
        }
    }

    /// The sign type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Rsa2, Self::Rsa].into_iter().find(|t| t.name() == name)
    }

    /// The smallest key that is allowed with it.
    #[must_use]
    pub fn bits_min(self) -> usize {
        match self {
            Self::Rsa2 => 2048,
            Self::Rsa => 1024,
        }
    }
}

/// The text that is signed: the parameters in the byte order of their names,
/// `name=value` joined with `&`, nothing escaped; empty ones and `sign` left
/// out (`sign_type` is signed in requests).
///
/// It holds the payment code of a pay, so it is wiped when dropped.
#[must_use]
pub fn canonical<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Zeroizing<String> {
    let mut parameters: Vec<_> = parameters
        .into_iter()
        .filter(|(name, value)| !name.is_empty() && !value.is_empty() && *name != "sign")
        .collect();
    parameters.sort_unstable();
    // Sized beforehand: a buffer that grows leaves copies behind.
    let length = parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (name, value) in parameters {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}
