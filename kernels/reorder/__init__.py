"""reorder: a few candidates of each user by their own score f, in front of all other items.

merge(base, indptr, items, f) → scores (w, I) float64
    f for candidates; for all others the base's score, moved so that its highest finite one of the
    row lies 1 below the least f of the row. Rows without candidates, or without a finite score,
    are the base's.
ranks(indptr, items, f, rows, wanted, seen_indptr, seen_indices)
        → rank (n,) int32, tied (n,) int32, listed (n,) bool
    Where wanted[n] is a candidate of rows[n] (`listed`): how many other unseen candidates have a
    higher f, or an equal one and a lower number; and how many have an equal one. Else the number
    of unseen candidates, and 0. wanted[n] itself may be seen.
top_k(indptr, items, f, k, seen_indptr, seen_indices)
        → best (w, k) int32, scores (w, k) float64, sizes (w,) int64
    The k best unseen candidates of each row by falling f, equal ones by rising number, and how many
    there are; behind them −1 and −inf.
unite(a_indptr, a_items, b_indptr, b_items) → indptr (w+1,) int64, items int32
    Rows with the items of both.

    base (w, I) float32 or float64                   f (E,) float32; any float in the reference
    indptr (w+1,), items (E,) int32: candidates      seen_indptr (w+1,), seen_indices int32
    rows (n,), wanted (n,) int32                     all rows of items rise without repeats

f is finite; where it is not, scores that are moved by it may be NaN. w = 0, n = 0, k = 0 and empty
rows are allowed. Inputs are only read; results do not depend on the number of threads. There is no
CUDA form: candidates are on the host.
"""
