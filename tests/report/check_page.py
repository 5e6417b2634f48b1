#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a report in headless Chromium and checks it.

    check_page.py CHROMIUM PAGE [TABLE=FILE.safetensors ...]

The page must make no network requests and print nothing on the console. Its heat maps must hold the numbers of the
intervention files (TABLE is the number of the chapter and of the fit, such as "1.2"). Arrow keys must move through a
map. At widths of 1280 and of 400 pixels, nothing may extend beyond the edge of the page. Exit status 77: skipped,
because there is no Chromium.
"""

import html.parser
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

problems = []


def check(holds, sentence):
    if not holds:
        problems.append(sentence)


class Elements(html.parser.HTMLParser):
    """The elements of a page in order, each with its attributes, and the text that follows its start."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def read_safetensors(path):
    """Tensors as {name: (shape, numbers)}."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        code, width = {"F32": ("f", 4), "F64": ("d", 8)}[entry["dtype"]]
        tensors[name] = (entry["shape"], struct.unpack(f"<{(end - begin) // width}{code}", data[begin:end]))
    return tensors, metadata


class Chromium:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, page, *arguments):
        """What the page's document is in the end, what Chromium said, and what the page asked of the network."""
        log = os.path.join(self.folder, "net.json")
        command = [self.program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
                   "--user-data-dir=" + os.path.join(self.folder, "profile"),
                   "--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND",
                   "--enable-logging=stderr", "--v=0", "--log-net-log=" + log, "--virtual-time-budget=5000",
                   *arguments, "--dump-dom", "file://" + page]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, errors="replace")
        requests = set()
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                # Chromium makes requests of its own, which have no origin as initiator.
                if '"initiator":"' in line and '"initiator":"not an origin"' not in line:
                    requests.add(json.loads(line.rstrip(",\n"))["params"]["url"])
        return done.stdout, done.stderr, requests


