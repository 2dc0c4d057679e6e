//! Keys, in every shape in which Alipay's tools hand them out.
//!
//! A key is read once, at the start, and a mistake is named in one sentence for
//! the person who configures the box. No sentence holds key material, and keys
//! have no `Debug`.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs1v15;
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use rsa::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, PrivateKeyInfo,
};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Verifier as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::sign::SignType;
use crate::payment::CodeKey;

/// What is wrong with a key, in a sentence for the person who configures it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing in the file.
    #[error("the key file is empty")]
    Empty,
    /// Binary, or another encoding of text than UTF-8.
    #[error("the key file is not text: give PEM or base64, saved as UTF-8")]
    NotText,
    /// Neither PEM nor base64.
    #[error("the key is neither PEM nor base64: it holds other characters, or a part is missing")]
    NotBase64,
    /// A public key where the private one belongs.
    #[error("this is a public key: give the application's private key")]
    PublicForPrivate,
    /// A private key where the public one belongs.
    #[error(
        "this is a private key, which must stay secret: give Alipay's public key (\"支付宝公钥\")"
    )]
    PrivateForPublic,
    /// Protected by a password.
    #[error(
        "the private key is encrypted with a password: give it without one, readable by tilld only"
    )]
    Encrypted,
    /// Another algorithm.
    #[error("this is a key of another algorithm ({0}): Alipay's RSA and RSA2 need an RSA key")]
    NotRsa(&'static str),
    /// A certificate where a key belongs.
    #[error("this is a certificate: certificate mode is not supported, give the public key")]
    Certificate,
    /// Well-formed, but no key of any known shape.
    #[error("the text is base64, but not a key: it is cut off, damaged, or something else")]
    NotAKey,
    /// Its numbers do not fit each other.
    #[error("the key is damaged: its numbers do not fit each other")]
    Damaged,
    /// Shorter than the sign type allows.
    #[error("the key has {bits} bits: sign_type {} needs at least {least}", .sign_type.name())]
    TooSmall {
        /// Its size.
        bits: usize,
        /// The least that is allowed.
        least: usize,
        /// For what.
        sign_type: SignType,
    },
    /// Longer than anybody uses with Alipay.
    #[error("the key has more than 4096 bits: Alipay uses 2048")]
    TooLarge,
    /// The classic mistake.
    #[error(
        "this is the public key of the application itself: give Alipay's public key (\"支付宝公钥\"), \
         which the platform shows after the application's (\"应用公钥\") was uploaded"
    )]
    OwnPublicKey,
    /// No randomness or memory for a new key.
    #[error("a new key could not be made")]
    NotMade,
}

/// A fresh pair of keys, as text for two files.
pub struct KeyPairPem {
    /// PKCS#8.
    pub private: Zeroizing<String>,
    /// SubjectPublicKeyInfo.
    pub public: String,
}

/// The application's private key.
pub struct PrivateKey {
    /// Signs RSA2 in constant time. Absent for keys below 2048 bits, which only
    /// the legacy sign type takes.
    fast: Option<aws_lc_rs::rsa::KeyPair>,
    /// Signs the legacy type. Wipes itself when dropped.
    legacy: RsaPrivateKey,
    code_key: CodeKey,
    /// Keys for other purposes are derived under it.
    root: hmac::Key,
}

/// Alipay's public key.
pub struct PublicKey {
    /// SubjectPublicKeyInfo, for RSA2. Absent for keys below 2048 bits.
    fast: Option<Vec<u8>>,
    legacy: RsaPublicKey,
}

