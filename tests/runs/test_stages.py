"""Whole runs on a tiny world: what is written, what is shared, what is refused, and how a stopped run goes on."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback
from small_model import small_model
from tiny_run import TINY

from occfit.apps.train import train_and_evaluate
from occfit.cache import cache_dir
from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.synthetic import split_stores
from occfit.data.synthetic.split_stores import prepare_synthetic, recognition_identities
from occfit.errors import OccfitError
from occfit.face_model.files import save_face_model
from occfit.fitting.face_system import build_system
from occfit.method.visibility import SkinVisibility
from occfit.networks.encoder import Encoder
from occfit.rendering.rasterize import nvdiffrast
from occfit.runs import preparation, stage_keys, stage_training
from occfit.runs.build import NOT_THE_PAPERS, build_networks
from occfit.runs.checkpoint import read_checkpoint
from occfit.runs.config import TrainConfig, compose, parse_training
from occfit.runs.machine import Machine
from occfit.runs.preparation import prepare_recognition, prepare_splits
from occfit.runs.run_folder import RunFolder
from occfit.runs.stage import STAGES
from occfit.runs.stage_keys import stage_key
from occfit.runs.stage_store import StageStore
from occfit.runs.stage_training import fit_stage
from occfit.runs.stages import keys_of, prepare_run, train
from occfit.runs.stopped import StoppedError
from occfit.types import FaceParams

pytestmark = pytest.mark.unit

TRAINED = ("initialise", "warm_up", "alternate")
CPU = Machine("cpu", "32-true", 1)


def tiny(output: Path, *overrides: str) -> TrainConfig:
    return compose([*TINY, f"output={output}", *overrides])


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "run"
    train_and_evaluate(tiny(output))
    return output


@pytest.fixture
def empty_store(tmp_path, monkeypatch):
    """A cache with everybody's data and no finished stages."""
    shared, own = cache_dir(), tmp_path / "cache"
    own.mkdir()
    for entry in shared.iterdir():
        if entry.name != "stages":
            (own / entry.name).symlink_to(entry)
    monkeypatch.setenv("OCCFIT_CACHE", str(own))


def test_a_run_leaves_its_scores_its_system_its_configuration_and_its_logs(whole_run):
    metrics = json.loads((whole_run / "metrics.json").read_text())
    assert metrics["system"] == "proposed"
    assert set(metrics["test_sets"]) >= {"neutral", "glasses", "scarf", "ar_overall", "overall"}
    assert any(NOT_THE_PAPERS in note.lower() for note in metrics["notes"])
    assert (
        compose(["preset=smoke"]).plain().keys()
        == read_checkpoint(whole_run / "checkpoints" / "last.ckpt")["occfit"]["config"].keys()
    )
    for stage in ("initialise", "warm_up", "alternate"):
        header = (whole_run / "logs" / stage / "metrics.csv").read_text().splitlines()[0]
        assert header.startswith("step,train/")
    recorded = json.loads((whole_run / "stages.json").read_text())
    assert [stage["stage"] for stage in recorded] == ["recognition", "initialise", "warm_up", "alternate"]
    assert [stage["steps"] for stage in recorded] == [2, 3, 2, 6]


def test_the_checkpoint_holds_tensors_and_plain_containers(whole_run):
    checkpoint = torch.load(whole_run / "checkpoints" / "last.ckpt", weights_only=True)
    assert {key.split(".")[0] for key in checkpoint["state_dict"]} == {"encoder", "segmenter"}
    json.dumps(checkpoint["occfit"])


def test_a_second_run_takes_every_stage_from_the_store(whole_run, tmp_path):
    train_and_evaluate(tiny(tmp_path / "again"))
    recorded = json.loads((tmp_path / "again" / "stages.json").read_text())
    assert all(stage["reused"] for stage in recorded)
    assert_same_run(tmp_path / "again", whole_run)


