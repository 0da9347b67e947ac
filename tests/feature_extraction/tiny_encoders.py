"""Models of each architecture, of a few kilobytes, saved as their makers save them."""

from __future__ import annotations

import warnings

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SIZE = {"num_attention_heads": 2, "intermediate_size": 32}
WORDS = ["so", "happy", "today", "it", "is", "a", "sad", "thing", "and", "i", "am", "not"]
WORDS += ["at", "all", "well"]
_CONVOLUTIONS = {"conv_dim": (8, 8, 8), "conv_kernel": (10, 3, 3), "conv_stride": (8, 5, 4)}


def _tokenizer(folder, longest):
    import transformers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = {word: k for k, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]",
        cls_token="[CLS]", sep_token="[SEP]", model_max_length=longest,
    ).save_pretrained(folder)  # fmt: skip
    return len(words)


def _text(kind, folder, **settings):
    import transformers

    n_words = _tokenizer(folder, 16)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=n_words, hidden_size=16, num_hidden_layers=3, pad_token_id=0,
        max_position_embeddings=20, **SIZE, **settings,
    )  # fmt: skip
    return getattr(transformers, f"{kind}Model")(config)


def _whisper(folder):
    import transformers

    transformers.WhisperFeatureExtractor(chunk_length=1).save_pretrained(folder)
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=3, encoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, vocab_size=20,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        max_source_positions=50,
    )  # fmt: skip
    return transformers.WhisperForConditionalGeneration(config)


def _wave(kind, folder, **settings):
    import transformers

    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=16, num_hidden_layers=3, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2, vocab_size=20, **_CONVOLUTIONS, **SIZE, **settings,
    )  # fmt: skip
    return getattr(transformers, f"{kind}Model")(config)


def _vision(kind, folder):
    import transformers

    image = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 3}
    text = {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 20, **SIZE}
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    side = {"height": 32, "width": 32}
    if kind == "Dinov2":
        transformers.BitImageProcessor(
            size={"shortest_edge": 32}, crop_size=side
        ).save_pretrained(folder)
        image["num_attention_heads"] = 2
        return transformers.Dinov2Model(transformers.Dinov2Config(**image))
    if kind == "CLIP":
        transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size=side
        ).save_pretrained(folder)
    else:
        transformers.SiglipImageProcessor(size=side).save_pretrained(folder)
    config = getattr(transformers, f"{kind}Config")(
        vision_config={**image, **SIZE}, text_config=text
    )
    return getattr(transformers, f"{kind}Model")(config)


MAKERS = {
    "bert": lambda folder: _text("Bert", folder),
    "roberta": lambda folder: _text("Roberta", folder),
    "whisper": _whisper,
    "wav2vec2": lambda folder: _wave("Wav2Vec2", folder),
    "wav2vec2-large": lambda folder: _wave(
        "Wav2Vec2", folder, feat_extract_norm="layer", do_stable_layer_norm=True
    ),
    "hubert": lambda folder: _wave("Hubert", folder),
    "wavlm": lambda folder: _wave("WavLM", folder),
    "clip": lambda folder: _vision("CLIP", folder),
    "siglip": lambda folder: _vision("Siglip", folder),
    "dinov2": lambda folder: _vision("Dinov2", folder),
}


def save(name, folder):
    """A checkpoint of a random model, and its folder."""
    from transformers.utils import logging

    folder.mkdir(parents=True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(sorted(MAKERS).index(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MAKERS[name](folder)
    with torch.no_grad():  # sizes at which layers and items differ
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder
