//! The catalogue of queries: SQL by server version, and which column becomes which metric.
//!
//! Place in the flow: `postgres` runs the rows that fit the server; `map` turns answers to families.
//!
//! Names, labels and kinds are those of postgres_exporter 0.20, the ones that no other exporter has
//! are marked "ours". Every query is a plain SELECT that a member of `pg_monitor` may run, ends by
//! itself and has a LIMIT where the number of rows is the user's.
//!
//! Not here: how it is asked.

use model::MetricKind;

/// One query.
pub(super) struct Query {
    /// Which collector it belongs to; a collector may have one query per range of versions.
    pub(super) collector: &'static str,
    /// First major version that it fits.
    pub(super) version_first: u32,
    /// Last major version that it fits.
    pub(super) version_last: u32,
    /// What is asked.
    pub(super) sql: &'static str,
    /// How the answer maps.
    pub(super) mapping: Mapping,
}

/// How an answer maps to families.
pub(super) enum Mapping {
    /// Rows of `pg_settings`.
    Settings,
    /// Column by column.
    Columns(&'static [Group]),
}

/// Metrics of one row that share their labels.
pub(super) struct Group {
    pub(super) labels: &'static [&'static str],
    pub(super) metrics: &'static [Metric],
}

/// A column that is a metric.
pub(super) struct Metric {
    pub(super) column: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: MetricKind,
    pub(super) help: &'static str,
}

/// Later versions that nobody has seen yet get the newest query.
const NEWEST: u32 = u32::MAX;

impl Query {
    pub(super) fn fits(&self, version: u32) -> bool {
        (self.version_first..=self.version_last).contains(&version)
    }
}

const fn counter(column: &'static str, name: &'static str, help: &'static str) -> Metric {
    Metric { column, name, kind: MetricKind::Counter, help }
}

const fn gauge(column: &'static str, name: &'static str, help: &'static str) -> Metric {
    Metric { column, name, kind: MetricKind::Gauge, help }
}

const fn query(
    collector: &'static str,
    versions: (u32, u32),
    sql: &'static str,
    groups: &'static [Group],
) -> Query {
    let (version_first, version_last) = versions;
    Query { collector, version_first, version_last, sql, mapping: Mapping::Columns(groups) }
}

const ALL: (u32, u32) = (0, NEWEST);

pub(super) const QUERIES: &[Query] = &[
    query("database", ALL, DATABASE_SQL, DATABASE),
    query("stat_database", (0, 13), STAT_DATABASE_SQL, STAT_DATABASE),
    query("stat_database", (14, NEWEST), STAT_DATABASE_SQL_14, STAT_DATABASE),
    query("stat_database_conflicts", ALL, CONFLICTS_SQL, CONFLICTS),
    query("stat_activity", ALL, ACTIVITY_SQL, ACTIVITY),
    query("locks", ALL, LOCKS_SQL, LOCKS),
    Query {
        collector: "settings",
        version_first: 0,
        version_last: NEWEST,
        sql: "SELECT name, setting, unit, vartype, pending_restart FROM pg_settings \
              WHERE vartype IN ('bool', 'integer', 'real') OR pending_restart",
        mapping: Mapping::Settings,
    },
    query("replication", ALL, REPLICATION_SQL, REPLICATION),
    query("stat_replication", ALL, STAT_REPLICATION_SQL, STAT_REPLICATION),
    query("replication_slots", (0, 12), SLOTS_SQL, SLOTS),
    query("replication_slots", (13, NEWEST), SLOTS_SQL_13, SLOTS),
    query("stat_wal_receiver", (0, 12), RECEIVER_SQL, RECEIVER),
    query("stat_wal_receiver", (13, NEWEST), RECEIVER_SQL_13, RECEIVER),
    query("stat_bgwriter", (0, 16), BGWRITER_SQL, BGWRITER),
    query("stat_bgwriter", (17, NEWEST), BGWRITER_SQL_17, BGWRITER),
    query("stat_checkpointer", (17, NEWEST), CHECKPOINTER_SQL, CHECKPOINTER),
    query("stat_archiver", ALL, ARCHIVER_SQL, ARCHIVER),
    query("stat_user_tables", ALL, TABLES_SQL, TABLES),
    query("statio_user_tables", ALL, TABLES_IO_SQL, TABLES_IO),
    query("wal", ALL, WAL_SQL, WAL),
    query("postmaster", ALL, POSTMASTER_SQL, POSTMASTER),
    query("database_wraparound", ALL, WRAPAROUND_SQL, WRAPAROUND),
    query("long_running_transactions", ALL, LONG_RUNNING_SQL, LONG_RUNNING),
    query("stat_activity_autovacuum", ALL, AUTOVACUUM_SQL, AUTOVACUUM),
    query("stat_progress_vacuum", (0, 16), PROGRESS_SQL, PROGRESS),
    query("stat_progress_vacuum", (17, NEWEST), PROGRESS_SQL_17, PROGRESS),
    query("sequences", ALL, SEQUENCES_SQL, SEQUENCES),
    query("indexes", ALL, INDEXES_SQL, INDEXES),
];

