//! Faults that the table in `tests/sandbox.rs` has no row for: they need a story.

use serde_json::{Value, json};
use tilld::sandbox::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Till, code, control, encode, number, pay_biz, start};

#[tokio::test]
async fn an_answer_of_before_is_answered_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let waits = number();
    till.call("alipay.trade.pay", &pay_biz(&waits, "77.04", &code())).await;
    let ask = json!({ "out_trade_no": waits });
    let before = till.call("alipay.trade.query", &ask).await.expect("an answer").body;
    assert!(running.ledger().confirm(&waits));
    for order in [waits.as_str(), "ANOTHER"] {
        control(&till, "POST", "faults", &json!({ "method": "query", "replay": waits })).await;
        let heard = till.call("alipay.trade.query", &json!({ "out_trade_no": order })).await;
        assert_eq!(heard.as_ref().expect("an answer").body, before);
        assert_eq!(till.content(&heard)["trade_status"], "WAIT_BUYER_PAY", "and it verifies");
    }
    let heard = till.call("alipay.trade.query", &ask).await;
    assert_eq!(till.word(&heard, &waits, ""), "TRADE_SUCCESS");
    // Each method has its own; and there has to be one.
    for replay in [json!({ "method": "cancel", "replay": waits }), json!({ "replay": "NOBODY" })] {
        control(&till, "POST", "faults", &replay).await;
        let method = replay["method"].as_str().unwrap_or("query");
        let heard = till.call(&format!("alipay.trade.{method}"), &ask).await;
        assert!(heard.is_none(), "{replay}");
    }
    // What is forgotten is not replayed.
    control(&till, "POST", "reset", &Value::Null).await;
    control(&till, "POST", "faults", &json!({ "replay": waits })).await;
    assert!(till.call("alipay.trade.query", &ask).await.is_none());
    running.stop().await;
}

#[tokio::test]
async fn interim_answers_come_for_as_long_as_anybody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = number();
    let fault = json!({ "method": "pay", "interim_flood": true });
    control(&till, "POST", "faults", &fault).await;
    let mut ask = till.ask("alipay.trade.pay", &pay_biz(&name, "1.00", &code()));
    till.sign(&mut ask);
    let body = encode(&ask.body);
    let head = format!(
        "POST /gateway.do?{} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        encode(&ask.url),
        ask.content_type,
        body.len()
    );
    let mut stream = TcpStream::connect(till.addr).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut heard = vec![0; 1 << 20];
    stream.read_exact(&mut heard).await.expect("more than anybody wants");
    let heard = String::from_utf8(heard).expect("text");
    assert_eq!(heard.matches("HTTP/1.1 ").count(), heard.matches("HTTP/1.1 103 ").count());
    drop(stream);
    // It was done, and the sandbox has others to answer.
    let heard = till.call("alipay.trade.query", &json!({ "out_trade_no": name })).await;
    assert_eq!(till.word(&heard, &name, "1.00"), "TRADE_SUCCESS");
    assert!(!running.ledger().number(&name).unwrap().history[0].answered);
    running.stop().await;
}
