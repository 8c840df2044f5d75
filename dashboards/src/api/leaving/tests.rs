//! Pieces of a packed answer are one stream that every reader of gzip takes.

use std::io::Read;

use flate2::read::GzDecoder;
use model::{Labels, TimestampMs};
use query::{Answer, MatrixSeries, Value};

use super::*;

fn accepts(texts: &[&'static str]) -> Packing {
    let mut headers = HeaderMap::new();
    for text in texts {
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
    }
    Packing::of(&headers)
}

#[test]
fn what_clients_take() {
    for (texts, expected) in [
        (&[][..], Packing::Plain),
        (&["gzip"], Packing::Gzip),
        (&["GZIP, deflate, br"], Packing::Gzip),
        (&["deflate", "x-gzip;q=0.5"], Packing::Gzip),
        (&["br;q=1.0, gzip;q=0.8, *;q=0.1"], Packing::Gzip),
        (&["gzip;q=0"], Packing::Plain),
        (&["gzip; q=0.000"], Packing::Plain),
        (&["gzip;q=x"], Packing::Plain),
        (&["gzip;q=0.5, identity"], Packing::Plain),
        (&["identity;q=0.5, gzip"], Packing::Gzip),
        (&["identity, deflate"], Packing::Plain),
        (&["gzipped"], Packing::Plain),
    ] {
        assert_eq!(accepts(texts), expected, "{texts:?}");
    }
}

/// Series of so many points each, with instants of their own now and then.
fn pieces(series: &[usize]) -> Pieces {
    let mut seed = 1_u64;
    let mut value = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        f64::from((seed >> 40) as u32) / 7.0
    };
    let series = series.iter().enumerate().map(|(number, points)| MatrixSeries {
        labels: Labels::from_pairs([("i", number.to_string())]),
        points: (0..*points)
            .map(|at| (TimestampMs(at as i64 * 1500 + number as i64 % 3 / 2), value()))
            .collect(),
        histograms: Vec::new(),
    });
    let answer = Answer {
        value: Value::Matrix(series.collect()),
        warnings: vec!["a warning".to_owned()],
        infos: Vec::new(),
        stats: query::Stats::default(),
        held: query::Held::default(),
    };
    Pieces::new(answer, Some("{}".to_owned()))
}

async fn body(pieces: Pieces, packing: Packing) -> Vec<u8> {
    let body = response(pieces, packing).into_body();
    axum::body::to_bytes(body, usize::MAX).await.expect("a whole body").to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_or_not_it_is_the_same() {
    for series in [&[][..], &[0], &[1], &[5000; 7], &[200_000], &[20_000, 1, 9000, 4681, 4682]] {
        let whole = pieces(series).join();
        assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{series:?}");
        assert_eq!(body(pieces(series), Packing::Plain).await, whole, "{series:?}");
        let packed = body(pieces(series), Packing::Gzip).await;
        // One member: what reads no further than the first has it all.
        let mut unpacked = Vec::new();
        let mut decoder = GzDecoder::new(&packed[..]);
        decoder.read_to_end(&mut unpacked).expect("a gzip stream with its checksum");
        assert_eq!(unpacked, whole, "{series:?}");
        assert!(decoder.into_inner().is_empty(), "nothing stands behind it");
    }
}

#[test]
fn what_does_not_shrink_is_packed_too() {
    let mut seed = 1_u64;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    });
    let noise: Vec<u8> = noise.take(300_000).collect();
    for length in [0, 1, 100, 65_535, 300_000] {
        let packed = pack(&noise[..length]);
        let mut plain = Vec::new();
        let mut stream = packed.bytes;
        stream.extend_from_slice(&LAST_BLOCK);
        flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut plain).expect("unpacks");
        assert_eq!(plain, noise[..length]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_work() {
    let mut all = Box::pin(gzip(pieces(&[9000; 400])));
    for _ in 0..3 {
        all.next().await.expect("a piece").expect("written");
    }
    drop(all);
}