impl PrivateKey {
    /// Reads a private key: PKCS#1 or PKCS#8, as PEM or as bare base64 with any
    /// line breaks and spaces. What it is shows in its structure, not in its
    /// label, because labels get lost and mixed up.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(contents: &[u8], sign_type: SignType) -> Result<Self, KeyError> {
        let der = decode(contents, Wanted::Private)?;
        let parsed = RsaPrivateKey::from_pkcs8_der(&der)
            .or_else(|_| RsaPrivateKey::from_pkcs1_der(&der).map_err(|_| ()));
        let Ok(key) = parsed else {
            return Err(why_no_private_key(&der));
        };
        key.validate().map_err(|_| KeyError::Damaged)?;
        check_size(key.n().bits(), sign_type)?;
        let pkcs1 = key.to_pkcs1_der().map_err(|_| KeyError::Damaged)?;
        let fast = aws_lc_rs::rsa::KeyPair::from_der(pkcs1.as_bytes()).ok();
        if fast.is_none() && sign_type == SignType::Rsa2 {
            return Err(KeyError::Damaged);
        }
        // The one spelling of the key that does not depend on its file.
        let code_key = CodeKey::derive(pkcs1.as_bytes());
        let root = hmac::Key::new(hmac::HMAC_SHA256, pkcs1.as_bytes());
        Ok(Self { fast, legacy: key, code_key, root })
    }

    /// A key for one purpose, the same at every start with the same private key.
    /// Whoever has it knows neither this key nor one for another purpose.
    #[must_use]
    pub fn key_for(&self, purpose: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(hmac::sign(&self.root, purpose).as_ref().to_vec())
    }

    /// The key under which payment codes are marked: derived from this one, so
    /// that the journal alone tells nobody which codes were used.
    #[must_use]
    pub fn code_key(&self) -> CodeKey {
        self.code_key.clone()
    }

    /// Makes a new pair of 2048 bits; for the sandbox and for tests.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotMade`] when the box has no randomness or memory.
    pub fn generate() -> Result<KeyPairPem, KeyError> {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048)
            .map_err(|_| KeyError::NotMade)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::NotMade)?;
        let public: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| KeyError::NotMade)?;
        Ok(KeyPairPem {
            private: Zeroizing::new(pem("PRIVATE KEY", private.as_ref())),
            public: pem("PUBLIC KEY", public.as_ref()),
        })
    }

    /// The signature over `message`, in base64.
    ///
    /// Empty if the box has no memory or randomness left to sign with; a request
    /// without a signature is never sent.
    #[must_use]
    pub fn sign(&self, sign_type: SignType, message: &[u8]) -> String {
        let signature = match sign_type {
            SignType::Rsa2 => self.sign_fast(message).or_else(|| self.sign_sha256(message)),
            SignType::Rsa => self.sign_sha1(message),
        };
        signature.map(|bytes| STANDARD.encode(bytes)).unwrap_or_default()
    }

    fn sign_fast(&self, message: &[u8]) -> Option<Vec<u8>> {
        let key = self.fast.as_ref()?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }

    fn sign_sha256(&self, message: &[u8]) -> Option<Vec<u8>> {
        let key = pkcs1v15::SigningKey::<Sha256>::new(self.legacy.clone());
        Some(key.try_sign_with_rng(&mut OsRng, message).ok()?.to_vec())
    }

    fn sign_sha1(&self, message: &[u8]) -> Option<Vec<u8>> {
        let key = pkcs1v15::SigningKey::<Sha1>::new(self.legacy.clone());
        Some(key.try_sign_with_rng(&mut OsRng, message).ok()?.to_vec())
    }
}

