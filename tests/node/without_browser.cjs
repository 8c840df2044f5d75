// Loads parts of Grafana's and Perses' front ends without a browser: modules that draw are replaced
// by empty ones, the client code runs as it is published.
//
// Invariant: nothing of the package under test is replaced, only what it imports for its pages.
"use strict";

const Module = require("node:module");
const path = require("node:path");

// What runs as it is; everything else outside of the package under test is empty.
const REAL = [
  /^node:/, /^lodash/, /^rxjs/, /^semver/, /^@lezer\//, /^@prometheus-io\//, /^lru-cache/, /^tslib/,
  /^uuid/, /^debounce-promise/, /^@leeoniya\/ufuzzy/, /^pluralize/, /^prismjs/, /^@codemirror\//,
  /^@marijn\//, /^style-mod/, /^w3c-keyname/, /^crelt/, /^date-fns/, /^lodash-es/, /^qs/, /^zod/,
];

// Something that can be called, made and asked for any field, and gives nothing.
function nothing(name) {
  return new Proxy(class {}, {
    get(own, key) {
      if (key === "prototype") return own.prototype;
      if (key === "then" || typeof key === "symbol") return undefined;
      return key === "__esModule" ? true : nothing(`${name}.${key}`);
    },
    apply: () => nothing(`${name}()`),
  });
}

// Hands `given[module]` to whoever imports it (what it lacks is empty), and nothing for other modules
// that draw.
exports.install = function install(given) {
  const whole = ([name, own]) => [name, new Proxy(own, {
    get: (fields, key) => (key in fields ? fields[key] : nothing(`${name}.${String(key)}`)),
  })];
  const replaced = Object.fromEntries(Object.entries(given).map(whole));
  const load = Module._load;
  Module._load = function loaded(request, parent, isMain) {
    if (request in replaced) return replaced[request];
    const isOwn = request.startsWith(".") || path.isAbsolute(request);
    const isBuiltin = Module.builtinModules.includes(request);
    if (isOwn || isBuiltin || REAL.some((own) => own.test(request))) return load.call(this, request, parent, isMain);
    return nothing(request);
  };
};

// Where a package lies, whatever its `exports` say.
exports.folder = (name) => path.join(process.cwd(), "node_modules", name);
