//! From a committed batch to a column on disk and back.
