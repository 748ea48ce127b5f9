// The stacks: searched, filtered, sorted, and opened one by one.

const PAGE = 50;
const columns = [
  { name: "Stack", key: null },
  { name: "Kind", key: null },
  { name: "Verdict", key: "bytes_per_hour", number: true },
  { name: "Bytes", key: "live_bytes", number: true },
  { name: "Blocks", key: "live_blocks", number: true },
  { name: "Over time", key: null },
  { name: "Age", key: "oldest", number: true },
  { name: "Lifetime", key: "lifetime_p50", number: true },
  { name: "Peak", key: "peak_bytes", number: true },
  { name: "Allocated", key: "allocated_bytes", number: true },
  { name: "Temporary", key: "temporary", number: true },
];
const table = { sort: null, down: true, order: [], shown: PAGE, open: new Set(), matching: null };

const kindName = (report, stack) => {
  const kinds = report.stacks.kinds[stack];
  const names = [];
  for (let at = 0; at < kinds.length; at += 3) names.push([data.kinds[kinds[at]], kinds[at + 1], kinds[at + 2]]);
  return names;
};

// Ages grow as births are earlier.
function sortNumber(of, key, stack) {
  const number = of[key][stack];
  if (key === "oldest") return number === null ? -Infinity : -number;
  return number === null ? -Infinity : number;
}

function refresh() {
  const report = state.report, of = report.stacks;
  const kind = byId("kind").value, verdict = byId("verdict-filter").value, thread = byId("thread").value;
  const only = byId("outstanding").checked;
  if (!table.matching) table.matching = search(report, byId("search").value);
  const kindNumber = data.kinds.indexOf(kind), verdictNumber = data.verdicts.indexOf(verdict);
  const order = [];
  let bytes = 0;
  for (let stack = 0; stack < of.node.length; stack++) {
    if (!table.matching[stack] || (only && of.live_blocks[stack] === 0)) continue;
    if (kind && !of.kinds[stack].some((number, place) => place % 3 === 0 && number === kindNumber)) continue;
    if (verdict && of.verdict[stack] !== verdictNumber) continue;
    if (thread && !of.threads[stack].includes(Number(thread))) continue;
    order.push(stack);
    bytes += of.live_bytes[stack];
  }
  if (table.sort) {
    const numbers = new Map(order.map((stack) => [stack, sortNumber(of, table.sort, stack)]));
    order.sort((a, b) => (table.down ? numbers.get(b) - numbers.get(a) : numbers.get(a) - numbers.get(b)) || a - b);
  }
  table.order = order;
  table.shown = PAGE;
  const all = counted(of.node.length, "stack");
  byId("stack-count").textContent = `${count(order.length)} of ${all}, ${size(bytes)} outstanding.` +
    (report.left_out ? ` ${counted(report.left_out.stacks, "more stack")} with ${size(report.left_out.live_bytes)} outstanding and ${size(report.left_out.allocated_bytes)} allocated found no room in this page.` : "");
  drawRows();
}

function drawRows() {
  const body = byId("stack-table").tBodies[0];
  const shownStacks = table.order.slice(0, table.shown);
  body.replaceChildren(...shownStacks.flatMap(stackRows));
  const rest = table.order.length - shownStacks.length;
  const button = byId("more-stacks");
  button.hidden = rest <= 0;
  button.textContent = `Show ${count(Math.min(rest, 4 * PAGE))} more of ${count(rest)}`;
}