const DATABASE_SQL: &str = "\
    SELECT datname, pg_database_size(oid) AS size_bytes, datconnlimit AS connection_limit \
    FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname LIMIT 1000";
const DATABASE: &[Group] = &[Group {
    labels: &["datname"],
    metrics: &[
        gauge("size_bytes", "pg_database_size_bytes", "Disk space of the database."),
        gauge("connection_limit", "pg_database_connection_limit", "Connections allowed, -1 any."),
    ],
}];

// Times stay in milliseconds under the names without a unit: that is what dashboards divide by.
const STAT_DATABASE_SQL: &str = "\
    SELECT datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, \
      tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, \
      temp_bytes, deadlocks, blk_read_time, blk_write_time, checksum_failures, \
      extract(epoch FROM stats_reset) AS stats_reset \
    FROM pg_stat_database WHERE datname IS NOT NULL LIMIT 1000";
const STAT_DATABASE_SQL_14: &str = "\
    SELECT datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, \
      tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, \
      temp_bytes, deadlocks, blk_read_time, blk_write_time, checksum_failures, \
      active_time / 1000.0 AS active_time_seconds, \
      extract(epoch FROM stats_reset) AS stats_reset \
    FROM pg_stat_database WHERE datname IS NOT NULL LIMIT 1000";
const STAT_DATABASE: &[Group] = &[
    Group {
        labels: &["datid", "datname"],
        metrics: &[
            gauge("numbackends", "pg_stat_database_numbackends", "Connections now."),
            counter("xact_commit", "pg_stat_database_xact_commit", "Transactions committed."),
            counter("xact_rollback", "pg_stat_database_xact_rollback", "Transactions rolled back."),
            counter("blks_read", "pg_stat_database_blks_read", "Blocks read from disk."),
            counter("blks_hit", "pg_stat_database_blks_hit", "Blocks found in the buffers."),
            counter("tup_returned", "pg_stat_database_tup_returned", "Rows returned by scans."),
            counter("tup_fetched", "pg_stat_database_tup_fetched", "Rows fetched by indexes."),
            counter("tup_inserted", "pg_stat_database_tup_inserted", "Rows inserted."),
            counter("tup_updated", "pg_stat_database_tup_updated", "Rows updated."),
            counter("tup_deleted", "pg_stat_database_tup_deleted", "Rows deleted."),
            counter("conflicts", "pg_stat_database_conflicts", "Queries cancelled by recovery."),
            counter("temp_files", "pg_stat_database_temp_files", "Temporary files written."),
            counter("temp_bytes", "pg_stat_database_temp_bytes", "Bytes in temporary files."),
            counter("deadlocks", "pg_stat_database_deadlocks", "Deadlocks."),
            counter("blk_read_time", "pg_stat_database_blk_read_time", "Milliseconds reading."),
            counter("blk_write_time", "pg_stat_database_blk_write_time", "Milliseconds writing."),
            counter("stats_reset", "pg_stat_database_stats_reset", "When counters were reset."),
            counter(
                "active_time_seconds",
                "pg_stat_database_active_time_seconds_total",
                "Seconds spent in queries.",
            ),
        ],
    },
    Group {
        labels: &["datname"],
        // Ours.
        metrics: &[counter(
            "checksum_failures",
            "pg_checksum_failures_total",
            "Pages that failed their checksum.",
        )],
    },
];

const CONFLICTS_SQL: &str = "\
    SELECT datid, datname, confl_tablespace, confl_lock, confl_snapshot, confl_bufferpin, \
      confl_deadlock FROM pg_stat_database_conflicts LIMIT 1000";
