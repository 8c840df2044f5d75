//! From a target to a committed batch: discovery, schedule, scrape, formats, relabel, staleness.
