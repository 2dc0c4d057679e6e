//! The sandbox's certificate: a leaf for this machine, and the authority that
//! clients are told to trust.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What the folder keeps of it.
pub(super) struct Certificates {
    /// The authority's certificate. Its key is thrown away once the leaf is
    /// signed, so that trusting it trusts this one leaf only.
    pub(super) ca: String,
    pub(super) leaf: String,
    pub(super) leaf_key: String,
}

/// Makes an authority and a leaf for 127.0.0.1, ::1, localhost and these names.
pub(super) fn make(more: &[String]) -> Result<Certificates, rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "till sandbox (for tests only)");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca_cert = ca.self_signed(&ca_key)?;

    let mut names: Vec<String> = ["127.0.0.1", "::1", "localhost"].map(str::to_owned).into();
    names.extend_from_slice(more);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "simulated Alipay gateway");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate()?;
    let leaf_cert = leaf.signed_by(&leaf_key, &Issuer::from_params(&ca, &ca_key))?;
    Ok(Certificates {
        ca: ca_cert.pem(),
        leaf: leaf_cert.pem(),
        leaf_key: leaf_key.serialize_pem(),
    })
}

/// The server side of TLS with what the folder keeps.
pub(super) fn acceptor(leaf: &str, leaf_key: &str) -> Result<TlsAcceptor, String> {
    let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).map_err(|e| e.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(leaf_key.as_bytes()).map_err(|e| e.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .map_err(|e| e.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
