"""Tiny random networks with tokenizers of their own, in the files that transformers writes."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

END = "<|endoftext|>"
SAID = ["the cat sat on the mat and the dog lay on the log", "a bird sang; nobody heard it, or so they said in São João"]


@pytest.fixture(scope="session")
def transformers():
    return pytest.importorskip("transformers", reason="needs transformers: pip install 'statlm[hf]'")


def byte_pairs(said, size):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(said, trainer)
    return backend


def write(transformers, folder, config, backend, **marks):
    """A network with random weights, large enough that its distributions are far from uniform."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.3)
                elif name.endswith("bias"):
                    parameter.normal_(std=0.1)
    network.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **marks).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def made(transformers, tmp_path_factory):
    """From settings and a text to train byte pairs on to a folder."""

    def make(name, config, said=SAID, size=278, **marks):
        return write(transformers, tmp_path_factory.mktemp(name) / name, config, byte_pairs(said, size), **marks)

    return make


@pytest.fixture(scope="session")
def gpt2_config(transformers):
    def config(**changes):
        settings = {"vocab_size": 281, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2} | changes
        return transformers.GPT2Config(**{"bos_token_id": 0, "eos_token_id": 0} | settings)

    return config


@pytest.fixture(scope="session")
def gpt2(made, gpt2_config):
    """GPT-2's shape and marks: one token that begins and ends documents, here number 0; three rows without a token."""
    return made("tiny-gpt2", gpt2_config(), bos_token=END, eos_token=END, unk_token=END)


@pytest.fixture(scope="session")
def llama(transformers, made):
    """Another architecture with another tokenizer."""
    config = transformers.LlamaConfig(
        vocab_size=270,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=0,
    )
    return made("tiny-llama", config, SAID[:1], 270, bos_token=END, eos_token=END)


@pytest.fixture(scope="session")
def no_bos(made, gpt2_config):
    """A model whose tokenizer has no token that begins a document."""
    return made("no-bos", gpt2_config(vocab_size=278, bos_token_id=None), eos_token=END)


@pytest.fixture(scope="session")
def spaced(transformers, gpt2_config, tmp_path_factory):
    """A model whose tokenizer marks words by the space before them, and drops it at the beginning, as SentencePiece does."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(parts)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    backend.train_from_iterator(["▁".join(["", *SAID[0].split()])], trainer)
    config = gpt2_config(vocab_size=backend.get_vocab_size(), bos_token_id=1, eos_token_id=2)
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return write(transformers, tmp_path_factory.mktemp("spaced") / "spaced", config, backend, **marks)
