//! The catalogue of HAProxy fields: which column of `show stat` and which line of `show info` becomes
//! which metric of HAProxy's own Prometheus page.
//!
//! Place in the flow: `map` walks both tables. States (one series per state) are in `map`.
//!
//! Not here: reading.

use model::MetricKind::{self, Counter, Gauge};

/// A column of `show stat`.
pub(super) struct Stat {
    /// The column.
    pub(super) column: &'static str,
    /// What follows `haproxy_<scope>_`.
    pub(super) suffix: &'static str,
    /// Its kind.
    pub(super) kind: MetricKind,
    /// Which lines have it.
    pub(super) scopes: &'static [Scope],
    /// The `code` label, of responses.
    pub(super) code: &'static str,
    /// Whether the column is in milliseconds and the metric in seconds.
    pub(super) milliseconds: bool,
}

/// What a line of `show stat` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A frontend, the sum of its listeners.
    Frontend,
    /// A backend, the sum of its servers.
    Backend,
    /// A server of a backend.
    Server,
    /// A listener of a frontend; told only under `option socket-stats`.
    Listener,
}

use Scope::{Backend, Frontend, Listener, Server};

const fn stat(
    column: &'static str,
    suffix: &'static str,
    kind: MetricKind,
    scopes: &'static [Scope],
) -> Stat {
    Stat { column, suffix, kind, scopes, code: "", milliseconds: false }
}

const fn time(column: &'static str, suffix: &'static str, scopes: &'static [Scope]) -> Stat {
    Stat { column, suffix, kind: Gauge, scopes, code: "", milliseconds: true }
}

const fn responses(column: &'static str, code: &'static str) -> Stat {
    let scopes = &[Frontend, Backend, Server];
    let suffix = "http_responses_total";
    Stat { column, suffix, kind: Counter, scopes, code, milliseconds: false }
}

