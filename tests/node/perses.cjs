// Perses' Prometheus client against a server: `node perses.cjs URL`. Prints what it found as JSON.
"use strict";

const path = require("node:path");
const { install, folder } = require("./without_browser.cjs");

const url = process.argv[2];

// What Perses' core brings beside pages: fetching with errors as its plugins expect them.
async function fetchJson(input, init) {
  const response = await fetch(input, init);
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return response.json();
}
install({ "@perses-dev/core": { fetch, fetchJson } });

async function main() {
  const client = require(path.join(folder("@perses-dev/prometheus-plugin"), "lib/cjs/model/prometheus-client.js"));
  const options = { datasourceUrl: url };
  const end = Math.floor(Date.now() / 1000);
  const found = {
    health: await client.healthCheck(options)(),
    instant: await client.instantQuery({ query: "up" }, options),
    range: await client.rangeQuery({ query: "up", start: end - 60, end, step: 15 }, options),
    names: await client.labelNames({ "match[]": ["up"] }, options),
    values: await client.labelValues({ labelName: "job", "match[]": ["up"] }, options),
    series: await client.series({ "match[]": ["up"] }, options),
    metadata: await client.metricMetadata({ metric: "node_load1" }, options),
    tree: await client.parseQuery({ query: "sum by (job) (rate(up[5m]))" }, options),
  };
  process.stdout.write(JSON.stringify(found));
}

main().catch((problem) => { console.error(problem); process.exit(1); });
