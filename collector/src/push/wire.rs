//! Messages written by hand, for tests.

/// A number.
pub(super) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field of bytes.
pub(super) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field with a number.
pub(super) fn number(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value as u64)].concat()
}

/// A field with a number in zigzag form.
pub(super) fn signed(field: u64, value: i64) -> Vec<u8> {
    number(field, (value << 1) ^ (value >> 63))
}

/// A field with a double.
pub(super) fn double(number: u64, value: f64) -> Vec<u8> {
    [varint(number << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

/// A label of 1.0.
pub(super) fn label(name: &str, value: &str) -> Vec<u8> {
    field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

/// A sample of a series.
pub(super) fn sample(value: f64, at: i64) -> Vec<u8> {
    field(2, &[double(1, value), number(2, at)].concat())
}

/// Packed signed numbers.
pub(super) fn deltas(field_number: u64, values: &[i64]) -> Vec<u8> {
    let packed = values.iter().flat_map(|value| varint(((value << 1) ^ (value >> 63)) as u64));
    field(field_number, &packed.collect::<Vec<u8>>())
}

/// Packed doubles.
pub(super) fn packed_doubles(field_number: u64, values: &[f64]) -> Vec<u8> {
    field(field_number, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// A span of buckets.
pub(super) fn span(field_number: u64, offset: i64, length: i64) -> Vec<u8> {
    field(field_number, &[signed(1, offset), number(2, length)].concat())
}

/// A message of 1.0: series after series, each as the parts given.
pub(super) fn message(series: &[Vec<Vec<u8>>]) -> Vec<u8> {
    series.iter().flat_map(|parts| field(1, &parts.concat())).collect()
}

/// References of 2.0, packed.
pub(super) fn refs(numbers: &[u64]) -> Vec<u8> {
    field(1, &numbers.iter().flat_map(|number| varint(*number)).collect::<Vec<u8>>())
}

/// A message of 2.0: symbols, then series.
pub(super) fn message_v2(symbols: &[&str], series: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let symbols = symbols.iter().flat_map(|symbol| field(4, symbol.as_bytes()));
    symbols.chain(series.iter().flat_map(|parts| field(5, &parts.concat()))).collect()
}

/// Packed with snappy.
pub(super) fn packed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("packs")
}
