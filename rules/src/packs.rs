//! Rule files that come with Belfry: a catalogue.
//!
//! Place in the flow: belfry asks for **`all`** and reads each like a file of the operator's.
//!
//! Not here: which packs are switched on (belfry).

/// Name and text of each pack.
pub fn all() -> &'static [(&'static str, &'static str)] {
    &[
        ("host", include_str!("packs/host.yml")),
        ("postgres", include_str!("packs/postgres.yml")),
        ("redis", include_str!("packs/redis.yml")),
        ("haproxy", include_str!("packs/haproxy.yml")),
        ("belfry", include_str!("packs/belfry.yml")),
    ]
}
