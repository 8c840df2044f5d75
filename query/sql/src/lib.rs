//! The same data by SQL.
