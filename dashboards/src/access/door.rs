//! The decision about one request: who asks, how often, what for.
//!
//! Place in the flow: router has found the route → **`admit`** → handler, which finds the caller's
//! [`Identity`] in the request's extensions.
//!
//! Everything that is refused is refused here, with the envelope under `/api` and the reason in one
//! sentence; nobody who has not logged in learns more than that it has to.
//!
//! Not here: what a scope does to a query (handlers, query), connections (`crate::serving`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tower_http::timeout::TimeoutBody;

use crate::access::credentials::Credentials;
use crate::access::headers;
use crate::access::identity::{Identity, Shown};
use crate::access::patience::network;
use crate::access::routes::{Need, Needs, Rule, Under};
use crate::access::rulebook::Rulebook;
use crate::access::whole::{Access, Refusal, count};
use crate::api::envelope::ApiError;

/// Who is connected, in each request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
}

impl Default for Peer {
    fn default() -> Peer {
        Peer { address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), is_encrypted: false }
    }
}

/// What the decision is made from.
pub struct Door {
    access: Arc<Access>,
    needs: Needs,
    /// Host, and port if there is one, of the address that links point to.
    own_host: String,
}

impl Door {
    /// A door in front of these routes; `external_url` is where browsers see them, if it is known.
    pub fn new(access: Arc<Access>, needs: Needs, external_url: &str) -> Door {
        let own_host = external_url.parse::<Uri>().ok();
        let own_host = own_host.and_then(|uri| Some(uri.authority()?.as_str().to_owned()));
        Door { access, needs, own_host: own_host.unwrap_or_default() }
    }
}

/// Lets a request through, told who asks; or says why not.
pub async fn admit(door: &Door, request: Request) -> Result<Request, Response> {
    let rules = door.access.rules();
    let (mut parts, body) = request.into_parts();
    match decide(door, &rules, &parts).await {
        Ok(identity) => {
            parts.extensions.insert(identity);
            let body = Body::new(TimeoutBody::new(rules.limits.body_timeout, body));
            Ok(Request::from_parts(parts, body))
        }
        Err(refused) => {
            match refused.code {
                StatusCode::TOO_MANY_REQUESTS => count(&door.access.counters.requests_limited),
                StatusCode::FORBIDDEN => count(&door.access.counters.requests_forbidden),
                _ => {}
            }
            Err(refused.respond(&rules, parts.uri.path()))
        }
    }
}

/// Sets the headers that every answer has, whoever gives it.
pub fn dress(door: &Door, peer: Peer, response: &mut Response) {
    headers::set(response, &door.access.rules(), peer.is_encrypted);
}

