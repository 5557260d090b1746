"""Jobs inside one process: taken once, gone on with, cancelled, waiting, failing. Processes are in `test_jobs_http`."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import harness
import pytest
import structlog
from postgres import cluster, fresh_database
from sqlalchemy import update

from service.commands.adding import PhotosNotAdded, add_photos
from service.commands.jobs import cancel_job, list_jobs, show_job
from service.errors import DatabaseUnavailable, Overloaded, UnknownGallery
from service.gallery.item_repository import ItemFilter
from service.jobs import runner as runner_module
from service.jobs import service as service_module
from service.jobs.errors import ArchiveInvalid, ImportRootUnset, JobFinished, LeaseLost, TooManyJobs, UnknownJob
from service.jobs.importer import Importer
from service.jobs.listing import ListedPhoto
from service.jobs.repository import JobRepository
from service.jobs.runner import MOST_BEGUN, JobRunner
from service.models import JobRow
from service.settings import Settings
from service.workspace import Workspace, open_workspace

PHOTOS = [harness.jpeg(seed) for seed in range(24)]
LABELS = 4


@contextmanager
def at(data: Path, bundle: Path, database: str | None = None, **settings: Any) -> Iterator[Workspace]:
    """A workspace that works on two photos at a time, and extracts no local features."""
    chosen: dict[str, Any] = {"threads": 1, "concurrency": 2, "verification": "off", "job_lease": 1.0, **settings}
    with open_workspace(Settings.load({}, data=data, bundle=bundle, database_url=database, **chosen)) as workspace:
        workspace.start()
        yield workspace


@pytest.fixture
def workspace(tmp_path: Path, bundle: Path, database: str | None) -> Iterator[Workspace]:
    with at(tmp_path / "data", bundle, database) as opened:
        yield opened


def packed(photos: list[bytes], **more: bytes) -> bytes:
    """An archive of these photos, the next label in turn."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, photo in enumerate(photos):
            archive.writestr(f"label {number % LABELS}/{number}.jpg", photo)
        for name, data in more.items():
            archive.writestr(f"label 0/{name}.jpg", data)
    return file.getvalue()


def start(workspace: Workspace, archive: bytes, *, distractors: bool = True) -> JobRow:
    """Queue an import; of distractors, which are not simulated a second and third time, and so are quick."""
    with workspace.jobs.uploading(len(archive)) as path:
        path.write_bytes(archive)
        return workspace.jobs.start_archive("shop", path, "photos.zip", distractors=distractors)


def run(workspace: Workspace) -> JobRunner:
    """Everything that is to be done now, in this thread."""
    runner = JobRunner(workspace, structlog.get_logger())
    runner.look()
    return runner


def now(workspace: Workspace, job: JobRow) -> JobRow:
    return workspace.jobs.detail("shop", job.id).job


def counts(row: JobRow) -> tuple[str, int | None, int, int, int, int]:
    return row.state, row.total, row.position, row.added, row.duplicates, row.failed


def items(workspace: Workspace) -> int:
    return workspace.gallery.page("shop", ItemFilter(), limit=1).total


def expire(workspace: Workspace) -> None:
    """The time of every lease is over."""
    with workspace.database.write() as session:
        past = JobRepository(session).now() - timedelta(seconds=1)
        session.execute(update(JobRow).values(owned_until=past))


class Embeddings:
    """Counts the photos that a workspace embeds; `at` so many it does something."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.at: dict[int, Callable[[], object]] = {}
        self._lock = threading.Lock()
        embed = workspace.embedder.distractor

        def counted(data: bytes) -> Any:
            with self._lock:
                self.count += 1
                then = self.at.get(self.count)
            if then is not None:
                then()
            return embed(data)

        monkeypatch.setattr(workspace.embedder, "distractor", counted)


def test_a_job_from_start_to_end(workspace: Workspace) -> None:
    job = start(workspace, packed([*PHOTOS[:4], PHOTOS[0]], text=b"no picture", none=b""), distractors=False)
    assert counts(now(workspace, job)) == ("queued", None, 0, 0, 0, 0)
    run(workspace)
    row = now(workspace, job)
    assert counts(row) == ("done", 7, 7, 4, 1, 2)  # the fifth photo is the first one again
    assert row.started_at is not None
    assert row.finished_at is not None
    assert row.created_at <= row.started_at <= row.finished_at
    assert items(workspace) == 4
    first = workspace.jobs.detail("shop", job.id, limit=1)
    [failure] = first.failures
    assert (failure.position, failure.name, failure.code) == (5, "label 0/text.jpg", "not_an_image")
    [rest] = workspace.jobs.detail("shop", job.id, after=first.after or 0, limit=1).failures
    assert (rest.position, rest.code) == (6, "empty_image")
    assert list((workspace.settings.data / "jobs").glob("*/*")) == []
    with pytest.raises(JobFinished, match="done already"):
        workspace.jobs.cancel("shop", job.id)
    with pytest.raises(UnknownJob):
        workspace.jobs.detail("other", job.id)
    again = start(workspace, packed(PHOTOS[:8]))
    run(workspace)
    assert counts(now(workspace, again)) == ("done", 8, 8, 8, 0, 0)
    assert workspace.gallery.page("shop", ItemFilter(kind="distractor")).total == 8
    assert [row.id for row in workspace.jobs.page("shop").jobs] == [again.id, job.id]
    assert workspace.jobs.by_state()["done"] == 2


def test_two_processes_and_two_jobs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job is worked on by one of them at a time, and every photo by one of them once."""
    embeddings = Embeddings(workspace, monkeypatch)
    jobs = [start(workspace, packed(PHOTOS[:12])), start(workspace, packed(PHOTOS[12:]))]
    runners = [JobRunner(workspace, structlog.get_logger()) for _ in range(2)]
    for runner in runners:
        runner.start()
    harness.until("both are done", lambda: all(now(workspace, job).state == "done" for job in jobs))
    for runner in runners:
        runner.stop()
    assert [counts(now(workspace, job))[3:] for job in jobs] == [(12, 0, 0)] * 2
    assert embeddings.count == items(workspace) == 24


