"""The rules that the search chooses among by cost: forms of sums of products, and strategies of operators.

They are names here. `regions.py` makes the forms and `strategies.py` the choices that are called so.
"""

from __future__ import annotations

from tra.optimizer.rules.rule import PricedRule

FORMS = (
    PricedRule(
        "layout_contraction_fold", "distribute",
        "λ_T(L) ⋈ R = L ⋈ R with T in the einsum: transposes, re-keys and sums of one operand become part of "
        "the product that uses them.",
        "own; R1-6, for layouts.",
    ),
    PricedRule(
        "contraction_reassociate", "distribute",
        "Σ(Σ(A ⋈ B) ⋈ C) = Σ(A ⋈ Σ(B ⋈ C)): products are multiplied in any order.",
        "the generalized distributive law, Aji and McEliece, IEEE Trans. Inf. Theory 46(2), 2000.",
    ),
    PricedRule(
        "sum_product_expand", "distribute",
        "Σ(L ± M) ⋈ R = Σ(L ⋈ R) ± Σ(M ⋈ R): sums are multiplied out, as far as `tolerance` allows the "
        "rounding.",
        "own; the binomial formula, as nearest neighbours are computed everywhere.",
    ),
)  # fmt: skip
STRATEGIES = (
    PricedRule("one site", "structural", "There is one site, and nothing to choose.", "own."),
    PricedRule("stored", "structural", "A stored relation is used where it lies.", "own."),
    PricedRule(
        "split", "structural", "Each site reads or makes its range of a key of the source.",
        "PART(D), Yuan et al. 2021.",
    ),
    PricedRule(
        "copy everywhere", "structural", "Every site reads or makes the whole source.",
        "ALL, Yuan et al. 2021.",
    ),
    PricedRule(
        "compute everywhere", "structural",
        "f(R) = fᴸ(BCAST(R)): operands are copied, and every site computes the whole result.",
        "R2-6, without a split.",
    ),
    PricedRule(
        "in place", "structural",
        "f(R) = fᴸ(R) for filters, re-keys, maps, cuts and stacks: each site works on its range of a key.",
        "Yuan et al. 2021, section 3; R2-2, R2-3.",
    ),
    PricedRule(
        "keep parts", "distribute",
        "λ(Σ(parts)) = Σ(λᴸ(parts)): parts of a sum go through filters, re-keys and kernels linear for it, "
        "and are folded later.",
        "R1-4; R2-5.",
    ),
    PricedRule("broadcast left", "structural", "L ⋈ R = BCAST(L) ⋈ᴸ R: R is split, L is copied.", "R2-6."),
    PricedRule("broadcast right", "structural", "L ⋈ R = L ⋈ᴸ BCAST(R): L is split, R is copied.", "R2-6."),
    PricedRule(
        "co-partition", "structural",
        "L ⋈_k R = SHUF_k(L) ⋈ᴸ SHUF_k(R): both are split by a joined key.",
        "R2-6.",
    ),
    PricedRule(
        "2-D split", "structural",
        "One dimension of the mesh splits a free key of L and copies R, another one of R and copies L.",
        "R2-6, on a mesh; SUMMA, van de Geijn and Watts 1997.",
    ),
    PricedRule(
        "replicate (3-D)", "structural",
        "Dimensions of the mesh split a free key of L, one of R and a joined key.",
        "R2-7; Agarwal et al. 1995.",
    ),
    PricedRule(
        "replicate (mixed split)", "structural",
        "Dimensions of the mesh split a joined key and a free key of one side only.",
        "R2-6 and R2-7, on a mesh.",
    ),
    PricedRule(
        "aggregate in place", "structural",
        "Σ_g(R) = Σᴸ_g(R) where R is split by keys in g: whole groups lie together.",
        "R2-4.",
    ),
    PricedRule(
        "aggregate before shuffle", "regroup",
        "Σ_g(R) = Σᴸ_g(SHUF_g(Σᴸ_g(R))): each site folds what it has, and the parts are folded once sent.",
        "R2-5, two-phase aggregation.",
    ),
    PricedRule(
        "repartition", "structural",
        "Whole tensors are cut anew in one exchange of boxes of elements.",
        "own; Retile means Concat and Tile.",
    ),
)  # fmt: skip
