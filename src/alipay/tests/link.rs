//! Pages in the buyer's browser: what they say, and that nothing in them breaks.

use super::super::Gateway;
use super::super::link::{Application, Browser, Page};
use super::super::sign::{PublicKey, SignType, canonical};
use super::{NOW, app_private, order};

fn page(browser: Browser) -> Page {
    Page {
        number: order().out_trade_no,
        amount: order().amount,
        subject: "a\"b\\c<d>&lt;&amp;'咖啡☕".to_owned(),
        body: Some(String::new()),
        time_expire: NOW + std::time::Duration::from_mins(5),
        passback_params: Some("0123456789abcdef".to_owned()),
        notify_url: Some("https://pos.example.com/notify?shop=1&till=2+3".to_owned()),
        return_url: Some("https://pos.example.com/done?x=中文".to_owned()),
        browser,
    }
}

/// What a browser makes of the value of an attribute.
fn attribute(html: &str, name: &str) -> String {
    let (_, rest) = html.split_once(&format!(" {name}=\"")).unwrap();
    let (value, _) = rest.split_once('"').unwrap();
    let plain = value.replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<");
    plain.replace("&amp;", "&")
}

#[test]
fn the_address_and_the_form_say_the_same_and_verify() {
    let (gateway, key) =
        (Gateway::read("https://gateway.example/gateway.do").unwrap(), app_private());
    let application = Application {
        gateway: &gateway,
        app_id: "2014072300007148",
        sign_type: SignType::Rsa2,
        key: &key,
    };
    let pem = include_bytes!("../../../tests/vectors/keys/app_public.pem");
    let public = PublicKey::read(pem, SignType::Rsa2).unwrap();
    for (browser, method, product, member) in [
        (
            Browser::Computer { qr_pay_mode: Some(2) },
            "alipay.trade.page.pay",
            "FAST_INSTANT_TRADE_PAY",
            ("qr_pay_mode", "2"),
        ),
        (
            Browser::Phone { quit_url: Some("https://pos.example.com/".to_owned()) },
            "alipay.trade.wap.pay",
            "QUICK_WAP_WAY",
            ("quit_url", "https://pos.example.com/"),
        ),
    ] {
        let page = page(browser);
        let link = page.link(&application, NOW).unwrap();
        let (address, query) = link.url.split_once('?').unwrap();
        assert_eq!(address, "https://gateway.example/gateway.do");
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| &pairs.iter().find(|(known, _)| known == name).unwrap().1;
        let signed = canonical(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        assert!(public.verify(SignType::Rsa2, signed.as_bytes(), get("sign")));
        assert_eq!(get("method"), method);
        assert_eq!(Some(get("notify_url")), page.notify_url.as_ref());
        assert_eq!(Some(get("return_url")), page.return_url.as_ref());
        let content: serde_json::Value = serde_json::from_str(get("biz_content")).unwrap();
        assert_eq!(
            content,
            serde_json::json!({
                "out_trade_no": "POS20260101000001",
                "total_amount": "88.88",
                "subject": page.subject,
                "product_code": product,
                "time_expire": "2026-01-02 03:09:05",
                "passback_params": "0123456789abcdef",
                member.0: member.1,
            })
        );

        // The browser posts what was signed, whatever is in it.
        assert_eq!(attribute(&link.html, "value"), *get("biz_content"));
        let action = attribute(&link.html, "action");
        assert_eq!(link.url, format!("{action}&{}", encoded("biz_content", get("biz_content"))));
        assert!(link.html.contains("<meta charset=\"utf-8\">"));
    }
}

fn encoded(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}
