"""Rings in host memory hold what rings on the device hold."""

from __future__ import annotations

import torch

from flashvsr.model.fused.rings import DeviceRings, HostRings

LAYERS, SLOTS, BLOCKS, DIM = 3, 4, 1, 128


def test_a_layer_finds_what_it_wrote(device: torch.device) -> None:
    like = torch.empty(0, device=device)
    host, resident = (kind(LAYERS, SLOTS, BLOCKS, DIM, like) for kind in (HostRings, DeviceRings))
    for number, groups in enumerate([[0, 1, 2], [3], [4], [5], [6], [7]]):
        slots = [group % SLOTS for group in groups]
        known = sorted({group % SLOTS for group in range(max(groups) + 1)})
        for rings in (host, resident):
            rings.begin(slots)
        for layer in range(LAYERS):
            rings_of_layer = []
            for rings in (host, resident):
                ring = rings.take(layer)
                for slot in slots:
                    rows = slice(slot * 128, (slot + 1) * 128)
                    ring.keys[rows], ring.values[rows] = 100 * layer + number, -100 * layer - number
                    ring.means[slot] = layer + number
                rings.written(layer)
                rings_of_layer.append([t.clone() for t in (ring.keys, ring.values, ring.means)])
                rings.done(layer)
            places = torch.cat([torch.arange(slot * 128, (slot + 1) * 128) for slot in known])
            for mine, theirs in zip(*rings_of_layer, strict=True):
                place = places if len(mine) > SLOTS * BLOCKS else torch.tensor(known)
                assert torch.equal(mine[place], theirs[place])
