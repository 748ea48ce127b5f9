"""Reads an export with Python's own readers and prints its stacks as JSON: {"total": …, "stacks": {"outer;inner": number}}.

    exports.py folded|speedscope|flamegraph|csv FILE [SCHEMA]
"""

import csv
import json
import sys
import xml.etree.ElementTree as xml
from collections import Counter

kind, path = sys.argv[1:3]
stacks = Counter()

if kind == "folded":
    # As flamegraph.pl reads it: what follows the last space is the number.
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            names, _, number = line.rstrip("\n").rpartition(" ")
            assert names and all(names.split(";")), line
            stacks[names] += int(number)
    total = sum(stacks.values())

elif kind == "speedscope":
    import jsonschema

    with open(path, encoding="utf-8") as file:
        profile = json.load(file)
    with open(sys.argv[3], encoding="utf-8") as file:
        jsonschema.validate(profile, json.load(file))
    frames, total = profile["shared"]["frames"], 0
    for part in profile["profiles"]:
        assert len(part["samples"]) == len(part["weights"])
        for sample, weight in zip(part["samples"], part["weights"]):
            stacks[";".join(frames[index]["name"] for index in sample)] += weight
        assert part["endValue"] - part["startValue"] == sum(part["weights"])
        total += part["endValue"]

elif kind == "flamegraph":
    svg = "{http://www.w3.org/2000/svg}"
    boxes = []
    for group in xml.parse(path).getroot().iter(svg + "g"):
        name, _, number = group.find(svg + "title").text.rpartition(" (")
        rect = group.find(svg + "rect")
        x, y, width = (float(rect.get(key)) for key in ("x", "y", "width"))
        boxes.append((y, x, width, name, int(number.split(" ")[0].replace(",", ""))))
    boxes.sort(reverse=True)
    total = boxes[0][4]
    for y, x, width, name, number in boxes:
        # A box is as wide as its number, and stands on those that hold it.
        assert abs(width / boxes[0][2] * total - number) <= 0.01 / boxes[0][2] * total + 1, (name, width, number)
        below = [b for b in boxes if b[0] > y and b[1] <= x + 0.011 and x + width <= b[1] + b[2] + 0.011]
        rows = {}
        for box in below:
            rows.setdefault(box[0], box)
        above = [b for b in boxes if 0 < y - b[0] < 17 and x - 0.011 <= b[1] and b[1] + b[2] <= x + width + 0.011]
        own = number - sum(b[4] for b in above)
        assert own >= 0, (name, number, above)
        if own and name != "all":
            path = [rows[row][3] for row in sorted(rows, reverse=True)] + [name]
            stacks[";".join(path[1:])] += own

elif kind == "csv":
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert all(None not in row and None not in row.values() for row in rows), "rows of other lengths"
    for row in rows:
        stacks[row["stack"]] += int(row["live_bytes"])
    total = sum(stacks.values())
    print(json.dumps({"total": total, "stacks": stacks, "rows": rows}))
    sys.exit()

print(json.dumps({"total": total, "stacks": stacks}))
