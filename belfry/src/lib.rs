//! The one binary: command line, config, roles, wiring, start, reload, stop.
