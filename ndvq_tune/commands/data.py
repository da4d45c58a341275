"""``ndvq-tune data``: look at data, decode it beforehand, and keep the cache in order."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ndvq_tune.commands.console import data_progress, output_console, plain_errors
from ndvq_tune.commands.train import load_config
from ndvq_tune.errors import ConfigError

if TYPE_CHECKING:
    from ndvq_tune.config import DataConfig
    from ndvq_tune.data.cache.entries import Entry
    from ndvq_tune.data.dataset import Dataset

DAMAGED = 1
DAY = 86400

HELP = "Look at data, decode it beforehand, and keep the cache of decoded data in order."

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=HELP)

SpaceOption = Annotated[
    Path | None, typer.Option("--space", help="Search space, or a configuration such as best.yaml.")
]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="FOLDER", help="Your data, in place of the space's; or with --type.")
]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="video, image, signal, array or torchvision, where there is no --space.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value: data.resolution=128. Repeatable."),
]


@app.command()
def info(
    space: SpaceOption = None,
    data: DataOption = None,
    type_: TypeOption = None,
    set_: SetOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the check sums of all that is cached.")] = False,
) -> None:
    """Show what is in the cache; or, with --space or --data, a data set as a model will see it."""
    from ndvq_tune.data.cache.entries import entries
    from ndvq_tune.data.cache.location import cache_limit, cache_root
    from ndvq_tune.report.datasets import cached_text, print_cache, print_damage, print_dataset, print_skipped_files
    from ndvq_tune.report.skipped import print_resampled

    console = output_console()
    with plain_errors():
        if space or data or type_ or set_:
            if verify:
                raise typer.BadParameter("is about the whole cache, not about one data set", param_hint="--verify")
            config = _config(space, data, type_, set_)
            dataset, new = _open(config, console)
            print_dataset(console, config, dataset, cached_text(new, cache_root()))
            print_skipped_files(console, dataset.skipped)
            print_resampled(console, dataset.card)
            return
        found = entries(cache_root())
        print_cache(console, cache_root(), cache_limit(), found)
        if verify:
            damage = {entry.folder: files for entry in found if (files := entry.damaged())}
            print_damage(console, damage)
            raise typer.Exit(DAMAGED if damage else 0)


@app.command()
def build(
    space: SpaceOption = None,
    data: DataOption = None,
    type_: TypeOption = None,
    set_: SetOption = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster to decode on: auto, or host:port.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for skipped.csv, the files that cannot be used.")] = None,
) -> None:
    """Decode a data set into the cache, over all cores, before a search needs it."""
    from ndvq_tune.data.cache.location import cache_root
    from ndvq_tune.quantities import count_text
    from ndvq_tune.report.datasets import cached_text, print_line, print_skipped_files
    from ndvq_tune.report.skipped import print_resampled, tell_of_files

    console = output_console()
    with plain_errors():
        dataset, new = _open(_config(space, data, type_, set_), console, address)
        samples = f"{len(dataset.train):,} training and {len(dataset.test):,} test samples"
        files = count_text(dataset.files - len(dataset.skipped), "file")
        print_line(console, f"{cached_text(new, cache_root())}: {samples} from {files}")
        if output is None:
            print_skipped_files(console, dataset.skipped)
            print_resampled(console, dataset.card)
        else:
            tell_of_files(console, dataset, output)


@app.command()
def clear(
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Only what was not used for so many days.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """Remove decoded data from the cache; it is decoded again when it is needed."""
    from ndvq_tune.data.cache.entries import bytes_of, entries, leftovers, remove
    from ndvq_tune.data.cache.location import cache_root
    from ndvq_tune.quantities import bytes_text, count_text
    from ndvq_tune.report.datasets import print_line

    root, console = cache_root(), output_console()
    before = time.time() - (older_than or 0) * DAY
    old = [entry.folder for entry in entries(root) if entry.used < before]
    rest = leftovers(root, before)
    if not old and not rest:
        print_line(console, f"{root}: there is nothing to remove")
        return
    others = f" and {count_text(len(rest), 'leftover')} (unfinished builds, locks, digests of files)" if rest else ""
    what = f"{count_text(len(old), 'entry', 'entries')}{others}, {bytes_text(bytes_of(old + rest))}, from {root}"
    if not yes:
        typer.confirm(f"Remove {what}?", abort=True)
    with plain_errors():
        busy = remove(root, old + rest)
    print_line(console, f"removed {what}" + (f"; {len(busy)} of them stay, as they are being written" if busy else ""))


@app.command()
def preview(
    space: SpaceOption = None,
    data: DataOption = None,
    type_: TypeOption = None,
    set_: SetOption = None,
    output: Annotated[Path, typer.Option(dir_okay=False, help="The picture to write, a PNG.")] = Path("preview.png"),
    samples: Annotated[int | None, typer.Option(min=1, help="Samples of each split; a pageful if not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice and of the changes of samples.")] = 0,
) -> None:
    """Write one picture of what a model will see: training samples above, test samples below."""
    console = output_console()
    with plain_errors():
        config = _config(space, data, type_, set_)
        from ndvq_tune.pictures.preview import preview as write_preview
        from ndvq_tune.report.datasets import print_line

        dataset, _ = _open(config, console)
        write_preview(dataset, config, output, samples, seed)
        print_line(console, str(output))


def _config(space: Path | None, data: str | None, type_: str | None, set_: list[str] | None) -> "DataConfig":
    """The data that the options describe."""
    options = {"data.path": data, "data.type": type_}
    overrides = [*(set_ or ()), *(f"{key}={json.dumps(value)}" for key, value in options.items() if value is not None)]
    if space is None:
        if type_ is None:
            raise typer.BadParameter("is needed; or --type, with --data FOLDER for your own", param_hint="--space")
        return _without_space(overrides)
    from ndvq_tune.config import RunConfig
    from ndvq_tune.search.space import SearchSpace
    from ndvq_tune.yaml_file import read

    is_run = read(space, overrides).content.keys() <= RunConfig.model_fields.keys()
    return load_config(space, overrides).data if is_run else SearchSpace.load(space, overrides).data


def _without_space(overrides: list[str]) -> "DataConfig":
    from ndvq_tune.config import DataConfig, Frozen
    from ndvq_tune.problems import validate
    from ndvq_tune.yaml_file import from_overrides

    class DataOnly(Frozen):
        data: DataConfig

    document = from_overrides(overrides)
    config, problems = validate(DataOnly, document.content)
    if config is None:
        raise ConfigError(document.name, problems)
    return config.data


def _open(config: "DataConfig", console: Console, address: str | None = None) -> "tuple[Dataset, list[Entry]]":
    """The data set, and the entries that were made for it."""
    from ndvq_tune.data.cache.entries import entries
    from ndvq_tune.data.cache.location import cache_root
    from ndvq_tune.search.decoding import open_on_cluster
    from ndvq_tune.search.resources.cluster import cluster

    before = {entry.folder for entry in entries(cache_root())}
    with data_progress(console) as progress:
        dataset = open_on_cluster(config, progress, lambda: cluster(address))
    return dataset, [entry for entry in entries(cache_root()) if entry.folder not in before]


if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.data")
