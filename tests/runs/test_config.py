"""Every shipped YAML is composed and instantiated; every mistake is refused with the nearest right name."""

from pathlib import Path

import pytest
import yaml

from occfit.data.sources.photo_source import PhotoSource
from occfit.errors import OccfitError, nearest
from occfit.runs.build import has_papers_assets
from occfit.runs.config import SCHEMAS, compose, compose_plain, conf_dir, instantiate
from occfit.runs.logs.csv_log import CSVLog
from occfit.runs.schema import Component, check, locate
from occfit.runs.stage_training import make_loggers

pytestmark = pytest.mark.unit

CONF = conf_dir()
SMOKE = ["preset=smoke", "output=/nowhere"]


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


SOURCE = "source"
"""The group of `occfit prepare`, which no training knows."""

GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != SOURCE)
PIPELINES, PRESETS = names("pipeline"), names("preset")


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in names(group)])
def test_every_yaml_composes_to_a_checked_configuration(group, name):
    override = [] if group == "preset" else [f"{group}={name}", *FOLDERS.get(name, [])]
    preset = name if group == "preset" else "smoke"
    config = compose([f"preset={preset}", "output=/nowhere", *override])
    assert config.preset == preset


def test_joint_updates_take_turns_at_every_batch():
    schedule = compose(["preset=laptop", "schedule=joint"]).optimizer.alternate.schedule
    phases = [str(instantiate(schedule).phase_at(step)) for step in range(4)]
    assert phases == ["segmentation", "reconstruction"] * 2
    usual = compose(["preset=laptop"]).optimizer.alternate.schedule
    assert usual["period"] == 60


def test_every_application_composes():
    assert names(".") == sorted(SCHEMAS)
    config = compose_plain("evaluate", ["checkpoint=/nowhere/last.ckpt", "data=synthetic", "size=64"])
    assert config["data"]["size"] == 64
    assert "data" not in compose_plain("evaluate", ["checkpoint=/nowhere/last.ckpt", "size=64"])


@pytest.mark.parametrize("name", names(SOURCE))
def test_every_source_composes_and_can_be_made(name):
    """Without its data: a source looks at nothing before it lists what there is."""
    given = "store=/nowhere" if name == "composite" else "root=/nowhere"
    config = compose_plain("prepare", [f"source={name}", given, "output=/nowhere", "size=64"])
    source = instantiate(config[SOURCE])
    assert isinstance(source, PhotoSource)
    assert source.name == name
    with pytest.raises(OccfitError, match="/nowhere"):
        source.items()


def nodes(value) -> list[dict]:
    """The outermost nodes with a `_target_`."""
    if isinstance(value, dict) and "_target_" in value:
        return [value]
    children = value.values() if isinstance(value, dict) else []
    return [node for child in children for node in nodes(child)]


FOLDERS = {
    "images": ["data.path=/nowhere"],
    "mixed": [f"data.parts.{part}.source.path=/nowhere" for part in ("photographs", "composites")],
}
"""What has no default: where the user's prepared data lies."""

COMPONENTS = [
    group for group in GROUPS if group not in ("pipeline", "preset", "schedule", "trainer", "logger")
]
NOT_HERE = {"bfm2017": "no face model file", "nvdiffrast": "nvdiffrast"} | dict.fromkeys(
    ("arcface", "facenet", "vggface2"), "no such weight file"
)


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in COMPONENTS for name in names(group)])
def test_every_component_can_be_made(tmp_path, monkeypatch, group, name):
    monkeypatch.setenv("OCCFIT_ASSETS", str(tmp_path))
    found = nodes(
        compose_plain(
            "train", ["preset=smoke", "output=/nowhere", f"{group}={name}", *FOLDERS.get(name, [])]
        )[group]
    )
    assert found
    if name in NOT_HERE:
        with pytest.raises(OccfitError, match=NOT_HERE[name]):
            instantiate(found[0])
    else:
        assert all(instantiate(node) is not None for node in found)


@pytest.mark.parametrize("name", names("logger"))
def test_every_logger_can_be_made(tmp_path, name):
    config = compose(["preset=smoke", "output=/nowhere", f"logger={name}"])
    loggers = make_loggers(config, tmp_path / "alternate")
    assert any(isinstance(logger, CSVLog) for logger in loggers)
    assert len(loggers) == 1 + (name != "csv")
    if name == "wandb":
        loggers[-1].experiment.finish()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("pipeline", "preset"),
    [(pipeline, PRESETS[number % len(PRESETS)]) for number, pipeline in enumerate(PIPELINES)],
)
def test_pipelines_and_presets_go_together(pipeline, preset):
    config = compose([f"preset={preset}", f"pipeline={pipeline}"])
    assert config.system == pipeline
    assert config.output == f"runs/{pipeline}-{preset}-0"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_is_a_short_delta_that_names_its_row(pipeline):
    text = (CONF / "pipeline" / f"{pipeline}.yaml").read_text()
    assert len(text.splitlines()) < 15
    assert "# Table" in text
    assert set(yaml.safe_load(text)) <= {
        *("defaults", "system", "pipeline", "objective", "augmentation", "fitting")
    }


