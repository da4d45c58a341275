import json
from dataclasses import replace

from ndvq_tune.config import TorchvisionData, VideoData
from ndvq_tune.tracking.datasets import dataset_input
from tests.report.card_examples import VIDEOS
from tests.training.training_examples import dataset


def test_a_data_set_is_named_after_its_folder_and_says_what_a_model_gets() -> None:
    found = dataset_input(VideoData(path="data/my_videos"), dataset(train=16, test=6))
    assert (found.dataset.name, found.dataset.source_type) == ("my_videos", "local")
    assert json.loads(found.dataset.source) == {"uri": "data/my_videos"}
    assert json.loads(found.dataset.profile) == {"train_samples": 16, "test_samples": 6, "files": 2}
    (features,) = json.loads(found.dataset.schema)["mlflow_tensorspec"]["features"]
    assert features["tensor-spec"]["shape"] == [-1, *dataset().train.shape]
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]


def test_data_behind_a_uri_and_of_torchvision() -> None:
    assert dataset_input(VideoData(path="s3://bucket/clips"), dataset()).dataset.source_type == "s3"
    assert dataset_input(TorchvisionData(name="CIFAR10"), dataset()).dataset.name == "CIFAR10"


def digest(config: VideoData, **changes: object) -> str:
    return dataset_input(config, replace(dataset(), **changes)).dataset.digest


def test_the_digest_is_of_the_files_and_of_how_they_are_cut_and_not_of_their_place() -> None:
    here, others = VideoData(path="here"), VIDEOS.model_copy(update={"test_fingerprint": "beef"})
    assert digest(here, card=VIDEOS) == digest(VideoData(path="there/here"), card=VIDEOS, mean=0.25)
    different = (digest(here, card=VIDEOS), digest(here, card=others), digest(VideoData(clip_length=4), card=VIDEOS))
    assert len(set(different)) == 3
    profile = json.loads(dataset_input(here, replace(dataset(), card=VIDEOS)).dataset.profile)
    assert (profile["fingerprint"], profile["test_fingerprint"]) == ("f00d", "cafe")  # as in the report


def test_the_digest_of_data_without_files_is_of_its_statistics() -> None:
    here = VideoData(path="here")
    assert digest(here) == digest(VideoData(path="there/here"))
    assert (
        len({digest(here), digest(here, variance=(1.0, 1.0, 1.0)), digest(VideoData(path="here", resolution=32))}) == 3
    )
