"""Stages as they travel: packed once by the client, unpacked once by each worker.

A training runs one program thousands of times. Packed stages pass the scheduler as they are, and a worker
that has unpacked one keeps it, with all that it has worked out about it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from distributed.protocol import pickle

from tra.optimizer.program import Program
from tra.optimizer.stages import Stage

_PROGRAMS, _STAGES = 16, 128  # that are kept


@dataclass(frozen=True)
class Packed:
    """A stage as bytes.

    Attributes:
        digest: of the bytes.
        data: what unpacks to the stage.
    """

    digest: str
    data: bytes


class Packer:
    """Packs the stages of programs; those of the last programs are kept.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.program import program
        >>> packer, made = Packer(), program((scan(),))
        >>> packer.packed(made) is packer.packed(made)
        True
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Program, tuple[Packed, ...]]] = OrderedDict()

    def packed(self, program: Program) -> tuple[Packed, ...]:
        """The stages of a program."""
        if id(program) not in self._kept:
            self._kept[id(program)] = program, tuple(map(pack, program.stages))
        self._kept.move_to_end(id(program))
        while len(self._kept) > _PROGRAMS:
            self._kept.popitem(last=False)
        return self._kept[id(program)][1]


def pack(stage: Stage) -> Packed:
    """A stage as bytes, with the functions of a user's kernels.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import cut_stages
        >>> stage, = cut_stages((scan(),))
        >>> unpack(pack(stage)) == stage
        True
    """
    data = pickle.dumps(stage)
    return Packed(sha256(data).hexdigest(), data)


_unpacked: OrderedDict[str, Stage] = OrderedDict()
_lock = threading.Lock()


def unpack(packed: Packed) -> Stage:
    """The stage; one that was unpacked lately in this process is the same object.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import cut_stages
        >>> packed, = map(pack, cut_stages((scan(),)))
        >>> unpack(packed) is unpack(packed)
        True
    """
    with _lock:
        if packed.digest not in _unpacked:
            _unpacked[packed.digest] = pickle.loads(packed.data)
        _unpacked.move_to_end(packed.digest)
        while len(_unpacked) > _STAGES:
            _unpacked.popitem(last=False)
        return _unpacked[packed.digest]
