// Histograms, threads, and what was lost or estimated.

const THREADS = 20;

// Bars from the first class that has something to the last; classes are powers of two.
function showBars(host, bars, range, unit) {
  const used = bars.filter((bar) => bar.blocks > 0);
  if (!used.length) {
    host.replaceChildren(el("p", { class: "note", text: "There are none." }));
    return;
  }
  const shownBars = bars.slice(bars.indexOf(used[0]), bars.indexOf(used[used.length - 1]) + 1);
  const most = Math.max(...shownBars.map((bar) => bar.blocks));
  const rows = shownBars.map((bar) => {
    const fillBar = el("span", { class: "fill" });
    if (bar.blocks > 0) fillBar.style.width = `${bar.blocks / most * 100}%`;
    return el("tr", {}, el("th", { scope: "row", text: range(bar) }),
      el("td", { class: "track", "aria-hidden": "true" }, fillBar),
      el("td", { class: "number", text: count(bar.blocks) }),
      unit ? el("td", { class: "number", text: size(bar.bytes) }) : null);
  });
  host.replaceChildren(el("table", { class: "bars" },
    el("thead", { class: "unseen" }, el("tr", {}, ...["range", "", "blocks", unit ? "bytes" : null].filter((name) => name !== null).map((name) => name ? el("th", { scope: "col", text: name }) : el("td", { "aria-hidden": "true" })))),
    el("tbody", {}, ...rows)));
}

const sizeRange = (bar) => bar.to <= 1 ? "0 B" : bar.to > 2 ** 60 ? `≥ ${size(bar.from)}` : `${size(bar.from)} –`;
const lifeRange = (bar) => bar.from === 0 ? `< ${duration(bar.to)}` : `${duration(bar.from)} –`;

function showHistograms() {
  const report = state.report;
  showBars(byId("sizes"), report.sizes, sizeRange, true);
  showBars(byId("recent-sizes"), report.recent_sizes, sizeRange, false);
  showBars(byId("lifetimes"), report.lifetimes, lifeRange, false);
}

function showThreads(all) {
  const report = state.report;
  const threads = report.threads.map((thread, index) => ({ ...thread, index })).filter((thread) => thread.tid !== 0);
  threads.sort((a, b) => b.bytes - a.bytes || a.index - b.index);
  const list = all ? threads : threads.slice(0, THREADS);
  const moment = (seconds) => seconds === null ? "–" : duration(seconds);
  plainTable(byId("thread-table"), [["Thread", ""], ["Started", "number"], ["Ended", "number"], ["Outstanding", "number"], ["Blocks", "number"]],
    list.map((thread) => [threadName(thread), moment(thread.start), moment(thread.end), size(thread.bytes), count(thread.blocks)]));
  byId("thread-table").tBodies[0].classList.toggle("sampled", report.sampled);
  byId("more-threads").hidden = list.length === threads.length;
  byId("more-threads").textContent = `Show all ${count(threads.length)} threads`;
}

function showLost() {
  const report = state.report;
  const item = (kind) => (index) => el("li", { class: kind, text: `${text(index)}.` });
  const nothing = report.sampled ? "Lost: nothing. Every sampled block and its free is in these numbers." : "Lost: nothing. Every allocation and every free is in these numbers.";
  byId("lost-list").replaceChildren(
    ...(report.lost.length ? report.lost.map(item("loss")) : [el("li", { text: nothing })]),
    ...report.notes.map(item(null)), ...report.quiet.map(item(null)));
}

function startDetails() {
  byId("more-threads").addEventListener("click", () => showThreads(true));
}

on("report", () => {
  showHistograms();
  showThreads(false);
  showLost();
});
