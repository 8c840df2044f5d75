// The page's script: asks /api/v1 and draws what it answers. Text is only ever set as text. All
// addresses are relative, so that it works under a path prefix too.
"use strict";

const REFRESH_MS = 10000;
const SERIES_MAX = 30;
const COLOURS = ["#3778bf", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#666"];

const byId = (id) => document.getElementById(id);

async function api(path, parameters) {
  const body = new URLSearchParams(parameters);
  const options = parameters ? { method: "POST", body } : {};
  const response = await fetch(`api/v1/${path}`, options);
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(answer.error);
  return answer.data;
}

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function table(headings, rows) {
  const node = element("table");
  const head = node.createTHead().insertRow();
  headings.forEach((heading, index) =>
    head.append(element("th", heading, rows[0] && rows[0][index].className === "number" ? "number" : "")));
  const body = node.createTBody();
  rows.forEach((cells) => body.insertRow().append(...cells));
  return node;
}

function labelText(labels, hidden) {
  return Object.entries(labels)
    .filter(([name]) => !hidden.includes(name))
    .map(([name, value]) => `${name}="${value}"`)
    .join(" ");
}

// An exporter that answers may tell of a server that does not.
async function serversDown() {
  const query = '{__name__=~"pg_up|redis_up|haproxy_up"} == 0';
  try {
    return (await api("query", { query })).result.map((one) => one.metric);
  } catch {
    return [];
  }
}

async function showTargets() {
  const targets = (await api("targets")).activeTargets;
  for (const metric of await serversDown()) {
    const target = targets.find((one) => one.health === "up"
      && one.labels.job === metric.job && one.labels.instance === metric.instance);
    if (!target) continue;
    target.health = "down";
    target.lastError = `${metric.__name__} is 0: the server does not answer`;
  }
  const down = targets.filter((target) => target.health === "down");
  targets.sort((a, b) => (a.health === "down" ? 0 : 1) - (b.health === "down" ? 0 : 1)
    || a.scrapePool.localeCompare(b.scrapePool));
  byId("targets-count").textContent = `${targets.length}, ${down.length} down`;
  const rows = targets.map((target) => [
    element("td", target.health, `state ${target.health}`),
    element("td", target.scrapePool),
    element("td", target.labels.instance),
    element("td", `${(target.lastScrapeDuration * 1000).toFixed(0)} ms`, "number"),
    element("td", target.lastError, "error"),
  ]);
  byId("targets").replaceChildren(table(["State", "Job", "Instance", "Took", "Error"], rows));
  return { watched: targets.length, down: down.length };
}

async function showAlarms() {
  const alerts = (await api("alerts")).alerts;
  const firing = alerts.filter((alert) => alert.state === "firing");
  alerts.sort((a, b) => a.state.localeCompare(b.state) || a.activeAt.localeCompare(b.activeAt));
  byId("alarms-count").textContent = `${firing.length} ringing, ${alerts.length - firing.length} pending`;
  if (alerts.length === 0) {
    byId("alarms").replaceChildren(element("p", "Nothing rings.", "quiet"));
    return firing.length;
  }
  const rows = alerts.map((alert) => [
    element("td", alert.state, `state ${alert.state}`),
    element("td", alert.labels.alertname),
    element("td", alert.annotations.summary || labelText(alert.labels, ["alertname"])),
    element("td", new Date(alert.activeAt).toLocaleString()),
    element("td", alert.value, "number"),
  ]);
  byId("alarms").replaceChildren(table(["State", "Alarm", "What", "Since", "Value"], rows));
  return firing.length;
}

async function refresh() {
  const [targets, alarms] = await Promise.allSettled([showTargets(), showAlarms()]);
  const parts = [];
  if (targets.status === "fulfilled") parts.push(`${targets.value.watched} targets watched, ${targets.value.down} down`);
  else byId("targets").replaceChildren(element("p", targets.reason.message, "error"));
  if (alarms.status === "fulfilled") parts.push(`${alarms.value} alarms ringing`);
  else byId("alarms").replaceChildren(element("p", alarms.reason.message, "error"));
  byId("summary").textContent = parts.join("; ") || "No answer from Belfry.";
}

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  if (text !== undefined) node.textContent = text;
  return node;
}

