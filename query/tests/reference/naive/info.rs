//! `info`: the labels of info metrics that share `instance` and `job`.

use std::collections::BTreeMap;

use model::{MatchOp, Matcher};
use promql::ast::{Expr, ExprKind};

use super::{Element, Labels, Moment, NAME, Outcome};

fn identity(labels: &Labels) -> Labels {
    let wanted = labels.iter().filter(|(name, _)| *name == "instance" || *name == "job");
    wanted.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Moment<'_> {
    /// Of a base whose selectors have no modifiers.
    pub fn info(&self, args: &[Expr]) -> Outcome<Vec<Element>> {
        let matchers = match args.get(1).map(|arg| &arg.without_parens().kind) {
            Some(ExprKind::Vector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            matchers.into_iter().partition(|own| own.name() == NAME);
        let is_positive = |own: &Matcher| matches!(own.op(), MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(NAME, "target_info"));
        } else if !names.iter().any(is_positive) {
            names.push(
                Matcher::new(NAME, MatchOp::Regex, ".+_info").map_err(|own| own.to_string())?,
            );
        }
        let base = self.vector(&args[0])?;
        let newest = self.newest_infos(&base, &names, &data)?;
        let mut found = Vec::new();
        for own in base {
            if is_info(&names, &own.labels) {
                found.push(own);
                continue;
            }
            let identity = identity(&own.labels);
            let infos = newest.iter().filter(|(key, _)| key.1 == identity && !identity.is_empty());
            let infos: Vec<&Labels> = infos.map(|(_, (_, labels))| labels).collect();
            if infos.is_empty() && data.iter().any(|own| !own.matches_empty()) {
                continue;
            }
            let mut added = Labels::new();
            for (name, value) in infos.into_iter().flatten() {
                let is_named = data.is_empty() || data.iter().any(|own| own.name() == name);
                let is_known = name == NAME || own.labels.contains_key(name);
                if is_known || !is_named {
                    continue;
                }
                if added.insert(name.clone(), value.clone()).is_some_and(|other| other != *value) {
                    return Err(format!("conflicting label: {name}"));
                }
            }
            let labels = own.labels.into_iter().chain(added).collect();
            found.push(Element { labels, ..own });
        }
        super::unique(&found)?;
        Ok(found)
    }

    /// The info series that count, by metric and by whom they are about, with their instants.
    fn newest_infos(
        &self,
        base: &[Element],
        names: &[Matcher],
        data: &[Matcher],
    ) -> Outcome<BTreeMap<(String, Labels), (i64, Labels)>> {
        let asks = |own: &&Element| !is_info(names, &own.labels);
        // Only those are looked at whose identifying labels any element has.
        let value = |labels: &Labels, name: &str| labels.get(name).cloned().unwrap_or_default();
        let is_wanted = |labels: &Labels| {
            let has = |name: &str| {
                base.iter().filter(asks).any(|own| value(&own.labels, name) == value(labels, name))
            };
            has("instance") && has("job")
        };
        let mut newest: BTreeMap<(String, Labels), (i64, Labels)> = BTreeMap::new();
        let selected: Vec<Matcher> = names.iter().chain(data).cloned().collect();
        let mut unwanted = std::collections::BTreeSet::new();
        for (ts, own) in self.newest_of(&selected, self.at_ms) {
            if !is_wanted(&own.labels) {
                // Another step may want them, and then two of one instant are refused here too.
                let key = (value(&own.labels, NAME), identity(&own.labels), ts);
                if !unwanted.insert(key) {
                    self.world.is_ambiguous.set(true);
                }
                continue;
            }
            if own.point.number().is_none() {
                return Err("an info metric with histograms".to_owned());
            }
            let key = (value(&own.labels, NAME), identity(&own.labels));
            match newest.get(&key) {
                Some((other, _)) if *other == ts => {
                    return Err("found duplicate series for info metric".to_owned());
                }
                Some((other, _)) if *other > ts => {}
                _ => drop(newest.insert(key, (ts, own.labels))),
            }
        }
        Ok(newest)
    }
}

/// Whether a series is an info metric itself.
fn is_info(names: &[Matcher], labels: &Labels) -> bool {
    let name = labels.get(NAME).map_or("", String::as_str);
    names.iter().all(|own| own.matches(name))
}