const CONFLICTS: &[Group] = &[Group {
    labels: &["datid", "datname"],
    metrics: &[
        counter(
            "confl_tablespace",
            "pg_stat_database_conflicts_confl_tablespace",
            "Queries cancelled: a tablespace was dropped.",
        ),
        counter(
            "confl_lock",
            "pg_stat_database_conflicts_confl_lock",
            "Queries cancelled: lock time-out.",
        ),
        counter(
            "confl_snapshot",
            "pg_stat_database_conflicts_confl_snapshot",
            "Queries cancelled: the snapshot was too old.",
        ),
        counter(
            "confl_bufferpin",
            "pg_stat_database_conflicts_confl_bufferpin",
            "Queries cancelled: a buffer was pinned.",
        ),
        counter(
            "confl_deadlock",
            "pg_stat_database_conflicts_confl_deadlock",
            "Queries cancelled: deadlock.",
        ),
    ],
}];

// Every database shows every state, so that a rule never meets a missing series.
const ACTIVITY_SQL: &str = "\
    SELECT d.datname, s.state, coalesce(a.count, 0) AS count, \
      coalesce(a.max_tx_duration, 0) AS max_tx_duration \
    FROM pg_database d CROSS JOIN (VALUES ('active'), ('idle'), ('idle in transaction'), \
      ('idle in transaction (aborted)'), ('fastpath function call'), ('disabled')) s (state) \
    LEFT JOIN (SELECT datname, state, count(*) AS count, \
        max(extract(epoch FROM clock_timestamp() - xact_start)) AS max_tx_duration \
      FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL \
      GROUP BY datname, state) a ON a.datname = d.datname AND a.state = s.state \
    WHERE d.datallowconn ORDER BY 1, 2 LIMIT 6000";
const ACTIVITY: &[Group] = &[Group {
    labels: &["datname", "state"],
    metrics: &[
        gauge("count", "pg_stat_activity_count", "Connections by state."),
        gauge(
            "max_tx_duration",
            "pg_stat_activity_max_tx_duration",
            "Age in seconds of the oldest transaction in that state.",
        ),
    ],
}];

const LOCKS_SQL: &str = "\
    SELECT d.datname, m.mode, coalesce(l.count, 0) AS count \
    FROM pg_database d CROSS JOIN (VALUES ('accesssharelock'), ('rowsharelock'), \
      ('rowexclusivelock'), ('shareupdateexclusivelock'), ('sharelock'), \
      ('sharerowexclusivelock'), ('exclusivelock'), ('accessexclusivelock'), ('sireadlock')) \
      m (mode) \
    LEFT JOIN (SELECT database, lower(mode) AS mode, count(*) AS count FROM pg_locks \
      WHERE database IS NOT NULL GROUP BY 1, 2) l ON l.database = d.oid AND l.mode = m.mode \
    WHERE d.datallowconn ORDER BY 1, 2 LIMIT 9000";
const LOCKS: &[Group] = &[Group {
    labels: &["datname", "mode"],
    metrics: &[gauge("count", "pg_locks_count", "Locks by mode.")],
}];

// A replica that has replayed all it received is not behind, however long ago that was.
const REPLICATION_SQL: &str = "\
    SELECT pg_is_in_recovery() AS is_replica, \
      CASE WHEN NOT pg_is_in_recovery() THEN 0 \
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
        ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END AS lag, \
      coalesce(greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())), 0) \
        AS last_replay";
const REPLICATION: &[Group] = &[Group {
    labels: &[],
    metrics: &[
        gauge("lag", "pg_replication_lag_seconds", "Seconds that the replica is behind."),
        gauge("is_replica", "pg_replication_is_replica", "Whether the server is a replica."),
        gauge(
            "last_replay",
            "pg_replication_last_replay_seconds",
            "Age of the last transaction replayed.",
        ),
    ],
}];

const STAT_REPLICATION_SQL: &str = "\
    SELECT r.application_name, coalesce(r.client_addr::text, '') AS client_addr, r.state, \
      coalesce(s.slot_name::text, '') AS slot_name, \
      pg_wal_lsn_diff(w.lsn, '0/0') AS current_bytes, \
      pg_wal_lsn_diff(w.lsn, r.replay_lsn) AS diff \
    FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid, \
      (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
        ELSE pg_current_wal_lsn() END AS lsn) w LIMIT 500";
const STAT_REPLICATION: &[Group] = &[Group {
    labels: &["application_name", "client_addr", "state", "slot_name"],
    metrics: &[
        gauge(
            "current_bytes",
            "pg_stat_replication_pg_current_wal_lsn_bytes",
            "Position of the log on this server.",
        ),
        gauge(
            "diff",
            "pg_stat_replication_pg_wal_lsn_diff",
            "Bytes that the replica has not replayed yet.",
        ),
    ],
}];

