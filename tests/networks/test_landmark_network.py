"""The landmark network starts from its template, and its weights survive their file."""

import pytest
import torch

from occfit.errors import OccfitError
from occfit.networks.landmark_network import (
    CROP_SIZE,
    LandmarkNetwork,
    read_landmark_network,
    write_landmark_network,
)

pytestmark = pytest.mark.unit


def network(width: int = 8) -> LandmarkNetwork:
    torch.manual_seed(0)
    made = LandmarkNetwork(width)
    made.template.copy_(torch.arange(136).view(68, 2) / 4)
    return made


def test_an_untrained_network_answers_with_its_template(generator):
    guess = network()(torch.rand(2, 3, CROP_SIZE, CROP_SIZE, generator=generator))
    torch.testing.assert_close(guess.landmarks, network().template.expand(2, -1, -1))
    assert guess.confidence.tolist() == [0.5, 0.5]


def test_the_answer_is_float32_under_autocast(generator):
    image = torch.rand(1, 3, CROP_SIZE, CROP_SIZE, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        guess = network()(image)
    assert guess.landmarks.dtype == torch.float32


def test_weights_survive_their_file_in_half_precision(tmp_path, generator):
    made = network(width=16)
    torch.nn.init.normal_(made.head.weight, std=0.02)
    write_landmark_network(made, tmp_path / "deep" / "landmarks.safetensors")
    read = read_landmark_network(tmp_path / "deep" / "landmarks.safetensors")
    image = torch.rand(2, 3, CROP_SIZE, CROP_SIZE, generator=generator)
    torch.testing.assert_close(read(image).landmarks, made(image).landmarks, atol=0.05, rtol=0)
    assert not any(parameter.requires_grad for parameter in read.parameters())


def test_a_missing_file_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(OccfitError, match="occfit landmarks"):
        read_landmark_network(tmp_path / "none.safetensors")


def test_another_networks_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(OccfitError, match=r"other\.safetensors"):
        read_landmark_network(tmp_path / "other.safetensors")
