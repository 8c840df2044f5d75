//! A catalogue of names: TLS versions, cipher suites and curves as upstream writes them, durations too.
//!
//! Place in the flow: `config` looks each name up here, `tls` finds ours by the same name.

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0, which is not spoken.
    Tls10,
    /// 1.1, which is not spoken.
    Tls11,
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl Version {
    /// The version of a name.
    pub fn parse(name: &str) -> Option<Version> {
        match name {
            "TLS10" => Some(Version::Tls10),
            "TLS11" => Some(Version::Tls11),
            "TLS12" => Some(Version::Tls12),
            "TLS13" => Some(Version::Tls13),
            _ => None,
        }
    }
}

/// What a known name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Something we have.
    Ours(&'static str),
    /// Something we have and that can't be switched off (suites of TLS 1.3).
    Always(&'static str),
    /// Something we don't have.
    Foreign(&'static str),
}

const SUITES: [Named; 17] = [
    Named::Always("TLS_AES_128_GCM_SHA256"),
    Named::Always("TLS_AES_256_GCM_SHA384"),
    Named::Always("TLS_CHACHA20_POLY1305_SHA256"),
    Named::Ours("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    Named::Ours("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    Named::Ours("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    Named::Ours("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    Named::Ours("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    Named::Ours("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    Named::Foreign("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    Named::Foreign("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    Named::Foreign("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    Named::Foreign("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    Named::Foreign("TLS_RSA_WITH_AES_128_CBC_SHA"),
    Named::Foreign("TLS_RSA_WITH_AES_256_CBC_SHA"),
    Named::Foreign("TLS_RSA_WITH_AES_128_GCM_SHA256"),
    Named::Foreign("TLS_RSA_WITH_AES_256_GCM_SHA384"),
];

const CURVES: [Named; 5] = [
    Named::Ours("X25519"),
    Named::Ours("CurveP256"),
    Named::Ours("CurveP384"),
    Named::Foreign("CurveP521"),
    Named::Foreign("X25519MLKEM768"),
];

fn find(all: &[Named], name: &str) -> Option<Named> {
    let is_it = |named: &&Named| match named {
        Named::Ours(own) | Named::Always(own) | Named::Foreign(own) => *own == name,
    };
    all.iter().find(is_it).copied()
}

/// A cipher suite by its name.
pub fn suite(name: &str) -> Option<Named> {
    find(&SUITES, name)
}

/// A curve by its name.
pub fn curve(name: &str) -> Option<Named> {
    find(&CURVES, name)
}

/// Seconds of a duration as Go writes it: `100ms`, `1.5s`, `1h30m`.
pub fn go_duration_s(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3)];
        let long = [("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
        let mut known = units.iter().chain(&long);
        let (unit, factor) = known.find(|(unit, _)| rest.starts_with(unit))?;
        seconds += number * factor;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("100ms", Some(0.1)), ("1h30m", Some(5400.0)), ("1.5s", Some(1.5)), ("5", None)]
        {
            assert_eq!(go_duration_s(text), seconds, "{text}");
        }
        assert!(["", "s", "1x", "1.2.3s"].into_iter().all(|text| go_duration_s(text).is_none()));
    }
}
