//! What single values look like. Each reader says what is wrong and what to
//! write, in words that fit behind the name of the key.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::alipay::is_proxy;
use crate::payment::{Amount, AmountError};

/// `250ms`, `5s`, `2m`, `1h`, within bounds.
pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    let Some(length) = number.zip(millis).and_then(|(n, m)| n.checked_mul(m)) else {
        return Err(format!(
            "`{}` is no length of time; write a whole number and a unit, such as \"250ms\", \"5s\" or \"2m\"",
            shown(text)
        ));
    };
    let length = Duration::from_millis(length);
    if length < least || length > most {
        return Err(format!(
            "`{text}` is out of bounds; write \"{}\" to \"{}\"",
            in_units(least),
            in_units(most)
        ));
    }
    Ok(length)
}

/// A length as the configuration would write it.
pub(super) fn in_units(length: Duration) -> String {
    let millis = length.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis > 120_000 && millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

/// A name or number for the gateway, with its longest length there.
pub(super) fn name(text: &str, length_max: usize) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty; write a value, or leave the line out".to_owned());
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(
            "has spaces at its ends or control characters; write it without them".to_owned()
        );
    }
    if text.chars().count() > length_max {
        return Err(format!("is too long; write at most {length_max} characters"));
    }
    Ok(text.to_owned())
}

/// How labels of the shop's scales begin. Only those that begin as payment codes
/// do can be taken for one.
pub(super) fn scale_prefix(text: &str) -> Result<String, String> {
    let is_short_number = (2..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !is_short_number {
        return Err(format!(
            "`{}` is no prefix of labels; write two to four digits, such as \"26\"",
            shown(text)
        ));
    }
    if !text.get(..2).is_some_and(|prefix| ("25"..="30").contains(&prefix)) {
        return Err(format!(
            "`{text}` needs no entry, because no payment code begins so; leave it out, or write digits that begin with 25 to 30"
        ));
    }
    Ok(text.to_owned())
}

/// A group of this system by its name or number; without a number if there is none
/// of that name.
pub(super) fn group(text: &str) -> Result<(String, Option<u32>), String> {
    let number = match text.parse() {
        Ok(number) => Some(number),
        Err(_) => nix::unistd::Group::from_name(text)
            .map_err(|why| {
                format!("`{}` cannot be looked up among the groups: {why}", shown(text))
            })?
            .map(|group| group.gid.as_raw()),
    };
    Ok((shown(text), number))
}

/// Who may give money back: whether that is supervisors only.
pub(super) fn refunds_by(text: &str) -> Result<bool, String> {
    match text {
        "cashier" => Ok(false),
        "supervisor" => Ok(true),
        other => Err(format!(
            "`{}` is no role that may refund; write \"cashier\" or \"supervisor\"",
            shown(other)
        )),
    }
}

/// The most that a cashier may give back at a time.
pub(super) fn refund_limit(text: &str) -> Result<Amount, String> {
    text.parse().map_err(|why: AmountError| {
        format!(
            "`{}` is no amount in yuan ({why}); write such as \"200.00\", or by = \"supervisor\" if cashiers may refund nothing",
            shown(text)
        )
    })
}

/// The application's number at Alipay.
pub(super) fn app_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "`{}` is no app id; write the digits shown at open.alipay.com, such as \"2014072300007148\"",
            shown(text)
        ));
    }
    Ok(text.to_owned())
}

/// A proxy for the way to the gateway. It may hold a password, so it is not
/// repeated in what is said about it.
pub(super) fn proxy(text: &str) -> Result<String, String> {
    if is_proxy(text) {
        Ok(text.to_owned())
    } else {
        Err("is no proxy; write \"http://HOST:PORT\"".to_owned())
    }
}

