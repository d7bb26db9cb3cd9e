// Options of fields, and transformations: the parts of Grafana that live in its server's front end
// and are handed to its published libraries from outside.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  FieldConfigOptionsRegistry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

const STANDARD = 'unit decimals min max noValue displayName color thresholds mappings links description filterable';
const CUSTOM = `drawStyle lineInterpolation lineWidth lineStyle fillOpacity gradientMode fillBelowTo
  showPoints pointSize spanNulls insertNulls stacking axisPlacement axisLabel axisWidth axisSoftMin
  axisSoftMax axisGridShow axisCenteredZero axisColorMode axisBorderShow scaleDistribution
  thresholdsStyle hideFrom transform barAlignment barMaxWidth barWidthFactor width minWidth align
  cellOptions inspect filterable hidden wrapText wrapHeaderText`;

const names = (text) => text.split(/\s+/).filter(Boolean);
const option = (id, path, isCustom) => ({
  id,
  path,
  isCustom,
  name: id,
  process: (value) => value,
  shouldApply: () => true,
  settings: {},
});

const registry = new FieldConfigOptionsRegistry(() => [
  ...names(STANDARD).map((name) => option(name, name, false)),
  ...names(CUSTOM).map((name) => option(`custom.${name}`, name, true)),
]);

export const known = new Set(registry.list().map((one) => one.id));

// Some stand there twice, under an older name too.
standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((one) => [one.id, one])).values()].map(
    (transformation) => ({ id: transformation.id, name: transformation.name, transformation }),
  ),
);

export function transformed(frames, transformations, interpolate) {
  const unknown = transformations.filter((one) => !standardTransformersRegistry.getIfExists(one.id));
  if (unknown.length) {
    throw new Error(`unknown transformations: ${unknown.map((one) => one.id).join(', ')}`);
  }
  return firstValueFrom(transformDataFrame(transformations, frames, { interpolate }));
}

// Grafana's front end reads a first threshold of null as "from anywhere".
const based = (thresholds) =>
  thresholds && {
    ...thresholds,
    steps: thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })),
  };

export function configured(panel) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  return {
    defaults: { ...defaults, thresholds: based(defaults.thresholds), custom: defaults.custom ?? {} },
    overrides: overrides.map((one) => ({
      ...one,
      properties: one.properties.map((property) =>
        property.id === 'thresholds' ? { ...property, value: based(property.value) } : property,
      ),
    })),
  };
}

export function decorated(frames, fieldConfig, theme, replaceVariables) {
  const unknown = fieldConfig.overrides
    .flatMap((one) => one.properties.map((property) => property.id))
    .filter((id) => !known.has(id));
  if (unknown.length) {
    throw new Error(`overrides of unknown options: ${unknown.join(', ')}`);
  }
  const whole = applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables,
    theme,
    timeZone: 'browser',
  });
  cacheFieldDisplayNames(whole);
  return whole;
}
