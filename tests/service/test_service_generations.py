"""What has to hold before a generation is served: pinned queries; and which generations stay."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import harness
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from embedding.images import ImageError
from index.errors import GenerationNotFound
from service.database import Database
from service.errors import DuplicateItem, PinsBroken, TooManyPins, UnknownGallery, UnknownPin
from service.gallery import pins as pins_module
from service.gallery.replica import Replica
from service.gallery.service import ItemChange
from service.settings import Settings
from service.workspace import Workspace, open_workspace


def settings_of(data: Path, bundle: Path, **more: object) -> Settings:
    return Settings.load({}, data=data, bundle=bundle, threads=1, **more)


def fill(workspace: Workspace) -> None:
    for thing in range(4):
        workspace.enrol(f"thing {thing}", [harness.jpeg(thing, (160 + 32 * s, 120 + 24 * s)) for s in range(2)])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    """A data folder with a gallery. Not to be changed: see `data`."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with open_workspace(settings_of(folder, bundle)) as opened:
        fill(opened)
        opened.galleries.learning.calibrate("default")
    return folder


@pytest.fixture
def data(tmp_path: Path, filled: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


@pytest.fixture
def workspace(data: Path, bundle: Path) -> Iterator[Workspace]:
    with open_workspace(settings_of(data, bundle)) as opened:
        yield opened


def on_disk(workspace: Workspace) -> list[str]:
    folder = workspace.galleries.root("default") / "generations"
    return sorted(entry.name for entry in folder.iterdir())


def relabel(workspace: Workspace, photo: bytes, label: str) -> None:
    [matched] = workspace.recognize(photo).answer.verdict.candidates[0].items[:1]
    workspace.gallery.change("default", matched.id, ItemChange(frozenset({"label"}), label=label))


def test_a_generation_that_breaks_a_pin_is_not_published_unless_forced(workspace: Workspace) -> None:
    galleries = workspace.galleries
    pin, answer = galleries.pin("default", harness.jpeg(1), "thing 1")
    assert (answer.passes, answer.verdict, answer.label) == (True, "known", "thing 1")
    assert galleries.pin("default", harness.jpeg(50), None)[1].passes
    assert galleries.publish("default").broken_pins == ()
    relabel(workspace, harness.jpeg(1), "thing 2")
    with pytest.raises(PinsBroken, match="breaks 1 of 2 pin") as refused:
        galleries.publish("default")
    [broken] = refused.value.details["broken"]
    assert (broken["id"], broken["expected"], broken["label"]) == (pin.id, "thing 1", "thing 2")
    assert on_disk(workspace) == ["1"]
    assert galleries.row("default").generation == 1
    published = galleries.publish("default", force=True)
    assert (published.number, [one.id for one in published.broken_pins]) == (2, [pin.id])
    workspace.pins.remove("default", pin.id)
    assert galleries.publish("default").broken_pins == ()


def test_a_pin_that_must_not_be_known(workspace: Workspace) -> None:
    _, answer = workspace.galleries.pin("default", harness.jpeg(2), None)
    assert (answer.passes, answer.label) == (False, "thing 2")
    with pytest.raises(PinsBroken, match="is not to be known, and is known 'thing 2'"):
        workspace.galleries.publish("default")
    assert workspace.galleries.row("default").generation == 0
    assert on_disk(workspace) == []


def test_a_pin_follows_its_label_and_goes_with_nothing_else(workspace: Workspace) -> None:
    pin, _ = workspace.galleries.pin("default", harness.jpeg(3), "thing 3")
    workspace.gallery.rename_label("default", "thing 3", "renamed")
    assert [(row.id, row.label) for row in workspace.pins.all("default")] == [(pin.id, "renamed")]
    workspace.galleries.publish("default")
    workspace.gallery.delete_label("default", "renamed")
    assert workspace.gallery.discard_orphans() == 0  # the pin still has its photo ...
    workspace.photos.read(pin.image_sha256)
    with pytest.raises(PinsBroken):
        workspace.galleries.publish("default")
    workspace.pins.remove("default", pin.id)
    assert not workspace.photos.path(pin.image_sha256).exists()  # ... and nobody else had
    with pytest.raises(UnknownPin):
        workspace.pins.remove("default", pin.id)


def test_a_photo_has_one_expectation(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pin, _ = workspace.galleries.pin("default", harness.jpeg(1), "thing 1")
    assert workspace.galleries.pin("default", harness.jpeg(1), " thing 1 ")[0].id == pin.id
    with pytest.raises(DuplicateItem, match="pinned to be known as 'thing 1' already"):
        workspace.galleries.pin("default", harness.jpeg(1), None)
    with pytest.raises(ImageError):
        workspace.galleries.pin("default", b"no photo", None)
    with pytest.raises(UnknownGallery):
        workspace.galleries.pin("nowhere", harness.jpeg(1), None)
    monkeypatch.setattr(pins_module, "MAX_PINS", 1)
    with pytest.raises(TooManyPins, match="remove one first"):
        workspace.galleries.pin("default", harness.jpeg(2), "thing 2")


def test_a_pin_whose_photo_is_lost_counts_as_broken(workspace: Workspace) -> None:
    pin, _ = workspace.galleries.pin("default", harness.jpeg(60), None)
    workspace.photos.path(pin.image_sha256).unlink()
    with pytest.raises(PinsBroken, match=r"cannot be asked about \(photo_lost\)"):
        workspace.galleries.publish("default")
    [answer] = workspace.verify().pins
    assert (answer.passes, answer.problem) == (False, "photo_lost")


def test_older_generations_go_and_those_in_use_stay(data: Path, bundle: Path) -> None:
    with open_workspace(settings_of(data, bundle, keep_generations=2)) as workspace:
        assert [workspace.galleries.publish("default").removed for _ in range(3)] == [(), (), (1,)]
        before = workspace.recognize(harness.again(1)).answer.verdict
        workspace.galleries.rollback("default", 2)
        left = workspace.galleries.root("default") / "generations" / ".draft-of-a-crash"
        left.mkdir()
        with open_workspace(settings_of(data, bundle, keep_generations=2)) as other:
            assert other.recognize(harness.again(1)).answer.verdict == before  # has generation 2 mapped
            assert workspace.galleries.publish("default").removed == (2,)
            assert on_disk(workspace) == ["3", "4"]
            assert other.recognize(harness.again(1)).answer.verdict == before
        assert [one.generation.number for one in workspace.verify().generations] == [3, 4]


class MeanwhileChanged:
    """A database where something happens just after the first reading of it has begun; a glance is none."""

    def __init__(self, database: Database, meanwhile: Callable[[], object]) -> None:
        self.database = database
        self.glance = database.glance
        self.meanwhile = meanwhile
        self.readings = 0

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self.database.read() as session:
            self.readings += 1
            if self.readings == 1:
                session.execute(text("SELECT change FROM galleries")).all()  # from here on it sees this moment
                self.meanwhile()
            yield session


def test_a_generation_that_goes_while_it_is_being_opened(data: Path, bundle: Path) -> None:
    with open_workspace(settings_of(data, bundle, keep_generations=2)) as workspace:
        for _ in range(3):
            workspace.galleries.publish("default")
        workspace.galleries.rollback("default", 2)
        replica = Replica(
            "default",
            database=MeanwhileChanged(workspace.database, lambda: workspace.galleries.publish("default")),
            model=workspace.model,
            root=workspace.galleries.root("default"),
        )
        assert replica.inspect(lambda state: state.generation) == 4
        assert on_disk(workspace) == ["3", "4"]
        shutil.rmtree(workspace.galleries.root("default") / "generations" / "4")
        lost = Replica("default", database=workspace.database, model=workspace.model, root=replica._root)
        with pytest.raises(GenerationNotFound, match="generation 4 is not on disk"):
            lost.catch_up()


def test_over_http(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1), harness.jpeg(1, (192, 144)))
    server.add(gallery, "hat", harness.jpeg(2), harness.jpeg(2, (192, 144)))
    pins = f"/galleries/{gallery}/pins"
    photo = {"image": ("q.jpg", harness.jpeg(1))}
    made = server.post(pins, data={"label": "hat"}, files=photo)
    assert made.status_code == 201, made.text
    pin = made.json()
    assert (pin["label"], pin["answer"]["label"], pin["answer"]["passes"]) == ("hat", "cup", False)
    assert [one["id"] for one in server.get(pins).json()["pins"]] == [pin["id"]]
    refused = server.post(f"/galleries/{gallery}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "pins_broken")
    assert [one["id"] for one in refused.json()["broken"]] == [pin["id"]]
    forced = server.post(f"/galleries/{gallery}/publish", json={"force": True})
    assert (forced.status_code, [one["id"] for one in forced.json()["broken_pins"]]) == (200, [pin["id"]])
    for fields in ({}, {"label": "cup", "unknown": "true"}, {"unknown": "perhaps"}):
        answer = server.post(pins, data=fields, files=photo)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert server.client.delete(f"{pins}/{pin['id']}").status_code == 204
    assert server.client.delete(f"{pins}/{pin['id']}").json()["code"] == "unknown_pin"
    assert server.post(pins, data={"unknown": "true"}, files=photo, headers={"X-API-Key": "no key"}).status_code == 401
    published = server.post(f"/galleries/{gallery}/publish").json()
    assert (published["generation"], published["broken_pins"], published["removed"]) == (2, [], [])