/// Where programs without Unix sockets may come in: never from outside.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let advice = "write an address of this box, such as \"127.0.0.1:7580\"";
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    match numeric.parse::<SocketAddr>() {
        Ok(address) if is_loopback(address.ip()) => Ok(address),
        Ok(_) => Err(format!("`{text}` could be reached from other boxes; {advice}")),
        Err(_) => Err(format!("`{}` is no address with a port; {advice}", shown(text))),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

/// The mode of the socket.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let octal = matches!(text.len(), 3..=4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if octal && mode <= 0o777 && mode & 0o600 == 0o600 => Ok(mode),
        Ok(mode) if octal && mode <= 0o777 => {
            Err(format!("`{text}` shuts the daemon itself out; write \"0660\""))
        }
        _ => Err(format!("`{}` is no mode; write octal digits, such as \"0660\"", shown(text))),
    }
}

/// One of the two numbers of a device that `lsusb` shows.
pub(super) fn usb_number(text: &str, example: &str) -> Result<u16, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| hex).ok_or_else(|| {
        format!(
            "`{}` is no number of a device; write four hex digits as lsusb shows them, such as \"{example}\"",
            shown(text)
        )
    })
}

/// Bytes in hex, with or without spaces between them.
pub(super) fn hex(text: &str, example: &str) -> Result<Vec<u8>, String> {
    // Longer than any command, and shorter than what a scanner keeps for us.
    const LENGTH_MAX: usize = 64;
    let wrong = || {
        format!(
            "`{}` are no bytes; write two hex digits for each, such as \"{example}\"",
            shown(text)
        )
    };
    let mut bytes = Vec::new();
    for group in text.split_ascii_whitespace() {
        if group.len() % 2 != 0 || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        for pair in group.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| wrong())?);
        }
    }
    match bytes.len() {
        0 => Err(wrong()),
        1..=LENGTH_MAX => Ok(bytes),
        _ => Err(format!("is too long for a command; write at most {LENGTH_MAX} bytes")),
    }
}

/// A wrong value, as far as it should be repeated.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    let dots = if text.chars().count() > 40 { "…" } else { "" };
    crate::payment::hide_codes(&format!("{}{dots}", short.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        let read = |text| duration(text, Duration::ZERO, Duration::from_hours(24));
        for (text, millis) in
            [("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in [
            "",
            "5",
            "s",
            "5 s",
            " 5s",
            "5s ",
            "-5s",
            "+5s",
            "1.5s",
            "1m30s",
            "5S",
            "5sec",
            "五s",
            "25h",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_keeps_its_password_to_itself() {
        assert!(proxy("http://proxy.shop:3128").is_ok());
        assert!(proxy("http://user:word@proxy.shop:3128/").is_ok());
        let said = proxy("socks5://user:word@proxy.shop").expect_err("not understood");
        assert!(!said.contains("word"), "{said}");
    }

    #[test]
    fn nobody_outside_can_connect() {
        for good in ["127.0.0.1:7580", "[::1]:7580", "localhost:7580", "127.0.0.2:0"] {
            assert!(listen(good).is_ok(), "{good}");
        }
        for wrong in ["0.0.0.0:7580", "[::]:7580", "192.168.1.2:7580", "7580", "127.0.0.1", ""] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_of_devices() {
        let read = |text| usb_number(text, "0c2e");
        for (text, number) in [("0c2e", 0x0c2e), ("0C2E", 0x0c2e), ("0x0b61", 0xb61)] {
            assert_eq!(read(text), Ok(number));
        }
        for wrong in ["", "c2e", "00c2e", "+c2e", "0x", "0xc2e", "x0b61", "0c2g", "０c2e", "0c2e "]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_in_hex() {
        let read = |text: &str| hex(text, "16 54 0D");
        assert_eq!(read("16 54 0D"), Ok(b"\x16T\r".to_vec()));
        assert_eq!(read(" 7e0008 ab "), Ok(vec![0x7e, 0, 8, 0xab]));
        assert_eq!(read(&"00".repeat(64)).map(|bytes| bytes.len()), Ok(64));
        for wrong in ["", " ", "1", "16 5", "0x16", "16,54", "SYN", "五五", "+1", &"00".repeat(65)]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("0660"), Ok(0o660));
        assert_eq!(mode("600"), Ok(0o600));
        for wrong in ["", "0", "0o660", "0680", "1777", "+660", "00660", "0400", "rw-rw----"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }
}
