"""What the pages say holds: the quickstart runs, the table of regimes is the code's, options and links exist."""

import pkgutil
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.generators import load_trainer
from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.generators.pretrained.adapters import ADAPTERS, UNetAdapter
from synthcl.learners import learner_names, learner_options, learner_recipe
from synthcl.pipeline.comparison.verdict import meaning
from synthcl.pipeline.configs.arms import Arm
from synthcl.pipeline.configs.learner_options import OF_FLAGS
from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.data.catalogue import MEAN_PER_CLASS, NAMED_SETS, SUITES, TOP1
from synthcl.pipeline.data.digits import SPLITS as DIGITS_SPLITS
from synthcl.pipeline.options.types import flag
from synthcl.pipeline.views.presets import PRESETS, SMALL_IMAGE, default_preset

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
SHORTER = {"--steps": "2", "--num-samples": "64", "--data": "digits[:10%,balanced]"}
"""The commands of the quickstart run with these in place of what the page says."""
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
EVERY_PAGE_AND_BENCHMARK = pytest.mark.parametrize(
    "page", [*PAGES, *sorted((ROOT / "benchmarks").rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT))
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_the_quickstart_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = [line for block in blocks(DOCS / "quickstart.md", "sh") for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        assert words.pop(0) == "synthcl"
        words = [SHORTER.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, f"{command}\n{result.output}"
    assert Path("quick/samples.png").is_file() and Path("quick/compared/report.html").is_file()
    assert list(Path("quick/encoder").glob("*.safetensors"))

    (code,) = blocks(DOCS / "quickstart.md", "python")
    exec(compile(code, "quickstart.md", "exec"), {})
    assert re.match(r"torch.Size\(\[10, \d+\]\) [\d.]+\n$", capsys.readouterr().out)


def test_the_tour_of_the_readme_runs_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(ROOT / "README.md", "sh")
    said = []
    for command in block.splitlines():
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}"
        said.append("next: " in result.stderr)
    assert all(said) and len(said) == 9
    assert Path("tour/samples.png").is_file() and Path("tour/compared/report.html").is_file()


def test_the_guide_has_the_regimes_and_differences_of_the_table():
    rows = re.findall(r"^\| (`.*) \|$", (DOCS / "guide" / "regimes.md").read_text(), re.MULTILINE)
    regimes = [row.split(" | ")[:2] for row in rows if row.count(" | ") == 2]
    assert regimes == [[f"`{entry.name}`", entry.summary] for entry in REGIMES.values()]
    differences = [row.split(" | ") for row in rows if row.count(" | ") == 1]
    assert differences[:-1] == [
        [f"`{entry.name}` - `{other}`", words]
        for entry in REGIMES.values()
        for other, words in entry.differences.items()
    ]
    more, real = Arm("real-equal-views", "real", {"views_per_image": 4}), Arm("real", "real")
    assert differences[-1] == ["`real-equal-views` - `real`", meaning(more, real)]


def test_the_guide_has_the_data_sets_and_suites_of_the_table():
    rows = re.findall(
        r"^\| `([\w-]+)` \| ([\w, ]+) \| ([\w -]+) \|", (DOCS / "guide" / "data.md").read_text(), re.MULTILINE
    )
    titles = {TOP1: "top-1", MEAN_PER_CLASS: "mean per class"}
    sets = {n: (", ".join(s.splits), titles[s.metric]) for n, s in NAMED_SETS.items()}
    sets["digits"] = (", ".join(DIGITS_SPLITS), titles[TOP1])
    assert {name: tuple(rest) for name, *rest in rows} == sets
    suites = re.findall(r"^\| `([\w-]+)` \| (.*`) \|$", (DOCS / "guide" / "evaluation.md").read_text(), re.MULTILINE)
    assert {name: tuple(re.findall(r"`(.*?)`", text)) for name, text in suites} == {
        n: s.sets for n, s in SUITES.items()
    }


def cells(page: Path, header: str) -> list[list[str]]:
    """The rows of a page's table below its header."""
    _, _, below = page.read_text().partition(header + "\n")
    rows = below.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


OWN_NUMBERS = ("temperature", "teacher_temperature", "queue_size", "momentum", "final_momentum")
"""The options of learners whose defaults the page on learners has, in its order."""


def test_the_page_on_learners_has_what_each_is_trained_with():
    page = DOCS / "guide" / "learners.md"
    what = "optimizer, rate for 256 images, weight decay | its own numbers | source of the rate"
    rows = cells(page, f"| learner | `--views` up to 64 pixels, above | {what} |")
    assert [name.strip("`") for name, *_ in rows] == list(learner_names())
    for name, views, how, own, _ in rows:
        learner = name.strip("`")
        recipe = learner_recipe(learner)
        sizes = (SMALL_IMAGE, SMALL_IMAGE + 1)
        assert re.findall(r"`(.*?)`", views) == [default_preset(learner, size) for size in sizes]
        optimizer, rate, decay = how.split(", ")
        assert (optimizer.lower(), float(rate), float(decay)) == (
            recipe.optimizer,
            recipe.base_learning_rate,
            recipe.weight_decay,
        )
        options = learner_options(learner)
        numbers = [options[known] for known in OWN_NUMBERS if options.get(known) is not None]
        assert [float(number) for number in re.findall(r"[\d.]+", own.replace(",", ""))] == numbers, learner
    views = cells(page, "| `--views` | crop's part of the area | flip | jitter | grey | blur | solarize | source |")
    crops = {name.strip("`"): crop for name, crop, *_ in views}
    assert crops.keys() == PRESETS.keys() - {"digits"}
    for name, crop in crops.items():
        scale = PRESETS[name].crop_scale
        assert crop == (f"{scale[0]:g} to {scale[1]:g}".lstrip("0") if scale else "all")


@pytest.mark.parametrize("name", OF_FLAGS)
def test_the_page_on_learners_has_which_take_an_option(name):
    rows = cells(DOCS / "guide" / "learners.md", "| option | learners | why not the others |")
    (named,) = (learners for option, learners, *_ in rows if option.strip("`").removeprefix("--no-") in flag(name))
    assert set(re.findall(r"`(\w+)`", named)) == {one for one in learner_names() if name in learner_options(one)}


def test_the_page_on_diffusion_has_what_each_pipeline_draws_of(build_pipeline):
    rows = cells(DOCS / "diffusion.md", "| pipeline | what it draws | to choose from | guidance |")
    found = {}
    for names, _, choice, guidance in rows:
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), (choice, guidance))
    assert list(found) == list(ADAPTERS)
    for name, (choice, guidance) in found.items():
        adapter = ADAPTERS[name](build_pipeline(name))
        assert ("--prompts" in choice) == adapter.takes_prompts
        assert ("where its network has them" in choice) == issubclass(ADAPTERS[name], UNetAdapter)
        assert ("--classes" in choice) == (adapter.num_classes is not None or isinstance(adapter, UNetAdapter))
        assert guidance.startswith("`--guidance-scale`") == hasattr(adapter, "guidance_scale")


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_page_on_diffusion_has_what_each_pipeline_takes(build_pipeline, conditions, tmp_path, name):
    with_classes = {"num_class_embeds": 6} if issubclass(ADAPTERS[name], UNetAdapter) else {}

    def works(act, **changes):
        try:
            act(build_pipeline(name, **changes))
        except ValueError:
            return False
        return True

    def drawn(pipeline, **options):
        return PretrainedGenerator(pipeline, sampling_steps=8, **conditions(name), **options)

    def joint(pipeline):
        pipeline.save_pretrained(tmp_path / "pipeline")
        load_trainer(tmp_path / "pipeline", sampling_steps=2, **conditions(name))

    def part_of_the_way(check):
        if works(lambda pipeline: check(drawn(pipeline))):
            return "yes"
        return "with `--sampler`" if works(lambda pipeline: check(drawn(pipeline, sampler="ddim"))) else "no"

    def with_or_without(act, word):
        plain, other = works(act), works(act, **with_classes)
        return "yes" if plain and other else word if plain or other else "no"

    header = "| pipeline | `--sampler` | `--pairs`, `--images-per-sample` | `--group-by condition` | `--anchors` "
    header += "| joint training |"
    rows = {row[0]: row[1:] for row in cells(DOCS / "diffusion.md", header)}
    assert list(rows) == [f"`{one}`" for one in ADAPTERS]
    assert rows[f"`{name}`"] == [
        "yes" if works(lambda pipeline: drawn(pipeline, sampler="dpm")) else "no",
        part_of_the_way(lambda generator: generator.check_group(0.5)),
        with_or_without(lambda pipeline: drawn(pipeline).check_group(None), "with classes"),
        part_of_the_way(lambda generator: generator.check_variations(0.5)),
        with_or_without(joint, "without classes"),
    ]