function stackRows(stack) {
  const report = state.report, of = report.stacks;
  const node = of.node[stack], frame = ownFrame(node);
  const isOpen = table.open.has(stack), id = `stack-${stack}`;
  const toggle = el("button", { type: "button", class: "toggle", "aria-expanded": String(isOpen), "aria-controls": id, "data-stack": stack,
    title: frame < 0 ? "" : functionOf(frame) },
  el("span", { class: "chevron", "aria-hidden": "true" }), el("span", { class: "function", text: stackTitle(node) }),
  el("span", { class: "place", text: frame < 0 ? "" : text(frames.place[frame]) }),
  of.type[stack] >= 0 ? el("span", { class: "place", text: text(of.type[stack]) }) : null);
  const flags = of.flags[stack];
  const kinds = kindName(report, stack).map(([name]) => el("span", { class: `chip kind-${name}`, text: name }));
  for (const [flag, name] of [[INHERITED, "inherited"], [MAPPED, "mapped"], [SUPPRESSED, "suppressed"]]) {
    if (flags & flag) kinds.push(el("span", { class: "chip", text: name }));
  }
  const verdict = of.verdict[stack] >= 0 ? data.verdicts[of.verdict[stack]] : "";
  const rate = of.bytes_per_hour[stack];
  const verdictCell = el("span", {}, verdict && verdict !== "inconclusive" ? el("span", { class: `badge ${verdict}`, text: verdict }) : "–",
    rate ? el("span", { class: "rate", text: `${size(rate)}/h` }) : null);
  const { points, exact } = course(report, stack);
  const line = points.length ? sparkline(points, report.duration || 0, exact ? "bytes held over the run" : "outstanding bytes by time of birth") : "";
  const age = of.oldest[stack] === null || report.duration === null ? "–" : duration(Math.max(0, report.duration - of.oldest[stack]));
  const life = of.lifetime_p50[stack] === null ? "–" : duration(of.lifetime_p50[stack]);
  const cells = [toggle, el("span", {}, ...kinds), verdictCell, size(of.live_bytes[stack]), count(of.live_blocks[stack]), line, age, life,
    size(of.peak_bytes[stack]), size(of.allocated_bytes[stack]), count(of.temporary[stack])];
  const row = el("tr", { class: isOpen ? "open" : null }, ...cells.map((cell, place) =>
    el("td", { class: columns[place].number ? "number" : place === 0 ? "stack" : null, "data-label": columns[place].name }, cell)));
  if (!isOpen) return [row];
  return [row, el("tr", { class: "detail", id }, el("td", { colspan: columns.length }, stackDetails(stack)))];
}

function frameList(node) {
  const own = ownFrame(node);
  return el("ol", { class: "frames" }, ...framesOf(node).map((frame) => {
    const source = data.sources[frame];
    const line = frames.line[frame];
    const lines = source && el("pre", { class: "source" }, ...source.lines.map((content, place) =>
      el("span", { class: source.first + place === line ? "line here" : "line" },
        `${String(source.first + place).padStart(6)}  ${text(content)}\n`)));
    const module = text(frames.module[frame]);
    const head = [el("span", { class: "function", text: functionOf(frame) }), isInlined(frame) ? el("span", { class: "chip", text: "inlined" }) : null,
      el("span", { class: "place", title: [text(frames.file[frame]), module].filter(Boolean).join(" in "), text: text(frames.place[frame]) })];
    return el("li", { class: isLibrary(frame) ? "library" : null }, lines ? el("details", { open: frame === own }, el("summary", {}, ...head, el("span", { class: "chip", text: "source" })), lines) : el("div", {}, ...head));
  }));
}

function stackDetails(stack) {
  const report = state.report, of = report.stacks, detail = of.details[stack] || {};
  const facts = [];
  const fact = (name, value) => { if (value) facts.push(el("div", {}, el("dt", { text: name }), el("dd", {}, value))); };
  fact("Evidence", text(of.evidence[stack]));
  if (detail.advice) {
    fact("Pattern", text(detail.advice[0]));
    fact("What usually helps", text(detail.advice[1]));
  }
  fact("Held by", text(of.held_by[stack]).replace(/^held by /, ""));
  fact("Lost with it", text(detail.lost_with));
  fact("Suppressed by", text(detail.suppressed_by));
  fact("Outstanding, 95 % confidence", text(detail.interval));
  if (kindName(report, stack).length > 1) {
    fact("Kinds", kindName(report, stack).map(([name, blocks, bytes]) => `${name} ${size(bytes)} in ${counted(blocks, "block")}`).join(", "));
  }
  if (detail.sizes) {
    const [least, most] = detail.sizes;
    fact("Sizes", least === most ? `${count(least)} bytes each` : `${count(least)} to ${count(most)} bytes`);
  } else if (of.live_blocks[stack]) {
    fact("Sizes", `${count(of.live_bytes[stack] / of.live_blocks[stack])} bytes each`);
  }
  fact("Allocations", `${count(of.allocations[stack])} by ${text(of.origin[stack])}, ${count(of.frees[stack])} freed` +
    (of.temporary[stack] ? `, ${count(of.temporary[stack])} of them within ${duration(report.temporary)}` : ""));
  if (of.lifetime_p99[stack] !== null) {
    fact("Lifetime of freed blocks", `${duration(of.lifetime_p50[stack])} (median), ${duration(of.lifetime_p99[stack])} (p99)`);
  }
  if (of.oldest[stack] !== null) fact("Born", `from ${duration(of.oldest[stack])} to ${duration(of.newest[stack])} of the run`);
  if (of.threads[stack].length) {
    fact("Threads", of.threads[stack].map((index) => threadName(report.threads[index])).join(", "));
  }
  fact("Fingerprint", el("code", { text: of.fingerprint[stack] }));
  const box = el("div", { class: "details" }, el("dl", {}, ...facts), el("h4", { text: "Allocated in" }), frameList(of.node[stack]),
    of.flags[stack] & CUT ? el("p", { class: "note", text: "Outer frames are missing." }) : null);
  for (const freed of detail.freed_in || []) {
    box.append(el("details", {}, el("summary", { text: `${share(freed.share, 1)} of those freed: ${text(freed.by)} in ${stackTitle(freed.node)}` }), frameList(freed.node)));
  }
  for (const lost of detail.lost || []) {
    box.append(el("details", {}, el("summary", { text: `lost with it: ${size(lost.bytes)} in ${counted(lost.blocks, "block")} of ${stackTitle(lost.node)}` }), frameList(lost.node)));
  }
  return box;
}

