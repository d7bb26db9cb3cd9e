// Asks a Prometheus API, and makes frames of its answers as Grafana's data source does.
import { FieldType, toDataFrame } from '@grafana/data';

// The server beside this page hands /api/v1 on to the store.
export async function ask(path, parameters) {
  const answer = await fetch(`api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = await answer.json().catch(() => ({ status: 'error', error: `HTTP ${answer.status}` }));
  if (body.status !== 'success') {
    throw new Error(body.error ?? `HTTP ${answer.status}`);
  }
  return body.data;
}

export async function frames(target, query, range, stepMs, several) {
  const data = target.instant
    ? await ask('query', { query, time: range.to / 1000 })
    : await ask('query_range', aligned(query, range, stepMs));
  const series = data.resultType === 'scalar' ? [{ metric: {}, value: data.result }] : data.result;
  if (target.format === 'table') {
    return [table(series, target, several)];
  }
  return series.map((one) => line(one, target, stepMs));
}

function aligned(query, range, stepMs) {
  const start = Math.floor(range.from / stepMs) * stepMs;
  const end = Math.floor(range.to / stepMs) * stepMs;
  return { query, start: start / 1000, end: end / 1000, step: stepMs / 1000 };
}

const number = (text) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));
const points = (one) => one.values ?? [one.value];

function line(one, target, stepMs) {
  const { __name__: metric, ...labels } = one.metric;
  const name = named(target.legendFormat, one.metric);
  return toDataFrame({
    refId: target.refId,
    name,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: target.instant ? {} : { interval: stepMs },
        values: points(one).map(([time]) => time * 1000),
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric ? { __name__: metric, ...labels } : labels,
        config: { displayNameFromDS: name },
        values: points(one).map(([, value]) => number(value)),
      },
    ],
  });
}

function named(format, labels) {
  if (format && format !== '__auto') {
    return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
  }
  const { __name__: metric = '', ...others } = labels;
  const pairs = Object.entries(others).map(([key, value]) => `${key}="${value}"`);
  return pairs.length ? `${metric}{${pairs.join(', ')}}` : metric || 'Value';
}

function table(series, target, several) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const rows = series.flatMap((one) => points(one).map(([time, value]) => [one.metric, time, value]));
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: rows.map(([, time]) => time * 1000) },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        config: { filterable: true },
        values: rows.map(([metric]) => metric[label] ?? ''),
      })),
      {
        name: several ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        config: {},
        values: rows.map(([, , value]) => number(value)),
      },
    ],
  });
}
