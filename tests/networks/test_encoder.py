from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from occfit.errors import OccfitError
from occfit.networks.encoder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PAPER_SCALE,
    ColourReader,
    Encoder,
    EncoderScale,
    scale_vector,
)
from occfit.networks.resnet import resnet18
from occfit.types import PARAMETER_SIZES, FaceParams

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("backbone", ["small", "resnet18", "resnet50"])
def test_new_encoder_sees_the_mean_face_everywhere(backbone):
    params = Encoder(backbone)(torch.rand(2, 3, 64, 64))
    assert isinstance(params, FaceParams)
    assert params.to_vector().eq(0).all()
    assert {name: getattr(params, name).shape for name in PARAMETER_SIZES} == {
        name: (2, size) for name, size in PARAMETER_SIZES.items()
    }


def test_papers_scale_stands_where_the_paper_says():
    scale = scale_vector(PAPER_SCALE)
    assert scale.shape == (257,)
    parts = FaceParams.from_vector(scale[None])
    assert parts.albedo.eq(3).all()
    assert parts.pose[0].tolist() == pytest.approx([0.3, 0.3, 0.3, 1, 1, 0.005])
    assert all(getattr(parts, name).eq(1).all() for name in ("shape", "expression", "illumination"))


def test_components_beyond_the_first_stay_zero():
    encoder = Encoder("small", components=10)
    torch.nn.init.ones_(encoder.head.bias)
    params = encoder(torch.rand(1, 3, 64, 64))
    for name in ("shape", "albedo"):
        values = getattr(params, name)[0]
        assert values[:10].ne(0).all()
        assert values[10:].eq(0).all()
    assert params.expression.ne(0).all()


def test_each_part_has_its_own_scale():
    scale = EncoderScale(
        shape=1.0,
        expression=2.0,
        albedo=3.0,
        rotation=4.0,
        translation_xy=5.0,
        translation_z=6.0,
        illumination=7.0,
    )
    encoder = Encoder("small", scale=scale)
    torch.nn.init.ones_(encoder.head.bias)
    params = encoder(torch.rand(1, 3, 64, 64))
    assert params.pose.tolist() == [[4, 4, 4, 5, 5, 6]]
    firsts = [getattr(params, n)[0, 0].item() for n in ("shape", "expression", "albedo", "illumination")]
    assert firsts == [1, 2, 3, 7]


def test_zero_head_learns_from_the_first_step():
    encoder = Encoder("small")
    encoder(torch.rand(4, 3, 64, 64)).to_vector().sum().backward()
    assert encoder.head.weight.grad is not None
    assert encoder.head.weight.grad.abs().sum() > 0


def test_parameters_are_float32_under_bf16_autocast():
    torch.manual_seed(0)
    encoder = Encoder("small")
    torch.nn.init.normal_(encoder.head.weight, std=0.01)
    images = torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        low = encoder(images).to_vector()
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, encoder(images).to_vector(), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_imagenet_weights_load_without_their_classifier(tmp_path, suffix):
    file = tmp_path / f"resnet18.{suffix}"
    weights = resnet18(classes=1000).state_dict()
    save_file(weights, file) if suffix == "safetensors" else torch.save(weights, file)
    encoder = Encoder("resnet18", weights=file)
    for name, value in encoder.backbone.state_dict().items():
        torch.testing.assert_close(value, weights[name], atol=0, rtol=0)
    assert encoder(torch.rand(1, 3, 64, 64)).to_vector().eq(0).all()


def test_only_imagenet_weights_normalise_the_image(tmp_path):
    torch.save(resnet18(classes=1000).state_dict(), tmp_path / "resnet18.pth")
    with_weights, without = Encoder("resnet18", weights=tmp_path / "resnet18.pth"), Encoder("resnet18")
    assert with_weights.input_mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)
    assert with_weights.input_std.flatten().tolist() == pytest.approx(IMAGENET_STD)
    assert without.input_mean.eq(0).all()
    assert without.input_std.eq(1).all()


def test_encoder_made_without_the_file_takes_everything_from_a_checkpoint(tmp_path):
    torch.save(resnet18(classes=1000).state_dict(), tmp_path / "resnet18.pth")
    trained = Encoder("resnet18", weights=tmp_path / "resnet18.pth").eval()
    torch.nn.init.normal_(trained.head.weight, std=0.01)
    torch.save(trained.state_dict(), tmp_path / "trained.pt")
    again = Encoder("resnet18").eval()
    again.load_state_dict(torch.load(tmp_path / "trained.pt", weights_only=True))
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(again(images).to_vector(), trained(images).to_vector(), atol=0, rtol=0)


def test_missing_weight_file_says_what_to_get(tmp_path):
    with pytest.raises(OccfitError, match=r"no such weight file.*nowhere\.pth.*torchvision.*weights=null"):
        Encoder("resnet18", weights=tmp_path / "nowhere.pth")


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    file = tmp_path / "resnet50.pth"
    torch.save({"layer1.0.conv3.weight": torch.zeros(1)}, file)
    with pytest.raises(OccfitError, match=r"missing \(conv1.weight.*1 unknown \(layer1.0.conv3.weight\)"):
        Encoder("resnet18", weights=file)


def test_resnet50s_file_has_the_papers_scale():
    node = OmegaConf.load(Path(__file__).parents[2] / "conf/encoder/resnet50.yaml")
    assert OmegaConf.to_container(node.scale) == PAPER_SCALE


def test_colour_cells_start_at_the_mean_face_and_see_brightness():
    """Group normalisation takes a picture's gain away; the mean colours don't."""
    torch.manual_seed(0)
    encoder = Encoder("small", colour_cells=4)
    image = torch.rand(2, 3, 64, 64)
    assert not encoder(image).to_vector().any()
    assert encoder.colours is not None
    torch.nn.init.normal_(encoder.colours.head.weight)
    bright, dark = (encoder(image * gain).to_vector() for gain in (1.0, 0.5))
    assert (bright - dark).abs().max() > 0.1


def test_colour_cells_reads_only_the_mean_of_each_cell():
    colours = ColourReader(2)
    torch.nn.init.normal_(colours.head.weight)
    image = torch.rand(1, 3, 8, 8)
    flat = (
        image.unflatten(3, (2, 4))
        .unflatten(2, (2, 4))
        .mean((3, 5), keepdim=True)
        .expand(-1, -1, -1, 4, -1, 4)
    )
    torch.testing.assert_close(colours(image), colours(flat.reshape(1, 3, 8, 8)))
