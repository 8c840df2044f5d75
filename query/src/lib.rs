//! From a PromQL question to an answer.