ENCODER = ["pixel", "perceptual", "landmark", "prior"]
AROUND = ["perceptual_exclusion", "area", "perceptual_inclusion", "binary"]
ALTERNATION = ["initialise", "warm_up", "alternate"]
MASKS = {
    "predicted": "PredictedVisibility",
    "whole": "WholeFace",
    "labelled": "LabelledVisibility",
    "skin": "SkinVisibility",
}
ROWS = {
    "pretrained": (["initialise"], "predicted", ENCODER, ["neighbour", *AROUND]),
    "baseline": (ALTERNATION, "predicted", ENCODER, ["pixel", "area", "binary"]),
    "neighbour": (ALTERNATION, "predicted", ENCODER, ["neighbour", "area", "binary"]),
    "perceptual": (ALTERNATION, "predicted", ENCODER, ["pixel", *AROUND]),
    "proposed": (ALTERNATION, "predicted", ENCODER, ["neighbour", *AROUND]),
    "mofa": (["reconstruct"], "whole", ["pixel", "landmark", "prior"], None),
    "supervised_mofa": (["reconstruct"], "labelled", ENCODER, None),
    "cutmix": (["reconstruct"], "labelled", ENCODER, None),
    "cutout": (["reconstruct"], "labelled", ENCODER, None),
    "deep3d": (["reconstruct"], "skin", [*ENCODER, "albedo_variance"], None),
    "egger": ([], "predicted", None, None),
    "supervised_segmenter": (ALTERNATION, "predicted", ENCODER, ["supervised"]),
    "guided": (ALTERNATION, "predicted", ENCODER, ["neighbour", *AROUND, "supervised"]),
}


def test_every_pipeline_is_a_row():
    assert set(ROWS) == set(PIPELINES)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_rows_stages_and_terms_are_exactly_its_own(pipeline):
    stages, visibility, encoder, segmenter = ROWS[pipeline]
    config = compose([f"pipeline={pipeline}"])
    assert config.pipeline == stages
    for part, terms in (("reconstruction", encoder), ("segmentation", segmenter)):
        if terms is not None:
            node = getattr(config.objective, part)
            assert node["terms"] == terms
            assert instantiate(node).terms == tuple(terms)
    assert config.visibility["_target_"].rpartition(".")[2] == MASKS[visibility]


