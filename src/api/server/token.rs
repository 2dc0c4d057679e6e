//! The secret of those who come over TCP.

use std::fmt;

use axum::http::{HeaderMap, header};

use crate::payment::SecretText;

/// The secret itself.
#[derive(Clone)]
pub struct Token(SecretText);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has 16 to 512 visible ASCII characters and no spaces")]
pub struct TokenError;

impl Token {
    /// A token as it stands in its file; spaces and line ends around it do not
    /// count.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it is too short to be a secret, or cannot be sent in a
    /// header.
    pub fn new(text: &SecretText) -> Result<Self, TokenError> {
        let token = text.reveal().trim_ascii();
        let sendable = token.bytes().all(|b| b.is_ascii_graphic());
        if sendable && (16..=512).contains(&token.len()) {
            Ok(Self(SecretText::new(token.to_owned())))
        } else {
            Err(TokenError)
        }
    }

    /// Takes the same time whatever is wrong with it.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let (scheme, token) = given.split_at_checked(7).unwrap_or((given, b""));
        scheme.eq_ignore_ascii_case(b"bearer ")
            && aws_lc_rs::constant_time::verify_slices_are_equal(
                token.trim_ascii(),
                self.0.reveal().as_bytes(),
            )
            .is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
