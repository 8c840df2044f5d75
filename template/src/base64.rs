//! Base64 with the URL-safe alphabet and padding, as Alertmanager's templates have it.
//!
//! Place in the flow: `alertmanager` → **`base64`**.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place > chunk.len() {
                out.push('=');
                continue;
            }
            let index = (group >> (18 - 6 * place)) & 63;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
    out
}

pub(crate) fn decode(text: &str) -> Result<String, String> {
    let illegal = |at: usize| format!("illegal base64 data at input byte {at}");
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return Err(illegal(text.len()));
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut bits) = (0_u32, 0);
    for (index, byte) in digits.bytes().enumerate() {
        let value = ALPHABET.iter().position(|own| *own == byte).ok_or_else(|| illegal(index))?;
        group = (group << 6 | u32::try_from(value).unwrap_or(0)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((group >> bits) & 255).unwrap_or(0));
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