def test_the_ablations_differ_only_in_their_terms_and_stages():
    base = compose_plain("train", ["preset=paper", "pipeline=proposed"])
    own = {"system", "pipeline", "objective", "visibility", "output", "augmentation", "fitting"}
    for pipeline in PIPELINES:
        other = compose_plain("train", ["preset=paper", f"pipeline={pipeline}"])
        for key in set(base) - own:
            assert other[key] == base[key]
        assert other["augmentation"].pop("patch", None) is None or pipeline in ("cutmix", "cutout")
        assert other["augmentation"] == base["augmentation"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("encodr=small", "Unknown key 'encodr'.*'encoder'"),
        ("+encodr=small", "Unknown key 'encodr'.*'encoder'"),
        ("+seeds=1", "Unknown key 'seeds'.*'seed'"),
        ("encoder=smal", "no encoder=smal.*'small'"),
        ("preset=laptops", "no preset=laptops.*'laptop'"),
        ("encoder.bakbone=small", "Unknown key 'encoder.bakbone'.*'backbone'"),
        ("+encoder.bakbone=small", "Unknown key 'encoder.bakbone'.*'backbone'"),
        ("encoder.backbone=resnet19", "'encoder.backbone' is 'resnet19'"),
        ("+face_model.resolutions=fine", "Unknown key 'face_model.resolutions'.*'resolution'"),
        ("seed=one", "'seed' is 'one'"),
        ("seed=1.5", "'seed' is 1.5"),
        ("seed='1'", "'seed' is '1'"),
        ("resume=1", "'resume' is 1"),
        ("stages.warm_up.steps=many", "'stages.warm_up.steps' is 'many'"),
        ("+stages.warm_up.step=3", "Unknown key 'stages.warm_up.step'.*'steps'"),
        ("~stages.warm_up.batch", "'stages.warm_up.batch' is missing"),
        ("~stages.warm_up.steps", "'stages.warm_up.steps' not found"),
        ("stages.warmup.steps=3", "Unknown key 'stages.warmup.steps'.*'warm_up'"),
        ("stages.alternate.steps=0", "'stages.alternate.steps' is 0.*greater than 0"),
        ("stages.alternate.batch=-4", "'stages.alternate.batch' is -4"),
        ("size=0", "'size' is 0"),
        ("trainer.threads=-3", "'trainer.threads' is -3"),
        ("trainer.workers=-1", "'trainer.workers' is -1"),
        ("data.occluded=3", "'data.occluded' is 3.*less than or equal to 1"),
        ("data.train=0", "'data.train' is 0.*greater than 0"),
        ("output=", "'output' is .*at least 1 character"),
        ("trainer.save_every=0", "'trainer.save_every' is 0"),
        ("recognition.steps=0", "'recognition.steps' is 0"),
        ("optimizer.alternate.schedule.period=0", "'optimizer.alternate.schedule.period' is 0"),
        ("trainer.precision=16-mixed", "'trainer.precision' is '16-mixed'"),
        ("pipeline=propose", "no pipeline=propose.*'proposed'"),
        ("~encoder._target_", "'encoder' needs a _target_"),
        ("encoder._target_=os.system", "'os.system' may not be called.*encoder._target_"),
        ("face_model=bfm2017 face_model.path=???", "'face_model.path' has no default"),
    ],
)
def test_a_mistake_is_refused_with_the_right_name(override, message):
    with pytest.raises(OccfitError, match=message) as caught:
        compose([*SMOKE, *override.split()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "occfit.runs.config.hydra.utils.call",
        "occfit.runs.schema.importlib.import_module",
        "occfit.runs.machine.subprocess.run",
        "occfit.data.nowhere.Thing",
        "occfit.runs.schema.Nothing",
        "torch.optim.adam.os.system",
        "torch.load",
        "occfit.face_model.files.save_face_model",
        "occfit.face_model.builtin.model._save_whole",
        "occfit.runs.checkpoint.write_checkpoint",
        "occfit.data.store_writer.StoreWriter",
        "occfit.apps.train.train_and_evaluate",
        "eval",
        "",
    ],
)
def test_a_target_outside_the_whitelist_is_refused(target):
    with pytest.raises(OccfitError):
        instantiate({"_target_": target})


def test_a_forbidden_target_deep_inside_is_refused():
    node = {"_target_": "torch.optim.SGD", "params": [{"x": {"_target_": "os.getcwd"}}], "lr": 0.1}
    with pytest.raises(OccfitError, match=r"params\[0\].*_target_"):
        instantiate(node)


@pytest.mark.parametrize("params", [[[{"_target_": "os.getcwd"}]], {"a": [{"_target_": "os.getcwd"}]}])
def test_lists_and_mappings_within_each_other_hide_no_target(params):
    with pytest.raises(OccfitError, match=r"'os\.getcwd' may not be called"):
        instantiate({"_target_": "torch.optim.SGD", "_partial_": True, "params": params})


@pytest.mark.parametrize(
    "params",
    ["${oc.env:HOME}", "a ${b}", "\\${b}", [["${b}"]], {"${b}": 1}, {"x": {"y": ["${b}"]}}, "???", b"x"],
)
def test_only_plain_data_is_instantiated(params):
    with pytest.raises(OccfitError, match=r"'params.*A finished configuration"):
        instantiate({"_target_": "torch.optim.SGD", "_partial_": True, "params": params})


def test_what_is_handed_on_beside_a_node_is_no_configuration():
    given = {"_target_": "os.getcwd", "x": "${oc.env:HOME}"}
    partial = instantiate({"_target_": "torch.optim.SGD", "_partial_": True}, lr=given)
    assert partial.keywords == {"lr": given}


def test_a_target_may_be_called():
    assert locate("torch.optim.SGD").__name__ == "SGD"
    partial = instantiate({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1})
    assert partial.keywords == {"lr": 0.1}


def test_nearest_lists_all_where_nothing_is_near():
    assert nearest("steps", ["step", "size"]) == "Did you mean 'step'?"
    assert nearest("xyz", ["step", "size"]) == "Choose from size, step"


def test_a_component_without_target_is_refused():
    with pytest.raises(OccfitError, match="'encoder' needs a _target_"):
        check({"backbone": "small"}, Component, "encoder")


def test_the_configuration_lies_in_the_checkout():
    assert conf_dir() == Path(__file__).parents[2] / "conf"


def test_only_the_papers_assets_pass_for_the_papers():
    paper = compose(["preset=paper"])
    assert has_papers_assets(paper)
    for override in ("recognition=arcface", "recognition=synthetic", "face_model=builtin"):
        assert not has_papers_assets(compose(["preset=paper", override]))
