"""What to cite: the paper of each model, and this software, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .. import __version__
from ..models import model_class

SPECIAL = str.maketrans({one: f"\\{one}" for one in "&%$#_"})
PLAIN = ("doi", "url", "eprint", "pages", "year", "volume", "number")


@dataclass(frozen=True)
class Reference:
    """One entry: `kind` is BibTeX's, and `fields` are its, in order, as plain text."""

    key: str
    kind: str
    fields: dict[str, str]

    def bibtex(self) -> str:
        """As BibTeX; titles keep their capitals."""
        lines = [f"@{self.kind}{{{self.key},"]
        for name, value in self.fields.items():
            value = value if name in PLAIN else value.translate(SPECIAL)
            # A second pair of braces keeps capitals, and a name that is none of a person.
            whole = name == "title" or value == AUTHORS
            lines.append(f"  {name} = {{{{{value}}}}}," if whole else f"  {name} = {{{value}}},")
        return "\n".join([*lines, "}"]) + "\n"


def _paper(key: str, authors: str, title: str, where: str, **more: str) -> Reference:
    """A paper of a conference's proceedings."""
    names = " and ".join(authors.split("; "))
    fields = {"author": names, "title": title, "booktitle": where}
    return Reference(key, "inproceedings", {**fields, **more})