async fn decide(door: &Door, rules: &Rulebook, request: &Parts) -> Result<Identity, Refused> {
    let peer = request.extensions.get::<Peer>().copied().unwrap_or_default();
    let (now, address) = (Instant::now(), peer.address.ip());
    if let Some(rate) = rules.rate {
        let all = door.access.buckets.take("all", rate, now);
        all.map_err(|wait| Refused::too_many(wait, "too many requests in all"))?;
    }
    let matched = request.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let rule = door.needs.rule(matched, &request.method);
    // The route's own path, which may stand below a prefix, and not whatever was asked for.
    let route = matched.unwrap_or("");
    let is_openable = rules.open_paths.iter().any(|own| route.ends_with(own.as_str()));
    let is_open = is_openable && is_get(&request.method);
    // A browser asks in advance without showing anything; no handler takes OPTIONS.
    if (is_open || request.method == Method::OPTIONS) && !rules.is_open() {
        within_rate(door, rules, (&Identity::nobody(), address), now)?;
        return Ok(Identity::nobody());
    }
    let credentials = Credentials::of(&request.headers);
    let (identity, shown) = match door.access.identify(&credentials, address).await {
        Ok(found) => found,
        Err(refusal) => {
            within_rate(door, rules, (&Identity::nobody(), address), now)?;
            return Err(Refused::login(refusal));
        }
    };
    within_rate(door, rules, (&identity, address), now)?;
    allowed(&identity, rule)?;
    let is_by_itself = shown != Shown::Token && rule.changes() && !is_get(&request.method);
    if is_by_itself && is_cross_site(&request.headers, &request.uri, &door.own_host) {
        let message = "a page of another site may not change anything here; use a token";
        return Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    Ok(identity)
}

fn is_get(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn within_rate(
    door: &Door,
    rules: &Rulebook,
    (identity, address): (&Identity, IpAddr),
    now: Instant,
) -> Result<(), Refused> {
    let (buckets, rate) = (&door.access.buckets, rules.limits.rate);
    let taken = match identity.name() {
        "" => buckets.take(("address", network(address)), rate, now),
        name => buckets.take(("user", name), rate, now),
    };
    taken.map_err(|wait| Refused::too_many(wait, "too many requests of one client"))
}

fn allowed(identity: &Identity, rule: Rule) -> Result<(), Refused> {
    if let Need::Role(role) = rule.need
        && !identity.roles().has(role)
    {
        let message = format!("this needs the role {:?}", role.name());
        return Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    if rule.under == Under::Refused && !identity.scope().is_everything() {
        let message = "this can't be narrowed to a label scope; it needs a login without one";
        return Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    Ok(())
}

/// Whether a browser says that a page of another site asks. Other programs say nothing.
fn is_cross_site(headers: &HeaderMap, uri: &Uri, own_host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return false };
    let from = origin.split_once("://").map_or("?", |(_, host)| host);
    let asked = uri.authority().map(axum::http::uri::Authority::as_str).or_else(|| text("host"));
    asked != Some(from) && (own_host.is_empty() || own_host != from)
}

/// Why a request is refused.
struct Refused {
    code: StatusCode,
    kind: &'static str,
    message: String,
    wait: Option<Duration>,
}

impl Refused {
    fn new(code: StatusCode, kind: &'static str, message: impl Into<String>) -> Refused {
        Refused { code, kind, message: message.into(), wait: None }
    }

    fn too_many(wait: Duration, what: &str) -> Refused {
        let code = StatusCode::TOO_MANY_REQUESTS;
        Refused { wait: Some(wait), ..Refused::new(code, "too_many_requests", what) }
    }

    fn login(refusal: Refusal) -> Refused {
        let unknown =
            |message: &str| Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        match refusal {
            Refusal::Missing => unknown("log in: send a password or a token"),
            Refusal::Wrong => unknown("the login is wrong"),
            Refusal::Wait(wait) => Refused::too_many(wait, "too many wrong passwords from here"),
            Refusal::Busy => {
                let wait = Some(Duration::from_secs(1));
                let message = "too many logins at once";
                let code = StatusCode::SERVICE_UNAVAILABLE;
                Refused { wait, ..Refused::new(code, "unavailable", message) }
            }
        }
    }

    fn respond(self, rules: &Rulebook, path: &str) -> Response {
        let mut response = if path.contains("/api/") {
            ApiError::new(self.code, self.kind, self.message).into_response()
        } else {
            (self.code, format!("{}\n", self.message)).into_response()
        };
        let headers = response.headers_mut();
        if self.code == StatusCode::UNAUTHORIZED {
            if rules.has_users() {
                let ask = HeaderValue::from_static("Basic realm=\"Belfry\", charset=\"UTF-8\"");
                headers.append(header::WWW_AUTHENTICATE, ask);
            }
            let ask = HeaderValue::from_static("Bearer realm=\"Belfry\"");
            headers.append(header::WWW_AUTHENTICATE, ask);
        }
        if let Some(wait) = self.wait {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_from_our_own() {
        for (headers, expected) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://a:1"), ("host", "a:1")], true),
            (&[("origin", "http://a:1"), ("host", "a:1")], false),
            (&[("origin", "http://a:2"), ("host", "a:1")], true),
            (&[("origin", "https://outside.example"), ("host", "a:1")], false),
            (&[("origin", "null"), ("host", "a:1")], true),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            let uri = Uri::from_static("/x");
            assert_eq!(is_cross_site(&map, &uri, "outside.example"), expected, "{headers:?}");
        }
    }

    #[test]
    fn roles_and_scopes() {
        use crate::access::{Role, Roles, Scope};
        let rule = |need, under| Rule { need, under };
        let read = rule(Need::Role(Role::Read), Under::Narrowed);
        let whole = rule(Need::Role(Role::Read), Under::Refused);
        let scope = Scope::parse("{team=\"a\"}").expect("a scope");
        let reader = Identity::new("r", Roles::of(&[Role::Read]), Scope::everything());
        let scoped = Identity::new("s", Roles::of(&[Role::Read]), scope);
        assert!(allowed(&reader, read).is_ok() && allowed(&reader, whole).is_ok());
        assert!(allowed(&scoped, read).is_ok() && allowed(&scoped, whole).is_err());
        assert!(allowed(&scoped, Rule::NO_ROUTE).is_ok());
        assert!(allowed(&Identity::nobody(), read).is_err());
        assert!(allowed(&reader, Rule::UNDESCRIBED).is_err());
    }
}
