// An icicle graph: a box for each function on a way from the program's start, as wide as what stacks below it have.

const ROW = 22, NARROWEST = 3;
let graph = null, zoomed = 0, focused = 0;

// All functions on all ways, whatever the value: those with equal names below the same one are one.
function makeGraph(report) {
  const of = report.stacks;
  const graph = { parent: [-1], name: [-1], depth: [0], kids: [[]], leaf: new Int32Array(of.node.length), total: null };
  const known = new Map();
  const child = (parent, name) => {
    const key = parent * 4194304 + name + 3;
    let node = known.get(key);
    if (node === undefined) {
      node = graph.parent.length;
      known.set(key, node);
      graph.parent.push(parent);
      graph.name.push(name);
      graph.depth.push(graph.depth[parent] + 1);
      graph.kids.push([]);
      graph.kids[parent].push(node);
    }
    return node;
  };
  // What is not the process's own heap stands apart: -2 is inherited, -3 is mapped.
  const ways = [0, -2, -3].map((root) => ({ root, at: new Int32Array(parents.length).fill(-1) }));
  of.node.forEach((leaf, stack) => {
    const way = ways[of.flags[stack] & INHERITED ? 1 : of.flags[stack] & MAPPED ? 2 : 0];
    const open = [];
    let node = leaf;
    while (node >= 0 && way.at[node] < 0) {
      open.push(node);
      node = parents[node];
    }
    let at = node >= 0 ? way.at[node] : way.root === 0 ? 0 : child(0, way.root);
    while (open.length) {
      node = open.pop();
      at = way.at[node] = child(at, frames.name[nodes.frame[node]]);
    }
    graph.leaf[stack] = at;
  });
  return graph;
}

function weigh(value) {
  const total = graph.total = new Float64Array(graph.parent.length);
  const numbers = state.report.stacks[value];
  numbers.forEach((number, stack) => { total[graph.leaf[stack]] += number; });
  for (let node = total.length - 1; node > 0; node--) total[graph.parent[node]] += total[node];
  for (const kids of graph.kids) kids.sort((a, b) => total[b] - total[a] || a - b);
}

const boxName = (node) => node === 0 ? "all" : graph.name[node] === -2 ? "[inherited]" : graph.name[node] === -3 ? "[mapped]" : text(graph.name[node]);

// Colours by name, so that the same function has the same everywhere.
function hue(name) {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) | 0;
  return Math.abs(hash) % 8;
}

function describeBox(node) {
  const { show } = values[byId("flame-value").value];
  return `${boxName(node)}: ${show(graph.total[node])}, ${share(graph.total[node], graph.total[0])}`;
}

function matches() {
  const term = byId("flame-search").value.trim().toLowerCase();
  return term ? (node) => node > 0 && boxName(node).toLowerCase().includes(term) : null;
}

function drawFlame() {
  const host = byId("flame-graph");
  const width = Math.max(280, host.clientWidth), upwards = byId("flame-up").checked;
  const whole = graph.total[zoomed], isHit = matches();
  const boxes = [];
  const ancestors = [];
  for (let node = graph.parent[zoomed]; node >= 0; node = graph.parent[node]) ancestors.push(node);
  for (const node of ancestors) boxes.push([node, 0, 1]);
  const open = whole > 0 ? [[zoomed, 0]] : [];
  let deepest = graph.depth[zoomed];
  while (open.length) {
    const [node, start] = open.pop();
    boxes.push([node, start, graph.total[node] / whole]);
    deepest = Math.max(deepest, graph.depth[node]);
    let at = start;
    for (const kid of graph.kids[node]) {
      const part = graph.total[kid] / whole;
      if (part * width < NARROWEST) break;
      open.push([kid, at]);
      at += part;
    }
  }
  boxes.sort((a, b) => graph.depth[a[0]] - graph.depth[b[0]] || a[1] - b[1]);
  if (!boxes.some(([node]) => node === focused)) focused = zoomed;
  host.style.height = `${(deepest + 1) * ROW}px`;
  host.replaceChildren(...boxes.map(([node, start, part]) => {
    const name = boxName(node);
    const library = node > 0 && graph.name[node] >= 0 ? "" : " root";
    const box = el("div", { class: `box hue${hue(name)}${library}${isHit && isHit(node) ? " hit" : ""}${isHit && !isHit(node) ? " dim" : ""}${ancestors.includes(node) ? " above" : ""}`,
      role: "treeitem", "aria-level": graph.depth[node] + 1, "aria-label": describeBox(node), title: describeBox(node),
      "data-node": node, tabindex: node === focused ? 0 : -1, text: part * width > 24 ? shortName(name) : "" });
    const row = upwards ? deepest - graph.depth[node] : graph.depth[node];
    box.style.top = `${row * ROW}px`;
    box.style.left = `${start * 100}%`;
    box.style.width = `${part * 100}%`;
    return box;
  }));
  showFlameNote(isHit);
}

