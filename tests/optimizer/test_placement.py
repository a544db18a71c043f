"""Cuts, boxes, meshes: every key lies at some site, and once unless it is copied."""

from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from tra.algebra.kernels.elementwise import ADD
from tra.optimizer.boxes import cut, holds_part, site_box
from tra.optimizer.meshes import coordinates, meshes, n_sites, site_coordinates, site_number
from tra.optimizer.placement import Placement, on_mesh, replicated
from tra.optimizer.roles import ALL, Parts, Split

KEYS = (("i", 5), ("j", 7))
ROLES = [ALL, Split("i"), Split("j")]


@given(st.integers(0, 50), st.integers(1, 9))
def test_cuts_cover_the_domain_evenly(domain, parts):
    ranges = [cut(domain, parts, p) for p in range(parts)]
    assert ranges[0][0] == 0 and ranges[-1][1] == domain
    assert all(a[1] == b[0] for a, b in pairwise(ranges))
    sizes = [high - low for low, high in ranges]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 40))
def test_meshes_leave_few_sites_idle(n):
    found = meshes(n)
    assert all(0.85 * n <= n_sites(mesh) <= n for mesh in found)
    assert found[0] == ((n,) if n > 1 else ())
    assert len(set(found)) == len(found)
    assert {len(mesh) for mesh in found} <= {0, 1, 2, 3}


def test_sites_are_numbered_by_their_coordinates():
    for mesh in [(), (3,), (2, 3), (3, 2)]:
        for site, coords in enumerate(coordinates(mesh)):
            assert site_coordinates(mesh, site) == coords
            assert site_number(mesh, coords) == site


def copies(mesh, roles):
    number = 1
    for g, role in zip(mesh, roles, strict=True):
        number *= g if role == ALL else 1
    return number


def test_every_key_lies_at_as_many_sites_as_there_are_copies():
    for mesh in [(2,), (5,), (2, 2), (3, 2), (2, 4)]:
        for roles in product(ROLES, repeat=len(mesh)):
            placement = Placement(mesh, roles)
            boxes = [site_box(KEYS, placement, site) for site in range(n_sites(mesh))]
            for key in product(range(5), range(7)):
                holders = sum(all(a <= k < b for k, (a, b) in zip(key, box, strict=True)) for box in boxes)
                assert holders == copies(mesh, roles), (placement, key)


def test_two_dimensions_that_split_one_key_cut_it_as_finely_as_all_their_sites():
    joint, single = Placement((2, 3), (Split("i"), Split("i"))), Placement((6,), (Split("i"),))
    for site in range(6):
        assert site_box((("i", 13),), joint, site) == site_box((("i", 13),), single, site)


def test_a_placement_on_one_dimension_says_the_same_on_two():
    for role in ROLES:
        line = Placement((6,), (role,))
        for mesh in meshes(6):
            for site in range(6):
                assert site_box(KEYS, on_mesh(line, mesh), site) == site_box(KEYS, line, site)
    assert on_mesh(replicated(()), ()) == replicated(())


def test_a_site_without_a_range_of_the_folded_key_holds_no_part():
    one = Placement((5,), (Parts(ADD, "k", 2, (0, 2)),))
    assert sum(holds_part(one, site) for site in range(5)) == 2
    both = Placement((2, 2), (Parts(ADD, "k", 3, (0, 3)), Parts(ADD, "k", 3, (0, 3))))
    assert sum(holds_part(both, site) for site in range(4)) == 3
    assert all(holds_part(Placement((5,), (Parts(ADD),)), site) for site in range(5))


def test_texts():
    assert str(Placement((2, 2), (Split("i"), Parts(ADD)))) == "split(i)×parts(add) on 2×2"
    assert str(replicated(())) == "one site"
