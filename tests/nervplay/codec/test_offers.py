"""What each tensor could be stored as."""

import numpy as np
import pytest
import torch

from nervplay.bitstream import QuantisedTensor
from nervplay.codec import Precision, quantise_model
from nervplay.codec.allocate import Hull
from nervplay.codec.importance import output_importance
from nervplay.codec.offers import VECTOR_BITS, fixed_offers, ladder_offers
from nervplay.codec.prune import apply_masks, prunable, prune_masks
from nervplay.models import VideoModel, build_model, preset_names, resolve_preset


def small(preset: str) -> VideoModel:
    entry, choice = resolve_preset(preset)
    torch.manual_seed(0)
    model = build_model(entry.name, choice.configure(64, 32, 5))
    model.load_stored_state({k: torch.randn_like(v) * 0.2 for k, v in model.stored_state().items()})
    return model.eval()


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.endswith("-tiny")])
def test_fixed_bits(preset: str) -> None:
    model = small(preset)
    offers = fixed_offers(model, output_importance(model, [0, 3]), 5, 4)
    assert list(offers) == list(model.stored_state()), "in the network's own order"
    for name, (choice,) in offers.items():
        assert isinstance(choice.tensor, QuantisedTensor)
        ndim = len(choice.tensor.shape)
        expected = model.stored_bits.get(name, 4 if name in model.embedding_names else 5 if ndim > 1 else VECTOR_BITS)
        assert choice.tensor.bits == expected, name


def test_pruned_weights_stay_zero() -> None:
    model = small("hnerv-tiny")
    importance = output_importance(model, [0])
    apply_masks(model, prune_masks(prunable(model), 0.5))
    for offers in (fixed_offers(model, importance, 4, 4), ladder_offers(model, importance, {})):
        for name, weight in prunable(model).items():
            for choice in offers[name]:
                assert isinstance(choice.tensor, QuantisedTensor)
                assert not choice.tensor.dequantise()[(weight == 0).numpy()].any()


def test_a_ladder_falls_and_offers_what_is_there() -> None:
    model = small("hnerv-tiny")
    present = quantise_model(model, Precision())
    model.load_stored_state(
        {name: torch.from_numpy(t.dequantise()) for name, t in present.items() if isinstance(t, QuantisedTensor)}
    )
    importance = output_importance(model, [0, 4])
    offers = ladder_offers(model, importance, present, bits=7, embed_bits=5)
    for name, offered in offers.items():
        (as_it_was,) = [choice for choice in offered if choice.note == "as it was"]
        assert as_it_was.tensor is present[name]
        assert as_it_was.error == 0
        most = 5 if name in model.embedding_names else 7 if len(as_it_was.tensor.shape) > 1 else VECTOR_BITS
        others = [choice.tensor for choice in offered if choice is not as_it_was]
        assert max(tensor.bits for tensor in others if isinstance(tensor, QuantisedTensor)) == most
    hull = Hull(offers)
    errors = [sum(c.error for c in hull.take(n).values()) for n in range(hull.steps + 1)]
    assert errors[0] == 0
    assert errors == sorted(errors)
    changed = {name: value.clone() for name, value in model.stored_state().items()}
    changed["stem.conv.weight"] += 1
    model.load_stored_state(changed)
    notes = {choice.note for choice in ladder_offers(model, importance, present)["stem.conv.weight"]}
    assert "as it was" not in notes
    assert np.isfinite(errors).all()
