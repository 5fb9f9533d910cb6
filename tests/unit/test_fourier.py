import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook.fourier import (
    circle_measures,
    cosines,
    features,
    order_round,
    parts,
    plane,
    polygon_order,
    served_by,
    step_round,
)


def circle_embedding(p, d, amplitudes, generator):
    """Σ_k a_k (cos(2π jk/p) u_k + sin(2π jk/p) v_k) with u, v orthonormal: perfect circles by construction."""
    basis, _ = torch.linalg.qr(torch.randn(d, 2 * len(amplitudes), generator=generator, dtype=torch.float64))
    j = torch.arange(p, dtype=torch.float64)[:, None]
    E = torch.zeros(p, d, dtype=torch.float64)
    for index, (k, amplitude) in enumerate(amplitudes.items()):
        angle = 2 * math.pi * j * k / p
        E += amplitude * (angle.cos() * basis[:, 2 * index] + angle.sin() * basis[:, 2 * index + 1])
    return E


@pytest.mark.parametrize("p", [3, 11, 12])
def test_features_agree_with_numpy(p):
    E = torch.randn(p, 5, generator=torch.Generator().manual_seed(p), dtype=torch.float64)
    expected = np.fft.fft(E.numpy(), axis=0)[1 : (p - 1) // 2 + 1] / p
    np.testing.assert_allclose(features(E).numpy(), expected, atol=1e-14)


def test_features_take_leading_dimensions():
    E = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(features(E)[2], features(E[2]))


@pytest.mark.parametrize("shape", [(2, 4), (5,)])
def test_features_refuse_what_has_no_frequency(shape):
    with pytest.raises(ValueError, match=r"at least 3"):
        features(torch.zeros(shape, dtype=torch.float64))


def test_perfect_circles_measure_as_such():
    amplitudes = {1: 1.0, 3: 2.0, 5: 0.5}
    F = features(circle_embedding(11, 16, amplitudes, torch.Generator().manual_seed(0)))[[0, 2, 4]]
    measures = circle_measures(F)
    torch.testing.assert_close(measures.aspect, torch.ones(3, dtype=torch.float64))
    assert measures.cosine.max() < 1e-12
    squares = torch.tensor([1.0, 4.0, 0.25], dtype=torch.float64)
    torch.testing.assert_close(measures.power, squares / squares.sum())


def test_a_flattened_circle_shows_its_aspect():
    E = circle_embedding(11, 2, {2: 1.0}, torch.Generator().manual_seed(0))
    F = features(E)[[1]]
    squashed = torch.complex(F.real, 0.25 * F.imag)
    assert circle_measures(squashed).aspect.item() == pytest.approx(0.25)


def test_a_line_is_no_circle():
    with pytest.raises(ValueError, match="line"):
        circle_measures(torch.complex(torch.ones(1, 3), torch.zeros(1, 3)))


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([7, 11, 13, 37]), st.data())
def test_residues_come_in_steps_of_the_inverse(p, data):
    k = data.draw(st.integers(1, (p - 1) // 2))
    E = circle_embedding(p, 6, {k: 1.0}, torch.Generator().manual_seed(k))
    inverse = next(s for s in range(1, p) if s * k % p == 1)
    assert step_round(plane(E, k)) == min(inverse, p - inverse)


def test_a_disordered_circle_has_no_step():
    points = plane(circle_embedding(11, 6, {1: 1.0}, torch.Generator().manual_seed(0)), 1)
    points[[2, 5]] = points[[5, 2]]
    assert step_round(points) is None


def test_order_starts_at_residue_zero():
    assert order_round(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])).tolist() == [0, 1, 2, 3]


def test_the_plane_keeps_lengths_of_what_lies_in_it():
    E = circle_embedding(13, 9, {4: 1.7}, torch.Generator().manual_seed(0))
    torch.testing.assert_close(plane(E, 4).norm(dim=1), torch.full((13,), 1.7, dtype=torch.float64))


@pytest.mark.parametrize("k", [0, 6])
def test_the_plane_needs_a_frequency(k):
    with pytest.raises(ValueError, match=rf"k={k} must lie in 1..5"):
        plane(torch.ones(11, 4, dtype=torch.float64), k)


def test_parts_alternate_and_keep_the_norm():
    F = features(torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    rows = parts(F)
    torch.testing.assert_close(rows[2], F[1].real)
    torch.testing.assert_close(rows[3], F[1].imag)
    torch.testing.assert_close(cosines(rows).diagonal(), torch.ones(8, dtype=torch.float64))


def test_units_name_the_frequency_they_serve():
    j = torch.arange(11, dtype=torch.float64)
    waves = [torch.cos(2 * math.pi * j * k / 11 + 0.3 * k) for k in (4, 1, 5)]
    k, share = served_by(features(torch.stack(waves, dim=1)))
    assert k.tolist() == [4, 1, 5]
    torch.testing.assert_close(share, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: features(torch.full((5, 4), math.nan)), "20 of the 20 entries of E are not finite"),
        (lambda: plane(torch.ones(5, 1), 1), r"\(5, 1\); a plane needs two"),
        (lambda: step_round(torch.zeros(5, 2)), "at the origin"),
        (lambda: step_round(torch.full((5, 2), math.nan)), "not finite"),
        (lambda: served_by(torch.tensor([[1.0, 0.0, 2.0]])), r"units \[1\] are zero"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def units_at(angles, sizes, k, p=11):
    """Units that are cosines of frequency k: their features. angles, in degrees, and sizes: lists."""
    j = torch.arange(p, dtype=torch.float64)[:, None]
    turned = 2 * math.pi * j * k / p + torch.deg2rad(torch.tensor(angles, dtype=torch.float64))
    return features(torch.tensor(sizes) * turned.cos())


def test_only_a_regular_polygon_of_as_many_corners_has_full_order():
    for corners in range(1, 8):
        polygon = units_at([10 + 360 * h / corners for h in range(corners)], [1.0] * corners, 2)
        assert polygon_order(polygon, corners) == pytest.approx(1, abs=1e-12)
        others = [fold for fold in range(1, 8) if fold % corners]
        assert all(polygon_order(polygon, fold) < 1e-12 for fold in others)


def test_each_frequency_has_a_polygon_of_its_own_and_sizes_count():
    five = [72.0 * h for h in range(5)]
    turned = units_at([angle + 31 for angle in five], [2.0] * 5, 3)
    both = torch.cat([units_at(five, [1.0] * 5, 1), turned], 1)
    assert polygon_order(both, 5) == pytest.approx(1, abs=1e-12)
    # One unit of half the size stands opposite: its fifth power is -1/32.
    assert polygon_order(units_at([0.0, 36.0], [1.0, 0.5], 1), 5) == pytest.approx((1 - 1 / 32) / (1 + 1 / 32))


def test_no_order_of_nothing():
    with pytest.raises(ValueError, match="all 4 units are zero"):
        polygon_order(torch.zeros(5, 4, dtype=torch.complex128), 5)
    with pytest.raises(ValueError, match="corners=0"):
        polygon_order(units_at([0.0], [1.0], 1), 0)
