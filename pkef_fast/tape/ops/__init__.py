"""The kernels as tape operations, under the kernels' own names, by what they are for.

Each pair of functions stands together: what the forward saves is what the adjoint reads. `add`,
`scale` and `multiply`, which are also the tensors' own `+`, `-` and `*`, come from autograd.py.
"""

from __future__ import annotations

from ..autograd import add as add
from ..autograd import multiply as multiply
from ..autograd import scale as scale
from .dense import affine as affine
from .dense import affine_sides as affine_sides
from .dense import dropout as dropout
from .dense import gram as gram
from .dense import leaky_relu as leaky_relu
from .dense import linear as linear
from .dense import normalise as normalise
from .dense import relu as relu
from .dense import scale_rows as scale_rows
from .dense import shift as shift
from .dense import sigmoid as sigmoid
from .dense import slots as slots
from .dense import turn as turn
from .graphs import layer_sum as layer_sum
from .graphs import project as project
from .graphs import propagate as propagate
from .graphs import spread as spread
from .losses import all_pairs as all_pairs
from .losses import bce as bce
from .losses import bpr as bpr
from .losses import cross_entropy as cross_entropy
from .losses import hinge as hinge
from .losses import met_pairs as met_pairs
from .losses import softmax_loss as softmax_loss
from .losses import weigh as weigh
from .losses import weigh_learned as weigh_learned
from .mixtures import attend as attend
from .mixtures import memory as memory
from .mixtures import mix as mix
from .mixtures import pool as pool
from .mixtures import shares as shares
from .mixtures import softmax as softmax
from .penalties import half_squares as half_squares
from .penalties import norm as norm
from .penalties import penalty as penalty
from .rows import column as column
from .rows import concatenate as concatenate
from .rows import couple as couple
from .rows import matrices as matrices
from .rows import mean as mean
from .rows import reshape as reshape
from .rows import rows_of as rows_of
from .rows import sides as sides
from .rows import split_rows as split_rows
from .rows import stack as stack
from .rows import stack_rows as stack_rows
from .rows import total as total
from .scores import bilinear as bilinear
from .scores import dot as dot
from .scores import experts as experts
from .scores import gather as gather
from .scores import pair_product as pair_product
from .scores import pair_sum as pair_sum
from .scores import pme as pme
from .scores import tower as tower
from .scores import unique as unique
