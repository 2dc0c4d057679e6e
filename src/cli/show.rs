//! `till show` and `till list`: payments, on paper.

use serde_json::{Map, Value};

use crate::api::client::{Answer, Client, ClientError, Steps, segment};
use crate::api::{
    Code, MoneyView as Money, PaymentView, PaymentsView, RefundStateView, RefundView, RefundsView,
    StateView,
};

use super::out::{Out, Side, folded, table, width};
use super::words::{self, Lang, Phrase};
use super::{Exit, give_up, refund, sentence};

/// Shows one payment; the exit code tells where its money is.
pub(super) async fn show(client: &Client, out: &Out, order: &str, steps: bool) -> Exit {
    match look(client, out, order, steps).await {
        Ok(exit) => exit,
        Err(error) => give_up(out, &error, words::ABSENT, Money::Unknown, Exit::Unknown),
    }
}

async fn look(client: &Client, out: &Out, order: &str, steps: bool) -> Result<Exit, ClientError> {
    let (path, answer) = find(client, order).await?;
    let view: PaymentView = answer.read()?;
    let exit = Exit::of_payment(&view);
    let refunds = match client.get(&format!("{path}/refunds")).await {
        Ok(answer) => Some(answer),
        // An older terminal knows of none.
        Err(ClientError::Problem { problem, .. }) if problem.view.code == Code::NotFound => None,
        Err(error) => return Err(error),
    };
    let entries = match steps {
        true => Some(all_steps(client, &path).await?),
        false => None,
    };
    if out.json {
        // One value: the payment, with its refunds and steps beside its own members.
        let mut payment: Map<String, Value> = answer.read()?;
        if let Some(refunds) = &refunds {
            let mut told: Map<String, Value> = refunds.read()?;
            payment.extend(told.remove_entry("refunds"));
        }
        let entries = entries.map(|all| all.into_iter().map(Value::Object).collect());
        payment.extend(entries.map(|entries| ("entries".to_owned(), entries)));
        out.json(&Value::Object(payment).to_string());
        return Ok(exit);
    }
    let refunds: RefundsView = match &refunds {
        Some(refunds) => refunds.read()?,
        None => RefundsView::default(),
    };
    let mut lines = vec![sentence(&view, out.lang)];
    lines.extend(details(&view, out.lang));
    if !refunds.refunds.is_empty() {
        lines.extend(headed(
            words::LABEL_REFUNDS,
            refund_lines(&refunds.refunds, out.lang),
            out.lang,
        ));
    }
    if let Some(entries) = &entries {
        lines.extend(headed(words::LABEL_STEPS, step_lines(entries), out.lang));
    }
    for line in lines {
        out.line(&line);
    }
    Ok(exit)
}

/// Lines with a head over them, apart from what was before.
fn headed(head: Phrase, lines: Vec<String>, lang: Lang) -> impl Iterator<Item = String> {
    [String::new(), head.text(lang).to_owned()].into_iter().chain(lines)
}

/// The refunds of a payment, a line each; and below it what a person should know.
fn refund_lines(refunds: &[RefundView], lang: Lang) -> Vec<String> {
    let rows: Vec<Vec<String>> = refunds
        .iter()
        .map(|view| {
            vec![
                format!("  {}", moment(&view.created_at)),
                view.out_request_no.clone(),
                view.amount.clone(),
                words::refund_state(&view.state.to_string(), lang),
                view.reason.as_deref().map(shortened).unwrap_or_default(),
            ]
        })
        .collect();
    let sides = [Side::Left, Side::Left, Side::Right, Side::Left, Side::Left];
    let mut lines = Vec::new();
    for (line, view) in table(&sides, &rows).into_iter().zip(refunds) {
        lines.push(line);
        if view.state != RefundStateView::Refunded {
            lines.extend(folded(&format!("    {}", refund::said(view, lang)), 4));
        }
        if let Some(attention) = &view.attention {
            let attention = words::ATTENTION_IS.fill(lang, &[lang.of(attention)]);
            lines.extend(folded(&format!("    {attention}"), 4));
        }
    }
    lines
}

/// Every step of a payment, part by part. The first part is asked for as it always
/// was, so that an older daemon understands it.
async fn all_steps(client: &Client, path: &str) -> Result<Vec<Map<String, Value>>, ClientError> {
    let mut part: Steps = client.get(&format!("{path}/journal")).await?.read()?;
    let mut all = std::mem::take(&mut part.entries);
    while let Some(cursor) = part.next_cursor {
        let path = format!("{path}/journal?cursor={}", segment(&cursor));
        part = client.get(&path).await?.read()?;
        if part.entries.is_empty() {
            break;
        }
        all.append(&mut part.entries);
    }
    Ok(all)
}

