"""Where public data sets lie: repository, commit, files and their checksums.

Read off the repositories' trees; sizes stand where they are known. A commit's files never change,
so a checksum holds for good.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, did_you_mean


class File(NamedTuple):
    """A file of a repository.

    name : without its folder
    blob : its SHA-1 as a Git blob, see `checksums.Digest`
    size : in bytes, None where it is not known
    """

    name: str
    blob: str
    size: int | None = None


class Source(NamedTuple):
    """Where the files of a data set lie.

    repository : OWNER/NAME on GitHub
    folder : in the repository
    members : the files wanted out of the one archive that `files` is; none: the files themselves
    """

    repository: str
    commit: str
    folder: str
    files: tuple[File, ...]
    members: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The files that the data set consists of, as they lie in its folder."""
        return self.members or tuple(file.name for file in self.files)

    def url(self, base: str, file: File) -> str:
        """Address of a file under a base address."""
        return f"{base}/{self.repository}/{self.commit}/{self.folder}/{file.name}"

    def by_hand(self, folder: Path) -> str:
        """Where a user finds the files, and where they go."""
        names = ", ".join(file.name for file in self.files)
        return (
            f"by hand: {names} lie at https://github.com/{self.repository}/tree/{self.commit}/"
            f"{self.folder} and belong into {folder}, where the same command then checks them"
            + (" and unpacks them." if self.members else ".")
        )


