"""What the paper prints: HR@10 and NDCG@10 of its Tables 2 to 5, by table, data set and row."""

from __future__ import annotations

DATASETS = ("beibei", "taobao", "tmall")

# Row → HR@10, NDCG@10 on Beibei, on Taobao, on Tmall.
_PKEF = (0.1130, 0.0582, 0.1385, 0.0785, 0.1277, 0.0721)
_BILINEAR = (0.0915, 0.0460, 0.0955, 0.0532, 0.0931, 0.0514)  # Table 3's w/o PME too
_TABLES = {
    "table2": {
        "MF-BPR": (0.0191, 0.0049, 0.0076, 0.0036, 0.0230, 0.0207),
        "NeuMF": (0.0232, 0.0135, 0.0236, 0.0128, 0.0124, 0.0062),
        "LightGCN": (0.0391, 0.0209, 0.0411, 0.0240, 0.0393, 0.0209),
        "RGCN": (0.0363, 0.0188, 0.0215, 0.0104, 0.0316, 0.0157),
        "GNMR": (0.0413, 0.0221, 0.0368, 0.0216, 0.0393, 0.0193),
        "NMTR": (0.0429, 0.0198, 0.0282, 0.0137, 0.0536, 0.0286),
        "MBGCN": (0.0470, 0.0259, 0.0509, 0.0294, 0.0549, 0.0285),
        "CRGCN": (0.0459, 0.0324, 0.0855, 0.0439, 0.0840, 0.0442),
        "MB-CGCN": (0.0579, 0.0381, 0.1233, 0.0677, 0.0984, 0.0558),
        "PKEF": _PKEF,
    },
    "table3": {
        "Base Model": (0.0734, 0.0360, 0.0849, 0.0452, 0.0829, 0.0466),
        "w/o PKF": (0.1096, 0.0560, 0.1121, 0.0610, 0.1205, 0.0687),
        "w/o PME": _BILINEAR,
        "PKEF": _PKEF,
    },
    "table4": {
        "Summation": (0.0312, 0.0173, 0.1142, 0.0635, 0.0238, 0.0127),
        "Linear Trans.": (0.0847, 0.0419, 0.1185, 0.0666, 0.1084, 0.0617),
        "Vanilla": (0.1105, 0.0568, 0.1254, 0.0707, 0.1180, 0.0674),
        "Projection": _PKEF,
    },
    "table5": {
        "PKF+SB": (0.0599, 0.0287, 0.0715, 0.0381, 0.0840, 0.0472),
        "PKF+Bilinear": _BILINEAR,
        "PKF+MMOE": (0.0830, 0.0420, 0.1091, 0.0580, 0.0890, 0.0487),
        "PKF+PLE": (0.0845, 0.0431, 0.1022, 0.0545, 0.0944, 0.0517),
        "PKF+PME": _PKEF,
    },
}


def published(table: str, row: str, dataset: str) -> tuple[float, float] | None:
    """HR@10 and NDCG@10 that the paper prints; None where it prints nothing.

    >>> published("table2", "PKEF", "taobao")
    (0.1385, 0.0785)
    """
    values = _TABLES.get(table, {}).get(row)
    if values is None or dataset not in DATASETS:
        return None
    at = 2 * DATASETS.index(dataset)
    return values[at], values[at + 1]


def rows(table: str) -> tuple[str, ...]:
    """The rows of a table, as the paper names and orders them."""
    return tuple(_TABLES[table])