const threadName = (thread) => !thread ? "?" : thread.tid === 0 ? "unknown" : `${text(thread.name) || "thread"} (${thread.tid})`;

function drawHead() {
  const cells = columns.map(({ name, key, number }) => {
    const sorted = key && table.sort === key ? (table.down ? "descending" : "ascending") : null;
    return el("th", { scope: "col", class: number ? "number" : null, "aria-sort": sorted },
      key ? el("button", { type: "button", "data-sort": key, text: name }) : name);
  });
  byId("stack-table").tHead.replaceChildren(el("tr", {}, ...cells));
}

function sortBy(key) {
  table.down = table.sort === key ? !table.down : true;
  table.sort = key;
  drawHead();
  refresh();
}

function searchFor(words) {
  byId("search").value = words;
  table.matching = null;
  refresh();
  byId("stacks").scrollIntoView();
  byId("search").focus({ preventScroll: true });
}

// Shows one stack, whatever the filters.
function revealStack(stack) {
  if (!table.order.includes(stack)) {
    for (const id of ["search", "kind", "verdict-filter", "thread"]) byId(id).value = "";
    byId("outstanding").checked = state.report.stacks.live_blocks[stack] > 0;
    table.matching = null;
    refresh();
  }
  table.open.add(stack);
  table.shown = Math.max(table.shown, table.order.indexOf(stack) + 1);
  drawRows();
  const toggle = byId("stack-table").querySelector(`[data-stack="${stack}"]`);
  toggle.scrollIntoView({ block: "center" });
  toggle.focus({ preventScroll: true });
}

function startTable() {
  byId("search").addEventListener("input", () => {
    table.matching = null;
    refresh();
  });
  for (const id of ["kind", "verdict-filter", "thread", "outstanding"]) byId(id).addEventListener("change", refresh);
  byId("more-stacks").addEventListener("click", () => {
    const next = table.order[table.shown];
    table.shown += 4 * PAGE;
    drawRows();
    byId("stack-table").querySelector(`[data-stack="${next}"]`).focus();
  });
  byId("stack-table").addEventListener("click", (event) => {
    const sort = event.target.closest("[data-sort]"), toggle = event.target.closest(".toggle");
    if (sort) {
      sortBy(sort.dataset.sort);
      byId("stack-table").querySelector(`[data-sort="${sort.dataset.sort}"]`).focus();
    } else if (toggle) {
      const stack = Number(toggle.dataset.stack);
      if (!table.open.delete(stack)) table.open.add(stack);
      const row = toggle.closest("tr");
      if (row.nextElementSibling && row.nextElementSibling.classList.contains("detail")) row.nextElementSibling.remove();
      const rows = stackRows(stack);
      row.replaceWith(...rows);
      rows[0].querySelector(".toggle").focus();
    }
  });
}

on("report", () => {
  const report = state.report, of = report.stacks;
  const kinds = data.kinds.filter((_, number) => of.kinds.some((list) => list.some((kind, place) => place % 3 === 0 && kind === number)));
  setOptions(byId("kind"), [["", "all"], ...kinds.map((name) => [name, name])]);
  setOptions(byId("verdict-filter"), [["", "all"], ...data.verdicts.filter((_, number) => of.verdict.includes(number)).map((name) => [name, name])]);
  const used = new Set(of.threads.flat());
  setOptions(byId("thread"), [["", "all"], ...[...used].sort((a, b) => a - b).map((index) => [index, threadName(report.threads[index])])]);
  Object.assign(table, { matching: null, open: new Set(), sort: null, down: true });
  drawHead();
  refresh();
});
