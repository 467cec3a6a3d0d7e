"""Config: what a file may say, how it is combined, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import tomli_w

import edge_retina.config
from edge_retina.config import (
    AUGMENTATION_LEVELS,
    PRESETS,
    AugmentationConfig,
    Config,
    augmentation_level,
    config_from_dict,
    load_config,
    read_toml,
)
from edge_retina.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_all_is_default() -> None:
    assert load_config() == Config()


def test_default_survives_dict_and_toml(tmp_path: Path) -> None:
    config = Config()
    assert config_from_dict(config.to_dict()) == config
    path = write(tmp_path / "c.toml", tomli_w.dumps(config.to_dict()))
    assert load_config(path) == config


def test_changed_config_survives_toml(tmp_path: Path) -> None:
    shapes = tuple(((8.0 * 2**level, 9.5), (16.0, 4.25)) for level in range(3, 8))
    config = Config()
    config = config.replace(
        name="blood",
        seed=7,
        anchors=dataclasses.replace(config.anchors, fit=False, shapes=shapes),
        augmentation=dataclasses.replace(config.augmentation, scale=(0.5, 2.0)),
    )
    path = write(tmp_path / "c.toml", tomli_w.dumps(config.to_dict()))
    assert load_config(path) == config


def test_dict_holds_only_what_toml_and_json_know() -> None:
    def types(value: object) -> set[type]:
        if isinstance(value, dict):
            return {dict}.union(*map(types, value.values()))
        if isinstance(value, list):
            return {list}.union(*map(types, value))
        return {type(value)}

    assert types(Config().to_dict()) <= {dict, list, str, int, float, bool}


def test_config_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().train.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_different_from_each_other(preset: str) -> None:
    config = load_config(preset=preset)
    others = [load_config(preset=other) for other in PRESETS if other != preset]
    assert config.model not in [other.model for other in others]


def test_file_wins_over_its_preset_and_override_over_both(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.toml",
        'preset = "fast"\n[model]\nfpn_channels = 56\n[train]\nepochs = 9\nbatch_size = 4\n',
    )
    config = load_config(path, overrides=["train.epochs=3"], preset="accurate")
    assert config.model.max_level == 6, "from the preset that the file names, not the argument"
    assert config.model.fpn_channels == 56, "from the file"
    assert config.train.batch_size == 4, "from the file"
    assert config.train.epochs == 3, "from the override"


@pytest.mark.parametrize(
    "text, section, name, value",
    [
        ("train.epochs=3", "train", "epochs", 3),
        (" train.learning_rate = 0.01 ", "train", "learning_rate", 0.01),
        ("train.learning_rate=1", "train", "learning_rate", 1.0),  # whole numbers are floats too
        ("train.optimizer=sgd", "train", "optimizer", "sgd"),
        ('train.optimizer="sgd"', "train", "optimizer", "sgd"),
        ("anchors.fit=false", "anchors", "fit", False),
        ("augmentation.scale=[1, 1.5]", "augmentation", "scale", (1.0, 1.5)),
        ("data.val_split=", "data", "val_split", ""),
        ("model.pretrained=a=b.h5", "model", "pretrained", str(Path.cwd() / "a=b.h5")),
    ],
)
def test_overrides(text: str, section: str, name: str, value: object) -> None:
    assert getattr(getattr(load_config(overrides=[text]), section), name) == value


def test_top_level_field_can_be_overridden() -> None:
    assert load_config(overrides=["name=cells", "seed=5"]).seed == 5


def test_the_last_override_counts() -> None:
    assert load_config(overrides=["seed=1", "seed=2"]).seed == 2


def test_what_is_not_loaded_needs_no_weights_of_its_width() -> None:
    overrides = ["model.backbone=mobilenet_v3_large_minimalistic"]  # ImageNet's: only of width 1.0
    with pytest.raises(ConfigError, match="ImageNet weights"):
        load_config(overrides=overrides)
    config = load_config(overrides=[*overrides, "train.init=runs/a"])
    assert config.train.init == str(Path.cwd() / "runs/a")


def test_paths_are_taken_from_the_file_s_directory(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.toml", '[data]\npath = "cells"\n[model]\npretrained = "weights.h5"\n'
    )
    config = load_config(path)
    assert config.data.path == str(tmp_path / "cells")
    assert config.model.pretrained == str(tmp_path / "weights.h5")


def test_absolute_paths_and_the_word_imagenet_stay(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.toml", '[data]\npath = "/data/cells"\n[model]\npretrained = "imagenet"\n'
    )
    config = load_config(path)
    assert config.data.path == "/data/cells"
    assert config.model.pretrained == "imagenet"


def test_an_overriding_path_is_taken_from_the_working_directory(tmp_path: Path) -> None:
    path = write(tmp_path / "c.toml", "")
    assert load_config(path, overrides=["data.path=cells"]).data.path == str(Path.cwd() / "cells")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[trian]\nepochs = 3", "unknown key 'trian'; did you mean 'train'?"),
        ("[train]\nepoch = 3", "unknown key 'train.epoch'; did you mean 'epochs'?"),
        ("[loss]\nzzz = 3", "unknown key 'loss.zzz'; allowed: box_loss, box_weight,"),
        ("train = 3", "'train' must be a section, got 3"),
        ("[train]\nepochs = 3.5", "train.epochs must be an integer, got 3.5"),
        ("[train]\nepochs = true", "train.epochs must be an integer, got True"),
        ('[train]\nepochs = "3"', "train.epochs must be an integer, got '3'"),
        ("[train]\nlearning_rate = true", "train.learning_rate must be a number, got True"),
        ("[anchors]\nfit = 1", "anchors.fit must be true or false, got 1"),
        ("name = 5", "name must be a string, got 5"),
        ("[augmentation]\nscale = 1.5", "augmentation.scale must be a list, got 1.5"),
        ("[augmentation]\nscale = [1.5]", "augmentation.scale must have 2 values, got [1.5]"),
        ('[augmentation]\nscale = ["a", 1]', "augmentation.scale must be a number, got 'a'"),
        ('preset = "quick"', "preset 'quick' is unknown; allowed: accurate, balanced, demo, fast"),
        ('preset = "balance"', "preset 'balance' is unknown; did you mean 'balanced'?"),
        ("preset = 3", "preset 3 is unknown"),
        ("[train\n", "not valid TOML"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "my.toml", text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)
    if "preset" not in text:
        assert "my.toml" in str(caught.value), "the message says in which file"


@pytest.mark.parametrize(
    "override, message",
    [
        ("train.epochs=-1", "train.epochs must be 0 or more, got -1"),
        ("train.learning_rate=nan", "train.learning_rate must be in 1e-09..10, got nan"),
        ("model.image_size=100", "model.image_hw must be a multiple of 32, got 100"),
        ("model.image_size=64", "smaller than the stride 128 of model.max_level 7; lower"),
        ("model.image_size=4096", "model.image_hw must be in 32..2048, got 4096"),
        ("model.backbone_width=0.4", "must be one of 0.35, 0.5, 0.75, 1.0; got 0.4"),
        (
            "model.backbone=mobilenet_v3_large_minimalistic",
            "model.pretrained: Keras has ImageNet weights of mobilenet_v3_large_minimalistic for "
            "width 1.0 only, not 0.35; set model.backbone_width, or model.pretrained",
        ),
        ("model.prior_probability=0", "model.prior_probability must be in 1e-06..0.5, got 0"),
        ("loss.box_loss=l1", "loss.box_loss must be one of huber, giou, ciou; got 'l1'"),
        ("train.optimizer=Adam", "train.optimizer must be one of adamw, sgd; got 'Adam'"),
        ("quantize.method=dynamic", "quantize.method must be one of qat, ptq; got 'dynamic'"),
        ("export.score_threshold=1.5", "export.score_threshold must be in 0..1, got 1.5"),
        ("matching.negative_iou=0.6", "negative_iou must not be above matching.positive_iou"),
        ("augmentation.scale=[2, 1]", "augmentation.scale must be [low, high], got 2.0, 1.0"),
        ("augmentation.scale=[0, 1]", "augmentation.scale must be in 0.1..10, got 0"),
        ("name=a/b", "name must be usable in file names, got 'a/b'"),
        ("name=", "name must be usable in file names, got ''"),
        ("name=..", "name must be usable in file names, got '..'"),
        (f"name={'ü' * 101}", "name must have at most 200 bytes, got 202"),
        ("seed=4294967296", "seed must be in 0..4294967295, got 4294967296"),
        ("anchors.shapes=[[[8, 8]]]", "anchors.shapes must be 5 lists (levels 3..7)"),
        (
            "anchors={kind = 'fitted', fit = false}",
            'anchors.kind "fitted" contradicts anchors.fit false; leave out anchors.fit',
        ),
        ("anchors.kind=squares", "anchors.kind must be one of"),
        ("train.epochs", "--set train.epochs: expected section.field=value"),
        ("=3", "--set =3: expected section.field=value"),
        ("name.first=x", "name must be a string, got {'first': 'x'}"),
        ("train.epochs.x=1", "train.epochs must be an integer, got {'x': 1}"),
        ("tain.epochs=3", "unknown key 'tain'; did you mean 'train'?"),
    ],
)
def test_bad_values_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override])
    assert message in str(caught.value)


def test_override_below_a_field_of_the_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "c.toml", 'name = "cells"\n')
    with pytest.raises(ConfigError, match="'name' is a field, not a section"):
        load_config(path, overrides=["name.first=x"])


@pytest.mark.parametrize(
    "shapes, message",
    [
        ([[[8, 8]]] * 4, "must be 5 lists"),
        ([[[8, 8]]] * 4 + [[[8, 8], [4, 4]]], "of equally many"),
        ([[]] * 5, "must be 5 lists"),
        ([[[8, 0]]] * 5, "anchors.shapes must be positive pixels"),
        ([[[8]]] * 5, "anchors.shapes must have 2 values"),
    ],
)
def test_bad_anchor_shapes_are_refused(shapes: list, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict({"anchors": {"shapes": shapes}})


def test_a_wiring_of_another_backbone() -> None:
    overrides = ["model.wiring=od_fpnlite", "model.pretrained=none"]
    assert load_config(overrides=overrides).model.wiring == "od_fpnlite"
    with pytest.raises(ConfigError, match="is for the backbone mobilenet_v2, not mobilenet_v3"):
        load_config(overrides=[*overrides, "model.backbone=mobilenet_v3_large_minimalistic"])


def test_levels_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match="min_level must not be above"):
        load_config(overrides=["model.min_level=5", "model.max_level=4"])


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: no such config file"):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="is a directory; expected a TOML file"):
        load_config(tmp_path)


def test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path / "c.toml")


def test_levels_go_from_the_finest_to_the_coarsest() -> None:
    model = load_config(overrides=["model.min_level=4", "model.max_level=6"]).model
    assert model.levels == (4, 5, 6)


NAMED = '[augmentation]\nlevel = "{}"\n{}'
ALL_OFF = AugmentationConfig(
    level="none",
    horizontal_flip=0,
    scale=(1, 1),
    aspect=0,
    translate=0,
    brightness=0,
    contrast=0,
    saturation=0,
    hue=0,
)


def test_moderate_is_the_default_and_none_is_nothing(tmp_path: Path) -> None:
    def of(level: str) -> AugmentationConfig:
        return load_config(overrides=[f"augmentation.level={level}"]).augmentation

    assert dataclasses.replace(of("moderate"), level="") == AugmentationConfig()
    assert of("none") == ALL_OFF
    assert of("") == AugmentationConfig()


def test_each_level_goes_further_than_the_one_before() -> None:
    def strength(value: object) -> float:
        return value[1] / value[0] if isinstance(value, list) else float(value)  # type: ignore

    levels = [augmentation_level(name) for name in AUGMENTATION_LEVELS]
    for weaker, stronger in itertools.pairwise(levels):
        fields = weaker.keys() & stronger.keys() - {"vertical_flip", "transpose"}
        assert all(strength(stronger[key]) >= strength(weaker[key]) for key in fields)
        assert any(strength(stronger[key]) > strength(weaker[key]) for key in fields)


def test_levels_are_those_of_the_table() -> None:
    path = Path(edge_retina.config.__file__).parent / "presets" / "augmentation_levels.toml"
    assert tuple(read_toml(path)) == AUGMENTATION_LEVELS


@pytest.mark.parametrize(
    "text, overrides, preset, want",
    [
        # A field that is given counts more than the level, wherever each of them is given.
        (NAMED.format("none", "hue = 0.2"), [], "", {"hue": 0.2, "contrast": 0}),
        (
            "[augmentation]\nhue = 0.2",
            ["augmentation.level=none"],
            "",
            {"hue": 0.2, "scale": (1, 1)},
        ),
        (NAMED.format("none", ""), ["augmentation.hue=0.2"], "", {"hue": 0.2, "contrast": 0}),
        (NAMED.format("none", "hue = 0.2"), ["augmentation.hue=0.3"], "", {"hue": 0.3}),
        (NAMED.format("none", ""), ["augmentation.level=light"], "", {"contrast": 0.1}),
        (NAMED.format("none", ""), ["augmentation.level="], "", {"contrast": 0.2}),
        # Flips that the data allow stay, but not with "none".
        (NAMED.format("strong", "vertical_flip = 0.5"), [], "", {"vertical_flip": 0.5}),
        ("", ["augmentation.level=strong"], "vertical_flip = 0.5", {"vertical_flip": 0.5}),
        ("", ["augmentation.level=none"], "vertical_flip = 0.5", {"vertical_flip": 0}),
        # A preset's level and fields give way to a level and to fields of the user's.
        ("", [], 'level = "none"', {"contrast": 0}),
        ("", [], 'level = "none"\nhue = 0.2', {"contrast": 0, "hue": 0.2}),
        ("", ["augmentation.hue=0.1"], 'level = "none"\nhue = 0.2', {"contrast": 0, "hue": 0.1}),
        (
            NAMED.format("light", ""),
            [],
            'level = "none"\nhue = 0.2',
            {"contrast": 0.1, "hue": 0.015},
        ),
        ("", ["augmentation.level="], 'level = "none"\nhue = 0.2', {"contrast": 0.2, "hue": 0.2}),
    ],
)
def test_where_a_level_stands(
    text: str,
    overrides: list[str],
    preset: str,
    want: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    levels = edge_retina.config.PRESET_DIR / "augmentation_levels.toml"
    write(tmp_path / "augmentation_levels.toml", levels.read_text(encoding="utf-8"))
    write(tmp_path / "fast.toml", f"[augmentation]\n{preset}")
    monkeypatch.setattr("edge_retina.config.PRESET_DIR", tmp_path)
    path = write(tmp_path / "c.toml", text)
    found = load_config(path, overrides=overrides, preset="fast").augmentation
    assert {name: getattr(found, name) for name in want} == want


def test_a_level_survives_toml_and_gives_way_to_one_of_a_run_s_command(tmp_path: Path) -> None:
    config = load_config(overrides=["augmentation.level=strong", "augmentation.hue=0.2"])
    path = write(tmp_path / "c.toml", tomli_w.dumps(config.to_dict()))
    assert load_config(path) == config
    off = load_config(path, overrides=["augmentation.level=none"], resolved=True)
    assert off.augmentation == ALL_OFF
    with pytest.raises(
        ConfigError, match=r"level=none would change nothing, because .*c\.toml gives"
    ):
        load_config(path, overrides=["augmentation.level=none"])


@pytest.mark.parametrize(
    "text, overrides, message",
    [
        (
            NAMED.format("storng", ""),
            [],
            "{path}: augmentation.level 'storng' is unknown; did you mean 'strong'?",
        ),
        (
            "",
            ["augmentation.level=max"],
            "--set: augmentation.level 'max' is unknown; allowed: light, moderate, none, strong",
        ),
        (
            "[augmentation]\nlevel = 3",
            [],
            "{path}: augmentation.level 3 is unknown; allowed: light",
        ),
    ],
)
def test_unknown_levels(text: str, overrides: list[str], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "c.toml", text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides=overrides)
    assert str(caught.value).startswith(message.format(path=path))


def test_a_level_that_no_file_names_is_refused() -> None:
    with pytest.raises(ConfigError, match="'strng' is unknown; did you mean 'strong'"):
        Config(augmentation=AugmentationConfig(level="strng"))
