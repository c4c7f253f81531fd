"""Small judges, saved to a folder and returned with it."""

import random
from itertools import pairwise
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from vtalign.cli.base_text import sentences
from vtalign.models.tiny import CHAT_TEMPLATE, build_tokenizer


def _save(folder: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Path:
    tokenizer.chat_template = CHAT_TEMPLATE
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_parrot(folder: Path) -> Path:
    """A language model that says `Correct` whatever it is asked: each token names the next one, and no other has a say."""
    words = [*sentences(random.Random(0), stories=40), *["Correct"] * 400]
    tokenizer = build_tokenizer(words)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    opening = tokenizer("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    chain = [opening[-1], *tokenizer("Correct", add_special_tokens=False)["input_ids"], end]
    assert len(set(chain)) == len(chain)
    size = len(tokenizer)
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, head_dim=size,
        max_position_embeddings=1024, tie_word_embeddings=False, eos_token_id=end, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.zero_()
        for current, following in pairwise(chain):
            model.lm_head.weight[following, current] = 1.0
    # what many checkpoints bring along, and what a greedy judge must not heed
    model.generation_config.do_sample = True
    model.generation_config.temperature = 5.0
    model.generation_config.repetition_penalty = 1e6
    return _save(folder, model, tokenizer)


def save_babbler(folder: Path) -> Path:
    """A random language model."""
    tokenizer = build_tokenizer(sentences(random.Random(0), stories=40))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=1024, initializer_range=0.2, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    return _save(folder, model, tokenizer)
