//! Parameters from the URL and the form body, merged; times, durations, limits.
//!
//! Place in the flow: the first step of each handler. Grafana sends a form body *and* URL
//! parameters in one POST, so both are read, the body first, repeated keys kept.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use model::time::{TimeRange, TimestampMs};
use model::{Clock, Matcher};

use crate::access::{Identity, Scope};
use crate::api::envelope::ApiError;
use crate::api::leaving::Packing;

/// All parameters of a request, where it says that it comes from, who asks, and how the answer may
/// be packed.
#[derive(Debug)]
pub struct Params {
    pairs: Vec<(String, String)>,
    origin: String,
    identity: Identity,
    packing: Packing,
}

/// Longest origin kept.
const ORIGIN_CHARS_MAX: usize = 300;

/// What Grafana tells of the panel or rule behind a request. Only for lists and logs: anybody may
/// send these headers.
fn origin(headers: &HeaderMap) -> String {
    let is_told = |name: &str| {
        ["x-dashboard-", "x-panel-", "x-rule-"].iter().any(|start| name.starts_with(start))
            || name == "x-grafana-user"
            || name == "fromalert"
    };
    let mut told: Vec<String> = headers
        .iter()
        .filter(|(name, _)| is_told(name.as_str()))
        .filter_map(|(name, value)| Some(format!("{}={}", name.as_str(), value.to_str().ok()?)))
        .collect();
    told.sort();
    told.join(" ").chars().take(ORIGIN_CHARS_MAX).collect()
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Params, ApiError> {
        let url_query = request.uri().query().unwrap_or("").to_owned();
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let origin = origin(request.headers());
        let packing = Packing::of(request.headers());
        let identity = request.extensions().get::<Identity>().cloned();
        // Only routes outside of the door have no caller; none of them reads parameters.
        let identity = identity.unwrap_or_else(Identity::nobody);
        let mut pairs = Vec::new();
        if is_form {
            let body = axum::body::Bytes::from_request(request, state)
                .await
                .map_err(|error| ApiError::body(&error))?;
            pairs.extend(url::form_urlencoded::parse(&body).into_owned());
        }
        pairs.extend(url::form_urlencoded::parse(url_query.as_bytes()).into_owned());
        Ok(Params { pairs, origin, identity, packing })
    }
}

impl Params {
    /// What the caller says of itself; empty when it says nothing.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How the answer may be packed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Which series the caller may see.
    pub fn scope(&self) -> &Scope {
        self.identity.scope()
    }

    /// The first value of a name; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a name, or the error that it is missing.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::bad_parameter(name, "is missing or empty"))
    }

    /// All values of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name, written with and without brackets, each once.
    pub fn both(&self, name: &str) -> Vec<String> {
        let bracketed = format!("{name}[]");
        let mut values: Vec<String> = Vec::new();
        for (_, value) in self.pairs.iter().filter(|(own, _)| *own == name || *own == bracketed) {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        values
    }

    /// A point in time; `None` when absent.
    pub fn time(&self, name: &str) -> Result<Option<TimestampMs>, ApiError> {
        self.get(name).map(|text| parse_time(name, text)).transpose()
    }

    /// A duration in milliseconds; `None` when absent.
    pub fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|text| parse_duration(name, text)).transpose()
    }

    /// How many results at most; zero or absent means all.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(usize::MAX) };
        let limit: usize = text.parse().map_err(|_| {
            ApiError::bad_parameter("limit", format!("cannot parse \"{text}\" to a limit"))
        })?;
        Ok(if limit == 0 { usize::MAX } else { limit })
    }

    /// What upstream takes for a boolean; `None` when absent.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some(text) => {
                Err(ApiError::bad_parameter(name, format!("cannot parse \"{text}\" to a boolean")))
            }
        }
    }

    /// `start` and `end`, both inside; absent ends mean everything.
    pub fn range(&self) -> Result<TimeRange, ApiError> {
        let start = self.time("start")?.unwrap_or(TimestampMs::MIN);
        let end = self.time("end")?.unwrap_or(TimestampMs::MAX);
        TimeRange::closed(start, end).ok_or_else(|| {
            ApiError::bad_parameter("end", "end timestamp must not be before start time")
        })
    }

    /// The selectors under `match[]`, each a list of matchers, narrowed to what the caller may see.
    pub fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let narrow = |selector: Vec<Matcher>| self.scope().narrow(selector);
        self.all("match[]").map(|text| parse_selector("match[]", text).map(narrow)).collect()
    }

    /// The selectors as they were written, for what is no series.
    pub fn written_selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]").map(|text| parse_selector("match[]", text)).collect()
    }

    /// The narrowed ones; without any, the one of everything that the caller may see.
    pub fn selectors_or_all(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let selectors = self.selectors()?;
        Ok(if selectors.is_empty() { vec![self.scope().narrow(Vec::new())] } else { selectors })
    }

    /// `time`, or now.
    pub fn time_or_now(&self, clock: &dyn Clock) -> Result<TimestampMs, ApiError> {
        Ok(self.time("time")?.unwrap_or_else(|| clock.now()))
    }
}