@pytest.mark.parametrize(
    "pipeline",
    ["pretrained", "baseline", "neighbour", "perceptual", "supervised_segmenter", "guided"],
)
def test_every_pipeline_trains_and_shares_the_initialisation(whole_run, tmp_path, pipeline):
    train_and_evaluate(tiny(tmp_path / "run", f"pipeline={pipeline}", "data.test=4"))
    recorded = {stage["stage"]: stage for stage in json.loads((tmp_path / "run" / "stages.json").read_text())}
    assert recorded["initialise"]["reused"]
    assert ("alternate" in recorded) == (pipeline != "pretrained")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["system"] == pipeline


UNSUPERVISED = ("pretrained", "baseline", "neighbour", "perceptual", "proposed", "mofa")
SUPERVISED = ("supervised_mofa", "cutmix", "cutout", "supervised_segmenter", "guided")


def without_masks(store: PreparedStore, folder: Path) -> PreparedStore:
    """A copy of a store that knows everything but which pixels show the face."""
    kept = [name for name in store.fields if name not in ("visibility", "face_region", "held_out", "kind")]
    with StoreWriter(folder) as writer:
        writer.add(**store.arrays(range(len(store)), kept))  # pyright: ignore[reportArgumentType]
    return PreparedStore(folder)


@pytest.fixture
def no_masks(monkeypatch, tmp_path):
    """Takes the true masks out of every store that a run opens."""

    def stripped_world(*args, **kwargs):
        stores = prepare_synthetic(*args, **kwargs)
        return {name: without_masks(store, tmp_path / "unlabelled" / name) for name, store in stores.items()}

    def stripped_people(*args, unseen=False, **kwargs):
        store = recognition_identities(*args, unseen=unseen, **kwargs)
        return without_masks(store, tmp_path / "unlabelled" / ("unseen" if unseen else "seen"))

    monkeypatch.setattr(split_stores, "prepare_synthetic", stripped_world)
    monkeypatch.setattr(preparation, "recognition_identities", stripped_people)


