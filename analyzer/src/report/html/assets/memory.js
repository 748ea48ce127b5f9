// Memory over the run: a chart that zooms, a brush below it, and the recent past from the event ring.

let memoryChart = null, brushChart = null, recentChart = null;

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const wholeRun = () => [0, Math.max(state.report.duration || 0, 1e-6)];
const timeTick = (seconds) => seconds === 0 ? "0" : duration(seconds).replace(".00 ", " ").replace(/(\.\d)0 /, "$1 ").replace(".0 ", " ");

function axes() {
  const common = { stroke: color("muted"), grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("grid"), width: 1 } };
  return {
    time: { ...common, space: 90, size: 34, values: (_, ticks) => ticks.map(timeTick) },
    bytes: { ...common, scale: "bytes", size: 76, values: (_, ticks) => ticks.map(size) },
    blocks: { ...common, scale: "blocks", side: 1, size: 70, grid: { show: false }, values: (_, ticks) => ticks.map(count) },
  };
}

// Binary steps: a grid of 1, 2, 4… MiB.
const byteSteps = Array.from({ length: 60 }, (_, power) => 2 ** power);

// Checkpoints, with the start and the end; and where the ring has every event, the most of each of its stretches.
function memoryData() {
  const { timeline: of, recent, totals, duration: length } = state.report;
  const checkpoints = [of.seconds.slice(), of.live_bytes.slice(), of.resident_bytes.slice(), of.live_blocks.slice()];
  const add = (place, row) => checkpoints.forEach((column, index) => column.splice(place, 0, row[index]));
  if (!of.seconds.length || of.seconds[0] > 0) add(0, [0, of.seconds.length ? null : 0, null, of.seconds.length ? null : 0]);
  const last = checkpoints[0][checkpoints[0].length - 1];
  if (length > last) add(checkpoints[0].length, [length, totals.live_bytes, null, totals.live_blocks]);
  const detail = [[], [], []];
  if (recent && recent.most_bytes.length) {
    const width = (recent.to - recent.from) / recent.most_bytes.length;
    recent.most_bytes.forEach((bytes, place) => {
      detail[0].push(recent.from + (place + 0.5) * width);
      detail[1].push(bytes);
      detail[2].push(recent.most_blocks[place]);
    });
  }
  return { joined: uPlot.join([checkpoints, detail]), hasDetail: detail[0].length > 0, moments: of.seconds.length };
}

// Whether resident memory was never looked at, or would press all else to the ground.
function residentIsAway() {
  const { timeline, totals } = state.report;
  const most = timeline.resident_bytes.reduce((most, bytes) => Math.max(most, bytes), 0);
  return most === 0 || most > 12 * totals.peak_bytes;
}

function drawMarkers(chart) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = color("marker");
  ctx.fillStyle = color("marker");
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  let free = -Infinity;
  for (const { s, name } of state.report.markers) {
    const x = Math.round(chart.valToPos(s, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const label = text(name).slice(0, 24);
    const width = ctx.measureText(label).width;
    if (x > free && x + width + 6 < bbox.left + bbox.width) {
      ctx.fillText(label, x + 4, bbox.top + 12 * devicePixelRatio);
      free = x + width + 12;
    }
  }
  ctx.restore();
}

// Dims what is beside the ring's part, where only a part is in the ring.
function drawRecentSpan(chart) {
  const { recent } = state.report;
  if (!recent || recent.complete) return;
  const { ctx, bbox } = chart;
  const clamp = (x) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, x));
  const from = clamp(chart.valToPos(recent.from, "x", true)), to = clamp(chart.valToPos(recent.to, "x", true));
  ctx.save();
  ctx.fillStyle = color("recent");
  ctx.fillRect(from, bbox.top, Math.max(to - from, 1), bbox.height);
  ctx.restore();
}

const shown = (format) => (_, value) => value === null || value === undefined ? "–" : format(value);