const SLOTS_SQL: &str = "\
    SELECT slot_name, slot_type, coalesce(database, '') AS database, active, \
      pg_wal_lsn_diff(w.lsn, restart_lsn) AS diff, pg_wal_lsn_diff(w.lsn, '0/0') AS current_lsn, \
      pg_wal_lsn_diff(confirmed_flush_lsn, '0/0') AS confirmed_lsn \
    FROM pg_replication_slots, (SELECT CASE WHEN pg_is_in_recovery() \
      THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS lsn) w LIMIT 500";
const SLOTS_SQL_13: &str = "\
    SELECT slot_name, slot_type, coalesce(database, '') AS database, active, \
      pg_wal_lsn_diff(w.lsn, restart_lsn) AS diff, pg_wal_lsn_diff(w.lsn, '0/0') AS current_lsn, \
      pg_wal_lsn_diff(confirmed_flush_lsn, '0/0') AS confirmed_lsn, \
      safe_wal_size, wal_status, CASE WHEN wal_status IS NOT NULL THEN 1 END AS has_status \
    FROM pg_replication_slots, (SELECT CASE WHEN pg_is_in_recovery() \
      THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS lsn) w LIMIT 500";
const SLOTS: &[Group] = &[
    Group {
        labels: &["slot_name", "database"],
        metrics: &[
            gauge("active", "pg_replication_slots_active", "Whether someone reads the slot."),
            gauge("diff", "pg_replication_slots_pg_wal_lsn_diff", "Bytes of log kept for it."),
        ],
    },
    Group {
        labels: &["slot_name", "slot_type"],
        metrics: &[
            gauge("active", "pg_replication_slots_slot_is_active", "Whether someone reads it."),
            gauge(
                "current_lsn",
                "pg_replication_slots_slot_current_wal_lsn",
                "Position of the log on this server.",
            ),
            gauge(
                "confirmed_lsn",
                "pg_replication_slots_slot_confirmed_flush_lsn",
                "Position that the reader confirmed.",
            ),
            gauge(
                "safe_wal_size",
                "pg_replication_slots_safe_wal_size_bytes",
                "Bytes until the slot is lost.",
            ),
        ],
    },
    Group {
        labels: &["slot_name", "slot_type", "wal_status"],
        metrics: &[gauge(
            "has_status",
            "pg_replication_slots_wal_status",
            "Whether the log it needs is still there.",
        )],
    },
];

const RECEIVER_SQL: &str = "\
    SELECT coalesce(sender_host, '') AS upstream_host, coalesce(slot_name, '') AS slot_name, \
      status, pg_wal_lsn_diff(receive_start_lsn, '0/0') AS receive_start_lsn, receive_start_tli, \
      pg_wal_lsn_diff(received_lsn, '0/0') AS flushed_lsn, received_tli, \
      extract(epoch FROM last_msg_send_time) AS last_msg_send_time, \
      extract(epoch FROM last_msg_receipt_time) AS last_msg_receipt_time, \
      pg_wal_lsn_diff(latest_end_lsn, '0/0') AS latest_end_lsn, \
      extract(epoch FROM latest_end_time) AS latest_end_time \
    FROM pg_stat_wal_receiver LIMIT 10";
const RECEIVER_SQL_13: &str = "\
    SELECT coalesce(sender_host, '') AS upstream_host, coalesce(slot_name, '') AS slot_name, \
      status, pg_wal_lsn_diff(receive_start_lsn, '0/0') AS receive_start_lsn, receive_start_tli, \
      pg_wal_lsn_diff(flushed_lsn, '0/0') AS flushed_lsn, received_tli, \
      extract(epoch FROM last_msg_send_time) AS last_msg_send_time, \
      extract(epoch FROM last_msg_receipt_time) AS last_msg_receipt_time, \
      pg_wal_lsn_diff(latest_end_lsn, '0/0') AS latest_end_lsn, \
      extract(epoch FROM latest_end_time) AS latest_end_time \
    FROM pg_stat_wal_receiver LIMIT 10";
