"""The Android and iOS projects, as far as they can be checked without their SDKs.

Names that must agree between files are compared; brackets are balanced. No
compiler sees the code here.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ANDROID = "examples/android"
IOS = "examples/ios"
NAME = "{http://schemas.android.com/apk/res/android}name"
SOURCES = (
    *(f"{ANDROID}/{name}" for name in ("settings.gradle.kts", "build.gradle.kts")),
    f"{ANDROID}/app/build.gradle.kts",
    *(
        f"{ANDROID}/app/src/main/java/com/example/detector/{name}.kt"
        for name in ("MainActivity", "DetectionView")
    ),
    *(f"{IOS}/Detector/{name}.swift" for name in ("ContentView", "Detector", "DetectorApp")),
)


def code_of(path: Path) -> str:
    """The text without comments and without what is in quotes."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', text)
    return re.sub(r"//.*", "", text)


@pytest.mark.parametrize("name", SOURCES)
def test_brackets_are_closed_in_the_order_they_were_opened(repository: Path, name: str) -> None:
    pairs, opened = {")": "(", "]": "[", "}": "{"}, []
    for number, line in enumerate(code_of(repository / name).splitlines(), 1):
        for character in line:
            if character in "([{":
                opened.append(character)
            elif character in pairs:
                assert opened[-1:] == [pairs[character]], f"{name}:{number}"
                opened.pop()
    assert opened == []


def test_all_files_of_the_apps_are_checked(repository: Path) -> None:
    kinds = ("*.kt", "*.kts", "*.swift")
    found = {
        path.relative_to(repository).as_posix()
        for kind in kinds
        for directory in (ANDROID, IOS)
        for path in (repository / directory).rglob(kind)
    }
    assert found == set(SOURCES)


def test_android_names_agree_between_build_manifest_and_code(repository: Path) -> None:
    app = repository / ANDROID / "app"
    build = (app / "build.gradle.kts").read_text(encoding="utf-8")
    (namespace,) = re.findall(r'namespace = "([\w.]+)"', build)
    manifest = ElementTree.parse(app / "src/main/AndroidManifest.xml").getroot()
    classes = set()
    for file in (app / "src/main/java").rglob("*.kt"):
        text = file.read_text(encoding="utf-8")
        (package,) = re.findall(r"^package ([\w.]+)$", text, re.MULTILINE)
        assert file.parent == app / "src/main/java" / package.replace(".", "/")
        classes |= {f"{package}.{name}" for name in re.findall(r"^class (\w+)", text, re.MULTILINE)}
    activities = [item.attrib[NAME] for item in manifest.iter("activity")]
    assert activities
    assert {
        f"{namespace}{name}" if name.startswith(".") else name for name in activities
    } <= classes


def test_android_asks_for_the_permission_that_the_manifest_declares(repository: Path) -> None:
    main = repository / ANDROID / "app/src/main"
    manifest = ElementTree.parse(main / "AndroidManifest.xml").getroot()
    declared = {item.attrib[NAME].rpartition(".")[2] for item in manifest.iter("uses-permission")}
    code = "".join(path.read_text(encoding="utf-8") for path in main.rglob("*.kt"))
    asked = set(re.findall(r"(?<!import android\.)Manifest\.permission\.(\w+)", code))
    assert asked == declared == {"CAMERA"}


def test_apps_and_their_pages_name_the_same_model_and_the_same_mediapipe(repository: Path) -> None:
    for directory, version in (
        (ANDROID, r"com\.google\.mediapipe:tasks-vision:([\d.]+\d)"),
        (IOS, r"'MediaPipeTasksVision', '([\d.]+)'"),
    ):
        page = (repository / directory / "README.md").read_text(encoding="utf-8")
        texts = [
            path.read_text(encoding="utf-8")
            for path in (repository / directory).rglob("*")
            if path.is_file() and path.name != "README.md"
        ]
        (pinned,) = {found for text in texts for found in re.findall(version, text)}
        assert pinned in page
        assert "model.tflite" in page
        loaded = [text for text in texts if re.search(r"setModelAssetPath|modelAssetPath", text)]
        assert any('"model"' in text or "model.tflite" in text for text in loaded)


def test_ios_project_names_the_pod_target_and_the_sources_that_exist(repository: Path) -> None:
    project = yaml.safe_load((repository / IOS / "project.yml").read_text(encoding="utf-8"))
    podfile = (repository / IOS / "Podfile").read_text(encoding="utf-8")
    ((name, target),) = project["targets"].items()
    assert re.findall(r"^target '(\w+)'", podfile, re.MULTILINE) == [name]
    assert all((repository / IOS / source).is_dir() for source in target["sources"])
    minimum = project["options"]["deploymentTarget"]["iOS"]
    assert re.findall(r"platform :ios, '([\d.]+)'", podfile) == [minimum]
