//! Named time intervals: when a route is quiet, or not.
//!
//! Place in the flow: [`super::parse`] → **here** → the core asks `contains` at each flush.
//!
//! Every field is a list; an empty one means "any"; all fields that are present must hold. Local
//! times are those of the interval's zone.
//!
//! Not here: what muting does (core).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::TimestampMs;
use model::fields::Fields;

/// Intervals under a name.
#[derive(Debug, Clone)]
pub struct NamedInterval {
    /// What routes call it.
    pub name: String,
    /// Inside any of these is inside.
    pub intervals: Vec<TimeInterval>,
}

impl NamedInterval {
    /// Whether an instant lies inside.
    pub fn contains(&self, at: TimestampMs) -> bool {
        self.intervals.iter().any(|interval| interval.contains(at))
    }
}

/// From and to, both inside unless said otherwise.
pub(crate) type Span = (i32, i32);

/// One set of conditions.
#[derive(Debug, Clone)]
pub struct TimeInterval {
    /// Minutes of the day, the end outside.
    pub(crate) times: Vec<Span>,
    /// 0 is Sunday.
    pub(crate) weekdays: Vec<Span>,
    /// From 1, or negative from the month's end.
    pub(crate) days_of_month: Vec<Span>,
    /// From 1.
    pub(crate) months: Vec<Span>,
    pub(crate) years: Vec<Span>,
    pub(crate) zone: TimeZone,
}

impl TimeInterval {
    /// Whether an instant lies inside.
    pub fn contains(&self, at: TimestampMs) -> bool {
        let Ok(instant) = Timestamp::from_millisecond(at.0) else { return false };
        let local = instant.to_zoned(self.zone.clone());
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let any = |spans: &[Span], value: i32| {
            spans.is_empty() || spans.iter().any(|(from, to)| (*from..=*to).contains(&value))
        };
        let days = i32::from(local.days_in_month());
        let in_time = self.times.is_empty()
            || self.times.iter().any(|(from, to)| (*from..*to).contains(&minute));
        in_time
            && any(&self.weekdays, i32::from(local.weekday().to_sunday_zero_offset()))
            && any(&self.months, i32::from(local.month()))
            && any(&self.years, i32::from(local.year()))
            && (self.days_of_month.is_empty()
                || self
                    .days_of_month
                    .iter()
                    .any(|span| in_days(*span, i32::from(local.day()), days)))
    }
}

fn in_days((from, to): Span, day: i32, days: i32) -> bool {
    let resolved = |day: i32| if day < 0 { days + day + 1 } else { day };
    let (from, to) = (resolved(from), resolved(to));
    from <= days && (from.max(1)..=to.min(days)).contains(&day)
}

pub(super) fn read_all(root: &mut Fields<'_>) -> Vec<NamedInterval> {
    let mut all: Vec<NamedInterval> = Vec::new();
    for key in ["time_intervals", "mute_time_intervals"] {
        for (path, node) in root.list(key) {
            let mut fields = Fields::new(node, &path, root.problems());
            let name = fields.required_text("name");
            if !name.is_empty() && all.iter().any(|own| own.name == name) {
                fields.problem("name", format!("time interval {name:?} is defined twice"));
            }
            let mut intervals = Vec::new();
            for (path, node) in fields.list("time_intervals") {
                let mut inner = Fields::new(node, &path, fields.problems());
                intervals.push(read(&mut inner));
                inner.finish();
            }
            fields.finish();
            all.push(NamedInterval { name, intervals });
        }
    }
    all
}

fn read(fields: &mut Fields<'_>) -> TimeInterval {
    let mut times = Vec::new();
    for (path, node) in fields.list("times") {
        let mut inner = Fields::new(node, &path, fields.problems());
        let start = minute_of(&mut inner, "start_time");
        let end = minute_of(&mut inner, "end_time");
        if let (Some(start), Some(end)) = (start, end) {
            if start >= end {
                inner.problem("end_time", "must be after start_time; split at midnight");
            }
            times.push((start, end));
        }
        inner.finish();
    }
    let weekdays = spans(fields, "weekdays", "monday:friday", |text| name_index(text, &WEEKDAYS));
    let days_of_month = spans(fields, "days_of_month", "1:5 or -3:-1", |text| {
        text.parse().ok().filter(|day: &i32| *day != 0 && day.abs() <= 31)
    });
    for (from, to) in &days_of_month {
        if *from < 0 && *to > 0 {
            fields.problem("days_of_month", "an end after a negative start must be negative too");
        }
    }
    let months = spans(fields, "months", "january:march or 1:3", |text| {
        let number = text.parse().ok().filter(|month| (1..=12).contains(month));
        number.or_else(|| name_index(text, &MONTHS).map(|index| index + 1))
    });
    let years = spans(fields, "years", "2030:2032", |text| text.parse().ok().filter(|y| *y >= 0));
    let zone = fields.text("location").map_or(TimeZone::UTC, |name| zone_of(fields, &name));
    TimeInterval { times, weekdays, days_of_month, months, years, zone }
}

fn zone_of(fields: &Fields<'_>, name: &str) -> TimeZone {
    match name {
        "UTC" | "" => TimeZone::UTC,
        "Local" => TimeZone::system(),
        name => TimeZone::get(name).unwrap_or_else(|_| {
            fields
                .problem("location", format!("{name:?} is no IANA time zone such as Europe/Paris"));
            TimeZone::UTC
        }),
    }
}

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn name_index(text: &str, names: &[&str]) -> Option<i32> {
    let text = text.to_ascii_lowercase();
    names.iter().position(|name| *name == text).and_then(|index| i32::try_from(index).ok())
}

fn minute_of(fields: &mut Fields<'_>, key: &'static str) -> Option<i32> {
    let text = fields.required_text(key);
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !two_digits(hours) || !two_digits(minutes) {
            return None;
        }
        let (hour, minute): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let total = hour * 60 + minute;
        (minute < 60 && total <= 24 * 60).then_some(total)
    });
    if parsed.is_none() && !text.is_empty() {
        fields.problem(key, format!("needs a time such as 09:00, at most 24:00, but is {text:?}"));
    }
    parsed
}

fn spans(
    fields: &mut Fields<'_>,
    key: &'static str,
    example: &str,
    parse: impl Fn(&str) -> Option<i32>,
) -> Vec<Span> {
    let mut spans = Vec::new();
    for text in fields.texts(key).unwrap_or_default() {
        let (from, to) = text.split_once(':').unwrap_or((&text, &text));
        match (parse(from.trim()), parse(to.trim())) {
            (Some(from), Some(to)) => {
                let rank = |day: i32| if day < 0 { 31 + day } else { day };
                if rank(from) > rank(to) {
                    fields.problem(key, format!("{text:?} ends before it begins"));
                }
                spans.push((from, to));
            }
            _ => fields.problem(key, format!("needs a value such as {example}, but is {text:?}")),
        }
    }
    spans
}
