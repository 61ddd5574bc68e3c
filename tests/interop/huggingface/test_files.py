"""Files that are damaged, hostile or something else: refused in words, and never run."""

import builtins
import json
import pickle
import shutil
import struct

import numpy as np
import pytest

from statlm.errors import CorpusError, DamagedFile, DataUnavailable, SpecificationError

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'statlm[hf]'")
pytest.importorskip("torch", reason="needs torch")

from statlm.interop import huggingface as hf  # noqa: E402 - after the skips


class Trap:
    """What a hostile pickle is: code that runs when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def copy(gpt2, tmp_path):
    return shutil.copytree(gpt2, tmp_path / "copy")


def with_settings(folder, **settings):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    return folder


@pytest.mark.parametrize("load", [hf.load, hf.load_gpt2], ids=["load", "load_gpt2"])
class TestFolders:
    @pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
    def test_pickled_weights_are_refused_and_not_run(self, copy, tmp_path, load, name):
        (copy / "model.safetensors").unlink()
        (copy / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
        with pytest.raises(DamagedFile, match=f"weights only as {name}, a format that can hold code"):
            load(copy)
        assert not (tmp_path / "sprung").exists()

    def test_a_pickle_beside_safetensors_is_left_alone(self, copy, tmp_path, load):
        (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
        load(copy)
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
    def test_weights_that_were_cut_short(self, copy, load, share):
        whole = (copy / "model.safetensors").read_bytes()
        (copy / "model.safetensors").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DamagedFile, match=r"cut short|was cut short or changed"):
            load(copy)

    def test_a_pickle_by_the_name_of_safetensors(self, copy, tmp_path, load):
        (copy / "model.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
        with pytest.raises(DamagedFile, match="no safetensors file"):
            load(copy)
        assert not (tmp_path / "sprung").exists()

    def test_a_header_that_claims_more_than_there_is(self, copy, load):
        (copy / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
        with pytest.raises(DamagedFile, match="no safetensors file"):
            load(copy)

    @pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00\x01", "[" * 100_000])
    def test_settings_that_are_none(self, copy, load, text):
        (copy / "config.json").write_text(text)
        with pytest.raises(DamagedFile, match=r"config\.json (cannot be read|holds no settings)"):
            load(copy)

    def test_missing_parts(self, copy, tmp_path, load):
        (copy / "model.safetensors").unlink()
        with pytest.raises(DamagedFile, match=r"holds no weights: model\.safetensors is missing"):
            load(copy)
        (copy / "config.json").unlink()
        with pytest.raises(DamagedFile, match=r"config\.json is missing"):
            load(copy)
        (copy / "small.gguf").write_bytes(b"GGUF")
        with pytest.raises(DamagedFile, match=r"It holds small\.gguf: give that file"):
            load(copy)

    def test_a_path_to_nothing(self, tmp_path, load):
        with pytest.raises(DataUnavailable, match="There is no file or folder"):
            load(tmp_path / "nowhere")
        with pytest.raises(DataUnavailable, match="There is no file or folder"):
            load("./nowhere/at/all")
        with pytest.raises(DataUnavailable, match="There is no file or folder"):
            load("model.gguf")

    def test_a_file_that_is_no_model(self, copy, load):
        with pytest.raises(DamagedFile, match=r"is no GGUF file. Give a GGUF file, or the folder"):
            load(copy / "model.safetensors")

    def test_a_revision_is_of_the_hub(self, copy, load):
        with pytest.raises(SpecificationError, match="revision='main' is of models on the Hub"):
            load(copy, revision="main")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layer": 1}, r"11 tensors of .* have no place in the network \(the first: transformer\.h\.1\.attn"),
        ({"n_layer": 3}, r"12 weights of the network are not in .* \(the first: transformer\.h\.2\.attn.*random numbers"),
        ({"n_layer": 10**9}, "says that it has 1,000,000,000 layers, and its files hold 28 tensors"),
        ({"n_embd": 32}, "cannot be read as a causal language model"),
        ({"vocab_size": 300}, "cannot be read as a causal language model"),
        ({"n_head": 3}, "cannot be read as a causal language model"),
        ({"n_head": 0}, "cannot be read as a causal language model"),
        ({"n_embd": "wide"}, "cannot be read as a causal language model"),
        ({"model_type": "unheard-of"}, "cannot be read as a causal language model"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_weights(copy, settings, message):
    with pytest.raises(DamagedFile, match=message):
        hf.load(with_settings(copy, **settings))


def test_left_over_tensors_can_be_allowed_by_name(copy):
    pretrained = hf.load(with_settings(copy, n_layer=1), unused=["transformer.h.1."])
    assert pretrained.network.config.n_layer == 1


def test_code_of_a_folder_is_never_run(copy, tmp_path):
    sprung = tmp_path / "sprung"
    (copy / "trap.py").write_text(f"open({str(sprung)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    automatic = {"AutoConfig": "trap.Config", "AutoModelForCausalLM": "trap.Model"}
    with pytest.raises(DamagedFile, match=r"comes with code of its own.*never done here"):
        hf.load(with_settings(copy, model_type="trap", auto_map=automatic))
    assert not sprung.exists()


def test_weights_that_are_no_numbers(copy):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    tensors["transformer.h.0.ln_1.weight"][3] = np.nan
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(DamagedFile, match="gives logits that are no numbers"):
        hf.load(copy)


def test_a_model_that_looks_ahead_is_refused(made):
    config = transformers.BertConfig(
        vocab_size=278,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    with pytest.raises(
        DamagedFile, match="is no causal language model: its prediction of a token changes with the tokens after"
    ):
        hf.load(made("bert", config, bos_token="<|endoftext|>"))


def test_a_tokenizer_of_another_model_is_refused(made, gpt2, gpt2_config):
    small = made("small", gpt2_config(vocab_size=260), size=258, bos_token="<|endoftext|>")
    with pytest.raises(CorpusError, match="numbers tokens up to 277, and the network predicts 260"):
        hf.load(small, tokenizer=gpt2)
    assert hf.load(gpt2, tokenizer=small).read(["the cat"]).nbytes == 7


def test_a_missing_or_damaged_tokenizer(copy):
    text = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(text[: len(text) // 2])
    with pytest.raises(DamagedFile, match=r"The tokenizer of .* cannot be read"):
        hf.load(copy)
    (copy / "tokenizer.json").unlink()
    with pytest.raises((DamagedFile, SpecificationError), match="The tokenizer of"):
        hf.load(copy)


def test_a_name_on_the_hub_that_cannot_be_had(monkeypatch):
    def unreachable(*args, **settings):
        assert settings["trust_remote_code"] is False
        assert settings["revision"] == "abc"
        raise OSError("We couldn't connect to 'https://example.org'.\nCheck your connection.")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", unreachable)
    with pytest.raises(
        DataUnavailable, match=r"someone/model is no file or folder here, and could not be had from the .* Hub"
    ):
        hf.load("someone/model", revision="abc")


def test_gpt2_from_the_hub(gpt2, monkeypatch):
    import huggingface_hub

    asked = {}

    def snapshot(name, **settings):
        asked[name] = settings
        return str(gpt2)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert hf.load_gpt2("someone/gpt2", revision="abc").specification.layers == 2
    assert asked["someone/gpt2"]["revision"] == "abc"
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in asked["someone/gpt2"]["allow_patterns"])


def test_without_transformers_the_extra_is_named(gpt2, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **settings):
        if name == "transformers" or name.startswith("transformers."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpecificationError, match=r"transformers is not installed.*pip install 'statlm\[hf\]'"):
        hf.load(gpt2)
    assert hf.load_gpt2(gpt2).specification.layers == 2  # files of weights and settings need no transformers


def test_the_library_s_own_settings_are_left_as_they_were(gpt2, capfd):
    said = transformers.utils.logging
    before = said.get_verbosity(), said.is_progress_bar_enabled()
    hf.load(gpt2)
    with pytest.raises(DamagedFile):
        hf.load(gpt2, tokenizer=gpt2.parent)
    assert (said.get_verbosity(), said.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")