function number(value) {
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e6 || magnitude < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

function drawChart(series, start, end) {
  const width = 1000, height = 260, left = 60, bottom = 22;
  const values = series.flatMap((one) => one.values.map((point) => Number(point[1]))).filter(Number.isFinite);
  let low = Math.min(...values, 0), high = Math.max(...values);
  if (!(high > low)) high = low + 1;
  const x = (time) => left + ((time - start) / (end - start)) * (width - left);
  const y = (value) => (height - bottom) * (1 - (value - low) / (high - low));
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
  for (let step = 0; step <= 4; step++) {
    const value = low + ((high - low) * step) / 4;
    chart.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    chart.append(svg("text", { x: 0, y: Math.max(10, y(value) + 4) }, number(value)));
    const time = start + ((end - start) * step) / 4;
    const anchor = step === 4 ? "end" : "start";
    chart.append(svg("text", { x: x(time), y: height - 6, "text-anchor": anchor }, new Date(time * 1000).toLocaleTimeString()));
  }
  series.forEach((one, index) => {
    let path = "", pen = "M", last = null;
    const gap = ((end - start) / 250) * 1.5;
    one.values.forEach(([time, text]) => {
      const value = Number(text);
      if (!Number.isFinite(value)) { pen = "M"; return; }
      if (last !== null && time - last > gap) pen = "M";
      path += `${pen}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
      last = time;
    });
    chart.append(svg("path", { d: path, stroke: COLOURS[index % COLOURS.length] }));
  });
  return chart;
}

// The end of the shown range: what a link says, else now.
let fixedEnd = null;

function showLegend(data) {
  const shown = data.result.slice(0, SERIES_MAX);
  const lines = shown.map((one, index) => {
    const line = element("div");
    const mark = svg("svg", { viewBox: "0 0 1 1" });
    mark.append(svg("rect", { width: 1, height: 1, fill: COLOURS[index % COLOURS.length] }));
    const last = one.values ? one.values[one.values.length - 1] : [0, "NaN"];
    const name = one.metric.__name__ || "";
    line.append(mark, `${name}{${labelText(one.metric, ["__name__"])}} ${number(Number(last[1]))}`);
    return line;
  });
  if (data.result.length > SERIES_MAX) lines.push(element("div", `… and ${data.result.length - SERIES_MAX} more series`));
  if (data.result.length === 0) lines.push(element("div", "No data in this range."));
  byId("legend").replaceChildren(...lines);
}

async function showGraph(query, end) {
  const start = end - Number(byId("range").value);
  const step = Math.max(1, Math.ceil((end - start) / 250));
  const data = await api("query_range", { query, start, end, step });
  const drawn = data.result.slice(0, SERIES_MAX).map((one) => ({ values: one.values || [] }));
  byId("chart").replaceChildren(drawChart(drawn, start, end));
  showLegend(data);
}

function cell(one) {
  if (one.histogram) return `count ${one.histogram[1].count}, sum ${one.histogram[1].sum}`;
  if (one.values) return one.values.map(([time, value]) => `${value} @${time}`).join("\n");
  return one.value[1];
}

async function showTable(query, time) {
  const data = await api("query", { query, time });
  const series = Array.isArray(data.result[0]) || typeof data.result[0] === "object"
    ? data.result : data.result.length ? [{ metric: {}, value: data.result }] : [];
  const rows = series.map((one) => [
    element("td", `${one.metric.__name__ || ""}{${labelText(one.metric, ["__name__"])}}`),
    element("td", cell(one), "number"),
  ]);
  const nothing = element("p", "Empty result.", "quiet");
  byId("chart").replaceChildren(rows.length ? table(["Series", "Value"], rows) : nothing);
  byId("legend").replaceChildren();
}

async function runQuery(event) {
  if (event) event.preventDefault();
  const error = byId("query-error");
  error.hidden = true;
  const end = fixedEnd === null ? Date.now() / 1000 : fixedEnd;
  const show = byId("tab").value === "table" ? showTable : showGraph;
  try {
    await show(byId("query").value, end);
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
  }
}

function seconds(text) {
  const units = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
  const parts = [...text.matchAll(/(\d+)([smhdwy])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit], 0);
}

// What links to /graph say: expression, range, end and tab, as Prometheus writes them.
function readLink() {
  const link = new URLSearchParams(location.search);
  const expression = link.get("g0.expr");
  if (expression) byId("query").value = expression;
  const range = seconds(link.get("g0.range_input") || "");
  if (range > 0) {
    const known = [...byId("range").options].find((own) => Number(own.value) === range);
    const option = known || element("option", link.get("g0.range_input"));
    option.value = String(range);
    option.selected = true;
    if (!known) byId("range").append(option);
  }
  const end = Date.parse(`${(link.get("g0.end_input") || link.get("g0.moment_input") || "").replace(" ", "T")}Z`);
  if (!Number.isNaN(end)) fixedEnd = end / 1000;
  if (["1", "table"].includes(link.get("g0.tab"))) byId("tab").value = "table";
}

readLink();
byId("query-form").addEventListener("submit", runQuery);
refresh();
runQuery();
setInterval(refresh, REFRESH_MS);