function makeMemoryChart(host, width) {
  const { joined, hasDetail, moments } = memoryData();
  const { time, bytes, blocks } = axes();
  const dots = { show: moments <= 120, size: moments <= 120 ? 5 : 3, fill: color("page") };
  const line = (label, scale, name, format, more) => ({ label, scale, stroke: color(name), width: 1.5, spanGaps: true, value: shown(format), points: dots, ...more });
  const asDots = hasDetail ? { paths: () => null, points: { ...dots, show: true } } : {};
  const series = [
    { label: "time", value: shown(duration) },
    line(hasDetail ? "live bytes at checkpoints" : "live bytes", "bytes", "live", size, { ...asDots, fill: hasDetail ? undefined : color("live-area") }),
    line("resident", "bytes", "resident", size, {}),
    line(hasDetail ? "blocks at checkpoints" : "blocks", "blocks", "blocks", count, { ...asDots, dash: [6, 3] }),
    line("live bytes", "bytes", "live", size, { show: hasDetail, width: 1.5, fill: color("live-area"), points: { show: false } }),
    line("blocks", "blocks", "blocks", count, { show: hasDetail, width: 1, dash: [6, 3], points: { show: false } }),
  ];
  if (!hasDetail) series.length = 4;
  series[2].show = !residentIsAway();
  const narrow = width < 560;
  return new uPlot({
    width, height: narrow ? 240 : 320, series, ms: 1,
    scales: { x: { time: false }, bytes: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.06] }, blocks: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.06] } },
    axes: [{ ...time, space: narrow ? 70 : 90 }, { ...bytes, incrs: byteSteps, space: 45 }, { ...blocks, show: !narrow, incrs: undefined }],
    cursor: { drag: { x: true, y: false, setScale: true, dist: 5 } },
    hooks: { drawClear: [drawRecentSpan], draw: [drawMarkers], setScale: [(chart, scale) => { if (scale === "x") rangeFrom(chart); }] },
  }, hasDetail ? joined : joined.slice(0, 4), host);
}

function makeBrush(host, width) {
  const { joined, hasDetail } = memoryData();
  const narrow = width < 560;
  return new uPlot({
    width, height: 56, legend: { show: false }, padding: [4, narrow ? 8 : 70, 4, 76],
    scales: { x: { time: false, range: () => wholeRun() }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1)] } },
    axes: [{ show: false }, { show: false }],
    series: [{}, { stroke: color("live"), width: 1, fill: color("live-area"), spanGaps: true, points: { show: false } }],
    cursor: { x: false, y: false, points: { show: false }, drag: { setScale: false, x: true, y: false } },
    hooks: { setSelect: [(chart) => {
      const { left, width: selected } = chart.select;
      if (selected > 3) setRange([chart.posToVal(left, "x"), chart.posToVal(left + selected, "x")]);
    }] },
  }, [joined[0], hasDetail ? joined[4] : joined[1]], host);
}

function makeRecent(host, width) {
  const { recent } = state.report;
  const { time, blocks } = axes();
  const step = (recent.to - recent.from) / recent.allocations.length;
  const seconds = recent.allocations.map((_, place) => recent.from + place * step);
  const stepped = uPlot.paths.stepped({ align: 1 });
  const line = (label, name, more) => ({ label, scale: "blocks", stroke: color(name), width: 1, paths: stepped, points: { show: false }, value: shown(count), ...more });
  const range = state.range && state.range[0] < recent.to && state.range[1] > recent.from ? state.range : [recent.from, Math.max(recent.to, recent.from + 1e-6)];
  return new uPlot({
    width, height: 170, ms: 1,
    scales: { x: { time: false, range: (_, low, high) => [low, high], min: range[0], max: range[1] }, blocks: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.06] } },
    axes: [time, { ...blocks, side: 3, size: 76, grid: { stroke: color("grid"), width: 1 } }],
    series: [{ label: "time", value: shown(duration) }, line("allocations", "live", { fill: color("live-area") }), line("frees", "blocks", {})],
    cursor: { drag: { x: true, y: false, setScale: true } },
  }, [seconds, recent.allocations, recent.frees], host);
}

// The range is the chart's own, unless it is set from elsewhere.
function rangeFrom(chart) {
  const { min, max } = chart.scales.x;
  const all = wholeRun();
  state.range = min <= all[0] && max >= all[1] ? null : [min, max];
  showRange();
}

function setRange(range) {
  const [first, last] = wholeRun();
  let [from, to] = range || [first, last];
  const least = (last - first) / 1e5;
  if (to - from < least) to = from + least;
  from = Math.max(first, Math.min(from, last - least));
  to = Math.min(last, to);
  if (memoryChart) memoryChart.setScale("x", { min: from, max: to });
}

function zoom(factor) {
  const [from, to] = state.range || wholeRun();
  const middle = (from + to) / 2, half = (to - from) / 2 * factor;
  setRange([middle - half, middle + half]);
}

