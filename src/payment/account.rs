//! Whose account a payment is in, and who asked for what.

use std::fmt;

/// The account at the gateway under which a payment is known. A number means
/// nothing in another one, so it goes to disk with the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The gateway's host, and its port where it names one.
    pub gateway: String,
    /// The application (`app_id`).
    pub app_id: String,
    /// The merchant, where the application acts for several.
    pub merchant: Option<String>,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app_id {} at {}", self.app_id, self.gateway)?;
        match &self.merchant {
            Some(merchant) => write!(f, " for merchant {merchant}"),
            None => Ok(()),
        }
    }
}

/// Who sent a request, as the kernel says of the other end of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The user.
    pub uid: u32,
    /// The process, where the kernel tells it.
    pub pid: Option<u32>,
}
