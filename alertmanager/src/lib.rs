//! From an alert to a person: intake, route, group, stages, delivery.
