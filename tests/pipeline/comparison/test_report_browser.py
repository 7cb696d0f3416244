"""The report in a browser: no errors, no sideways scrolling on a phone or a desk, and pictures with words.

A page of ours shows the report in frames of given widths, measures them, and leaves what it found in its own text; the
browser prints that. So any Chromium will do, without a driver.
"""

import html
import json
import re
import shutil
import subprocess

import pytest

WIDTHS = (390, 1280)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HARNESS = """<!DOCTYPE html><title>harness</title><pre id="found"></pre><script>
const page = PAGE, found = [];
for (const width of WIDTHS) {
  const frame = document.createElement("iframe");
  Object.assign(frame.style, {width: width + "px", height: "800px", border: 0});
  frame.srcdoc = page;
  frame.onload = () => {
    const inside = frame.contentDocument;
    inside.querySelectorAll("details").forEach((one) => { one.open = true; });
    const wide = [...inside.querySelectorAll("body *")].filter((one) =>
      one.getBoundingClientRect().right > width + 1 && !one.closest(".scroll, svg"));
    const label = (one) => one.getAttribute("aria-labelledby").split(" ")[0];
    const words = (one) => one.tagName === "IMG" ? one.alt : inside.getElementById(label(one))?.textContent;
    found.push({
      width,
      scroll: inside.documentElement.scrollWidth,
      wide: wide.map((one) => one.tagName + "." + one.className + " " + one.textContent.slice(0, 40)),
      pictures: [...inside.querySelectorAll("img, svg[role=img]")].map(words),
      broken: [...inside.images].filter((one) => !one.naturalWidth).length,
      smallest: Math.min(...[...inside.querySelectorAll("svg text")].map((one) => one.getBoundingClientRect().height)),
      cut: [...inside.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth).map((one) =>
        one.textContent.trim().slice(0, 40) + " " + (one.scrollWidth - one.clientWidth)),
      copies: inside.querySelectorAll("button.copy").length,
      commands: inside.querySelectorAll("pre.command").length,
    });
    document.getElementById("found").textContent = JSON.stringify(found);
  };
  document.body.append(frame);
}
</script>"""


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """A page to what it is like at each width, and what the console said."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)} is on the path")

    def run(page):
        folder = tmp_path_factory.mktemp("browser")
        text = HARNESS.replace("WIDTHS", str(list(WIDTHS))).replace("PAGE", json.dumps(page).replace("</", "<\\/"))
        (folder / "harness.html").write_text(text)
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
            "--no-first-run", f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900",
            "--virtual-time-budget=20000", "--dump-dom",
        ]  # fmt: skip
        command = [browser, *options, (folder / "harness.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found and found[1], f"the browser gave no result: {done.stderr[-2000:]}"
        console = re.findall(r"CONSOLE(?:\(|:)\d+[^\n]*", done.stderr)
        return json.loads(html.unescape(found[1])), console

    return run


def test_the_report_is_whole_in_a_browser(browse, make_comparison, tmp_path, report_of):
    found, console = browse(report_of(make_comparison(), tmp_path))
    assert console == []
    assert sorted(one["width"] for one in found) == list(WIDTHS)
    for one in found:
        assert one["scroll"] <= one["width"] and one["wide"] == [] and one["cut"] == []
        assert len(one["pictures"]) > 5 and all(one["pictures"]) and one["broken"] == 0
        assert one["copies"] == one["commands"] > 5
        assert one["smallest"] >= 10


def test_what_is_wrong_with_a_page_is_seen(browse):
    page = "<script>missing()</script><div style='width: 500px'>wide</div><img src='data:,' alt=''>"
    page += "<div class='scroll' style='width: 99px; overflow: auto'><div style='width: 100px'>table</div></div>"
    found, console = browse(page + "<svg><text>x</text></svg>")
    assert len(console) >= 1 and all("missing" in line for line in console)
    narrow = min(found, key=lambda one: one["width"])
    assert narrow["scroll"] > narrow["width"] and narrow["pictures"] == [""] and narrow["broken"] == 1
    assert all(one["cut"] == ["table 1"] for one in found)
