import yaml

from ndvq_tune.search.earlier.yaml_comments import to_yaml
from tests.search.search_examples import SMALL, TWO_OBJECTIVES, merged


def test_the_text_says_what_the_content_says_in_its_order() -> None:
    content = merged(
        SMALL, {"data": {"augment": {"ColorJitter": {"hue": 0.1}}}, "search": TWO_OBJECTIVES, "tracking": {}}
    )
    text = to_yaml(content, "A head.", [("model.n_codes", "why"), ("search", "and so on " * 30)])
    assert yaml.safe_load(text) == content
    assert list(yaml.safe_load(text)["model"]) == list(content["model"])


def test_values_keep_their_kinds() -> None:
    content = {"a": "1", "b": 1.0, "c": None, "d": True, "e": "no", "f": 1e-05, "g": [1, [2.5, "x: y"]], "h": "ä # b"}
    assert yaml.safe_load(to_yaml({"name": content}, "", [])) == {"name": content}


def test_each_setting_has_a_line_and_its_comments_stand_before_it() -> None:
    text = to_yaml(SMALL, "The head.", [("model.attention.n_head", "first"), ("model.attention.n_head", "second")])
    lines = text.splitlines()
    at = lines.index("    n_head: {choice: [1, 4], when: {model.attention.type: [axial, full]}}")
    assert lines[at - 2 : at] == ["    # first", "    # second"]
    assert lines[0] == "# The head."
    assert "  n_codes: {choice: [16, 32, 64]}" in lines


def test_what_is_gone_is_explained_before_the_section_it_was_in() -> None:
    lines = to_yaml(SMALL, "", [("model.attention.gone", "a"), ("model.none.at_all", "b")]).splitlines()
    assert lines[lines.index("  attention:") - 1] == "  # a"
    assert lines[lines.index("model:") - 1] == "# b"


def test_a_setting_too_long_for_a_line_has_several() -> None:
    stop = {"collapse": {"usage_below": 0.02, "perplexity_below": 2.0, "after": 3, "on_collapse": "restart_codes"},
            "plateau": {"patience": 5, "min_delta": 0.01}}  # fmt: skip
    choice = {"choice": [[2 * number] * 4 for number in range(20)], "when": {"model.attention.type": "full"}}
    content = merged(SMALL, {"search": {"stop": stop}, "model": {"attention": {"n_head": choice}}})
    text = to_yaml(content, "", [])
    assert max(map(len, text.splitlines())) <= 120
    assert yaml.safe_load(text) == content
    assert "\n    collapse: {usage_below: 0.02, perplexity_below: 2.0, after: 3," in text


def test_long_comments_are_wrapped() -> None:
    text = to_yaml(SMALL, "word " * 60, [("model.attention.type", "word " * 60)])
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("word") == 120
    assert yaml.safe_load(text) == SMALL