const RECEIVER: &[Group] = &[Group {
    labels: &["upstream_host", "slot_name", "status"],
    metrics: &[
        counter(
            "receive_start_lsn",
            "pg_stat_wal_receiver_receive_start_lsn",
            "Position where receiving began.",
        ),
        gauge(
            "receive_start_tli",
            "pg_stat_wal_receiver_receive_start_tli",
            "Time line where receiving began.",
        ),
        counter(
            "flushed_lsn",
            "pg_stat_wal_receiver_flushed_lsn",
            "Position received and written.",
        ),
        gauge("received_tli", "pg_stat_wal_receiver_received_tli", "Time line received."),
        counter(
            "last_msg_send_time",
            "pg_stat_wal_receiver_last_msg_send_time",
            "When the last message was sent.",
        ),
        counter(
            "last_msg_receipt_time",
            "pg_stat_wal_receiver_last_msg_receipt_time",
            "When the last message arrived.",
        ),
        counter(
            "latest_end_lsn",
            "pg_stat_wal_receiver_latest_end_lsn",
            "Position last reported to the sender.",
        ),
        counter(
            "latest_end_time",
            "pg_stat_wal_receiver_latest_end_time",
            "When the position was last reported.",
        ),
    ],
}];

const BGWRITER_SQL: &str = "\
    SELECT checkpoints_timed, checkpoints_req, checkpoint_write_time, checkpoint_sync_time, \
      buffers_checkpoint, buffers_clean, maxwritten_clean, buffers_backend, \
      buffers_backend_fsync, buffers_alloc, extract(epoch FROM stats_reset) AS stats_reset \
    FROM pg_stat_bgwriter";
// Version 17 moved half of the columns to pg_stat_checkpointer; the metrics keep their names.
const BGWRITER_SQL_17: &str = "\
    SELECT c.num_timed AS checkpoints_timed, c.num_requested AS checkpoints_req, \
      c.write_time AS checkpoint_write_time, c.sync_time AS checkpoint_sync_time, \
      c.buffers_written AS buffers_checkpoint, b.buffers_clean, b.maxwritten_clean, \
      b.buffers_alloc, extract(epoch FROM b.stats_reset) AS stats_reset \
    FROM pg_stat_bgwriter b, pg_stat_checkpointer c";
const BGWRITER: &[Group] = &[Group {
    labels: &[],
    metrics: &[
        counter(
            "checkpoints_timed",
            "pg_stat_bgwriter_checkpoints_timed_total",
            "Checkpoints because it was time.",
        ),
        counter(
            "checkpoints_req",
            "pg_stat_bgwriter_checkpoints_req_total",
            "Checkpoints because the log was full or someone asked.",
        ),
        counter(
            "checkpoint_write_time",
            "pg_stat_bgwriter_checkpoint_write_time_total",
            "Milliseconds writing in checkpoints.",
        ),
        counter(
            "checkpoint_sync_time",
            "pg_stat_bgwriter_checkpoint_sync_time_total",
            "Milliseconds syncing in checkpoints.",
        ),
        counter(
            "buffers_checkpoint",
            "pg_stat_bgwriter_buffers_checkpoint_total",
            "Buffers written by checkpoints.",
        ),
        counter(
            "buffers_clean",
            "pg_stat_bgwriter_buffers_clean_total",
            "Buffers written by the background writer.",
        ),
        counter(
            "maxwritten_clean",
            "pg_stat_bgwriter_maxwritten_clean_total",
            "Times the background writer stopped at its limit.",
        ),
        counter(
            "buffers_backend",
            "pg_stat_bgwriter_buffers_backend_total",
            "Buffers written by backends.",
        ),
        counter(
            "buffers_backend_fsync",
            "pg_stat_bgwriter_buffers_backend_fsync_total",
            "Times a backend had to sync by itself.",
        ),
        counter("buffers_alloc", "pg_stat_bgwriter_buffers_alloc_total", "Buffers allocated."),
        counter(
            "stats_reset",
            "pg_stat_bgwriter_stats_reset_total",
            "When the counters were reset.",
        ),
    ],
}];

const CHECKPOINTER_SQL: &str = "\
    SELECT num_timed, num_requested, restartpoints_timed, restartpoints_req, restartpoints_done, \
      write_time, sync_time, buffers_written, extract(epoch FROM stats_reset) AS stats_reset \
    FROM pg_stat_checkpointer";
