//! The words that two or more rooms of Belfry share: labels, matchers, time, batches, alerts, and
//! the two hinge traits [`Append`] and [`AlertSink`].
//!
//! Place in the flow: below everything. Every other crate may use it; it uses none of ours.
//!
//! Not here: input and output of any kind, tasks, settings of one room.

/// Label sets, their names and values.
pub mod labels;
/// Regular expressions in the field's dialect.
pub mod re2;
/// What selects series: `=`, `!=`, `=~`, `!~`.
pub mod matcher;
/// Instants and half-open ranges in milliseconds.
pub mod time;
/// Prometheus durations such as `1h30m`.
pub mod duration;
/// Values with a meaning of their own (the stale marker) and how numbers are written.
pub mod sample;
/// Native histograms and their arithmetic.
pub mod histogram;
/// Sums that carry what rounding lost.
pub mod sum;
/// Limits of the whole house, each with its reason.
pub mod limits;
/// The clock door: real, or driven by a test.
pub mod clock;
/// Hinge: an exporter inside the process is asked for its families.
pub mod exporter;
/// How long things took, counted.
pub mod durations;
/// Hinge: a batch of samples goes to the store and is durable when the call returns.
pub mod append;
/// An alert on its way from a rule to a person.
pub mod alert;
/// Hinge: alerts go to the alert manager and are durable when the call returns.
pub mod alert_sink;
/// Hinge: one HTTP request goes out through the only dialler.
pub mod http_door;
/// YAML with positions: the tree that every configuration reader walks.
pub mod yaml;
/// File names against patterns with `*`.
pub mod wildcard;
/// A field reader over that tree which collects every problem instead of stopping at the first.
pub mod fields;

pub use alert::Alert;
pub use alert_sink::{AlertSink, AlertSinkError};
pub use append::{Append, AppendError, Appended, Batch, Refused, SeriesIx};
pub use clock::Clock;
pub use durations::Durations;
pub use exporter::{Exporter, Family, MetricKind};
pub use histogram::Histogram;
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use time::{TimeRange, TimestampMs};

/// A boxed future, the answer of every hinge method that waits.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