_PKEF = ("MC-CV/PKEF", "af4772f5059b609f1bc6c6e664c668187ab1ab29")
_SSLREC = ("HKUDS/SSLRec", "7597c31ce3f78c7497918d886b90df6d4d02cad5")
_CASCADING_RANK = ("geonwooko/CascadingRank", "aa6e21b4a10041c37da18f619598e574f25f8250")
_GHCF = ("chenchongthu/GHCF", "5ca2d693410c90721a980bab609bfab140fa30b1")
_VCGAE = ("YMADE8/VCGAE", "f0242d91b7393b835c5aad60557d723a867d5a8c")
SOURCES = {
    "taobao": Source(
        *_PKEF,
        "Datasets/taobao",
        (
            File("trn_buy", "9f6b1c7c0608b1caf7105d02b6b3447ac32c4397", 1168360),
            File("trn_cart", "ab9bbb0f01565894c2c848e1bc8c010a5cc952cd", 2407912),
            File("trn_pv", "3c0ef369d29e630513b32b68ea97ad74b75c605d"),
            File("tst_int", "cbf47b2881d8c855a22a330044c5df0079b59d68", 45658),
        ),
    ),
    "beibei": Source(
        *_PKEF,
        "Datasets/beibei",
        (
            File("trn_buy", "1061c66593f4f2d615063a782e468abe9f641614", 2350152),
            File("trn_cart", "ac24e60a98c8eb41599845419a08edbe83cd3d3a"),
            File("trn_pv", "6567ec6c7fd9b61460aaae0517aad189c7030393"),
            File("tst_int", "e44aa1391feb47d27737caa8779267e70e146b67", 173885),
        ),
    ),
    "tmall": Source(
        *_PKEF,
        "Datasets/tmall",
        (File("tmall.zip", "7f753eaeb14da6e8cff6bcc1842096bb216757da"),),
        members=("trn_buy", "trn_cart", "trn_click", "trn_collect", "tst_int"),
    ),
    "retail_rocket": Source(
        *_SSLREC,
        "datasets/multi_behavior/retail_rocket",
        (
            File("test_mat.pkl", "ed9fcdad6f63cc5eb31190a3a91c9d6993cdc959", 35153),
            File("train_mat_buy.pkl", "95bb19c473542ff976e87d314161813232ffded5", 123673),
            File("train_mat_cart.pkl", "63fb2fab0c657599c4d95407bcd6a558b5e55b76", 158533),
            File("train_mat_view.pkl", "5807a76b64430d5ec9ab7f965e496879781db112", 913562),
        ),
    ),
    "ijcai15": Source(
        *_SSLREC,
        "datasets/multi_behavior/ijcai_15",
        (
            File("test_mat.pkl", "b3ff1011aac832af92a0f7c5a3f4fc1650041093", 117162),
            File("train_mat_buy.pkl", "a54cbd66981428eabb720c595f3de8af66d00e2a", 2485987),
            File("train_mat_cart.pkl", "97ad1b2e23c9ba4c4baf77af8cabaccc77f730e4", 106077),
            File("train_mat_click.pkl", "856c92de6a99e78ebe2cda9e4f020bd34573813d"),
            File("train_mat_fav.pkl", "aac7fffc8392a18052776ce565aaec11891e8efe", 1987567),
        ),
    ),
    "jd": Source(
        *_VCGAE,
        "Datasets/JD",
        (
            File("trn_buy", "c1f5c69b88e75d398e88a772de0c6325295100d7", 618824),
            File("trn_fav", "943866af7788c121aab2ebdbc78dcae551e35785", 74779),
            File("trn_pv", "0cde7a856ecc2f469373e2469231ef1924cff70d", 2212010),
            File("tst_buy", "d3209ec425ccc0770b1ce0ce7fb5139e162c1258", 50896),
            File("vld_buy", "3d2e889fb553eedce678d5874b71d44bf21aa85e", 59554),
        ),
    ),
    "taobao-48k": Source(
        *_GHCF,
        "Data/Taobao",
        (
            File("cart.txt", "cd3bb3538df7e2d365ad9a91ffdeccfca48c9693", 1326247),
            File("pv.txt", "0e59adf98f60095e09b666b360c713919fa101d1"),
            File("test.txt", "5cc7383b0240b4b185cdee159a78ba7c887bfd7e", 560349),
            File("train.txt", "dcb8ad62d555ed9a9fd72ad88d33ae0bac90f3a8", 1488717),
        ),
    ),
    "tenrec": Source(
        *_CASCADING_RANK,
        "data/tenrec",
        (
            File("buy.txt", "3c6816cb377385b798edf28ba6257af0395aa429", 13689),
            File("cart.txt", "36ac7a8811a7b559cc71a7c5a838a887719029b9", 20064),
            File("collect.txt", "e9a093258ed4c62a3759942ec07115625e0fc638", 141858),
            File("statistics.json", "5c3937b9a8bdcea649aeedb07b22c50994f1f9ed", 169),
            File("test.txt", "63add43d9465d3e02cdcd1203836970b73e501f5", 2272),
            File("train.txt", "3c6816cb377385b798edf28ba6257af0395aa429", 13689),
            File("valid.txt", "eb973b8bac23c96b3aec897d610dbfec0ee302df", 2272),
            File("view.txt", "b61b9c6609efe7123caf69433d658a22d8c6c1f2"),
        ),
    ),
    "tmall-cascadingrank": Source(
        *_CASCADING_RANK,
        "data/tmall",
        (
            File("buy.txt", "eec18556cafd15f697c487282b2393e8bb9151f9", 2722119),
            File("cart.txt", "7cf2083e4cfde449d1149d632038dd155e454fca", 21386),
            File("collect.txt", "a42e1f7edfc552ec02d88b0a2fcb5f4e60d4cc21", 2371261),
            File("statistics.json", "e8f4e498b16dcc8b7a8674d85e8ace478038bed5", 173),
            File("test.txt", "7349af8ed9f7e93a3adb71d0f21b3fc48609d0f5", 336381),
            File("train.txt", "eec18556cafd15f697c487282b2393e8bb9151f9", 2722119),
            File("valid.txt", "e3296e18b2c854d56eea4c5d29d9373e3f90805d", 790199),
            File("view.txt", "fbf7dbceb6f7e59ce5181daadb9d283642aa75b7"),
        ),
    ),
}
"""The data sets that can be fetched, by their registered names."""


def source_of(name: str, sources: dict[str, Source] = SOURCES) -> Source:
    """The source of a data set, or InputError."""
    if name not in sources:
        raise InputError(f"data set {name!r} cannot be fetched{did_you_mean(name, sources)}")
    return sources[name]
