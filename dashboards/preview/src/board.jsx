// A whole dashboard: heading, what may be chosen, links, and panels on Grafana's grid.
import { dateTime, dateTimeFormat } from '@grafana/data';
import { Icon, useTheme2 } from '@grafana/ui';
import { useEffect, useMemo, useRef, useState } from 'react';
import { annotations } from './annotations.js';
import { Panel } from './panels.jsx';
import { plain, resolve } from './variables.js';

const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
const SIDE = 16;

export function Board({ board, request, tell }) {
  const theme = useTheme2();
  const [chosen, setChosen] = useState(request.chosen);
  const [context, setContext] = useState(null);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    let current = true;
    prepare(board, chosen, request, theme).then(
      (ready) => current && setContext(ready),
      (error) => current && setProblem(String(error.message ?? error)),
    );
    return () => {
      current = false;
    };
  }, [board, chosen, request, theme]);
  useEffect(() => {
    if (problem) {
      tell({ problem });
    }
  }, [problem, tell]);
  const choose = (name, value) => setChosen((before) => ({ ...before, [name]: value }));
  const page = {
    minHeight: '100vh',
    padding: SIDE,
    boxSizing: 'border-box',
    background: theme.colors.background.canvas,
  };
  return (
    <div style={page}>
      <Heading board={board} context={context} choose={choose} />
      {problem ? <p role="alert">{problem}</p> : null}
      {context ? <Grid board={board} context={context} tell={tell} /> : null}
    </div>
  );
}

async function prepare(board, chosen, request, theme) {
  const range = { from: request.from, to: request.to };
  const variables = await resolve(board.templating.list, chosen, range);
  const context = {
    range,
    variables,
    timeZone: 'browser',
    times: { from: dateTime(range.from), to: dateTime(range.to) },
  };
  return { ...context, annotations: await annotations(board.annotations?.list, context, theme) };
}

function Heading({ board, context, choose }) {
  const theme = useTheme2();
  const variables = context ? Object.values(context.variables).filter((v) => !v.hidden && v.options.length) : [];
  const bar = { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: GAP, marginBottom: GAP };
  const chip = {
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: theme.shape.radius.default,
    color: theme.colors.text.primary,
    background: theme.colors.background.primary,
    padding: '4px 8px',
    fontSize: theme.typography.bodySmall.fontSize,
    textDecoration: 'none',
  };
  const label = { ...chip, color: theme.colors.text.secondary, borderRight: 'none' };
  return (
    <header style={{ color: theme.colors.text.primary }}>
      <div style={bar}>
        <h1 style={{ ...theme.typography.h4, margin: 0, flex: 1 }}>{board.title}</h1>
        {context ? <Times range={context.range} style={chip} /> : null}
      </div>
      <div style={bar}>
        {variables.map((variable) => (
          <label key={variable.name} style={{ display: 'flex' }}>
            <span style={label}>{variable.label}</span>
            <select
              style={{ ...chip, appearance: 'auto', minWidth: 90, height: 'auto', lineHeight: 1.4 }}
              value={variable.chosen[0]}
              onChange={(event) => choose(variable.name, event.target.value)}
            >
              {variable.options.map((one) => (
                <option key={one.value} value={one.value}>
                  {one.text}
                </option>
              ))}
            </select>
          </label>
        ))}
        <span style={{ flex: 1 }} />
        {(board.links ?? []).map((link) => (
          <a key={link.title} style={chip} title={link.tooltip} href={context ? plain(link.url ?? link.uri ?? '#', context.variables) : '#'}>
            <Icon name={link.icon === 'dashboard' ? 'apps' : 'external-link-alt'} size="sm" /> {link.title}
          </a>
        ))}
      </div>
    </header>
  );
}

function Times({ range, style }) {
  const shown = (time) => dateTimeFormat(time, { format: 'YYYY-MM-DD HH:mm', timeZone: 'browser' });
  return (
    <span style={style}>
      <Icon name="clock-nine" size="sm" /> {shown(range.from)} → {shown(range.to)}
    </span>
  );
}

function Grid({ board, context, tell }) {
  const [closed, setClosed] = useState(() => new Set());
  const toggle = (id) =>
    setClosed((before) => {
      const after = new Set(before);
      return after.delete(id) ? after : after.add(id);
    });
  const whole = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => setWidth(whole.current.clientWidth), []);
  const placed = useMemo(() => places(board.panels, closed), [board, closed]);
  const unit = (width + GAP) / COLUMNS;
  const height = Math.max(0, ...placed.map(({ y, panel }) => y + panel.gridPos.h)) * (ROW + GAP);
  return (
    <div ref={whole} style={{ position: 'relative', height }}>
      {width
        ? placed.map(({ panel, y }) => {
            const { x, w, h } = panel.gridPos;
            const box = {
              position: 'absolute',
              left: x * unit,
              top: y * (ROW + GAP),
              width: w * unit - GAP,
              height: h * (ROW + GAP) - GAP,
            };
            return (
              <div key={panel.id} style={box}>
                {panel.type === 'row' ? (
                  <Row panel={panel} context={context} closed={closed.has(panel.id)} toggle={toggle} />
                ) : (
                  <Panel panel={panel} context={context} width={box.width} height={box.height} tell={tell} />
                )}
              </div>
            );
          })
        : null}
    </div>
  );
}

// Panels below a closed row are left out, and what follows moves up.
function places(panels, closed) {
  const rows = panels.filter((one) => one.type === 'row');
  const tops = rows.map((one) => one.gridPos.y);
  const bottom = Math.max(...panels.map((one) => one.gridPos.y + one.gridPos.h));
  const shut = (at) => closed.has(rows[at].id) || rows[at].collapsed;
  const under = (panel) => tops.findLastIndex((top) => top <= panel.gridPos.y);
  const hidden = rows.map((row, at) => (shut(at) ? (tops[at + 1] ?? bottom) - row.gridPos.y - row.gridPos.h : 0));
  return panels
    .filter((panel) => panel.type === 'row' || under(panel) < 0 || !shut(under(panel)))
    .map((panel) => {
      const before = hidden.slice(0, Math.max(0, panel.type === 'row' ? under(panel) : under(panel) + 1));
      return { panel, y: panel.gridPos.y - before.reduce((sum, h) => sum + h, 0) };
    });
}

function Row({ panel, context, closed, toggle }) {
  const theme = useTheme2();
  const style = {
    ...theme.typography.h6,
    display: 'flex',
    alignItems: 'center',
    gap: 4,
    width: '100%',
    height: '100%',
    padding: 0,
    border: 'none',
    background: 'none',
    color: theme.colors.text.primary,
    cursor: 'pointer',
  };
  return (
    <button type="button" style={style} aria-expanded={!closed} onClick={() => toggle(panel.id)}>
      <Icon name={closed ? 'angle-right' : 'angle-down'} />
      {plain(panel.title, context.variables)}
    </button>
  );
}
