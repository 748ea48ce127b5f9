// The answer: what was looked at, how bad it is, totals, and what to do.

const SHOWN_FINDINGS = 6;

function showHeader() {
  const report = state.report;
  const command = text(report.command);
  byId("command").textContent = command;
  byId("command").title = command;
  document.title = `${command} – memory report`;
  const facts = report.pid === null ? [] : [`pid ${report.pid}`];
  if (report.duration !== null) facts.push(duration(report.duration));
  facts.push(text(report.end), text(report.mode));
  if (report.checked) facts.push("leak check done");
  if (report.started) facts.push(new Date(report.started * 1000).toISOString().replace("T", " ").slice(0, 19) + " UTC");
  byId("facts").textContent = facts.join(" · ");
  byId("trace-file").textContent = `${report.traces.map(text).join(", ")} · leak-analyze ${data.version}`;
}

function showVerdict() {
  const report = state.report;
  const words = { good: "Good", warning: "Warning", critical: "Critical" };
  const [first, ...others] = report.reasons.map(text);
  const start = first.charAt(0).toUpperCase() + first.slice(1);
  const box = byId("verdict");
  box.dataset.level = report.level;
  put(box, el("p", { class: "level", text: words[report.level] }), el("h2", { text: `${start}.` }),
    others.length ? el("ul", {}, ...others.map((reason) => el("li", { text: reason }))) : null);
}

function card(name, value, ...notes) {
  return el("div", { class: "card" }, el("p", { class: "name", text: name }), el("p", { class: "value", text: value }),
    ...notes.filter(Boolean).map((note) => note instanceof Node ? note : el("p", { class: "note", text: note })));
}

// Shares of kinds, as one bar.
function kindBar(kinds) {
  const total = kinds.reduce((sum, kind) => sum + kind.bytes, 0);
  const parts = kinds.map((kind, place) => [data.kinds[place], kind]).filter(([, kind]) => kind.blocks > 0);
  const bar = el("div", { class: "kind-bar", "aria-hidden": "true" });
  for (const [name, kind] of parts) {
    const part = el("span", { class: `kind-${name}` });
    part.style.flexGrow = total ? kind.bytes / total : 1;
    bar.append(part);
  }
  const list = el("ul", { class: "kind-list" }, ...parts.map(([name, kind]) =>
    el("li", {}, el("span", { class: `dot kind-${name}`, "aria-hidden": "true" }), `${name} ${size(kind.bytes)}`)));
  return el("div", {}, bar, list);
}

function showTotals() {
  const { totals: of, sampled, duration: length } = state.report;
  const about = sampled ? "~" : "";
  const cards = [
    card("Outstanding", about + size(of.live_bytes), `in ${about}${counted(of.live_blocks, "block")}`, kindBar(of.kinds)),
    card("Peak", size(of.peak_bytes), of.peak_at !== null ? `at ${duration(of.peak_at)}` : null,
      of.peak_error ? `± ${size(of.peak_error)}` : null),
    card("Allocated in all", about + size(of.allocated_bytes), `in ${about}${counted(of.allocations, "allocation")}`,
      length >= 1 ? `${count(of.allocations / length)} per second` : null),
    card("Freed", share(of.frees, of.allocations), `${about}${counted(of.frees, "block")}`),
  ];
  if (of.mapped_blocks) cards.push(card("Mapped", size(of.mapped_bytes), `in ${counted(of.mapped_blocks, "mapping")} by mmap`));
  if (of.inherited_blocks) {
    cards.push(card("Inherited", size(of.inherited_bytes), `in ${counted(of.inherited_blocks, "block")} of the parent process`));
  }
  if (of.memory_limit !== null && of.limit_in !== null) {
    cards.push(card("Memory limit", size(of.memory_limit), `used up in about ${duration(of.limit_in)}`));
  }
  byId("totals").replaceChildren(...cards);
}

function stackTitle(node) {
  const frame = ownFrame(node);
  return frame < 0 ? "unknown stack" : shortName(functionOf(frame));
}

function findingItem(finding) {
  const report = state.report, stack = finding.stack;
  const node = stack === null ? finding.wrong.freed : report.stacks.node[stack];
  const frame = ownFrame(node);
  const place = frame < 0 ? "" : text(frames.place[frame]);
  const more = [];
  if (finding.wrong) {
    more.push(el("p", { class: "note", text: text(finding.wrong.circumstances) }), el("h4", { text: "Freed in" }), frameList(finding.wrong.freed));
    if (finding.wrong.allocated >= 0) more.push(el("h4", { text: "Allocated in" }), frameList(finding.wrong.allocated));
  }
  const details = finding.wrong ? el("details", {}, el("summary", { text: "Both stacks" }), ...more) : null;
  const open = stack === null ? null : el("button", { type: "button", text: "Show the stack", onclick: () => revealStack(stack) });
  return el("li", { class: finding.severity },
    el("div", { class: "bar" }, el("h3", {}, el("span", { class: `badge ${finding.severity}`, text: finding.rule }), ` ${stackTitle(node)} `,
      el("span", { class: "place", text: place })), open),
    el("p", { text: `${text(finding.message)}.` }),
    el("p", {}, el("strong", { text: "Pattern. " }), text(finding.pattern)),
    el("p", {}, el("strong", { text: "What usually helps. " }), text(finding.fix)),
    details);
}

function showFindings() {
  const { findings, more_findings: more } = state.report;
  const list = byId("finding-list"), button = byId("more-findings");
  byId("findings").hidden = findings.length === 0;
  byId("to-findings").hidden = findings.length === 0;
  list.replaceChildren(...findings.slice(0, SHOWN_FINDINGS).map(findingItem));
  const rest = findings.length - SHOWN_FINDINGS;
  button.hidden = rest <= 0;
  button.textContent = `Show ${counted(rest, "more finding")}${more ? ` (${count(more)} others are in the table only)` : ""}`;
  button.onclick = () => {
    list.append(...findings.slice(SHOWN_FINDINGS).map(findingItem));
    button.hidden = true;
  };
}

on("report", () => [showHeader, showVerdict, showTotals, showFindings].forEach((show) => show()));
