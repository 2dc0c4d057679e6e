//! The client against a gateway, a network and proxies that misbehave.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::{Client, Gateway as Address, Settings};
use super::played::{DATE, Gateway, Play, header, http, read_request, signed};
use super::{CANARY, NOW, alipay_private, alipay_public, app_private, ask, code, order, pay};
use crate::alipay::ask::{Ask, Method};
use crate::alipay::sign::{PrivateKey, PublicKey, SignType, canonical};
use crate::payment::{Answer, Answered, CancelAnswer, PayAnswer, QueryAnswer, Timestamp};

const PAID: &str = r#"{"code":"10000","msg":"Success","out_trade_no":"POS20260101000001","total_amount":"88.88","trade_no":"2026010222001455610500000001"}"#;

fn settings(gateway: &str) -> Settings {
    Settings {
        gateway: Address::read(gateway).unwrap(),
        app_id: "2014072300007148".to_owned(),
        sign_type: SignType::Rsa2,
        private_key: app_private(),
        alipay_public_key: alipay_public(),
        ca_pem: None,
        proxy: None,
        request_timeout: Duration::from_secs(20),
        terminal_id: "T_001".to_owned(),
        store_id: None,
        operator_id: None,
    }
}

async fn call(settings: Settings, method: Method) -> Answered {
    again(&Client::new(settings).unwrap(), method).await
}

pub(super) fn client(gateway: &str) -> Client {
    Client::new(settings(gateway)).unwrap()
}

async fn again(client: &Client, method: Method) -> Answered {
    client.send(client.prepare(ask(method), NOW)).await
}

/// The answer in a word, and whatever trouble there is in full.
fn say(answered: &Answered) -> String {
    match &answered.answer {
        Answer::Pay(PayAnswer::Paid(_)) | Answer::Query(QueryAnswer::Paid(_)) => "paid".into(),
        Answer::Pay(PayAnswer::NotSent(_)) => "not sent".into(),
        Answer::Pay(PayAnswer::Foreign(_)) | Answer::Query(QueryAnswer::Foreign(_)) => {
            "foreign".into()
        }
        Answer::Pay(_)
        | Answer::Query(_)
        | Answer::Cancel(_)
        | Answer::Refund(_)
        | Answer::RefundQuery(_)
        | Answer::Precreate(_) => match answered.answer.trouble() {
            Some(trouble) => format!("{:?}", trouble.kind),
            None => "something else".into(),
        },
    }
}

async fn pay_meets(play: Play) -> (String, Gateway, Answered) {
    let gateway = Gateway::plays([play]).await;
    let answered = call(settings(&gateway.url()), Method::Pay).await;
    (say(&answered), gateway, answered)
}