impl PublicKey {
    /// Reads a public key: SubjectPublicKeyInfo or PKCS#1, as PEM or as bare
    /// base64 with any line breaks and spaces.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(contents: &[u8], sign_type: SignType) -> Result<Self, KeyError> {
        let der = decode(contents, Wanted::Public)?;
        let parsed = RsaPublicKey::from_public_key_der(&der)
            .or_else(|_| RsaPublicKey::from_pkcs1_der(&der).map_err(|_| ()));
        let Ok(key) = parsed else {
            return Err(why_no_public_key(&der));
        };
        check_size(key.n().bits(), sign_type)?;
        let spki = key.to_public_key_der().map_err(|_| KeyError::Damaged)?;
        let fast = (key.n().bits() >= SignType::Rsa2.bits_min()).then(|| spki.as_bytes().to_vec());
        Ok(Self { fast, legacy: key })
    }

    /// Whether `signature` (base64) over `message` was made with this key's
    /// private half.
    #[must_use]
    pub fn verify(&self, sign_type: SignType, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        match sign_type {
            SignType::Rsa2 => self.fast.as_ref().is_some_and(|spki| {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki);
                key.verify(message, &signature).is_ok()
            }),
            SignType::Rsa => pkcs1v15::Signature::try_from(signature.as_slice()).is_ok_and(|s| {
                pkcs1v15::VerifyingKey::<Sha1>::new(self.legacy.clone()).verify(message, &s).is_ok()
            }),
        }
    }
}

/// Finds the most frequent mistake of all before the first customer does: the
/// application's own public key where Alipay's belongs. Every answer would then
/// fail to verify, and every payment would end in doubt.
///
/// # Errors
///
/// [`KeyError::OwnPublicKey`].
pub fn self_test(
    private: &PrivateKey,
    alipay_public: &PublicKey,
    sign_type: SignType,
) -> Result<(), KeyError> {
    let message = b"tilld: is this the other side's key?";
    if alipay_public.verify(sign_type, message, &private.sign(sign_type, message)) {
        return Err(KeyError::OwnPublicKey);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Private,
    Public,
}

fn check_size(bits: usize, sign_type: SignType) -> Result<(), KeyError> {
    let least = sign_type.bits_min();
    if bits < least {
        return Err(KeyError::TooSmall { bits, least, sign_type });
    }
    Ok(())
}

/// Takes the armour off, if there is any.
fn decode(contents: &[u8], wanted: Wanted) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Line breaks and spaces may be lost anywhere, so a key may come without its
    // padding as well.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let text = std::str::from_utf8(contents).map_err(|_| KeyError::NotText)?;
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(KeyError::NotText);
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    let base64 = match text.split_once("-----BEGIN ") {
        Some((_, block)) => {
            let (label, block) = block.split_once("-----").ok_or(KeyError::NotBase64)?;
            check_label(label.trim(), wanted)?;
            let (body, _) = block.split_once("-----END").ok_or(KeyError::NotBase64)?;
            if body.contains("ENCRYPTED") {
                return Err(KeyError::Encrypted);
            }
            body
        }
        None => text,
    };
    let mut bare = Zeroizing::new(String::with_capacity(base64.len()));
    // A key that went through a JSON file has its line breaks written out.
    for part in base64.split("\\n").flat_map(|part| part.split("\\r")) {
        bare.extend(part.chars().filter(|c| !c.is_whitespace()));
    }
    if bare.is_empty() {
        return Err(KeyError::Empty);
    }
    LENIENT.decode(bare.as_bytes()).map(Zeroizing::new).map_err(|_| KeyError::NotBase64)
}

/// A label is believed only where it says that the text is nothing we could use.
fn check_label(label: &str, wanted: Wanted) -> Result<(), KeyError> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Err(KeyError::Certificate),
        "EC PRIVATE KEY" | "EC PARAMETERS" => Err(KeyError::NotRsa("elliptic curve")),
        "DSA PRIVATE KEY" => Err(KeyError::NotRsa("DSA")),
        "OPENSSH PRIVATE KEY" => Err(KeyError::NotRsa("OpenSSH's own format")),
        "ENCRYPTED PRIVATE KEY" if wanted == Wanted::Private => Err(KeyError::Encrypted),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::PrivateForPublic),
        _ => Ok(()),
    }
}

/// A certificate begins with its version.
fn is_certificate(der: &[u8]) -> bool {
    const VERSION_3: [u8; 5] = [0xa0, 0x03, 0x02, 0x01, 0x02];
    der.windows(VERSION_3.len()).take(10).any(|bytes| bytes == VERSION_3)
}

