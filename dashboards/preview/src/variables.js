// What a dashboard's variables stand for, and how they are written into queries and links: as
// Grafana does it for a Prometheus data source.
import { rangeUtil } from '@grafana/data';
import { ask } from './prometheus.js';

const ALL = '$__all';
const REFERENCE = /\$(\w+)|\[\[(\w+)\]\]|\$\{(\w+(?:\.\w+)*)(?::([^}]+))?\}/g;

// Choices of every variable in order, each within those before it. `wanted` holds what the
// reader chose, by name.
export async function resolve(list, wanted, range) {
  const known = {};
  for (const variable of list) {
    known[variable.name] = await one(variable, wanted[variable.name], known, range);
  }
  return known;
}

async function one(variable, wanted, known, range) {
  const { name, type, label } = variable;
  const shown = { name, label: label ?? name, hidden: variable.hide === 2, allValue: variable.allValue };
  if (type === 'datasource') {
    return { ...shown, options: [{ text: 'Prometheus', value: 'prometheus' }], chosen: ['prometheus'] };
  }
  if (type !== 'query') {
    return { ...shown, options: [], chosen: [String(variable.query ?? '')] };
  }
  const query = typeof variable.query === 'string' ? variable.query : variable.query.query;
  const found = await choices(written(query, known), range);
  const options = sorted(filtered(found, variable.regex), variable.sort);
  if (variable.includeAll) {
    options.unshift({ text: 'All', value: ALL });
  }
  const asked = wanted === undefined ? [] : [wanted].flat();
  const chosen = options.filter((o) => asked.includes(o.value) || asked.includes(o.text));
  const first = chosen.length ? chosen : options.slice(0, 1);
  return { ...shown, options, chosen: first.map((o) => o.value), multi: Boolean(variable.multi) };
}

async function choices(query, range) {
  const labelled = query.match(/^\s*label_values\((?:(.+),\s*)?([a-zA-Z_]\w*)\)\s*$/s);
  const span = { start: range.from / 1000, end: range.to / 1000 };
  if (labelled) {
    const [, selector, label] = labelled;
    return ask(`label/${label}/values`, { ...span, ...(selector ? { 'match[]': selector } : {}) });
  }
  const counted = query.match(/^\s*query_result\((.+)\)\s*$/s);
  if (counted) {
    const found = await ask('query', { query: counted[1], time: span.end });
    return found.result.map(({ metric: { __name__: metric = '', ...labels }, value }) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`);
      return `${metric}{${pairs.join(',')}} ${value[1]} ${value[0] * 1000}`;
    });
  }
  throw new Error(`no such kind of variable: ${query}`);
}

function filtered(values, regex) {
  if (!regex) {
    return values.map((value) => ({ text: value, value }));
  }
  const [, body, flags] = regex.match(/^\/(.*)\/(\w*)$/s) ?? [null, regex, ''];
  const options = [];
  for (const value of values) {
    const matches = [...value.matchAll(new RegExp(body, flags.includes('g') ? flags : `${flags}g`))];
    if (!matches.length) {
      continue;
    }
    const groups = Object.assign({}, ...matches.map((match) => definite(match.groups ?? {})));
    const first = matches[0][1] ?? matches[0][0];
    const option = { value: groups.value ?? groups.text ?? first };
    options.push({ ...option, text: groups.text ?? option.value });
  }
  return options.filter((o, at) => options.findIndex((p) => p.value === o.value) === at);
}

function definite(groups) {
  return Object.fromEntries(Object.entries(groups).filter(([, text]) => text !== undefined));
}

function sorted(options, sort) {
  if (!sort) {
    return options;
  }
  const numeric = sort === 3 || sort === 4;
  const descending = sort % 2 === 0;
  const order = (a, b) => a.text.localeCompare(b.text, undefined, { numeric, sensitivity: 'base' });
  return [...options].sort(descending ? (a, b) => order(b, a) : order);
}

// --- writing

// Grafana's escapes of a value within a string of PromQL: in a pattern, and in plain text.
const escaped = (value) =>
  value.replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, '\\\\$&');
const quoted = (value) => value.replace(/\\/g, '\\\\').replace(/'/g, "\\\\'");

const forQuery = (variable) => {
  const values = real(variable);
  if (variable.allValue && variable.chosen.includes(ALL)) {
    return variable.allValue;
  }
  // What may be only one value is not a pattern, and is written as it is.
  if (!variable.multi) {
    return quoted(values[0] ?? '');
  }
  return values.length === 1 ? escaped(values[0]) : `(${values.map(escaped).join('|')})`;
};

function real(variable) {
  if (!variable.chosen.includes(ALL)) {
    return variable.chosen;
  }
  return variable.options.map((o) => o.value).filter((value) => value !== ALL);
}

export function written(text, variables, builtin = {}) {
  return text.replace(REFERENCE, (whole, short, bracketed, braced, format) => {
    const name = short ?? bracketed ?? braced;
    if (name in builtin) {
      return String(builtin[name]);
    }
    const variable = variables[name];
    if (!variable) {
      return whole;
    }
    if (format === 'queryparam') {
      return variable.chosen.map((value) => `var-${name}=${encodeURIComponent(value)}`).join('&');
    }
    if (format === 'text' || format === 'csv' || format === 'raw') {
      return real(variable).join(',');
    }
    return forQuery(variable);
  });
}

// What stands for a variable in a title or a link.
export function plain(text, variables, builtin = {}) {
  return text.replace(REFERENCE, (whole, short, bracketed, braced) => {
    const name = short ?? bracketed ?? braced;
    const variable = variables[name];
    return name in builtin ? builtin[name] : variable ? real(variable).join(' + ') : whole;
  });
}

// Step and range of a query as Grafana's Prometheus data source chooses them.
export function spans(range, maxDataPoints, minInterval, scrapeMs = 15_000) {
  const least = minInterval ? rangeUtil.intervalToMs(minInterval) : scrapeMs;
  const lengthMs = range.to - range.from;
  const wanted = rangeUtil.roundInterval(lengthMs / maxDataPoints);
  const stepMs = Math.max(wanted, least, lengthMs / 11_000);
  const rateMs = Math.max(stepMs + Math.max(scrapeMs, least), 4 * Math.max(scrapeMs, least));
  const lengthS = Math.round(lengthMs / 1000);
  return {
    stepMs,
    builtin: {
      __interval: `${Math.round(stepMs / 1000)}s`,
      __interval_ms: stepMs,
      __rate_interval: `${Math.round(rateMs / 1000)}s`,
      __range: `${lengthS}s`,
      __range_s: lengthS,
      __range_ms: lengthMs,
      __from: range.from,
      __to: range.to,
    },
  };
}
