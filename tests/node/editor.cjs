// The HTTP client of Prometheus' PromQL editor against a server: `node editor.cjs URL`. Prints what it
// found as JSON.
"use strict";

const path = require("node:path");
const { folder } = require("./without_browser.cjs");

const url = process.argv[2];

async function main() {
  const file = path.join(folder("@prometheus-io/codemirror-promql"), "dist/cjs/client/prometheus.js");
  const { HTTPPrometheusClient } = require(file);
  const found = {};
  for (const httpMethod of ["POST", "GET"]) {
    const client = new HTTPPrometheusClient({
      url, httpMethod, httpErrorHandler: (problem) => { throw problem; }, lookbackInterval: 3600000,
    });
    found[httpMethod] = {
      names: await client.labelNames("up"),
      values: await client.labelValues("job", "up"),
      metrics: await client.metricNames("node_l"),
      metadata: await client.metricMetadata(),
      series: await client.series("up"),
      flags: await client.flags(),
    };
  }
  process.stdout.write(JSON.stringify(found));
}

main().catch((problem) => { console.error(problem); process.exit(1); });
