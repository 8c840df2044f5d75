//! Journal, memory, files and merges of what lies beside numbers.