function showFlameNote(isHit) {
  const value = byId("flame-value").value, notes = [];
  const { temporary, all } = state.report;
  if (value === "temporary") notes.push(`Blocks that were freed within ${duration(temporary)}.`);
  if (value === "peak_bytes") notes.push("The most each stack held, at whatever time: the sum is of no moment.");
  if (value === "bytes_per_hour") notes.push("Only stacks that leak or grow.");
  if (!all && (value === "allocated_bytes" || value === "temporary")) notes.push("Stacks that have freed everything are not in this file.");
  if (graph.total[0] === 0) notes.push("There is nothing of that.");
  if (isHit) {
    // The outermost hits: what is below them is in them.
    let sum = 0;
    const inside = new Uint8Array(graph.parent.length);
    for (let node = 1; node < inside.length; node++) {
      const above = inside[graph.parent[node]];
      inside[node] = above || isHit(node) ? 1 : 0;
      if (!above && inside[node]) sum += graph.total[node];
    }
    notes.push(`Found: ${values[value].show(sum)}, ${share(sum, graph.total[0])}.`);
  }
  byId("flame-note").textContent = notes.join(" ");
}

function zoomTo(node, keepFocus) {
  zoomed = node;
  focused = node;
  drawFlame();
  byId("flame-reset").disabled = node === 0;
  byId("flame-to-table").hidden = node === 0;
  if (keepFocus) focusBox(node);
}

function focusBox(node) {
  const box = byId("flame-graph").querySelector(`[data-node="${node}"]`);
  if (!box) return;
  for (const other of byId("flame-graph").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
  focused = node;
  box.tabIndex = 0;
  box.focus();
}

function moveInFlame(key) {
  const upwards = byId("flame-up").checked;
  const isDrawn = (node) => byId("flame-graph").querySelector(`[data-node="${node}"]`) !== null;
  if (upwards && key === "ArrowUp") key = "ArrowDown";
  else if (upwards && key === "ArrowDown") key = "ArrowUp";
  let next = focused;
  if (key === "ArrowUp") next = graph.parent[focused];
  if (key === "ArrowDown") next = graph.kids[focused].find(isDrawn);
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const siblings = focused === 0 ? [0] : graph.kids[graph.parent[focused]].filter(isDrawn);
    next = siblings[siblings.indexOf(focused) + (key === "ArrowRight" ? 1 : -1)];
  }
  if (next !== undefined && next >= 0) focusBox(next);
}

function startFlame() {
  setOptions(byId("flame-value"), Object.entries(values).map(([name, { label }]) => [name, label]));
  const host = byId("flame-graph");
  const nodeOf = (event) => {
    const box = event.target.closest("[data-node]");
    return box ? Number(box.dataset.node) : null;
  };
  const info = (event) => {
    const node = nodeOf(event);
    if (node !== null) byId("flame-info").textContent = describeBox(node);
  };
  host.addEventListener("mouseover", info);
  host.addEventListener("focusin", info);
  host.addEventListener("click", (event) => {
    const node = nodeOf(event);
    if (node !== null) zoomTo(node, true);
  });
  host.addEventListener("keydown", (event) => {
    const node = nodeOf(event);
    if (event.key === "Enter" || event.key === " ") zoomTo(node === null ? zoomed : node, true);
    else if (event.key === "Escape") zoomTo(0, true);
    else if (event.key.startsWith("Arrow")) moveInFlame(event.key);
    else return;
    event.preventDefault();
  });
  byId("flame-reset").addEventListener("click", () => zoomTo(0));
  byId("flame-up").addEventListener("change", drawFlame);
  byId("flame-search").addEventListener("input", drawFlame);
  byId("flame-value").addEventListener("change", () => {
    weigh(byId("flame-value").value);
    zoomTo(0);
  });
  byId("flame-to-table").addEventListener("click", () => {
    byId("outstanding").checked = byId("flame-value").value.startsWith("live");
    searchFor(boxName(zoomed));
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) drawFlame();
    width = innerWidth;
  });
}

on("report", () => {
  graph = makeGraph(state.report);
  weigh(byId("flame-value").value);
  zoomTo(0);
});
