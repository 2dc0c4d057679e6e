//! What ties each entry to the one before it.

use sha2::{Digest, Sha256};

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// What stands in `prev` of the very first entry.
pub(super) const GENESIS: Hash = [0; 32];

/// The fields of an entry that its hash covers: all of them, as stored.
pub(super) struct Link<'a> {
    pub(super) prev: &'a [u8],
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) kind: &'a [u8],
    pub(super) out_trade_no: Option<&'a [u8]>,
    pub(super) body: &'a [u8],
}

impl Link<'_> {
    /// Every field goes in with its length before it, so that no two different
    /// entries feed the same bytes to the hash.
    pub(super) fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        let mut feed = |field: &[u8]| {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        };
        feed(b"tilld journal 1");
        feed(self.prev);
        feed(&self.seq.to_be_bytes());
        feed(&self.at_ms.to_be_bytes());
        feed(self.kind);
        // No number and an empty number are different things.
        feed(&[u8::from(self.out_trade_no.is_some())]);
        feed(self.out_trade_no.unwrap_or_default());
        feed(self.body);
        hasher.finalize().into()
    }
}

/// A hash for people.
pub(super) fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
