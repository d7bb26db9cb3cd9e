// One panel: its queries run, its answers drawn by Grafana's component of its type.
import {
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  ReducerID,
  dateTime,
  rangeUtil,
  VizOrientation,
} from '@grafana/data';
import {
  BarGauge,
  BigValue,
  BigValueTextMode,
  Gauge,
  PanelChrome,
  TimeSeries,
  useTheme2,
  VizRepeater,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { Component, useEffect, useState } from 'react';
import { lines } from './annotations.js';
import { configured, decorated, transformed } from './fields.js';
import { frames as asked } from './prometheus.js';
import { plain, spans, written } from './variables.js';

// A panel's relative time ("30d") ends where the dashboard's does.
function own(panel, range) {
  return panel.timeFrom
    ? { from: range.to - rangeUtil.intervalToMs(panel.timeFrom), to: range.to }
    : range;
}

function times(panel, context) {
  const { from, to } = own(panel, context.range);
  return { from: dateTime(from), to: dateTime(to) };
}

const unchanged = (options) => options;

async function load(panel, context, theme, width) {
  if (!DRAWINGS[panel.type]) {
    throw new Error(`no component for type ${panel.type}`);
  }
  const { variables } = context;
  const range = own(panel, context.range);
  const points = panel.maxDataPoints ?? Math.max(100, Math.round(width));
  const { stepMs, builtin } = spans(range, points, panel.interval);
  const targets = panel.targets.filter((target) => !target.hide);
  const answers = await Promise.all(
    targets.map((target) => {
      const query = written(target.expr, variables, builtin);
      return asked(target, query, range, stepMs, targets.length > 1);
    }),
  );
  const named = (text) => plain(text, variables, builtin);
  const whole = await transformed(answers.flat(), panel.transformations ?? [], named);
  return decorated(whole, configured(panel), theme, named);
}

const isEmpty = (frames) =>
  !frames.some((frame) =>
    frame.fields.some(
      (field) => field.type !== FieldType.time && field.values.some((value) => value != null),
    ),
  );

export function Panel({ panel, context, width, height, tell }) {
  const theme = useTheme2();
  const [found, setFound] = useState({ frames: [], state: 'asking' });
  useEffect(() => {
    let current = true;
    const end = (state) => current && setFound(state);
    load(panel, context, theme, width).then(
      (frames) => end({ frames, state: isEmpty(frames) ? 'empty' : 'data' }),
      (error) => end({ frames: [], state: 'error', message: String(error.message ?? error) }),
    );
    return () => {
      current = false;
    };
  }, [panel, context, theme, width]);
  useEffect(() => {
    if (found.state !== 'asking') {
      tell({
        panel: panel.id,
        title: panel.title,
        type: panel.type,
        state: found.state,
        message: found.message ?? '',
        series: found.frames.length,
      });
    }
  }, [found, panel, tell]);
  const Drawing = DRAWINGS[panel.type];
  return (
    <PanelChrome
      title={plain(panel.title, context.variables)}
      description={panel.description}
      width={width}
      height={height}
      padding={panel.type === 'table' ? 'none' : 'md'}
      statusMessage={found.message}
    >
      {(innerWidth, innerHeight) =>
        found.state === 'asking' ? null : found.message ? (
          <Said text={found.message} />
        ) : (
          <Guard failed={(error) => setFound({ frames: [], state: 'error', message: String(error) })}>
            <Drawing
              panel={panel}
              frames={found.frames}
              context={context}
              theme={theme}
              width={innerWidth}
              height={innerHeight}
            />
          </Guard>
        )
      }
    </PanelChrome>
  );
}

// A component that fails takes only its own panel with it.
class Guard extends Component {
  state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  componentDidCatch(error) {
    this.props.failed(error);
  }

  render() {
    return this.state.broken ? null : this.props.children;
  }
}

function Said({ text }) {
  const theme = useTheme2();
  const style = {
    display: 'flex',
    height: '100%',
    alignItems: 'center',
    justifyContent: 'center',
    textAlign: 'center',
    padding: theme.spacing(1),
    color: theme.colors.text.secondary,
    ...theme.typography.body,
  };
  return <div style={style}>{text}</div>;
}

const missing = (panel) => panel.fieldConfig?.defaults?.noValue || 'No data';

function Lines({ panel, frames, context, width, height }) {
  const usable = frames.filter((frame) => frame.length > 0);
  if (isEmpty(usable)) {
    return <Said text={missing(panel)} />;
  }
  const { from, to } = times(panel, context);
  return (
    <TimeSeries
      frames={usable}
      structureRev={1}
      timeRange={{ from, to, raw: { from, to } }}
      timeZone={context.timeZone}
      width={width}
      height={height}
      legend={{ calcs: [], ...panel.options.legend }}
      options={panel.options}
      tweakScale={unchanged}
      tweakAxis={unchanged}
    >
      {(builder) => {
        lines(builder, context.annotations, context.theme);
        return null;
      }}
    </TimeSeries>
  );
}

function values(panel, frames, context, theme, sparkline) {
  const { reduceOptions } = panel.options;
  return getFieldDisplayValues({
    fieldConfig: configured(panel),
    reduceOptions: { calcs: [ReducerID.lastNotNull], ...reduceOptions },
    replaceVariables: (text) => plain(text, context.variables),
    theme,
    data: frames,
    sparkline,
    timeZone: context.timeZone,
  });
}

// A lone value needs no name: the title of its panel says what it is.
const unnamed = (count, value, named) =>
  count === 1 && !named && !value.field.displayName ? { ...value.display, title: undefined } : value.display;

function Repeated({ panel, frames, context, theme, width, height, sparkline, orientation, each, ...more }) {
  const found = () => values(panel, frames, context, theme, sparkline);
  return (
    <VizRepeater
      source={frames}
      getValues={found}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={each}
      renderCounter={1}
      width={width}
      height={height}
      orientation={orientation}
      {...more}
    />
  );
}

function Stat(props) {
  const { panel, theme } = props;
  const { options } = panel;
  const named = [BigValueTextMode.ValueAndName, BigValueTextMode.Name].includes(options.textMode);
  return (
    <Repeated
      {...props}
      sparkline={options.graphMode !== 'none'}
      orientation={options.orientation ?? VizOrientation.Auto}
      autoGrid
      each={({ value, alignmentFactors, width, height, count }) => (
        <BigValue
          value={unnamed(count, value, named)}
          count={count}
          sparkline={value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          text={options.text}
          alignmentFactors={alignmentFactors}
          disableWideLayout={!options.wideLayout}
          theme={theme}
          width={width}
          height={height}
        />
      )}
    />
  );
}

function Bars(props) {
  const { panel, frames, theme } = props;
  const { options } = panel;
  if (isEmpty(frames)) {
    return <Said text={missing(panel)} />;
  }
  return (
    <Repeated
      {...props}
      orientation={options.orientation}
      itemSpacing={options.displayMode === 'lcd' ? 2 : 10}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight}
      each={({ value, alignmentFactors, orientation, width, height, count }) => (
        <BarGauge
          value={unnamed(count, value, false)}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={options.text}
          orientation={orientation}
          displayMode={options.displayMode}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          showUnfilled={options.showUnfilled}
          alignmentFactors={alignmentFactors}
          isOverflow={false}
          theme={theme}
          width={width}
          height={height}
        />
      )}
    />
  );
}

function Dials(props) {
  const { panel, theme } = props;
  const { options } = panel;
  return (
    <Repeated
      {...props}
      orientation={options.orientation ?? VizOrientation.Auto}
      autoGrid
      each={({ value, width, height, count }) => (
        <Gauge
          value={unnamed(count, value, false)}
          field={value.field}
          text={options.text}
          showThresholdLabels={options.showThresholdLabels}
          showThresholdMarkers={options.showThresholdMarkers}
          theme={theme}
          width={width}
          height={height}
        />
      )}
    />
  );
}

function Rows({ panel, frames, context, width, height }) {
  const data = frames[panel.options.frameIndex ?? 0];
  if (!data || data.length === 0) {
    return <Said text={missing(panel)} />;
  }
  const { from, to } = times(panel, context);
  return (
    <TableNG
      data={data}
      width={width}
      height={height}
      noHeader={!panel.options.showHeader}
      cellHeight={panel.options.cellHeight}
      initialSortBy={panel.options.sortBy}
      timeRange={{ from, to, raw: { from, to } }}
      fieldConfig={panel.fieldConfig}
      enableVirtualization={false}
      structureRev={1}
      transparent
    />
  );
}

const DRAWINGS = {
  timeseries: Lines,
  stat: Stat,
  bargauge: Bars,
  gauge: Dials,
  table: Rows,
};
