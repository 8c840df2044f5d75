//! Replies of Redis, protocol version 2.
//!
//! Place in the flow: bytes of the connection → **[`Value`]** → `client`.
//!
//! Invariant: a reply is read whole or not at all; a length beyond the limits is an error before
//! anything is reserved for it.
//!
//! Not here: the connection, the meaning of replies.

/// Deepest nesting of a reply; SLOWLOG needs three.
const DEPTH_MAX: usize = 8;
/// Most elements of one list.
const ELEMENTS_MAX: usize = 65_536;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, simple or bulk.
    Text(String),
    /// A refusal.
    Error(String),
    /// A number.
    Number(i64),
    /// A list.
    List(Vec<Value>),
    /// Nothing.
    Null,
}

/// Reads one reply from the front. `Ok(None)` when more bytes are needed, else the reply and how
/// many bytes it took.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
    let mut rest = bytes;
    let value = parse_value(&mut rest, 0)?;
    Ok(value.map(|value| (value, bytes.len() - rest.len())))
}

fn parse_value(rest: &mut &[u8], depth: usize) -> Result<Option<Value>, String> {
    if depth > DEPTH_MAX {
        return Err("the reply is nested too deeply".to_owned());
    }
    let Some(line) = take_line(rest) else { return Ok(None) };
    let (Some(kind), text) = (line.first(), String::from_utf8_lossy(line.get(1..).unwrap_or(&[])))
    else {
        return Err("the reply has an empty line".to_owned());
    };
    match kind {
        b'+' => Ok(Some(Value::Text(text.into_owned()))),
        b'-' => Ok(Some(Value::Error(text.into_owned()))),
        b':' => Ok(Some(Value::Number(number(&text)?))),
        b'$' => take_bulk(rest, number(&text)?),
        b'*' => take_list(rest, number(&text)?, depth),
        _ => Err("this is not the Redis protocol".to_owned()),
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("the reply has {text:?} where a number belongs"))
}

/// Takes a line up to CRLF; `None` when it is not there yet.
fn take_line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

fn take_bulk(rest: &mut &[u8], length: i64) -> Result<Option<Value>, String> {
    let Ok(length) = usize::try_from(length) else { return Ok(Some(Value::Null)) };
    if length > super::client::REPLY_BYTES_MAX {
        return Err(format!("the reply announces {length} bytes, which is too much"));
    }
    if rest.len() < length + 2 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&rest[..length]).into_owned();
    *rest = &rest[length + 2..];
    Ok(Some(Value::Text(text)))
}

fn take_list(rest: &mut &[u8], length: i64, depth: usize) -> Result<Option<Value>, String> {
    let Ok(length) = usize::try_from(length) else { return Ok(Some(Value::Null)) };
    if length > ELEMENTS_MAX {
        return Err(format!("the reply announces {length} elements, which is too much"));
    }
    let mut list = Vec::new();
    for _ in 0..length {
        match parse_value(rest, depth + 1)? {
            Some(value) => list.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(Value::List(list)))
}

/// A command as the protocol wants it.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}
