//! No sale is charged twice.

use serde_json::{Value, json};

use crate::till::{Shop, code, is, outcome};

fn attempt(amount: &str, sale: &str) -> Value {
    json!({ "amount": amount, "subject": "咖啡", "sale": sale, "auth_code": code() })
}

#[test]
fn a_sale_takes_another_attempt_only_when_the_last_one_took_nothing() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.put("S_1", &attempt("77.04", "sale-1")).expect(201);
    daemon.until_state("S_1", "awaiting_buyer");
    let problem = daemon.put("S_2", &attempt("77.04", "sale-1")).expect(409);
    assert_eq!(problem["code"], "sale_in_doubt");
    assert_eq!(problem["out_trade_no"], "S_1");
    assert_eq!(problem["money"], "unknown");
    assert!(problem["cashier"]["en"].as_str().unwrap().contains("do not charge again"));

    let cancelled = daemon.post("/v1/payments/S_1/cancel?wait=60", &Value::Null).expect(200);
    assert_eq!(outcome(&cancelled), is("cancelled", "none", "close"));
    let paid = daemon.pay("S_2", &attempt("77.01", "sale-1")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));

    let problem = daemon.put("S_3", &attempt("77.01", "sale-1")).expect(409);
    assert_eq!(problem["code"], "sale_already_paid");
    assert_eq!(problem["out_trade_no"], "S_2");
    assert_eq!((&problem["money"], &problem["retry"]), (&json!("taken"), &json!("never")));
    assert_eq!(daemon.get("/v1/payments/S_3").status, 404);
    assert!(shop.gateway().ledger().number("S_3").is_none());

    // Also over a restart.
    daemon.kill();
    let daemon = shop.start();
    let problem = daemon.put("S_4", &attempt("77.01", "sale-1")).expect(409);
    assert_eq!(problem["out_trade_no"], "S_2");
    let problem = daemon.post("/v1/payments/S_2/cancel", &Value::Null).expect(409);
    assert_eq!(problem["code"], "already_paid");
}

#[test]
fn a_register_without_numbers_names_the_sale() {
    let shop = Shop::usual();
    let daemon = shop.start();
    let problem = daemon.post("/v1/payments", &json!({ "amount": "1.00", "subject": "茶" }));
    assert_eq!(problem.expect(422)["member"], "sale");

    let started = daemon.post("/v1/payments", &attempt("77.04", "sale-9"));
    let payment = started.expect(201);
    let number = payment["out_trade_no"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), Some(&*format!("/v1/payments/{number}")));
    let again = daemon.post("/v1/payments", &attempt("77.04", "sale-9")).expect(200);
    assert_eq!(again["out_trade_no"], *number);
    let other = daemon.post("/v1/payments", &attempt("5.00", "sale-9")).expect(409);
    assert_eq!((&other["code"], &other["out_trade_no"]), (&json!("sale_conflict"), &json!(number)));

    daemon.until_state(&number, "awaiting_buyer");
    assert!(shop.gateway().ledger().confirm(&number));
    daemon.settled(&number);
    let paid = daemon.post("/v1/payments?wait=60", &attempt("77.04", "sale-9")).expect(200);
    assert_eq!(paid["out_trade_no"], *number);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    assert_eq!(shop.requests(&number, "pay"), 1);

    // A sale whose attempt came to nothing gets a number of its own.
    let declined = daemon.post("/v1/payments?wait=60", &attempt("77.05", "sale-10")).expect(201);
    assert_eq!(outcome(&declined), is("declined", "none", ""));
    let mut retry = attempt("77.05", "sale-10");
    retry["auth_code"] = json!("287701000000000077");
    let paid = daemon.post("/v1/payments?wait=60", &retry).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    assert_ne!(paid["out_trade_no"], declined["out_trade_no"]);
}