const CHECKPOINTER: &[Group] = &[Group {
    labels: &[],
    metrics: &[
        counter(
            "num_timed",
            "pg_stat_checkpointer_num_timed_total",
            "Checkpoints because it was time.",
        ),
        counter(
            "num_requested",
            "pg_stat_checkpointer_num_requested_total",
            "Checkpoints because the log was full or someone asked.",
        ),
        counter(
            "restartpoints_timed",
            "pg_stat_checkpointer_restartpoints_timed_total",
            "Restart points because it was time.",
        ),
        counter(
            "restartpoints_req",
            "pg_stat_checkpointer_restartpoints_req_total",
            "Restart points that were requested.",
        ),
        counter(
            "restartpoints_done",
            "pg_stat_checkpointer_restartpoints_done_total",
            "Restart points that were done.",
        ),
        counter(
            "write_time",
            "pg_stat_checkpointer_write_time_total",
            "Milliseconds writing in checkpoints.",
        ),
        counter(
            "sync_time",
            "pg_stat_checkpointer_sync_time_total",
            "Milliseconds syncing in checkpoints.",
        ),
        counter(
            "buffers_written",
            "pg_stat_checkpointer_buffers_written_total",
            "Buffers written by checkpoints.",
        ),
        counter(
            "stats_reset",
            "pg_stat_checkpointer_stats_reset_total",
            "When the counters were reset.",
        ),
    ],
}];

const ARCHIVER_SQL: &str = "\
    SELECT archived_count, failed_count, \
      extract(epoch FROM now() - last_archived_time) AS last_archive_age FROM pg_stat_archiver";
const ARCHIVER: &[Group] = &[Group {
    labels: &[],
    metrics: &[
        counter("archived_count", "pg_stat_archiver_archived_count", "Log segments archived."),
        counter("failed_count", "pg_stat_archiver_failed_count", "Failed attempts to archive."),
        gauge(
            "last_archive_age",
            "pg_stat_archiver_last_archive_age",
            "Seconds since a segment was archived.",
        ),
    ],
}];

// The largest 400 tables: with 21 metrics each that is below 10,000 series.
const TABLES_SQL: &str = "\
    SELECT current_database() AS datname, t.schemaname, t.relname, \
      coalesce(seq_scan, 0) AS seq_scan, coalesce(seq_tup_read, 0) AS seq_tup_read, \
      coalesce(idx_scan, 0) AS idx_scan, coalesce(idx_tup_fetch, 0) AS idx_tup_fetch, \
      n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, \
      n_mod_since_analyze, \
      coalesce(extract(epoch FROM last_vacuum), 0) AS last_vacuum, \
      coalesce(extract(epoch FROM last_autovacuum), 0) AS last_autovacuum, \
      coalesce(extract(epoch FROM last_analyze), 0) AS last_analyze, \
      coalesce(extract(epoch FROM last_autoanalyze), 0) AS last_autoanalyze, \
      vacuum_count, autovacuum_count, analyze_count, autoanalyze_count, \
      pg_table_size(t.relid) AS table_size, pg_indexes_size(t.relid) AS index_size \
    FROM pg_stat_user_tables t JOIN pg_class c ON c.oid = t.relid \
    ORDER BY c.relpages DESC, t.relid LIMIT 400";
const TABLE_LABELS: &[&str] = &["datname", "schemaname", "relname"];
const TABLES: &[Group] = &[Group {
    labels: TABLE_LABELS,
    metrics: &[
        counter("seq_scan", "pg_stat_user_tables_seq_scan", "Sequential scans."),
        counter("seq_tup_read", "pg_stat_user_tables_seq_tup_read", "Rows read by them."),
        counter("idx_scan", "pg_stat_user_tables_idx_scan", "Index scans."),
        counter("idx_tup_fetch", "pg_stat_user_tables_idx_tup_fetch", "Rows fetched by them."),
        counter("n_tup_ins", "pg_stat_user_tables_n_tup_ins", "Rows inserted."),
        counter("n_tup_upd", "pg_stat_user_tables_n_tup_upd", "Rows updated."),
        counter("n_tup_del", "pg_stat_user_tables_n_tup_del", "Rows deleted."),
        counter("n_tup_hot_upd", "pg_stat_user_tables_n_tup_hot_upd", "Updates inside the page."),
        gauge("n_live_tup", "pg_stat_user_tables_n_live_tup", "Live rows, estimated."),
        gauge("n_dead_tup", "pg_stat_user_tables_n_dead_tup", "Dead rows, estimated."),
        gauge(
            "n_mod_since_analyze",
            "pg_stat_user_tables_n_mod_since_analyze",
            "Rows changed since the last analyze.",
        ),
        gauge("last_vacuum", "pg_stat_user_tables_last_vacuum", "Last vacuum by hand."),
        gauge("last_autovacuum", "pg_stat_user_tables_last_autovacuum", "Last autovacuum."),
        gauge("last_analyze", "pg_stat_user_tables_last_analyze", "Last analyze by hand."),
        gauge("last_autoanalyze", "pg_stat_user_tables_last_autoanalyze", "Last autoanalyze."),
        counter("vacuum_count", "pg_stat_user_tables_vacuum_count", "Vacuums by hand."),
        counter("autovacuum_count", "pg_stat_user_tables_autovacuum_count", "Autovacuums."),
        counter("analyze_count", "pg_stat_user_tables_analyze_count", "Analyzes by hand."),
        counter("autoanalyze_count", "pg_stat_user_tables_autoanalyze_count", "Autoanalyzes."),
        gauge("table_size", "pg_stat_user_tables_table_size_bytes", "Size without indexes."),
        gauge("index_size", "pg_stat_user_tables_index_size_bytes", "Size of the indexes."),
    ],
}];