def trained(output: Path, pipeline: str) -> dict[str, torch.Tensor]:
    """The weights of a system after all of its stages."""
    train(tiny(output, f"pipeline={pipeline}"), RunFolder(output))
    return read_checkpoint(output / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.fixture(scope="module", params=UNSUPERVISED)
def with_masks(request, whole_run, tmp_path_factory) -> tuple[str, dict[str, torch.Tensor]]:
    """An unsupervised system, and its weights where the stores have masks that it could look at."""
    return request.param, trained(tmp_path_factory.mktemp("with") / "run", request.param)


def test_an_unsupervised_system_never_looks_at_a_mask_in_any_stage(
    with_masks, empty_store, no_masks, tmp_path
):
    pipeline, expected = with_masks
    found = trained(tmp_path / "without", pipeline)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("pipeline", SUPERVISED)
def test_a_supervised_system_says_that_it_needs_masks(no_masks, tmp_path, pipeline):
    with pytest.raises(OccfitError, match="true masks"):
        trained(tmp_path / "run", pipeline)


class Forgetful(Encoder):
    """An encoder that draws random numbers while it learns."""

    def forward(self, image: torch.Tensor) -> FaceParams:
        return super().forward(F.dropout(image, 0.2, self.training))


def test_a_stage_draws_the_same_numbers_whatever_ran_before(whole_run, tmp_path):
    """Networks may draw while they learn, as one with dropout does; each stage is seeded for itself."""
    weights = []
    for name in ("first", "second"):
        folder = RunFolder(tmp_path / name)
        run, _ = prepare_run(tiny(folder.path, "pipeline=mofa"), folder, StageStore(cache_dir() / "stages"))
        torch.manual_seed(0)
        encoder = Forgetful("small")
        torch.rand(len(name))  # so that torch's generator isn't where it was
        networks = replace(run.networks, encoder=encoder)
        (tmp_path / name / "stage").mkdir(parents=True)
        fit_stage(replace(run, networks=networks), keys_of(run)[0], tmp_path / name / "stage")
        weights.append(networks.encoder.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_face_model_of_other_sizes_is_refused_at_once(tmp_path):
    save_face_model(small_model(shape=60, expression=64, albedo=80), tmp_path / "model.h5")
    overrides = ["face_model=bfm2017", f"face_model.path={tmp_path / 'model.h5'}", "face_model.shape=60"]
    with pytest.raises(OccfitError, match=r"60 shape components.*answers with 80.*face_model.shape=80"):
        train_and_evaluate(tiny(tmp_path / "run", *overrides))


@pytest.mark.parametrize("pipeline", ["mofa", "supervised_mofa", "cutmix", "cutout"])
def test_a_pipeline_without_a_segmenter_trains_and_hides_nothing(whole_run, tmp_path, pipeline):
    train_and_evaluate(tiny(tmp_path / "run", f"pipeline={pipeline}", "data.test=4"))
    recorded = [stage["stage"] for stage in json.loads((tmp_path / "run" / "stages.json").read_text())]
    assert recorded == ["recognition", "reconstruct"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["system"] == pipeline
    for name, scores in metrics["test_sets"].items():
        assert scores["visible_share"] == 1
        assert scores["f1"] == metrics["all_visible"]["test_sets"][name]["f1"]


def test_deep3d_weighs_by_skin_colour_and_its_mask_is_the_skins(whole_run, tmp_path):
    train_and_evaluate(tiny(tmp_path / "run", "pipeline=deep3d"))
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert {key.split(".")[0] for key in checkpoint["state_dict"]} == {"encoder", "segmenter", "visibility"}
    config = parse_training(checkpoint["occfit"]["config"])
    networks = build_networks(config)
    train = prepare_splits(config.data, networks.face_model, config.size).train["train"].store
    networks.visibility.prepare([train])
    batch = train.batch(range(4))
    found = build_system(checkpoint, tmp_path)(batch)
    assert isinstance(networks.visibility, SkinVisibility)
    assert torch.equal(found.visibility, networks.visibility.detector(batch.image))


@pytest.mark.nightly
def test_egger_makes_an_ordinary_run_without_training_anything(whole_run, empty_store, tmp_path):
    train_and_evaluate(tiny(tmp_path / "run", "pipeline=egger"))
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["system"] == "egger"
    assert not (cache_dir() / "stages").exists()
    system = build_system(read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt"), tmp_path)
    assert not list(system.parameters())
    train_and_evaluate(tiny(tmp_path / "run", "pipeline=egger", "resume=true"))


@pytest.mark.parametrize("objective", ["paper", "focus"])
def test_the_published_objectives_train(whole_run, tmp_path, objective):
    train_and_evaluate(tiny(tmp_path / "run", f"objective={objective}"))
    assert (tmp_path / "run" / "metrics.json").exists()


def test_recognition_is_made_on_the_cpu_whatever_the_rasterizer_needs(whole_run, empty_store, tmp_path):
    def on_cuda_only(positions, triangles, height, width):
        raise OccfitError("This rasterizer draws on CUDA devices only")

    config = tiny(tmp_path / "run")
    networks = build_networks(config)
    networks.renderer.rasterizer = on_cuda_only
    made = prepare_recognition(config, CPU, networks, StageStore(cache_dir() / "stages"))
    assert [(record["steps"], record["reused"]) for record in made.records] == [(2, False)]


@pytest.mark.slow
def test_each_stage_and_the_scores_are_runs_of_their_own_at_weights_and_biases(
    whole_run, empty_store, tmp_path
):
    train_and_evaluate(tiny(tmp_path / "run", "logger=wandb"))
    assert len(list((tmp_path / "run" / "logs" / "wandb").glob("offline-run-*"))) == len(TRAINED) + 1


class StopAt(Callback):
    """Sends this process a signal in a step of a stage."""

    def __init__(self, step: int, number: signal.Signals):
        self.step, self.number = step, number

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


def stop(monkeypatch, stage: str, step: int, number: signal.Signals) -> None:
    """Has the next run, unless it resumes, stopped in a step of a stage."""
    make = stage_training.make_callbacks

    def make_and_stop(run, key):
        stopping = [StopAt(step, number)] if key.stage == stage and not run.config.resume else []
        return [*make(run, key), *stopping]

    monkeypatch.setattr(stage_training, "make_callbacks", make_and_stop)


@pytest.mark.parametrize(
    ("stage", "step", "number"),
    [
        ("initialise", 1, signal.SIGINT),
        ("warm_up", 0, signal.SIGTERM),
        pytest.param("alternate", 1, signal.SIGINT, marks=pytest.mark.nightly),
        ("alternate", 4, signal.SIGINT),
        pytest.param("alternate", 5, signal.SIGTERM, marks=pytest.mark.nightly),
    ],
)
def test_a_stopped_run_goes_on_exactly(whole_run, empty_store, tmp_path, monkeypatch, stage, step, number):
    stop(monkeypatch, stage, step, number)
    output = tmp_path / "run"
    with pytest.raises(StoppedError, match=f"stage '{stage}' after step {step + 1}.*resume=true") as caught:
        train_and_evaluate(tiny(output))
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not (output / "metrics.json").exists()
    with pytest.raises(OccfitError, match=r"unfinished run.*resume=true"):
        train_and_evaluate(tiny(output))
    train_and_evaluate(tiny(output, "resume=true"))
    assert_same_run(output, whole_run)


def test_a_checkpoint_of_another_machine_is_refused_and_kept(whole_run, empty_store, tmp_path, monkeypatch):
    """Its stage's key differs, and so do those before it, whose training would replace the checkpoint."""
    stop(monkeypatch, "alternate", 1, signal.SIGINT)
    output = tmp_path / "run"
    with pytest.raises(StoppedError):
        train_and_evaluate(tiny(output))
    before = (output / "checkpoints" / "last.ckpt").read_bytes()
    with pytest.raises(OccfitError, match="another machine"):
        train_and_evaluate(
            tiny(output, "resume=true", "trainer.precision=bf16-mixed", "trainer.save_every=1")
        )
    assert (output / "checkpoints" / "last.ckpt").read_bytes() == before


def scores(run: Path) -> str:
    """Without the commit: someone may commit while the tests run."""
    lines = (run / "metrics.json").read_text().splitlines()
    return "\n".join(line for line in lines if '"commit"' not in line)


def assert_same_run(run: Path, expected: Path) -> None:
    assert scores(run) == scores(expected)
    for name in ("scores.csv", *(f"logs/{stage}/metrics.csv" for stage in TRAINED)):
        assert (run / name).read_bytes() == (expected / name).read_bytes(), name
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (run, expected)
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_finished_run_is_not_overwritten(whole_run):
    before = (whole_run / "metrics.json").read_bytes()
    with pytest.raises(OccfitError, match=r"holds a finished run.*another output="):
        train_and_evaluate(tiny(whole_run))
    train_and_evaluate(tiny(whole_run, "resume=true"))
    assert (whole_run / "metrics.json").read_bytes() == before


def test_a_run_does_not_go_on_with_other_settings(whole_run):
    with pytest.raises(OccfitError, match=r"other settings.*seed: 0 -> 1"):
        train_and_evaluate(tiny(whole_run, "resume=true", "seed=1"))


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OccfitError, match="can't be written"):
        train_and_evaluate(tiny(tmp_path / "run"))


@pytest.mark.parametrize(
    ("overrides", "asset"),
    [
        (["preset=paper"], "face_model.path="),
        (["preset=paper", "face_model=builtin"], "recognition.weights="),
    ],
)
def test_the_papers_preset_needs_the_papers_assets(tmp_path, monkeypatch, overrides, asset):
    monkeypatch.setenv("OCCFIT_ASSETS", str(tmp_path))
    with pytest.raises(OccfitError, match=asset) as caught:
        train_and_evaluate(compose([*overrides, f"output={tmp_path / 'run'}"]))
    assert "licence" in str(caught.value).lower() or "CC BY-SA" in str(caught.value)
    assert "face_model=builtin recognition=synthetic" in str(caught.value)


def key_of(stage: str = "alternate", *overrides: str, machine: Machine = CPU, parent="p", files=None) -> str:
    config = tiny(Path("/nowhere"), *overrides)
    return stage_key(STAGES[stage], config, machine, parent, files or {"face_model": "f"}).digest()


@pytest.mark.parametrize(
    "override",
    [
        "data.occluded=0.4",
        "augmentation.shift=0.01",
        "face_model.resolution=fine",
        "encoder.backbone=resnet18",
        "segmenter.width=4",
        "recognition.width=8",
        "objective.segmentation.weights.area=2",
        "objective.reconstruction.weights.pixel=2",
        "pipeline=baseline",
        "visibility=whole",
        "optimizer.alternate.encoder.optimizer.lr=0.5",
        "optimizer.alternate.schedule.period=5",
        "stages.alternate.steps=7",
        "stages.alternate.batch=3",
        "seed=1",
        "size=48",
    ],
)
def test_what_decides_a_stage_changes_its_key(override):
    assert key_of("alternate", override) != key_of("alternate")


def test_the_machine_the_parent_and_files_change_the_key():
    keys = [
        key_of(),
        key_of(machine=Machine("cuda", "32-true", 1)),
        key_of(machine=Machine("cpu", "bf16-mixed", 1)),
        key_of(machine=Machine("cpu", "32-true", 2)),
        key_of(parent="q"),
        key_of(files={"face_model": "g"}),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("package", ["numpy", "numba", "opencv-python-headless", "albumentations"])
def test_what_pixels_are_made_with_changes_the_key(monkeypatch, package):
    before = key_of()
    versions = stage_keys.package_versions()
    monkeypatch.setattr(stage_keys, "package_versions", lambda: {**versions, package: "0.0"})
    assert key_of() != before


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_auto_draws_with_on_a_gpu_changes_the_key(monkeypatch, device):
    keys = []
    for is_installed in (False, True):
        monkeypatch.setattr(nvdiffrast, "is_installed", lambda answer=is_installed: answer)
        keys.append(key_of(machine=Machine(device, "32-true", 1)))
    assert (keys[0] != keys[1]) == (device == "cuda")


@pytest.mark.parametrize(
    "override",
    [
        "output=/elsewhere",
        "resume=true",
        "logger=tensorboard",
        "trainer.workers=2",
        "trainer.progress=true",
        "trainer.save_every=7",
        "trainer.log_every=3",
        "data.test=5",
    ],
)
def test_what_does_not_decide_a_stage_leaves_its_key(override):
    assert key_of("alternate", override) == key_of("alternate")


@pytest.mark.parametrize("stage", ["initialise", "warm_up"])
def test_systems_of_one_seed_share_what_they_have_in_common(stage):
    keys = {key_of(stage, f"pipeline={name}") for name in ("proposed", "baseline", "neighbour", "perceptual")}
    assert len(keys) == 1
    assert key_of(stage, "seed=1") not in keys


def test_a_weight_files_content_is_in_the_key_and_its_place_is_not(tmp_path):
    keys = []
    for folder, content in [("a", "x"), ("b", "x"), ("c", "y")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "weights.pt").write_text(content)
        keys.append(key_of("initialise", f"encoder.weights={tmp_path / folder / 'weights.pt'}"))
    assert keys[0] == keys[1] != keys[2]
