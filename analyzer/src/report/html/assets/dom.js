// Makes elements. Text is only ever set as text.

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

// Instead of all that an element holds; what is null is left out.
const put = (element, ...children) => fill(element, {}, (element.replaceChildren(), children));

function setOptions(select, options) {
  select.replaceChildren(...options.map(([value, label]) => el("option", { value, text: label })));
}

// A small line of what a stack held.
function sparkline(points, end, label) {
  const width = 96, height = 24;
  const most = Math.max(1, ...points.map((point) => point[1]));
  const x = (s) => (end > 0 ? Math.min(1, s / end) * width : 0).toFixed(1);
  const y = (b) => (height - 2 - b / most * (height - 4)).toFixed(1);
  let path = `M0 ${y(0)}`, last = y(0);
  for (const [s, b] of points) {
    path += `L${x(s)} ${last}L${x(s)} ${y(b)}`;
    last = y(b);
  }
  path += `L${width} ${last}`;
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("path", { class: "area", d: `${path}L${width} ${height}L0 ${height}Z` }), svg("path", { class: "line", d: path }));
}

// A table whose cells know their column's name, which small screens show beside them.
function plainTable(table, columns, rows) {
  const cells = (row) => row.map((cell, place) => {
    const attributes = { class: columns[place][1], "data-label": columns[place][0] };
    return cell instanceof Node ? el("td", attributes, cell) : el("td", { ...attributes, text: cell });
  });
  table.replaceChildren(
    el("thead", {}, el("tr", {}, ...columns.map(([name, kind]) => el("th", { scope: "col", class: kind, text: name })))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells(row)))));
}
