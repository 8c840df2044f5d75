//! Who may do what: TLS, logins, roles, label scopes, limits.
//!
//! Place in the flow: socket → `tls` (who is connected) → **`gate`** (who asks, how often, what for)
//! → handlers, which read the caller's [`Identity`] and its [`Scope`].
//!
//! Everything that decides stands here, once. Without users and tokens everybody may do everything,
//! as Prometheus does.
//!
//! Not here: the routes themselves (server), what a scope does to a query (query).

/// What a caller may do.
pub mod role;
/// Which series a caller may see and write.
pub mod scope;
/// Who asks.
pub mod identity;
/// The web configuration file in Prometheus' format.
pub mod config;
/// The section `web` of belfry.yml.
pub mod settings;
/// Limits of requests and connections.
pub mod limits;
/// Names of TLS versions, cipher suites and curves.
mod names;
/// Certificates as far as access needs to read them.
mod certificate;
/// From the web configuration file to what a handshake needs.
pub mod tls;
/// Passwords and tokens.
pub mod credentials;
/// Who failed to log in, and how long they wait.
mod patience;
/// Requests per client.
mod buckets;
/// Which role each route needs.
pub mod routes;
/// Everything that was read, as one thing that is replaced as a whole.
mod rulebook;
/// The decision about one request.
pub mod door;
/// The whole: opened, reloaded, asked.
pub(crate) mod whole;
/// Headers of every answer.
mod headers;

pub use identity::Identity;
pub use role::{Role, Roles};
pub use scope::Scope;
pub use settings::Settings;
pub use whole::{Access, Prepared, Refusal, Stats};
