//! Keys in every shape, and every mistake by its name.

use super::super::sign::{KeyError, PrivateKey, PublicKey, SignType, canonical, self_test};

const PKCS1: &str = include_str!("../../../tests/vectors/keys/app_private_pkcs1.pem");
const PKCS8: &str = include_str!("../../../tests/vectors/keys/app_private_pkcs8.pem");
const PUBLIC: &str = include_str!("../../../tests/vectors/keys/app_public.pem");

macro_rules! mistake {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/vectors/keys/mistakes/", $name)).as_slice()
    };
}

fn bare(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

#[test]
fn a_private_key_is_read_in_every_usual_shape() {
    let expected =
        PrivateKey::read(PKCS1.as_bytes(), SignType::Rsa2).unwrap().sign(SignType::Rsa2, b"m");
    let spaced: String = bare(PKCS8).chars().flat_map(|c| [c, ' ']).collect();
    for text in [
        PKCS8.to_owned(),
        bare(PKCS1),
        bare(PKCS8),
        bare(PKCS8).trim_end_matches('=').to_owned(),
        PKCS1.replace('\n', "\r\n"),
        PKCS1.replace('\n', "\\n"),
        PKCS1.replace('\n', ""),
        format!("\u{feff}{PKCS8}"),
        format!("\n\n  {}\t\n", bare(PKCS1)),
        spaced,
        // The label lies, as labels do.
        PKCS1.replace("RSA PRIVATE KEY", "PRIVATE KEY"),
        format!("Bag Attributes: something\n{PKCS8}"),
    ] {
        let key = PrivateKey::read(text.as_bytes(), SignType::Rsa2)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(key.sign(SignType::Rsa2, b"m"), expected);
    }
}

#[test]
fn a_public_key_is_read_in_every_usual_shape() {
    let private = PrivateKey::read(PKCS1.as_bytes(), SignType::Rsa2).unwrap();
    let pkcs1 = std::str::from_utf8(mistake!("app_public_pkcs1.pem")).unwrap().to_owned();
    for text in [PUBLIC.to_owned(), bare(PUBLIC), PUBLIC.replace('\n', " "), bare(&pkcs1), pkcs1] {
        for sign_type in [SignType::Rsa2, SignType::Rsa] {
            let key = PublicKey::read(text.as_bytes(), sign_type).unwrap();
            let signature = private.sign(sign_type, b"m");
            assert!(key.verify(sign_type, b"m", &signature));
            assert!(!key.verify(sign_type, b"n", &signature));
            assert!(!key.verify(sign_type, b"m", ""));
            assert!(!key.verify(sign_type, b"m", "wrong-sign"));
        }
        // An application of one sign type takes no signature of the other.
        let key = PublicKey::read(text.as_bytes(), SignType::Rsa2).unwrap();
        assert!(!key.verify(SignType::Rsa2, b"m", &private.sign(SignType::Rsa, b"m")));
        assert!(!key.verify(SignType::Rsa, b"m", &private.sign(SignType::Rsa2, b"m")));
    }
}

#[test]
fn a_mistake_with_the_private_key_is_named() {
    let cut = &PKCS1.as_bytes()[..PKCS1.len() / 2];
    let cut_bare = &bare(PKCS1)[..800];
    let elliptic = KeyError::NotRsa("elliptic curve or SM2");
    for (contents, sign_type, error) in [
        (b"".as_slice(), SignType::Rsa2, KeyError::Empty),
        (b" \n\t", SignType::Rsa2, KeyError::Empty),
        (b"\xff\xfe-\0-\0", SignType::Rsa2, KeyError::NotText),
        (b"0\x82\x04\xa5\x02", SignType::Rsa2, KeyError::NotText),
        (b"/etc/tilld/key.pem", SignType::Rsa2, KeyError::NotBase64),
        (b"aGVsbG8gd29ybGQ=", SignType::Rsa2, KeyError::NotAKey),
        (cut, SignType::Rsa2, KeyError::NotBase64),
        (cut_bare.as_bytes(), SignType::Rsa2, KeyError::NotAKey),
        (PUBLIC.as_bytes(), SignType::Rsa2, KeyError::PublicForPrivate),
        (bare(PUBLIC).as_bytes(), SignType::Rsa2, KeyError::PublicForPrivate),
        (mistake!("app_public_pkcs1.pem"), SignType::Rsa2, KeyError::PublicForPrivate),
        (mistake!("certificate.crt"), SignType::Rsa2, KeyError::Certificate),
        (mistake!("encrypted_pkcs1.pem"), SignType::Rsa2, KeyError::Encrypted),
        (mistake!("encrypted_pkcs8.pem"), SignType::Rsa2, KeyError::Encrypted),
        (mistake!("ec_sec1.pem"), SignType::Rsa2, KeyError::NotRsa("elliptic curve")),
        (mistake!("ec_pkcs8.pem"), SignType::Rsa2, elliptic.clone()),
        (mistake!("ec_public.pem"), SignType::Rsa2, elliptic),
        (mistake!("ed25519.pem"), SignType::Rsa2, KeyError::NotRsa("Ed25519")),
        (
            mistake!("small_1024.pem"),
            SignType::Rsa2,
            KeyError::TooSmall { bits: 1024, least: 2048, sign_type: SignType::Rsa2 },
        ),
        (
            mistake!("tiny_768.pem"),
            SignType::Rsa,
            KeyError::TooSmall { bits: 768, least: 1024, sign_type: SignType::Rsa },
        ),
    ] {
        let read = PrivateKey::read(contents, sign_type).err();
        assert_eq!(read, Some(error), "{}", String::from_utf8_lossy(contents));
    }
    let bare_encrypted = bare(std::str::from_utf8(mistake!("encrypted_pkcs8.pem")).unwrap());
    let read = PrivateKey::read(bare_encrypted.as_bytes(), SignType::Rsa2).err();
    assert_eq!(read, Some(KeyError::Encrypted));
}

#[test]
fn a_mistake_with_the_public_key_is_named() {
    let bare_certificate = bare(std::str::from_utf8(mistake!("certificate.crt")).unwrap());
    for (contents, sign_type, error) in [
        (b"".as_slice(), SignType::Rsa2, KeyError::Empty),
        (PKCS1.as_bytes(), SignType::Rsa2, KeyError::PrivateForPublic),
        (PKCS8.as_bytes(), SignType::Rsa2, KeyError::PrivateForPublic),
        (bare(PKCS8).as_bytes(), SignType::Rsa2, KeyError::PrivateForPublic),
        (mistake!("encrypted_pkcs8.pem"), SignType::Rsa2, KeyError::PrivateForPublic),
        (mistake!("certificate.crt"), SignType::Rsa2, KeyError::Certificate),
        (bare_certificate.as_bytes(), SignType::Rsa2, KeyError::Certificate),
        (mistake!("ec_public.pem"), SignType::Rsa2, KeyError::NotRsa("elliptic curve or SM2")),
        (b"MIIBIjANBgkqhkiG9w0BAQ", SignType::Rsa2, KeyError::NotAKey),
        (
            mistake!("small_1024_public.pem"),
            SignType::Rsa2,
            KeyError::TooSmall { bits: 1024, least: 2048, sign_type: SignType::Rsa2 },
        ),
        (
            mistake!("tiny_768_public.pem"),
            SignType::Rsa,
            KeyError::TooSmall { bits: 768, least: 1024, sign_type: SignType::Rsa },
        ),
    ] {
        let read = PublicKey::read(contents, sign_type).err();
        assert_eq!(read, Some(error), "{}", String::from_utf8_lossy(contents));
    }
}

#[test]
fn the_legacy_sign_type_takes_keys_of_1024_bits() {
    let private = PrivateKey::read(mistake!("small_1024.pem"), SignType::Rsa).unwrap();
    let public = PublicKey::read(mistake!("small_1024_public.pem"), SignType::Rsa).unwrap();
    assert!(public.verify(SignType::Rsa, b"m", &private.sign(SignType::Rsa, b"m")));
    // Whatever asks, so short a key never vouches for RSA2.
    assert!(!public.verify(SignType::Rsa2, b"m", &private.sign(SignType::Rsa2, b"m")));
}

#[test]
fn the_applications_own_public_key_in_place_of_alipays_is_found_at_the_start() {
    let private = super::app_private();
    for sign_type in [SignType::Rsa2, SignType::Rsa] {
        let own = PublicKey::read(PUBLIC.as_bytes(), sign_type).unwrap();
        assert_eq!(self_test(&private, &own, sign_type), Err(KeyError::OwnPublicKey));
        assert_eq!(self_test(&private, &super::alipay_public(), sign_type), Ok(()));
    }
}

#[test]
fn a_generated_pair_is_read_back() {
    let pair = PrivateKey::generate().unwrap();
    assert!(pair.private.lines().chain(pair.public.lines()).all(|line| line.len() <= 64));
    let private = PrivateKey::read(pair.private.as_bytes(), SignType::Rsa2).unwrap();
    let public = PublicKey::read(pair.public.as_bytes(), SignType::Rsa2).unwrap();
    assert!(public.verify(SignType::Rsa2, b"m", &private.sign(SignType::Rsa2, b"m")));
}

#[test]
fn an_error_is_one_line_and_names_no_key() {
    for contents in [PUBLIC, &PKCS1[..600], "aGVsbG8gd29ybGQ="] {
        let error = PrivateKey::read(contents.as_bytes(), SignType::Rsa2).err().unwrap();
        let text = error.to_string();
        assert!(!text.contains('\n'));
        assert!(!contents.lines().any(|line| text.contains(line)), "{text}");
    }
}

#[test]
fn the_signed_text_is_sorted_by_bytes_and_holds_no_empties_and_no_sign() {
    let parameters = [
        ("b", "2&c=3"),
        ("sign_type", "RSA2"),
        ("sign", "nothing"),
        ("a_b", " "),
        ("aB", "+%2B"),
        ("empty", ""),
        ("", "nameless"),
        ("B", "咖"),
    ];
    assert_eq!(*canonical(parameters), "B=咖&aB=+%2B&a_b= &b=2&c=3&sign_type=RSA2");
}
