"""Writes the shipped weights of Hanoi as GGUF, the form that llama.cpp serves: numpy and `gguf`, no torch.

`python -m training.gguf_export OUT.gguf`. Two things differ from the Hugging Face form: rows of
queries and keys are interleaved (llama.cpp turns neighbouring numbers, not halves), and the vocabulary
is a "gpt2" one of user-defined tokens with one merge that is never used. Read next: `export.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

from maker.workers.embedded import weights
from maker.workers.embedded.dialects.hanoi import DIALECT
from maker.workers.embedded.transformer import CONTEXT, HEADS
from maker.workers.embedded.vocabulary import BOS, EOS, PAD
from maker.workers.embedded.weights import Array
from training.export import CHAT_TEMPLATE, config, named

_PLACES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    held = weights.read(weights.shipped(DIALECT.name))
    _add_shape(writer, held)
    _add_tokenizer(writer)
    for name, array in named(held).items():
        placed = _place(name)
        if ".attn_q." in placed or ".attn_k." in placed:
            array = interleaved(array)
        # llama.cpp wants vectors in float32
        writer.add_tensor(placed, array.astype(np.float16 if array.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, held: weights.Held) -> None:
    shape = config(held)
    writer.add_name("maker-hanoi")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(shape["hidden_size"] // HEADS)
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_vocab_size(shape["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(DIALECT.words.texts))
    writer.add_token_types([gguf.TokenType.USER_DEFINED] * len(DIALECT.words.texts))
    writer.add_token_merges(["0 0"])  # a gpt2 tokenizer without merges is refused
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_pad_token_id(PAD)
    writer.add_add_bos_token(False)  # the template says it
    writer.add_chat_template(CHAT_TEMPLATE)


def _place(name: str) -> str:
    match name.split("."):
        case ["model", "embed_tokens", _]:
            return "token_embd.weight"
        case ["model", "norm", _]:
            return "output_norm.weight"
        case ["model", "layers", layer, *middle, _]:
            return f"blk.{layer}.{_PLACES['.'.join(middle)]}.weight"
    raise ValueError(name)


def interleaved(array: Array) -> Array:
    """Rows of each head: first and second half in turns."""
    heads, columns = HEADS, array.shape[1]
    return array.reshape(heads, 2, -1, columns).swapaxes(1, 2).reshape(array.shape)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_gguf(Path(sys.argv[1]))
