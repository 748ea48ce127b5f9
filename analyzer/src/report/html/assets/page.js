// Starts everything.

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").textContent = dark ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", dark ? "Light colours" : "Dark colours");
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches);
  system.addEventListener("change", () => {
    setTheme(system.matches);
    tell("theme");
  });
  byId("theme").addEventListener("click", () => {
    setTheme(document.documentElement.dataset.theme !== "dark");
    tell("theme");
  });
}

function startReports() {
  byId("report-choice").hidden = data.reports.length < 2;
  setOptions(byId("report"), data.reports.map((report, place) => [place, `${place + 1}: ${reportName(report)}`]));
  byId("report").addEventListener("change", () => showReport(byId("report").value));
}

function showReport(place) {
  byId("report").value = place;
  state.report = data.reports[place];
  tell("report");
}

// #fingerprint opens a stack, if need be of another process.
function openFromAddress() {
  const wanted = location.hash.slice(1);
  const has = (report) => report.stacks.fingerprint.includes(wanted);
  const report = [state.report, ...data.reports].find(has);
  if (!report) return;
  if (report !== state.report) showReport(data.reports.indexOf(report));
  revealStack(report.stacks.fingerprint.indexOf(wanted));
}

startTheme();
startReports();
startMemory();
startFlame();
startTable();
startCompare();
startDetails();
tell("report");
openFromAddress();
addEventListener("hashchange", openFromAddress);
addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    byId("search").focus();
  }
});
document.documentElement.dataset.ready = "yes";
requestAnimationFrame(() => setTimeout(() => performance.mark("drawn")));
// The first letter of a search need not wait for what can be done before.
requestIdleCallback(() => matchingNodes("\n"));
