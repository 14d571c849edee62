"""Writes trained weights in the forms that others read: the package's npz, and a Hugging Face folder.

`python -m training.export ship DIALECT CHECKPOINT.npz 2` writes the second set that is shipped;
`python -m training.export hf FOLDER` makes a `LlamaForCausalLM` folder from the shipped ones of Hanoi. It
needs numpy and safetensors, no torch. Read next: `gguf_export.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maker.workers.embedded import weights
from maker.workers.embedded.dialects.hanoi import DIALECT
from maker.workers.embedded.vocabulary import BOS, EOS, PAD
from maker.workers.embedded.weights import Array

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if loop.last %}"
    "{{ 'previous_move' + message['content'].split('previous_move')[-1] }}"
    "{% endif %}{% endfor %}<answer>"
)
"""Keeps the last message from its last `previous_move` on, as `Dialect.template` does."""


def ship(checkpoint: Path, target: Path) -> str:
    """Write float16 arrays and the digest beside them; returns the digest."""
    with np.load(checkpoint, allow_pickle=False) as arrays:
        np.savez_compressed(target, **{name: arrays[name].astype(np.float16) for name in arrays.files})
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n", "ascii")
    return digest


def named(held: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays under Llama's names, transposed to its rows of outputs."""
    made = {"model.embed_tokens.weight": held["embed"], "model.norm.weight": held["norm"]}
    for layer in range(len(held["qkv"])):
        at = f"model.layers.{layer}"
        made[f"{at}.input_layernorm.weight"] = held["attention_norm"][layer]
        made[f"{at}.post_attention_layernorm.weight"] = held["mlp_norm"][layer]
        parts = zip("qkv", np.split(held["qkv"][layer], 3, axis=1), strict=True)
        made |= {f"{at}.self_attn.{name}_proj.weight": part.T for name, part in parts}
        made[f"{at}.self_attn.o_proj.weight"] = held["out"][layer].T
        gate, up = np.split(held["gate_up"][layer], 2, axis=1)
        made |= {f"{at}.mlp.gate_proj.weight": gate.T, f"{at}.mlp.up_proj.weight": up.T}
        made[f"{at}.mlp.down_proj.weight"] = held["down"][layer].T
    return {name: np.ascontiguousarray(array) for name, array in made.items()}


def config(held: Mapping[str, Array]) -> dict[str, Any]:
    vocabulary, width = held["embed"].shape
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": held["down"].shape[1],
        "num_hidden_layers": len(held["qkv"]),
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "torch_dtype": "float32",
    }


def tokenizer_file() -> dict[str, Any]:
    """A word-piece-free tokenizer: every token is an added one, so the longest match decides."""
    added = [
        {"id": i, "content": text, "special": i <= EOS, "normalized": False,
         "single_word": False, "lstrip": False, "rstrip": False}
        for i, text in enumerate(DIALECT.words.texts)
    ]  # fmt: skip
    model = {
        "type": "WordLevel",
        "vocab": {text: i for i, text in enumerate(DIALECT.words.texts)},
        "unk_token": "<pad>",
    }
    return {"version": "1.0", "added_tokens": added, "model": model, "decoder": {"type": "Fuse"},
            "normalizer": None, "pre_tokenizer": None, "post_processor": None, "truncation": None,
            "padding": None}  # fmt: skip


def hugging_face(folder: Path) -> None:
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    held = weights.read(weights.shipped(DIALECT.name))
    save_file(named(held), folder / "model.safetensors", metadata={"format": "pt"})
    files = {
        "config.json": config(held),
        "generation_config.json": {"do_sample": True, "top_k": 0, "top_p": 1.0, "eos_token_id": EOS},
        "tokenizer.json": tokenizer_file(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "pad_token": "<pad>",
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1))


def main() -> None:
    match sys.argv[1:]:
        case ["ship", dialect, checkpoint, number]:
            print(ship(Path(checkpoint), weights.shipped(dialect, int(number))))
        case ["hf", folder]:
            hugging_face(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
