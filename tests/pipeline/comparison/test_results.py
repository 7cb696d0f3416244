"""The numbers on disk are the answers."""

import csv
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from synthcl.pipeline.comparison.results import SCHEMA, build_rows, write_results

VOID = {"meta", "br", "img", "link", "hr", "input", "source", "wbr"}


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


def test_results_on_disk_are_the_answers(make_comparison, report, tmp_path):
    comparison = make_comparison()
    rows = build_rows(comparison.runs, comparison.answers)
    write_results(tmp_path, rows)
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.schema.equals(SCHEMA) and table.num_rows == len(rows)
    found = {
        (row["arm"], row["seed"]): row["value"]
        for row in table.to_pylist()
        if row["task"] == "linear" and row["metric"] == "top1" and row["label_fraction"] == 1 and not row["transfer"]
    }
    expected = {(r, seed): value for r, own in comparison.primary().items() for seed, value in own.items()}
    assert found == expected
    with open(tmp_path / "results.csv") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(rows) and list(lines[0]) == SCHEMA.names
    assert [float(line["value"]) for line in lines] == pytest.approx([row["value"] for row in rows])
    costs = {row["metric"] for row in rows if row["task"] == "training"}
    assert {"seconds", "images_per_second", "num_synthetic"} <= costs