/// The payment with this number; else the newest one, if `last` was asked for,
/// or the only one among the newest whose number begins so.
async fn find(client: &Client, order: &str) -> Result<(String, Answer), ClientError> {
    let path = |number: &str| format!("/v1/payments/{}", segment(number));
    let unknown = match client.get(&path(order)).await {
        Ok(answer) => return Ok((path(order), answer)),
        Err(ClientError::Problem { attempt, problem }) if problem.view.code == Code::NotFound => {
            ClientError::Problem { attempt, problem }
        }
        Err(error) => return Err(error),
    };
    let is_last = order == "last";
    let query = if is_last { "limit=1" } else { "limit=500" };
    let listed: PaymentsView = client.get(&format!("/v1/payments?{query}")).await?.read()?;
    let fits = |view: &&PaymentView| is_last || view.out_trade_no.starts_with(order);
    let mut found = listed.payments.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), None) => {
            let path = path(&one.out_trade_no);
            let answer = client.get(&path).await?;
            Ok((path, answer))
        }
        _ => Err(unknown),
    }
}

/// What is known of a payment, a line each.
fn details(view: &PaymentView, lang: Lang) -> Vec<String> {
    let reason = view.reason.as_ref().map(|reason| {
        let codes: Vec<&str> = [Some(&reason.code), reason.sub_code.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|code| !code.is_empty())
            .collect();
        format!("{} ({})", reason.message, codes.join(" "))
    });
    // With the name it has in the API, where that is another.
    let told = view.state.to_string();
    let state = match words::name(&told, lang) {
        same if same == told => same,
        other => format!("{other} ({told})"),
    };
    let refunded = Some(view.refunded_amount.clone()).filter(|amount| amount != "0.00");
    let attention = view.attention.as_ref().map(|sentence| lang.of(sentence).to_owned());
    let rows: [(Phrase, Option<String>); 14] = [
        (words::LABEL_ORDER, Some(view.out_trade_no.clone())),
        (words::LABEL_STATE, Some(state)),
        (words::LABEL_AMOUNT, Some(view.amount.clone())),
        (words::LABEL_RECEIVED, view.receipt_amount.clone()),
        (words::LABEL_REFUNDED, refunded),
        (words::LABEL_SUBJECT, Some(view.subject.clone())),
        (words::LABEL_SALE, view.sale.clone()),
        (words::LABEL_SCANNER, view.scanner.clone()),
        (words::LABEL_TRADE, view.trade_no.clone()),
        (words::LABEL_BUYER, view.buyer_logon_id.clone()),
        (words::LABEL_REASON, reason),
        (words::LABEL_ATTENTION, attention),
        (words::LABEL_CREATED, Some(moment(&view.created_at))),
        (words::LABEL_UPDATED, Some(moment(&view.updated_at))),
    ];
    let rows = rows.into_iter().filter_map(|(label, text)| Some((label, text?)));
    labelled(rows.filter(|(_, text)| !text.is_empty()), lang)
}

/// Lines with their labels in a column of their own.
pub(super) fn labelled(rows: impl Iterator<Item = (Phrase, String)>, lang: Lang) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.map(|(label, text)| vec![format!("  {}", label.text(lang)), text]).collect();
    table(&[Side::Left, Side::Left], &rows)
}

/// The steps of a payment, with whatever members they have.
fn step_lines(entries: &[Map<String, Value>]) -> Vec<String> {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry.get(name).map(plain).unwrap_or_default();
            let rest: Vec<String> = entry
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "seq" | "at" | "step"))
                .flat_map(|(name, value)| told(name, value))
                .collect();
            vec![
                format!("  {}", text("seq")),
                to_the_milli(&text("at")),
                text("step"),
                rest.join(" "),
            ]
        })
        .collect();
    let lines = table(&[Side::Right, Side::Left, Side::Left, Side::Left], &rows);
    // What was sent and answered is longer than any window is wide.
    lines.iter().flat_map(|line| folded(line, STEP_INDENT)).collect()
}

/// Where the rest of a step goes on.
const STEP_INDENT: usize = 8;

/// [`moment`] with the milliseconds: two steps of a payment often share a second.
fn to_the_milli(text: &str) -> String {
    let milli = text.get(19..23).filter(|milli| milli.starts_with('.')).unwrap_or_default();
    format!("{}{milli}", moment(text))
}

/// `name=value`, for objects each of their members, for null nothing.
fn told(name: &str, value: &Value) -> Vec<String> {
    match value.as_object() {
        Some(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            members.map(|(member, value)| format!("{name}.{member}={}", plain(value))).collect()
        }
        None if value.is_null() => vec![],
        None => vec![format!("{name}={}", plain(value))],
    }
}

