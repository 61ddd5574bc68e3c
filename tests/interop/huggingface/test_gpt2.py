"""GPT-2's weights in our decoder and ours in transformers' GPT-2: equal logits, equal samples, both ways."""

import json
import shutil

import numpy as np
import pytest

import statlm as slm
from statlm.errors import CorpusError, DamagedFile, SpecificationError

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'statlm[hf]'")
torch = pytest.importorskip("torch", reason="needs torch")

from statlm.interop import huggingface as hf  # noqa: E402 - after the skips

TEXTS = ["abracadabra São João " * 3, "a barbara; cada bar", "raba"] * 2
SHAPE = {"layers": 2, "heads": 2, "width": 16, "context": 24, "steps": 20, "batch": 128, "learning_rate": 0.02, "seed": 3}


def windows(n, length, size, seed=0):
    return torch.randint(0, size, (n, length), generator=torch.Generator().manual_seed(seed))


def theirs_of(folder):
    return transformers.GPT2LMHeadModel.from_pretrained(folder).eval()


def fitted(tokenizer="char", **changes):
    corpus = slm.Corpus.from_texts(TEXTS, tokenizer, unk=tokenizer != "bpe")
    return slm.TransformerDecoder.preset("gpt2", **SHAPE | {"dropout": 0.0} | changes).fit(corpus)


# --- theirs in ours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False},
        {"n_inner": 24},
        {"activation_function": "gelu"},
        {"activation_function": "gelu_pytorch_tanh"},
        {"activation_function": "relu2"},
        {"n_layer": 1, "n_head": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("eos", [False, True])
def test_their_logits_in_our_decoder(made, gpt2_config, changes, eos):
    folder = made("gpt2", gpt2_config(**changes), bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    fit = hf.load_gpt2(folder, eos=eos)
    ids = windows(4, 32, 281)
    numbers = torch.from_numpy(fit.corpus.vocabulary.tokenizer.numbers)  # ours in their numbers
    with torch.inference_mode():
        ours, theirs = fit.likelihood.network(ids), theirs_of(folder)(numbers[ids]).logits[..., numbers]
    assert theirs.std() > 0.5
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-5)


def test_their_greedy_samples_from_our_decoder(gpt2):
    fit = hf.load_gpt2(gpt2)
    begin = [0, *fit.corpus.vocabulary.encode("the cat").ids.tolist()]
    theirs = theirs_of(gpt2).generate(
        torch.tensor([begin]),
        max_new_tokens=20,
        do_sample=False,
        eos_token_id=None,
        attention_mask=torch.ones(1, len(begin)),
    )
    ours = fit.generate("the cat", max_tokens=20, greedy=True).tokens[0]
    assert ours.tolist() == theirs[0, len(begin) :].tolist()


@pytest.mark.parametrize("eos", [False, True])
def test_it_is_the_distribution_that_load_gives(gpt2, eos):
    fit, pretrained = hf.load_gpt2(gpt2, eos=eos, precision="float64"), hf.load(gpt2, precision="float64")
    corpus = pretrained.read([*TEXTS, "the cat sat on the mat " * 9], eos=eos)
    fit.corpus.vocabulary.check_same(corpus.vocabulary)
    np.testing.assert_allclose(fit.on(corpus).loglike_obs(), pretrained.on(corpus).loglike_obs(), rtol=0, atol=1e-12)


def test_a_loaded_decoder_is_a_fit(gpt2, tmp_path):
    corpus = hf.load(gpt2).read(TEXTS)
    fit = hf.load_gpt2(gpt2, on=corpus, stride=1)
    assert fit.nobs == corpus.nobs
    assert (fit.specification.layers, fit.specification.width, fit.specification.context) == (2, 16, 32)
    assert fit.likelihood.stride == 1
    assert "weights read from" in fit.report.method
    fit.save(tmp_path / "saved")
    assert slm.load(tmp_path / "saved").loglike == fit.loglike
    tuned = fit.update(corpus, steps=30)
    assert tuned.loglike > fit.loglike
    assert slm.paired_test(tuned, fit).difference > 0


def test_files_without_prefix_and_with_masks_are_read(gpt2, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(gpt2, tmp_path / "old")
    tensors = load_file(folder / "model.safetensors")
    old = {name.removeprefix("transformer."): array for name, array in tensors.items()}
    old |= {f"h.{layer}.attn.bias": np.tril(np.ones((1, 1, 32, 32), np.float32)) for layer in range(2)}
    save_file(old, folder / "model.safetensors")
    corpus = hf.load(gpt2).read(TEXTS)
    assert hf.load_gpt2(folder).on(corpus).loglike == hf.load_gpt2(gpt2).on(corpus).loglike


def test_older_tokenizer_files_are_read(gpt2, tmp_path):
    folder = shutil.copytree(gpt2, tmp_path / "older")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]))
    vocabulary = hf.load_gpt2(folder).corpus.vocabulary
    assert vocabulary.encode("the cat sat").ids.tolist() == hf.load(gpt2).vocabulary.encode("the cat sat").ids.tolist()