/// A bare selector under a name.
pub fn parse_selector(name: &str, text: &str) -> Result<Vec<Matcher>, ApiError> {
    promql::parse_selector(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| problem.render(text)).collect();
        ApiError::bad_parameter(name, lines.join("; "))
    })
}

/// Decimal seconds since the epoch, or RFC 3339.
fn parse_time(name: &str, text: &str) -> Result<TimestampMs, ApiError> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return ms_from_seconds(seconds).map(TimestampMs).ok_or_else(|| time_error(name, text));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => Ok(TimestampMs(at.as_millisecond())),
        // What upstream's clients send for "the beginning" and "the end of time".
        Err(_) if text == "-292273086-05-16T16:47:06Z" => Ok(TimestampMs::MIN),
        // A plus in a URL is a space, unless it is escaped.
        Err(_) if text.trim_start_matches(['+', ' ']) == "292277025-08-18T07:12:54.999999999Z" => {
            Ok(TimestampMs::MAX)
        }
        Err(_) => Err(time_error(name, text)),
    }
}

fn time_error(name: &str, text: &str) -> ApiError {
    ApiError::bad_parameter(name, format!("cannot parse \"{text}\" to a valid timestamp"))
}

fn parse_duration(name: &str, text: &str) -> Result<i64, ApiError> {
    let error =
        || ApiError::bad_parameter(name, format!("cannot parse \"{text}\" to a valid duration"));
    if let Ok(seconds) = text.parse::<f64>() {
        return ms_from_seconds(seconds).ok_or_else(error);
    }
    let ms = model::duration::parse_duration_ms(text).ok_or_else(error)?;
    i64::try_from(ms).map_err(|_| error())
}

fn ms_from_seconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    // The field's clients send the ends of their own time; the cast stops at the ends of ours.
    (ms.is_finite() && ms.abs() < 9.3e18).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("1.5", Some(1500)),
            ("1435781451.781", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.7819Z", Some(1_435_781_451_781)),
            ("-292273086-05-16T16:47:06Z", Some(i64::MIN)),
            ("292277025-08-18T07:12:54.999999999Z", Some(i64::MAX)),
            ("+292277025-08-18T07:12:54.999999999Z", Some(i64::MAX)),
            (" 292277025-08-18T07:12:54.999999999Z", Some(i64::MAX)),
            ("1e12", Some(1_000_000_000_000_000)),
            ("-9e15", Some(-9_000_000_000_000_000_000)),
            ("-9223309901257974", Some(-9_223_309_901_257_973_760)),
            ("9223372036854775.807", Some(i64::MAX)),
            ("1e300", None),
            ("abc", None),
            ("NaN", None),
            ("Inf", None),
        ] {
            let got = parse_time("time", text).ok().map(|at| at.0);
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in
            [("15", Some(15_000)), ("0.5", Some(500)), ("5m", Some(300_000)), ("x", None)]
        {
            assert_eq!(parse_duration("step", text).ok(), expected, "{text}");
        }
    }
}
