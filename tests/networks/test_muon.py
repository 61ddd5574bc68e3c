"""Muon: steps that are orthogonal, and tiles that are views."""

import pytest

torch = pytest.importorskip("torch")

from statlm.networks.muon import Muon, orthogonalised, tiles  # noqa: E402 - after the check for torch


@pytest.mark.parametrize("shape", [(6, 6), (18, 6), (6, 24), (6, 9)])
def test_writing_to_a_tile_writes_to_the_matrix(shape):
    matrix = torch.zeros(shape)
    tiles(matrix).fill_(1.0)
    assert bool((matrix == 1).all())


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 5, 9), (2, 9, 5)])
def test_orthogonalised_matrices_keep_singular_vectors_and_have_singular_values_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = orthogonalised(matrices, 10)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    singular = torch.linalg.svdvals(found)
    assert float(singular.min()) > 0.6
    assert float(singular.max()) < 1.3
    rotated = u.mT @ found @ vh.mT
    off = rotated - torch.diag_embed(torch.diagonal(rotated, dim1=1, dim2=2))
    assert float(off.abs().max()) < 1e-8


def test_a_step_has_spectral_norm_of_about_the_learning_rate_whatever_the_gradient():
    weight = torch.zeros(8, 8, requires_grad=True)
    optimizer = Muon([weight], lr=0.1)
    weight.grad = 1e6 * torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    assert 0.05 < float(torch.linalg.matrix_norm(weight.detach(), 2)) < 0.14


def test_a_step_in_bfloat16_is_that_in_float32_to_its_digits():
    matrices = torch.randn((3, 16, 16), generator=torch.Generator().manual_seed(2))
    whole, half = orthogonalised(matrices, 3), orthogonalised(matrices.bfloat16(), 3).float()
    aligned = (whole * half).sum((1, 2)) / (whole.norm(dim=(1, 2)) * half.norm(dim=(1, 2)))
    assert float(aligned.min()) > 0.999
