import pytest

from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.yaml_file import flatten, read, with_values
from tests.search.search_examples import write_yaml


def failure(path, *overrides) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        read(path, overrides)
    return error.value


def test_every_key_has_its_line(tmp_path):
    document = read(
        write_yaml(tmp_path / "a.yaml", "# comment\nname: x\n\nmodel:\n  n_codes: 4\n  attention: {type: none}\n")
    )
    assert document.lines == {
        "name": 2,
        "model": 4,
        "model.n_codes": 5,
        "model.attention": 6,
        "model.attention.type": 6,
    }
    assert document.locate(Problem("model.n_codes", "")).line == 5
    assert document.locate(Problem("model.attention.n_head.when", "")).line == 6
    assert document.locate(Problem("training.seed", "")).line is None


def test_a_missing_file_names_its_neighbours(tmp_path):
    write_yaml(tmp_path / "video3d.yaml", "name: x")
    assert str(failure(tmp_path / "video.yaml")) == (
        f"{tmp_path}/video.yaml: cannot be read: No such file or directory; {tmp_path} has video3d.yaml"
    )


def test_a_missing_folder_and_a_folder_in_place_of_a_file_are_told_plainly(tmp_path):
    assert "No such file" in str(failure(tmp_path / "none" / "a.yaml"))
    assert "Is a directory" in str(failure(tmp_path))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: x\nmodel: {n_codes: 4\nsearch: 3\n", 3, "is not valid YAML"),
        ("name: x\n\tmodel: 3\n", 2, "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "is not valid YAML"),
        ("name: *unknown\n", 1, "is not valid YAML"),
        ("? [a, b]\n: 1\n", 1, "is not valid YAML"),
        ("- a\n- b\n", None, "needs a mapping"),
        ("", None, "needs a mapping"),
        ("just text", None, "needs a mapping"),
        ("name: \x07\n", None, "is not valid YAML"),
        ("name: 2020-13-45\n", None, "is not valid YAML"),
    ],
)
def test_what_is_no_yaml_mapping_is_told_with_its_line(tmp_path, text, line, message):
    (problem,) = failure(write_yaml(tmp_path / "a.yaml", text)).problems
    assert message in problem.message
    assert problem.line == line


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"name: \xff\xfe")
    assert "not UTF-8" in str(failure(tmp_path / "a.yaml"))


def test_keys_that_stand_twice_are_all_named_with_both_lines(tmp_path):
    text = "name: x\nmodel:\n  n_codes: 4\n  n_codes: 8\n  attention:\n    n_head: 1\n    n_head: 2\n"
    problems = failure(write_yaml(tmp_path / "a.yaml", text)).problems
    assert [(problem.key, problem.line) for problem in problems] == [
        ("model.n_codes", 4),
        ("model.attention.n_head", 7),
    ]
    assert "line 3" in problems[0].message


def test_the_same_key_in_two_sections_is_no_problem(tmp_path):
    assert read(write_yaml(tmp_path / "a.yaml", "a: {x: 1}\nb: {x: 2}\n")).content == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("model.n_hiddens=64", "model.n_hiddens", 64),
        ("model.n_codes=8", "model.n_codes", 8),
        ("model.attention.type=full", "model.attention.type", "full"),
        ("new.section.key=[1, 2]", "new.section.key", [1, 2]),
        ("tracking.uri=sqlite:///a=b.db", "tracking.uri", "sqlite:///a=b.db"),
        ("search.stop.plateau=null", "search.stop.plateau", None),
        ("model.n_codes={choice: [2, 4]}", "model.n_codes.choice", [2, 4]),
    ],
)
def test_overrides_replace_and_add(tmp_path, override, key, value):
    document = read(write_yaml(tmp_path / "a.yaml", "name: x\nmodel: {n_codes: {choice: [1]}}\n"), [override])
    assert flatten(document.content)[key] == value
    assert document.content["name"] == "x"


def test_the_last_override_of_a_key_wins(tmp_path):
    assert read(write_yaml(tmp_path / "a.yaml", "name: x\n"), ["name=y", "name=z"]).content == {"name": "z"}


def test_malformed_overrides_are_all_reported(tmp_path):
    path = write_yaml(tmp_path / "a.yaml", "name: x\n")
    malformed = ["n_codes", "=4", "model.a=[1", "name.first=3", "model.b=2020-13-45"]
    problems = failure(path, *malformed).problems
    assert [problem.key for problem in problems] == [f"--set {override}" for override in malformed]
    assert "key.path=value" in problems[0].message
    assert "key.path=value" in problems[1].message
    assert "not valid YAML" in problems[2].message
    assert "'name' is a value" in problems[3].message


def test_flatten_gives_every_leaf_also_empty_mappings_so_that_nothing_is_lost():
    tree = {"a": {"b": {"c": 1}, "d": [2], "f": {}}, "e": None, "g": {}}
    assert flatten(tree) == {"a.b.c": 1, "a.d": [2], "a.f": {}, "e": None, "g": {}}
    assert with_values({}, flatten(tree)) == tree


def test_values_at_key_paths_are_set_in_a_copy():
    tree = {"model": {"n_codes": 8, "attention": {"type": "full"}}}
    changed = with_values(tree, {"model.attention.type": "axial", "training.seed": 3})
    assert flatten(changed) == {"model.n_codes": 8, "model.attention.type": "axial", "training.seed": 3}
    assert tree == {"model": {"n_codes": 8, "attention": {"type": "full"}}}
