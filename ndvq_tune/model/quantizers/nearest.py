"""Search for nearest codes: exact, in little memory, and fast on a CPU."""

import torch

# All scores of tokens against codes can take gigabytes. On a CPU, pieces that stay in the cache are faster, too.
_SCORES_AT_ONCE = {"cpu": 2**20}
_SCORES_AT_ONCE_ELSEWHERE = 2**26
_CODES_AT_ONCE = 2**12
_GROUP = 64


@torch.no_grad()
def nearest(tokens: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Number ``(N,)`` of the code ``(K, D)`` nearest to each token ``(N, D)``, in Euclidean distance.

    ``|z - c|^2`` is least where ``z.c - |c|^2 / 2`` is greatest. Both are taken relative to the codes' mean, which
    changes no distance but keeps the two terms small and their difference exact; and in fp32, even under autocast:
    half precision would pick wrong codes for latents far from the origin.

    Example:
        >>> nearest(torch.tensor([[0.1, 0.0], [0.9, 1.0]]), codes=torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        tensor([1, 0])
    """
    with torch.autocast(tokens.device.type, enabled=False):
        origin = codes.mean(0)
        codes = codes - origin
        biases = codes.square().sum(1) / -2
        tiles = list(zip(torch.split(codes, _CODES_AT_ONCE), torch.split(biases, _CODES_AT_ONCE), strict=True))
        scores_at_once = _SCORES_AT_ONCE.get(tokens.device.type, _SCORES_AT_ONCE_ELSEWHERE)
        chunks = torch.split(tokens.float() - origin, max(1, scores_at_once // len(tiles[0][0])))
        found = [_best([_peak(torch.addmm(bias, chunk, tile.T)) for tile, bias in tiles]) for chunk in chunks]
        return torch.cat(found) if len(found) > 1 else found[0]


def _best(peaks: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Number of the greatest of the peaks of tiles, each ``(n,)`` values and places in the tile."""
    if len(peaks) == 1:
        return peaks[0][1]
    tile = torch.stack([value for value, _ in peaks]).argmax(0)
    place = torch.stack([place for _, place in peaks]).gather(0, tile[None])[0]
    return tile * _CODES_AT_ONCE + place


def _peak(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and place ``(n,)`` of the greatest of each row's scores ``(n, k)``; the first of equals.

    On a CPU argmax looks at one number after the other and takes as long as the scores themselves took, while amax is
    fast. So the greatest of each group is found first, and places only among those and within the winning group.
    """
    n, k = scores.shape
    if k % _GROUP:
        value, place = scores.max(1)
        return value, place
    groups = scores.view(n, k // _GROUP, _GROUP)
    value, group = groups.amax(2).max(1)
    place = groups[torch.arange(n, device=scores.device), group].argmax(1)
    return value, group * _GROUP + place
