//! What a receipt says, from the till to the gateway and back.

use std::fs;

use serde_json::{Value, json};

use crate::scanner::Pty;
use crate::till::{Setup, Shop, code, with_code, without_code};

/// A scanner with a name of its own at Alipay, beside one without.
#[test]
fn a_payment_is_taken_at_the_till_of_its_scanner_also_on_its_receipt() {
    let scanners = vec!["lane-1".to_owned(), "lane-2".to_owned()];
    let shop = Shop::open(Setup { scanners, ..Setup::default() });
    // The last section is lane-2's.
    let text = format!("{}terminal_id = \"T_002\"\nstore_id = \"NJ_002\"\n", shop.config_text());
    fs::write(shop.config(), text).expect("the configuration");
    let mut ptys = ["lane-1", "lane-2"].map(|id| Pty::plug(&shop.path(id)));
    let mut daemon = shop.start();
    daemon.until_plugged();

    let names = |payment: &Value| {
        let receipt = &payment["receipt"];
        (receipt["terminal_id"].clone(), receipt["store_id"].clone())
    };
    let mut taken = Vec::new();
    for (index, (pty, terminal, store)) in ptys
        .iter_mut()
        .zip(["T_001", "T_002"])
        .zip(["NJ_001", "NJ_002"])
        .map(|((p, t), s)| (p, t, s))
        .enumerate()
    {
        let number = format!("R{index}");
        let mut body = without_code("3.50");
        body["scanner"] = json!(format!("lane-{}", index + 1));
        daemon.put(&number, &body).expect(201);
        pty.scan(&code(), 0);
        let payment = daemon.settled(&number);
        assert_eq!(payment["state"], "paid", "{payment}");
        assert_eq!(names(&payment), (json!(terminal), json!(store)));
        let known = shop.gateway().ledger().number(&number).expect("it got there");
        let trade = known.trade.expect("a trade");
        assert_eq!(trade.terminal_id.as_deref(), Some(terminal));
        assert_eq!(trade.store_id.as_deref(), Some(store));
        taken.push((number, payment["receipt"].clone()));
    }

    // What was printed stays true when the configuration changes.
    daemon.stop();
    let text = shop.config_text().replace("T_001", "T_009").replace("NJ_001", "NJ_009");
    fs::write(shop.config(), text).expect("the configuration");
    daemon = shop.start();
    for (number, receipt) in taken {
        assert_eq!(daemon.payment(&number)["receipt"], receipt);
    }
}

#[test]
fn a_receipt_has_the_amounts_the_time_and_the_buyer_as_alipay_told_them() {
    let shop = Shop::usual();
    let daemon = shop.start();
    let payment = daemon.pay("A1", &with_code("12.50")).expect(201);
    let receipt = &payment["receipt"];
    for member in ["total_amount", "receipt_amount", "buyer_pay_amount", "invoice_amount"] {
        assert_eq!(receipt[member], "12.50", "{member}: {receipt}");
    }
    assert_eq!(receipt["buyer_logon_id"], payment["buyer_logon_id"]);
    assert!(receipt["paid_at"].as_str().is_some_and(|at| at.ends_with("+08:00")), "{receipt}");
    let funds = receipt["fund_bill_list"].as_array().expect("a list");
    assert!(!funds.is_empty() && funds.iter().all(|fund| fund["fund_channel"].is_string()));
    let declined = daemon.pay("A2", &with_code("77.05")).expect(201);
    assert_eq!((&declined["state"], &declined["receipt"]), (&json!("declined"), &Value::Null));
}

#[test]
fn what_the_register_adds_belongs_to_the_order_and_the_gateway_takes_it() {
    let shop = Shop::usual();
    let daemon = shop.start();
    let mut body = with_code("10.00");
    body["seller_id"] = json!("2088102146225135");
    body["discountable_amount"] = json!("2.00");
    body["undiscountable_amount"] = json!("8.00");
    body["extend_params"] = json!({ "sys_service_provider_id": "2088511833207846" });
    body["query_options"] = json!(["fund_bill_list"]);
    let paid = daemon.pay("A1", &body).expect(201);
    assert_eq!(paid["state"], "paid", "{paid}");
    daemon.put("A1", &body).expect(200);
    for (member, other) in [
        ("seller_id", json!("2088000000000000")),
        ("discountable_amount", Value::Null),
        ("extend_params", json!({ "sys_service_provider_id": "2088" })),
        ("query_options", Value::Null),
    ] {
        let mut again = body.clone();
        again[member] = other;
        let problem = daemon.put("A1", &again).expect(409);
        assert_eq!(problem["code"], "order_conflict", "{member}");
        assert!(problem["detail"].as_str().unwrap().contains(member), "{problem}");
    }
}