#[tokio::test]
async fn a_pay_goes_out_signed_and_once_and_comes_back_paid() {
    let reply = signed(Method::Pay, PAID).replacen("\r\n", "\r\ntrace_id: 0b26e1b7\r\n", 1);
    let (said, gateway, answered) = pay_meets(Play::Reply(reply)).await;
    assert_eq!(said, "paid");
    assert_eq!(answered.gateway_time, Some(Timestamp(1_767_294_247_000)));
    assert_eq!(answered.wire.http_status, Some(200));
    assert_eq!(answered.wire.trace_id.as_deref(), Some("0b26e1b7"));
    assert_eq!(answered.wire.code.as_deref(), Some("10000"));

    let requests = gateway.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let line = head.lines().next().unwrap();
    let query = line.strip_prefix("POST /gateway.do?").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    assert_eq!(
        header(head, "content-type"),
        Some("application/x-www-form-urlencoded;charset=utf-8")
    );
    assert_eq!(header(head, "content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(header(head, "transfer-encoding"), None);
    assert!(!head.contains(CANARY) && !head.contains("biz_content"));

    // The gateway's half of the work: everything that came is what was signed.
    let decode = |form: &str| -> Vec<(String, String)> {
        form_urlencoded::parse(form.as_bytes()).into_owned().collect()
    };
    let pairs = [decode(query), decode(body)].concat();
    let sign = pairs.iter().find(|(name, _)| name == "sign").unwrap().1.clone();
    let text = canonical(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let app_public = include_bytes!("../../../tests/vectors/keys/app_public.pem");
    let app_public = PublicKey::read(app_public, SignType::Rsa2).unwrap();
    assert!(app_public.verify(SignType::Rsa2, text.as_bytes(), &sign));
    assert!(text.contains("&timestamp=2026-01-02 03:04:05&"), "{}", *text);
    assert!(body.contains(CANARY));
}

#[tokio::test]
async fn query_and_cancel_name_the_number_only() {
    let closed = r#"{"code":"10000","out_trade_no":"POS20260101000001","retry_flag":"N","action":"close","trade_no":"1"}"#;
    let waiting =
        r#"{"code":"10000","out_trade_no":"POS20260101000001","trade_status":"WAIT_BUYER_PAY"}"#;
    let gateway = Gateway::plays([
        Play::Reply(signed(Method::Query, waiting)),
        Play::Reply(signed(Method::Cancel, closed)),
    ])
    .await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    let answered = again(&client, Method::Query).await;
    assert!(matches!(answered.answer, Answer::Query(QueryAnswer::Waiting(_))), "{answered:?}");
    let answered = again(&client, Method::Cancel).await;
    assert!(matches!(answered.answer, Answer::Cancel(CancelAnswer::Closed(_))), "{answered:?}");
    for (request, method) in gateway.requests().iter().zip(["query", "cancel"]) {
        assert!(request.contains(&format!("method=alipay.trade.{method}&")));
        let body = "biz_content=%7B%22out_trade_no%22%3A%22POS20260101000001%22%7D";
        assert_eq!(request.split_once("\r\n\r\n").unwrap().1, body);
    }
    assert_eq!(gateway.connections.load(Ordering::SeqCst), 1, "keep-alive");
}

#[tokio::test]
async fn no_reply_but_a_verified_one_about_this_payment_is_an_answer() {
    let forged = http("200 OK", DATE, &{
        super::signed_by(&app_private(), "alipay_trade_pay_response", PAID)
    });
    let unsigned = http("200 OK", DATE, &format!("{{\"alipay_trade_pay_response\":{PAID}}}"));
    let good = super::signed_by(&alipay_private(), "alipay_trade_pay_response", PAID);
    for (reply, expected) in [
        (forged, "Unverified"),
        (unsigned, "Unverified"),
        (http("502 Bad Gateway", DATE, "<html>"), "Unverified"),
        (http("502 Bad Gateway", DATE, &good), "Unverified"),
        (http("201 Created", DATE, &good), "Unverified"),
        (http("302 Found", &format!("{DATE}location: /other\r\n"), ""), "Unverified"),
        (http("200 OK", DATE, "<html>502</html>"), "Unverified"),
        (http("200 OK", DATE, ""), "Unverified"),
        (http("200 OK", DATE, &" ".repeat(1024 * 1024 + 1)), "Unverified"),
        (signed(Method::Query, PAID), "Unverified"),
    ] {
        let (said, gateway, answered) = pay_meets(Play::Reply(reply.clone())).await;
        assert_eq!(said, expected, "{reply:.200}");
        assert_eq!(gateway.requests().len(), 1, "neither repeated nor redirected");
        assert_eq!(answered.gateway_time, None, "the Date of an unverified reply counts nothing");
    }
    for (content, expected) in [
        (PAID.replace("POS20260101000001", "POS2"), "Foreign"),
        (PAID.replace("88.88", "88.89"), "foreign"),
    ] {
        let (said, _, answered) = pay_meets(Play::Reply(signed(Method::Pay, &content))).await;
        assert_eq!(said, expected);
        assert!(answered.gateway_time.is_some());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_to_another_machine() {
    let elsewhere = Gateway::plays([Play::Reply(signed(Method::Pay, PAID))]).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("location: {}\r\n", elsewhere.url());
        let (said, _, _) = pay_meets(Play::Reply(http(status, &location, ""))).await;
        assert_eq!(said, "Unverified");
    }
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_unknown() {
    let good = signed(Method::Pay, PAID);
    let cut = good[..good.len() - 7].to_owned();
    let head_only = good.split_once("\r\n\r\n").unwrap().0.to_owned();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"ali\r\n".to_owned();
    for play in [
        Play::Close,
        Play::Reset,
        Play::ReplyAndClose(cut),
        Play::ReplyAndClose(head_only),
        Play::ReplyAndClose(chunked),
        Play::ReplyAndClose("garbage\r\n\r\n".to_owned()),
    ] {
        let (said, gateway, answered) = pay_meets(play).await;
        assert_eq!(said, "NoAnswer", "{answered:?}");
        assert_eq!(gateway.requests().len(), 1, "{answered:?}");
    }
    let gateway = Gateway::plays([Play::Silence]).await;
    let mut impatient = settings(&gateway.url());
    impatient.request_timeout = Duration::from_millis(300);
    let answered = call(impatient, Method::Pay).await;
    assert_eq!(say(&answered), "NoAnswer", "{answered:?}");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_reply_without_end_is_given_up_after_a_mebibyte() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let flood = format!("{head}200000\r\n{}", " ".repeat(0x0020_0000));
    let (said, _, answered) = pay_meets(Play::Unfinished(flood)).await;
    assert_eq!(said, "Unverified", "{answered:?}");
}

/// The library reads interim answers for as long as they come. They end with the
/// exchange, and what else there is to be done is done meanwhile.
#[tokio::test]
async fn a_flood_of_interim_answers_ends_with_the_exchange() {
    let flood = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(100);
    let flooding = Gateway::plays([Play::Flood(flood)]).await;
    let other = Gateway::plays([Play::Reply(signed(Method::Pay, PAID))]).await;
    let mut impatient = settings(&flooding.url());
    impatient.request_timeout = Duration::from_secs(2);
    let (flooded, paid) =
        tokio::join!(call(impatient, Method::Pay), call(settings(&other.url()), Method::Pay));
    assert_eq!(say(&flooded), "NoAnswer", "{flooded:?}");
    assert_eq!(say(&paid), "paid", "{paid:?}");
    flooding.over.notified().await;
    assert_eq!(flooding.requests().len(), 1);
}

#[tokio::test]
async fn a_request_that_never_left_is_not_sent() {
    // Nobody listens.
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let answered = call(settings(&refused), Method::Pay).await;
    assert_eq!(say(&answered), "not sent", "{answered:?}");
    for query in [Method::Query, Method::Cancel, Method::Refund, Method::RefundQuery] {
        assert_eq!(say(&call(settings(&refused), query).await), "Unreachable");
    }

    // No such name.
    let mut nowhere = settings("https://gateway.invalid/gateway.do");
    nowhere.request_timeout = Duration::from_millis(500);
    let answered = call(nowhere, Method::Pay).await;
    assert_eq!(say(&answered), "not sent", "{answered:?}");

    // TLS that does not come about: it never answers, or it is no TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut impatient = settings(&format!("https://{}/", silent.local_addr().unwrap()));
    impatient.request_timeout = Duration::from_millis(300);
    let answered = call(impatient, Method::Pay).await;
    assert_eq!(say(&answered), "not sent", "{answered:?}");
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let https = format!("https://{}/", plain.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        socket.write_all(http("400 Bad Request", "", "").as_bytes()).await.unwrap();
    });
    let answered = call(settings(&https), Method::Pay).await;
    assert_eq!(say(&answered), "not sent", "{answered:?}");
}

fn tls() -> (tokio_rustls::TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), made.cert.pem().into_bytes())
}

#[tokio::test]
async fn tls_is_trusted_with_the_extra_ca_only() {
    let (acceptor, ca) = tls();
    let plays = [Play::Reply(signed(Method::Pay, PAID)), Play::Reply(signed(Method::Pay, PAID))];
    let gateway = Gateway::listen(plays, Some(acceptor)).await;
    let url = format!("https://localhost:{}/gateway.do", gateway.address.port());

    let answered = call(settings(&url), Method::Pay).await;
    assert_eq!(say(&answered), "not sent", "{answered:?}");
    assert!(format!("{answered:?}").contains("UnknownIssuer"), "{answered:?}");

    let mut trusting = settings(&url);
    trusting.ca_pem = Some(ca.clone());
    assert_eq!(say(&call(trusting, Method::Pay).await), "paid");

    // The certificate is for localhost, not for the address.
    let mut other_name = settings(&url.replace("localhost", "127.0.0.1"));
    other_name.ca_pem = Some(ca);
    let answered = call(other_name, Method::Pay).await;
    assert_eq!(say(&answered), "not sent", "{answered:?}");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_stale_connection_never_makes_two_pays_of_one() {
    // The gateway reads the second request and closes the connection, as it may
    // when it gave up on an idle one at the same moment.
    let gateway = Gateway::plays([
        Play::Reply(signed(Method::Pay, PAID)),
        Play::Close,
        Play::Reply(signed(Method::Pay, PAID)),
    ])
    .await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    let first = again(&client, Method::Pay).await;
    assert_eq!(say(&first), "paid");
    let second = again(&client, Method::Pay).await;
    assert_eq!(say(&second), "NoAnswer", "{second:?}");
    assert_eq!(gateway.requests().len(), 2, "the second was not sent again");
    let third = again(&client, Method::Pay).await;
    assert_eq!(say(&third), "paid");
    assert_eq!(gateway.requests().len(), 3);
}

#[tokio::test]
async fn a_connection_that_was_closed_long_ago_costs_nothing() {
    let gateway = Gateway::plays([
        Play::ReplyAndClose(signed(Method::Pay, PAID)),
        Play::ReplyAndClose(signed(Method::Pay, PAID)),
    ])
    .await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    for sent in 1..=2 {
        let answered = again(&client, Method::Pay).await;
        assert_eq!(gateway.requests().len(), sent);
        // Whether the close was seen in time is up to the network. Either way
        // the gateway has the request once, and nothing false is said.
        assert!(matches!(say(&answered).as_str(), "paid" | "NoAnswer"), "{answered:?}");
        tokio::task::yield_now().await;
    }
}

/// After a suspend the other side of an idle connection is gone, and nobody has
/// told this one.
#[tokio::test]
async fn forgotten_connections_are_not_used_again() {
    let replies = (0..4).map(|_| Play::Reply(signed(Method::Pay, PAID)));
    let gateway = Gateway::plays(replies).await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    for (forget, connections) in [(false, 1), (false, 1), (true, 2), (false, 2)] {
        if forget {
            client.forget_connections();
        }
        let answered = again(&client, Method::Pay).await;
        assert_eq!(say(&answered), "paid");
        assert_eq!(gateway.connections.load(Ordering::SeqCst), connections);
    }
}

#[tokio::test]
async fn a_probe_asks_about_nobody_and_learns_the_gateways_clock() {
    let nobody = r#"{"code":"40004","msg":"Business Failed","sub_code":"ACQ.TRADE_NOT_EXIST","sub_msg":"x","out_trade_no":"TILLD_PROBE"}"#;
    let gateway = Gateway::plays([Play::Reply(signed(Method::Query, nobody))]).await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    let probed = client.probe(NOW).await;
    assert_eq!(probed.answered.answer, Answer::Query(QueryAnswer::NotExist));
    assert_eq!(probed.answered.gateway_time, Some(Timestamp(1_767_294_247_000)));
    assert!(!probed.certificate_out_of_date);
    let requests = gateway.requests();
    assert!(requests[0].contains("method=alipay.trade.query&"), "{}", requests[0]);
    let body = "biz_content=%7B%22out_trade_no%22%3A%22TILLD_PROBE%22%7D";
    assert_eq!(requests[0].split_once("\r\n\r\n").unwrap().1, body);
    // Nobody is there: that is no matter of dates.
    drop(gateway);
    let unheard = Client::new(settings("http://127.0.0.1:9/gateway.do")).unwrap();
    let probed = unheard.probe(NOW).await;
    assert_eq!(probed.answered.gateway_time, None);
    assert!(!probed.certificate_out_of_date);
}

/// A proxy that passes the request on, throws the answer away, and says what it
/// likes.
async fn lying_proxy(gateway: SocketAddr, says: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Some(request) = read_request(&mut client).await else { return };
                let mut behind = TcpStream::connect(gateway).await.unwrap();
                behind.write_all(request.as_bytes()).await.unwrap();
                let mut byte = [0];
                let _ = behind.read(&mut byte).await;
                let _ = client.write_all(says.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_proxy_that_passed_the_request_on_cannot_deny_it() {
    for says in [
        "",
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 421 Misdirected Request\r\ncontent-length: 0\r\n\r\n",
    ] {
        let gateway = Gateway::plays([Play::Reply(signed(Method::Pay, PAID))]).await;
        let proxy = lying_proxy(gateway.address, says).await;
        let mut through = settings(&gateway.url());
        through.proxy = Some(format!("http://{proxy}"));
        let answered = call(through, Method::Pay).await;
        let expected = if says.is_empty() { "NoAnswer" } else { "Unverified" };
        assert_eq!(say(&answered), expected, "{answered:?}");
        assert_eq!(gateway.requests().len(), 1, "{says}");
    }
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_keeps_the_request_here() {
    for says in ["HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", ""] {
        let proxy = Gateway::plays([Play::ReplyAndClose(says.to_owned())]).await;
        let mut through = settings("https://openapi.alipay.example/gateway.do");
        through.proxy = Some(format!("http://{}", proxy.address));
        let answered = call(through, Method::Pay).await;
        assert_eq!(say(&answered), "not sent", "{answered:?}");
        let requests = proxy.requests();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].starts_with("CONNECT openapi.alipay.example:443 "), "{requests:?}");
        assert!(!requests[0].contains(CANARY));
    }
}

#[tokio::test]
async fn the_code_never_comes_back_out() {
    let echo = format!("code {CANARY}, url %22{CANARY}%22, joined 1{CANARY}9");
    let content = |code: &str, sub_code: &str| {
        format!(
            r#"{{"code":"{code}","msg":"{echo}","sub_code":"{sub_code}","sub_msg":"{echo}","trade_no":"{CANARY}","buyer_logon_id":"{CANARY}","out_trade_no":"POS20260101000001"}}"#
        )
    };
    let paid = PAID.replace("2026010222001455610500000001", CANARY);
    let other = PAID.replace("POS20260101000001", CANARY);
    let trace = format!("HTTP/1.1 200 OK\r\ntrace_id: {CANARY}\r\n");
    let unsigned = content("40002", CANARY);
    let replies = [
        signed(Method::Pay, &content("40004", "ACQ.PAYMENT_FAIL")),
        signed(Method::Pay, &content("40004", CANARY)),
        signed(Method::Pay, &content("40002", CANARY)),
        signed(Method::Pay, &content(CANARY, CANARY)),
        signed(Method::Pay, &paid),
        signed(Method::Pay, &paid).replace("HTTP/1.1 200 OK\r\n", &trace),
        signed(Method::Pay, &other),
        http("200 OK", "", &format!("{{\"alipay_trade_pay_response\":{unsigned}}}")),
        http(&format!("500 {CANARY}"), "", CANARY),
        format!("{CANARY}\r\n\r\n"),
    ];
    let mut said = String::new();
    for reply in replies {
        let (_, _, answered) = pay_meets(Play::ReplyAndClose(reply)).await;
        said.push_str(&format!("{answered:?}\n"));
    }
    let refused = call(settings("http://127.0.0.1:1/"), Method::Pay).await;
    said.push_str(&format!("{refused:?} {:?}", code()));
    assert!(!said.contains(CANARY), "{said}");
    // No part of it that would be enough to guess the rest, no signature, no
    // business content.
    for secret in ["28763443", "44382566", "25664394", "sign=", "biz_content", "product_code"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    assert!(said.contains("28*************94"), "the mask is there: {said}");
}

#[tokio::test]
async fn a_call_is_sent_when_it_is_sent_and_not_when_it_is_prepared() {
    let gateway = Gateway::plays([Play::Reply(signed(Method::Pay, PAID))]).await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    let (kept, dropped) =
        (client.prepare(ask(Method::Pay), NOW), client.prepare(ask(Method::Pay), NOW));
    drop(dropped);
    assert_eq!(gateway.connections.load(Ordering::SeqCst), 0);
    assert_eq!(say(&client.send(kept).await), "paid");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_call_that_cannot_be_written_down_is_not_sent() {
    let gateway = Gateway::plays([]).await;
    let client = Client::new(settings(&gateway.url())).unwrap();
    let mut goods = order();
    goods.goods_detail = Some("{}".to_owned());
    let prepared = client.prepare(Ask::Pay(Box::new(pay(goods))), NOW);
    assert_eq!(say(&client.send(prepared).await), "not sent");
    let undated = client.prepare(ask(Method::Query), Timestamp(i64::MAX));
    assert_eq!(say(&client.send(undated).await), "Unreachable");
    assert_eq!(gateway.connections.load(Ordering::SeqCst), 0);
}

/// The proxy variables of the environment point to nobody; see the test below.
#[tokio::test]
async fn with_the_environments_proxy() {
    let (said, _, _) = pay_meets(Play::Reply(signed(Method::Pay, PAID))).await;
    assert_eq!(said, "paid");
}

#[test]
fn the_environments_proxy_is_not_used() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "alipay::tests::gateway::with_the_environments_proxy"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let done = child.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_client_lives_on_any_thread_and_its_calls_can_move() {
    fn moves<T: Send>(value: T) -> T {
        value
    }
    let done = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Made outside of the runtime, used inside.
        runtime.block_on(moves(async {
            let (said, _, _) = pay_meets(Play::Reply(signed(Method::Pay, PAID))).await;
            assert_eq!(said, "paid");
        }));
    });
    done.join().unwrap();
    assert!(Client::new(settings("https://openapi.alipay.com/gateway.do")).is_ok());
}

#[test]
fn settings_that_cannot_work_are_named() {
    let fails = |change: fn(&mut Settings)| {
        let mut settings = settings("https://openapi.alipay.com/gateway.do");
        change(&mut settings);
        Client::new(settings).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(fails(|s| s.app_id.clear()).contains("app_id"));
    assert!(fails(|s| s.request_timeout = Duration::ZERO).contains("request_timeout"));
    assert!(fails(|s| s.ca_pem = Some(b"no pem".to_vec())).contains("CA"));
    assert!(fails(|s| s.proxy = Some("nowhere".to_owned())).contains("proxy"));
    assert!(
        fails(|s| {
            let pair = PrivateKey::generate().unwrap();
            s.private_key = PrivateKey::read(pair.private.as_bytes(), SignType::Rsa2).unwrap();
            s.alipay_public_key = PublicKey::read(pair.public.as_bytes(), SignType::Rsa2).unwrap();
        })
        .contains("public key of the application itself")
    );
}
