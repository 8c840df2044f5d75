//! Reads an expression as Go does, and writes it in the dialect of the library.
//!
//! Place in the flow: text → **`Parser`** → the same expression for the library, or Go's error.
//!
//! Invariants: what it writes is never read in another way by the library than Go reads the text;
//! flags are written in full before the first item that they are for.
//!
//! Not here: escapes and classes (`class`).

use super::Error;
use super::class::{self, Piece};

/// `(?imsU)`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags {
    pub any_case: bool,
    pub multi_line: bool,
    pub dot_all: bool,
    pub swap_greed: bool,
}

impl Flags {
    /// All of them, those that are off behind a minus.
    fn text(self) -> String {
        let all = [
            (self.any_case, 'i'),
            (self.multi_line, 'm'),
            (self.dot_all, 's'),
            (self.swap_greed, 'U'),
        ];
        let mut text: String = all.iter().filter(|own| own.0).map(|own| own.1).collect();
        if text.len() < all.len() {
            text.push('-');
            text.extend(all.iter().filter(|own| !own.0).map(|own| own.1));
        }
        text
    }
}

/// An expression for the library, and the names of its groups.
pub(super) struct Translated {
    pub text: String,
    pub names: Vec<Option<String>>,
}

/// What a repetition would repeat.
#[derive(Debug, Clone, Copy)]
struct Item {
    start_byte: usize, // Where it begins in what was written.
    weight: u32,
    is_repetition: bool,
}

/// A group that is open, and how it was outside of it.
struct Group {
    flags: Flags,
    written: Flags,
    start_byte: usize,
    weight: u32,
}

/// How often something may be repeated, in all repetitions around it.
const WEIGHT_MAX: u32 = 1000;