/// A text as it is, everything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// `2026-11-20T10:00:02.123+08:00` as `2026-11-20 10:00:02`: the terminal's own
/// time, without what no cashier reads. Anything else stays as it is.
pub(super) fn moment(text: &str) -> String {
    match (text.get(..10), text.get(10..11), text.get(11..19)) {
        (Some(date), Some("T"), Some(time)) => format!("{date} {time}"),
        _ => text.to_owned(),
    }
}

/// Which payments to list.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) state: Option<String>,
    pub(super) since: Option<String>,
    pub(super) limit: Option<u16>,
    pub(super) cursor: Option<String>,
}

impl Filter {
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let limit = self.limit.map(|limit| limit.to_string());
        for (name, value) in [
            ("state", &self.state),
            ("since", &self.since),
            ("limit", &limit),
            ("cursor", &self.cursor),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            none if none.is_empty() => "/v1/payments".to_owned(),
            query => format!("/v1/payments?{query}"),
        }
    }
}

/// Lists payments.
pub(super) async fn list(client: &Client, out: &Out, filter: &Filter) -> Exit {
    let listed = async {
        let answer = client.get(&filter.path()).await?;
        let listed: PaymentsView = answer.read()?;
        Ok((answer.text, listed))
    };
    let (text, listed) = match listed.await {
        Ok(listed) => listed,
        Err(error) => return give_up(out, &error, words::ABSENT, Money::Unknown, Exit::Fault),
    };
    if out.json {
        out.json(&text);
        return Exit::DONE;
    }
    if listed.payments.is_empty() {
        out.note(words::NO_PAYMENTS.text(out.lang));
        return Exit::DONE;
    }
    for line in list_lines(&listed, out.lang) {
        if !out.line(&line) {
            break;
        }
    }
    if let Some(cursor) = &listed.next_cursor {
        out.say(words::MORE_PAYMENTS, &[cursor]);
    }
    Exit::DONE
}

fn list_lines(listed: &PaymentsView, lang: Lang) -> Vec<String> {
    let head = [
        words::HEAD_TIME,
        words::HEAD_ORDER,
        words::HEAD_AMOUNT,
        words::HEAD_STATE,
        words::HEAD_SUBJECT,
    ];
    let mut rows = vec![head.map(|phrase| phrase.text(lang).to_owned()).to_vec()];
    rows.extend(listed.payments.iter().map(|view| {
        vec![
            moment(&view.created_at),
            view.out_trade_no.clone(),
            view.amount.clone(),
            state_in_list(view, lang),
            shortened(&view.subject),
        ]
    }));
    table(&[Side::Left, Side::Left, Side::Right, Side::Left, Side::Left], &rows)
}

/// The state, and what went back of the money.
fn state_in_list(view: &PaymentView, lang: Lang) -> String {
    let state = words::name(&view.state.to_string(), lang);
    match (view.state == StateView::Paid, view.refunded_amount.as_str()) {
        (false, _) | (true, "" | "0.00") => state,
        (true, _) if view.money == Money::Returned => words::STATE_ALL_BACK.text(lang).to_owned(),
        (true, back) => words::STATE_PART_BACK.fill(lang, &[&state, back]),
    }
}

/// A long subject would push the table apart.
fn shortened(text: &str) -> String {
    const COLUMNS_MAX: usize = 32;
    if width(text) <= COLUMNS_MAX {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width(&short) >= COLUMNS_MAX - 1 {
            break;
        }
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lose_what_no_cashier_reads() {
        assert_eq!(moment("2026-11-20T10:00:02.123+08:00"), "2026-11-20 10:00:02");
        for strange in ["", "yesterday", "咖啡咖啡咖啡咖啡咖啡"] {
            assert_eq!(moment(strange), strange);
        }
    }

    #[test]
    fn what_is_typed_stays_in_its_own_parameter() {
        let filter = Filter {
            state: Some("open&limit=9".to_owned()),
            since: Some("2026-11-20T10:00:00+08:00".to_owned()),
            limit: Some(3),
            cursor: None,
        };
        assert_eq!(
            filter.path(),
            "/v1/payments?state=open%26limit%3D9&since=2026-11-20T10%3A00%3A00%2B08%3A00&limit=3"
        );
    }

    #[test]
    fn long_subjects_are_cut_by_their_width() {
        assert_eq!(width(&shortened(&"咖".repeat(40))), 33);
        assert_eq!(shortened("咖啡"), "咖啡");
    }
}
