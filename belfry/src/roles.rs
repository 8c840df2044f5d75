//! The services a process can play, and which need each other.
//!
//! Place in the flow: `--services` → **`Roles`** → wiring. Told no services, Belfry refuses to start
//! and lists them: a process that guesses its role is how two of them end up scraping twice.

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Scrapes targets and takes pushed samples.
    Collect,
    /// Reads hosts, databases and queues in process.
    Exporters,
    /// Keeps samples on disk.
    Store,
    /// Answers PromQL and SQL.
    Query,
    /// Evaluates recording and alerting rules.
    Rules,
    /// Routes alerts to people.
    Alert,
    /// Serves the page and the API.
    Web,
}

/// All services: name, what it does, what it needs in the same process.
const SERVICES: [(Service, &str, &str, &[Service]); 7] = [
    (Service::Collect, "collect", "scrape targets, take pushed samples", &[Service::Store]),
    (Service::Exporters, "exporters", "read this host, databases and queues", &[Service::Collect]),
    (Service::Store, "store", "keep samples on disk", &[]),
    (Service::Query, "query", "answer PromQL and SQL", &[Service::Store]),
    (Service::Rules, "rules", "evaluate rules, raise alerts", &[Service::Query]),
    (Service::Alert, "alert", "route alerts to people", &[]),
    (Service::Web, "web", "serve the page and the API", &[]),
];

impl Service {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        SERVICES.iter().find(|(own, ..)| *own == self).map_or("", |(_, name, ..)| name)
    }
}

/// The services of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Service>);

impl Roles {
    /// Reads `all` or a list such as `collect,store`. The error tells what can be said.
    pub fn parse(text: Option<&str>) -> Result<Roles, String> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Err(format!(
                "tell me what to run: --services all, or a list of\n{}",
                Roles::catalogue()
            ));
        };
        if text.trim() == "all" {
            return Ok(Roles(SERVICES.iter().map(|(service, ..)| *service).collect()));
        }
        let mut services = Vec::new();
        for name in text.split(',').map(str::trim) {
            let found = SERVICES.iter().find(|(_, own, ..)| *own == name);
            let (service, ..) = found.ok_or_else(|| {
                format!(
                    "--services: there is no service {name:?}; choose from\n{}",
                    Roles::catalogue()
                )
            })?;
            if !services.contains(service) {
                services.push(*service);
            }
        }
        let roles = Roles(services);
        roles.check()?;
        Ok(roles)
    }

    fn check(&self) -> Result<(), String> {
        for (service, name, _, needs) in SERVICES.iter().filter(|(own, ..)| self.has(*own)) {
            debug_assert!(self.has(*service));
            if let Some(missing) = needs.iter().find(|needed| !self.has(**needed)) {
                let missing = missing.name();
                return Err(format!(
                    "--services: {name} needs {missing} in the same process; add {missing}"
                ));
            }
        }
        Ok(())
    }

    /// Whether this process plays a service.
    pub fn has(&self, service: Service) -> bool {
        self.0.contains(&service)
    }

    /// The names, separated by commas.
    pub fn names(&self) -> String {
        self.0.iter().map(|service| service.name()).collect::<Vec<_>>().join(",")
    }

    fn catalogue() -> String {
        let lines: Vec<String> =
            SERVICES.iter().map(|(_, name, what, _)| format!("  {name:<10} {what}")).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_nothing_it_lists_all() {
        let message = Roles::parse(None).expect_err("refuses");
        for (_, name, ..) in SERVICES {
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(Roles::parse(Some("all")).map(|roles| roles.0.len()), Ok(7));
        let roles = Roles::parse(Some("store, query,web")).expect("a list");
        assert!(roles.has(Service::Query) && !roles.has(Service::Rules));
        assert!(Roles::parse(Some("sotre")).expect_err("unknown").contains("\"sotre\""));
        assert!(Roles::parse(Some("query")).expect_err("needs").contains("needs store"));
    }
}
