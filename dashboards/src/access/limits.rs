//! Limits of connections and requests, with their defaults.
//!
//! Place in the flow: belfry.yml `web.limits` → **`Limits`** → serving and `door`.

use std::time::Duration;

use model::fields::Fields;

use crate::access::buckets::Rate;

/// Smallest room for headers: the HTTP library needs as much.
const HEADER_BYTES_MIN: u64 = 8192;

/// What one client, and all together, may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Open connections; more wait to be accepted.
    pub connections_max: usize,
    /// How long the headers of a request, and the wait for the next one, may take.
    pub header_timeout: Duration,
    /// All headers of a request.
    pub header_bytes_max: usize,
    /// How long the next piece of a body may take.
    pub body_timeout: Duration,
    /// Requests of one user, or of one address where nobody logs in.
    pub rate: Rate,
    /// Wrong passwords from one address for one user that cost nothing; 0: none ever does.
    pub failed_logins: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 2048,
            header_timeout: Duration::from_secs(60),
            header_bytes_max: 128 * 1024,
            body_timeout: Duration::from_secs(60),
            rate: Rate { per_second: 10_000.0, burst: 20_000.0 },
            failed_logins: 10,
        }
    }
}

/// Reads the section `limits`.
pub(super) fn read(mut fields: Fields<'_>) -> Limits {
    let mut limits = Limits::default();
    let at_least_one = |fields: &mut Fields<'_>, key: &'static str| {
        let number = fields.unsigned(key)?;
        if number == 0 {
            fields.problem(key, "needs at least 1");
        }
        Some(usize::try_from(number).unwrap_or(usize::MAX))
    };
    let time = |fields: &mut Fields<'_>, key: &'static str| {
        let ms = fields.duration_ms(key)?;
        if ms == 0 {
            fields.problem(key, "needs more than 0");
        }
        Some(Duration::from_millis(ms))
    };
    if let Some(number) = at_least_one(&mut fields, "connections_max") {
        limits.connections_max = number.min(tokio::sync::Semaphore::MAX_PERMITS);
    }
    limits.header_timeout = time(&mut fields, "header_timeout").unwrap_or(limits.header_timeout);
    limits.body_timeout = time(&mut fields, "body_timeout").unwrap_or(limits.body_timeout);
    if let Some(bytes) = fields.bytes("header_size_max") {
        if bytes < HEADER_BYTES_MIN {
            fields.problem("header_size_max", format!("needs at least {HEADER_BYTES_MIN} bytes"));
        }
        limits.header_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX).min(1 << 24);
    }
    if let Some(number) = fields.unsigned("requests_per_second") {
        limits.rate.per_second = number as f64;
        limits.rate.burst = 2.0 * number as f64;
    }
    if let Some(number) = at_least_one(&mut fields, "requests_burst") {
        limits.rate.burst = number as f64;
    }
    if let Some(number) = fields.unsigned("failed_logins") {
        limits.failed_logins = u32::try_from(number).unwrap_or(u32::MAX);
    }
    fields.finish();
    limits
}