const TABLES_IO_SQL: &str = "\
    SELECT current_database() AS datname, t.schemaname, t.relname, heap_blks_read, heap_blks_hit, \
      coalesce(idx_blks_read, 0) AS idx_blks_read, coalesce(idx_blks_hit, 0) AS idx_blks_hit, \
      coalesce(toast_blks_read, 0) AS toast_blks_read, \
      coalesce(toast_blks_hit, 0) AS toast_blks_hit, \
      coalesce(tidx_blks_read, 0) AS tidx_blks_read, coalesce(tidx_blks_hit, 0) AS tidx_blks_hit \
    FROM pg_statio_user_tables t JOIN pg_class c ON c.oid = t.relid \
    ORDER BY c.relpages DESC, t.relid LIMIT 400";
const TABLES_IO: &[Group] = &[Group {
    labels: TABLE_LABELS,
    metrics: &[
        counter("heap_blks_read", "pg_statio_user_tables_heap_blocks_read", "Blocks read."),
        counter("heap_blks_hit", "pg_statio_user_tables_heap_blocks_hit", "Blocks in buffers."),
        counter("idx_blks_read", "pg_statio_user_tables_idx_blocks_read", "Index blocks read."),
        counter("idx_blks_hit", "pg_statio_user_tables_idx_blocks_hit", "Index blocks hit."),
        counter("toast_blks_read", "pg_statio_user_tables_toast_blocks_read", "TOAST read."),
        counter("toast_blks_hit", "pg_statio_user_tables_toast_blocks_hit", "TOAST hit."),
        counter("tidx_blks_read", "pg_statio_user_tables_tidx_blocks_read", "TOAST index read."),
        counter("tidx_blks_hit", "pg_statio_user_tables_tidx_blocks_hit", "TOAST index hit."),
    ],
}];

const WAL_SQL: &str = "\
    SELECT count(*) AS segments, coalesce(sum(size), 0) AS size_bytes FROM pg_ls_waldir() \
    WHERE name ~ '^[0-9A-F]{24}$'";
const WAL: &[Group] = &[Group {
    labels: &[],
    metrics: &[
        gauge("segments", "pg_wal_segments", "Log segments on disk."),
        gauge("size_bytes", "pg_wal_size_bytes", "Bytes of log on disk."),
    ],
}];

const POSTMASTER_SQL: &str = "SELECT extract(epoch FROM pg_postmaster_start_time()) AS start_time";
const POSTMASTER: &[Group] = &[Group {
    labels: &[],
    metrics: &[gauge("start_time", "pg_postmaster_start_time_seconds", "When the server started.")],
}];

// The names say seconds, upstream's mistake; the values are numbers of transactions.
const WRAPAROUND_SQL: &str = "\
    SELECT datname, age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS mxid_age \
    FROM pg_database WHERE datallowconn LIMIT 1000";
const WRAPAROUND: &[Group] = &[Group {
    labels: &["datname"],
    metrics: &[
        gauge(
            "xid_age",
            "pg_database_wraparound_age_datfrozenxid_seconds",
            "Transactions since the oldest row was frozen.",
        ),
        gauge(
            "mxid_age",
            "pg_database_wraparound_age_datminmxid_seconds",
            "Multixacts since the oldest one.",
        ),
    ],
}];

