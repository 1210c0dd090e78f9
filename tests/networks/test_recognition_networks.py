import pickle

import pytest
import torch
from torch import nn

from occfit.errors import OccfitError
from occfit.networks.inception_resnet import InceptionResnetV1
from occfit.networks.iresnet import IResNet
from occfit.networks.recognition import (
    ArcFaceIResNet50,
    FaceNetInceptionResnetV1,
    RecognitionNetwork,
    SyntheticRecognition,
    VGGFace2ResNet50,
)
from occfit.networks.vggface2 import vggface2_resnet50

pytestmark = pytest.mark.unit

SIZE = 96


def landmarks(count: int) -> torch.Tensor:
    """68 points about where an aligned face has them."""
    points = torch.rand(count, 68, 2) * SIZE
    for part, (x, y) in {
        range(36, 42): (0.36, 0.42),
        range(42, 48): (0.64, 0.42),
        range(30, 31): (0.5, 0.58),
        range(48, 49): (0.39, 0.74),
        range(54, 55): (0.61, 0.74),
    }.items():
        points[:, list(part)] = torch.tensor([x, y]) * SIZE
    return points


PUBLISHED = {
    # class: (architecture, file, pickled, identity, maps, parameters without classifier, some published names)
    VGGFace2ResNet50: (
        vggface2_resnet50,
        "resnet50_ft_weight.pkl",
        2048,
        [(256, 56, 56), (512, 28, 28)],
        23_508_032,
        {
            "conv1.weight": (64, 3, 7, 7),
            "layer1.0.downsample.1.running_var": (256,),
            "layer4.2.bn3.bias": (2048,),
        },
    ),
    ArcFaceIResNet50: (
        IResNet,
        "backbone.pth",
        512,
        [(64, 56, 56), (128, 28, 28)],
        43_590_848,
        {
            "prelu.weight": (64,),
            "layer1.0.downsample.0.weight": (64, 64, 1, 1),
            "layer3.13.bn3.running_mean": (256,),
            "layer4.0.conv1.weight": (512, 256, 3, 3),
            "bn2.weight": (512,),
            "fc.weight": (512, 25088),
            "features.running_var": (512,),
        },
    ),
    FaceNetInceptionResnetV1: (
        InceptionResnetV1,
        "20180402-114759-vggface2.pt",
        512,
        [(64, 77, 77), (256, 17, 17)],
        23_482_624,
        {
            "conv2d_4b.bn.running_mean": (256,),
            "repeat_1.4.branch2.2.conv.weight": (32, 32, 3, 3),
            "mixed_6a.branch1.2.conv.weight": (256, 192, 3, 3),
            "repeat_2.9.branch1.1.conv.weight": (128, 128, 1, 7),
            "repeat_2.0.conv2d.bias": (896,),
            "mixed_7a.branch2.2.bn.weight": (256,),
            "block8.branch1.2.conv.weight": (192, 192, 3, 1),
            "last_linear.weight": (512, 1792),
            "last_bn.running_var": (512,),
        },
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights under the published names, written as they are published; removed afterwards."""
    folder = tmp_path_factory.mktemp("recognition")
    paths = {}
    for network, (architecture, name, *_) in PUBLISHED.items():
        torch.manual_seed(0)
        state, paths[network] = architecture().state_dict(), folder / name
        if name.endswith(".pkl"):
            arrays = {key: value.numpy() for key, value in state.items() if "num_batches" not in key}
            paths[network].write_bytes(
                pickle.dumps(arrays | {"fc.weight": arrays["conv1.weight"]}, protocol=2)
            )
        else:
            torch.save(state, paths[network])
    yield paths
    for path in paths.values():
        path.unlink()


@pytest.mark.parametrize("network", PUBLISHED)
def test_names_and_sizes_are_the_published_ones(network):
    architecture, _, _, _, parameters, names = PUBLISHED[network]
    with torch.device("meta"):
        made = architecture()
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    assert names.items() <= shapes.items()
    assert sum(value.numel() for value in made.parameters()) == parameters


def test_squeeze_variant_has_its_two_convolutions_a_block():
    with torch.device("meta"):
        made = vggface2_resnet50(squeeze=True)
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    assert shapes["layer1.0.conv4.weight"] == (16, 256, 1, 1)
    assert shapes["layer4.2.conv5.bias"] == (2048,)
    assert sum(value.numel() for value in made.parameters()) == 26_039_024


def test_caffes_stride_is_in_the_first_convolution_and_its_maximum_starts_at_the_corner():
    network = vggface2_resnet50()
    first = network.layer2[0]
    assert getattr(first.conv1, "stride", None) == (2, 2)
    assert getattr(first.conv2, "stride", None) == (1, 1)
    assert network.stem == "caffe"


@pytest.mark.parametrize("network", PUBLISHED)
def test_published_weights_load_and_the_gradient_reaches_the_image(network, files):
    _, _, dimensions, maps, _, _ = PUBLISHED[network]
    recognition: RecognitionNetwork = network(files[network])
    image = torch.rand(2, 3, SIZE, SIZE, requires_grad=True)
    features = recognition(image, landmarks(2))
    assert features.identity.shape == (2, dimensions)
    torch.testing.assert_close(features.identity.norm(dim=1), torch.ones(2))
    assert [tuple(m.shape[1:]) for m in features.maps] == maps
    (features.identity[:, 0].sum() + features.maps[0].mean()).backward()
    assert image.grad is not None
    assert image.grad[0].abs().sum() > 0
    assert image.grad[1].abs().sum() > 0
    assert_frozen(recognition)


def assert_frozen(recognition: nn.Module) -> None:
    recognition.train()
    assert not any(module.training for module in recognition.modules())
    assert not any(parameter.requires_grad for parameter in recognition.parameters())


@pytest.mark.parametrize(
    ("network", "licence"),
    [
        (VGGFace2ResNet50, "CC BY-SA"),
        (ArcFaceIResNet50, "non-commercial research"),
        (FaceNetInceptionResnetV1, "MIT"),
    ],
)
def test_missing_file_says_what_to_get_where_it_goes_and_its_licence(network, licence, tmp_path):
    with pytest.raises(OccfitError, match=rf"no such weight file.*nowhere.*Get .*{licence}.*weights=FILE"):
        network(tmp_path / "nowhere")


def test_vggface2_sees_bgr_minus_the_mean(files, monkeypatch):
    recognition = VGGFace2ResNet50(files[VGGFace2ResNet50])
    seen = []
    monkeypatch.setattr(recognition.network, "stages", lambda crop: seen.append(crop) or (crop,) * 4)
    red = torch.zeros(1, 3, SIZE, SIZE)
    red[:, 0] = 1
    recognition(red, landmarks(1))
    assert seen[0][0, :, 112, 112].tolist() == pytest.approx([-91.4953, -103.8827, 255 - 131.0912], abs=1e-3)


@pytest.mark.parametrize(
    ("network", "white", "size"), [(ArcFaceIResNet50, 1.0, 112), (FaceNetInceptionResnetV1, 127.5 / 128, 160)]
)
def test_input_range_and_crop(network, white, size, files, monkeypatch):
    recognition = network(files[network])
    seen = []
    monkeypatch.setattr(recognition.network, "stages", lambda crop: seen.append(crop) or (crop,) * 4)
    monkeypatch.setattr(recognition.network, "embed", lambda last: last.mean(dim=(2, 3)))
    for image in (torch.ones(1, 3, SIZE, SIZE), torch.zeros(1, 3, SIZE, SIZE)):
        recognition(image, landmarks(1))
    assert [crop.shape[-1] for crop in seen] == [size, size]
    centres = [crop[0, 0, size // 2, size // 2].item() for crop in seen]
    assert centres == pytest.approx([white, -white if white == 1 else -127.5 / 128])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_synthetic_recognition(precision):
    recognition = SyntheticRecognition(width=8, dimensions=32)
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        features = recognition(image, landmarks(2))
    assert features.identity.dtype == torch.float32
    torch.testing.assert_close(features.identity.norm(dim=1), torch.ones(2))
    assert [tuple(m.shape) for m in features.maps] == [(2, 8, 32, 32), (2, 16, 16, 16)]
    torch.stack([m.float().mean() for m in features.maps]).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert_frozen(recognition)


def test_synthetic_recognition_takes_its_weights_from_a_file(tmp_path):
    trained = SyntheticRecognition(width=8, dimensions=32)
    torch.save(trained.network.state_dict(), tmp_path / "w.pt")
    again = SyntheticRecognition(width=8, dimensions=32, weights=tmp_path / "w.pt")
    image = torch.rand(1, 3, 64, 64)
    first, second = trained(image, landmarks(1)), again(image, landmarks(1))
    torch.testing.assert_close(first.identity, second.identity, atol=0, rtol=0)
    with pytest.raises(OccfitError, match="of another shape"):
        SyntheticRecognition(width=16, dimensions=32, weights=tmp_path / "w.pt")
