"""The shape of a decoder: every choice that decides which function of the context the network is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statlm.errors import SpecificationError

POSITIONS = ("rotary", "learned")
NORMS = ("rms", "layer", "none")
ACTIVATIONS = ("relu-squared", "gelu", "gelu-tanh", "swiglu")
INITIALISATIONS = ("zero-output", "gpt2")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    r"""A pre-norm decoder (Vaswani et al. 2017; Radford et al. 2019).

    Parameters
    ----------
    layers : int
        Blocks of attention and feed-forward. 0 leaves the embedding and the head: a reduced-rank softmax regression.
    heads : int
        Attention heads; a divisor of `width`.
    width : int
        Length of the vectors that pass through the blocks.
    context : int
        Most tokens that the network sees, ``<bos>`` included.
    lags : int
        Embeddings of this many tokens *before* each are added to its own: main effects of lags at the input.
    positions : "rotary" or "learned"
        Relative, by rotation of queries and keys (Su et al. 2021), or a vector for each place as in GPT-2.
    norm : "rms", "layer" or "none"
        Normalisation of vectors. "none" leaves them, for networks without blocks: those are then log-bilinear models.
    affine : bool
        Whether normalisations have gains (and shifts, with `bias`).
    bias : bool
        Whether linear maps inside of the blocks have intercepts.
    embedding_norm : bool
        Normalise the embeddings before the first block.
    query_key_norm : bool
        Normalise queries and keys, which bounds the logits of attention (Henry et al. 2020).
    activation : "relu-squared", "gelu", "gelu-tanh" or "swiglu"
        Nonlinearity of the feed-forward map; "swiglu" has a third matrix.
    hidden : int, optional
        Length of the hidden feed-forward vector; by default 4 times the width.
    head_bias : bool
        Whether the logits have intercepts.
    tied : bool
        Whether the head uses the matrix of the embedding.
    experts : int
        Feed-forward maps to choose among, by a gate, for each token; 1 is dense.
    experts_per_token : int
        How many of them each token goes through.
    balance : float
        Weight of the penalty that keeps the experts equally loaded (Fedus et al. 2022); only with several experts.
    dropout : float
        Share of activations set to 0 in training, never in evaluation: of the embeddings and of what blocks add to the stream.
    attention_dropout : float
        The same of the weights of attention, as in GPT-2; a processor then takes two to three times as long over attention.
    prefix : bool
        Whether the *given* tokens of a document see each other in both directions (Liu et al. 2018): for p(answer | question).
    initialisation : "zero-output" or "gpt2"
        "zero-output": each block begins as the identity, and the head as the uniform distribution. "gpt2": normal with
        standard deviation 0.02, smaller for what is added to the residual stream.

    Raises
    ------
    SpecificationError
        If a setting is outside of its range, or two of them contradict each other.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need. Radford et al. (2019), Language models are unsupervised multitask learners.
    Su et al. (2021), RoFormer. Henry et al. (2020), Query-key normalization for transformers. So et al. (2021), Primer.
    Shazeer (2020), GLU variants improve transformer. Fedus, Zoph and Shazeer (2022), Switch transformers.
    Liu et al. (2018), Generating Wikipedia by summarizing long sequences.
    """

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 128
    lags: int = 2
    positions: str = "rotary"
    norm: str = "rms"
    affine: bool = False
    bias: bool = False
    embedding_norm: bool = True
    query_key_norm: bool = True
    activation: str = "relu-squared"
    hidden: int | None = None
    head_bias: bool = False
    tied: bool = False
    experts: int = 1
    experts_per_token: int = 1
    balance: float = 0.01
    dropout: float = 0.0
    attention_dropout: float = 0.0
    prefix: bool = False
    initialisation: str = "zero-output"

    def __post_init__(self) -> None:
        for name, least in (
            ("layers", 0),
            ("heads", 1),
            ("width", 1),
            ("context", 1),
            ("lags", 0),
            ("experts", 1),
            ("experts_per_token", 1),
        ):
            check_whole(name, getattr(self, name), least)
        if self.hidden is not None:
            check_whole("hidden", self.hidden, 1)
        for name, known in (
            ("positions", POSITIONS),
            ("norm", NORMS),
            ("activation", ACTIVATIONS),
            ("initialisation", INITIALISATIONS),
        ):
            check_choice(name, getattr(self, name), known)
        if self.width % self.heads:
            raise SpecificationError(
                f"width={self.width} is not a multiple of heads={self.heads}, so the heads cannot share a vector. "
                f"Choose for example width={self.heads * max(1, round(self.width / self.heads))}."
            )
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise SpecificationError(
                f"Rotary positions turn pairs of numbers, and width / heads = {self.width // self.heads} is odd. Choose a width "
                'that is a multiple of 2 heads, or positions="learned".'
            )
        if self.experts_per_token > self.experts:
            raise SpecificationError(
                f"experts_per_token={self.experts_per_token} is more than there are (experts={self.experts})."
            )
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SpecificationError(
                    f"{name}={getattr(self, name)!r} is a share of the activations: choose 0 up to below 1."
                )
        if not self.balance >= 0:
            raise SpecificationError(f"balance={self.balance!r} is the weight of a penalty: choose 0 or more.")

    @property
    def hidden_width(self) -> int:
        """Length of the hidden feed-forward vector."""
        return 4 * self.width if self.hidden is None else self.hidden

    @property
    def norm_parameters(self) -> int:
        """Number of gains and shifts of one normalisation."""
        return {"none": 0, "rms": 1, "layer": 1 + self.bias}[self.norm] * self.width * self.affine

    def count_parameters(self, embedded: int, predicted: int | None = None) -> int:
        """Number of weights, tied ones once.

        Parameters
        ----------
        embedded : int
            Tokens with an embedding.
        predicted : int, optional
            Tokens with a logit; by default as many.

        Examples
        --------
        >>> import statlm as slm
        >>> slm.TransformerDecoder.preset("gpt2").count_parameters(50_257)
        124439808
        """
        predicted = embedded if predicted is None else predicted
        width, hidden = self.width, self.hidden_width
        matrices = 3 if self.activation == "swiglu" else 2
        norm = self.norm_parameters
        attention = 4 * width * width + 4 * width * self.bias
        feed_forward = matrices * width * hidden + ((matrices - 1) * hidden + width) * self.bias
        gate = self.experts * width if self.experts > 1 else 0
        block = 2 * norm + attention + self.experts * feed_forward + gate
        embedding = (1 + self.lags) * embedded * width + self.context * width * (self.positions == "learned")
        head = (0 if self.tied else predicted * width) + predicted * self.head_bias
        return embedding + norm * self.embedding_norm + self.layers * block + norm + head


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise SpecificationError unless the setting is a whole number of `least` or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecificationError(f"{name}={value!r}: choose a whole number, {least} or more.")


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise SpecificationError unless the setting is one of the names."""
    if value not in known:
        raise SpecificationError(f"{name}={value!r} is unknown. Use one of {', '.join(map(repr, known))}.")
