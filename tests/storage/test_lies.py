"""Manifests that lead elsewhere: other folders, links, pipes, files of other owners."""

import json
import os
import re

import numpy as np
import pytest

import tra
from tra.backends.storage import open_source, save
from tra.backends.storage.type_text import seal
from tra.errors import CatalogError


@pytest.fixture
def stored(tmp_path, whole):
    path = tmp_path / "a.tra"
    save(path, whole[0], whole[1].items())
    return path


def rewrite(path, change):
    """Changes what a manifest says, and seals it again."""
    data = json.loads((path / "manifest.json").read_text())
    version = data.pop("version")
    del data["crc32"], data["format"]
    change(data)
    (path / "manifest.json").write_text(seal(data, version))


def refused(path, message):
    with pytest.raises(CatalogError, match=re.escape(str(path)) + ".*" + message):
        _, stored = open_source(path)
        stored.read((0, 0))


@pytest.mark.parametrize(
    "name",
    ["../b.tra/part-0.arrow", "/etc/passwd", "..", "", "part-0.arrow/../x", "manifest.json", "part-.\n"],
)
def test_parts_elsewhere(stored, name):
    rewrite(stored, lambda data: data["parts"][0].update(file=name))
    refused(stored, "no name of a part")


@pytest.mark.parametrize("name", ["part-0.arrow", "manifest.json"])
def test_links_are_not_followed(stored, name):
    outside = stored.parent / "outside"
    (stored / name).rename(outside)
    (stored / name).symlink_to(outside)
    refused(stored, "is a link, which is not followed")


@pytest.mark.parametrize("name", ["part-0.arrow", "manifest.json"])
def test_pipes_are_not_waited_for(stored, name):
    (stored / name).unlink()
    os.mkfifo(stored / name)
    refused(stored, "no file|no relation")


def test_a_pipe_with_the_name_of_an_array(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(CatalogError, match="it is no file"):
        tra.open(tmp_path / "a.npy")


def test_parts_of_another_relation(stored, whole):
    other = stored.parent / "b.tra"
    save(other, whole[0], ((key, tile + 1) for key, tile in whole[1].items()))
    (stored / "part-0.arrow").write_bytes((other / "part-0.arrow").read_bytes())
    refused(stored, "checksum of its tiles differs")


def test_the_same_part_under_two_names(stored):
    (stored / "part-9.arrow").write_bytes((stored / "part-0.arrow").read_bytes())
    rewrite(stored, lambda data: data["parts"].append({**data["parts"][0], "file": "part-9.arrow"}))
    refused(stored, "keys")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d["parts"][0]["batches"][0].update(rows=-1), "rows of part-0.arrow is a whole number"),
        (lambda d: d["parts"][0]["batches"][0].update(rows=1 << 61), "behind its end"),
        (lambda d: d["parts"][0]["batches"][0].update(tiles=1 << 61), "behind its end"),
        (lambda d: d["parts"][0].update(bytes=1 << 61), "the manifest says"),
        (lambda d: d["parts"][0].update(shape=[2]), "rank 1"),
        (lambda d: d["parts"][0].update(shape=[4, 1]), "other shapes"),
        (lambda d: d["keys"][0].update(domain=1 << 70), "a domain is a whole number"),
        (lambda d: d["keys"][0].update(domain=True), "a domain is a whole number"),
        (lambda d: d["axes"][0].update(size=1 << 61), "reach"),
        (lambda d: d.update(dtype="|O"), "numbers"),
        (lambda d: d.update(dtype=">f8"), "byte order"),
        (lambda d: d.update(frontier=[3, 3]), "frontier"),
        (lambda d: d.update(live=[[0, 3]]), "live keys"),
        (lambda d: d.update(live=[[0, 2], [0, 2]], frontier=[2, 2]), "other keys than it says"),
        (lambda d: d.pop("parts"), "parts"),
    ],
)
def test_numbers_that_cannot_be(stored, change, message):
    rewrite(stored, change)
    refused(stored, message)


def test_a_folder_in_the_place_of_a_part(stored):
    (stored / "part-0.arrow").unlink()
    (stored / "part-0.arrow").mkdir()
    refused(stored, "no file")


def test_nothing_else_in_the_folder_is_removed(stored, whole):
    (stored / "notes.txt").write_text("mine")
    save(stored, whole[0], whole[1].items())
    assert (stored / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("check", ["read", "open", "never"])
def test_when_checksums_are_compared(stored, check):
    part = stored / "part-0.arrow"
    at = json.loads((stored / "manifest.json").read_text())["parts"][0]["batches"][0]["tiles"]
    content = bytearray(part.read_bytes())
    content[at] ^= 1
    part.write_bytes(content)
    if check == "open":
        with pytest.raises(CatalogError, match=r"part-0.arrow is damaged \(the checksum of its tiles"):
            tra.open(stored, check=check)
        return
    relation = tra.open(stored, check=check)
    if check == "read":
        with pytest.raises(CatalogError, match=r"tile at key \(0, 0\).*part-0.arrow is damaged"):
            relation.compute()
    else:
        assert relation.compute()[1, 1] == 4


def test_a_check_that_is_none(stored):
    with pytest.raises(
        CatalogError, match="check is one of read, open, never; got 'opn'; did you mean 'open'"
    ):
        tra.open(stored, check="opn")
    np.save(stored.parent / "a.npy", np.ones(3))
    with pytest.raises(CatalogError, match="no such checksums"):
        tra.open(stored.parent / "a.npy", check="open")