/// Reads one expression.
pub(super) struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    flags: Flags,
    written: Flags, // The flags as the library has them after `out`.
    groups: Vec<Group>,
    item: Option<Item>,
    weight: u32,               // Of what was read so far of the innermost group.
    repeated: Option<&'a str>, // From the repetition on that was read last, if one was.
    names: Vec<Option<String>>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(whole: &'a str, flags: Flags) -> Parser<'a> {
        Parser {
            whole,
            rest: whole,
            out: String::with_capacity(whole.len() + 8),
            flags,
            written: flags,
            groups: Vec::new(),
            item: None,
            weight: 1,
            repeated: None,
            names: Vec::new(),
        }
    }

    pub(super) fn read(mut self) -> Result<Translated, Error> {
        while let Some(next) = self.rest.chars().next() {
            let repeated = self.repeated.take();
            match next {
                '(' if self.rest.starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.rest = &self.rest[1..];
                    self.open(None)?;
                }
                ')' => self.close()?,
                '|' => {
                    self.rest = &self.rest[1..];
                    self.out.push('|');
                    self.item = None;
                }
                '*' | '+' | '?' => self.repeat(1, None, repeated)?,
                '{' => match counts(self.rest) {
                    Some((counts, length_bytes)) => {
                        self.repeat(length_bytes, Some(counts), repeated)?;
                    }
                    None => self.plain(next),
                },
                '[' => {
                    let (class, rest) = class::bracketed(self.rest)?;
                    self.rest = rest;
                    self.push(&class, 1);
                }
                '\\' => self.escape()?,
                '^' | '$' | '.' => {
                    self.rest = &self.rest[1..];
                    self.push(next.encode_utf8(&mut [0; 4]), 1);
                }
                _ => self.plain(next),
            }
        }
        if !self.groups.is_empty() {
            return Err(Error::new("missing closing )", self.whole));
        }
        Ok(Translated { text: self.out, names: self.names })
    }

    /// Writes an item, with its flags if they are new.
    fn push(&mut self, text: &str, weight: u32) {
        self.write_flags();
        self.item = Some(Item { start_byte: self.out.len(), weight, is_repetition: false });
        self.out.push_str(text);
    }

    fn write_flags(&mut self) {
        if self.flags != self.written {
            self.out.push_str(&format!("(?{})", self.flags.text()));
            self.written = self.flags;
        }
    }

    /// The next character as itself.
    fn plain(&mut self, found: char) {
        self.rest = &self.rest[found.len_utf8()..];
        self.push(&class::literal(u32::from(found)), 1);
    }

    fn open(&mut self, name: Option<String>) -> Result<(), Error> {
        self.write_flags();
        self.begin_group("(")?;
        self.names.push(name);
        Ok(())
    }

    fn begin_group(&mut self, sign: &str) -> Result<(), Error> {
        self.groups.push(Group {
            flags: self.flags,
            written: self.written,
            start_byte: self.out.len(),
            weight: self.weight,
        });
        if self.groups.len() >= super::DEPTH_MAX as usize {
            return Err(Error::new("expression nests too deeply", self.whole));
        }
        self.out.push_str(sign);
        (self.item, self.weight) = (None, 1);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(group) = self.groups.pop() else {
            return Err(Error::new("unexpected )", self.whole));
        };
        self.rest = &self.rest[1..];
        self.out.push(')');
        (self.flags, self.written) = (group.flags, group.written);
        let (start_byte, weight) = (group.start_byte, self.weight);
        self.item = Some(Item { start_byte, weight, is_repetition: false });
        self.weight = weight.max(group.weight);
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?i)`, `(?i:` and their like.
    fn perl_group(&mut self) -> Result<(), Error> {
        let text = self.rest;
        let with_p = text.len() > 4 && text.starts_with("(?P<");
        let without_p = text.len() > 3 && text.starts_with("(?<");
        if with_p || without_p {
            let Some(end_byte) = text.find('>') else {
                return Err(Error::new("invalid named capture", text));
            };
            let name = &text[if with_p { 4 } else { 3 }..end_byte];
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_part) {
                return Err(Error::new("invalid named capture", &text[..=end_byte]));
            }
            self.rest = &text[end_byte + 1..];
            return self.open(Some(name.to_owned()));
        }
        let (mut flags, mut is_on, mut saw_any) = (self.flags, true, false);
        for (at_byte, found) in text.char_indices().skip(2) {
            let behind_byte = at_byte + found.len_utf8();
            let flag = match found {
                'i' => &mut flags.any_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_all,
                'U' => &mut flags.swap_greed,
                '-' if is_on => {
                    (is_on, saw_any) = (false, false);
                    continue;
                }
                ':' | ')' if is_on || saw_any => {
                    self.rest = &text[behind_byte..];
                    if found == ':' {
                        self.begin_group(&format!("(?{}:", flags.text()))?;
                        self.written = flags;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => {
                    let part = &text[..behind_byte];
                    return Err(Error::new("invalid or unsupported Perl syntax", part));
                }
            };
            *flag = is_on;
            saw_any = true;
        }
        Err(Error::new("invalid or unsupported Perl syntax", text))
    }

    /// A sign of repetition, `{2,3}` with its counts, and the `?` that may follow it.
    fn repeat(
        &mut self,
        sign_bytes: usize,
        counts: Option<Counts>,
        repeated: Option<&'a str>,
    ) -> Result<(), Error> {
        let before = self.rest;
        if counts.is_some_and(|own| !own.is_valid()) {
            return Err(Error::new("invalid repeat count", &before[..sign_bytes]));
        }
        let after = &before[sign_bytes..];
        let after = after.strip_prefix('?').unwrap_or(after);
        let sign = &before[..before.len() - after.len()];
        if let Some(last) = repeated {
            let both = &last[..last.len() - after.len()];
            return Err(Error::new("invalid nested repetition operator", both));
        }
        let Some(item) = self.item else {
            return Err(Error::new("missing argument to repetition operator", sign));
        };
        let weight = counts.map_or(item.weight, |own| own.weight(item.weight));
        if weight > WEIGHT_MAX && counts.is_some_and(Counts::is_many) {
            return Err(Error::new("invalid repeat count", sign));
        }
        if item.is_repetition {
            // Something without a width stood between the two.
            self.out.insert_str(item.start_byte, "(?:");
            self.out.push(')');
        }
        self.out.push_str(sign);
        self.item = Some(Item { weight, is_repetition: true, ..item });
        self.weight = self.weight.max(weight);
        self.repeated = Some(before);
        self.rest = after;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Error> {
        let text = self.rest;
        let outside = match text.as_bytes().get(1) {
            Some(b'A') => "\\A",
            Some(b'z') => "\\z",
            Some(b'b') => "(?-u:\\b)",
            Some(b'B') => "(?-u:\\B)",
            Some(b'C') => return Err(Error::new("invalid escape sequence", "\\C")),
            Some(b'Q') => {
                let (inside, rest) = text[2..].split_once("\\E").unwrap_or((&text[2..], ""));
                self.rest = inside;
                while let Some(found) = self.rest.chars().next() {
                    self.plain(found);
                }
                self.rest = rest;
                return Ok(());
            }
            _ => {
                let (piece, rest) = class::escaped(text)?;
                self.rest = rest;
                match piece {
                    Piece::Set(set) => self.push(&format!("[{set}]"), 1),
                    Piece::Character(found) => self.push(&class::literal(found), 1),
                }
                return Ok(());
            }
        };
        self.rest = &text[2..];
        self.push(outside, 1);
        Ok(())
    }
}

/// The counts of `{n}`, `{n,}` and `{n,m}`; `None` for what is too large to count.
#[derive(Debug, Clone, Copy)]
struct Counts {
    least: Option<u32>,
    most: Most,
}

#[derive(Debug, Clone, Copy)]
enum Most {
    Endless,
    Of(Option<u32>),
}

impl Counts {
    fn is_valid(self) -> bool {
        let fits = |count: Option<u32>| count.filter(|count| *count <= WEIGHT_MAX);
        match (fits(self.least), self.most) {
            (Some(_), Most::Endless) => true,
            (Some(least), Most::Of(most)) => fits(most).is_some_and(|most| least <= most),
            (None, _) => false,
        }
    }

    fn is_many(self) -> bool {
        let most = if let Most::Of(most) = self.most { most } else { None };
        self.least.max(most) >= Some(2)
    }

    /// How often something of a weight is there at most, as far as that is told.
    fn weight(self, inner: u32) -> u32 {
        let count = match self.most {
            Most::Of(Some(0)) => return 1, // Never, whatever it holds.
            Most::Of(most) => most,
            Most::Endless => self.least,
        };
        inner.saturating_mul(count.unwrap_or(1).max(1))
    }
}

/// Reads `{n}`, `{n,}` or `{n,m}` and tells its length; anything else in braces is plain text.
fn counts(text: &str) -> Option<(Counts, usize)> {
    let (inside, _) = text[1..].split_once('}')?;
    let count = |digits: &str| -> Option<Option<u32>> {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_padded = digits.len() > 1 && digits.starts_with('0');
        (is_number && !is_padded).then(|| digits.parse().ok())
    };
    let counts = match inside.split_once(',') {
        None => Counts { least: count(inside)?, most: Most::Of(count(inside)?) },
        Some((least, "")) => Counts { least: count(least)?, most: Most::Endless },
        Some((least, most)) => Counts { least: count(least)?, most: Most::Of(count(most)?) },
    };
    Some((counts, inside.len() + 2))
}