const LONG_RUNNING_SQL: &str = "\
    SELECT count(*) AS transactions, \
      coalesce(extract(epoch FROM min(xact_start)), 0) AS oldest_timestamp \
    FROM pg_stat_activity WHERE state IS DISTINCT FROM 'idle' \
      AND xact_start < clock_timestamp() - interval '1 minute' AND query NOT LIKE 'autovacuum:%'";
const LONG_RUNNING: &[Group] = &[Group {
    labels: &[],
    metrics: &[
        gauge("transactions", "pg_long_running_transactions", "Transactions older than a minute."),
        gauge(
            "oldest_timestamp",
            "pg_long_running_transactions_oldest_timestamp_seconds",
            "When the oldest of them began, 0 without any.",
        ),
    ],
}];

const AUTOVACUUM_SQL: &str = "\
    SELECT relid::regclass::text AS relname, extract(epoch FROM a.xact_start) AS started \
    FROM pg_stat_progress_vacuum v JOIN pg_stat_activity a USING (pid) \
    WHERE v.datname = current_database() AND a.backend_type = 'autovacuum worker' LIMIT 100";
const AUTOVACUUM: &[Group] = &[Group {
    labels: &["relname"],
    metrics: &[gauge(
        "started",
        "pg_stat_activity_autovacuum_timestamp_seconds",
        "When the running autovacuum began.",
    )],
}];

const PROGRESS_SQL: &str = "\
    SELECT datname, relid::regclass::text AS relname, phase, 1 AS one, heap_blks_total, \
      heap_blks_scanned, heap_blks_vacuumed, index_vacuum_count, \
      max_dead_tuples AS max_dead, num_dead_tuples AS num_dead \
    FROM pg_stat_progress_vacuum WHERE datname = current_database() LIMIT 100";
const PROGRESS_SQL_17: &str = "\
    SELECT datname, relid::regclass::text AS relname, phase, 1 AS one, heap_blks_total, \
      heap_blks_scanned, heap_blks_vacuumed, index_vacuum_count, num_dead_item_ids AS num_dead \
    FROM pg_stat_progress_vacuum WHERE datname = current_database() LIMIT 100";
const PROGRESS: &[Group] = &[
    Group {
        labels: &["datname", "relname", "phase"],
        metrics: &[gauge("one", "pg_stat_progress_vacuum_phase", "What the vacuum is doing.")],
    },
    Group {
        labels: &["datname", "relname"],
        metrics: &[
            gauge("heap_blks_total", "pg_stat_progress_vacuum_heap_blks", "Blocks in all."),
            gauge(
                "heap_blks_scanned",
                "pg_stat_progress_vacuum_heap_blks_scanned",
                "Blocks scanned.",
            ),
            gauge(
                "heap_blks_vacuumed",
                "pg_stat_progress_vacuum_heap_blks_vacuumed",
                "Blocks vacuumed.",
            ),
            gauge(
                "index_vacuum_count",
                "pg_stat_progress_vacuum_index_vacuums",
                "Rounds over the indexes.",
            ),
            gauge(
                "max_dead",
                "pg_stat_progress_vacuum_max_dead_tuples",
                "Dead rows that fit into memory.",
            ),
            gauge(
                "num_dead",
                "pg_stat_progress_vacuum_num_dead_tuples",
                "Dead rows found since the last round.",
            ),
        ],
    },
];

// Ours. `last_value` is NULL for a role without rights on the sequence; such rows are left out.
const SEQUENCES_SQL: &str = "\
    SELECT current_database() AS datname, schemaname, sequencename, \
      last_value::float8 / max_value::float8 AS used \
    FROM pg_sequences WHERE increment_by > 0 AND last_value IS NOT NULL \
    ORDER BY 4 DESC LIMIT 100";
const SEQUENCES: &[Group] = &[Group {
    labels: &["datname", "schemaname", "sequencename"],
    metrics: &[gauge("used", "pg_sequence_used_ratio", "How much of the sequence is used up.")],
}];

// Ours. A failed CREATE INDEX CONCURRENTLY leaves one behind that only costs.
const INDEXES_SQL: &str = "\
    SELECT current_database() AS datname, n.nspname AS schemaname, t.relname, \
      c.relname AS indexrelname, 1 AS invalid \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid LIMIT 100";
const INDEXES: &[Group] = &[Group {
    labels: &["datname", "schemaname", "relname", "indexrelname"],
    metrics: &[gauge("invalid", "pg_index_invalid", "An index that is not valid.")],
}];
