// A click on a box makes it as wide as the picture: what is above grows with it, what is below fills the row, the rest goes.
// A click beside the boxes shows everything again.
"use strict";
(function () {
    var margin = 10, letter = 7, svg = document.documentElement;
    var whole = svg.viewBox.baseVal.width - 2 * margin;
    var boxes = [].map.call(document.getElementsByTagName("g"), function (g) {
        var rect = g.querySelector("rect"), number = function (name) { return Number(rect.getAttribute(name)); };
        var title = g.querySelector("title").textContent;
        return {
            g: g, rect: rect, text: g.querySelector("text"), x: number("x"), y: number("y"), width: number("width"),
            name: title.slice(0, title.lastIndexOf(" ("))
        };
    });

    function place(box, x, width) {
        var letters = Math.floor((width - 4) / letter);
        box.rect.setAttribute("x", x);
        box.rect.setAttribute("width", width);
        box.text.setAttribute("x", x + 2);
        box.text.textContent = letters < 3 ? "" :
            box.name.length <= letters ? box.name : box.name.slice(0, letters - 1) + "…";
        box.g.style.display = "";
    }

    function zoom(to) {
        boxes.forEach(function (box) {
            // Coordinates are rounded.
            var isBelow = box.y > to.y && box.x <= to.x + 0.01 && box.x + box.width >= to.x + to.width - 0.01;
            var isInside = box.y <= to.y && box.x >= to.x - 0.01 && box.x + box.width <= to.x + to.width + 0.01;
            if (isBelow) {
                place(box, margin, whole);
            } else if (isInside) {
                place(box, margin + (box.x - to.x) / to.width * whole, box.width / to.width * whole);
            } else {
                box.g.style.display = "none";
            }
        });
    }

    var all = { x: margin, y: Infinity, width: whole };
    svg.addEventListener("click", function (event) {
        var g = event.target.closest("g");
        zoom(boxes.find(function (box) { return box.g === g; }) || all);
    });
})();
