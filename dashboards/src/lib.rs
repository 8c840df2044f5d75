//! What a person or Grafana talks to: HTTP API and the embedded page.