function pan(part) {
  const [first, last] = wholeRun();
  const [from, to] = state.range || [first, last];
  const step = Math.max(first - from, Math.min((to - from) * part, last - to));
  setRange([from + step, to + step]);
}

function showRange() {
  const [from, to] = state.range || wholeRun();
  byId("memory-range").textContent = state.range ? `Shown: ${duration(from)} to ${duration(to)}.` : "Drag to zoom; + − ← → 0 on the keyboard.";
  if (brushChart) {
    const left = brushChart.valToPos(from, "x"), right = brushChart.valToPos(to, "x");
    const height = brushChart.over.clientHeight;
    brushChart.setSelect(state.range ? { left, top: 0, width: right - left, height } : { left: 0, top: 0, width: 0, height: 0 }, false);
  }
  tell("range");
}

function showMemoryNotes() {
  const { recent, markers, more_markers: more, timeline } = state.report;
  const notes = [];
  if (recent && recent.most_bytes.length) {
    notes.push(`Lines: the most of each of ${recent.most_bytes.length} stretches, from every event of the run. Dots: ${counted(timeline.seconds.length, "checkpoint")}.`);
  } else {
    notes.push(`Lines join ${counted(timeline.seconds.length, "checkpoint")} and the end.`);
    if (recent) notes.push(`Shaded: the part of which single events are in the ring (below).`);
  }
  if (residentIsAway() && timeline.resident_bytes.some(Boolean)) notes.push("Resident memory is far above: click its name to see it.");
  if (state.report.sampled) notes.push("Live bytes are estimates.");
  byId("memory-note").textContent = notes.join(" ");
  byId("recent").hidden = !recent;
  if (recent) {
    byId("recent-note").textContent = recent.complete
      ? `Allocations and frees in each of ${recent.allocations.length} stretches of the run: the event ring has all of them.`
      : `Allocations and frees from ${duration(recent.from)} to ${duration(recent.to)}, as the event ring has kept them; of what came earlier, only some or none are there.`;
  }
  byId("marker-box").hidden = markers.length === 0;
  byId("marker-count").textContent = counted(markers.length + more, "marker") + (more ? `, of which these are the first ${count(markers.length)}` : "");
  byId("marker-list").replaceChildren(...markers.map(({ s, name }) =>
    el("li", {}, el("button", { type: "button", text: `${text(name)} · ${duration(s)}`, onclick: () => {
      const width = (wholeRun()[1] - wholeRun()[0]) / 20;
      setRange([s - width, s + width]);
    } }))));
  const rows = timeline.seconds.map((s, place) => [duration(s), size(timeline.live_bytes[place]), count(timeline.live_blocks[place]),
    timeline.resident_bytes[place] === null ? "–" : size(timeline.resident_bytes[place])]);
  plainTable(byId("memory-table"), [["time", "number"], ["live bytes", "number"], ["blocks", "number"], ["resident", "number"]], rows);
}

function drawCharts() {
  for (const chart of [memoryChart, brushChart, recentChart]) if (chart) chart.destroy();
  memoryChart = brushChart = recentChart = null;
  if (byId("memory").hidden) return;
  const range = state.range;
  const host = byId("memory-chart");
  const width = Math.max(280, host.clientWidth);
  memoryChart = makeMemoryChart(host, width);
  brushChart = makeBrush(byId("memory-brush"), width);
  if (state.report.recent) recentChart = makeRecent(byId("recent-chart"), width);
  setRange(range);
}

const memoryKeys = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), ArrowLeft: () => pan(-0.25), ArrowRight: () => pan(0.25), 0: () => setRange(null), Home: () => setRange(null) };

function startMemory() {
  const clicks = { "zoom-in": () => zoom(0.5), "zoom-out": () => zoom(2), "pan-left": () => pan(-0.25), "pan-right": () => pan(0.25), "zoom-all": () => setRange(null) };
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", act);
  byId("memory-chart").addEventListener("keydown", (event) => {
    const act = memoryKeys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      drawCharts();
    }
  });
}

on("report", () => {
  state.range = null;
  const { timeline, recent, duration: length } = state.report;
  byId("memory").hidden = byId("to-memory").hidden = length === null || (!timeline.seconds.length && !recent);
  showMemoryNotes();
  drawCharts();
});
on("theme", drawCharts);
