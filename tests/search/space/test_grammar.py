"""The schema and the page say what ``SearchSpace.load`` does."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft7Validator

from ndvq_tune import distributions
from ndvq_tune.errors import ConfigError
from ndvq_tune.metrics import METRICS
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.grammar import DISTRIBUTIONS, leaves, plain_schema, space_schema
from ndvq_tune.search.space.grammar_page import filled, in_words
from ndvq_tune.search.space.settings.sampler import SamplerSettings
from ndvq_tune.yaml_file import Document

TOP = Path(__file__).parents[3]
PAGE = (TOP / "docs" / "space.md").read_text(encoding="utf-8")
SPACES = sorted((TOP / "search_spaces").glob("*.yaml"))
SCHEMA = space_schema()

GOOD = """
model: {n_codes: 64}
model: {n_codes: {choice: [64, 128]}}
model: {n_codes: {int_uniform: [16, 64]}}
model: {n_codes: {log_int_uniform: [16, 64]}}
model: {ema_decay: {uniform: [0.5, 0.9]}}
model: {ema_decay: {uniform: [0.5, 0.9], prefer: 0.8, confidence: high}}
model: {downsample: {choice: [[2, 4, 4], [4, 4, 4]], prefer: [2, 4, 4]}}
model: {codebook_beta: {int_uniform: [0, 2]}}
model: {downsample: {choice: [[2, 4, 4], [4, 4, 4]]}}
model: {attention: {type: {choice: [none, full]}, n_head: {choice: [1, 4], when: {model.attention.type: full}}}}
model: {quantizer: {levels: null, cosine: {choice: [true, false]}}}
model: {n_codes: {choice: [64], when: {data.resolution: 64, model.downsample: [[2, 4, 4]]}}}
training: {learning_rate: {log_uniform: [0.001, 0.01]}, loss: {type: {choice: [l1, l2]}}}
data: {clip_length: 4}
data: {type: image, bits: 16} ; model: {n_dims: 2, downsample: [4, 4]}
data: {type: array, axes: NCTDHW} ; model: {n_dims: 4}
search: {objectives: [{metric: psnr, mode: max}], constraints: [{metric: parameters, at_most: 1000}]}
search: {scheduler: {grace_period: 3}}
search: {scheduler: {type: pbt, quantile: 0.5}}
search: {scheduler: {type: none}, sampler: {type: grid}}
search: {fidelity: {unit: seconds, resolution: [16, 32, 64]}}
search: {stop: {collapse: null, plateau: null, trial_time: 10m, cost: {at_most: 3, per_hour: 2.5}}}
search: {until: {recon_loss: 0.02, psnr: 30}, time_budget: 90, stall: 3, confirm: {}}
search: {resources: {lanes: auto, gpus_per_trial: 0.25}}
search: {resources: {lanes: 3}}
search: {time_budget: 1h30m}
tracking: {experiment: null, uri: "sqlite:///x.db"}
""".strip().splitlines()

BAD = """
modle: {}
model: {n_code: 64}
model: {n_codes: many}
model: {n_codes: 1}
model: {n_codes: {choice: [64, 1]}}
model: {n_codes: {choice: []}}
model: {n_codes: {choice: [64, 64]}}
model: {n_codes: {chioce: [64]}}
model: {n_codes: {choice: [64], int_uniform: [16, 64]}}
model: {n_codes: {when: {model.n_hiddens: 32}}}
model: {n_codes: {prefer: 32}}
model: {n_codes: {choice: [64, 128], prefer: 64, confidence: sure}}
model: {n_codes: {uniform: [16.5, 64.5]}}
model: {n_codes: {choice: [64], when: {model.n_hidens: 32}}}
model: {n_codes: {choice: [64], when: {model.norm: bach}}}
model: {ema_decay: {uniform: [0.5, 1.0]}}
model: {ema_decay: {uniform: [0.5]}}
model: {ema_decay: [0.5, 0.9]}
model: {codebook_beta: {log_uniform: [0, 1]}}
model: {norm: {uniform: [0, 1]}}
model: {attention: full}
model: {attention: {type: fulll}}
model: {downsample: 4}
training: {loss: {type: l3}}
training: {batch_size: 0}
data: {resolutoin: 64}
data: {resolution: {choice: [32, 64]}}
data: {type: sound}
data: {type: image, clip_length: 4}
data: {type: torchvision}
search: {trials: {choice: [1, 2]}}
search: {objectives: []}
search: {objectives: [{metric: recon, mode: min}]}
search: {objectives: [{metric: psnr, mode: up}]}
search: {objectives: [{metric: psnr}]}
search: {scheduler: asha}
search: {scheduler: {type: hyperbnd}}
search: {scheduler: {brackets: 3}}
search: {scheduler: {type: median, brackets: 3}}
search: {fidelity: {resolution: [32]}}
search: {stop: {collapse: true}}
search: {stop: {trial_time: soon}}
search: {stop: {cost: {at_most: 3}}}
search: {until: {recon: 0.02}}
search: {until: {fidelity: 1}}
search: {until: {recon_loss: low}}
search: {time_budget: 0}
search: {time_budget: 0m}
search: {stall: 0}
search: {confirm: {tops: 3}}
search: {resources: {lanes: aut}}
search: {resources: {lanes: 0}}
tracking: {uris: x}
name: a b
""".strip().splitlines()


def space(text: str) -> dict[str, Any]:
    return {"name": "x"} | yaml.safe_load(text.replace(" ; ", "\n"))


def load(content: dict[str, Any]) -> SearchSpace:
    return SearchSpace.from_document(Document("x.yaml", content, {}))


def faults(content: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft7Validator(SCHEMA).iter_errors(content)]


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_shipped_spaces_fit_the_schema(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("text", GOOD)
def test_what_loads_fits_the_schema(text: str) -> None:
    load(space(text))
    assert faults(space(text)) == []


@pytest.mark.parametrize("text", BAD)
def test_what_does_not_load_does_not_fit_the_schema(text: str) -> None:
    with pytest.raises(ConfigError):
        load(space(text))
    assert faults(space(text))


@pytest.mark.parametrize("text", ["data: {type: image, bist: 16}", "search: {scheduler: {type: pbt, quantle: 0.5}}"])
def test_a_mistake_is_looked_for_only_in_the_type_that_is_given(text: str) -> None:
    (error,) = Draft7Validator(SCHEMA).iter_errors(space(text))
    assert re.search("'(bist|quantle)' was unexpected", error.message)


def test_every_setting_can_be_written_as_its_default() -> None:
    """So no default is outside of what the schema allows."""
    schema = plain_schema()
    checked = 0
    for name, definition in SCHEMA["$defs"].items():
        for key, node in definition.get("properties", {}).items():
            if "default" in node:
                errors = list(Draft7Validator({**node, "$defs": SCHEMA["$defs"]}).iter_errors(node["default"]))
                assert not errors, f"{name}.{key}: {errors}"
                checked += 1
    assert checked > 100 > len(schema["properties"])


def test_every_kind_of_distribution_is_described() -> None:
    assert tuple(DISTRIBUTIONS) == distributions.KINDS


def test_every_setting_says_what_it_means() -> None:
    schema = plain_schema()
    settings = {key: leaf for name, node in schema["properties"].items() for key, leaf in leaves(schema, node, name)}
    tags = {key for key, leaf in settings.items() if "const" in leaf}
    assert {key for key, leaf in settings.items() if not leaf.get("description")} == tags
    assert tags == {"data.type", "search.scheduler.type"}


def test_the_page_is_as_the_models_say() -> None:
    assert filled(PAGE) == PAGE, "python -m ndvq_tune.schema --page docs/space.md"


def test_the_page_has_a_table_for_every_section() -> None:
    names = set(re.findall(r"^<!-- table: (\S+) -->$", PAGE, re.MULTILINE))
    schema = plain_schema()
    assert {"distributions", "metrics", "data/types", "model", "training", "search", "tracking"} <= names
    for section in ("model", "training", "search", "tracking"):
        for key, _ in leaves(schema, schema["properties"][section], section):
            table = max((name for name in names if key.startswith(f"{name}.")), key=len)
            rows = re.search(rf"<!-- table: {re.escape(table)} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
            if key != "search.scheduler.type":  # it has a table of its own
                assert rows
                assert f"| `{key.removeprefix(f'{table}.')}` |" in rows[1], key


def test_a_table_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"search\.stopp: no table of that name; did you mean 'search\.stop'"):
        filled("<!-- table: search.stopp -->\n<!-- end -->")


def test_the_page_describes_every_sampler() -> None:
    table = PAGE.partition("### sampler")[2].partition("### scheduler")[0].rpartition("<!-- end -->")[2]
    described = re.findall(r"^\| `(\w+)` \| [^|]+\|$", table, re.MULTILINE)
    assert described == ["type", *get_args(SamplerSettings.model_fields["type"].annotation)]


@pytest.mark.parametrize("example", re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_examples_on_the_page_load_and_fit_the_schema(example: str) -> None:
    load(space(example))
    assert faults(space(example)) == []


def test_metrics_that_the_configuration_decides_are_known_beforehand() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| \S+ \| \w* \| (\w*) \|", filled("<!-- table: metrics -->\n<!-- end -->"), re.MULTILINE
    )
    assert [name for name, _ in rows] == list(METRICS)
    assert {name for name, known in rows if known == "yes"} == {"bits_per_element", "parameters"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"type": "integer", "minimum": 1}, "whole number >= 1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "number > 0 and <= 0.5"),
        ({"enum": ["a", "b"], "type": "string"}, "`a`, `b`"),
        ({"anyOf": [{"type": "integer"}, {"const": "auto"}]}, "whole number, or `auto`"),
        ({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}, "list of numbers"),
        ({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2}, "list of whole numbers >= 1, at least 2 of them"),  # noqa: E501
        ({"$ref": "#/$defs/X"}, "mapping"),
        ({"type": "object", "properties": {"psnr": {"type": "number"}}}, "mapping of names to numbers"),
        ({"type": "boolean"}, "`true`, `false`"),
        ({"type": "number", "$comment": "seconds"}, "seconds"),
    ],
)  # fmt: skip
def test_what_is_allowed_in_plain_words(value: dict[str, Any], words: str) -> None:
    assert in_words(value) == words
