//! Signatures as Alipay makes and checks them.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

/// How a request, and then its answer, is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignType {
    /// RSA with SHA-256.
    Rsa2,
    /// RSA with SHA-1, the legacy type.
    Rsa,
}

/// What PKCS#1 puts before a SHA-1 digest: its name, and its length.
const SHA1_DIGEST_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
const SHA1_LENGTH: usize = 20;

/// A key could not be made, read or used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this is not an RSA key of at least 2048 bits")]
pub(super) struct BadKey;

/// The text that a signature covers: every parameter but `sign`, sorted.
pub(super) fn canonical(params: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = params
        .iter()
        .filter(|(name, value)| *name != "sign" && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// A private key: the application's when the folder is made, Alipay's when an
/// answer is signed.
pub(super) struct PrivateKey {
    fast: KeyPair,
    /// Reads and writes every shape, and serves the legacy type.
    plain: rsa::RsaPrivateKey,
}

impl PrivateKey {
    /// A fresh key of 2048 bits.
    pub(super) fn generate() -> Result<Self, BadKey> {
        let fast = KeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?;
        let der = fast.as_der().map_err(|_| BadKey)?;
        let plain = rsa::RsaPrivateKey::from_pkcs8_der(der.as_ref()).map_err(|_| BadKey)?;
        Ok(Self { fast, plain })
    }

    /// Reads a PEM of either kind.
    pub(super) fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let plain = rsa::RsaPrivateKey::from_pkcs1_pem(pem)
            .or_else(|_| rsa::RsaPrivateKey::from_pkcs8_pem(pem).map_err(|_| BadKey))
            .map_err(|_| BadKey)?;
        let der = plain.to_pkcs8_der().map_err(|_| BadKey)?;
        let fast = KeyPair::from_pkcs8(der.as_bytes()).map_err(|_| BadKey)?;
        Ok(Self { fast, plain })
    }

    /// The shape that every language but Java reads: PKCS#1.
    pub(super) fn to_pem(&self) -> Result<String, BadKey> {
        let pem = self.plain.to_pkcs1_pem(LineEnding::LF).map_err(|_| BadKey)?;
        Ok(pem.as_str().to_owned())
    }

    /// The public half, as PEM.
    pub(super) fn public_pem(&self) -> Result<String, BadKey> {
        self.plain.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|_| BadKey)
    }

    /// The public half, ready to check signatures.
    pub(super) fn public(&self) -> PublicKey {
        PublicKey(self.fast.public_key().as_ref().to_vec())
    }

    /// Signs bytes; base64, as it goes on the wire.
    pub(super) fn sign(&self, kind: SignType, message: &[u8]) -> Result<String, BadKey> {
        let signature = match kind {
            SignType::Rsa2 => {
                let mut signature = vec![0; self.fast.public_modulus_len()];
                let random = aws_lc_rs::rand::SystemRandom::new();
                self.fast
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| BadKey)?;
                signature
            }
            SignType::Rsa => {
                let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
                let padding = rsa::Pkcs1v15Sign {
                    hash_len: Some(SHA1_LENGTH),
                    prefix: Box::new(SHA1_DIGEST_INFO),
                };
                self.plain.sign(padding, digest.as_ref()).map_err(|_| BadKey)?
            }
        };
        Ok(BASE64.encode(signature))
    }
}

/// A public key that checks signatures.
#[derive(Clone)]
pub(super) struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads a PEM with a SubjectPublicKeyInfo.
    pub(super) fn from_pem(pem: &str) -> Result<Self, BadKey> {
        use rsa::pkcs1::EncodeRsaPublicKey as _;
        let key = rsa::RsaPublicKey::from_public_key_pem(pem).map_err(|_| BadKey)?;
        let der = key.to_pkcs1_der().map_err(|_| BadKey)?;
        Ok(Self(der.as_bytes().to_vec()))
    }

    /// Whether the base64 signature fits the bytes.
    pub(super) fn verify(&self, kind: SignType, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature) else { return false };
        let rule = match kind {
            SignType::Rsa2 => &RSA_PKCS1_2048_8192_SHA256,
            SignType::Rsa => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        };
        UnparsedPublicKey::new(rule, &self.0).verify(message, &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_signs_both_ways() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_pem(&key.to_pem().unwrap()).unwrap();
        let public = PublicKey::from_pem(&key.public_pem().unwrap()).unwrap();
        for kind in [SignType::Rsa2, SignType::Rsa] {
            let signature = again.sign(kind, b"a=1&b=2").unwrap();
            assert!(public.verify(kind, b"a=1&b=2", &signature));
            assert!(key.public().verify(kind, b"a=1&b=2", &signature));
            assert!(!public.verify(kind, b"a=1&b=3", &signature));
        }
        let signature = key.sign(SignType::Rsa, b"x").unwrap();
        assert!(!public.verify(SignType::Rsa2, b"x", &signature));
    }
}
