//! Addresses, read once: by one parser for the configuration, for the client
//! that connects, and for whoever names the gateway.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// The gateway's address: `https`, or `http` on a loopback address.
#[derive(Clone, PartialEq, Eq)]
pub struct Gateway(Url);

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not the address of a gateway, and what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address of that kind.
    #[error("is no https address; write \"https://openapi.alipay.com/gateway.do\"")]
    NoAddress,
    /// More than an address.
    #[error(
        "must be an address alone, without user, ? and #; write \"https://openapi.alipay.com/gateway.do\""
    )]
    NotAlone,
    /// Plain HTTP to another machine.
    #[error(
        "plain http is for a gateway on this box only (127.0.0.1, [::1], localhost); write \"https://openapi.alipay.com/gateway.do\""
    )]
    PlainHttp,
}

impl Gateway {
    /// Alipay's own.
    pub const ALIPAY: &str = "https://openapi.alipay.com/gateway.do";

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, AddressError> {
        let url = read(text).ok_or(AddressError::NoAddress)?;
        let is_alone = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let gateway = Self(url);
        match gateway.0.scheme() {
            "https" | "http" if !is_alone => Err(AddressError::NotAlone),
            "https" => Ok(gateway),
            "http" if gateway.is_loopback() => Ok(gateway),
            "http" => Err(AddressError::PlainHttp),
            _ => Err(AddressError::NoAddress),
        }
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its host, and its port where it names one: where an account is.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What is unusual about it, though it may be meant so.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let host = self.0.host_str().unwrap_or_default();
        let is_alipays = ["alipay.com", "alipaydev.com"]
            .into_iter()
            .any(|own| host.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')));
        if self.0.path() != "/gateway.do" {
            let path = self.0.path();
            Some(format!("Alipay's gateway has the path /gateway.do, and this one has {path}"))
        } else if !is_alipays && !self.is_loopback() {
            Some(format!("{host} is not Alipay's; that is right for a relay of your own only"))
        } else {
            None
        }
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    fn is_loopback(&self) -> bool {
        self.0.host_str().is_some_and(|host| {
            let bare = host.trim_matches(['[', ']']);
            host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }
}

/// Whether this is the address of an HTTP proxy, perhaps with a user and a
/// password.
#[must_use]
pub fn is_proxy(text: &str) -> bool {
    proxy(text).is_some()
}

pub(super) fn proxy(text: &str) -> Option<Url> {
    let is_whole = |url: &Url| url.query().is_none() && url.fragment().is_none();
    read(text).filter(|url| matches!(url.scheme(), "http" | "https") && is_whole(url))
}

/// An address with a host. What the parser would mend is refused, so that it
/// reads to people as it does to the parser.
fn read(text: &str) -> Option<Url> {
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let (_, rest) = text.split_once("://").filter(|_| is_plain)?;
    if rest.starts_with('/') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    (url.host_str().is_some_and(|host| !host.is_empty()) && url.port() != Some(0)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_box() {
        for (good, authority) in [
            (Gateway::ALIPAY, "openapi.alipay.com"),
            ("https://openapi.alipay.com:443/gateway.do", "openapi.alipay.com"),
            ("https://gateway.example:8443/gateway.do", "gateway.example:8443"),
            ("http://127.0.0.1:8080/gateway.do", "127.0.0.1:8080"),
            ("http://127.1.2.3/gateway.do", "127.1.2.3"),
            ("http://localhost:8080/gateway.do", "localhost:8080"),
            ("http://[::1]:8080/gateway.do", "[::1]:8080"),
        ] {
            let gateway = Gateway::read(good).unwrap_or_else(|why| panic!("{good}: {why}"));
            assert_eq!(gateway.authority(), authority);
        }
        use AddressError::{NoAddress, NotAlone, PlainHttp};
        for (wrong, why) in [
            ("http://openapi.alipay.com/gateway.do", PlainHttp),
            ("http://127.0.0.1.evil.example/gateway.do", PlainHttp),
            ("http://localhost.evil.example/", PlainHttp),
            ("http://192.168.1.2/", PlainHttp),
            ("http://0.0.0.0/", PlainHttp),
            ("http://[::2]/", PlainHttp),
            ("http://127.evil.example/", PlainHttp),
            ("http://127.0.0.1@evil.example/", NotAlone),
            ("http://evil.example#@127.0.0.1/", NotAlone),
            ("https://user:secret@openapi.alipay.com/gateway.do", NotAlone),
            ("https://openapi.alipay.com/gateway.do?charset=gbk", NotAlone),
            ("https://openapi.alipay.com/#x", NotAlone),
            ("http://evil.example\\@127.0.0.1/", NoAddress),
            ("https://openapi.alipay.com:0/", NoAddress),
            ("https://openapi.alipay.com:99999/", NoAddress),
            ("https://", NoAddress),
            ("https:///gateway.do", NoAddress),
            ("https:openapi.alipay.com", NoAddress),
            ("https://open api/", NoAddress),
            ("https://支付宝.example/", NoAddress),
            ("ftp://127.0.0.1/", NoAddress),
            ("openapi.alipay.com/gateway.do", NoAddress),
            ("", NoAddress),
        ] {
            assert_eq!(Gateway::read(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn what_is_unusual_is_said() {
        let doubt = |text| Gateway::read(text).map(|gateway| gateway.doubt());
        for usual in [
            Gateway::ALIPAY,
            "https://openapi-sandbox.dl.alipaydev.com/gateway.do",
            "http://127.0.0.1:4180/gateway.do",
        ] {
            assert_eq!(doubt(usual), Ok(None), "{usual}");
        }
        for (text, says) in [
            ("https://openapi.alipay.com/", "path"),
            ("https://openapi.alipay.com/gateway.do/", "path"),
            ("http://127.0.0.1:4180/", "path"),
            ("https://openapi.alipay.com.cn/gateway.do", "is not Alipay's"),
            ("https://myalipay.com/gateway.do", "is not Alipay's"),
            ("https://relay.example/gateway.do", "relay"),
        ] {
            let doubt = doubt(text).ok().flatten().unwrap_or_default();
            assert!(doubt.contains(says), "{text}: {doubt}");
        }
    }

    #[test]
    fn a_proxy_has_a_host_and_a_scheme() {
        assert!(
            is_proxy("http://proxy.shop:3128") && is_proxy("http://user:word@proxy.shop:3128/")
        );
        for wrong in ["nowhere", "socks5://proxy.shop", "http://", "http://proxy.shop/?x"] {
            assert!(!is_proxy(wrong), "{wrong}");
        }
    }
}
