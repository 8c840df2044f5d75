//! The Go text/template dialect that rule files and Alertmanager files use.