def test_without_a_tokenizer_rows_are_numbers_or_a_given_vocabulary(gpt2, tmp_path):
    folder = shutil.copytree(gpt2, tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    fit = hf.load_gpt2(folder)
    assert fit.corpus.vocabulary.types[:3] == ("0", "1", "2")
    vocabulary = slm.Vocabulary(tuple(f"t{i}" for i in range(281)))
    states = slm.Corpus.from_tokens([["t1", "t2", "t9"]], vocabulary=vocabulary)
    assert hf.load_gpt2(folder, vocabulary=vocabulary, on=states).nobs == 3
    with pytest.raises(CorpusError, match=r"The vocabulary has 2 types, and the network of .* predicts 281"):
        hf.load_gpt2(folder, vocabulary=slm.Vocabulary(("a", "b")))
    with pytest.raises(SpecificationError, match="holds no tokenizer, so no row is known to be <eos>"):
        hf.load_gpt2(folder, eos=True)


def test_a_beginning_is_needed(no_bos):
    with pytest.raises(SpecificationError, match="which of its 278 tokens begins a document"):
        hf.load_gpt2(no_bos)
    assert hf.load_gpt2(no_bos, bos="<|endoftext|>").likelihood.bos == 0
    with pytest.raises(SpecificationError, match="bos='<s>' is no token"):
        hf.load_gpt2(no_bos, bos="<s>")


# --- ours in theirs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tied": False},
        {"bias": False, "activation": "gelu"},
        {"affine": False, "activation": "relu-squared", "hidden": 24},
    ],
    ids=str,
)
def test_our_logits_and_samples_in_transformers(tmp_path, tokenizer, changes):
    fit = fitted(tokenizer, **changes)
    hf.save_gpt2(fit, tmp_path / "gpt2")
    network, found = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "gpt2", output_loading_info=True)
    assert not any(found.values())
    vocabulary = fit.corpus.vocabulary
    ids = windows(5, 24, vocabulary.size + 1)
    with torch.inference_mode():
        ours, theirs = fit.likelihood.network(ids), network.eval()(ids).logits[..., : vocabulary.size]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-5)

    cutter = transformers.AutoTokenizer.from_pretrained(tmp_path / "gpt2")
    assert (cutter.bos_token_id, cutter.eos_token_id) == (vocabulary.bos, vocabulary.eos)
    prompt = "a bar São"
    own = vocabulary.encode(prompt).ids.tolist()
    assert cutter(prompt, add_special_tokens=False).input_ids == own
    begin = torch.tensor([[vocabulary.bos, *own]])
    drawn = network.generate(
        begin, max_new_tokens=12, do_sample=False, attention_mask=torch.ones_like(begin), pad_token_id=0
    )
    greedy = fit.generate(prompt, max_tokens=12, greedy=True).tokens[0]
    assert drawn[0, begin.shape[1] :].tolist() == greedy.tolist()


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_there_and_back(tmp_path, tokenizer):
    fit = fitted(tokenizer)
    hf.save_gpt2(fit, tmp_path / "gpt2")
    again = hf.load_gpt2(tmp_path / "gpt2", eos=True)
    again.corpus.vocabulary.check_same(fit.corpus.vocabulary)
    corpus = slm.Corpus.from_texts(TEXTS, vocabulary=again.corpus.vocabulary)
    np.testing.assert_array_equal(again.on(corpus).loglike_obs(), fit.loglike_obs())


def test_their_weights_survive_our_numbering(gpt2, tmp_path):
    hf.save_gpt2(hf.load_gpt2(gpt2, eos=True), tmp_path / "again")
    ids = windows(3, 20, 281, seed=1)
    with torch.inference_mode():
        assert torch.equal(theirs_of(tmp_path / "again")(ids).logits, theirs_of(gpt2)(ids).logits)
    cutter = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    assert cutter("the cat").input_ids == transformers.AutoTokenizer.from_pretrained(gpt2)("the cat").input_ids
    assert cutter.bos_token == "<|endoftext|>"


