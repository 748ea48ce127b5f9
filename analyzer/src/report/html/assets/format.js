// Numbers as people read them; the same words as in the text report.

const threeDigits = (value) => value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
const count = (number) => Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");
const counted = (number, noun) => `${count(number)} ${noun}${Math.round(number) === 1 ? "" : "s"}`;

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let value = Math.abs(bytes), unit = 0;
  while (value >= 999.5 && unit + 1 < units.length) {
    value /= 1024;
    unit++;
  }
  const sign = bytes < 0 ? "−" : "";
  return `${sign}${unit === 0 ? count(value) : threeDigits(value)} ${units[unit]}`;
}

const change = (bytes) => (bytes > 0 ? "+" : "") + size(bytes);

function duration(seconds) {
  const s = seconds;
  if (s < 0.0009995) return `${threeDigits(s * 1e6)} µs`;
  if (s < 0.9995) return `${threeDigits(s * 1e3)} ms`;
  if (s < 59.95) return `${threeDigits(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${count(Math.floor(s / 86400))} d ${Math.floor(s / 3600) % 24} h`;
}

function share(part, whole) {
  if (!part || !whole) return "0 %";
  const percent = part * 100 / whole;
  return percent < 0.5 ? "<1 %" : `${percent.toFixed(0)} %`;
}

// Without template arguments and parameters, for where there is little room.
function shortName(name) {
  let text = "", depth = 0;
  for (let i = 0; i < name.length; i++) {
    const c = name[i];
    if (c === "<" && i > 0 && !text.endsWith("operator") && !text.endsWith("operator<")) {
      if (depth++ === 0) text += "<…";
    } else if (c === ">" && depth > 0 && name[i - 1] !== "-") {
      if (--depth === 0) text += ">";
    } else if (depth === 0) {
      if (c === "(" && i > 0 && !name.startsWith("(anonymous", i) && !text.endsWith("operator")) break;
      text += c;
    }
  }
  return text.trim() || name;
}
