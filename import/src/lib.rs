//! Reads what other servers left on disk: a Prometheus data directory (blocks and write-ahead log)
//! and OpenMetrics text, as batches for the store. Not here: where the batches go (belfry/cli).
