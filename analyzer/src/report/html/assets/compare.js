// Two moments of one trace, and two traces.

const COMPARED = 50;

function stackButton(stack) {
  const node = state.report.stacks.node[stack], frame = ownFrame(node);
  return el("button", { type: "button", class: "link", onclick: () => revealStack(stack) },
    el("span", { class: "function", text: stackTitle(node) }), el("span", { class: "place", text: frame < 0 ? "" : text(frames.place[frame]) }));
}

function compareMoments() {
  const report = state.report, of = report.stacks;
  const from = Number(byId("moment-from").value), to = Number(byId("moment-to").value);
  const rows = [];
  let sum = 0;
  for (let stack = 0; stack < of.node.length; stack++) {
    const known = course(report, stack);
    if (!known.points.length) continue;
    const before = heldAt(known, from), after = heldAt(known, to);
    if (before === after) continue;
    sum += after - before;
    rows.push({ stack, before, after, exact: known.exact });
  }
  rows.sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before) || a.stack - b.stack);
  const least = (row) => row.exact ? "" : "≥ ";
  plainTable(byId("moment-table"), [["Stack", "stack"], [`at ${duration(from)}`, "number"], [`at ${duration(to)}`, "number"], ["Change", "number"]],
    rows.slice(0, COMPARED).map((row) => [stackButton(row.stack), least(row) + size(row.before), least(row) + size(row.after), change(row.after - row.before)]));
  byId("moment-table").hidden = rows.length === 0;
  const more = rows.length > COMPARED ? ` The ${COMPARED} largest changes are shown.` : "";
  byId("moment-note").textContent = from >= to ? "The first moment must be the earlier one."
    : `${counted(rows.length, "stack")} changed, by ${change(sum)} in all.${more} ≥: only what is still outstanding at the end is known of earlier moments.`;
}

function setMoments(from, to) {
  const round = (seconds) => Number(seconds.toPrecision(6));
  byId("moment-from").value = round(from);
  byId("moment-to").value = round(to);
  compareMoments();
}

const reportName = (report) => text(report.command).slice(0, 60) + (report.pid === null ? "" : ` (pid ${report.pid})`);

function byFingerprint(report) {
  const sums = new Map(), of = report.stacks;
  of.fingerprint.forEach((fingerprint, stack) => {
    if (of.flags[stack] & INHERITED) return;
    const sum = sums.get(fingerprint) || { bytes: 0, blocks: 0, node: of.node[stack] };
    sum.bytes += of.live_bytes[stack];
    sum.blocks += of.live_blocks[stack];
    sums.set(fingerprint, sum);
  });
  return sums;
}

function compareTraces() {
  const base = byFingerprint(data.reports[byId("base").value]), after = byFingerprint(data.reports[byId("new").value]);
  const rows = [];
  for (const fingerprint of new Set([...base.keys(), ...after.keys()])) {
    const one = base.get(fingerprint), other = after.get(fingerprint);
    const [before, now] = [one ? one.bytes : 0, other ? other.bytes : 0];
    const [blocksBefore, blocksNow] = [one ? one.blocks : 0, other ? other.blocks : 0];
    const what = blocksBefore === 0 && blocksNow > 0 ? "new" : blocksBefore > 0 && blocksNow === 0 ? "gone"
      : now > before ? "grown" : now < before ? "shrunk" : null;
    if (what) rows.push({ fingerprint, what, before, now, blocks: blocksNow - blocksBefore, node: (other || one).node });
  }
  const wanted = byId("change").value;
  const kept = rows.filter((row) => !wanted || row.what === wanted);
  kept.sort((a, b) => Math.abs(b.now - b.before) - Math.abs(a.now - a.before) || (a.fingerprint < b.fingerprint ? -1 : 1));
  plainTable(byId("trace-table"), [["Stack", "stack"], ["Status", ""], ["Before", "number"], ["After", "number"], ["Change", "number"], ["Blocks", "number"]],
    kept.slice(0, 2 * COMPARED).map((row) => {
      const frame = ownFrame(row.node);
      return [el("details", {}, el("summary", {}, el("span", { class: "function", text: stackTitle(row.node) }),
        el("span", { class: "place", text: frame < 0 ? "" : text(frames.place[frame]) })), frameList(row.node)),
      el("span", { class: `badge ${row.what}`, text: row.what }), size(row.before), size(row.now), change(row.now - row.before), (row.blocks > 0 ? "+" : "") + count(row.blocks)];
    }));
  byId("trace-table").hidden = kept.length === 0;
  const sum = rows.reduce((all, row) => all + row.now - row.before, 0);
  const of = (what) => rows.filter((row) => row.what === what).length;
  byId("trace-note").textContent = `${of("new")} new, ${of("gone")} gone, ${of("grown")} grown, ${of("shrunk")} shrunk; ${change(sum)} in all. Stacks are the same if their fingerprints are.`;
}

function startCompare() {
  for (const id of ["moment-from", "moment-to"]) byId(id).addEventListener("change", compareMoments);
  byId("traces").hidden = data.reports.length < 2;
  if (data.reports.length < 2) return;
  const names = data.reports.map((report, place) => [place, `${place + 1}: ${reportName(report)}`]);
  for (const id of ["base", "new"]) {
    setOptions(byId(id), names);
    byId(id).addEventListener("change", compareTraces);
  }
  byId("new").value = 1;
  setOptions(byId("change"), [["", "all changes"], ...["new", "gone", "grown", "shrunk"].map((what) => [what, what])]);
  byId("change").addEventListener("change", compareTraces);
  compareTraces();
}

on("report", () => {
  const { stacks: of, duration: length } = state.report;
  // Of several processes together no moments are known.
  byId("moments").hidden = !length || !of.courses.some((known) => known.b.length > 0);
  byId("compare").hidden = byId("to-compare").hidden = byId("moments").hidden && data.reports.length < 2;
  setMoments((length || 0) / 4, length || 0);
});
on("range", () => {
  const length = state.report.duration || 0;
  if (state.range) setMoments(Math.max(0, state.range[0]), Math.min(length, state.range[1]));
  else setMoments(length / 4, length);
});
