"""The report is one page that stands alone, and the numbers on disk are those it shows."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from synthcl.pipeline.comparison.summary import summarise

VOID = {"meta", "br", "img", "link", "hr", "input", "source", "wbr"}
HOSTILE = "<script>alert(1)</script>&\"'$x$"


class Page(HTMLParser):
    """Elements balanced, ids counted, links and text kept."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.links, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name.split(":")[-1] in ("href", "src", "action", "data", "poster", "srcset"):
                self.links.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def report(report_of):
    """A comparison's report: its text, and read."""

    def make(comparison, tmp_path):
        text = report_of(comparison, tmp_path)
        return text, Page(text)

    return make


def test_the_page_is_whole_and_needs_nothing_else(make_comparison, report, tmp_path):
    text, page = report(make_comparison(), tmp_path)
    assert page.tags.count("script") == 1 and "link" not in page.tags
    assert len(page.ids) == len(set(page.ids)) and len(page.ids) > 20
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert "http" not in text and "@import" not in text
    assert page.tags.count("svg") == page.tags.count("desc") == page.tags.count("title") - 1
    assert all(f"var(--{name})" in text for name in ("ink", "muted", "grid", "real", "offline", "online"))
    assert not re.search(r"#(\w\w)0a\1", text), "a sentinel colour was left"
    assert len(text) < 1_500_000


def test_the_page_says_what_the_summary_says(make_comparison, report, tmp_path):
    comparison = make_comparison()
    summary = summarise(comparison)
    _, page = report(comparison, tmp_path)
    words = " ".join(page.text.split())
    assert summary["winner"] == "online"
    assert "all 3 seeds differ by the very same" in words  # offline, of which no interval can be had
    assert "Better than every other arm: online" in words
    assert "Online helps: +10.10 points over real images alone (95% interval" in words
    for difference in summary["differences"]:
        assert difference["sentence"] in words or difference["reference"] != "real"
    assert (
        "Online reaches the accuracy of real images alone with all labels at 1% of them or less, in each of 3 seeds"
        in words
    )
    assert "synthcl compare --out" in words and "synthcl train --data digits" in words


def test_corrupted_images_have_a_plot_where_they_were_asked_for(make_comparison, report, tmp_path):
    for robustness in (False, True):
        _, page = report(make_comparison(robustness=robustness, transfer=()), tmp_path)
        words = " ".join(page.text.split())
        assert ("On corrupted images" in words) == ("over 11 corruptions in 5 severities" in words) == robustness


def test_names_are_escaped(make_comparison, report, tmp_path):
    comparison = make_comparison(transfer=(HOSTILE,), mismatches=[f"--data: {HOSTILE}"])
    text, page = report(comparison, tmp_path)
    assert text.count("<script") == 1 and HOSTILE in page.text
    assert "No winner is called: the runs differ in more than the regime." in " ".join(page.text.split())


def test_one_seed_has_neither_interval_nor_winner(make_comparison, report, tmp_path):
    comparison = make_comparison(num_seeds=1)
    summary = summarise(comparison)
    _, page = report(comparison, tmp_path)
    assert summary["winner"] is None
    assert all(d["interval"] is None and d["outcome"] == "unknown" for d in summary["differences"])
    assert "no interval from 1 seed; 3 are needed" in " ".join(page.text.split())


def test_seeds_are_told_of_each_arm_where_they_are_not_as_many(make_comparison, report, tmp_path):
    comparison = make_comparison()
    few = [run for run in comparison.runs if (run.name, run.seed) != ("offline", 2)]
    for runs, said in (
        (comparison.runs, "3 seeds an arm."),
        (few, "unequal numbers of seeds: 3 of real, 2 of offline, 3 of online."),
    ):
        _, page = report(dataclasses.replace(comparison, runs=runs), tmp_path)
        assert f"at equal steps, with {said}" in " ".join(page.text.split())


def test_the_primary_comparison_is_told_first(make_comparison, report_of, tmp_path):
    page = report_of(make_comparison(primary="online-offline"), tmp_path)
    verdict = page[page.index('<div class="verdict">') :].partition("</div>")[0]
    assert [text.split(":")[0] for text in re.findall(r"<p style.*?>(.*?)</p>", verdict)] == [
        "Online is better than offline", "Offline", "Online helps"
    ]  # fmt: skip
