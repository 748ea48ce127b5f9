"""Reads what a gate wrote with Python's own readers, and prints what it holds as JSON.

    judgements.py sarif FILE SCHEMA
    judgements.py junit FILE
    judgements.py html FILE
"""

import json
import sys
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes, urljoin, urlparse

kind, path = sys.argv[1:3]

if kind == "sarif":
    import jsonschema

    with open(path, encoding="utf-8") as file:
        log = json.load(file)
    with open(sys.argv[3], encoding="utf-8") as file:
        schema = json.load(file)
    checker = jsonschema.FormatChecker()
    jsonschema.Draft7Validator(schema, format_checker=checker).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    bases = {name: base["uri"] for name, base in run["originalUriBaseIds"].items()}

    def place(location):
        physical = location.get("physicalLocation")
        if not physical:
            return None
        artifact = physical["artifactLocation"]
        uri = artifact["uri"]
        assert uri.isascii() and " " not in uri, uri
        # Relative to a base, or by itself.
        whole = urljoin(bases[artifact["uriBaseId"]], uri) if "uriBaseId" in artifact else uri
        assert "uriBaseId" in artifact or urlparse(uri).scheme == "file", uri
        file = unquote_to_bytes(urlparse(whole).path).decode("utf-8", "backslashreplace")
        line = physical.get("region", {}).get("startLine")
        return {"file": file, "line": line, "relative": uri if "uriBaseId" in artifact else None}

    answer = []
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"], result
        assert all(place(location) for location in result["locations"] + result.get("relatedLocations", []))
        frames = result["stacks"][0]["frames"]
        functions = [
            names[0]["fullyQualifiedName"]
            for names in (frame["location"].get("logicalLocations") for frame in frames)
            if names
        ]
        answer.append(
            {
                "rule": result["ruleId"],
                "level": result["level"],
                "message": result["message"]["text"],
                "place": place(result["locations"][0]),
                "functions": functions,
                "fingerprint": result["partialFingerprints"]["libleakStack/v1"],
                "related": [where["message"]["text"] for where in result.get("relatedLocations", [])],
                "flows": len(result.get("codeFlows", [])),
                "processes": result["occurrenceCount"],
                "baseline": result.get("baselineState"),
                "suppressions": [by["justification"] for by in result["suppressions"]],
                "bytes": result["properties"]["bytes"],
            }
        )
    (invocation,) = run["invocations"]
    notes = [
        [note["descriptor"]["id"], note["level"], note["message"]["text"]]
        for note in invocation["toolExecutionNotifications"]
    ]
    successful, code = invocation["executionSuccessful"], invocation["exitCode"]
    answer = {"results": answer, "notes": notes, "successful": successful, "code": code, "rules": rules}

elif kind == "junit":
    root = xml.parse(path).getroot()
    assert root.tag == "testsuites"
    answer = []
    for suite in root:
        cases = list(suite)
        for name, element in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            found = cases if name == "tests" else [case for case in cases if case.find(element) is not None]
            assert int(suite.get(name)) == len(found), (name, suite.attrib)
        for case in cases:
            (verdict,) = list(case) or [None]
            answer.append(
                {
                    "suite": suite.get("name"),
                    "name": case.get("name"),
                    "class": case.get("classname"),
                    "time": float(case.get("time")),
                    "verdict": None if verdict is None else verdict.tag,
                    "type": None if verdict is None else verdict.get("type"),
                    "message": None if verdict is None else verdict.get("message"),
                    "text": None if verdict is None else verdict.text,
                }
            )
    assert int(root.get("tests")) == len(answer)

else:

    class Page(HTMLParser):
        """Elements, cells of tables by row, what is folded, and blocks of code."""

        def __init__(self):
            super().__init__()
            self.elements, self.rows, self.blocks, self.summaries, self.headings = [], [], [], [], []
            self.open = []

        def handle_starttag(self, tag, attributes):
            self.elements.append(tag)
            assert not attributes or tag in ("th", "td", "code", "pre"), (tag, attributes)
            self.open.append(tag)
            for name, into in (("pre", self.blocks), ("summary", self.summaries), ("h2", self.headings), ("h3", self.headings)):
                if tag == name:
                    into.append("")
            if tag == "tr":
                self.rows.append([])
            if tag in ("td", "th"):
                self.rows[-1].append("")

        def handle_endtag(self, tag):
            assert self.open.pop() == tag, (tag, self.open)

        def handle_data(self, data):
            for name, into in (("pre", self.blocks), ("summary", self.summaries), ("h2", self.headings), ("h3", self.headings)):
                if name in self.open:
                    into[-1] += data
            if "td" in self.open or "th" in self.open:
                self.rows[-1][-1] += data

    page = Page()
    with open(path, encoding="utf-8") as file:
        page.feed(file.read())
    page.close()
    assert not page.open, page.open
    answer = {
        "elements": sorted(set(page.elements)),
        "rows": page.rows,
        "blocks": page.blocks,
        "summaries": page.summaries,
        "headings": page.headings,
    }

json.dump(answer, sys.stdout)