fn why_no_private_key(der: &[u8]) -> KeyError {
    if is_certificate(der) {
        return KeyError::Certificate;
    }
    if let Ok(info) = PrivateKeyInfo::try_from(der) {
        return not_rsa(info.algorithm.oid).unwrap_or(KeyError::Damaged);
    }
    if let Ok(info) = SubjectPublicKeyInfoRef::try_from(der) {
        return not_rsa(info.algorithm.oid).unwrap_or(KeyError::PublicForPrivate);
    }
    if RsaPublicKey::from_pkcs1_der(der).is_ok() {
        return KeyError::PublicForPrivate;
    }
    // EncryptedPrivateKeyInfo begins with a scheme of PKCS#5.
    const PKCS5: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
    if der.windows(PKCS5.len()).take(24).any(|bytes| bytes == PKCS5) {
        return KeyError::Encrypted;
    }
    match rsa::pkcs1::RsaPrivateKey::try_from(der) {
        Ok(key) if key.modulus.as_bytes().len() > 512 => KeyError::TooLarge,
        Ok(_) => KeyError::Damaged,
        Err(_) => KeyError::NotAKey,
    }
}

fn why_no_public_key(der: &[u8]) -> KeyError {
    if is_certificate(der) {
        return KeyError::Certificate;
    }
    let is_pkcs1 = rsa::pkcs1::RsaPrivateKey::try_from(der).is_ok();
    if is_pkcs1 || PrivateKeyInfo::try_from(der).is_ok() {
        return KeyError::PrivateForPublic;
    }
    let pkcs1 = match SubjectPublicKeyInfoRef::try_from(der) {
        Ok(info) => match not_rsa(info.algorithm.oid) {
            Some(error) => return error,
            None => info.subject_public_key.raw_bytes(),
        },
        Err(_) => der,
    };
    match rsa::pkcs1::RsaPublicKey::try_from(pkcs1) {
        Ok(key) if key.modulus.as_bytes().len() > 512 => KeyError::TooLarge,
        Ok(_) => KeyError::Damaged,
        Err(_) => KeyError::NotAKey,
    }
}

fn not_rsa(algorithm: rsa::pkcs8::ObjectIdentifier) -> Option<KeyError> {
    match algorithm.to_string().as_str() {
        "1.2.840.113549.1.1.1" => None,
        "1.2.840.10045.2.1" => Some(KeyError::NotRsa("elliptic curve or SM2")),
        "1.3.101.112" => Some(KeyError::NotRsa("Ed25519")),
        _ => Some(KeyError::NotRsa("unknown to us")),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut text = String::with_capacity(base64.len() + base64.len() / 64 + 64);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for (at, character) in base64.char_indices() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One small function each, so that one can be checked against the other.
    #[test]
    fn both_libraries_sign_and_verify_rsa2_alike() {
        let pem = include_bytes!("../../tests/vectors/keys/app_private_pkcs1.pem");
        let key = PrivateKey::read(pem, SignType::Rsa2).unwrap();
        let public = include_bytes!("../../tests/vectors/keys/app_public.pem");
        let public = PublicKey::read(public, SignType::Rsa2).unwrap();
        let verifying = pkcs1v15::VerifyingKey::<Sha256>::new(public.legacy.clone());
        for message in ["", "a", "app_id=1&subject=咖啡☕", &"x".repeat(10_000)] {
            let fast = key.sign_fast(message.as_bytes()).expect("the constant-time one");
            let slow = key.sign_sha256(message.as_bytes()).expect("the other one");
            assert_eq!(fast, slow);
            let signature = pkcs1v15::Signature::try_from(fast.as_slice()).unwrap();
            assert!(verifying.verify(message.as_bytes(), &signature).is_ok());
            assert!(verifying.verify(b"another message", &signature).is_err());
            let base64 = STANDARD.encode(&fast);
            assert!(public.verify(SignType::Rsa2, message.as_bytes(), &base64));
            assert!(!public.verify(SignType::Rsa2, b"another message", &base64));
        }
    }
}
