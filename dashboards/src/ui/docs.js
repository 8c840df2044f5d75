// Shows the OpenAPI document as a page. Text is only ever set as text.
"use strict";

const VERBS = ["get", "post", "put", "delete"];

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function resolved(documentation, schema) {
  if (!schema || !schema.$ref) return schema || {};
  const name = schema.$ref.split("/").pop();
  return { ...documentation.components.schemas[name], named: name };
}

// A shape in a few words.
function shape(documentation, schema, depth) {
  const own = resolved(documentation, schema);
  if (own.named && depth > 1) return own.named;
  if (own.anyOf) return own.anyOf.map((one) => shape(documentation, one, depth + 1)).join(" or ");
  if (own.enum) return own.enum.join(" | ");
  if (own.prefixItems) return `[${own.prefixItems.map((one) => shape(documentation, one, depth + 1)).join(", ")}]`;
  if (own.items) return `[${shape(documentation, own.items, depth + 1)}, …]`;
  if (own.properties) {
    const fields = Object.entries(own.properties).map(([name, field]) => {
      const mark = (own.required || []).includes(name) ? "" : "?";
      return `${"  ".repeat(depth + 1)}${name}${mark}: ${shape(documentation, field, depth + 1)}`;
    });
    return `{\n${fields.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  if (own.additionalProperties) return `{name: ${shape(documentation, own.additionalProperties, depth + 1)}, …}`;
  return own.type || "anything";
}

function parameterTable(documentation, parameters) {
  const node = element("table");
  const head = node.createTHead().insertRow();
  ["Parameter", "Where", "What", "Meaning"].forEach((text) => head.append(element("th", text)));
  const body = node.createTBody();
  parameters.forEach(({ name, place, schema, isRequired, meaning }) => {
    const row = body.insertRow();
    row.append(element("td", name + (isRequired ? " (needed)" : "")), element("td", place),
      element("td", schema.pattern ? "text" : shape(documentation, schema, 1)), element("td", meaning || ""));
  });
  return node;
}

function operation(documentation, path, verb, own) {
  const node = element("details");
  const head = element("summary");
  head.append(element("b", `${verb.toUpperCase()} ${path}`), ` ${own.summary} `,
    element("span", own["x-belfry-role"], "count"));
  node.append(head);
  const parameters = (own.parameters || []).map((one) => ({
    name: one.name, place: one.in, schema: one.schema, isRequired: one.required, meaning: one.description,
  }));
  const contents = Object.entries((own.requestBody || {}).content || {});
  contents.forEach(([kind, { schema }]) => {
    if (kind === "application/x-www-form-urlencoded") {
      Object.entries(schema.properties).forEach(([name, field]) =>
        parameters.push({ name, place: "form", schema: field, isRequired: (schema.required || []).includes(name) }));
    } else {
      node.append(element("p", `Body: ${kind}`), element("pre", shape(documentation, schema, 0)));
    }
  });
  if (parameters.length) node.append(parameterTable(documentation, parameters));
  Object.entries(own.responses).filter(([code]) => code < 300).forEach(([code, answer]) => {
    const kinds = Object.entries(answer.content || {});
    if (kinds.length === 0) node.append(element("p", `${code}: ${answer.description}`));
    kinds.forEach(([kind, { schema }]) => node.append(element("p", `${code}: ${kind}`),
      kind === "application/json" ? element("pre", shape(documentation, schema, 0)) : ""));
  });
  return node;
}

async function show() {
  const documentation = await (await fetch("api/v1/openapi.json")).json();
  document.getElementById("about").textContent = documentation.info.description;
  const groups = new Map();
  Object.entries(documentation.paths).forEach(([path, item]) => VERBS.filter((verb) => item[verb]).forEach((verb) => {
    const tag = item[verb].tags[0];
    if (!groups.has(tag)) groups.set(tag, []);
    groups.get(tag).push(operation(documentation, path, verb, item[verb]));
  }));
  const sections = [...groups].sort(([one], [two]) => one.localeCompare(two)).map(([tag, nodes]) => {
    const section = element("section");
    section.append(element("h2", tag), ...nodes);
    return section;
  });
  document.getElementById("operations").replaceChildren(...sections);
}

show().catch((problem) => { document.getElementById("about").textContent = problem.message; });
