//! Certificates as far as access needs to read them: the alternative names of a client's, the end of
//! our own.
//!
//! Place in the flow: `tls` has a certificate in DER form → **here** → names, an instant.
//!
//! Whoever connects may send anything: each read is bounded by the bytes at hand, nothing recurses.
//!
//! Not here: signatures and chains, which the TLS library verifies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The object identifier of alternative names.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// One value: its tag, its content, and what follows.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut size = usize::from(first & 0x7f);
    if first & 0x80 != 0 {
        let digits = usize::from(first & 0x7f);
        if digits == 0 || digits > 4 || rest.len() < digits {
            return None;
        }
        size = rest[..digits].iter().fold(0, |size, digit| size << 8 | usize::from(*digit));
        rest = &rest[digits..];
    }
    (rest.len() >= size).then(|| (tag, &rest[..size], &rest[size..]))
}

/// The content of a value of this kind, and what follows.
fn expect(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// What a certificate says, from its validity on.
fn from_validity(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut body, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(body, VERSION) {
        body = rest;
    }
    // Serial number, algorithm of the signature, issuer.
    for _ in 0..3 {
        body = element(body)?.2;
    }
    expect(body, SEQUENCE)
}

/// The end of a certificate, milliseconds since the epoch.
pub fn ends_at_ms(certificate: &[u8]) -> Option<i64> {
    let (validity, _) = from_validity(certificate)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?;
    let full = match tag {
        // Two digits of the year: those up to 49 are of this century.
        UTC_TIME if text.len() >= 2 && text.is_char_boundary(2) => {
            let century = if text[..2].parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", full).ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// The alternative names of a certificate: hosts, mail addresses, addresses, URIs.
pub fn alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, mut body) = from_validity(certificate)?;
    let mut names = Vec::new();
    while let Some((tag, content, rest)) = element(body) {
        body = rest;
        if tag != EXTENSIONS {
            continue;
        }
        let (mut extensions, _) = expect(content, SEQUENCE)?;
        while let Some((extension, rest)) = expect(extensions, SEQUENCE) {
            extensions = rest;
            let (identifier, mut value) = expect(extension, OBJECT_IDENTIFIER)?;
            if identifier != SUBJECT_ALT_NAME {
                continue;
            }
            if expect(value, OCTET_STRING).is_none() {
                value = element(value)?.2; // Whether it is critical.
            }
            let (value, _) = expect(value, OCTET_STRING)?;
            let (mut list, _) = expect(value, SEQUENCE)?;
            while let Some((kind, content, rest)) = element(list) {
                list = rest;
                names.extend(name(kind, content));
            }
        }
    }
    Some(names)
}

fn name(kind: u8, content: &[u8]) -> Option<String> {
    match kind {
        // Mail address, host, URI.
        0x81 | 0x82 | 0x86 => std::str::from_utf8(content).ok().map(str::to_owned),
        0x87 => {
            let address = match content.len() {
                4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?)),
                16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?)),
                _ => return None,
            };
            Some(address.to_canonical().to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn certificate() -> Vec<u8> {
        let text = include_bytes!("../../../tests/data/tls/test-only-server.pem");
        CertificateDer::from_pem_slice(text).expect("a certificate").to_vec()
    }

    #[test]
    fn names_and_end() {
        let own = certificate();
        assert_eq!(alternative_names(&own), Some(vec!["localhost".into(), "127.0.0.1".into()]));
        let end: jiff::Timestamp = "2126-10-28T10:42:49Z".parse().expect("a time");
        assert_eq!(ends_at_ms(&own), Some(end.as_millisecond()));
    }

    #[test]
    fn every_kind_of_name() {
        let long = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        for (kind, content, expected) in [
            (0x81, &b"a@b.example"[..], Some("a@b.example")),
            (0x82, b"host.example", Some("host.example")),
            (0x86, b"spiffe://x/y", Some("spiffe://x/y")),
            (0x87, &[10, 0, 0, 1], Some("10.0.0.1")),
            (0x87, &long, Some("2001:db8::1")),
            (0x87, &[10, 0, 0], None),
            (0x84, b"a directory", None),
            (0x82, &[0xff], None),
        ] {
            assert_eq!(name(kind, content).as_deref(), expected, "{kind:x}");
        }
    }

    #[test]
    fn whatever_is_sent_ends_well() {
        let own = certificate();
        for end in 0..own.len() {
            let _ = (alternative_names(&own[..end]), ends_at_ms(&own[..end]));
        }
        for at in 0..own.len() {
            for bit in 0..8 {
                let mut broken = own.clone();
                broken[at] ^= 1 << bit;
                let _ = (alternative_names(&broken), ends_at_ms(&broken));
            }
        }
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
        assert_eq!(element(&[0x30, 0x80]), None, "without an end");
    }
}
