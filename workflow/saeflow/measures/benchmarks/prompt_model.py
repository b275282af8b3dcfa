"""A model's answers to prompts: the logits and the state after the last word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from saeflow.errors import DataError, ModelError
from saeflow.models.slices import Head, final_states
from saeflow.prompts.encode import Continuations, encode_texts

# Prompts in a forward pass. A constant: the shape of a matrix product can move its last bits.
_BATCH_PROMPTS = 32


class PromptModel:
    """Runs a model in evaluation mode on texts of at most ``max_positions`` tokens with the BOS."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_positions: int
    ) -> None:
        self.model, self.tokenizer, self.max_positions = model, tokenizer, max_positions
        self._head = Head(model)
        self._continued = Continuations(tokenizer)

    def answer_id(self, word: str) -> int:
        """Return the token id of an answer; one of several tokens is a `DataError`."""
        ids = self._continued(f" {word}").tolist()
        if len(ids) != 1 or ids[0] == self.tokenizer.unk_token_id:
            raise DataError(
                "the answer to a prompt is not one known token",
                where=word,
                got=f"token ids {ids}",
                remedy="Score the prompts of a world with the tokenizer trained on it.",
            )
        return ids[0]

    def answer_ids(self, words: Sequence[str]) -> np.ndarray:
        """Return the token ids of several answers, (n,) int64."""
        return np.array([self.answer_id(word) for word in words], dtype=np.int64)

    @torch.no_grad()
    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits after each text, (n, vocab_size) float32."""
        return self._head(torch.from_numpy(self.states(texts)).to(self.model.device)).cpu().numpy()

    @torch.no_grad()
    def states(self, texts: Sequence[str]) -> np.ndarray:
        """Return the final state after each text, (n, d_model) float32."""
        result = np.empty((len(texts), self.model.config.hidden_size), dtype=np.float32)
        for rows, ids, last in self._batches(texts):
            states = final_states(self.model, ids)
            result[rows] = states[torch.arange(len(rows)), last].cpu().numpy()
        return result

    @torch.no_grad()
    def mean_embeddings(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean input embedding of each text, (n, d_model) float32."""
        embed = self.model.get_input_embeddings()
        rows = [embed(ids[1:]).mean(0) for ids in self._encode(texts)]
        return torch.stack(rows).cpu().numpy()

    def _encode(self, texts: Sequence[str]) -> list[torch.Tensor]:
        encoded = encode_texts(self.tokenizer, texts)
        longest = max(map(len, encoded))
        if longest > self.max_positions:
            raise ModelError(
                "a prompt is longer than the model's context",
                expected=f"at most {self.max_positions} tokens",
                got=longest,
                remedy="Score models with a longer context.",
            )
        return [torch.from_numpy(ids).to(self.model.device) for ids in encoded]

    def _batches(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
        """Yield row numbers, right-padded ids and the index of each last token."""
        encoded = self._encode(texts)
        order = np.argsort([len(ids) for ids in encoded], kind="stable")
        for start in range(0, len(order), _BATCH_PROMPTS):
            rows = order[start : start + _BATCH_PROMPTS]
            chosen = [encoded[row] for row in rows]
            ids = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
            yield rows, ids, torch.tensor([len(one) - 1 for one in chosen])
