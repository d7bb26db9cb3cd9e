// Annotations of a dashboard: their series as spans, and a dashed line in the plot where one begins.
import { ask } from './prometheus.js';
import { written } from './variables.js';

export async function annotations(list, context, theme) {
  const found = await Promise.all(
    (list ?? [])
      .filter((one) => one.enable && one.expr)
      .map((one) => spansOf(one, context, theme)),
  );
  return found.flat();
}

async function spansOf(one, { range, variables }, theme) {
  const step = Math.max(60, Math.round((range.to - range.from) / 1000 / 500));
  const query = written(one.expr, variables);
  const data = await ask('query_range', {
    query,
    start: range.from / 1000,
    end: range.to / 1000,
    step,
  });
  const color = theme.visualization.getColorByName(one.iconColor);
  return data.result.flatMap(({ values }) => joined(values, step).map((span) => ({ ...span, color })));
}

function joined(values, step) {
  const spans = [];
  for (const [time, value] of values) {
    const last = spans.at(-1);
    if (Number(value) === 0) {
      continue;
    }
    if (last && time * 1000 - last.to <= step * 1500) {
      last.to = time * 1000;
    } else {
      spans.push({ from: time * 1000, to: time * 1000 });
    }
  }
  return spans;
}

export function lines(builder, spans) {
  if (!spans.length) {
    return;
  }
  builder.addHook('draw', (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { from, to, color } of spans) {
      const left = plot.valToPos(from, 'x', true);
      const right = plot.valToPos(to, 'x', true);
      ctx.fillStyle = color;
      ctx.globalAlpha = 0.1;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 1;
      ctx.strokeStyle = color;
      ctx.lineWidth = 2;
      ctx.setLineDash([6, 6]);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  });
}