def commands_of(command: click.Command) -> dict[str, click.Command]:
    """The commands of a group, by name; they load when they are asked for."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    return {name: command.get_command(context, name) for name in command.list_commands(context)}


def options_of(command: click.Command) -> set[str]:
    own = {name for p in command.get_params(click.Context(command)) for name in (*p.opts, *p.secondary_opts)}
    return own.union(*map(options_of, commands_of(command).values()))


def call_of(words: list[str]) -> tuple[click.Command, set[str]]:
    """The command that these words call, and the options that they give it."""
    command: click.Command = main
    while words and words[0] in commands_of(command):
        command, words = commands_of(command)[words[0]], words[1:]
    return command, {word.partition("=")[0] for word in words if word.startswith("--")}


def calls(page: Path) -> list[list[str]]:
    """What the page's blocks call `synthcl` with."""
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
    lines = [line.strip() for line in code.replace("\\\n", " ").splitlines()]
    found = [re.search(r"(?:^|-m )synthcl(?:\.cli)? (.*)", line) for line in lines]
    return [shlex.split(match[1], comments=True) for match in found if match]


@EVERY_PAGE
def test_commands_have_the_options_that_pages_give_them(page):
    for words in calls(page):
        command, given = call_of(words)
        assert command is not main, words
        assert given <= options_of(command), words


