//! What ties each entry to the one before it, and all of them to the key.

use aws_lc_rs::{constant_time, hmac};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// What only the holder of the key can make.
pub(super) type Tag = [u8; 16];

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

/// The key of the chain. Anybody can work out a hash, also whoever has changed
/// an entry; under each hash stands a tag that takes this key. It lives in memory
/// only.
#[derive(Clone)]
pub struct ChainKey(hmac::Key);

impl ChainKey {
    /// What the application's private key is asked, so that this key is another
    /// than any that is derived from it for another purpose.
    pub const PURPOSE: &'static [u8] = b"tilld: the key of the journal's chain, version 1";

    /// From a secret that is not in the journal.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// By which the key is told from others; it gives nothing of it away.
    pub(super) fn id(&self) -> [u8; 8] {
        cut(&self.sign(b"which key", &[]))
    }

    /// Under an entry, and with it under all before it: the hash covers them.
    pub(super) fn of_entry(&self, hash: &Hash) -> Tag {
        cut(&self.sign(b"entry", &[hash]))
    }

    /// Where entries begin to be under this key, and after what.
    pub(super) fn of_beginning(&self, from: i64, prev: &[u8]) -> Tag {
        cut(&self.sign(b"from", &[&from.to_be_bytes(), prev]))
    }

    /// Under what was archived as a whole.
    pub(super) fn of_base(&self, seq: i64, hash: &Hash) -> Tag {
        cut(&self.sign(b"base", &[&seq.to_be_bytes(), hash]))
    }

    /// Under the last word on a payment that was archived.
    pub(super) fn of_kept(&self, first: i64, body: &str) -> Tag {
        cut(&self.sign(b"kept", &[&first.to_be_bytes(), body.as_bytes()]))
    }

    fn sign(&self, what: &[u8], parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [&[what], parts].concat() {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainKey")
    }
}

fn cut<const N: usize>(tag: &hmac::Tag) -> [u8; N] {
    let mut bytes = [0; N];
    for (byte, of_tag) in bytes.iter_mut().zip(tag.as_ref()) {
        *byte = *of_tag;
    }
    bytes
}

/// Whether two tags are one, without telling where they differ.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// A hash for people.
pub(super) fn hex(hash: &Hash) -> String {
    // One is written with each entry.
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_depends_on_the_key_on_what_it_is_under_and_on_what_for() {
        let (ours, theirs) = (ChainKey::new(b"ours"), ChainKey::new(b"theirs"));
        let (one, two) = ([1; 32], [2; 32]);
        assert_eq!(ours.of_entry(&one), ChainKey::new(b"ours").of_entry(&one));
        assert_ne!(ours.of_entry(&one), ours.of_entry(&two));
        assert_ne!(ours.of_entry(&one), theirs.of_entry(&one));
        assert_ne!(ours.of_beginning(1, &one), ours.of_beginning(2, &one));
        assert_ne!(ours.of_beginning(1, &one), ours.of_beginning(1, &two));
        assert_ne!(ours.of_beginning(1, &one), ours.of_entry(&one));
        assert_ne!(ours.id(), theirs.id());
        // They stand in journals, so they must come out the same for ever. By other
        // means: HMAC-SHA-256 over each part with its length before it.
        assert_eq!(
            ours.of_entry(&one).map(|byte| format!("{byte:02x}")).concat(),
            "d142d3ecb208cf76862adfe90be91d60"
        );
        assert_eq!(format!("{ours:?}"), "ChainKey");
    }
}
