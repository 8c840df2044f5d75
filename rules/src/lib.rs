//! From an answer to an alert: groups, evaluation, state, restore, packs of tuned alarms.