def test_a_fit_on_states_is_saved_without_a_tokenizer(tmp_path):
    states = slm.Corpus.from_tokens([["a", "b", "a"], ["b", "b"]] * 4)
    fit = slm.TransformerDecoder.preset("gpt2", **SHAPE | {"dropout": 0.0}).fit(states)
    hf.save_gpt2(fit, tmp_path / "states")
    assert not (tmp_path / "states" / "tokenizer.json").exists()
    again = hf.load_gpt2(tmp_path / "states", vocabulary=states.vocabulary, on=states)
    assert again.loglike == fit.loglike


def test_what_gpt2_cannot_be_is_refused_by_name(tmp_path):
    corpus = slm.Corpus.from_texts(TEXTS)
    ours = slm.TransformerDecoder(layers=1, heads=2, width=8, context=8, steps=1, batch=32).fit(corpus)
    with pytest.raises(
        SpecificationError, match=r"lags=2 \(GPT-2: 0\); positions='rotary' \(GPT-2: 'learned'\); norm='rms'"
    ):
        hf.save_gpt2(ours, tmp_path / "no")
    gated = fitted(activation="swiglu", steps=1)
    with pytest.raises(SpecificationError, match=r"could not compute it: activation='swiglu' \(GPT-2: "):
        hf.save_gpt2(gated, tmp_path / "no")
    with pytest.raises(SpecificationError, match=r"is no transformer decoder.*arpa\.write"):
        hf.save_gpt2(slm.NGram(n=2).fit(corpus), tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(SpecificationError, match="exists and is not empty"):
        hf.save_gpt2(fitted(steps=1), tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


# --- damage -----------------------------------------------------------------------------------------------------------


def changed(folder, target, **settings):
    copy = shutil.copytree(folder, target)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | settings))
    return copy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layer": 1}, r"12 tensors of .* have no place in the network \(the first: h\.1\."),
        ({"n_layer": 3}, r"holds no weights h\.2\.ln_1\.weight"),
        ({"n_layer": 10**9}, r"says that it has 1,000,000,000 layers, and holds 28 tensors"),
        ({"n_embd": 8}, r"wte\.weight has shape \(281, 16\), and the settings make it \(281, 8\)"),
        ({"n_inner": 10}, r"c_fc\.weight has shape \(16, 64\), and the settings make it \(16, 10\)"),
        ({"vocab_size": 300}, r"wte\.weight has shape \(281, 16\)"),
        ({"vocab_size": "many"}, "say vocab_size='many'"),
        ({"n_head": 3}, r"make no network \(width=16 is not a multiple of heads=3"),
        ({"n_head": "two"}, "make no network"),
        ({"n_positions": 64}, r"wpe\.weight has shape \(32, 16\)"),
        ({"activation_function": "relu"}, "no GPT-2 that a TransformerDecoder can be .activation_function='relu'"),
        ({"layer_norm_epsilon": 1e-3}, "layer_norm_epsilon=0.001"),
        ({"model_type": "llama"}, "model_type='llama'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_weights(gpt2, tmp_path, settings, message):
    with pytest.raises(DamagedFile, match=message):
        hf.load_gpt2(changed(gpt2, tmp_path / "changed", **settings))


def test_weights_that_are_no_numbers(gpt2, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(gpt2, tmp_path / "nan")
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.0.ln_1.weight"][3] = np.nan
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(DamagedFile, match=r"h\.0\.ln_1\.weight holds numbers that are not finite"):
        hf.load_gpt2(folder)


def test_a_damaged_tokenizer(gpt2, tmp_path):
    folder = shutil.copytree(gpt2, tmp_path / "cut")
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text[: len(text) // 2])
    with pytest.raises(DamagedFile, match=r"The tokenizer in .* cannot be read"):
        hf.load_gpt2(folder)


def test_precision_is_one_of_two(gpt2):
    with pytest.raises(SpecificationError, match="precision='bfloat16' is unknown"):
        hf.load_gpt2(gpt2, precision="bfloat16")
    with pytest.raises(SpecificationError, match="stride=99"):
        hf.load_gpt2(gpt2, stride=99)
