"""A recording becomes frames with true times, and what cannot be read is named."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from edge.frame import Frame, Gap
from edge.sources.clock import timestamp_sigma_s
from edge.sources.decoder import Order, upright
from edge.sources.extent import extent
from edge.sources.file import open_video
from tests.edge.videos import picture, write_sound, write_video


def read(
    path: Path, *, start_time: float | None = None, times: Path | None = None
) -> tuple[list[Frame], tuple[Gap, ...]]:
    with open_video(path, start_time=start_time, times=times) as source:
        return list(source), source.gaps


def test_every_frame_comes_once_in_order_with_its_picture(tmp_path: Path) -> None:
    frames, gaps = read(write_video(tmp_path / "a.mp4", count=30, rate=10))
    assert [frame.index for frame in frames] == list(range(30))
    assert [round(frame.time, 6) for frame in frames] == [index / 10 for index in range(30)]
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert abs(float(frame.image.mean()) - float(picture(frame.index).mean())) < 4
    assert gaps == ()


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.webm", "libvpx"), ("a.mov", "mpeg4")],
)
def test_common_containers_are_read(tmp_path: Path, name: str, codec: str) -> None:
    frames, gaps = read(write_video(tmp_path / name, codec=codec))
    assert [round(frame.time, 3) for frame in frames] == [index / 10 for index in range(30)]
    assert gaps == ()


def test_times_are_those_of_the_file_not_of_a_frame_rate(tmp_path: Path) -> None:
    pts = [0, 40, 80, 160, 200, 1240, 1280]
    frames, gaps = read(write_video(tmp_path / "a.mp4", count=7, rate=25, pts=pts), start_time=1e9)
    assert [round((frame.time - 1e9) * 1000) for frame in frames] == pts
    assert gaps == ()


def test_time_error_is_what_a_nominal_frame_rate_leaves_open(tmp_path: Path) -> None:
    frames, _ = read(write_video(tmp_path / "a.mp4", rate=10))
    assert frames[0].time_sigma_s == pytest.approx(0.1 / 12**0.5, rel=0.01)
    assert timestamp_sigma_s(time_base_s=(1, 1000), rate_hz=1000.0) == pytest.approx(0.04 / 12**0.5, rel=0.01)


def test_truncated_recording_gives_its_readable_part(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", count=60, options={"movflags": "faststart"}).read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    frames, gaps = read(tmp_path / "a.mp4")
    assert 10 < len(frames) < 60
    assert [frame.index for frame in frames] == list(range(len(frames)))
    (gap,) = gaps
    assert gap.start == frames[-1].time
    assert gap.end == pytest.approx(5.9, abs=0.01)
    assert "of its 60 frames" in gap.reason


def test_damaged_frames_are_left_out_up_to_the_next_key_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", count=60, options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = random.Random(1).randbytes(2000)
    path.write_bytes(content)

    frames, gaps = read(path)

    (gap,) = gaps
    assert "left out" in gap.reason
    before = [frame for frame in frames if frame.time <= gap.start]
    after = [frame for frame in frames if frame.time >= gap.end]
    assert len(before) + len(after) == len(frames) < 60
    assert after[0].index % 10 == 0, "goes on at a key frame"
    assert [round(frame.time * 10) for frame in frames] == [frame.index for frame in frames]
    for frame in frames:
        assert abs(float(frame.image.mean()) - float(picture(frame.index).mean())) < 4, "no made-up picture"


def test_a_timestamp_of_another_age_is_left_out(tmp_path: Path) -> None:
    pts = [0, 100, 200, 9_000_000_000, 9_000_000_100]
    frames, gaps = read(write_video(tmp_path / "a.mkv", count=5, pts=pts))
    assert [round(frame.time * 10) for frame in frames] == [0, 1, 2]
    assert gaps[0].reason == "2 frames left out: timestamps leap by more than a month"


def test_change_of_image_size_ends_the_recording_with_a_gap(tmp_path: Path) -> None:
    first = write_video(tmp_path / "1.ts").read_bytes()
    second = write_video(tmp_path / "2.ts", size=(96, 48)).read_bytes()
    (tmp_path / "a.ts").write_bytes(first + second)
    frames, gaps = read(tmp_path / "a.ts")
    assert len(frames) == 30
    assert [gap.reason for gap in gaps] == ["the image size changes from 64×48 to 96×48"]


def test_longer_sound_track_is_no_gap(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        frames, gaps = read(write_video(tmp_path / name, sound_s=6))
        assert (len(frames), gaps) == (30, ())


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("a.mp4", b"", "is empty", id="empty"),
        pytest.param("a.mp4", bytes(5000), "not a recording that can be read", id="zeros"),
        pytest.param(
            "a.txt", b"hello\n" * 200, "not a recording that can be read", id="text is no tty video"
        ),
        pytest.param("a.m3u8", b"#EXTM3U\n#EXTINF:1,\nb.ts\n", "not a recording", id="playlist"),
        pytest.param(
            "a.ffconcat", b"ffconcat version 1.0\nfile b.ts\n", "not a recording", id="concat script"
        ),
        pytest.param(
            "a.png",
            bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"),
            "not a recording that can be read",
            id="picture",
        ),
    ],
)
def test_what_is_no_recording_is_one_clear_line(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_video(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}: ")
    assert expected in problem


def test_missing_file_folder_and_sound_are_named(tmp_path: Path) -> None:
    for path, expected in (
        (tmp_path / "none.mp4", "No such file"),
        (tmp_path, "is a folder"),
        (write_sound(tmp_path / "a.m4a"), "no video stream"),
    ):
        with pytest.raises(InputError, match=expected):
            open_video(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        open_video(path)


def test_recording_without_timestamps_asks_for_a_log(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264")
    with pytest.raises(InputError, match="--times"):
        read(path)
    (tmp_path / "a.log").write_text("".join(f"{index / 10}\n" for index in range(30)))
    frames, gaps = read(path, times=tmp_path / "a.log")
    assert [frame.time for frame in frames] == [index / 10 for index in range(30)]
    assert gaps == ()


def test_crash_of_the_decoder_is_a_gap(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "a.mp4", count=60)) as source:
        frames = iter(source)
        last = [next(frames) for _ in range(5)][-1]
        os.kill(source.process.pid, signal.SIGSEGV)
        last = [last, *frames][-1]
        assert source.gaps == (Gap(last.time, 5.9, "the decoder crashed (SIGSEGV)"),)


def test_hang_of_the_decoder_is_a_gap(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "a.mp4", count=60)) as source:
        frames = iter(source)
        last = next(frames)
        source.process.timeout_s = 0.3
        os.kill(source.process.pid, signal.SIGSTOP)
        last = [last, *frames][-1]
        assert source.gaps == (Gap(last.time, 5.9, "the decoder gave nothing for 0.3 s"),)
    assert not Path(f"/proc/{source.process.pid}").exists()


def test_decoder_ends_when_the_node_is_killed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", count=60)
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom edge.sources.file import open_video\n"
        "source = open_video(Path(sys.argv[1]))\nprint(source.process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as node:
        assert node.stdout is not None
        decoder = int(node.stdout.readline())
        node.kill()
    for _ in range(100):
        if (
            not Path(f"/proc/{decoder}").exists()
            or "Z" in Path(f"/proc/{decoder}/stat").read_text().split()[2]
        ):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the decoder outlived the node")


def test_opening_and_closing_leaves_nothing_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    open_video(path).close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with open_video(path) as source:
            next(iter(source))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_frames_outlive_their_slots(tmp_path: Path) -> None:
    frames, _ = read(write_video(tmp_path / "a.mp4", count=30))
    means = [float(frame.image.mean()) for frame in frames]
    assert np.all(np.diff(means) > 0)


def test_turned_recordings_are_set_upright() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    assert upright(image, 0) is image
    assert upright(image, -90)[:, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert upright(image, 180)[0].tolist() == [[3, 4, 5], [0, 1, 2]]


def test_frames_that_failed_count_for_the_index_of_the_next() -> None:
    order = Order()
    for pts in (0, 1, 2, 3, 4):
        order.packet(pts)
    assert order.place(0, troubled=False) == 0
    assert order.place(3, troubled=True) == 3
    assert order.place(4, troubled=False) == 4


def test_packets_that_never_show_a_frame_do_not_count() -> None:
    order = Order()
    for pts in (0, 1, 2):
        order.packet(pts)
    assert order.place(0, troubled=False) == 0
    assert order.place(2, troubled=False) == 1


@pytest.mark.data
def test_strudl_clip_with_its_log(data: Path) -> None:
    frames, gaps = read(data / "video" / "strudl_vid0.mp4", times=data / "video" / "strudl_vid0.log")
    assert (len(frames), gaps) == (100, ())
    assert frames[0].time == 1370538279.84  # 2013-06-06T17:04:39.840Z
    assert frames[-1].time == pytest.approx(frames[0].time + 4.72)
    assert frames[0].time_sigma_s == pytest.approx(0.01 / 12**0.5)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")]
)
def test_a_recording_can_be_begun_in_the_middle(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, codec=codec)
    whole, _ = read(path, start_time=1e9)
    with open_video(path, start_time=1e9, from_s=1.45) as source:
        part = list(source)
        assert source.gaps == ()
    assert [frame.time for frame in part] == [frame.time for frame in whole if frame.time > 1e9 + 1.44]
    for frame, same in zip(part, whole[-len(part) :], strict=True):
        assert np.array_equal(frame.image, same.image)


def test_a_recording_cannot_be_begun_behind_its_end(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.mp4: holds no frame after 9 s that can be decoded"):
        open_video(write_video(tmp_path / "a.mp4"), from_s=9.0)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")])
def test_the_extent_is_what_a_file_holds(tmp_path: Path, name: str, codec: str) -> None:
    found = extent(write_video(tmp_path / name, codec=codec, count=30, rate=10))
    assert found.image_size == (64, 48)
    assert found.duration_s == pytest.approx(3.0, abs=0.11)


def test_the_extent_of_no_recording(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"a.mp4: not a recording that can be read"):
        extent(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"b.mp4: has no video stream"):
        extent(write_sound(tmp_path / "b.mp4"))


def test_a_frame_is_seen_where_it_was_decoded_and_its_place_given_back(tmp_path: Path) -> None:
    video = write_video(tmp_path / "street.mp4", count=12)
    with open_video(video) as source:
        for frame in source:
            assert frame.image.base is not None  # lent, not copied
            assert not frame.image.flags.writeable
            del frame


def test_the_grey_picture_is_the_image_at_a_quarter_of_its_size(tmp_path: Path) -> None:
    import cv2

    video = write_video(tmp_path / "street.mp4", count=4)
    with open_video(video) as source:
        for frame in source:
            assert frame.grey is not None
            assert frame.grey.shape == (frame.image.shape[0] // 4, frame.image.shape[1] // 4)
            grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
            small = cv2.resize(grey, frame.grey.shape[::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(small.astype(float) - frame.grey).mean() < 3.0
            del frame