def check_static(page):
    elements = Elements(page).found
    policies = [a.get("content", "") for tag, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    check(len(policies) == 1 and policies[0].startswith("default-src 'none'"), "the page has no strict security policy")
    for tag, attributes in elements:
        for name in ("src", "href", "srcset", "data", "action", "xlink:href"):
            value = attributes.get(name)
            check(value is None or value.startswith("#"), f"<{tag}> has {name}=\"{value}\"")
        check(not any(name.startswith("on") for name in attributes), f"<{tag}> has an event handler")
    check("@import" not in page and "url(" not in page, "the style sheet loads something")
    for tag, attributes in elements:
        if tag == "svg" and attributes.get("aria-hidden") != "true":
            check(attributes.get("role") == "img" and attributes.get("aria-label"), "a picture has no text beside it")
    check(any(tag == "html" and a.get("lang") for tag, a in elements), "the page does not say its language")
    headings = [int(tag[1]) for tag, a in elements if re.fullmatch("h[1-6]", tag)]
    check(headings[0] == 1 and all(b <= a + 1 for a, b in zip(headings, headings[1:])), "a heading skips a level")


def heat_maps(page):
    """{fit: {(quantity, site): {(row, place): number}}}, NaN where a cell has no number."""
    maps, fit, table = {}, None, None
    for tag, attributes in Elements(page).found:
        if "data-fit" in attributes:
            fit = maps.setdefault(attributes["data-fit"], {})
        elif tag == "table" and attributes.get("class") in ("heat", "heat small"):
            key = (attributes["data-quantity"], attributes["data-site"])
            if "data-continued" in attributes:  # a wide map goes on
                continue
            while key in fit:  # a gate has a map for each of several prompts
                key = (key[0] + "'", key[1])
            table = fit.setdefault(key, {})
        elif tag == "td" and "data-row" in attributes:
            where = (attributes["data-row"], int(attributes["data-place"]))
            check(where not in table, f"two cells at {where}")
            table[where] = float(attributes["data-value"]) if "data-value" in attributes else math.nan
            zero = table[where] == 0
            if attributes["class"] in ("z", "none") or zero:
                check((attributes["class"] == "z") == (zero or table[where] == 1), f"{attributes} and zero look alike")
            check(attributes.get("title"), "a cell does not tell its number")
    return maps


def check_values(maps, path):
    tensors, metadata = read_safetensors(path)
    for name, (shape, numbers) in tensors.items():
        site, parameter = name.split(".", 1)
        layers, per_layer = shape[0], len(numbers) // shape[0]
        shared = metadata["position_key"] == "shared"
        places = 1 if shared and parameter in ("weight", "bias") else shape[1]
        extent = per_layer // places
        found = maps.get((parameter, site))
        if found is None:
            problems.append(f"{path}: there is no heat map of {name}")
            continue
        check(len(found) == layers * places, f"{path}: {name} has {len(found)} cells for {layers} x {places}")
        for layer in range(layers):
            for place in range(places):
                record = numbers[(layer * places + place) * extent:][:extent]
                expected = record[0] if extent == 1 else math.sqrt(math.fsum(x * x for x in record))
                shown = found.get((str(layer), place), math.nan)
                same = shown == expected if extent == 1 else math.isclose(shown, expected, rel_tol=1e-12)
                check(same, f"{path}: {name} in layer {layer} at {place} is {expected}, the page shows {shown}")


PROBE = """<script>
addEventListener('load', () => {
  const root = document.documentElement, cell = document.querySelector('table.heat td[tabindex="0"]');
  let keys = null;
  if (cell) {
    cell.focus();
    cell.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
    const next = document.activeElement, readout = cell.closest('figure').querySelector('.readout').textContent;
    keys = { from: cell.dataset.row, to: next.dataset.row, told: readout === next.title };
  }
  const wide = [...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.right > innerWidth + 1 && !e.closest('.scroll') && getComputedStyle(e).position !== 'absolute';
  }).map(e => e.tagName + '.' + e.getAttribute('class'));
  const small = [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('.unseen') &&
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) &&
    parseFloat(getComputedStyle(e).fontSize) * (e.ownerSVGElement ? e.getScreenCTM().a : 1) < 9).length;
  parent.postMessage({ inner: innerWidth, scroll: root.scrollWidth, keys, wide: wide.slice(0, 5), small }, '*');
});
</script>"""

FRAME = """<!doctype html><meta charset="utf-8"><body>
<iframe width="{width}" height="900" style="border:0" src="{page}"></iframe>
<script>addEventListener('message', e => {{ document.body.dataset.found = JSON.stringify(e.data); }});</script>"""


def check_layout(chromium, folder, page, width):
    """The page in a frame of some width: windows have a least width, frames do not."""
    probed = os.path.join(folder, "probed.html")
    with open(probed, "w", encoding="utf-8") as file:
        unguarded = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
        file.write(unguarded.replace("</body>", PROBE + "</body>"))
    frame = os.path.join(folder, "frame.html")
    with open(frame, "w", encoding="utf-8") as file:
        file.write(FRAME.format(width=width, page="file://" + probed))
    dom, _, _ = chromium.run(frame, "--window-size=1400,1000")
    answers = [a["data-found"] for _, a in Elements(dom).found if "data-found" in a]
    if not answers:
        problems.append(f"at {width} pixels the page does not answer")
        return
    found = json.loads(answers[0])
    check(found["inner"] == width, f"the frame is {found['inner']} pixels wide instead of {width}")
    check(found["scroll"] <= width, f"at {width} pixels the page is {found['scroll']} wide")
    check(not found["wide"], f"at {width} pixels {found['wide']} hang over the edge")
    check(found["small"] == 0, f"at {width} pixels {found['small']} texts are smaller than 9 pixels")
    keys = found["keys"]
    check(keys and keys["told"] and int(keys["to"]) == int(keys["from"]) - 1, f"arrow keys do not walk: {keys}")


def main():
    program, path, *files = sys.argv[1:]
    if not shutil.which(program):
        print(f"skipped: there is no '{program}'")
        return 77
    path = os.path.abspath(path)
    with open(path, encoding="utf-8") as file:
        page = file.read()
    check_static(page)
    with tempfile.TemporaryDirectory() as folder:
        chromium = Chromium(program, folder)
        dom, said, requests = chromium.run(path)
        for line in said.splitlines():
            check("CONSOLE" not in line, "console: " + line)
        check(not requests, f"requests: {sorted(requests)}")
        maps = heat_maps(dom)
        check(maps, "the page has no heat map")
        for one in files:
            fit, _, file = one.partition("=")
            check(fit in maps, f"there is no fit {fit}; there are {sorted(maps)}")
            check_values(maps.get(fit, {}), file)
        for width in (1280, 400):
            check_layout(chromium, folder, page, width)
    for problem in problems[:20]:
        print(problem)
    print(f"{len(problems)} problems, {sum(len(m) for m in maps.values())} heat maps, {len(files)} files compared")
    return 1 if problems else 0


sys.exit(main())
