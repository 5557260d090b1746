from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from embedding.box import Box  # noqa: E402
from index.evaluation.datasets import UnknownDataset  # noqa: E402
from index.evaluation.manifest import ManifestInvalid  # noqa: E402
from training.data.listing import read_listing  # noqa: E402
from training.errors import PhotosUnusable  # noqa: E402

from .photos import picture  # noqa: E402

pytestmark = pytest.mark.torch


def written(folder: Path, text: str) -> Path:
    path = folder / "photos.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_column_of_a_csv(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'path,label,split,box,weight,shop\na/1.jpg,tea,train,"0.1,0.2,0.5,0.9",2.5,north\nb.jpg,,val,,,south\n',
    )
    first, second = read_listing(path)
    assert (first.path, first.name, first.label, first.part) == (tmp_path / "a/1.jpg", "a/1.jpg", "tea", "train")
    assert (first.box, first.weight, first.where) == (Box(0.1, 0.2, 0.5, 0.9), 2.5, f"{path}, line 2")
    assert (second.label, second.part, second.box, second.weight) == ("", "val", None, 1.0)


def test_a_parquet_file_says_the_same_as_its_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the parquet extra")
    parquet = pytest.importorskip("pyarrow.parquet")
    csv = written(tmp_path, 'path,label,split,box,weight\na.jpg,7,train,"1,2,30,40",2.5\nb.jpg,8,val,,\n')
    columns = {
        "path": ["a.jpg", "b.jpg"],
        "label": [7, 8],
        "split": ["train", "val"],
        "box": [[1, 2, 30, 40], None],
        "weight": [2.5, None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "photos.parquet")

    def facts(name: Path) -> list[tuple[object, ...]]:
        return [(one.path, one.name, one.label, one.part, one.box, one.weight) for one in read_listing(name)]

    assert facts(tmp_path / "photos.parquet") == facts(csv)
    assert read_listing(tmp_path / "photos.parquet")[1].where.endswith("photos.parquet, row 2")


def test_parquet_mistakes_are_told(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the parquet extra")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"path": ["a.jpg"], "lable": ["x"]}), tmp_path / "typo.parquet")
    with pytest.raises(PhotosUnusable, match=r"no column 'label'; came path,lable"):
        read_listing(tmp_path / "typo.parquet")
    (tmp_path / "none.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(PhotosUnusable, match="cannot be read as Parquet"):
        read_listing(tmp_path / "none.parquet")
    with pytest.raises(PhotosUnusable, match="no such file"):
        read_listing(tmp_path / "absent.parquet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,split\na.jpg,x,training\n", r"line 2, column 'split': came 'training'.*did you mean train"),
        ("path,label,weight\na.jpg,x,1\nb.jpg,x,-1\n", r"line 3, column 'weight': came '-1'.*positive"),
        ("path,label,weight\na.jpg,x,nan\n", r"line 2, column 'weight'"),
        ('path,label,box\na.jpg,x,"5,5,1,1"\n', r"line 2, column 'box'.*no area"),
        ("path,label\n,x\n", r"line 2, column 'path'"),
        ("path,label\na.jpg,x\nb.jpg,x\na.jpg,y\n", r"line 4: a.jpg is listed twice, first at .*line 2"),
        ("path,label,role\na.jpg,x,query\n", "manifest for whichone evaluate"),
        ("path,label\n", "lists no photo"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PhotosUnusable, match=message):
        read_listing(written(tmp_path, text))


def test_one_photo_may_show_several_things_in_boxes_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path, 'path,label,box\na.jpg,x,"0,0,0.5,1"\na.jpg,y,"0.5,0,1,1"\n')
    assert [(one.label, str(one.box)) for one in read_listing(path)] == [("x", "0,0,0.5,1"), ("y", "0.5,0,1,1")]


def test_missing_columns_and_files(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="no column 'label'"):
        read_listing(written(tmp_path, "path,name\na.jpg,x\n"))
    with pytest.raises(ManifestInvalid, match="no such file"):
        read_listing(tmp_path / "absent.csv")


def test_a_folder_tree_has_one_sub_folder_a_label(tmp_path: Path) -> None:
    for name in ("tea/1.png", "tea/old/2.png", "milk/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture(0).save(tmp_path / name)
    assert [(one.name, one.label) for one in read_listing(tmp_path)] == [
        ("milk/1.png", "milk"),
        ("tea/1.png", "tea"),
        ("tea/old/2.png", "tea"),
    ]


def test_folders_of_parts_are_not_taken_for_labels(tmp_path: Path) -> None:
    for name in ("train/tea/1.png", "val/tea/2.png", "train/milk/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture(0).save(tmp_path / name)
    with pytest.raises(PhotosUnusable, match="class-folders:"):
        read_listing(tmp_path)
    photos = read_listing(f"class-folders:{tmp_path}")
    assert sorted((one.label, one.part) for one in photos) == [("milk", "train"), ("tea", "train"), ("tea", "val")]


def test_whales_that_nobody_named_are_strangers(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    rows = [("a.jpg", "w_1"), ("b.jpg", "w_1"), ("c.jpg", "w_2"), ("d.jpg", "new_whale")]
    (tmp_path / "train.csv").write_text("Image,Id\n" + "".join(f"{name},{label}\n" for name, label in rows))
    photos = {one.name: one for one in read_listing(f"humpback-whale:{tmp_path}")}
    assert {name: one.label for name, one in photos.items()} == {
        "train/a.jpg": "w_1",
        "train/b.jpg": "w_1",
        "train/c.jpg": "w_2",
        "train/d.jpg": "",
    }
    assert photos["train/c.jpg"].part == "train"
    assert {photos["train/a.jpg"].part, photos["train/b.jpg"].part} == {"train", "val"}


def test_an_unknown_set_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset, match="humpback-whale"):
        read_listing(f"whales:{tmp_path}")