AUTHORS = "The pkef-fast authors"
SOFTWARE = Reference(
    "pkef-fast",
    "misc",  # @software is known to newer styles alone
    {
        "author": AUTHORS,
        "title": "pkef-fast: multi-behaviour recommenders trained by hand-written kernels",
        "note": f"Software, version {__version__}",
        "year": "2026",
    },
)
PAPERS: dict[str, Reference] = {
    "pkef": _paper(
        "meng2023pkef",
        "Meng, Chang; Zhai, Chenhao; Yang, Yu; Zhang, Hengyu; Li, Xiu",
        "Parallel Knowledge Enhancement based Framework for Multi-behavior Recommendation",
        "Proceedings of the 32nd ACM International Conference on Information and Knowledge "
        "Management (CIKM '23)",
        year="2023",
        pages="1797--1806",
        doi="10.1145/3583780.3615004",
    ),
    "mf-bpr": _paper(
        "rendle2009bpr",
        "Rendle, Steffen; Freudenthaler, Christoph; Gantner, Zeno; Schmidt-Thieme, Lars",
        "BPR: Bayesian Personalized Ranking from Implicit Feedback",
        "Proceedings of the 25th Conference on Uncertainty in Artificial Intelligence (UAI 2009)",
        year="2009",
        pages="452--461",
    ),
    "lightgcn": _paper(
        "he2020lightgcn",
        "He, Xiangnan; Deng, Kuan; Wang, Xiang; Li, Yan; Zhang, Yongdong; Wang, Meng",
        "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
        "Proceedings of the 43rd International ACM SIGIR Conference on Research and Development "
        "in Information Retrieval (SIGIR '20)",
        year="2020",
        pages="639--648",
        doi="10.1145/3397271.3401063",
    ),
    "rgcn": _paper(
        "schlichtkrull2018rgcn",
        "Schlichtkrull, Michael; Kipf, Thomas N.; Bloem, Peter; van den Berg, Rianne; Titov, Ivan; "
        "Welling, Max",
        "Modeling Relational Data with Graph Convolutional Networks",
        "The Semantic Web: 15th International Conference (ESWC 2018)",
        year="2018",
        pages="593--607",
        doi="10.1007/978-3-319-93417-4_38",
    ),
    "mbgcn": _paper(
        "jin2020mbgcn",
        "Jin, Bowen; Gao, Chen; He, Xiangnan; Jin, Depeng; Li, Yong",
        "Multi-behavior Recommendation with Graph Convolutional Networks",
        "Proceedings of the 43rd International ACM SIGIR Conference on Research and Development "
        "in Information Retrieval (SIGIR '20)",
        year="2020",
        pages="659--668",
        doi="10.1145/3397271.3401072",
    ),
    "crgcn": Reference(
        "yan2023crgcn",
        "article",
        {
            "author": "Yan, Mingshi and Cheng, Zhiyong and Gao, Chen and Sun, Jing and Liu, Fan "
            "and Sun, Fuming and Li, Haojie",
            "title": "Cascading Residual Graph Convolutional Network for Multi-Behavior "
            "Recommendation",
            "journal": "ACM Transactions on Information Systems",
            "volume": "42",
            "number": "1",
            "pages": "1--26",
            "year": "2023",
            "doi": "10.1145/3587693",
        },
    ),
    "mb-cgcn": _paper(
        "cheng2023mbcgcn",
        "Cheng, Zhiyong; Han, Sai; Liu, Fan; Zhu, Lei; Gao, Zan; Peng, Yuxin",
        "Multi-Behavior Recommendation with Cascading Graph Convolution Networks",
        "Proceedings of the ACM Web Conference 2023 (WWW '23)",
        year="2023",
        pages="1181--1189",
        doi="10.1145/3543507.3583439",
    ),
    "neumf": _paper(
        "he2017ncf",
        "He, Xiangnan; Liao, Lizi; Zhang, Hanwang; Nie, Liqiang; Hu, Xia; Chua, Tat-Seng",
        "Neural Collaborative Filtering",
        "Proceedings of the 26th International Conference on World Wide Web (WWW '17)",
        year="2017",
        pages="173--182",
        doi="10.1145/3038912.3052569",
    ),
    "nmtr": _paper(
        "gao2019nmtr",
        "Gao, Chen; He, Xiangnan; Gan, Dahua; Chen, Xiangning; Feng, Fuli; Li, Yong; "
        "Chua, Tat-Seng; Jin, Depeng",
        "Neural Multi-task Recommendation from Multi-behavior Data",
        "2019 IEEE 35th International Conference on Data Engineering (ICDE)",
        year="2019",
        pages="1554--1557",
        doi="10.1109/ICDE.2019.00140",
    ),
    "gnmr": _paper(
        "xia2021gnmr",
        "Xia, Lianghao; Huang, Chao; Xu, Yong; Dai, Peng; Lu, Mengyin; Bo, Liefeng",
        "Multi-Behavior Enhanced Recommendation with Cross-Interaction Collaborative Relation "
        "Modeling",
        "2021 IEEE 37th International Conference on Data Engineering (ICDE)",
        year="2021",
        pages="1931--1936",
        doi="10.1109/ICDE51399.2021.00179",
    ),
    "ghcf": _paper(
        "chen2021ghcf",
        "Chen, Chong; Ma, Weizhi; Zhang, Min; Wang, Zhaowei; He, Xiuqiang; Wang, Chenyang; "
        "Liu, Yiqun; Ma, Shaoping",
        "Graph Heterogeneous Multi-Relational Recommendation",
        "Proceedings of the AAAI Conference on Artificial Intelligence",
        volume="35",
        number="5",
        year="2021",
        pages="3958--3966",
        doi="10.1609/aaai.v35i5.16515",
    ),
    "graph-rank": Reference(
        "ko2025cascadingrank",
        "misc",
        {
            "author": "Ko, Geonwoo and Jeon, Minseo and Jung, Jinhong",
            "title": "Personalized Ranking on Cascading Behavior Graphs for Accurate "
            "Multi-Behavior Recommendation",
            "year": "2025",
            "eprint": "2502.11335",
            "archiveprefix": "arXiv",
            "url": "https://arxiv.org/abs/2502.11335",
        },
    ),
}
"""The paper of each model of `pkef_fast.models.MODELS`."""


def references(models: Iterable[str] = ()) -> list[Reference]:
    """What to cite for these models: PKEF's paper first, theirs, this software last; each once.

    InputError for an unknown model.
    """
    for name in models:
        model_class(name)
    return [*(PAPERS[name] for name in dict.fromkeys(("pkef", *models))), SOFTWARE]