@EVERY_PAGE
def test_the_options_of_trainings_on_pages_go_together(page, monkeypatch):
    monkeypatch.chdir(ROOT / "examples")  # one page has a learner from there
    for words in calls(page):
        if words[0] == "train":
            result = CliRunner().invoke(main, [*words, "--dry-run"])
            assert result.exit_code == 0, f"{words}\n{result.output}"


@EVERY_PAGE
def test_options_named_in_the_text_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    others = {
        "--nproc_per_node",
        "--multi_gpu",
        "--num_processes",
        "--cpu",
        "--signal",
        "--pty",
    }  # of torchrun, accelerate, Slurm
    code = [
        part
        for part in re.findall(r"`([^`]+)`", text)
        if not part.startswith(("accelerate", "torchrun", "pytest", "python tools"))
    ]
    named = {name for part in code for name in re.findall(r"(?<![\w-])--[a-z][\w-]+", part)}
    assert named - others <= options_of(main)


@EVERY_PAGE_AND_BENCHMARK
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@EVERY_PAGE_AND_BENCHMARK
def test_links_to_a_part_of_a_page_lead_to_a_heading_of_it(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*\.md|)#([^)]+)\)", page.read_text()):
        text = (page.parent / target if target else page).read_text()
        headings = [line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")]
        assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings], anchor


def test_the_site_leads_to_every_page_of_the_guide_and_of_the_benchmarks():
    def leaves(entry):
        inner = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else None
        return [entry] if inner is None else [leaf for one in inner for leaf in leaves(one)]

    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    guide = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    benchmarks = [page.relative_to(ROOT).as_posix() for page in (ROOT / "benchmarks").rglob("*.md")]
    assert sorted(leaves(site["nav"])) == sorted(guide + benchmarks)


def test_files_that_contributing_names_exist():
    named = re.findall(r"`([\w./]+(?:\.py|/))`", (ROOT / "CONTRIBUTING.md").read_text())
    paths = [path for path in named if not re.search(r"NAME|COMMAND", path)]
    assert len(paths) > 15
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_what_the_reference_describes_exists():
    targets = [
        name for page in sorted((DOCS / "api").glob("*.md")) for name in re.findall(r"(?m)^::: (\S+)", page.read_text())
    ]
    assert len(targets) > 15
    for target in targets:
        pkgutil.resolve_name(target)