/// Columns of `show stat`.
pub(super) const STATS: &[Stat] = &[
    stat("qcur", "current_queue", Gauge, &[Backend, Server]),
    stat("qmax", "max_queue", Gauge, &[Backend, Server]),
    stat("scur", "current_sessions", Gauge, &[Listener, Frontend, Backend, Server]),
    stat("smax", "max_sessions", Gauge, &[Listener, Frontend, Backend, Server]),
    stat("slim", "limit_sessions", Gauge, &[Listener, Frontend, Backend, Server]),
    stat("stot", "sessions_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("bin", "bytes_in_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("bout", "bytes_out_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("dreq", "requests_denied_total", Counter, &[Listener, Frontend, Backend]),
    stat("dresp", "responses_denied_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("ereq", "request_errors_total", Counter, &[Listener, Frontend]),
    stat("econ", "connection_errors_total", Counter, &[Backend, Server]),
    stat("eresp", "response_errors_total", Counter, &[Backend, Server]),
    stat("wretr", "retry_warnings_total", Counter, &[Backend, Server]),
    stat("wredis", "redispatch_warnings_total", Counter, &[Backend, Server]),
    stat("weight", "weight", Gauge, &[Backend, Server]),
    stat("act", "active_servers", Gauge, &[Backend, Server]),
    stat("bck", "backup_servers", Gauge, &[Backend, Server]),
    stat("chkfail", "check_failures_total", Counter, &[Server]),
    stat("chkdown", "check_up_down_total", Counter, &[Backend, Server]),
    stat("lastchg", "check_last_change_seconds", Gauge, &[Backend, Server]),
    stat("downtime", "downtime_seconds_total", Counter, &[Backend, Server]),
    stat("qlimit", "queue_limit", Gauge, &[Server]),
    stat("throttle", "current_throttle", Gauge, &[Server]),
    stat("lbtot", "loadbalanced_total", Counter, &[Backend, Server]),
    stat("rate", "current_session_rate", Gauge, &[Frontend, Backend, Server]),
    stat("rate_lim", "limit_session_rate", Gauge, &[Frontend]),
    stat("rate_max", "max_session_rate", Gauge, &[Frontend, Backend, Server]),
    stat("check_code", "check_code", Gauge, &[Server]),
    time("check_duration", "check_duration_seconds", &[Server]),
    responses("hrsp_1xx", "1xx"),
    responses("hrsp_2xx", "2xx"),
    responses("hrsp_3xx", "3xx"),
    responses("hrsp_4xx", "4xx"),
    responses("hrsp_5xx", "5xx"),
    responses("hrsp_other", "other"),
    stat("req_rate_max", "http_requests_rate_max", Gauge, &[Frontend]),
    stat("req_tot", "http_requests_total", Counter, &[Frontend, Backend, Server]),
    stat("cli_abrt", "client_aborts_total", Counter, &[Backend, Server]),
    stat("srv_abrt", "server_aborts_total", Counter, &[Backend, Server]),
    stat("comp_in", "http_comp_bytes_in_total", Counter, &[Frontend, Backend]),
    stat("comp_out", "http_comp_bytes_out_total", Counter, &[Frontend, Backend]),
    stat("comp_byp", "http_comp_bytes_bypassed_total", Counter, &[Frontend, Backend]),
    stat("comp_rsp", "http_comp_responses_total", Counter, &[Frontend, Backend]),
    stat("lastsess", "last_session_seconds", Gauge, &[Backend, Server]),
    time("qtime", "queue_time_average_seconds", &[Backend, Server]),
    time("ctime", "connect_time_average_seconds", &[Backend, Server]),
    time("rtime", "response_time_average_seconds", &[Backend, Server]),
    time("ttime", "total_time_average_seconds", &[Backend, Server]),
    stat("agent_code", "agent_code", Gauge, &[Server]),
    time("agent_duration", "agent_duration_seconds", &[Server]),
    stat("conn_rate_max", "connections_rate_max", Gauge, &[Frontend]),
    stat("conn_tot", "connections_total", Counter, &[Listener, Frontend]),
    stat("intercepted", "intercepted_requests_total", Counter, &[Frontend]),
    stat("dcon", "denied_connections_total", Counter, &[Listener, Frontend]),
    stat("dses", "denied_sessions_total", Counter, &[Listener, Frontend]),
    stat("wrew", "failed_header_rewriting_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("connect", "connection_attempts_total", Counter, &[Backend, Server]),
    stat("reuse", "connection_reuses_total", Counter, &[Backend, Server]),
    stat("cache_lookups", "http_cache_lookups_total", Counter, &[Frontend, Backend]),
    stat("cache_hits", "http_cache_hits_total", Counter, &[Frontend, Backend]),
    stat("srv_icur", "idle_connections_current", Gauge, &[Server]),
    stat("src_ilim", "idle_connections_limit", Gauge, &[Server]),
    time("qtime_max", "max_queue_time_seconds", &[Backend, Server]),
    time("ctime_max", "max_connect_time_seconds", &[Backend, Server]),
    time("rtime_max", "max_response_time_seconds", &[Backend, Server]),
    time("ttime_max", "max_total_time_seconds", &[Backend, Server]),
    stat("eint", "internal_errors_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("idle_conn_cur", "unsafe_idle_connections_current", Gauge, &[Server]),
    stat("safe_conn_cur", "safe_idle_connections_current", Gauge, &[Server]),
    stat("used_conn_cur", "used_connections_current", Gauge, &[Server]),
    stat("need_conn_est", "need_connections_current", Gauge, &[Server]),
    stat("uweight", "uweight", Gauge, &[Backend, Server]),
    stat("priv_idle_cur", "private_idle_connections_current", Gauge, &[Server]),
    stat("reqbin", "req_bytes_in_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("reqbout", "req_bytes_out_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("resbin", "res_bytes_in_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("resbout", "res_bytes_out_total", Counter, &[Listener, Frontend, Backend, Server]),
    stat("cache_hint_hits", "http_cache_hint_hits_total", Counter, &[Frontend, Backend]),
];

/// Lines of `show info`: key, what follows `haproxy_process_`, kind.
pub(super) const INFO: &[(&str, &str, MetricKind)] = &[
    ("Nbthread", "nbthread", Gauge),
    ("Nbproc", "nbproc", Gauge),
    ("Process_num", "relative_process_id", Gauge),
    ("Uptime_sec", "uptime_seconds", Gauge),
    ("Start_time_sec", "start_time_seconds", Gauge),
    ("Memmax_bytes", "max_memory_bytes", Gauge),
    ("PoolAlloc_bytes", "pool_allocated_bytes", Gauge),
    ("PoolUsed_bytes", "pool_used_bytes", Gauge),
    ("PoolFailed", "pool_failures_total", Counter),
    ("Ulimit-n", "max_fds", Gauge),
    ("Maxsock", "max_sockets", Gauge),
    ("Maxconn", "max_connections", Gauge),
    ("Hard_maxconn", "hard_max_connections", Gauge),
    ("CurrConns", "current_connections", Gauge),
    ("CumConns", "connections_total", Counter),
    ("CumReq", "requests_total", Counter),
    ("MaxSslConns", "max_ssl_connections", Gauge),
    ("CurrSslConns", "current_ssl_connections", Gauge),
    ("CumSslConns", "ssl_connections_total", Counter),
    ("Maxpipes", "max_pipes", Gauge),
    ("PipesUsed", "pipes_used_total", Counter),
    ("PipesFree", "pipes_free_total", Counter),
    ("ConnRate", "current_connection_rate", Gauge),
    ("ConnRateLimit", "limit_connection_rate", Gauge),
    ("MaxConnRate", "max_connection_rate", Gauge),
    ("SessRate", "current_session_rate", Gauge),
    ("SessRateLimit", "limit_session_rate", Gauge),
    ("MaxSessRate", "max_session_rate", Gauge),
    ("SslRate", "current_ssl_rate", Gauge),
    ("SslRateLimit", "limit_ssl_rate", Gauge),
    ("MaxSslRate", "max_ssl_rate", Gauge),
    ("SslFrontendKeyRate", "current_frontend_ssl_key_rate", Gauge),
    ("SslFrontendMaxKeyRate", "max_frontend_ssl_key_rate", Gauge),
    ("SslFrontendSessionReuse_pct", "frontend_ssl_reuse", Gauge),
    ("SslBackendKeyRate", "current_backend_ssl_key_rate", Gauge),
    ("SslBackendMaxKeyRate", "max_backend_ssl_key_rate", Gauge),
    ("SslCacheLookups", "ssl_cache_lookups_total", Counter),
    ("SslCacheMisses", "ssl_cache_misses_total", Counter),
    ("CompressBpsIn", "http_comp_bytes_in_total", Counter),
    ("CompressBpsOut", "http_comp_bytes_out_total", Counter),
    ("CompressBpsRateLim", "limit_http_comp", Gauge),
    ("ZlibMemUsage", "current_zlib_memory", Gauge),
    ("MaxZlibMemUsage", "max_zlib_memory", Gauge),
    ("Tasks", "current_tasks", Gauge),
    ("Run_queue", "current_run_queue", Gauge),
    ("Idle_pct", "idle_time_percent", Gauge),
    ("Stopping", "stopping", Gauge),
    ("Jobs", "jobs", Gauge),
    ("Unstoppable Jobs", "unstoppable_jobs", Gauge),
    ("Listeners", "listeners", Gauge),
    ("ActivePeers", "active_peers", Gauge),
    ("ConnectedPeers", "connected_peers", Gauge),
    ("DroppedLogs", "dropped_logs_total", Counter),
    ("BusyPolling", "busy_polling_enabled", Gauge),
    ("FailedResolutions", "failed_resolutions", Counter),
    ("TotalBytesOut", "bytes_out_total", Counter),
    ("TotalSplicedBytesOut", "spliced_bytes_out_total", Counter),
    ("TotalSplicdedBytesOut", "spliced_bytes_out_total", Counter),
    ("BytesOutRate", "bytes_out_rate", Gauge),
    ("CumRecvLogs", "recv_logs_total", Counter),
    ("TotalWarnings", "total_warnings", Gauge),
    ("PatternsAdded", "patterns_added_total", Counter),
    ("PatternsFreed", "patterns_freed_total", Counter),
    ("NbThreadGroups", "nb_thread_groups", Gauge),
];
