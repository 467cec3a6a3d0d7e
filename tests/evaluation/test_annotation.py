from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.errors import DatasetError
from edge_retina.evaluation.annotation import annotate_image, annotate_video
from edge_retina.evaluation.media import find_media
from edge_retina.runtime.detections import Detections


class FixedPredictor:
    """Finds a good and a poor object in every image."""

    labels = ("cat", "dog")

    def predict(self, image_rgb: np.ndarray) -> Detections:
        return Detections(
            np.array([[0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1]], np.float32),
            np.array([1, 0], np.int32),
            np.array([0.75, 0.1], np.float32),
        )


def write_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((80, 120, 3), np.uint8))
    return path


def test_an_image_is_described_and_drawn(tmp_path: Path) -> None:
    source = write_image(tmp_path / "a.png")
    target = tmp_path / "out" / "a.png"
    found = annotate_image(FixedPredictor(), source, target, score_threshold=0.3)
    assert found == {
        "path": str(source),
        "height": 80,
        "width": 120,
        "detections": [{"label": "dog", "score": 0.75, "box_px": [20.0, 60.0, 60.0, 120.0]}],
    }
    drawn = cv2.imread(str(target), cv2.IMREAD_COLOR_RGB)
    assert drawn.shape == (80, 120, 3)
    assert drawn.any()


def test_an_image_that_cant_be_read_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="not a picture"):
        annotate_image(FixedPredictor(), source, tmp_path / "out" / "a.png", score_threshold=0.3)
    assert not (tmp_path / "out").exists()


def test_every_frame_of_a_video(tmp_path: Path) -> None:
    source, target = tmp_path / "a.avi", tmp_path / "out" / "a.mp4"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for value in (0, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    told: list[tuple[int, int]] = []
    found = annotate_video(
        FixedPredictor(),
        source,
        target,
        score_threshold=0.05,
        progress=lambda done, total: told.append((done, total)),
    )
    assert (found["height"], found["width"], found["fps"]) == (48, 64, 10.0)
    assert [frame["frame"] for frame in found["frames"]] == [0, 1, 2]
    assert all(len(frame["detections"]) == 2 for frame in found["frames"])
    assert told == [(1, 3), (2, 3), (3, 3)]
    drawn = cv2.VideoCapture(str(target))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    drawn.release()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"no video", "no video .it begins with b'no video'.; expected MP4"),
        (b"\0\0\0\x18ftypisom and nothing more", "no frame can be read"),
    ],
)
def test_a_broken_video_leaves_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        annotate_video(FixedPredictor(), source, tmp_path / "out" / "a.mp4", score_threshold=0.3)
    assert not (tmp_path / "out").exists()


def test_media_are_found_images_first(tmp_path: Path) -> None:
    directory, out = tmp_path / "in", tmp_path / "out"
    clip = directory / "a.MOV"
    images = [write_image(directory / "b.jpg"), write_image(directory / "deep" / "b.jpg")]
    clip.write_bytes(b"")
    (directory / "notes.txt").write_text("not one of them")
    found = find_media([clip, directory], out)
    assert [item.source for item in found] == [*images, clip]
    assert [item.target for item in found] == [out / "b.jpg", out / "deep/b.jpg", out / "a.mp4"]
    assert [item.is_video for item in found] == [False, False, True]


@pytest.mark.parametrize(
    "name, message",
    [
        ("none.jpg", "no such file or directory"),
        ("notes.txt", "unknown file type '.txt'; allowed: .avi .bmp"),
        ("empty", "no image or video in this directory"),
    ],
)
def test_inputs_that_are_no_media(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError) as caught:
        find_media([tmp_path / name], tmp_path / "out")
    assert message in str(caught.value)


def test_two_files_with_one_target_are_refused(tmp_path: Path) -> None:
    one, other = write_image(tmp_path / "x/a.jpg"), write_image(tmp_path / "y/a.jpg")
    with pytest.raises(DatasetError, match="would both be written to"):
        find_media([one, other], tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{other}'\n",
    ],
)
def test_a_playlist_by_the_name_of_a_video_opens_nothing(tmp_path: Path, text: str) -> None:
    other, playlist = write_video(tmp_path / "other.mp4"), tmp_path / "list.mp4"
    playlist.write_text(text.format(other=other))
    with pytest.raises(DatasetError) as error:
        annotate_video(FixedPredictor(), playlist, tmp_path / "out.mp4", score_threshold=0.3)
    assert str(error.value).startswith(f"{playlist}: no video (it begins with b'")
    assert str(error.value).endswith("expected MP4 or QuickTime, Matroska or WebM, AVI")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["concat:a.mp4", "frame_0001.mp4", "a%03d.avi", "a.mkv"])
def test_a_video_is_a_file_whatever_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """FFmpeg takes `concat:` for a protocol, and OpenCV numbers for a series of pictures."""
    monkeypatch.chdir(tmp_path)
    source = write_video(tmp_path / f"source{Path(name).suffix}").rename(tmp_path / name)
    found = annotate_video(
        FixedPredictor(), Path(source.name), tmp_path / "out.mp4", score_threshold=0.3
    )
    assert len(found["frames"]) == 3


def test_a_video_that_the_disk_has_no_room_for_is_told(tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "a.mp4"), tmp_path / "out.mp4"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # bytes that a file may have
    try:
        with pytest.raises(DatasetError) as error:
            annotate_video(FixedPredictor(), source, target, score_threshold=0.3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert str(error.value) == f"{target}: could not be written whole; is the disk full?"
    assert os.listdir(tmp_path) == ["a.mp4"]


def write_video(path: Path) -> Path:
    codec = "mp4v" if path.suffix == ".mp4" else "MJPG"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 1.0, (64, 48))
    for grey in (0, 100, 200):
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    return path
