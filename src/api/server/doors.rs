//! What every request passes before it is looked at: its body is read, so that
//! whoever is refused has sent everything and hears why; its head must mean one
//! thing only; and whoever asks must be allowed to.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use zeroize::Zeroizing;

use super::peer::{Peer, Role};
use super::places::Full;
use super::state::Api;
use super::token::Token;
use crate::api::wire::{Code, Problem};

/// Bodies up to 64 KiB.
pub(super) const BODY_MAX: usize = 64 * 1024;
/// So much more is read and thrown away, to be able to answer.
const BODY_DRAINED: usize = 1024 * 1024;

/// The body of a request, or why there is none.
#[derive(Clone)]
pub(super) struct Sent(pub(super) Result<Bytes, Problem>);

/// The routes behind everything that comes before them; with a token, it is asked
/// for.
pub(super) fn open(routes: Router, api: &Api, token: Option<Token>) -> Router {
    let api = api.clone();
    routes.layer(from_fn(move |request: Request, next: Next| {
        let (api, token) = (api.clone(), token.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            let read = read(&parts.headers, body);
            let sent = match tokio::time::timeout(api.settings.body_timeout, read).await {
                Ok(sent) => sent,
                Err(_) => {
                    Err(Problem::new(Code::RequestTimeout, "the body did not arrive in time"))
                }
            };
            parts.extensions.insert(Sent(sent));
            let request = Request::from_parts(parts, Body::empty());
            let refused = one_meaning(request.headers())
                .and_then(|()| token.as_ref().map_or(Ok(()), |t| known(request.headers(), t)))
                .and_then(|()| allowed(&request));
            let mut response = match refused {
                Ok(()) => next.run(request).await,
                Err(problem) => problem.into_response(),
            };
            let headers = response.headers_mut();
            // A payment is never what it was a moment ago.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(HeaderName::from_static("keep-alive"), keep_alive(&api));
            response
        }
    }))
}

/// The whole body. More than is allowed is read on for a while, and forgotten.
async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, "a body has at most 64 KiB");
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok());
    let declared = declared.and_then(|l| l.parse::<usize>().ok()).unwrap_or(0);
    // Who asks first has not sent it yet, and need not.
    if declared > BODY_MAX && headers.contains_key(header::EXPECT) {
        return Err(too_large());
    }
    // It may hold a payment code, so it is wiped when it is dropped.
    let mut whole = Zeroizing::new(Vec::with_capacity(declared.min(BODY_MAX)));
    let mut length: usize = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::InvalidJson, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= BODY_MAX {
            whole.extend_from_slice(&data);
        } else if length > BODY_DRAINED {
            break;
        }
    }
    if length > BODY_MAX { Err(too_large()) } else { Ok(Bytes::from_owner(whole)) }
}

/// A head that says two things means one to us and another to whoever stands in
/// between.
fn one_meaning(headers: &HeaderMap) -> Result<(), Problem> {
    for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_TYPE, header::ORIGIN] {
        if headers.get_all(&name).iter().count() > 1 {
            return Err(Problem::new(Code::RepeatedHeader, format!("{name} occurs twice")));
        }
    }
    Ok(())
}

/// Whoever comes over TCP must know the token. The Host must be this machine: a
/// web page that had its own name resolve to it would be sending its name. And so
/// must the Origin: a page of another machine sends that, whatever the Host.
fn known(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_loopback(host) {
        let detail = "call it as 127.0.0.1, [::1] or localhost";
        return Err(Problem::new(Code::ForeignHost, detail));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        if !is_loopback(host) {
            let detail = "pages of other machines may not call it (Origin)";
            return Err(Problem::new(Code::ForeignHost, detail));
        }
    }
    if !token.admits(headers) {
        let detail = "send Authorization: Bearer with the token of the configuration";
        return Err(Problem::new(Code::Unauthorized, detail));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}

/// Reading is for observers, the rest for cashiers.
fn allowed(request: &Request) -> Result<(), Problem> {
    let needed = if request.method().is_safe() { Role::Observe } else { Role::Cashier };
    let role = request.extensions().get::<Peer>().and_then(|peer| peer.role);
    if role.is_some_and(|role| role >= needed) {
        return Ok(());
    }
    let detail = match role {
        None => "this user is in none of the groups of [api.roles]",
        Some(_) => "this user may only look: it is in none of the groups of api.roles.cashier",
    };
    Err(Problem::new(Code::Forbidden, detail))
}

/// Clients that keep a connection know from it when to take another. A second
/// less than the truth, so that it is they who end it.
fn keep_alive(api: &Api) -> HeaderValue {
    let seconds = api.settings.header_timeout.as_secs().saturating_sub(1);
    HeaderValue::from_str(&format!("timeout={seconds}"))
        .unwrap_or_else(|_| HeaderValue::from_static("timeout=1"))
}

/// The whole answer to a connection that there is no place for.
pub(super) fn no_place(full: Full) -> String {
    let body = Problem::new(Code::TooManyConnections, full.detail("connections")).text();
    let length = body.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use axum::http::Method;

    use super::*;
    use crate::api::server::peer::Who;

    /// Bug to plant: need no more than to observe for everything.
    #[test]
    fn who_may_only_look_takes_no_payment_and_gives_none_up() {
        for (role, look, act) in [
            (None, false, false),
            (Some(Role::Observe), true, false),
            (Some(Role::Cashier), true, true),
            (Some(Role::Supervisor), true, true),
        ] {
            let may = |method: Method| {
                let mut request = Request::new(Body::empty());
                *request.method_mut() = method;
                let who = Who::Process { uid: 1, pid: 2 };
                request.extensions_mut().insert(Peer { who, role, line: Weak::new() });
                allowed(&request).is_ok()
            };
            for (method, expected) in
                [(Method::GET, look), (Method::HEAD, look), (Method::PUT, act), (Method::POST, act)]
            {
                assert_eq!(may(method.clone()), expected, "{role:?} {method}");
            }
        }
        assert!(allowed(&Request::new(Body::empty())).is_err(), "nobody knows who asks");
    }
}
