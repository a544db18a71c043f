"""Mistakes in names and in the index form: where they are, what is wrong, what would be right."""

import pytest


@pytest.mark.parametrize(
    ("text", "below", "message"),
    [
        # names
        (
            "LET C[i, k] = SUM(AA[i, j] * B[j, k])",
            "AA[",
            "no relation AA; did you mean 'A'?|hint: there is A, B,",
        ),
        ("CREATE VIEW C AS X", "X", "no relation X"),
        ("SAVE X TO 'x.npy'", "X TO", "no relation X"),
        ("LET C[i, j] = RELUU(A[i, j])", "RELUU", "no function RELUU; did you mean 'RELU'?"),
        ("LET C = SUMM(A[i, j])", "SUMM", "no function SUMM; did you mean 'SUM'?"),
        ("LET C = quux(A[i, j])", "quux", "no function QUUX|hint: the functions are ABS, ADD, ALL"),
        ("LET C[i] = AVG(A[i, j])", "AVG", "no function AVG; did you mean 'MEAN'?"),
        ("LET C[i] = MAXIMUM(A[i, j])", "MAXIMUM", "no function MAXIMUM; did you mean 'MAX'?"),
        (
            "LET C[i] = COUNT(A[i, j])",
            "COUNT",
            "no function COUNT|hint: the sum of a condition counts",
        ),
        ("LET C[i, j] = IF(X[i] > 1, 0, 1)", "IF", "no function IF; did you mean 'WHERE'?"),
        (
            "LET C[i, j] = a(i, j)",
            "a(",
            "A is a tensor and no function|in brackets: write A[i, j]",
        ),
        ("LET C = SUM / MAX(A[i, j])", "SUM /", "SUM is a function, and nothing in parentheses|SUM(...)"),
        ("SELECT A.i, A.j, RELUU(A.tile) FROM A", "RELUU", "no function RELUU; did you mean 'RELU'?"),
        ("SELECT i, MAXX(tile) FROM A GROUP BY i", "MAXX", "no function MAXX; did you mean 'MAX'?"),
        ("SELECT i, RELU(SIGMOD(tile)) FROM A", "SIGMOD", "no function SIGMOD; did you mean 'SIGMOID'?"),
        (
            "SELECT i, AVG(tile) FROM A GROUP BY i",
            "AVG",
            "no function AVG of tiles|hint: the index form has MEAN: LET m[i] = MEAN[j](A[i, j])",
        ),
        ("SELECT A.i, C.tile FROM A", "C.tile", "no table C|hint: there is A"),
        ("SELECT A.z, A.tile FROM A", "z,", "no key of A called z|hint: there is i, j"),
        ("SELECT z, A.tile FROM A", "z,", "no key z|hint: there is i, j"),
        ("SELECT i, tile FROM A WHERE z = 1", "z =", "no key z"),
        (
            "SELECT A.i, MUL(A.tile, B.tile) FROM A JOIN B ON A.j = B.z",
            "z",
            "no key of B called z|there is j, k",
        ),
        (
            "SELECT A.i, MUL(A.tile, B.tile) FROM A JOIN B ON A.j = C.z JOIN v AS C ON C.j = B.j",
            "C.z",
            "no table C",
        ),
        # indices
        (
            "LET C[i] = A[i]",
            "A[i]",
            "A takes 2 indices, 1 given|float64 is a tensor of shape (5, 4): write A[i, j]",
        ),
        ("LET C[i] = v[i, j]", "v[i, j]", "v takes 1 index, 2 given|write v[j]"),
        ("LET C[i, j] = A", "A", "A takes 2 indices, none given|write A[i, j]"),
        ("LET C[i] = s[i]", "s[i]", "s takes 0 indices, 1 given|: write s"),
        (
            "LET C[i] = A[i, j]",
            "j]",
            "index j is neither on the left nor reduced|hint: sum over it with SUM[j](...)",
        ),
        ("LET C = SUM[j](A[i, j])", "i, j", "index i is neither on the left nor reduced"),
        (
            "LET C[i, z] = A[i, j]",
            "z]",
            "index z is on the left, and not on the right|hint: the right side has i, j",
        ),
        ("LET C[i, i] = A[i, j]", "i] =", "index i stands twice on the left"),
        (
            "LET C[i, j] = A[i, j] + v[i]",
            "A[i, j] + v[i]",
            "index i has extent 5 in one operand and 4 in another|  v[j:2]",
        ),
        ("LET C = SUM(A[i, i])", "A[i, i]", "index i stands for extents 5 and 4 of [i:3, j:2]"),
        ('LET C["1:i", j] = A["1:i", j]', '"1:i", j]', "an index cannot begin with 1:"),
        # reductions
        (
            "LET C[i, j] = SUM(A[i, j])",
            "SUM(",
            "SUM has nothing to reduce: i, j are on the left|hint: name what it reduces: SUM[j](...)",
        ),
        (
            "LET C[i] = SUM(A[i, k]) / SUM(A[i, k])",
            "SUM(",
            "SUM has nothing to reduce: i is on the left and k is used outside of it too|SUM[k](...)",
        ),
        (
            "LET C = MAX(A[i, k]) - MIN(A[i, k])",
            "MAX(",
            "MAX has nothing to reduce: i, k are used outside of it too|name what it reduces: MAX[i, k]",
        ),
        ("LET C[i] = A[i, k] * MAX(A[i, k])", "MAX(", "MAX has nothing to reduce"),
        ("LET C = SUM(2)", "SUM(2)", "SUM has nothing to reduce: its argument has no indices"),
        ("LET C = MAX(MAX(A[i, j]))", "MAX(MAX", "MAX has nothing to reduce: its argument has no indices"),
        ("LET C[i] = SUM[z](A[i, k])", "z]", "the argument of SUM has no index z|hint: it has i, k"),
        ("LET C[i] = ARGMAX(A[j, k])", "ARGMAX", "ARGMAX gives the place along one index, and here are j, k"),
        (
            "LET C[i, j] = SOFTMAX(A[i, j])",
            "SOFTMAX",
            "SOFTMAX runs along one index of its argument|such as SOFTMAX[c]",
        ),
        ("LET C[i, j] = SOFTMAX[z](A[i, j])", "z](", "the argument of SOFTMAX has no index z"),
        ("LET C[i] = SUM[j](A[i, j], 2)", "SUM[j]", "SUM takes 1 argument, 2 given"),
        ("LET C[i] = SUM[j](A[i, j], keepdims => TRUE)", "keepdims", "SUM takes no options"),
        # functions of elements
        (
            "LET C[i, j] = MATMUL(A[i, j], A[i, j])",
            "MATMUL",
            "MATMUL (m,n),(n,p)->(m,p) works on the axes of a tile",
        ),
        ("LET C[i, j] = RELU[i](A[i, j])", "i](", "RELU works element by element and takes no indices"),
        ("LET C[i, j] = RELU(A[i, j], 3)", "RELU", "RELU takes 1 argument, 2 given"),
        (
            "LET C[i, j] = ONE_HOT(A[i, j], size => 3)",
            "ONE_HOT",
            "ONE_HOT adds an axis: one index on the left must stand",
        ),
        (
            "LET C[i, j, k] = ONE_HOT(A[i, j])",
            "ONE_HOT",
            "kernel 'one_hot' does not take these parameters (none)",
        ),
        (
            "LET C[i, j, k] = ONE_HOT(A[i, j], size => -1)",
            "ONE_HOT",
            "one_hot takes a size that is a whole number of at least 1; got size=-1",
        ),
        (
            "LET C[i, j] = CLASS_CHECK(A[i, j], size => 2.5)",
            "CLASS_CHECK",
            "class_check takes a size that is a whole number of at least 1; got size=2.5",
        ),
        (
            "LET C[i, j] = CAST(A[i, j], dtype => 'odd')",
            "CAST",
            "cast takes a dtype such as bool, int64, int32, uint8, float64, float32, float16, complex128, "
            "complex64; got dtype='odd'",
        ),
        (
            "LET C[i, j] = CLIP(A[i, j], name => 1)",
            "name",
            "clip has no parameter name|hint: it has low, high",
        ),
        (
            "LET C[i, j] = CLIP(A[i, j], lоw => 1, high => 2)",
            "lоw",
            "did you mean 'low'?|hint: it has low, high|in ASCII this is 'low': its letter o is here U+043E",
        ),
        ("LET C[i, j] = RELU(A[i, j], axis => 1)", "axis", "relu has no parameter axis|hint: it has none"),
        (
            "LET C[i, j] = CLIP(A[i, j], low => 'a', high => 1)",
            "CLIP",
            "(low='a', high=1): it takes low (a number), high (a number)",
        ),
        ("LET C[i, j] = SCALE(A[i, j])", "SCALE", "(none): it needs by, and takes by (a number)"),
        (
            "SELECT i, j, EINSUM(A.tile, spec => '12->21') FROM A",
            "EINSUM",
            "'12->21' is no einsum: labels are le",
        ),
        ("SELECT i, j, EINSUM(A.tile, spec => 5) FROM A", "EINSUM", "(spec=5): it takes spec (text)"),
        (
            "SELECT i, j, TRANSPOSE(A.tile, axes => 1.5) FROM A",
            "TRANSPOSE",
            "kernel 'transpose' does not take these parameters (axes=1.5): it takes axes (integers)",
        ),
        (
            "SELECT i, j, TRANSPOSE(A.tile, axes => '10') FROM A",
            "TRANSPOSE",
            "kernel 'transpose' does not take these parameters (axes='10'): it takes axes (integers)",
        ),
        # numbers
        ("LET C[i] = 2 + rate", "2 + rate", "a number has no indices|hint: write LET C = ..."),
        ("LET C = 1 / (2 - 2)", "1 / (2 - 2)", "this has no value: division by zero"),
        ("LET C = 9 ^ 9 ^ 9", "9 ^ 9 ^ 9", "9^387420489 is too large"),
        ("LET C = (-8) ^ 0.5", "(-8) ^ 0.5", "-8^0.5 is no real number"),
        ("LET C = 2j < 1", "2j < 1", "this has no value"),
        ("LET C = 10 ^ 30", "10 ^ 30", "too large for an integer of 64 bits; write it with an exponent"),
        ("LET C = DIV(1, 2j, 3)", "DIV(", "DIV takes 2 arguments, 3 given"),
        (
            "LET C = LOGICAL_NOT(1) ^ MAX(2, EQ(1, 2j)) / ARG_MAX(1, 2)",
            "ARG_MAX(1, 2)",
            "arg_max does not take these numbers",
        ),
        # holes
        (
            "LET C[i, j] = EXP(S[i, j])",
            "EXP",
            "exp needs a dense relation: [i:2, j:2] of 2/4×2/4 float64 has no tile at key (0, 1)",
        ),
        ("LET C[i] = MAX(S[i, j])", "MAX", "max needs a dense relation"),
        ("LET C[a, b] = S[a, b] + s", "S[a, b] + s", "add needs a dense relation"),
        ("LET C[a, b] = S[a, b] - A[x, y]", "S[a, b] - A[x, y]", "sub needs a dense relation"),
        (
            "CONCAT S KEY j AXIS 1",
            "CONCAT",
            "concat over j needs a dense relation: [i:2, j:2] of 2/4×2/4 float64 has no tile at key",
        ),
        ("RETILE S TO (1, 1)", "RETILE", "retile needs a dense relation"),
    ],
)
def test_messages(text, below, message, check_message):
    check_message(text, below, message)


def test_more_indices_than_letters(error_of):
    indices = [f"i{n}" for n in range(53)]
    text = f"LET C = SUM({' * '.join(f'v[{index}]' for index in indices)})"
    assert "more than 52 indices in one LET" in str(error_of(text))
