// Grafana's data source class for Prometheus against a server: `node grafana.cjs URL`. Prints what it
// found as JSON. Its calls for resources go to the URL, as Grafana's back end forwards them.
"use strict";

const path = require("node:path");
const { install, folder } = require("./without_browser.cjs");

const url = process.argv[2];
const asked = [];

async function resource(method, route, parameters, headers) {
  const form = new URLSearchParams();
  Object.entries(parameters || {}).forEach(([name, value]) =>
    [].concat(value).filter((one) => one !== undefined).forEach((one) => form.append(name, one)));
  const target = `${url}/${route}`;
  asked.push(`${method} ${route}`);
  const response = method === "GET"
    ? await fetch(`${target}?${form}`)
    : await fetch(target, { method, body: form, headers });
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.error), { status: response.status, data: body });
  return body;
}

class DataSourceWithBackend {
  constructor(settings) { Object.assign(this, { uid: settings.uid, id: settings.id, name: settings.name }); }
  getResource(route, parameters) { return resource("GET", route, parameters); }
  postResource(route, parameters, options) { return resource("POST", route, parameters, options.headers); }
}

// The few things of Grafana's own libraries that the calls need: time and variables.
function dateTime(at = Date.now()) {
  return { subtract: (count) => dateTime(at - count * 60000), valueOf: () => at, diff: (other) => at - other.valueOf(), utcOffset: () => 0 };
}
const range = () => ({ from: dateTime(Date.now() - 3600000), to: dateTime() });
const templates = { replace: (text) => text, containsTemplate: () => false, getVariables: () => [] };
const AbstractLabelOperator = { Equal: "Equal", NotEqual: "NotEqual", EqualRegEx: "EqualRegEx", NotEqualRegEx: "NotEqualRegEx" };
install({
  "@grafana/data": {
    dateTime, getDefaultTimeRange: range, AbstractLabelOperator,
    CustomVariableSupport: class {}, CoreApp: {}, scopeFilterOperatorMap: {},
    DataSourceApi: class {}, FieldType: {}, LoadingState: {}, MutableDataFrame: class {},
    isValidDuration: () => true, parseDuration: () => ({ minutes: 10 }), durationToMilliseconds: () => 600000,
    rangeUtil: { intervalToMs: () => 15000 }, incrRoundDn: (value, step) => Math.floor(value / step) * step,
    dateMath: { parse: () => dateTime() },
  },
  "@grafana/runtime": {
    DataSourceWithBackend, getTemplateSrv: () => templates, config: { featureToggles: {} },
    isFetchError: (error) => typeof error.status === "number", getBackendSrv: () => ({}), reportInteraction() {},
  },
});

async function main() {
  const { PrometheusDatasource } = require(path.join(folder("@grafana/prometheus"), "dist/cjs/datasource.cjs"));
  const source = (jsonData) => new PrometheusDatasource({
    uid: "b", id: 1, name: "Belfry", url, access: "proxy", type: "prometheus", jsonData,
  });
  const own = source({ httpMethod: "POST", prometheusType: "Prometheus", prometheusVersion: "2.50.1" });
  await own.init();
  await own.loadRules();
  const found = { exemplars: own.exemplarsAvailable, rules: own.ruleMappings };
  await own.languageProvider.start(range());
  found.metrics = own.languageProvider.retrieveMetrics();
  found.metadata = own.languageProvider.retrieveMetricsMetadata();
  found.keys = await own.languageProvider.queryLabelKeys(range(), '{__name__="up"}');
  found.values = await own.languageProvider.queryLabelValues(range(), "job", "up");
  found.tags = await own.getTagValues({ key: "job", timeRange: range(), filters: [] });
  const find = async (query) => (await own.metricFindQuery(query, { range: range() })).map((one) => one.text);
  found.names = await find("label_names()");
  found.variable = await find("label_values(up, job)");
  found.matching = await find("metrics(^up$)");
  found.result = await find("query_result(up)");
  found.series = await find('up{job!=""}');
  const old = source({ httpMethod: "GET", prometheusType: "Prometheus", prometheusVersion: "2.0.0", seriesEndpoint: true });
  await old.languageProvider.start(range());
  found.oldMetrics = old.languageProvider.retrieveMetrics();
  found.oldValues = await old.languageProvider.queryLabelValues(range(), "job", "up");
  found.asked = [...new Set(asked)].sort();
  process.stdout.write(JSON.stringify(found));
}

main().catch((problem) => { console.error(problem); process.exit(1); });