def test_a_worker_that_stops_finishes_what_it_holds(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = Embeddings(workspace, monkeypatch)
    job = start(workspace, packed(PHOTOS))
    runner = JobRunner(workspace, structlog.get_logger())
    embeddings.at[7] = runner._stop.set
    runner.look()
    row = now(workspace, job)
    assert (row.state, row.owner) == ("queued", None)  # given back, not left for its lease to end
    assert 7 <= row.position == row.added == items(workspace) == embeddings.count < 16
    run(workspace)
    assert counts(now(workspace, job)) == ("done", 24, 24, 24, 0, 0)
    assert embeddings.count == 24


def test_a_job_whose_process_is_gone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease ends, and whoever takes it goes on; one who comes back to it adds nothing."""
    job = start(workspace, packed(PHOTOS[:6]))
    gone = uuid.uuid4().hex
    held = workspace.jobs.claim(gone)
    assert held is not None
    assert workspace.jobs.claim("another") is None
    runner = JobRunner(workspace, structlog.get_logger())
    runner.start()
    harness.until("it was taken over", lambda: now(workspace, job).state == "done")  # once a second has passed
    runner.stop()
    assert items(workspace) == 6

    class Late:
        def read(self, photo: ListedPhoto) -> bytes:
            return PHOTOS[9]

    importer = Importer(workspace.enrolment, workspace.database, side_by_side=1)
    photos = iter([ListedPhoto("late.jpg", "")])
    with pytest.raises(LeaseLost):
        list(
            importer.run(
                "shop",
                Late(),
                photos,
                within=lambda session, outcomes: workspace.jobs.advance(session, held, gone, 0, outcomes) and None,
            )
        )
    assert items(workspace) == 6
    with pytest.raises(LeaseLost):
        workspace.jobs.keep(held, gone)


def test_a_photo_that_ends_every_process(workspace: Workspace) -> None:
    job = start(workspace, packed(PHOTOS[:3]))
    for number in range(MOST_BEGUN):
        assert workspace.jobs.claim(f"process {number}") is not None
        expire(workspace)
    run(workspace)
    row = now(workspace, job)
    assert (row.state, row.code, row.position) == ("failed", "photo_ends_process", 0)
    assert "label 0/0.jpg" in (row.message or "")


def test_cancelled_before_and_while_it_runs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = start(workspace, packed(PHOTOS))
    assert workspace.jobs.cancel("shop", waiting.id).state == "cancelled"
    assert workspace.jobs.cancel("shop", waiting.id).state == "cancelled"
    run(workspace)
    with pytest.raises(UnknownGallery):
        items(workspace)
    embeddings = Embeddings(workspace, monkeypatch)
    running = start(workspace, packed(PHOTOS))
    embeddings.at[5] = lambda: workspace.jobs.cancel("shop", running.id)
    run(workspace)
    row = now(workspace, running)
    assert row.state == "cancelled"
    assert 3 <= row.added == items(workspace) < 16
    assert list((workspace.settings.data / "jobs").glob("*/*")) == []
    held = start(workspace, packed(PHOTOS))
    assert workspace.jobs.claim("gone") is not None
    assert workspace.jobs.cancel("shop", held.id).cancelling
    expire(workspace)  # its process is gone, and no other has come
    assert workspace.jobs.cancel("shop", held.id).state == "cancelled"


def test_no_room_on_the_disk(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    put = workspace.photos.put
    stored = 0

    def full(data: bytes) -> str:
        nonlocal stored
        stored += 1
        if 5 <= stored < 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(data)

    monkeypatch.setattr(workspace.photos, "put", full)
    job = start(workspace, packed(PHOTOS[:10]))
    run(workspace)
    row = now(workspace, job)
    assert (row.state, row.code) == ("queued", "disk_full")
    assert row.not_before is not None
    assert row.position == items(workspace) == row.added
    monkeypatch.setattr(runner_module, "_PAUSE", 0.0)
    with workspace.database.write() as session:
        session.execute(update(JobRow).values(not_before=None))
    run(workspace)
    row = now(workspace, job)
    assert counts(row) == ("done", 10, 10, 10, 0, 0)
    assert row.code is None


def test_a_database_that_is_away_for_a_while(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL stops in the middle of a job and comes back: the job goes on, and everything is counted once."""
    away, back = threading.Event(), threading.Event()

    def wait() -> None:
        away.set()
        back.wait(harness.DEADLINE)

    with cluster() as (url, restart), at(tmp_path / "data", bundle, fresh_database(url)) as workspace:
        embeddings = Embeddings(workspace, monkeypatch)
        embeddings.at[9] = wait
        job = start(workspace, packed(PHOTOS))
        runner = JobRunner(workspace, structlog.get_logger())
        runner.start()
        assert away.wait(harness.DEADLINE)
        with restart():
            back.set()
            with pytest.raises(DatabaseUnavailable):
                now(workspace, job)
        harness.until("it went on", lambda: now(workspace, job).state == "done")
        runner.stop()
        row = now(workspace, job)
        assert counts(row) == ("done", 24, 24, 24, 0, 0)
        assert row.code is None
        assert items(workspace) == 24


def test_what_no_photo_is_to_blame_for(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = start(workspace, packed(PHOTOS[:4]))
    (workspace.settings.data / "jobs" / job.id / "archive.zip").unlink()
    run(workspace)
    assert (now(workspace, job).state, now(workspace, job).code) == ("failed", "job_files_gone")
    workspace.enrol(None, [PHOTOS[0]], gallery="shop")
    job = start(workspace, packed(PHOTOS[:4]))
    another = workspace.settings.model_copy(update={"bundle": harness.tiny_bundle(tmp_path / "other", seed=1)})
    with open_workspace(another) as other:
        run(other)
    assert (now(workspace, job).state, now(workspace, job).code) == ("failed", "bundle_mismatch")

    def broken(_data: bytes) -> Any:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(workspace.embedder, "distractor", broken)
    job = start(workspace, packed(PHOTOS[4:6]))
    run(workspace)
    row = now(workspace, job)
    assert (row.state, row.code) == ("failed", "internal_error")
    assert "fault" not in (row.message or "")


def test_what_is_refused_at_once(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with at(tmp_path / "data", bundle) as workspace:
        with pytest.raises(ArchiveInvalid):
            start(workspace, b"no zip")
        with pytest.raises(ImportRootUnset, match="WHICHONE_IMPORT_ROOT"):
            workspace.jobs.start_path("shop", "folder", "photos", distractors=False)
        monkeypatch.setattr(service_module, "MOST_UNFINISHED", 1)
        kept = start(workspace, packed(PHOTOS[:1]))
        with pytest.raises(TooManyJobs):
            start(workspace, packed(PHOTOS[:1]))
        left = sorted(path.name for path in (workspace.settings.data / "jobs").iterdir())
        assert left == sorted(["incoming", kept.id])
        assert list((workspace.settings.data / "jobs" / "incoming").iterdir()) == []
        held = [workspace.jobs.uploading(0) for _ in range(service_module.MOST_UPLOADS)]
        for one in held:
            one.__enter__()
        with pytest.raises(Overloaded), workspace.jobs.uploading(0):
            pass
        for one in held:
            one.__exit__(None, None, None)


def test_what_crashes_leave_behind_is_cleared(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with at(tmp_path / "data", bundle) as workspace:
        kept = start(workspace, packed(PHOTOS[:1]))
        jobs = workspace.settings.data / "jobs"
        (jobs / "incoming" / "old.zip").write_bytes(b"")
        (jobs / "incoming" / "new.zip").write_bytes(b"")
        (jobs / ("0" * 32)).mkdir()
        for path in (jobs / "incoming" / "old.zip", jobs / ("0" * 32), jobs / kept.id):
            os.utime(path, (0, 0))
        workspace.jobs.clear_left_overs()
        assert sorted(path.name for path in jobs.rglob("*.zip")) == ["archive.zip", "new.zip"]
        assert sorted(path.name for path in jobs.iterdir()) == sorted(["incoming", kept.id])
        monkeypatch.setattr(service_module, "_KEPT", 0)
        run(workspace)
        start(workspace, packed(PHOTOS[:1]))
        assert len(workspace.jobs.page(None).jobs) == 1  # the finished one was forgotten


def test_a_folder_and_a_csv(tmp_path: Path, bundle: Path) -> None:
    root = tmp_path / "root"
    for number, photo in enumerate(PHOTOS[:4]):
        path = root / "shop" / f"label {number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    (root / "list.csv").write_text(
        'path,label,external_id,metadata\nshop/label 0/0.jpg,x,sku,"{""a"": 1}"\nno.jpg,x,,\n'
    )
    with at(tmp_path / "data", bundle, import_root=root) as workspace:
        folder = workspace.jobs.start_path("shop", "folder", "shop", distractors=False)
        table = workspace.jobs.start_path("shop", "csv", "list.csv", distractors=False)
        run(workspace)
        assert counts(now(workspace, folder)) == ("done", 4, 4, 4, 0, 0)
        assert counts(now(workspace, table)) == ("done", 2, 2, 1, 0, 1)
        [item] = workspace.gallery.page("shop", ItemFilter(label="x")).items
        assert (item.external_id, item.item_metadata) == ("sku", {"a": 1})
        [failure] = workspace.jobs.detail("shop", table.id).failures
        assert (failure.name, failure.code) == ("no.jpg", "entry_refused")
        assert str(root) not in failure.message


def test_the_verbs_of_the_command(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with at(tmp_path / "data", bundle) as workspace:
        job = start(workspace, packed(PHOTOS[:2], text=b"no picture"))
        list_jobs(workspace.settings, gallery="shop", as_json=True)
        [listed] = json.loads(capsys.readouterr().out)["jobs"]
        assert (listed["id"], listed["state"], listed["total"]) == (job.id, "queued", None)
        run(workspace)
        list_jobs(workspace.settings, gallery=None, as_json=False)
        assert "3/3" in capsys.readouterr().out
        show_job(workspace.settings, job.id, as_json=False)
        shown = capsys.readouterr().out
        assert "done: 3 of 3 photo(s) of photos.zip for gallery shop: 2 added, 0 there already, 1 not added" in shown
        assert "not added: label 0/text.jpg: These 10 bytes are no picture" in shown
        show_job(workspace.settings, job.id, as_json=True)
        assert len(json.loads(capsys.readouterr().out)["failures"]) == 1
        other = start(workspace, packed(PHOTOS[:2]))
        cancel_job(workspace.settings, other.id, as_json=False)
        assert f"job {other.id}: cancelled" in capsys.readouterr().out
        with pytest.raises(JobFinished):
            cancel_job(workspace.settings, job.id, as_json=False)
        with pytest.raises(UnknownJob):
            show_job(workspace.settings, "nothing", as_json=False)


def test_the_command_adds_with_the_same_code(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several sources in one run, in their order; what cannot be used is told, and everything else is added."""
    (tmp_path / "photos.zip").write_bytes(packed(PHOTOS[:3], text=b"no picture"))
    (tmp_path / "cup").mkdir()
    (tmp_path / "cup" / "notes.txt").write_text("beside the photos")
    for number in (3, 4):
        (tmp_path / "cup" / f"{number}.jpg").write_bytes(PHOTOS[number])
    (tmp_path / "list.csv").write_text("path,label,external_id\ncup/3.jpg,hat,sku-3\ncup/4.jpg,,\nnone.jpg,hat,\n")
    settings = Settings.load(
        {}, data=tmp_path / "data", bundle=bundle, threads=1, concurrency=2, verification="off", max_image_bytes=50_000
    )
    with pytest.raises(PhotosNotAdded, match="3 of 7 photo"):
        add_photos(
            settings,
            [tmp_path / "photos.zip", tmp_path / "list.csv"],
            gallery="shop",
            label=None,
            distractors=False,
            as_json=True,
        )
    document = json.loads(capsys.readouterr().out)
    assert [item["label"] for item in document["items"]] == ["label 0", "label 1", "label 2", "hat"]
    assert [(one["path"], one["code"]) for one in document["refused"]] == [
        ("label 0/text.jpg", "not_an_image"),
        ("cup/4.jpg", "entry_refused"),
        (str(tmp_path / "none.jpg"), "entry_refused"),
    ]
    cup = [tmp_path / "cup", tmp_path / "cup" / "3.jpg", tmp_path / "cup" / "4.jpg"]  # two of them twice
    add_photos(settings, cup, gallery="shop", label=None, distractors=True, as_json=False)
    captured = capsys.readouterr()
    assert "2 photo(s) added to gallery shop" in captured.out
    assert "1 file(s) passed over" in captured.err
    with at(tmp_path / "data", bundle) as workspace:
        assert items(workspace) == 6
        [hat] = workspace.gallery.page("shop", ItemFilter(label="hat")).items
        assert hat.external_id == "sku-3"
