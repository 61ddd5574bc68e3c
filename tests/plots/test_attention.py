"""Attention maps show the weights that the network passes vectors with."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError
from statlm.plots import plot_attention

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module", params=[{}, {"positions": "learned", "norm": "layer"}, {"query_key_norm": False}], ids=str)
def decoder(request):
    corpus = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra"] * 4)
    return slm.TransformerDecoder(layers=2, heads=2, width=8, context=16, steps=5, seed=1, **request.param).fit(corpus)


def test_weights_of_a_place_sum_to_one_and_none_looks_ahead(decoder):
    table = slm.attention(decoder, "abrac")
    assert table.weight.gt(0).all()
    assert_allclose(table.groupby(["layer", "head", "place"]).weight.sum(), 1.0, rtol=1e-6)
    assert (table.seen <= table.place).all()
    assert table.groupby(["layer", "head"]).size().eq(6 * 7 / 2).all()
    assert table.drop_duplicates("place").token.tolist() == ["<bos>", *"abrac"]


def test_weights_times_values_are_what_the_network_passes_on(decoder):
    """The block's own attention, computed by torch, equals the mean that these weights say."""
    from statlm.networks.attention import attention_weights

    network = decoder.likelihood.network
    row = np.array([decoder.likelihood.bos, 0, 1, 2, 0])
    weights = attention_weights(network, row)
    block, ids = network.blocks[0], torch.from_numpy(row)[None]
    with torch.no_grad():
        x = network.embed(ids)
        cosine, sine = network.rotations[:, :5].to(x)
        read = block.attention_norm(x)
        passed = block.attention(read, cosine, sine, None)[0]
        v = block.attention.query_key_value(read).view(1, 5, 3, 2, 4)[0, :, 2]  # (T, H, d)
        mean = torch.einsum("hts,shd->thd", torch.from_numpy(weights[0]).to(v), v).reshape(5, 8)
        by_hand = block.attention.out(mean)
    assert passed.abs().max() > 0
    assert_allclose(by_hand.numpy(), passed.numpy(), atol=1e-5)


def test_a_context_longer_than_the_memory_is_its_end(decoder):
    table = slm.attention(decoder, "abracadabra" * 3)
    assert table.place.max() == 15
    assert table[table.place == 15].token.iloc[0] == "a"


def test_given_places_of_a_prefix_model_see_each_other():
    corpus = slm.Corpus.from_tokens([["a", "b", "c"]] * 6, given=2, eos=False)
    fit = slm.TransformerDecoder(layers=1, heads=1, width=8, context=8, steps=2, prefix=True).fit(corpus)
    assert (slm.attention(fit, ["a", "b"]).groupby("place").size() == 3).all()


def test_the_picture_has_the_tokens_and_the_mean_of_the_heads(decoder):
    table = slm.attention(decoder, "abra")
    ax = plot_attention(table, layer=1, ax=Figure().add_subplot())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["<bos>", *"abra"]
    shown = np.nan_to_num(ax.get_images()[0].get_array().filled(0))
    mean = table[table.layer == 1].pivot_table(index="place", columns="seen", values="weight", aggfunc="sum").fillna(0) / 2
    assert_allclose(shown, mean.to_numpy(), rtol=1e-6)
    one = plot_attention(table, layer=1, head=1, ax=Figure().add_subplot())
    assert one.get_title(loc="left") == "Layer 1, head 1"


def test_what_has_no_attention_is_refused(decoder):
    ngram = slm.NGram(n=2).fit(decoder.corpus)
    with pytest.raises(SpecificationError, match="does not weigh the places"):
        slm.attention(ngram, "abra")
    flat = slm.TransformerDecoder(layers=0, heads=1, width=8, context=8, steps=2).fit(decoder.corpus)
    with pytest.raises(SpecificationError, match="without layers has no attention"):
        slm.attention(flat, "abra")


def test_a_picture_that_cannot_be_drawn_is_refused(decoder):
    table = slm.attention(decoder, "abra")
    with pytest.raises(SpecificationError, match="no rows of layer 7, head any"):
        plot_attention(table, layer=7)
    with pytest.raises(SpecificationError, match=r"lacks \['weight'\]"):
        plot_attention(table.drop(columns="weight"))
    with pytest.raises(SpecificationError, match="81 places cannot be told apart"):
        plot_attention(table.assign(place=table.place + 76))
