"""The files of checkpoints as they were published, where today's libraries would write others."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from src.generators.tiny.components import CONTEXT


def published_names(*folders: Path) -> None:
    """Give weights the names under which the checkpoints were published, which the libraries have left since."""
    attention = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for folder in folders:
        (path,) = folder.glob("*.safetensors")
        weights = {}
        for name, value in load_file(path).items():
            if folder.name == "vae" and ".attentions." in name:
                for new, old in attention.items():
                    name = name.replace(f".{new}.", f".{old}.")
            elif folder.name != "vae" and not name.startswith(("text_model.", "text_projection.")):
                name = f"text_model.{name}"
            weights[name] = value
        if folder.name != "vae":
            weights["text_model.embeddings.position_ids"] = torch.arange(CONTEXT)[None]
        save_file(weights, path, metadata={"format": "pt"})


def published_tokenizer(folder: Path) -> None:
    """The tokenizer as vocabulary and merges, the files of the published checkpoints."""
    words = CLIPTokenizer.from_pretrained(folder)
    model = json.loads(words.backend_tokenizer.to_str())["model"]
    for path in folder.iterdir():
        path.unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special["pad_token"] = "<|endoftext|>"
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {**special, "model_max_length": CONTEXT, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "do_lower_case": True}))
