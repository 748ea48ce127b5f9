// The data, and questions to it.

const data = JSON.parse(byId("data").textContent);
const text = (index) => index === null || index === undefined || index < 0 ? "" : data.strings[index];
const { frames, nodes } = data;

const parents = new Int32Array(nodes.frame.length);
nodes.back.forEach((back, node) => { parents[node] = back === 0 ? -1 : node - back; });

const isLibrary = (frame) => (frames.flags[frame] & 2) !== 0;
const isInlined = (frame) => (frames.flags[frame] & 1) !== 0;
const functionOf = (frame) => text(frames.name[frame]);

// Innermost first.
function framesOf(node) {
  const all = [];
  for (let at = node; at >= 0; at = parents[at]) all.push(nodes.frame[at]);
  return all;
}

// The innermost frame that is the program's own.
function ownFrame(node) {
  for (let at = node; at >= 0; at = parents[at]) if (!isLibrary(nodes.frame[at])) return nodes.frame[at];
  return node >= 0 ? nodes.frame[node] : -1;
}

const values = {
  live_bytes: { label: "Outstanding bytes", show: size },
  live_blocks: { label: "Outstanding blocks", show: (number) => counted(number, "block") },
  bytes_per_hour: { label: "Growth per hour", show: (number) => `${size(number)}/h` },
  allocated_bytes: { label: "Allocated bytes", show: size },
  temporary: { label: "Temporary blocks", show: (number) => counted(number, "block") },
  peak_bytes: { label: "Peak bytes", show: size },
};

const INHERITED = 1, MAPPED = 2, SUPPRESSED = 4, CUT = 8;

// What a stack held, as moments and bytes; whether each is what was held then, or only what of it is still outstanding.
function course(report, stack) {
  const of = report.stacks, known = of.courses[of.course[stack]];
  if (known.s || !known.b.length) {
    const births = (known.s || []).map((s, place) => [s, known.b[place]]);
    return { points: births, exact: of.frees[stack] === 0 };
  }
  const points = known.b.map((bytes, place) => [report.level_times[place], bytes]);
  points.push([report.duration || 0, of.live_bytes[stack]]);
  return { points, exact: true };
}

function heldAt({ points }, seconds) {
  let held = 0;
  for (const [s, bytes] of points) {
    if (s > seconds) break;
    held = bytes;
  }
  return held;
}

// Nodes that have a frame of which a text contains `term` in them or above them: each string is looked at once.
let lowered = null;
function matchingNodes(term) {
  lowered = lowered || data.strings.map((string) => string.toLowerCase());
  const hits = lowered.map((string) => string.includes(term));
  const hit = (index) => index >= 0 && hits[index];
  const inFrame = frames.name.map((name, frame) =>
    hit(name) || hit(frames.place[frame]) || hit(frames.file[frame]) || hit(frames.module[frame]));
  const inNode = new Uint8Array(parents.length);
  for (let node = 0; node < inNode.length; node++) {
    inNode[node] = inFrame[nodes.frame[node]] || (parents[node] >= 0 && inNode[parents[node]]) ? 1 : 0;
  }
  return { inNode, hit };
}

// Stacks in which every word of a search stands somewhere.
function search(report, words) {
  const of = report.stacks;
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Uint8Array(of.node.length).fill(1);
  for (const term of terms) {
    const { inNode, hit } = matchingNodes(term);
    for (let stack = 0; stack < found.length; stack++) {
      found[stack] &= (of.node[stack] >= 0 && inNode[of.node[stack]]) || hit(of.type[stack]) || hit(of.origin[stack])
        || of.fingerprint[stack].includes(term) ? 1 : 0;
    }
  }
  return found;
}

// What the page shows now.
const state = { report: data.reports[0], range: null };
const listeners = { report: [], range: [], theme: [] };
const tell = (what) => listeners[what].forEach((listener) => listener());
const on = (what, listener) => listeners[what].push(listener);
