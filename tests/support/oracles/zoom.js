// Runs a flame graph's own script on as much of a document as it needs, clicks on each box and then beside them, and prints what
// is seen: for each click the boxes' names, places and widths.
//
//     node zoom.js FILE
"use strict";
const source = require("fs").readFileSync(process.argv[2], "utf8");
const element = (attributes, textContent) => ({
    textContent,
    getAttribute: (name) => attributes[name],
    setAttribute: (name, value) => { attributes[name] = value; },
});
const BOX = /<g><title>(.*)<\/title><rect x="(.*?)" y="(.*?)" width="(.*?)".*?\/><text x="(.*?)".*?>(.*)<\/text><\/g>/g;
const boxes = [...source.matchAll(BOX)].map(([, title, x, y, width, textX, text]) => {
    const parts = { title: element({}, title), rect: element({ x, y, width }), text: element({ x: textX }, text) };
    return { style: {}, parts, querySelector: (name) => parts[name] };
});
let click;
global.document = {
    documentElement: { viewBox: { baseVal: { width: 1200 } }, addEventListener: (_, listener) => { click = listener; } },
    getElementsByTagName: () => boxes,
};
const seen = () => boxes.filter((box) => box.style.display !== "none").map((box) => {
    const { title, rect, text } = box.parts;
    return [title.textContent, ...["x", "y", "width"].map((name) => Number(rect.getAttribute(name))), text.textContent];
});
const before = seen();
eval(source.split("<![CDATA[")[1].split("]]>")[0]);
const clicks = boxes.map((box) => {
    click({ target: { closest: () => box } });
    return [box.parts.title.textContent, Number(box.parts.rect.getAttribute("y")), seen()];
});
click({ target: { closest: () => null } });
console.log(JSON.stringify({ before, clicks, after: seen() }));
